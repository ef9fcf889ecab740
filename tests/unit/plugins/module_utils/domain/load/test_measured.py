# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.langsmith.aws.plugins.module_utils.domain.load.capacity import (
    CLOSE_ENOUGH,
    breach,
    capacity,
    growth_if_watched,
    is_found,
    judge_step,
    limit,
    next_rate,
    shortfall,
)
from ansible_collections.langsmith.aws.plugins.module_utils.domain.load.feed import Sizes
from ansible_collections.langsmith.aws.plugins.module_utils.domain.load.measured import (
    Measured,
    Progress,
    Sample,
    Step,
    merge,
)
from ansible_collections.langsmith.aws.plugins.module_utils.domain.load.options import Payload
from ansible_collections.langsmith.aws.plugins.module_utils.domain.load.watching import (
    QUERY_SECONDS,
    SETTLE_SECONDS,
    WATCHED_MOST,
    chosen,
    is_pass_long,
    pause,
    settled,
    stride,
)
from ansible_collections.langsmith.aws.plugins.module_utils.domain.load_class import carried_class, needed_class


def measured(**options: Any) -> Measured:
    return Measured(
        **{"began": 1000.0, "offered_rate": 10.0, "runs_per_trace": 2, "duration": 8.0, "sending": 8.0, **options}
    )


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
        (watched(0.5, 0.6, unsent_traces=20), False, "100 of 120 traces left in time"),
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


@pytest.mark.parametrize(
    ("traces", "took", "threshold", "expected"),
    [
        (1000, 0.02, 60, False),
        (1000, 0.1, 60, True),
        (200, 0.3, 60, False),
        (200, 0.3, 5, True),
        # A pass of one query is as short as it gets.
        (100, 10.0, 5, False),
        # None is looked at again any sooner.
        (200, 0.02, 1, False),
    ],
)
def test_fewer_are_watched_where_a_pass_over_them_takes_long_beside_the_threshold(
    traces: int, took: float, threshold: float, expected: bool
) -> None:
    assert is_pass_long(traces, took, threshold) is expected


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


@pytest.mark.parametrize(("one_in", "part"), [(2, 0.5), (89, 0.5), (144, 0.5), (610, 0.5), (1024, 0.5)])
def test_a_sample_has_all_sizes_and_places_from_its_beginning_on(one_in: int, part: float) -> None:
    sizes = Sizes((Payload(1), Payload(100)), 5)
    sample = [position for position in range(400 * one_in) if chosen(position * 5, one_in)]
    assert len(sample) == pytest.approx(400, rel=0.25)
    for half in (sample[: len(sample) // 2], sample[len(sample) // 2 :]):
        assert sum(sizes.of(position) for position in half) / len(half) == pytest.approx(part, abs=0.12)
    assert len({position % 20 for position in sample}) == 20
    assert all(chosen(position * 5, one_in // 2) for position in sample if one_in % 2 == 0)


def test_a_growth_is_told_only_where_enough_was_watched_and_not_where_few_count_for_many() -> None:
    assert growth_if_watched(watched(0.5, 2.0)) == pytest.approx(0.25, rel=0.02)
    assert growth_if_watched(watched(0.5, 2.0, one_in=8)) is None


@pytest.mark.parametrize(
    ("found", "words", "unsure"),
    [
        (watched(0.5, 9.0, resolution=3.9, duration=60.0), "visible p95 9.00 s is above 5 s", False),
        (watched(0.5, 9.0, resolution=4.1, duration=600.0), "9.00 s is above 5 s, and reading may tell it 4.10", True),
        (watched(0.5, 2.0, resolution=0.8), "grew by 0.25 s per second", False),
        (watched(0.5, 2.0, resolution=1.0), "grew by 0.25 s per second of sending, and reading may", True),
        (watched(0.5, 9.0, resolution=50.0, refused={"429": 4}), "4 runs were not accepted", False),
        (watched(0.5, 0.6, resolution=50.0), "visible p95 0.60 s", False),
    ],
)
def test_a_rate_that_only_slow_reading_may_make_too_slow_is_no_limit(found: Measured, words: str, unsure: bool) -> None:
    judged = judge_step(20.0, found, visible_p95=5.0)
    assert words in judged.reason
    assert judged.unsure is unsure
    assert limit([judged]) == (None if judged.holds or unsure else judged)


def test_growth_is_by_the_time_in_which_traces_were_due_however_long_it_took_to_send_them() -> None:
    found = watched(0.5, 2.0, sending=16.0)
    assert found.growth == pytest.approx(0.25, rel=0.02)


def test_shares_are_laid_on_one_clock_from_when_each_began_to_send() -> None:
    # The second was slow to begin, and both were drained at the same moment.
    found = merge([share(1000.0, lead=1.0, drain=4.0), share(1000.0, lead=3.0, drain=2.0)])
    assert (found.lead, found.apart, found.sending, found.drain) == (1.0, 2.0, 10.0, 2.0)


def test_a_share_that_could_send_nothing_began_nothing() -> None:
    assert merge([share(1000.0, lead=1.0), share(1030.0, sending=0.0, duration=0.0)]).apart == 0


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, ""),
        ({"traces": 96, "unsent_traces": 4}, ""),
        ({"traces": 94, "unsent_traces": 6}, "94 of 100 traces left in time"),
        ({"apart": 2.0}, "its shares began 2 s apart"),
        ({"apart": 1.5}, ""),
        ({"traces": 94, "unsent_traces": 6, "offered_rate": None}, ""),
    ],
)
def test_a_rate_was_sent_where_nearly_all_left_and_the_shares_sent_together(
    options: dict[str, Any], words: str
) -> None:
    found = shortfall(watched(0.5, 0.6, **options))
    assert words in found
    assert bool(found) is bool(words)


def test_a_rate_was_not_sent_where_it_took_longer_than_it_should() -> None:
    # 100 traces in 9.4 s rather than in 8 s, each a little later than the one before.
    found = watched(0.5, 0.6)
    for number in range(100):
        found.latencies["late"].add(number * 0.0145)
    assert shortfall(found) == ""
    for number in range(100):
        found.latencies["late"].add(number * 0.045)
    assert "late at p95" in shortfall(found)


@pytest.mark.parametrize(
    ("options", "missing", "words"),
    [
        ({"lost": 2}, 0, "2 accepted runs are missing"),
        ({}, 3, "about 3 traces did not become visible"),
        ({"unsent_traces": 3}, 3, ""),
        ({"apart": 4.0}, 0, "its shares began 4 s apart"),
    ],
)
def test_a_load_that_was_lost_or_not_sent_does_not_hold(options: dict[str, Any], missing: int, words: str) -> None:
    found = watched(0.5, 0.6, **options)
    found.latencies["visible"].missing = missing
    assert words in breach(found, 5.0)
    assert bool(breach(found, 5.0)) is bool(words)


def test_a_rate_that_the_sender_could_not_send_is_not_above_what_the_installation_holds() -> None:
    found = judge_step(20.0, watched(0.5, 0.6, unsent_traces=50, cpu=7.9), visible_p95=5.0)
    assert (found.holds, found.sender) == (False, True)
    assert limit([step(10, True), found]) is None
    assert not is_found([step(19, True), found])


def tried(*held: tuple[float, bool, bool]) -> list[Step]:
    return [Step(rate, holds, "", rate, 1.0, None, blip=blip) for rate, holds, blip in held]


def test_a_rate_where_few_runs_were_refused_is_tried_once_more_and_counts_by_what_comes_then() -> None:
    assert judge_step(20.0, watched(0.5, 0.6, accepted=192, refused={"503": 8}), 5.0).blip
    assert not judge_step(20.0, watched(0.5, 0.6, accepted=100, refused={"503": 100}), 5.0).blip
    assert next_rate(tried((40, False, True)), 40) == 40
    assert next_rate(tried((40, False, True), (40, True, False)), 40) == 80
    assert capacity(tried((40, False, True), (40, True, False))) == 40
    assert next_rate(tried((40, False, True), (40, False, True)), 40) == 20


@pytest.mark.parametrize(
    ("steps", "found"), [([(10, True), (11, False)], True), ([(10, True), (20, False)], False), ([(10, True)], False)]
)
def test_a_capacity_is_found_once_the_next_rate_that_does_not_hold_is_near(
    steps: list[tuple[float, bool]], found: bool
) -> None:
    assert is_found([step(*one) for one in steps]) is found
