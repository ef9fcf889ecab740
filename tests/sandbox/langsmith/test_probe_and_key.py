# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The collection's probe and key module against the running services: each part that is taken away is named."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.langsmith.aws.plugins.modules import langsmith_api_key, langsmith_trace_probe

from sandbox import supervisor
from sandbox.stores import postgres, redis
from tests.sandbox.langsmith.installation import ADMIN_EMAIL, ADMIN_PASSWORD, Installation, until

Run = Callable[..., dict[str, Any]]

CONFIG = "langsmith/probe-tests/config"
KEY = "langsmith/probe-tests/api-key"


def call(module: Any, options: dict[str, Any], capfd: pytest.CaptureFixture[str]) -> dict[str, Any]:
    with patch_module_args(options), pytest.raises(SystemExit):
        module.main()
    text = capfd.readouterr().out
    assert ADMIN_PASSWORD not in text
    result: dict[str, Any] = json.loads(text)
    return result


@pytest.fixture
def connection(blob_store: str) -> dict[str, str]:
    return {"region": "us-east-1", "endpoint_url": blob_store, "access_key": "test", "secret_key": "test"}


@pytest.fixture
def ensure_key(
    langsmith: Installation, connection: dict[str, str], blob_store: str, capfd: pytest.CaptureFixture[str]
) -> Run:
    manager = boto3.client(
        "secretsmanager",
        endpoint_url=blob_store,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )
    with contextlib.suppress(manager.exceptions.ResourceExistsException):
        manager.create_secret(Name=CONFIG, SecretString=json.dumps({"password": ADMIN_PASSWORD}))

    def run() -> dict[str, Any]:
        options = {
            "url": f"http://127.0.0.1:{langsmith.ports['frontend']}",
            "email": ADMIN_EMAIL,
            "password_secret": {"name": CONFIG, "key": "password"},
            "key_secret": {"name": KEY},
            # Another test makes a second one, and then the module asks for the name.
            "workspace": "Workspace 1",
        }
        return call(langsmith_api_key, {**connection, **options}, capfd)

    return run


@pytest.fixture
def probe(
    langsmith: Installation, connection: dict[str, str], ensure_key: Run, capfd: pytest.CaptureFixture[str]
) -> Run:
    made = ensure_key()
    assert not made.get("failed"), made["msg"]

    def run(**more: Any) -> dict[str, Any]:
        options = {
            "endpoint": f"http://127.0.0.1:{langsmith.ports['frontend']}",
            "api_key_secret": {"name": KEY},
            "queue_metrics_url": f"http://127.0.0.1:{langsmith.ports['platform-backend']}/metrics?format=json",
            "wait_timeout": 20,
            "timeout": 10,
        }
        return call(langsmith_trace_probe, {**connection, **options, **more}, capfd)

    return run


def faults(result: dict[str, Any]) -> dict[str, str]:
    return {entry["id"]: entry["component"] for entry in result["findings"] if entry["status"] == "fail"}


@contextlib.contextmanager
def without_store(name: str, start: Callable[[], object], probe: Run) -> Iterator[None]:
    """The installation while a store is down; afterwards it is well again before the next test."""
    supervisor.stop(name)
    try:
        yield
    finally:
        start()
        until(lambda: probe()["healthy"], f"a healthy probe after {name} came back")


def test_a_key_is_made_once(ensure_key: Run) -> None:
    ensure_key()
    assert ensure_key()["changed"] is False


def test_a_key_that_another_salt_voided_is_replaced(ensure_key: Run, langsmith: Installation) -> None:
    ensure_key()
    langsmith.stop("backend")
    langsmith.start("backend", API_KEY_SALT="another")
    try:
        assert ensure_key()["diff"]["before"] == {"api_key": "refused"}
    finally:
        langsmith.stop("backend")
        langsmith.start("backend")
    assert ensure_key()["changed"]


def test_a_trace_is_sent_read_back_compared_and_removed(probe: Run) -> None:
    result = probe()
    assert {entry["status"] for entry in result["findings"]} == {"pass"}
    assert result["project"]["kept"] is False
    assert 0 <= result["timings"]["queue_delay"] < 60


@pytest.mark.parametrize(
    ("service", "expected"),
    [
        ("platform-backend", {"probe.info": "platform-backend"}),
        ("backend", {"probe.backend": "backend"}),
        ("ingest-queue", {"probe.visible": "ingest-queue", "probe.visible_large": "ingest-queue"}),
    ],
)
def test_a_service_that_is_down_is_named(
    probe: Run, langsmith: Installation, service: str, expected: dict[str, str]
) -> None:
    with langsmith.without(service):
        assert faults(probe(wait_timeout=3)) == expected
    assert probe()["healthy"]


def test_postgres_that_is_down_is_named(probe: Run) -> None:
    with without_store("postgres-tests", lambda: postgres.start("tests"), probe):
        assert faults(probe()) == {"probe.auth": "postgres"}


def test_redis_that_is_down_is_named(probe: Run) -> None:
    with without_store("redis-tests", lambda: redis.start("tests"), probe):
        assert faults(probe()) == {"probe.post_small": "redis"}


def test_blob_storage_that_cannot_be_written_is_named(probe: Run, langsmith: Installation) -> None:
    langsmith.stop("platform-backend")
    langsmith.start("platform-backend", S3_API_URL="http://127.0.0.1:1")
    try:
        assert faults(probe()) == {"probe.post_large": "blob-storage"}
    finally:
        langsmith.stop("platform-backend")
        langsmith.start("platform-backend")
