# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is read out of the answers of one server."""

from __future__ import annotations

import pytest
from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.facts import (
    Answers,
    Query,
    Refused,
    Replica,
)

FIRST: Answers = {
    "events": [{"event": "Delayed", "amount": 5}],
    "refused": Refused(497, "no"),
    "one": [{"name": "x", "value": 1}],
}


def replica(second: float | None) -> Replica:
    rows = [] if second is None else [{"event": "Delayed", "amount": second}]
    return Replica("chi-0:8123", FIRST, {"events": rows}, seconds=3)


@pytest.mark.parametrize(("second", "rise"), [(5, 0), (9, 4), (2, 2), (None, 0)])
def test_a_counter_is_judged_by_its_growth_and_from_nothing_after_a_restart(second: float | None, rise: float) -> None:
    assert replica(second).rise("events", "Delayed", "event", "amount") == rise


def test_a_counter_that_is_listed_only_now_grew_from_nothing() -> None:
    later = {"events": [{"event": "Rejected", "amount": 3}]}
    assert Replica("chi-0:8123", FIRST, later).rise("events", "Rejected", "event", "amount") == 3


@pytest.mark.parametrize("query", ["refused", "one", "nothing"])
def test_without_two_samples_there_is_no_growth(query: str) -> None:
    assert replica(9).rise(query, "x") is None


def test_the_newest_sample_is_what_is_read() -> None:
    assert replica(9).value("events", "amount") == 9
    assert replica(9).named("events", "Delayed", "event", "amount") == 9


def test_what_was_refused_or_not_asked_has_no_rows() -> None:
    assert replica(1).rows("refused") is None
    assert replica(1).rows("nothing") is None
    assert replica(1).value("nothing", "x") is None
    assert replica(1).named("one", "y") is None


def test_a_number_that_is_not_finite_is_no_number() -> None:
    assert Replica("chi-0:8123", {"one": [{"name": "x", "value": None}]}).named("one", "x") is None


@pytest.mark.parametrize(
    ("query", "privilege"),
    [
        (Query("SELECT 1"), ""),
        (Query("SELECT 1", table="system.parts"), "SELECT ON system.parts"),
        (Query("SELECT 1", table="system.parts", grant="SHOW TABLES ON *.*"), "SHOW TABLES ON *.*"),
    ],
)
def test_a_query_names_what_it_needs(query: Query, privilege: str) -> None:
    assert query.privilege == privilege
