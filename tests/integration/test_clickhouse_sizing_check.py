# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The sizing check against the sandbox's ClickHouse: a real server, real SQL, real refusals.

One server stands for the clusters that are wanted by a table of its own in place of ``system.clusters``.
"""

from __future__ import annotations

import http.client
import json
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.langsmith.aws.plugins.modules import clickhouse_sizing_check

from sandbox.stores import clickhouse as store

REPOSITORY = Path(__file__).parents[2]
PASSWORD = "pa55-word-of-langsmith"
START_SECONDS = 60
Run = Callable[..., dict[str, Any]]

#: What the remedies of the user without grants ask for, and what the user beside it has.
GRANTS = [f"GRANT SELECT ON system.{table}" for table in ("clusters", "server_settings", "disks")]
OTHERS = {
    "blind": {"password": "blind-password", "grants": ["GRANT SELECT ON default.*"]},
    "mended": {"password": "mended-password", "grants": GRANTS},
}


class Server:
    """The running server and its administrator's way in."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.url = f"http://{address}:{store.HTTP_PORT}"

    def sql(self, statement: str, user: str = "langsmith", password: str = PASSWORD) -> str:
        connection = http.client.HTTPConnection(self.address, store.HTTP_PORT, timeout=10)
        try:
            headers = {"X-ClickHouse-User": user, "X-ClickHouse-Key": password}
            connection.request("POST", "/", body=statement.encode(), headers=headers)
            response = connection.getresponse()
            text = response.read().decode()
        finally:
            connection.close()
        assert response.status == 200, f"{statement}: {text}"
        return text.strip()

    def answers(self) -> bool:
        try:
            return self.sql("SELECT 1") == "1"
        except OSError:
            return False


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    store.fetch()
    folder = tmp_path_factory.mktemp("clickhouse")
    # A loopback address of its own, as every pod has, so that the fixed ports are free.
    address = f"127.{130 + secrets.randbelow(100)}.{secrets.randbelow(255)}.{1 + secrets.randbelow(250)}"
    environment = {
        **os.environ,
        "PYTHONPATH": str(REPOSITORY),
        "SANDBOX_POD_IP": address,
        "SANDBOX_VOLUMES": json.dumps({store.DATA_PATH: str(folder / "data")}),
        "CLICKHOUSE_USER": "langsmith",
        "CLICKHOUSE_PASSWORD": PASSWORD,
        "SANDBOX_CLICKHOUSE_USERS": json.dumps(OTHERS),
    }
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "sandbox.stores.clickhouse", "pod"],
            cwd=folder,
            env=environment,
            stdout=log,
            stderr=log,
        )
    try:
        yield started(process, address, folder / "log")
    finally:
        process.terminate()
        process.wait(timeout=30)


def started(process: subprocess.Popen[bytes], address: str, log: Path) -> Server:
    """The server once it answers, with a table of clusters that a test can fill."""
    running = Server(address)
    deadline = time.monotonic() + START_SECONDS
    while not running.answers():
        assert process.poll() is None, log.read_text()[-2000:]
        assert time.monotonic() < deadline, f"no answer after {START_SECONDS} s: {log.read_text()[-2000:]}"
        time.sleep(0.1)
    running.sql("DETACH TABLE system.clusters")
    columns = "cluster String, shard_num UInt32, replica_num UInt32, host_name String"
    running.sql(f"CREATE TABLE system.clusters ({columns}) ENGINE = Memory")
    return running


@pytest.fixture
def run(server: Server, capfd: pytest.CaptureFixture[str]) -> Run:
    def module(environment: str = "production", plan: dict[str, Any] | None = None, **live: Any) -> dict[str, Any]:
        way = {"url": server.url, "user": "langsmith", "password": PASSWORD, **live}
        arguments = {"environment": environment, "live": way, **({"plan": plan} if plan else {})}
        with patch_module_args(arguments), pytest.raises(SystemExit):
            clickhouse_sizing_check.main()
        result: dict[str, Any] = json.loads(capfd.readouterr().out)
        assert PASSWORD not in json.dumps(result)
        return result

    return module


@pytest.fixture
def clusters(server: Server) -> Iterator[Callable[..., None]]:
    """Lets the server report the clusters that a test wants."""

    def report(replicas: int, shards: int = 1, name: str = "replicated") -> None:
        rows = [
            json.dumps({"cluster": name, "shard_num": shard, "replica_num": replica, "host_name": f"host-{replica}"})
            for shard in range(1, shards + 1)
            for replica in range(1, replicas + 1)
        ]
        server.sql("\n".join(["INSERT INTO system.clusters FORMAT JSONEachRow", *rows]))

    yield report
    server.sql("TRUNCATE TABLE system.clusters")


def statuses(result: dict[str, Any]) -> dict[str, str]:
    return {finding["id"].removeprefix("clickhouse."): finding["status"] for finding in result["findings"]}


def finding(result: dict[str, Any], rule: str) -> dict[str, str]:
    found: dict[str, str] = next(f for f in result["findings"] if f["id"] == f"clickhouse.{rule}")
    return found


def test_a_single_server_is_read_whole_and_suffices_for_dev(run: Run, server: Server) -> None:
    result = run("dev")
    told = statuses(result)
    assert result["sufficient"] is True, result["findings"]
    assert result["live"]["version"] == server.sql("SELECT version()")
    assert result["live"]["cpu"] >= 1
    assert result["live"]["memory_gib"] == pytest.approx(2e9 / 1024**3, abs=0.01)
    assert (told["connection"], told["live_version"], told["live_replicas"]) == ("pass", "pass", "warn")
    assert "unknown" not in told.values()


def test_a_single_server_fails_for_production(run: Run) -> None:
    result = run("production")
    assert result["sufficient"] is False
    assert statuses(result)["live_replicas"] == "fail"
    assert statuses(result)["live_memory"] == "fail"


@pytest.mark.parametrize(
    ("replicas", "shards", "told"), [(3, 1, "pass"), (5, 1, "pass"), (2, 1, "fail"), (6, 1, "warn"), (3, 2, "pass")]
)
def test_the_replicas_of_the_named_cluster_count(
    run: Run, clusters: Callable[..., None], replicas: int, shards: int, told: str
) -> None:
    clusters(replicas, shards)
    result = run("production", cluster="replicated")
    assert statuses(result)["live_replicas"] == told
    assert statuses(result).get("live_shards") == ("fail" if shards > 1 else None)


def test_a_cluster_that_the_server_does_not_know_is_named(run: Run, clusters: Callable[..., None]) -> None:
    clusters(3, name="other")
    assert (
        "no cluster replicated; the server knows other"
        in finding(run(cluster="replicated"), "live_replicas")["observed"]
    )


def test_a_missing_grant_is_unknown_with_the_statement_that_mends_it(run: Run) -> None:
    blind = run("dev", user="blind", password="blind-password")
    told = [finding(blind, rule) for rule in ("live_replicas", "live_memory", "disk_fill")]
    assert blind["sufficient"] is False
    assert [one["status"] for one in told] == ["unknown"] * 3
    assert [one["remedy"].partition(": ")[2] for one in told] == [f"{grant} TO `blind`" for grant in GRANTS]
    mended = run("dev", user="mended", password="mended-password")
    assert "unknown" not in statuses(mended).values()
    assert mended["sufficient"] is True


@pytest.mark.parametrize("way", [{"password": "wrong"}, {"user": "nobody"}])
def test_a_wrong_login_is_one_failure(run: Run, way: dict[str, str]) -> None:
    result = run("dev", **way)
    assert statuses(result) == {"connection": "fail"}
    assert "is not let in" in result["findings"][0]["observed"]


def test_another_name_is_reached_by_connect_to(run: Run, server: Server) -> None:
    result = run(
        "dev", url="http://langsmith-clickhouse.langsmith.svc:8123", connect_to=f"{server.address}:{store.HTTP_PORT}"
    )
    assert result["live"]["subject"] == "langsmith-clickhouse.langsmith.svc:8123"


def test_a_native_port_is_no_http(run: Run, server: Server) -> None:
    result = run("dev", url=f"http://{server.address}:{store.TCP_PORT}")
    assert statuses(result) == {"connection": "fail"}


def test_a_plan_below_the_running_version_is_a_downgrade(run: Run) -> None:
    plan = {"topology": "external", "version": "25.12"}
    assert statuses(run("production", plan=plan))["downgrade"] == "fail"
    assert statuses(run("dev", plan=plan))["downgrade"] == "warn"
