# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One installation of the stand-in for a session's tests, on a real Postgres, Redis and ClickHouse and moto's S3."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import secrets
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import boto3
import pytest
from moto.server import ThreadedMotoServer

from sandbox import state, supervisor
from sandbox.stores import clickhouse, postgres, redis
from tests.sandbox.langsmith import installation
from tests.sandbox.langsmith.installation import ADMIN_EMAIL, ADMIN_PASSWORD, BUCKET, REPOSITORY, Installation, until

Outage = Callable[[], contextlib.AbstractContextManager[None]]

DATABASE_PASSWORD = "p@ss:word/with?signs"
CLICKHOUSE_PASSWORD = "another-password"
REDIS_TOKEN = "a-token-of-sixteen-signs"


@pytest.fixture(scope="session")
def sandbox_state(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A state folder of this session's own; every part that was started in it is stopped at the end."""
    folder = tmp_path_factory.mktemp("state")
    before = os.environ.get(state.FOLDER_VARIABLE)
    os.environ[state.FOLDER_VARIABLE] = str(folder)
    yield folder
    for part in reversed(supervisor.running()):
        supervisor.stop(part.name)
    if before is None:
        del os.environ[state.FOLDER_VARIABLE]
    else:
        os.environ[state.FOLDER_VARIABLE] = before


@pytest.fixture(scope="session")
def clickhouse_server(sandbox_state: Path) -> tuple[str, int, str, str]:
    """Host, port, user and password of a ClickHouse."""
    clickhouse.fetch()
    # Its ports are the real ones, so the address must be its own.
    host = f"127.{state.share(range(150, 250))[0]}.{secrets.randbelow(256)}.{1 + secrets.randbelow(254)}"
    start_clickhouse(sandbox_state, host)
    return host, clickhouse.HTTP_PORT, "default", CLICKHOUSE_PASSWORD


def start_clickhouse(sandbox_state: Path, host: str) -> None:
    """Run ClickHouse as the chart's pod runs, on data that outlive it."""
    variables = {
        "SANDBOX_POD_IP": host,
        "CLICKHOUSE_USER": "default",
        "CLICKHOUSE_PASSWORD": CLICKHOUSE_PASSWORD,
        "SANDBOX_VOLUMES": json.dumps({clickhouse.DATA_PATH: str(sandbox_state / "clickhouse")}),
    }
    argv = [sys.executable, "-m", "sandbox.stores.clickhouse", "pod"]
    supervisor.start("clickhouse", argv, env={**os.environ, **variables}, cwd=REPOSITORY)

    def pings() -> bool:
        connection = http.client.HTTPConnection(host, clickhouse.HTTP_PORT, timeout=5)
        try:
            connection.request("GET", "/ping")
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    until(pings, "ClickHouse answers")


@pytest.fixture
def without_clickhouse(sandbox_state: Path, clickhouse_server: tuple[str, int, str, str]) -> Outage:
    """A block in which ClickHouse is away."""

    @contextlib.contextmanager
    def outage() -> Iterator[None]:
        supervisor.stop("clickhouse")
        try:
            yield
        finally:
            start_clickhouse(sandbox_state, clickhouse_server[0])

    return outage


@pytest.fixture
def without_redis(langsmith: Installation) -> Outage:
    """A block in which Redis is away."""

    @contextlib.contextmanager
    def outage() -> Iterator[None]:
        redis.stop("tests")
        try:
            yield
        finally:
            redis.start("tests")

    return outage


@pytest.fixture(scope="session")
def blob_store() -> Iterator[str]:
    """The URL of an S3."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    url = f"http://{host}:{port}"
    s3 = boto3.client(
        "s3", endpoint_url=url, region_name="us-east-1", aws_access_key_id="test", aws_secret_access_key="test"
    )
    s3.create_bucket(Bucket=BUCKET)
    yield url
    server.stop()


@pytest.fixture(scope="session")
def bucket(blob_store: str) -> Any:
    """The bucket of the payloads, seen by boto3."""
    return boto3.resource(
        "s3", endpoint_url=blob_store, region_name="us-east-1", aws_access_key_id="test", aws_secret_access_key="test"
    ).Bucket(BUCKET)


@pytest.fixture(scope="session")
def langsmith(
    sandbox_state: Path,
    clickhouse_server: tuple[str, int, str, str],
    blob_store: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Installation]:
    """A running installation: migrated, bootstrapped, every service healthy."""
    postgres.configure("tests", "16", "langsmith", DATABASE_PASSWORD, "langsmith")
    postgres_port = postgres.start("tests")
    redis.configure("tests", [REDIS_TOKEN], tls=True)
    redis_port = redis.start("tests")
    found = Installation(
        tmp_path_factory.mktemp("langsmith"),
        installation.environment(
            f"langsmith:{quote(DATABASE_PASSWORD, safe='')}@127.0.0.1:{postgres_port}/langsmith?sslmode=require",
            f"rediss://127.0.0.1:{redis_port}/0?password={quote(REDIS_TOKEN, safe='')}",
            clickhouse_server,
            blob_store,
        ),
    )
    found.write_nginx()
    for words in ("./ch_migration_entrypoint.sh", "./pg_migration_entrypoint.sh", "./auth_bootstrap_entrypoint.sh"):
        done = found.job(words)
        assert done.returncode == 0, done.stdout
    for name in installation.SERVICES:
        found.start(name)
    yield found
    found.stop_all()


@pytest.fixture(scope="session")
def api_key(langsmith: Installation) -> str:
    """A key of the first workspace, made as an administrator makes one."""
    _, login, _ = langsmith.api("POST", "/api/v1/login", {"email": ADMIN_EMAIL, "password": ADMIN_PASSWORD})
    bearer = f"Bearer {login['access_token']}"
    _, workspaces, _ = langsmith.api("GET", "/api/v1/workspaces", Authorization=bearer)
    tenant = workspaces[0]["id"]
    status, made, _ = langsmith.api("POST", "/api/v1/api-key", {}, Authorization=bearer, X_Tenant_Id=tenant)
    assert status == 200
    return str(made["key"])
