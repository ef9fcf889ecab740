# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All rules on running servers together."""

from __future__ import annotations

import itertools
import re

import pytest
from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.facts import (
    IDENTITY,
    Answers,
    Context,
    Live,
    Plan,
    Query,
    Refused,
    Replica,
    Volume,
)
from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.live import (
    QUERIES,
    THEMES,
    grants,
    judge_live,
)
from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.rules.access import privileges
from ansible_collections.langsmith.aws.plugins.module_utils.domain.finding import Finding

PLAN = Plan("external", volume=Volume(size_gib=100))
DISKS = [{"name": "default", "type": "Local", "total_space": 10**11, "unreserved_space": 10**11}]
GREETED = {IDENTITY: [{"version": "25.12.3.1", "uptime": 9000}]}


def judged(*replicas: Replica) -> list[Finding]:
    return judge_live(Live("langsmith", "default", "replicated", replicas), "production")


def statuses(found: list[Finding]) -> set[str]:
    return {one.status for one in found}


def test_no_two_themes_name_a_query_alike() -> None:
    names = [name for theme in THEMES for name in theme.QUERIES]
    assert sorted(names) == sorted(set(names))


@pytest.mark.parametrize("query", QUERIES.values(), ids=list(QUERIES))
def test_every_table_that_is_read_is_granted_and_no_setting_is_changed(query: Query) -> None:
    granted = {privilege.partition(" ON ")[2] for privilege in privileges(QUERIES) if privilege.startswith("SELECT")}
    assert set(re.findall(r"\b(?:FROM|JOIN) (system\.\w+)", query.sql)) <= granted
    # A user with readonly = 1 may not change any.
    assert "SETTINGS" not in query.sql


def test_what_is_not_reached_is_one_failure_and_nothing_is_judged() -> None:
    found = judged(Replica("chi-0:8123", unreachable="tcp: refused"))
    assert [(one.id, one.status, one.observed) for one in found] == [("clickhouse.connection", "fail", "tcp: refused")]


@pytest.mark.parametrize("code", [192, 193, 194, 516])
def test_a_login_that_is_refused_is_one_failure(code: int) -> None:
    (found,) = judged(Replica("chi-0:8123", {IDENTITY: Refused(code, "no")}))
    assert (found.status, found.observed) == ("fail", f"user langsmith is not let in (ClickHouse error {code})")


def test_a_server_that_is_lost_does_not_hide_the_others() -> None:
    found = judged(Replica("chi-0:8123", unreachable="http: no answer within 10 s"), Replica("chi-1:8123", GREETED))
    assert [one.status for one in found if one.id == "clickhouse.connection"] == ["fail", "pass"]
    assert {one.subject for one in found if one.id == "clickhouse.version"} == {"chi-1:8123"}


def test_a_server_that_answers_no_query_is_unknown_throughout() -> None:
    refused: Answers = dict.fromkeys(QUERIES, Refused(0, "the server fell silent"))
    found = judged(Replica("chi-0:8123", {**refused, **GREETED}))
    told = {one.id: one.status for one in found}
    greeted = ("connection", "database", "version", "restart")
    assert {told.pop(f"clickhouse.{name}") for name in greeted} == {"pass"}
    assert set(told.values()) == {"unknown"}, told


def test_a_user_who_sees_nothing_is_told_of_no_healthy_table() -> None:
    empty: Answers = {name: [] for name, query in QUERIES.items() if query.filtered}
    found = judged(Replica("chi-0:8123", {**GREETED, **empty, "sight": [{"result": 0}]}))
    remedies = {one.remedy for one in found if "SHOW TABLES" in one.observed}
    assert remedies == {"run as an administrator: GRANT SHOW TABLES, SHOW COLUMNS ON *.* TO `langsmith`"}
    assert not [one for one in found if one.status == "pass" and one.id in ("clickhouse.parts", "clickhouse.mutations")]


#: What a program that is no ClickHouse, or a broken one, might say to every question.
STRANGE = [[{}], [{"value": None}], [{"x": "y"}] * 3, [{"name": 7, "value": "many"}], [{"version": []}], []]


@pytest.mark.parametrize(("rows", "twice"), list(itertools.product(STRANGE, [False, True])))
def test_rows_of_another_shape_are_never_an_error_and_never_all_well(
    rows: list[dict[str, object]], twice: bool
) -> None:
    answers: Answers = dict.fromkeys(QUERIES, rows)
    found = judged(Replica("chi-0:8123", answers, answers if twice else {}, 3), Replica("chi-1:8123", answers))
    assert "unknown" in statuses(found)
    assert all(len(one.observed) < 600 for one in found)


def test_rules_of_every_theme_are_judged() -> None:
    assert all(theme.REPLICA_RULES or theme.CLUSTER_RULES for theme in THEMES)


def test_a_rule_has_the_name_that_its_findings_have() -> None:
    context = Context("production", "me", cluster="replicated", nodes=3, plan=PLAN, writer="langsmith")
    replica = Replica("chi-0:8123", {**GREETED, "disks": DISKS, "runs_table": [{"has_ttl": 1}]})
    live = Live("me", "default", "replicated", (replica, replica))
    for theme in THEMES:
        for rule in (*theme.REPLICA_RULES, *theme.CLUSTER_RULES):
            told = {one.id for one in rule(live if rule in theme.CLUSTER_RULES else replica, context)}
            assert f"clickhouse.{rule.__name__}" in told, rule


def test_a_rule_answers_in_both_environments() -> None:
    replica = Replica("chi-0:8123", GREETED)
    for environment, theme in itertools.product(("dev", "production"), THEMES):
        context = Context("dev" if environment == "dev" else "production", "me")
        assert [told for rule in theme.REPLICA_RULES for told in rule(replica, context)] or not theme.REPLICA_RULES


def test_the_grants_cover_every_query_once() -> None:
    statements = grants("reader", "lang-smith")
    assert len(statements) == len(set(statements))
    assert "GRANT SHOW TABLES, SHOW COLUMNS ON *.* TO `reader`" in statements
    assert "GRANT SELECT ON system.parts TO `reader`" in statements
    for query in QUERIES.values():
        if query.table and not query.grant:
            name = query.table if "." in query.table else f"`lang-smith`.{query.table}"
            assert f"GRANT {query.reading(name)} TO `reader`" in statements


def test_of_the_runs_only_times_are_granted() -> None:
    (statement,) = [one for one in grants("reader", "traces") if "traces.runs" in one]
    assert statement == (
        "GRANT SELECT(inserted_at, received_at, trace_first_received_at, start_time, end_time, _part) ON traces.runs"
        " TO `reader`"
    )


#: A server as a service has it that others run: one address, a small cache for a disk, processors that come and go.
ELSEWHERE: Answers = {
    **GREETED,
    "sight": [{"result": 1}],
    "clusters": [],
    "threads": [{"value": "auto(2)"}],
    "memory_limit": [{"name": "max_server_memory_usage", "value": 6e9}],
    "memory_total": [{"name": "CGroupMaxMemory", "value": 8e9}],
    "disks": [{"name": "default", "type": "Local", "total_space": 10**9, "unreserved_space": 10**7}],
    "log_tables": [{"name": "query_log", "bytes": 10**9, "has_ttl": False}],
}


def test_what_langchain_manages_is_not_judged_by_its_size() -> None:
    live = Live("langsmith", replicas=(Replica("service:8443", ELSEWHERE),))
    sized = {"replicas", "cpu", "memory", "disk_fill", "system_logs"}
    told = {
        name: {one.id.removeprefix("clickhouse."): one.status for one in judge_live(live, "production", plan)}
        for name, plan in (("external", Plan("external")), ("managed", Plan("managed")))
    }
    assert {told["external"][rule] for rule in sized} == {"fail"}
    assert not {*sized, "memory_limit", "disk_size", "disk_forecast", "dropped_tables", "io_pressure"} & set(
        told["managed"]
    )
    assert "fail" not in told["managed"].values()
    assert {"version", "connection", "concurrency", "parts", "inserts", "memory_pressure"} <= set(told["managed"])
