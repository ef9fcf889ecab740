# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the ingestion queue's counters and the workers' own times say."""

from __future__ import annotations

from typing import Literal

from ansible_collections.langsmith.aws.plugins.module_utils.domain.probe.evidence import Evidence, Latency, QueueSample
from ansible_collections.langsmith.aws.plugins.module_utils.domain.probe.layers import Blame

Trend = Literal["", "stuck", "draining", "retrying", "held", "empty", "unclear"]


def counters(evidence: Evidence) -> str:
    """The samples in a sentence; empty where none was told."""
    told = _told(evidence)
    if not told:
        return ""
    pending = ", ".join(f"{sample.pending} at {sample.at:.0f} s" for sample in _thinned(told))
    last = told[-1]
    rest = [f"{name} {value}" for name, value in (("active", last.active), ("retry", last.retry)) if value is not None]
    return "; ".join([f"pending {pending}", *rest])


def queue_trend(evidence: Evidence) -> Trend:
    """How the queue went while the probe waited; empty where it was not told twice.

    The first sample is from before the trace was sent. ``stuck``: it grew and nothing is taken. ``draining``: it is
    taken from, and not done. ``retrying``: it is taken from, and what was taken comes back. ``held``: a worker has the
    last of it in hand and does not finish. ``empty``: nothing is left of it anywhere.
    """
    told = _told(evidence)
    if len(told) < 2:
        return ""
    first = told[0]
    pending = [sample.pending or 0 for sample in told]
    if _grew(first.retry, [sample.retry for sample in told[1:]]):
        return "retrying"
    if pending[-1] == 0:
        return _at_rest(told, bool(stored_meanwhile(evidence)))
    if pending[-1] < max(pending) or stored_meanwhile(evidence):
        return "draining"
    return "stuck" if pending[-1] > pending[0] else "unclear"


def _at_rest(told: list[QueueSample], finished: bool) -> Trend:
    last, before = told[-1], told[0].active or 0
    # Tasks of others are in hand at any time on a busy installation, so only more than before and no progress tell.
    if (last.active or 0) > before and (told[-2].active or 0) > before and not finished:
        return "held"
    if last.retry is None:
        return "unclear"
    return "empty" if last.retry == 0 and not last.active else "unclear"


def slow_part(evidence: Evidence) -> Blame | None:
    """Whether runs wait for a worker or the worker for ClickHouse; ``None`` where nothing tells.

    The workers' own times decide. Without them, a queue that stays empty while a run is late says that a worker held
    it, and one in which tasks waited says that they waited for a worker.
    """
    waited, stored = (_mean(evidence, name) for name in ("waited", "stored"))
    if waited is not None and stored is not None:
        times = f"on average {waited:.1f} s until a worker took it, {stored:.1f} s until ClickHouse had it"
        # Runs wait while a worker is busy storing others, so a long wait beside a long storing is the storing's.
        if stored * 4 >= waited:
            return Blame("clickhouse-write", _taken(evidence), why=times)
        return Blame("backlog", f"ClickHouse takes what it is given: {times}") if stored * 10 <= waited else None
    told = _told(evidence)
    if len(told) < 3:
        return None
    pending = [sample.pending or 0 for sample in told[1:]]
    if max(pending) == 0 and any(sample.active for sample in told[1:]):
        return Blame("clickhouse-write", f"nothing waits for a worker: {counters(evidence)}")
    if all(pending[:-1]):
        return Blame("backlog", f"the workers take from the queue: {counters(evidence)}")
    return None


def _taken(evidence: Evidence) -> str:
    answer = evidence.get("post_small")
    return answer.describe() if answer is not None else ""


def _told(evidence: Evidence) -> list[QueueSample]:
    return [sample for sample in evidence.queue if sample.pending is not None]


def _thinned(told: list[QueueSample]) -> list[QueueSample]:
    return told if len(told) <= 4 else [told[0], told[len(told) // 3], told[2 * len(told) // 3], told[-1]]


def _grew(start: int | None, later: list[int | None]) -> bool:
    counts = [count for count in later if count is not None]
    # A task that is tried again leaves the counter for a moment, so most of the later samples decide.
    return start is not None and bool(counts) and sum(count > start for count in counts) * 2 > len(counts)


def stored_meanwhile(evidence: Evidence) -> float | None:
    """How many runs the workers stored while the probe waited; ``None`` where they do not tell."""
    gained = _span(evidence, "stored")
    return gained.count if gained is not None else None


def _mean(evidence: Evidence, name: str) -> float | None:
    span = _span(evidence, name)
    return span.seconds / span.count if span is not None and span.count > 0 else None


def _span(evidence: Evidence, name: str) -> Latency | None:
    """What a histogram gained over the probe; ``None`` where it was not read twice or began anew."""
    read = [value for sample in evidence.queue if (value := getattr(sample, name)) is not None]
    if len(read) < 2 or read[-1].count < read[0].count:
        return None
    return Latency(read[-1].seconds - read[0].seconds, read[-1].count - read[0].count)
