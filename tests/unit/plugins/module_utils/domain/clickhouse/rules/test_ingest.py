# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tables of LangSmith, where they are there and where they are not."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.facts import (
    Context,
    Plan,
    Refused,
    Replica,
)
from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.plan_rules import judge_plan
from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.rules import ingest, profile
from ansible_collections.langsmith.aws.plugins.module_utils.domain.finding import Finding

CONTEXT = Context("production", "reader", "langsmith")
ABSENT = Refused(60, "Unknown table expression identifier 'runs'")
DENIED = Refused(497, "Not enough privileges")


def only(found: Any) -> Finding:
    (one,) = found
    assert isinstance(one, Finding)
    return one


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        ([{"records": 4, "version": 12, "dirty": 0}], "pass"),
        ([{"records": 4, "version": 12, "dirty": 1}], "fail"),
        ([{"records": 0, "version": 0, "dirty": 0}], "unknown"),
        (ABSENT, "unknown"),
        (DENIED, "unknown"),
    ],
)
def test_a_schema_is_whole_only_where_a_migration_says_so(answer: Any, status: str) -> None:
    assert only(ingest.schema(Replica("chi-0:8123", {"schema": answer}), CONTEXT)).status == status


def sizes(inline: int, payload: int, runs: int = 100) -> dict[str, int]:
    return {"inline": inline, "payload": payload, "total": 1000, "runs": runs}


@pytest.mark.parametrize(
    ("row", "status"),
    [
        (sizes(300, 100 * 30_000), "pass"),
        (sizes(301, 100 * 20 * 1024), "pass"),
        (sizes(301, 100 * 20 * 1024 + 100), "warn"),
        (sizes(10, 100 * 30_000), "pass"),
    ],
)
def test_payloads_matter_where_they_are_large_and_most_of_the_data(row: dict[str, int], status: str) -> None:
    assert only(ingest.blob_storage(Replica("chi-0:8123", {"inline_payload": [row]}), CONTEXT)).status == status


def test_a_table_that_is_not_there_has_no_payloads_and_no_delay() -> None:
    new = Replica("chi-0:8123", {"inline_payload": [sizes(0, 0, 0)], "runs_table": [], "ingest_delay": ABSENT})
    assert [*ingest.blob_storage(new, CONTEXT), *ingest.ingest_delay(new, CONTEXT)] == []


@pytest.mark.parametrize("row", [sizes(0, 0, 0), {**sizes(0, 0, 5), "total": 0}])
def test_a_small_table_tells_nothing_of_payloads_so_that_the_plan_still_has_to(row: dict[str, int]) -> None:
    small = Replica("chi-0:8123", {"inline_payload": [row], "runs_table": [{"has_ttl": True}]})
    told = list(ingest.blob_storage(small, CONTEXT))
    assert told == []
    planned = judge_plan(Plan("external"), "production", told)
    assert [one.status for one in planned if one.id == "clickhouse.blob_storage"] == ["unknown"]


@pytest.mark.parametrize(
    ("received", "traces", "status"),
    [
        ([{"runs": 10, "p95_s": 60.0}], Refused(47, ""), "pass"),
        ([{"runs": 10, "p95_s": 61.0}], Refused(47, ""), "fail"),
        ([{"runs": 10, "p95_s": -3.0}], Refused(47, ""), "pass"),
        ([{"runs": 0, "p95_s": None}], Refused(47, ""), "pass"),
        (Refused(47, "Unknown identifier"), [{"runs": 10, "p95_s": 61.0}], "fail"),
        (Refused(47, "Unknown identifier"), Refused(47, "Unknown identifier"), "unknown"),
        (DENIED, [{"runs": 10, "p95_s": 1.0}], "unknown"),
    ],
)
def test_runs_are_late_by_the_column_that_there_is(received: Any, traces: Any, status: str) -> None:
    replica = Replica("chi-0:8123", {"ingest_delay": received, "ingest_delay_of_traces": traces})
    assert only(ingest.ingest_delay(replica, CONTEXT)).status == status


@pytest.mark.parametrize(
    ("message", "granted"),
    [
        ("grant SELECT ON default.runs", f"SELECT({', '.join(ingest.TIMES)}) ON runs"),
        ("grant SELECT(name) ON system.parts", "SELECT ON system.parts"),
    ],
)
def test_the_grant_that_is_told_of_is_the_one_that_lacks(message: str, granted: str) -> None:
    answers = {"ingest_delay": Refused(497, f"Not enough privileges, {message}"), "parts": DENIED}
    found = only(ingest.ingest_delay(Replica("chi-0:8123", answers), CONTEXT))
    assert found.remedy == f"run as an administrator: GRANT {granted} TO `reader`"


def settings(**more: str) -> list[dict[str, str]]:
    values = {**profile.PROFILE, profile.SIZE: "2000000", **more}
    return [{"name": name, "value": value} for name, value in values.items()]


@pytest.mark.parametrize(
    ("rows", "status"),
    [
        (settings(), "pass"),
        (settings(async_insert_max_data_size="25000000"), "pass"),
        (settings(async_insert="0"), "warn"),
        (settings()[:-2], "pass"),
        ([], "unknown"),
        (None, "unknown"),
    ],
)
def test_the_profile_is_taken_whole_and_a_setting_unknown_to_the_server_is_no_fault(rows: Any, status: str) -> None:
    answers = {} if rows is None else {"profile": rows}
    assert only(profile.profile(Replica("chi-0:8123", answers), CONTEXT)).status == status
