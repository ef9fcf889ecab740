# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An installation on real stores behind a load balancer, with everything that a fault takes hold of.

Postgres, Redis, ClickHouse and S3 are real servers, the services are processes of their own. There is no Kubernetes:
what a probe asks of the cluster is answered from the processes themselves.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import secrets
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock
from urllib.parse import quote, urlencode

import boto3
from ansible_collections.langsmith.aws.plugins.module_utils.clients.cluster_state import Cluster, Seen
from ansible_collections.langsmith.aws.plugins.module_utils.clients.trace_probe import probe
from ansible_collections.langsmith.aws.plugins.module_utils.domain.probe.evidence import Workload
from ansible_collections.langsmith.aws.plugins.module_utils.shell.trace_probe import PROBE_ARG_SPEC, check
from redis import Redis

from sandbox import pki, state, supervisor
from sandbox.stores import clickhouse, postgres, redis
from tests.faults.balancer import HOST, Balancer
from tests.sandbox.langsmith import installation
from tests.sandbox.langsmith.installation import (
    ADMIN_EMAIL,
    ADMIN_PASSWORD,
    REPOSITORY,
    Installation,
    until,
)
from tests.unit.plugins.scripted import Authority, make_authority

BUCKET = "acme-blobs"
DATABASE_PASSWORD = "p@ss:word/with?signs"
CLICKHOUSE_PASSWORD = "another-password"
REDIS_TOKEN = "a-token-of-sixteen-signs"
CLUSTER = "traces"
#: A user of ClickHouse, and one of Redis, who may look and not touch.
READER = "reader"
SERVICES = ("platform-backend", "backend", "ingest-queue", "frontend")
_PORTS = {"langsmith-platform-backend": "platform-backend", "langsmith-backend": "backend", "worker": "ingest-queue"}


class World:
    """One installation and its stores; ``start`` and ``stop`` once each."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._before = os.environ.get(state.FOLDER_VARIABLE)
        self.clickhouse_host = _address()
        self.authority: Authority = make_authority(folder)
        self.certificate = self.authority.issue(HOST)
        self.services: Installation
        self.balancer: Balancer
        self.redis: Any
        self.keys: dict[str, str] = {}
        self.workspaces: dict[str, str] = {}

    def start(self) -> None:
        """Stores, then the services, then the load balancer; about ten seconds."""
        os.environ[state.FOLDER_VARIABLE] = str(self.folder / "state")
        clickhouse.fetch()
        # First, as an account that is new forgets the stores of a former one.
        s3 = self._start_s3()
        postgres.configure("faults", "16", "langsmith", DATABASE_PASSWORD, "langsmith")
        redis.configure("faults", [REDIS_TOKEN], tls=True)
        self.start_clickhouse()
        redis_port = redis.start("faults")
        redis_url = f"rediss://127.0.0.1:{redis_port}/0?password={quote(REDIS_TOKEN, safe='')}"
        database = f"langsmith:{quote(DATABASE_PASSWORD, safe='')}@127.0.0.1:{postgres.start('faults')}/langsmith"
        login = (self.clickhouse_host, clickhouse.HTTP_PORT, "default", CLICKHOUSE_PASSWORD)
        found = installation.environment(f"{database}?sslmode=require", redis_url, login, s3)
        found |= {"S3_BUCKET_NAME": BUCKET, "S3_USE_PATH_STYLE": "true", **self._s3_keys()}
        self.services = Installation(self.folder, found)
        self.services.write_nginx()
        authority = str(pki.authority().certificate_file)
        self.redis = Redis(port=redis_port, password=REDIS_TOKEN, ssl=True, ssl_ca_certs=authority)
        for words in ("./ch_migration_entrypoint.sh", "./pg_migration_entrypoint.sh", "./auth_bootstrap_entrypoint.sh"):
            done = self.services.job(words)
            assert done.returncode == 0, done.stdout
        for name in SERVICES:
            self.services.start(name)
        self.balancer = Balancer(self.folder, self.services.ports["frontend"], self.certificate)
        self._make_keys()

    def stop(self) -> None:
        """End every process, and give back the environment."""
        with contextlib.suppress(AttributeError):
            self.balancer.close()
        with contextlib.suppress(AttributeError):
            self.services.stop_all()
        for part in reversed(supervisor.running()):
            supervisor.stop(part.name)
        if self._before is None:
            del os.environ[state.FOLDER_VARIABLE]
        else:
            os.environ[state.FOLDER_VARIABLE] = self._before

    def _start_s3(self) -> str:
        port = state.port("aws")
        argv = [sys.executable, "-m", "sandbox.aws"]
        supervisor.start(
            "aws",
            argv,
            {"PYTHONPATH": str(REPOSITORY)},
            cwd=REPOSITORY,
            port=port,
            ready=lambda: _answers(port),
            timeout=60,
        )
        self.s3 = self._s3_client()
        self.s3.create_bucket(Bucket=BUCKET)
        return f"http://127.0.0.1:{port}"

    def _s3_keys(self) -> dict[str, str]:
        lines = (state.root() / "aws" / "credentials").read_text().splitlines()
        found = dict(line.split(" = ") for line in lines if " = " in line)
        return {"S3_ACCESS_KEY": found["aws_access_key_id"], "S3_ACCESS_KEY_SECRET": found["aws_secret_access_key"]}

    def _s3_client(self) -> Any:
        keys = self._s3_keys()
        return boto3.client(
            "s3",
            endpoint_url=f"http://127.0.0.1:{state.port('aws')}",
            region_name="us-east-1",
            aws_access_key_id=keys["S3_ACCESS_KEY"],
            aws_secret_access_key=keys["S3_ACCESS_KEY_SECRET"],
        )

    def start_clickhouse(
        self,
        part: str = "clickhouse",
        host: str = "",
        data: str = "",
        profile: str = "",
        launcher: tuple[str, ...] = (),
        copies: tuple[str, ...] = (),
    ) -> None:
        """Run a ClickHouse on data that outlive it; ``profile`` are settings of its users, ``launcher`` starts it.

        ``copies`` are the addresses of the servers that hold the same rows, itself included.
        """
        host, folder = host or self.clickhouse_host, self.folder / (data or part)
        folder.mkdir(exist_ok=True)
        volumes = {clickhouse.DATA_PATH: str(folder)}
        if profile:
            path = self.folder / "profile.xml"
            path.write_text(
                f"<clickhouse><profiles><default>{profile}</default></profiles></clickhouse>", encoding="utf-8"
            )
            volumes["/etc/clickhouse-server/users.d/profile.xml"] = str(path)
        if copies:
            path = self.folder / f"{part}.xml"
            path.write_text(_cluster(host, copies), encoding="utf-8")
            volumes["/etc/clickhouse-server/config.d/cluster.xml"] = str(path)
        grants = ["GRANT SELECT ON *.*", "GRANT SHOW ON *.*"]
        variables = {
            "HOSTNAME": host,
            "SANDBOX_POD_IP": host,
            "CLICKHOUSE_USER": "default",
            "CLICKHOUSE_PASSWORD": CLICKHOUSE_PASSWORD,
            clickhouse.USERS_VARIABLE: json.dumps({READER: {"password": CLICKHOUSE_PASSWORD, "grants": grants}}),
            "SANDBOX_VOLUMES": json.dumps(volumes),
        }
        argv = [*launcher, sys.executable, "-m", "sandbox.stores.clickhouse", "pod"]
        supervisor.start(part, argv, env={**os.environ, "PYTHONPATH": str(REPOSITORY), **variables}, cwd=REPOSITORY)
        until(lambda: self._pings(host), "ClickHouse answers")

    def _pings(self, host: str) -> bool:
        with contextlib.suppress(OSError):
            return self.sql("SELECT 1", host=host) == "1\n"
        return False

    def sql(self, statement: str, host: str = "") -> str:
        """What a statement gives, its complaint where ClickHouse refuses it."""
        connection = http.client.HTTPConnection(host or self.clickhouse_host, clickhouse.HTTP_PORT, timeout=60)
        headers = {"X-ClickHouse-User": "default", "X-ClickHouse-Key": CLICKHOUSE_PASSWORD}
        try:
            target = "/?" + urlencode({"async_insert": 0})
            connection.request("POST", target, statement.encode(), headers)
            return connection.getresponse().read().decode(errors="replace")
        finally:
            connection.close()

    def _make_keys(self) -> None:
        api = self.services.api
        _code, login, _headers = api("POST", "/api/v1/login", {"email": ADMIN_EMAIL, "password": ADMIN_PASSWORD})
        bearer = f"Bearer {login['access_token']}"
        _code, workspaces, _headers = api("GET", "/api/v1/workspaces", Authorization=bearer)
        tenant = workspaces[0]["id"]
        for name, options in (("write", {}), ("read", {"read_only": True})):
            status, made, _headers = api("POST", "/api/v1/api-key", options, Authorization=bearer, X_Tenant_Id=tenant)
            assert status == 200
            self.keys[name] = str(made["key"])
        status, other, _headers = api("POST", "/api/v1/workspaces", {"display_name": "Other"}, Authorization=bearer)
        assert status in (200, 201), other
        self.workspaces = {"own": tenant, "other": str(other["id"])}

    def cluster(self) -> Cluster:
        """What a probe sees from inside: the services by their names in the cluster, and which of them are ready."""
        return Cluster("langsmith", self._dial, self._look, lambda: None)

    def _dial(self, host: str, _port: int, timeout: float) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.services.ports[_PORTS[host]]), timeout)

    def _look(self) -> Seen:
        ready = {name: self._is_ready(name) for name in SERVICES}
        pods = ("worker",) if ready["ingest-queue"] else ()
        return Seen({name: Workload(int(is_ready), 1) for name, is_ready in ready.items()}, pods)

    def _is_ready(self, name: str) -> bool:
        return name in self.services.processes and self.services.healthy(name)

    def probe(self, inside: bool = True, **options: Any) -> dict[str, Any]:
        """The result of the module's probe through the load balancer, with its own defaults."""
        given = {
            "endpoint": f"https://{HOST}",
            "connect_to": f"127.0.0.1:{self.balancer.https_port}",
            "ca_file": str(self.authority.ca_file),
            "api_key": self.keys["write"],
            "wait_timeout": 20.0,
            "wait_sleep": 0.1,
            "timeout": 10.0,
            **options,
        }
        plain = {name: spec.get("default") for name, spec in PROBE_ARG_SPEC.items()}
        params = {**plain, "api_key_secret": None, **given, "kubeconfig": "inside" if inside else None}
        # Everything is on this machine, where no proxy leads.
        with mock.patch.dict(os.environ, {"no_proxy": "*"}):
            return check(params, False, _no_secret, probe, lambda *_: self.cluster())

    def heal(self) -> None:
        """Forget what a fault left in the queue, and wait until a probe is well again."""
        self.redis.flushall()
        until(lambda: self.probe(wait_timeout=10.0)["healthy"], "a healthy probe")

    @contextlib.contextmanager
    def restarted(self, service: str, **changed: str) -> Iterator[None]:
        """A service with another environment."""
        self.services.stop(service)
        self.services.start(service, **changed)
        try:
            yield
        finally:
            self.services.stop(service)
            self.services.start(service)

    @contextlib.contextmanager
    def policy(self, action: str) -> Iterator[None]:
        """The bucket while its policy denies an action on its objects."""
        statement = {
            "Effect": "Deny",
            "Principal": "*",
            "Action": action,
            "Resource": f"arn:aws:s3:::{BUCKET}/*",
        }
        document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        self.s3.put_bucket_policy(Bucket=BUCKET, Policy=document)
        try:
            yield
        finally:
            self.s3.delete_bucket_policy(Bucket=BUCKET)


def _cluster(host: str, hosts: tuple[str, ...]) -> str:
    """The configuration of one server of a cluster."""
    replicas = "".join(f"<replica><host>{each}</host><port>{clickhouse.TCP_PORT}</port></replica>" for each in hosts)
    return (
        f"<clickhouse><macros><cluster>{CLUSTER}</cluster><replica>{host}</replica></macros>"
        f"<remote_servers><{CLUSTER}><shard>{replicas}</shard></{CLUSTER}></remote_servers></clickhouse>"
    )


def _no_secret(_name: str, _key: str) -> str:
    raise AssertionError("no secret is read here")


def _answers(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request("GET", "/sandbox/health")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def _address() -> str:
    """A loopback address of its own, since ClickHouse's ports are the real ones."""
    while True:
        address = f"127.{150 + secrets.randbelow(100)}.{secrets.randbelow(256)}.{1 + secrets.randbelow(254)}"
        with socket.socket() as sock:
            if sock.connect_ex((address, clickhouse.HTTP_PORT)):
                return address


def other_address() -> str:
    """Another loopback address."""
    return _address()
