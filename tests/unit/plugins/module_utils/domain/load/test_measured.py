# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.langsmith.aws.plugins.module_utils.domain.load.capacity import (
    CLOSE_ENOUGH,
    capacity,
    judge_step,
    next_rate,
)
from ansible_collections.langsmith.aws.plugins.module_utils.domain.load.measured import (
    Measured,
    Progress,
    Sample,
    Step,
    merge,
)
from ansible_collections.langsmith.aws.plugins.module_utils.domain.load.watching import (
    QUERY_SECONDS,
    SETTLE_SECONDS,
    WATCHED_MOST,
    pause,
    settled,
    stride,
)
from ansible_collections.langsmith.aws.plugins.module_utils.domain.load_class import carried_class, needed_class


def measured(**options: Any) -> Measured:
    return Measured(**{"began": 1000.0, "offered_rate": 10.0, "runs_per_trace": 2, "sending": 8.0, **options})


def step(rate: float, holds: bool) -> Step:
    return Step(rate, holds, "", rate, 1.0, None)


def search(limit: float, first: float = 10.0, most: int = 30) -> list[Step]:
    steps: list[Step] = []
    while len(steps) < most and (rate := next_rate(steps, first)) is not None:
        steps.append(step(rate, rate <= limit))
    return steps


@pytest.mark.parametrize("limit", [3.0, 10.0, 11.0, 47.0, 640.0, 5000.0])
@pytest.mark.parametrize("first", [10.0, 100.0])
def test_a_search_comes_within_a_tenth_of_the_highest_rate_that_holds(limit: float, first: float) -> None:
    steps = search(limit, first)
    found = capacity(steps)
    assert found is not None
    assert limit / CLOSE_ENOUGH <= found <= limit
    assert len(steps) <= 16


def test_a_search_where_nothing_holds_ends_without_a_capacity() -> None:
    steps = search(0.0)
    assert capacity(steps) is None
    assert 1 < len(steps) < 10


def test_a_rate_that_held_above_one_that_did_not_is_no_capacity() -> None:
    assert capacity([step(10, True), step(20, False), step(40, True)]) == 10


def watched(first: float, last: float, count: int = 50, **options: Any) -> Measured:
    """A step of 100 traces whose way to visible went from one latency to another."""
    found = measured(**{"traces": 100, "accepted": 200, **options})
    found.latencies["visible"].add(first, count)
    found.latencies["visible"].add(last, count)
    found.latencies["first_quarter"].add(first, count)
    found.latencies["last_quarter"].add(last, count)
    return found


@pytest.mark.parametrize(
    ("found", "holds", "words"),
    [
        (watched(0.5, 0.6), True, "visible p95 0.60 s"),
        (watched(0.5, 9.0), False, "visible p95 9.00 s is above 5 s"),
        (watched(0.5, 2.0), False, "grew by 0.25 s per second"),
        (watched(3.0, 3.1), True, "visible p95 3.10 s"),
        (watched(0.5, 2.0, count=3), True, "visible p95 2.00 s"),
        (watched(0.5, 0.6, refused={"429": 4}), False, "4 runs were not accepted"),
        (watched(0.5, 0.6, unanswered={"http timeout": 2}), False, "2 runs were not accepted"),
        (watched(0.5, 0.6, unsent_traces=20), False, "100 of 120 traces were accepted in time"),
        (measured(traces=4, accepted=8), False, "too few traces became visible"),
    ],
)
def test_a_step_holds_where_all_was_taken_in_and_the_way_to_visible_does_not_grow(
    found: Measured, holds: bool, words: str
) -> None:
    judged = judge_step(12.5, found, visible_p95=5.0)
    assert judged.holds is holds
    assert words in judged.reason
    assert judged.rate == 12.5


@pytest.mark.parametrize(
    ("rate", "needed", "carried"),
    [
        (3, "low", "below"),
        (10, "low", "low"),
        (11, "medium", "low"),
        (100, "medium", "medium"),
        (1000, "high", "high"),
        (1500, "above", "high"),
    ],
)
def test_a_rate_needs_one_load_class_and_carries_one(rate: float, needed: str, carried: str) -> None:
    assert (needed_class(rate), carried_class(rate)) == (needed, carried)


def test_a_measurement_comes_back_from_its_document() -> None:
    found = watched(0.5, 0.6, refused={"500": 2}, lost_ids=["a"], phases=[("send", 0.0, 8.0)])
    found.backlog, found.progress, found.steps = [Sample(1.0, 3, 0, 1)], [Progress(1.0, 5, 4)], [step(10, True)]
    again = Measured.from_dict(found.to_dict())
    assert again.to_dict() == found.to_dict()
    assert again.growth == found.growth


def share(began: float, **options: Any) -> Measured:
    found = watched(0.5, 0.6, **{"began": began, "sent": 200, "visible": 200, "complete": True, **options})
    found.certain = True
    return found


def test_shares_add_up_on_the_clock_of_the_first() -> None:
    first = share(1000.0, drain=1.0, whole=12.0, backlog=[Sample(0.0, 1)], progress=[Progress(0.0, 0, 0)])
    second = share(1002.0, drain=3.0, whole=12.0, refused={"429": 2}, lost=1, lost_ids=["b"])
    second.backlog = [Sample(0.0, 4), Sample(1.0, 6)]
    second.progress = [Progress(0.0, 0, 0), Progress(1.0, 10, 8)]
    second.phases = [("send", 0.0, 8.0)]
    found = merge([second, first])
    assert (found.shares, found.traces, found.sent, found.lost) == (2, 200, 400, 1)
    assert found.refused == {"429": 2}
    assert (found.began, found.sending, found.drain, found.whole) == (1000.0, 10.0, 3.0, 14.0)
    assert [sample.at for sample in found.backlog] == [2.0, 3.0]
    assert found.progress[-1] == Progress(3, 10, 8)
    assert found.phases == [("send", 2.0, 10.0)]
    assert found.latencies["visible"].count == 200
    assert found.merged


def test_together_shares_are_drained_and_complete_only_where_each_is() -> None:
    found = merge([share(1000.0, drain=1.0), share(1000.0, drain=None, complete=False)])
    assert found.drain is None
    assert not found.complete


@pytest.mark.parametrize(
    ("shares", "words"),
    [([], "no share to merge"), ([share(1.0), share(1.0, runs_per_trace=3)], "not of one load")],
)
def test_shares_that_make_no_load_are_refused(shares: list[Measured], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        merge(shares)


@pytest.mark.parametrize(
    ("rate", "threshold", "duration", "expected"),
    [(None, 60, 60, 1), (1, 60, 60, 1), (100, 60, 600, 6), (1000, 60, 600, 60), (1000, 60, 5, 5)],
)
def test_so_many_traces_are_watched_that_all_have_room(
    rate: float | None, threshold: float, duration: float, expected: int
) -> None:
    found = stride(rate, threshold, duration)
    assert found == expected
    assert (rate or 0) * min(threshold, duration) <= WATCHED_MOST * found


@pytest.mark.parametrize(("took", "expected"), [(0.0, QUERY_SECONDS), (0.01, QUERY_SECONDS), (2.0, 6.0)])
def test_an_installation_that_reads_slowly_is_asked_less_often(took: float, expected: float) -> None:
    assert pause(took) == expected


def samples(*pending: int | None, retry: int | None = 0, active: int | None = 0) -> list[Sample]:
    return [Sample(float(at), count, retry, active) for at, count in enumerate(pending)]


@pytest.mark.parametrize(
    ("found", "last_sighting", "expected"),
    [
        (samples(0, 0, 0, 0, 0, 0, 0, 0, 0, 0), 1.0, True),
        (samples(0, 0, 0, 0, 0, 0, 0, 0, 0, 0), 9.0 - SETTLE_SECONDS, False),
        (samples(0, 0, 0, 0, 0, 0, 1, 0, 0, 0), 1.0, False),
        (samples(5, 4, 3, 2, 1, 0, 0, 0, 0, 0), 1.0, False),
        (samples(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, active=None), 1.0, False),
        (samples(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, retry=2), 1.0, False),
        (samples(0, 0, 0), 1.0, False),
        ([], 1.0, False),
    ],
)
def test_what_is_missing_is_lost_once_the_queue_stayed_empty_and_nothing_came(
    found: list[Sample], last_sighting: float, expected: bool
) -> None:
    assert settled(found, last_sighting, now=9.0) is expected
