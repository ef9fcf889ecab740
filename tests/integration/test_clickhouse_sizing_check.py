# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The sizing check as a module against real ClickHouse servers, and against backups that a real one wrote."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.live import grants
from ansible_collections.langsmith.aws.plugins.modules import clickhouse_sizing_check
from moto.server import ThreadedMotoServer

from sandbox.stores import clickhouse as store
from tests.integration.clickhouse_servers import PASSWORD, USER, Server, Setup, running

Run = Callable[..., dict[str, Any]]
BUCKET = "backups-of-a-real-server"
#: A user who may do next to nothing, and one with what the module says it needs.
USERS = {
    "blind": ("blind-password", ["GRANT SELECT ON default.*"]),
    "mended": ("mended-password", [statement.partition(" TO ")[0] for statement in grants("mended")]),
}


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Server]]:
    with running(tmp_path_factory.mktemp("clickhouse"), Setup(nodes=3, users=USERS)) as made:
        yield made


@pytest.fixture
def run(servers: list[Server], capfd: pytest.CaptureFixture[str]) -> Run:
    """Runs the module on the first server, told of the cluster, with what a test changes of ``live``."""

    def module(environment: str = "production", options: dict[str, Any] | None = None, **live: Any) -> dict[str, Any]:
        way = {"urls": [servers[0].url], "user": USER, "password": PASSWORD, "cluster": "replicated", **live}
        arguments = {"environment": environment, "live": way, "sample_seconds": 0.2, **(options or {})}
        capfd.readouterr()
        with patch_module_args(arguments), pytest.raises(SystemExit):
            clickhouse_sizing_check.main()
        result: dict[str, Any] = json.loads(capfd.readouterr().out)
        assert PASSWORD not in json.dumps(result)
        return result

    return module


def of(result: dict[str, Any], rule: str) -> list[dict[str, str]]:
    return [finding for finding in result["findings"] if finding["id"] == f"clickhouse.{rule}"]


def test_one_address_leads_to_every_server_of_the_cluster(run: Run, servers: list[Server]) -> None:
    result = run()
    assert {finding["subject"] for finding in of(result, "connection")} == {server.subject for server in servers}
    assert {finding["status"] for finding in of(result, "connection")} == {"pass"}
    assert [finding["status"] for finding in of(result, "replicas")] == ["pass"]
    assert len(result["replicas"]) == 3
    assert set(result["pressure"]) >= {"read", "write", "advice"}
    assert {chart["kind"] for chart in result["charts"]} >= {"bars"}


def test_a_server_by_itself_fails_for_production_and_is_a_warning_for_dev(run: Run) -> None:
    alone = {"cluster": None}
    assert [finding["status"] for finding in of(run(**alone), "replicas")] == ["fail"]
    assert [finding["status"] for finding in of(run("dev", **alone), "replicas")] == ["warn"]


def test_what_the_servers_tell_need_not_be_planned(run: Run) -> None:
    plan = {"plan": {"topology": "external"}}
    subjects = {finding["subject"] for finding in run(options=plan)["findings"]}
    assert not {"plan.version", "plan.replicas", "plan.cpu", "plan.memory_gib"} & subjects
    assert "plan.blob_storage" in subjects


def test_a_plan_below_the_running_version_is_a_downgrade(run: Run) -> None:
    result = run(options={"plan": {"topology": "external", "version": "25.12"}})
    assert "fail" in {finding["status"] for finding in of(result, "downgrade")}


def test_a_user_without_grants_is_unknown_with_what_he_lacks_and_sufficient_is_nothing(run: Run) -> None:
    result = run("dev", user="blind", password="blind-password", cluster=None)
    told = [finding for finding in result["findings"] if finding["status"] == "unknown"]
    assert result["sufficient"] is False
    assert len(told) > 5
    assert any("GRANT " in finding["remedy"] and "TO `blind`" in finding["remedy"] for finding in told)


def test_the_grants_that_are_returned_mend_what_a_user_lacks(run: Run, servers: list[Server]) -> None:
    lacking = run("dev", user="blind", password="blind-password", cluster=None)
    assert lacking["grants"] == grants("blind")
    mended = run("dev", user="mended", password="mended-password", cluster=None)
    assert not [finding for finding in mended["findings"] if "GRANT " in finding["remedy"]]


@pytest.mark.parametrize("way", [{"password": "wrong"}, {"user": "nobody"}])
def test_a_wrong_login_is_a_failure_and_nothing_else_is_said_of_the_server(run: Run, way: dict[str, str]) -> None:
    result = run("dev", cluster=None, **way)
    assert [(finding["id"], finding["status"]) for finding in result["findings"]] == [("clickhouse.connection", "fail")]
    assert "is not let in" in result["findings"][0]["observed"]


def test_another_name_is_reached_by_connect_to(run: Run, servers: list[Server]) -> None:
    name = "http://langsmith-clickhouse.langsmith.svc:8123"
    result = run("dev", urls=[name], connect_to=servers[0].subject, cluster=None)
    assert [finding["subject"] for finding in of(result, "connection")] == ["langsmith-clickhouse.langsmith.svc:8123"]
    assert of(result, "connection")[0]["status"] == "pass"


def test_connect_to_leads_to_one_server_and_the_others_are_asked_where_it_is_wanted(
    run: Run, servers: list[Server]
) -> None:
    way = {"urls": ["http://clickhouse.acme.example:8123"], "connect_to": servers[0].subject}
    alone, together = run(**way), run(**way, discover=True)
    first = "clickhouse.acme.example:8123"
    assert {finding["subject"]: finding["status"] for finding in of(alone, "connection")} == {first: "pass"}
    assert [finding["status"] for finding in of(alone, "replicas")] == ["pass"]
    assert {finding["subject"] for finding in of(together, "connection")} >= {
        first,
        *(server.subject for server in servers[1:]),
    }


def test_what_is_pressed_and_why_is_a_note_for_the_report(run: Run) -> None:
    result = run(options={"plan": {"topology": "external", "load": {"traces_per_s": 10}}})
    titles = {note["title"]: note["lines"] for note in result["notes"]}
    assert titles["Pressure"][-1] == result["pressure"]["advice"]
    assert titles["What the load needs"] == result["recommendation"]["arithmetic"]


def test_a_native_port_is_no_http(run: Run, servers: list[Server]) -> None:
    result = run("dev", urls=[f"http://{servers[0].address}:{store.TCP_PORT}"], cluster=None)
    assert [finding["status"] for finding in of(result, "connection")] == ["fail"]


@pytest.fixture(scope="module")
def s3() -> Iterator[tuple[Any, dict[str, str]]]:
    """A bucket, and the options of the module that lead to it."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    options = {
        "region": "us-east-1",
        "endpoint_url": f"http://{host}:{port}",
        "access_key": "id01",
        "secret_key": "key01",
    }
    client = boto3.client(
        "s3",
        region_name="us-east-1",
        endpoint_url=options["endpoint_url"],
        aws_access_key_id="id01",
        aws_secret_access_key="key01",
    )
    client.create_bucket(Bucket=BUCKET)
    yield client, options
    server.stop()


def test_a_backup_that_clickhouse_wrote_counts_until_one_of_its_files_is_gone(
    servers: list[Server], s3: tuple[Any, dict[str, str]], capfd: pytest.CaptureFixture[str]
) -> None:
    client, options = s3

    def judged() -> dict[str, str]:
        place = {"bucket": BUCKET, "prefix": "clickhouse"}
        with patch_module_args({"environment": "production", "backups": place, **options}), pytest.raises(SystemExit):
            clickhouse_sizing_check.main()
        (finding,) = json.loads(capfd.readouterr().out)["findings"]
        return dict(finding)

    def at(name: str) -> str:
        return f"S3('{options['endpoint_url']}/{BUCKET}/clickhouse/{name}', 'id01', 'key01')"

    server, quick = servers[0], "backup_restore_s3_retry_attempts = 3"
    server.sql("CREATE DATABASE saved")
    server.sql("CREATE TABLE saved.runs (id UInt64, text String) ENGINE = MergeTree ORDER BY id")
    server.sql("INSERT INTO saved.runs SELECT number, toString(number) FROM numbers(1000)")
    assert judged()["observed"] == "no backup"
    server.sql(f"BACKUP DATABASE saved TO {at('full')} SETTINGS {quick}")
    assert (judged()["status"], judged()["observed"][:16]) == ("pass", "clickhouse/full ")
    # S3 tells whole seconds; of two in the same one the later name counts.
    server.sql("INSERT INTO saved.runs SELECT number, toString(number) FROM numbers(1000, 1000)")
    server.sql(f"BACKUP DATABASE saved TO {at('increment')} SETTINGS base_backup = {at('full')}, {quick}")
    assert (judged()["status"], judged()["observed"][:21]) == ("pass", "clickhouse/increment ")
    # One file of the base takes the increment along.
    listed = client.list_objects_v2(Bucket=BUCKET, Prefix="clickhouse/full/data/")["Contents"]
    client.delete_object(Bucket=BUCKET, Key=max(listed, key=lambda item: item["Size"])["Key"])
    damaged = judged()
    assert damaged["status"] == "fail"
    assert "2 finished backups, none whole" in damaged["observed"]
    assert "key01" not in json.dumps(damaged)


def test_who_checks_sees_what_queries_cost_and_never_what_they_say(run: Run, servers: list[Server]) -> None:
    servers[0].sql("SYSTEM FLUSH LOGS")
    for table, text in (("processes", "query"), ("query_log", "query"), ("query_log", "exception")):
        status, told = servers[0].ask(f"SELECT {text} FROM system.{table}", "mended", "mended-password")  # noqa: S608 - names of ours
        assert (status, "Code: 497" in told) == (500, True), told
    status, told = servers[0].ask("SELECT * FROM system.query_log", "mended", "mended-password")
    assert "Code: 497" in told
    mended = run("dev", user="mended", password="mended-password", cluster=None)
    for rule in ("concurrency", "query_latency", "long_queries", "grants"):
        assert "unknown" not in {finding["status"] for finding in of(mended, rule)}, of(mended, rule)
        assert of(mended, rule)
