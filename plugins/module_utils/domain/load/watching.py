# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which traces of a load are watched until they can be read, and whether what is missing can still come."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ansible_collections.langsmith.aws.plugins.module_utils.domain.load.measured import Sample

#: Ids of one query, which is as many as LangSmith answers on one page.
IDS_PER_QUERY = 100
#: Traces that are watched at a time, so that reading stays a small part of the load: ten queries a pass.
WATCHED_MOST = 1000
#: Seconds between two queries of the watcher, and at least between two looks at the same trace.
QUERY_SECONDS = 0.1
LOOK_SECONDS = 0.25
#: A pause between two queries is so many times as long as the last one took, so that reading takes at most a quarter
#: of one connection's time from an installation that is slow at it.
QUERY_REST = 3.0
#: The part of the threshold that a pass over all watched traces may take, as no latency is known any better.
PASS_MOST = 0.05
#: Seconds that the queue has to be empty, with nothing new to be seen, until what is missing counts as lost: longer
#: than asynchronous inserts of ClickHouse wait at most unless configured otherwise.
SETTLE_SECONDS = 5.0


def stride(rate: float | None, visible_p95: float, duration: float) -> int:
    """Of how many traces one is watched at first, so that there is room for all of those up to the threshold.

    Without a rate, as in a closed loop, all are, until there is no more room.
    """
    if rate is None:
        return 1
    return max(1, math.ceil(rate * min(visible_p95, duration) / WATCHED_MOST))


def chosen(number: int, one_in: int) -> bool:
    """Whether a run is one of those that are watched, which is one of so many.

    It follows from the number alone and from nothing that comes in turns, as sizes and places in a request do. Twice
    ``one_in`` chooses half of the same.
    """
    mixed = number * 0x9E3779B1 & 0xFFFFFFFF
    mixed = (mixed ^ mixed >> 15) * 0x85EBCA77 & 0xFFFFFFFF
    mixed = (mixed ^ mixed >> 13) * 0xC2B2AE3D & 0xFFFFFFFF
    return (mixed ^ mixed >> 16) % one_in == 0


def pause(took: float) -> float:
    """Seconds until the next query after one that took so long."""
    return max(QUERY_SECONDS, QUERY_REST * took)


def is_pass_long(traces: int, took: float, visible_p95: float) -> bool:
    """Whether to watch fewer than so many traces, as a pass by queries that take so long each is a long one.

    As many as one query holds are looked at no more often by being fewer.
    """
    queries = math.ceil(traces / IDS_PER_QUERY)
    return queries > 1 and queries * (took + pause(took)) > max(LOOK_SECONDS, PASS_MOST * visible_p95)


def settled(samples: Sequence[Sample], last_sighting: float, now: float) -> bool:
    """Whether nothing can come any more: the queue was empty all through the last seconds, and nothing came of it."""
    begin = now - SETTLE_SECONDS
    recent = [sample for sample in samples if sample.at >= begin]
    earlier = [sample for sample in samples if sample.at < begin]
    return (
        last_sighting < begin
        and bool(earlier)
        and earlier[-1].empty
        and len(recent) > 1
        and all(sample.empty for sample in recent)
    )
