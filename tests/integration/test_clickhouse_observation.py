# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Three real ClickHouse servers that know each other, observed and judged: whole, hanging, lost, and half visible."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.langsmith.aws.plugins.module_utils.clients.clickhouse import CONNECTIONS, Target, observe
from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.facts import (
    ACCESS_DENIED,
    SIGHT,
    SYNTAX_ERROR,
    UNKNOWN_TABLE,
    Live,
    Login,
    Query,
    Refused,
)
from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.live import QUERIES, judge_live
from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.rules.access import privileges
from ansible_collections.langsmith.aws.plugins.module_utils.domain.finding import Finding

from sandbox.stores import clickhouse as store
from tests.integration.clickhouse_servers import PASSWORD, USER, Server, Setup, running

KEEPER = "<zookeeper><implementation>testkeeper</implementation></zookeeper>"
ODD = "data`base \N{SNOWMAN} \"of\" 'ours'"
USERS = {
    "reader": ("reader-password", [f"GRANT {privilege}" for privilege in privileges(QUERIES)]),
    "blind": ("blind-password", ["GRANT SELECT ON system.*", "GRANT SELECT ON default.runs"]),
    "nobody": ("nobody-password", ["GRANT SELECT ON default.nothing"]),
}
#: Seconds of a query: never reached, and what a server that hangs has to cost.
TIMEOUT, SHORT = 60.0, 8.0


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Server]]:
    setup = Setup(nodes=3, users=USERS, config=KEEPER)
    with running(tmp_path_factory.mktemp("clickhouse"), setup) as started:
        for number, server in enumerate(started):
            server.sql(
                "CREATE TABLE default.runs (id UInt64, received_at DateTime DEFAULT now()) "
                f"ENGINE = ReplicatedMergeTree('/tables/runs', 'node-{number}') ORDER BY id"
            )
        yield started


def target(servers: list[Server], user: str = USER, password: str = PASSWORD, **more: Any) -> Target:
    way: dict[str, Any] = {"cluster": "replicated", "connection": {"timeout": TIMEOUT}, "sample_seconds": 0.1, **more}
    return Target((servers[0].url,), Login(user, password), **way)


def judged(live: Live, rule: str) -> list[Finding]:
    return [found for found in judge_live(live, "production") if found.id == f"clickhouse.{rule}"]


def status(live: Live, rule: str) -> set[str]:
    return {found.status for found in judged(live, rule)}


def test_one_address_leads_to_every_replica_and_each_answers_every_query(servers: list[Server]) -> None:
    live = observe(target(servers), QUERIES)
    assert [replica.subject for replica in live.replicas] == [server.subject for server in servers]
    for replica in live.replicas:
        assert set(replica.answers) == set(QUERIES)
        refused = {name: answer for name, answer in replica.answers.items() if isinstance(answer, Refused)}
        # This engine has no table of asynchronous metrics, and these servers have no schema but one table.
        assert {answer.code for answer in refused.values()} <= {UNKNOWN_TABLE, 47}, refused
        assert set(replica.later) == {name for name, query in QUERIES.items() if query.sampled}
        assert replica.seconds >= 0.1
    rules = ("connection", "same_version", "replicas", "shards", "replicated_tables", "grants", "version", "restart")
    assert {rule: status(live, rule) for rule in rules} == {rule: {"pass"} for rule in rules}


class Dialler:
    """Connects as usual and counts to whom; the server to freeze hangs from its connection of that number on."""

    def __init__(self, frozen: Server | None = None, at: int = 0) -> None:
        self.dialled: list[str] = []
        self.frozen = frozen
        self.at = at

    def __call__(self, host: str, port: int, timeout: float) -> socket.socket:
        self.dialled.append(host)
        if self.frozen is not None and self.dialled.count(self.frozen.address) == self.at:
            self.frozen.freeze()
        return socket.create_connection((host, port), timeout)


def test_each_server_is_asked_on_a_few_connections(servers: list[Server]) -> None:
    dial = Dialler()
    observe(target(servers, connection={"timeout": TIMEOUT, "dial": dial}), QUERIES)
    assert {host: dial.dialled.count(host) for host in dial.dialled} == {
        server.address: CONNECTIONS for server in servers
    }


def test_the_grants_that_are_asked_for_suffice_and_a_reader_needs_no_setting(servers: list[Server]) -> None:
    live = observe(target(servers, "reader", "reader-password"), QUERIES)
    assert len(live.reached) == 3
    for replica in live.replicas:
        codes = {name: answer.code for name, answer in replica.answers.items() if isinstance(answer, Refused)}
        assert set(codes.values()) <= {UNKNOWN_TABLE, 47}, codes
    assert status(live, "grants") == {"pass"}
    assert status(live, "replicated_tables") == {"pass"}


def test_one_who_sees_no_tables_is_told_of_none_that_is_well(servers: list[Server]) -> None:
    live = observe(target(servers, "blind", "blind-password"), QUERIES)
    for rule in ("grants", "replicated_tables", "restart", "parts", "mutations"):
        assert status(live, rule) == {"unknown"}, rule
    remedies = {found.remedy for found in judged(live, "parts")}
    assert remedies == {f"run as an administrator: GRANT {SIGHT} TO `blind`"}


@pytest.mark.parametrize(
    ("user", "password", "expected"), [("reader", "reader-password", "pass"), ("blind", "blind-password", "unknown")]
)
def test_a_server_that_is_too_old_for_check_grant_tells_who_sees_tables(
    servers: list[Server], user: str, password: str, expected: str
) -> None:
    old = {**QUERIES, "sight": Query("CHECK GRANTS THAT NOBODY KNOWS")}
    live = observe(target(servers, user, password), old)
    assert {replica.answers["sight"].code for replica in live.replicas} == {SYNTAX_ERROR}  # type: ignore[union-attr]
    for rule in ("grants", "parts", "mutations"):
        assert status(live, rule) == {expected}, rule
    if expected == "unknown":
        assert all(f"GRANT {SIGHT} TO `{user}`" in found.remedy for found in judged(live, "grants"))


def test_one_without_grants_learns_each_of_them(servers: list[Server]) -> None:
    live = observe(target(servers, "nobody", "nobody-password"), QUERIES)
    # Without system.clusters nobody is discovered.
    assert len(live.replicas) == 1
    refused = {name for name, answer in live.replicas[0].answers.items() if _denied(answer)}
    assert refused
    found = judge_live(live, "production")
    assert {one.status for one in found if " lacks " in one.observed} == {"unknown"}
    (grants,) = judged(live, "grants")
    asked_for = set(grants.remedy.removeprefix("run as an administrator: ").split("; "))
    # The settings are readable for everybody, and what is refused as unknown is not known to be forbidden.
    assert asked_for <= {f"GRANT {privilege} TO `nobody`" for privilege in privileges(QUERIES)}
    assert {QUERIES[name].table for name in refused if "." in QUERIES[name].table} <= {
        word for statement in asked_for for word in statement.split()
    }


def _denied(answer: Any) -> bool:
    return isinstance(answer, Refused) and answer.code == ACCESS_DENIED


@pytest.mark.parametrize("login", [Login(USER, "wrong"), Login("stranger", PASSWORD), Login(USER)])
def test_a_login_that_is_refused_is_one_finding(servers: list[Server], login: Login) -> None:
    found = judge_live(observe(replace(target(servers), login=login), QUERIES), "production")
    assert [(one.id, one.status) for one in found] == [("clickhouse.connection", "fail")]
    assert "is not let in (ClickHouse error 516)" in found[0].observed


def test_the_native_port_says_that_it_is_none(servers: list[Server]) -> None:
    url = f"http://{servers[0].address}:{store.TCP_PORT}"
    # The end of the connection may overtake the words.
    told = ""
    for _time in range(100):
        told = observe(replace(target(servers), urls=(url,)), QUERIES).replicas[0].unreachable
        assert told
        if "You must use port" in told:
            return
    raise AssertionError(told)


def test_a_replica_that_hangs_costs_its_timeout_once_and_holds_nobody_up(servers: list[Server]) -> None:
    dial = Dialler(servers[1], at=1)
    try:
        live = observe(target(servers, connection={"timeout": SHORT, "dial": dial}), QUERIES)
    finally:
        servers[1].thaw()
    assert [replica.unreachable for replica in live.replicas] == ["", f"http: no answer within {SHORT:g} s", ""]
    assert [found.status for found in judged(live, "connection")] == ["pass", "fail", "pass"]
    # A query that timed out leaves its connection; a second try would have made another.
    assert dial.dialled.count(servers[1].address) == 1


def test_a_replica_that_hangs_in_the_middle_costs_its_timeout_once(servers: list[Server]) -> None:
    # It has greeted on its first connection, and hangs when it gets its others.
    dial = Dialler(servers[2], at=2)
    try:
        live = observe(target(servers, connection={"timeout": SHORT, "dial": dial}), QUERIES)
    finally:
        servers[2].thaw()
    assert "fell silent" in str(live.replicas[2].answers)
    assert [bool(replica.later) for replica in live.replicas] == [True, True, False]
    assert dial.dialled.count(servers[2].address) == CONNECTIONS


def test_names_of_every_kind_are_read_and_shown(servers: list[Server]) -> None:
    escaped = ODD.replace("`", "\\`")
    columns = ", ".join(f"`c{number}{'x' * 490}` UInt8" for number in range(500))
    try:
        for server in servers:
            server.sql(f"CREATE DATABASE `{escaped}` ENGINE = Atomic")
            server.sql(f"CREATE TABLE `{escaped}`.`{escaped}` ({columns}) ENGINE = MergeTree ORDER BY tuple()")
        live = observe(replace(target(servers), login=Login(USER, PASSWORD, ODD)), QUERIES)
        (found,) = judged(live, "replicated_tables")
    finally:
        for server in servers:
            server.sql(f"DROP DATABASE IF EXISTS `{escaped}` SYNC")
    assert (found.status, found.observed) == ("fail", f"1 table on 3 servers; not replicated: {ODD}")


def test_a_database_that_is_not_there_fails_and_what_needs_none_is_judged(servers: list[Server]) -> None:
    live = observe(replace(target(servers), login=Login(USER, PASSWORD, "elsewhere")), QUERIES)
    assert status(live, "database") == {"fail"}
    assert status(live, "replicated_tables") | status(live, "schema") == {"unknown"}
    assert status(live, "ttl") | status(live, "ingest_delay") == set()
    assert status(live, "grants") | status(live, "version") == {"pass"}


def test_memory_that_runs_short_is_told_before_queries_are_refused(tmp_path: Path) -> None:
    limit = 1024**3
    config = f"<max_server_memory_usage>{limit}</max_server_memory_usage>"
    with running(tmp_path, Setup(config=config, logs=())) as (alone,):
        alone.sql("CREATE TABLE held (a UInt64) ENGINE = Memory")
        told = []
        for share in (0.0, 0.86, 0.94):
            tracked = int(alone.sql("SELECT value FROM system.metrics WHERE metric = 'MemoryTracking'"))
            rows = max(0, int(limit * share) - tracked) // 8
            alone.sql(f"INSERT INTO held SELECT number FROM numbers({rows}) SETTINGS max_threads = 1")  # noqa: S608 - ours
            told.append(status(observe(target([alone]), QUERIES), "memory_pressure"))
    assert told == [{"pass"}, {"warn"}, {"fail"}]


def test_a_query_refused_for_want_of_memory_is_told(servers: list[Server]) -> None:
    code, text = servers[0].ask("SELECT groupArray(number) FROM numbers(10000000) SETTINGS max_memory_usage = 10000000")
    assert (code, "Code: 241" in text) == (500, True)
    live = observe(target(servers), QUERIES)
    assert [found.status for found in judged(live, "memory_refusals")] == ["warn", "pass", "pass"]


def test_a_lost_node_is_a_failure_of_its_own_and_a_restarted_one_is_told(tmp_path: Path) -> None:
    with running(tmp_path, Setup(nodes=2, logs=())) as pair:
        pair[0].sql("CREATE TABLE default.runs (id UInt64) ENGINE = MergeTree ORDER BY id")
        pair[0].sql("INSERT INTO default.runs VALUES (1)")
        pair[1].stop()
        live = observe(target(pair), QUERIES)
        assert [found.status for found in judged(live, "connection")] == ["pass", "fail"]
        assert "refused the connection" in live.replicas[1].unreachable
        pair[0].stop()
        yesterday = time.time() - 86400
        for part in (tmp_path / "node-0" / "data").rglob("all_*"):
            os.utime(part, (yesterday, yesterday))
        pair[0].restart()
        assert status(observe(target(pair), QUERIES), "restart") == {"warn"}
