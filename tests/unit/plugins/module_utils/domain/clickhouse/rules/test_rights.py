# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What LangSmith's user may do; tests/integration has the answers of real servers."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.facts import (
    IDENTITY,
    Context,
    Live,
    Refused,
    Replica,
)
from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.live import judge_live
from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.rules import profile, rights
from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.rules.profile import PROFILE
from ansible_collections.langsmith.aws.plugins.module_utils.domain.finding import Finding

CONTEXT = Context("production", "checks", "lang-smith", "traces", 3, writer="langsmith")
EVERYTHING: dict[str, Any] = {
    name: [{"result": 1}] for name, query in rights.queries("lang-smith", "traces").items() if query.grant
}
HOLDING = [{"name": "readonly", "value": "0"}, {"name": "allow_ddl", "value": "1"}]
GREETED = {IDENTITY: [{"version": "25.12.3.1"}]}
INSERT = "INSERT ON `lang-smith`.*"


def replica(answers: dict[str, Any] | None = None, **more: Any) -> Replica:
    writer = {"holding": HOLDING, **EVERYTHING, **(answers or {})}
    return Replica("chi-0:8123", GREETED, writer=writer, **more)


def judged(answers: dict[str, Any]) -> list[Finding]:
    return list(rights.rights(replica(answers), CONTEXT))


def test_what_is_asked_reads_and_changes_nothing() -> None:
    for query in rights.queries("lang-smith", "traces").values():
        assert query.sql.startswith(("CHECK GRANT ", "SELECT "))


def test_a_user_who_may_do_everything_is_one_pass() -> None:
    assert [one.status for one in judged({})] == ["pass"]


def test_each_right_that_lacks_is_a_failure_with_its_grant() -> None:
    found = judged({INSERT: [{"result": 0}], rights.ON_CLUSTER: [{"result": 0}]})
    assert [(one.id, one.status, one.remedy) for one in found] == [
        ("clickhouse.rights", "fail", f"run as an administrator: GRANT {INSERT} TO `langsmith`"),
        ("clickhouse.rights", "fail", "run as an administrator: GRANT CLUSTER ON *.* TO `langsmith`"),
    ]


def test_to_lack_the_sight_of_disks_is_a_warning() -> None:
    (found,) = judged({rights.ON_DISKS: [{"result": 0}]})
    assert found.status == "warn"
    assert found.remedy.endswith(": GRANT SELECT ON system.disks TO `langsmith`")


def test_only_a_cluster_needs_the_right_to_clusters_and_replicated_engines() -> None:
    alone, cluster = rights.needed("default", None), rights.needed("default", "traces")
    assert rights.ON_CLUSTER in cluster
    assert rights.ON_CLUSTER not in alone
    assert "TABLE ENGINE ON ReplicatedMergeTree" in " ".join(cluster)
    assert "Replicated" not in " ".join(alone)


UNKNOWN: list[tuple[Any, str]] = [
    (Refused(62, "Syntax error: failed at position 7"), "this server does not know CHECK GRANT"),
    (Refused(202, "Too many simultaneous queries"), "ClickHouse error 202"),
    (Refused(0, "http: no answer within 10 s"), "no answer within 10 s"),
    ([], "no answer"),
    ([{}], "no answer"),
]


@pytest.mark.parametrize(("answer", "reason"), UNKNOWN)
def test_what_was_not_told_is_unknown_with_every_grant(answer: Any, reason: str) -> None:
    (found,) = judged(dict.fromkeys(EVERYTHING, answer))
    assert found.status == "unknown"
    assert reason in found.observed
    for privilege in rights.needed("lang-smith", "traces"):
        assert f"GRANT {privilege} TO `langsmith`" in found.remedy


def test_what_lacks_and_what_is_not_known_are_told_apart() -> None:
    found = judged({INSERT: [{"result": 0}], rights.ON_CLUSTER: Refused(0, "the server fell silent")})
    assert [one.status for one in found] == ["fail", "unknown"]


@pytest.mark.parametrize("code", [192, 193, 194, 516])
def test_a_user_who_is_not_let_in_is_one_failure(code: int) -> None:
    found = list(rights.rights(Replica("chi-0:8123", GREETED, writer={"holding": Refused(code, "no")}), CONTEXT))
    assert [(one.status, one.observed) for one in found] == [
        ("fail", f"user langsmith is not let in (ClickHouse error {code})")
    ]


@pytest.mark.parametrize(("name", "value"), [("readonly", "1"), ("readonly", "2"), ("allow_ddl", "0")])
def test_a_profile_that_lets_nobody_write_is_told_instead_of_grants(name: str, value: str) -> None:
    nothing = {privilege: [{"result": 0}] for privilege in EVERYTHING}
    (found,) = judged({**nothing, "holding": [{"name": name, "value": value}]})
    assert (found.status, f"{name} = {value}" in found.observed) == ("fail", True)
    assert "GRANT" not in found.remedy


def test_without_langsmiths_user_nothing_is_said_of_rights() -> None:
    assert list(rights.rights(Replica("chi-0:8123", GREETED), Context("production", "checks"))) == []


def test_langsmiths_user_is_judged_where_the_one_who_checks_is_not_let_in() -> None:
    shut = Replica("chi-0:8123", {IDENTITY: Refused(516, "no")}, writer={**EVERYTHING, INSERT: [{"result": 0}]})
    found = judge_live(Live("checks", "lang-smith", "traces", (shut,), "langsmith"), "production")
    assert [(one.id, one.status) for one in found] == [("clickhouse.connection", "fail"), ("clickhouse.rights", "fail")]


CREATION = "CREATE DATABASE ON `lang-smith`.*"
ABSENT: list[tuple[dict[str, Any], str, str]] = [
    ({}, "user langsmith may create it", "run as user langsmith: CREATE DATABASE `lang-smith` ON CLUSTER traces"),
    ({CREATION: [{"result": 0}]}, "user langsmith may not create it", "run as an administrator: CREATE DATABASE"),
    ({rights.ON_CLUSTER: [{"result": 0}]}, "user langsmith may not create it", "run as an administrator: CREATE"),
    ({CREATION: Refused(62, "no")}, "there is no database lang-smith", "run as an administrator: CREATE DATABASE"),
]


@pytest.mark.parametrize(("answers", "observed", "remedy"), ABSENT)
def test_a_database_that_is_absent_fails_and_who_may_create_it_is_told(
    answers: dict[str, Any], observed: str, remedy: str
) -> None:
    (found,) = rights.database(replica(answers, no_database=True), CONTEXT)
    assert (found.id, found.status) == ("clickhouse.database", "fail")
    assert found.observed.endswith(observed)
    assert found.remedy.startswith(remedy)


def test_a_database_that_answers_is_there_and_one_that_does_not_is_not_judged() -> None:
    (found,) = rights.database(replica(), CONTEXT)
    assert found.status == "pass"
    assert list(rights.database(Replica("chi-0:8123", {IDENTITY: Refused(0, "no")}), CONTEXT)) == []


def test_the_profile_that_is_judged_is_that_of_langsmiths_user() -> None:
    good = [{"name": name, "value": value} for name, value in PROFILE.items()]
    bad = [{"name": name, "value": "7"} for name in PROFILE]
    other = Replica("chi-0:8123", {"profile": bad}, writer={"profile": good})
    (found,) = profile.profile(other, CONTEXT)
    assert (found.status, found.observed) == ("pass", "as expected for user langsmith")


def test_the_statements_are_those_of_what_is_needed() -> None:
    statements = rights.grants_of_writer("lang`smith", "traces", None)
    assert "GRANT CREATE TABLE ON traces.* TO `lang\\`smith`" in statements
    assert len(statements) == len(rights.needed("traces", None)) + 1
