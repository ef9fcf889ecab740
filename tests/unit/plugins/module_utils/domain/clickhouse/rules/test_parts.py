# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Figures at the edges of what the rules on write load bear."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.facts import (
    Context,
    Plan,
    Refused,
    Replica,
)
from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.rules import parts
from ansible_collections.langsmith.aws.plugins.module_utils.domain.finding import Finding

CONTEXT = Context("production", "reader")
LIMITS = [
    {"name": "parts_to_delay_insert", "value": 1000.0},
    {"name": "parts_to_throw_insert", "value": 3000.0},
    {"name": "number_of_mutations_to_delay", "value": 500.0},
]


def server(first: Mapping[str, Any], later: Mapping[str, Any] | None = None) -> Replica:
    return Replica("chi-0:8123", {"merge_limits": LIMITS, "own_merge_limits": [], **first}, later or {}, 3.0)


def only(found: Any) -> Finding:
    (one,) = found
    assert isinstance(one, Finding)
    return one


def partition(table: str, count: int) -> dict[str, Any]:
    return {"database": "default", "table": table, "partition_id": "202611", "parts": count}


@pytest.mark.parametrize(
    ("count", "status"), [(1, "pass"), (101, "pass"), (500, "pass"), (501, "warn"), (1000, "fail")]
)
def test_parts_are_held_against_the_server_s_own_limit(count: int, status: str) -> None:
    found = only(parts.parts(server({"parts": [partition("runs", count)]}), CONTEXT))
    assert found.status == status
    assert ("worth watching" in found.observed) == (count in (101, 500))


def test_a_table_with_a_lower_limit_of_its_own_comes_first() -> None:
    own = {"database": "default", "table": "small", "parts_to_delay_insert": 10, "parts_to_throw_insert": None}
    rows = [partition("runs", 300), partition("small", 9)]
    found = only(parts.parts(server({"parts": rows, "own_merge_limits": [own]}), CONTEXT))
    assert (found.status, "default.small, inserts are delayed from 10" in found.observed) == ("warn", True)


@pytest.mark.parametrize("limits", [[], [{"name": "parts_to_delay_insert", "value": 0.0}]])
def test_without_a_limit_the_most_parts_are_named_and_nothing_is_delayed(limits: list[dict[str, Any]]) -> None:
    rows = [partition("runs", 30), partition("feedbacks", 20)]
    found = only(parts.parts(server({"parts": rows, "merge_limits": limits}), CONTEXT))
    assert found.status == "pass"
    assert found.observed.startswith("30 parts in partition 202611 of default.runs, inserts are never delayed")


NEITHER_DELAYS = [{"name": "parts_to_delay_insert", "value": 0.0}, {"name": "parts_to_throw_insert", "value": 3000.0}]
BOTH = [{"name": "parts_to_delay_insert", "value": 5000.0}, {"name": "parts_to_throw_insert", "value": 3000.0}]


@pytest.mark.parametrize("limits", [NEITHER_DELAYS, BOTH])
@pytest.mark.parametrize(("count", "status"), [(1500, "pass"), (1501, "warn"), (2999, "warn"), (3000, "fail")])
def test_parts_that_are_rejected_before_they_are_delayed_count_by_that(
    limits: list[dict[str, Any]], count: int, status: str
) -> None:
    found = only(parts.parts(server({"parts": [partition("runs", count)], "merge_limits": limits}), CONTEXT))
    assert found.status == status
    assert "inserts are rejected from 3000" in found.observed


@pytest.mark.parametrize(("table", "status"), [("runs", "fail"), ("plain", "pass"), ("own", "pass")])
def test_replicated_tables_have_the_limits_of_replicated_tables(table: str, status: str) -> None:
    replicated = [
        {"name": "parts_to_delay_insert", "value": 10.0},
        {"name": "number_of_mutations_to_delay", "value": 5},
    ]
    own = {"database": "default", "table": "own", "parts_to_delay_insert": 1000, "number_of_mutations_to_delay": 1000}
    answers = {
        "replicated_merge_limits": replicated,
        "own_merge_limits": [own],
        "replicas": [{"database": "default", "table": name} for name in ("runs", "own")],
        "parts": [partition(table, 10)],
        "mutations": [mutation(table=table, open=5)],
    }
    assert only(parts.parts(server(answers), CONTEXT)).status == status
    assert only(parts.mutations(server(answers), CONTEXT)).status == status


def test_where_the_limits_of_replicated_tables_may_not_be_read_those_of_all_tables_hold() -> None:
    answers = {
        "replicated_merge_limits": Refused(497, "no"),
        "replicas": [{"database": "default", "table": "runs"}],
        "parts": [partition("runs", 501)],
    }
    assert only(parts.parts(server(answers), CONTEXT)).status == "warn"


def events(**values: int) -> list[dict[str, Any]]:
    return [{"name": name, "value": value} for name, value in values.items()]


@pytest.mark.parametrize(
    ("first", "later", "status"),
    [
        ({}, {}, "pass"),
        ({"DelayedInserts": 900, "RejectedInserts": 70}, {"DelayedInserts": 900, "RejectedInserts": 70}, "pass"),
        ({"DelayedInserts": 900}, {"DelayedInserts": 901}, "warn"),
        ({}, {"RejectedInserts": 1}, "fail"),
        ({"RejectedInserts": 70}, {"RejectedInserts": 2}, "fail"),
    ],
)
def test_only_what_was_held_back_between_the_samples_counts(
    first: dict[str, int], later: dict[str, int], status: str
) -> None:
    replica = server({"part_events": events(**first)}, {"part_events": events(**later)})
    assert only(parts.inserts(replica, CONTEXT)).status == status


def test_one_sample_of_a_counter_tells_nothing() -> None:
    assert only(parts.inserts(server({"part_events": events(RejectedInserts=5)}), CONTEXT)).status == "unknown"


def pool(first: int, later: int, size: int = 16) -> tuple[dict[str, Any], dict[str, Any]]:
    return {"merge_pool": [{"tasks": first, "size": size}]}, {"merge_pool": [{"tasks": later, "size": size}]}


@pytest.mark.parametrize(
    ("tasks", "count", "status"),
    [
        (pool(16, 16), 100, "pass"),
        (pool(16, 16), 101, "warn"),
        (pool(15, 15), 101, "warn"),
        (pool(16, 14), 101, "pass"),
        (pool(0, 0, size=0), 101, "pass"),
    ],
)
def test_busy_merges_matter_while_parts_pile_up(
    tasks: tuple[dict[str, Any], dict[str, Any]], count: int, status: str
) -> None:
    replica = server({**tasks[0], "merges": [], "parts": [partition("runs", count)]}, tasks[1])
    assert only(parts.merges(replica, CONTEXT)).status == status


def mutation(**more: Any) -> dict[str, Any]:
    return {"database": "default", "table": "runs", "open": 1, "seconds": 5, "failing": 0, "reason": "", **more}


@pytest.mark.parametrize(
    ("row", "status"),
    [
        (mutation(), "pass"),
        (mutation(open=10, seconds=3600), "pass"),
        (mutation(open=11), "warn"),
        (mutation(seconds=3601), "warn"),
        (mutation(open=499), "warn"),
        (mutation(open=500), "fail"),
        (mutation(failing=1, mutation_id="mutation_7.txt", reason="Code: 395"), "fail"),
    ],
)
def test_mutations_wait_pile_up_and_fail(row: dict[str, Any], status: str) -> None:
    assert only(parts.mutations(server({"mutations": [row]}), CONTEXT)).status == status


def test_a_healthy_table_is_not_named_beside_a_sick_one() -> None:
    sick = mutation(table="feedbacks", open=20)
    assert "default.feedbacks" in only(parts.mutations(server({"mutations": [mutation(), sick]}), CONTEXT)).observed


def test_a_statement_to_paste_cannot_be_broken_out_of() -> None:
    row = mutation(table="x' OR 1=1 --\\", failing=1, mutation_id="mutation_1.txt")
    remedy = only(parts.mutations(server({"mutations": [row]}), CONTEXT)).remedy
    assert r"AND table = 'x\' OR 1=1 --\\' AND mutation_id = 'mutation_1.txt'" in remedy


@pytest.mark.parametrize(
    ("inserts", "rows", "seconds", "status"),
    [
        (0, None, 0, "pass"),
        (3600, 1000.0, 3599, "warn"),
        (3600, 1001.0, 3599, "pass"),
        (60, 1.0, 10, "pass"),
        (61, 1.0, 10, "warn"),
        (3000, 1.0, 3600, "pass"),
    ],
)
def test_small_inserts_matter_where_there_are_many(inserts: int, rows: float | None, seconds: int, status: str) -> None:
    replica = server({"inserts_logged": [{"inserts": inserts, "rows": rows, "seconds": seconds}]})
    assert only(parts.batch_size(replica, CONTEXT)).status == status


def test_the_wait_lever_is_told_of_only_where_it_hides_something() -> None:
    one = server({})
    full = list(parts.parts(server({"parts": [partition("runs", 1000)]}), CONTEXT))
    calm = list(parts.parts(server({"parts": [partition("runs", 1)]}), CONTEXT))
    off, on = (Context("dev", "reader", plan=Plan("external", async_insert_wait_pct=share)) for share in (0, 0.1))
    assert only(parts.async_insert_wait(one, off, full)).status == "warn"
    assert [*parts.async_insert_wait(one, on, full), *parts.async_insert_wait(one, CONTEXT, full)] == []
    assert list(parts.async_insert_wait(one, off, calm)) == []


def test_the_wait_lever_is_told_of_though_another_rule_is_unknown() -> None:
    off = Context("dev", "reader", plan=Plan("external", async_insert_wait_pct=0))
    full = list(parts.parts(server({"parts": [partition("runs", 600)]}), CONTEXT))
    unknown = list(parts.inserts(Replica("chi-0:8123"), CONTEXT))
    assert only(parts.async_insert_wait(server({}), off, [*full, *unknown])).status == "warn"


def test_what_nobody_answered_is_unknown() -> None:
    silent = Replica("chi-0:8123", {"parts": Refused(497, "Not enough privileges", "SHOW TABLES ON *.*")})
    assert {only(rule(silent, CONTEXT)).status for rule in parts.REPLICA_RULES} == {"unknown"}
