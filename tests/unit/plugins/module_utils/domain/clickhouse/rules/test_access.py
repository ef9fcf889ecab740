# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the user sees anything."""

from __future__ import annotations

import pytest
from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.facts import (
    ACCESS_DENIED,
    SIGHT,
    Answers,
    Context,
    Query,
    Refused,
    Replica,
)
from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.rules import access

CONTEXT = Context("production", "reader")
QUERIES = {
    "parts": Query("SELECT 1", table="system.parts", filtered=True),
    "metrics": Query("SELECT 1", table="system.metrics"),
    "runs": Query("SELECT 1", table="runs"),
}
TIMES = Query("SELECT 1", table="runs", columns=("start_time", "end_time"))


def replica(**answers: object) -> Replica:
    return Replica("chi-0:8123", answers)  # type: ignore[arg-type]


OLD = Refused(62, "Syntax error")

SEEN = [
    ({"sight": [{"result": 1}]}, True, "pass"),
    ({"sight": [{"result": 0}], "any_table": [{"result": 0}]}, False, "unknown"),
    ({"sight": OLD, "any_table": [{"result": 0}]}, True, "pass"),
    ({"sight": OLD, "any_table": Refused(497, "no")}, None, "unknown"),
    ({"sight": OLD, "any_table": Refused(0, "no answer")}, None, "unknown"),
    ({}, None, "unknown"),
]


@pytest.mark.parametrize(("answers", "seen", "status"), SEEN)
def test_a_user_who_may_not_be_able_to_see_is_never_well(answers: Answers, seen: bool | None, status: str) -> None:
    assert access.sees_tables(replica(**answers)) is seen
    (found,) = access.grants(replica(**answers), CONTEXT)
    assert (found.id, found.status) == ("clickhouse.grants", status)


def test_all_missing_rights_come_as_statements_at_once() -> None:
    answers = {"metrics": Refused(497, "no"), "runs": Refused(497, "no"), "parts": Refused(60, "no such table")}
    known = access.veiled(replica(sight=[{"result": 0}], **answers), QUERIES, "default")
    (found,) = access.grants(known, CONTEXT)
    assert found.observed == f"user reader lacks SELECT ON default.runs, SELECT ON system.metrics, {SIGHT}"
    assert found.remedy == (
        "run as an administrator: GRANT SELECT ON default.runs TO `reader`; GRANT SELECT ON system.metrics TO "
        f"`reader`; GRANT {SIGHT} TO `reader`"
    )


@pytest.mark.parametrize("sight", [[{"result": 0}], OLD, Refused(0, "no answer")])
def test_an_empty_table_of_one_who_may_see_nothing_is_a_refusal(sight: object) -> None:
    seen = access.veiled(replica(sight=sight, parts=[], metrics=[], other=[]), QUERIES, "default")
    assert seen.answers["parts"] == Refused(ACCESS_DENIED, "rows are left out", SIGHT)
    assert (seen.answers["metrics"], seen.answers["other"]) == ([], [])


def test_the_second_sample_is_veiled_too() -> None:
    twice = Replica("chi-0:8123", {"sight": [{"result": 0}]}, {"parts": [], "metrics": []}, 3)
    seen = access.veiled(twice, QUERIES, "default")
    assert (seen.rows("parts"), seen.rows("metrics"), seen.seconds) == (None, [], 3)


@pytest.mark.parametrize("sight", [{"sight": [{"result": 1}]}, {"sight": OLD, "any_table": [{"result": 0}]}])
def test_one_who_sees_keeps_every_answer(sight: Answers) -> None:
    whole = replica(**sight, parts=[{"a": 1}])
    assert access.veiled(whole, QUERIES, "default") == whole


def test_a_refusal_about_a_table_of_langsmiths_names_its_database() -> None:
    seen = access.veiled(replica(runs=Refused(497, "no"), parts=Refused(497, "no")), QUERIES, "lang-smith")
    assert seen.answers["runs"] == Refused(497, "no", "SELECT ON `lang-smith`.runs")
    assert seen.answers["parts"] == Refused(497, "no", "SELECT ON system.parts")


def test_a_query_of_some_columns_needs_these_alone() -> None:
    assert access.privilege_of(TIMES, "lang-smith") == "SELECT(start_time, end_time) ON `lang-smith`.runs"
    seen = access.veiled(replica(times=Refused(497, "no")), {"times": TIMES}, "default")
    assert seen.answers["times"] == Refused(497, "no", "SELECT(start_time, end_time) ON default.runs")


def test_the_grants_are_those_of_the_queries_and_the_right_to_see() -> None:
    assert access.statements("reader", QUERIES) == [
        "GRANT SELECT ON default.runs TO `reader`",
        "GRANT SELECT ON system.clusters TO `reader`",
        "GRANT SELECT ON system.metrics TO `reader`",
        "GRANT SELECT ON system.parts TO `reader`",
        f"GRANT {SIGHT} TO `reader`",
    ]
