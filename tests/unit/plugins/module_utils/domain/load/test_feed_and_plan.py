# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.langsmith.aws.plugins.module_utils.domain.errors import RefusedError
from ansible_collections.langsmith.aws.plugins.module_utils.domain.langsmith import parse_endpoint
from ansible_collections.langsmith.aws.plugins.module_utils.domain.load.feed import (
    GRACE_SECONDS,
    WINDOW_SECONDS,
    Batch,
    ClosedLoop,
    Feed,
    OpenLoop,
    Sizes,
    feed,
    start_after,
)
from ansible_collections.langsmith.aws.plugins.module_utils.domain.load.ids import Ids
from ansible_collections.langsmith.aws.plugins.module_utils.domain.load.options import (
    REQUEST_BYTES,
    RUNS_PER_REQUEST,
    Payload,
    Settings,
    refuse_shared_search,
    refuse_unlisted,
    settings,
)
from ansible_collections.langsmith.aws.plugins.module_utils.domain.load.plan import plan
from ansible_collections.langsmith.aws.plugins.module_utils.domain.load.schedule import Arrivals

IDS = Ids(1, 2)
SMALL = Sizes((Payload(1),), 5)


def drain(source: Feed, step: float) -> list[Batch]:
    """All batches of a sender that comes back so many seconds after it may send."""
    now, found = 0.0, []
    while (batch := source.next(now)) is not None:
        found.append(batch)
        now = max(now, batch.send_at) + step
    return found


@pytest.mark.parametrize("step", [0.0, 0.01, 0.02])
@pytest.mark.parametrize("rate", [1.0, 7.0, 90.0, 700.0])
def test_an_open_loop_sends_every_trace_once_and_none_before_it_is_due(rate: float, step: float) -> None:
    arrivals = Arrivals(rate, 4)
    batches = drain(OpenLoop(arrivals, SMALL), step)
    sent = [position for batch in batches for position in range(batch.first, batch.first + batch.count)]
    assert sent == list(range(arrivals.total))
    assert all(batch.send_at == arrivals.due(batch.first + batch.count - 1) for batch in batches)
    assert all(batch.count * 5 <= RUNS_PER_REQUEST for batch in batches)


def test_traces_due_within_a_window_travel_together() -> None:
    batches = drain(OpenLoop(Arrivals(100, 1), SMALL), 0.0)
    assert {batch.count for batch in batches[:-1]} == {10}
    assert all(batch.send_at - batch.first / 100 <= WINDOW_SECONDS for batch in batches)


def test_a_sender_that_is_behind_takes_all_that_is_due_up_to_a_request() -> None:
    source = OpenLoop(Arrivals(100, 10), SMALL)
    assert source.next(0.15) == Batch(0, 15, 0.14)
    assert source.next(9.0) == Batch(15, 20, 0.34)


def test_a_sender_that_is_too_late_leaves_the_rest_unsent() -> None:
    source = OpenLoop(Arrivals(10, 2), SMALL)
    source.next(0.0)
    assert source.next(2 + GRACE_SECONDS + 0.1) is None
    assert source.unsent == 19


def test_a_closed_loop_sends_full_requests_until_its_time_or_its_traces_are_over() -> None:
    source = ClosedLoop(10, 45, SMALL)
    assert [source.next(0.0), source.next(3.0), source.next(9.9)] == [
        Batch(0, 20, 0.0),
        Batch(20, 20, 3.0),
        Batch(40, 5, 9.9),
    ]
    assert source.next(9.9) is None
    assert ClosedLoop(10, 45, SMALL).next(10.0) is None


def test_latency_counts_from_due_in_the_open_loop_and_from_sending_in_the_closed() -> None:
    assert OpenLoop(Arrivals(2, 10), SMALL, first=100).due(104, sent=7.0) == 2.0
    assert ClosedLoop(10, 100, SMALL).due(4, sent=7.0) == 7.0


def test_sizes_come_in_the_proportions_of_their_weights() -> None:
    sizes = Sizes((Payload(1, 6), Payload(10, 3), Payload(100, 1)), 1)
    counts = [0, 0, 0]
    for position in range(10_000):
        counts[sizes.of(position)] += 1
    assert counts == pytest.approx([6000, 3000, 1000], abs=30)


def test_a_request_stays_below_its_bytes() -> None:
    sizes = Sizes((Payload(3000),), 1)
    assert sizes.fitting(0, 50) == REQUEST_BYTES // (3001 * 1024)


@pytest.mark.parametrize(("options", "kind"), [({"rate": 5.0}, OpenLoop), ({"concurrency": 3}, ClosedLoop)])
def test_a_load_has_the_feed_that_it_asks_for(options: dict[str, Any], kind: type) -> None:
    assert isinstance(feed(Settings(IDS, **options), SMALL), kind)


def test_shares_of_a_closed_loop_keep_the_bound_together() -> None:
    loads = [Settings(IDS, concurrency=1, traces_max=10, index=index, of=3) for index in range(3)]
    assert sum(sum(batch.count for batch in drain(feed(load, SMALL), 0.0)) for load in loads) == 10


def test_connections_of_a_closed_loop_begin_one_after_another_in_the_ramp() -> None:
    load = Settings(IDS, concurrency=4, ramp=8, duration=20)
    assert [start_after(load, sender) for sender in range(4)] == [0, 2, 4, 6]
    assert start_after(Settings(IDS, rate=4, ramp=8), 3) == 0


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "give rate, concurrency or find_capacity"),
        ({"rate": 1.0, "concurrency": 1}, "not both"),
        ({"rate": 0.0}, "traces per second above 0"),
        ({"rate": 1e300}, "traces per second above 0"),
        ({"rate": 1.0, "drain_timeout": 1e300}, "seconds above 0"),
        ({"rate": 1.0, "visible_p95": -1.0}, "visible_p95: give seconds above 0"),
        ({"rate": 1.0, "payload": [{"kib": float("nan")}]}, "kib nan is no number"),
        ({"rate": 1.0, "duration": 0.0}, "seconds above 0"),
        ({"rate": 1.0, "ramp": 61.0}, "ramp goes from 0 to duration"),
        ({"rate": 1.0, "runs_per_trace": 101}, "runs_per_trace goes from 1 to 100"),
        ({"rate": 1.0, "payload": [{"kib": 0}]}, "sizes and weights above 0"),
        ({"rate": 1.0, "payload": [{"kib": 4000}]}, "does not fit one request of 16 MiB"),
        ({"rate": 1.0, "index": 1, "of": 1}, "index goes from 0 to of - 1"),
        ({"rate": 1.0, "traces_max": 0}, "give 1 or more"),
        ({"concurrency": 500}, "concurrency goes from 1 to 256"),
        ({"rate": 1.0, "seed": "x"}, "is not of the form"),
    ],
)
def test_options_that_make_no_load_are_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        settings(options, IDS)


def test_a_search_is_planned_for_all_shares_and_sent_by_none_of_them_alone() -> None:
    search = settings({"find_capacity": True, "of": 2}, IDS)
    assert "rates that are looked for" in " ".join(plan(search, "https://langsmith.example.org", 30)["says"])
    with pytest.raises(ValueError, match="no share of a load sees"):
        refuse_shared_search(search)
    refuse_shared_search(settings({"find_capacity": True}, IDS))
    refuse_shared_search(settings({"rate": 1.0, "of": 2}, IDS))


def test_options_that_were_not_given_take_their_defaults() -> None:
    found = settings({"rate": 2.0, "ramp": None, "payload": None, "seed": None}, IDS, keep=True)
    assert found == Settings(IDS, rate=2.0, keep=True)


def test_a_seed_goes_before_new_ids() -> None:
    assert settings({"rate": 1.0, "seed": Ids(5, 6).seed}, IDS).ids == Ids(5, 6)


@pytest.mark.parametrize("listed", ["https://langsmith.example.org", "https://langsmith.example.org/api/v1"])
def test_an_endpoint_of_the_inventory_may_be_loaded(listed: str) -> None:
    refuse_unlisted(parse_endpoint("https://langsmith.example.org/"), ["https://other.example.org", listed])


@pytest.mark.parametrize("listed", [[], ["https://langsmith.example.org:8443"], ["http://langsmith.example.org"]])
def test_an_endpoint_outside_the_inventory_is_refused(listed: list[str]) -> None:
    with pytest.raises(RefusedError, match=r"https://langsmith\.example\.org may not be loaded"):
        refuse_unlisted(parse_endpoint("https://langsmith.example.org"), listed)


@pytest.mark.parametrize(
    ("options", "traces", "seconds", "words"),
    [
        ({"rate": 100.0, "duration": 60.0}, 6000, 725, "6000 traces of 5 runs, 95.2 MiB"),
        ({"rate": 100.0, "traces_max": 50}, 50, 725, "traces_max ends the load before its time"),
        ({"concurrency": 4, "traces_max": 500}, 500, 725, "500 traces at most"),
        ({"find_capacity": True, "steps_max": 3, "traces_max": 900}, 900, 1515, "in 3 steps of 60 s at most"),
    ],
)
def test_a_plan_tells_what_will_be_sent_at_most(
    options: dict[str, Any], traces: int, seconds: float, words: str
) -> None:
    found = plan(Settings(IDS, **options), "https://langsmith.example.org", 30)
    assert (found["traces"], found["runs"], found["seconds_max"]) == (traces, traces * 5, seconds)
    assert words in " ".join(found["says"])
    assert found["seed"] == IDS.seed


def test_a_load_that_its_bound_ends_is_as_long_as_what_is_sent_is_due() -> None:
    assert OpenLoop(Arrivals(100, 60, most=1000), SMALL).seconds == 10.0
    assert OpenLoop(Arrivals(100, 60, ramp=10, most=1000), SMALL).seconds == 15.0
    assert OpenLoop(Arrivals(100, 60, most=1000, index=1, of=4), SMALL).seconds == 10.0
    assert OpenLoop(Arrivals(100, 60, most=6000), SMALL).seconds == 60
    assert ClosedLoop(10, 45, SMALL).seconds == 10


def test_a_search_does_not_rise_for_most_of_a_step() -> None:
    settings({"find_capacity": True, "duration": 8.0, "ramp": 2.0}, IDS)
    with pytest.raises(ValueError, match="a ramp of find_capacity goes to duration / 4"):
        settings({"find_capacity": True, "duration": 8.0, "ramp": 3.0}, IDS)
    settings({"rate": 5.0, "duration": 8.0, "ramp": 8.0}, IDS)
