# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the rules put what they found into words."""

from __future__ import annotations

import pytest
from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.facts import Query, Refused, Replica
from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.verdict import (
    beyond,
    grant_statement,
    listed,
    quoted,
    unreadable,
)

QUERY = Query("SELECT 1", table="system.parts")


@pytest.mark.parametrize(("value", "status"), [(0.7, "pass"), (0.71, "warn"), (0.85, "warn"), (0.86, "fail")])
def test_what_should_stay_small_is_judged_by_two_bounds(value: float, status: str) -> None:
    assert beyond(value, 0.7, 0.85) == status


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("default", "default"),
        ("lang-smith", "`lang-smith`"),
        ("a`b", "`a\\`b`"),
        ("a\\", "`a\\\\`"),
        ("1", "`1`"),
        ("", "``"),
    ],
)
def test_an_identifier_is_quoted_where_it_is_no_word(name: str, shown: str) -> None:
    assert quoted(name) == shown


def test_a_user_cannot_break_out_of_the_statement() -> None:
    assert (
        grant_statement("SELECT ON a.b", "x` WITH ADMIN OPTION; --")
        == "GRANT SELECT ON a.b TO `x\\` WITH ADMIN OPTION; --`"
    )


def test_a_list_is_cut_to_what_can_be_read() -> None:
    assert listed([]) == ""
    assert listed(["a", "b"]) == "a, b"
    assert listed(list("abcdefg")) == "a, b, c, d, e and 2 more"
    assert len(listed(["x" * 500] * 9)) < 430


@pytest.mark.parametrize(
    ("answer", "observed", "remedy"),
    [
        (Refused(497, "x"), "user me lacks SELECT ON system.parts", "GRANT SELECT ON system.parts TO `me`"),
        (
            Refused(497, "x", "SHOW TABLES ON *.*"),
            "user me lacks SHOW TABLES ON *.*",
            "GRANT SHOW TABLES ON *.* TO `me`",
        ),
        (Refused(60, "x"), "the server has no table system.parts", "judge this from the plan or by hand"),
        (Refused(241, "too much"), "ClickHouse error 241: too much", "run the check again"),
        (Refused(0, "no answer within 3 s"), "no answer within 3 s", "run the check again"),
        (None, "no answer", "run the check again"),
    ],
)
def test_what_was_not_answered_is_unknown_with_the_reason(answer: Refused | None, observed: str, remedy: str) -> None:
    replica = Replica("chi-0:8123", {} if answer is None else {"parts": answer})
    found = unreadable("parts", replica, "parts", QUERY, "me", "few parts")
    assert (found.id, found.status, found.subject) == ("clickhouse.parts", "unknown", "chi-0:8123")
    assert found.observed == observed
    assert remedy in found.remedy
