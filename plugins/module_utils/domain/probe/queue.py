# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the ingestion queue's counters and the workers' own times say."""

from __future__ import annotations

from typing import Literal

from ansible_collections.langsmith.aws.plugins.module_utils.domain.probe.evidence import Evidence, Latency, QueueSample
from ansible_collections.langsmith.aws.plugins.module_utils.domain.probe.layers import Blame

Trend = Literal["", "stuck", "growing", "draining", "retrying", "held", "empty", "unclear"]

#: Fewer tasks than these wait at any moment of a busy installation.
_MANY_TASKS = 10


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

    The first sample is from before the trace was sent. ``stuck``: it grew and no worker has anything in hand.
    ``growing``: it grew while workers have something in hand. ``draining``: it is taken from, and not done.
    ``retrying``: it is taken from, and what was taken comes back. ``held``: a worker has the last of it in hand and
    does not finish. ``empty``: nothing is left of it anywhere.
    """
    told = _told(evidence)
    if len(told) < 2:
        return ""
    first = told[0]
    pending = [sample.pending or 0 for sample in told]
    if _grew(first.retry, [sample.retry for sample in told[1:]]):
        return "retrying"
    if pending[-1] == 0:
        return _at_rest(told, stored_meanwhile(evidence))
    if pending[-1] < max(pending) or stored_meanwhile(evidence):
        return "draining"
    return _grown(told) if pending[-1] > pending[0] else "unclear"


def _grown(told: list[QueueSample]) -> Trend:
    # Others' tasks keep a queue growing in front of workers that work, so what they have in hand tells.
    in_hand = [sample.active for sample in told[1:][-2:]]
    if None in in_hand:
        return "unclear"
    return "growing" if any(in_hand) else "stuck"


def _at_rest(told: list[QueueSample], finished: float | None) -> Trend:
    last, before = told[-1], told[0].active or 0
    # Tasks of others are in hand at any time on a busy installation, so only more than before and no progress tell.
    # Where progress is not told, one moment with no more than before is progress.
    later = told[1:] if finished is None else told[-2:]
    if not finished and all((sample.active or 0) > before for sample in later):
        return "held"
    if last.retry is None:
        return "unclear"
    return "empty" if last.retry == 0 and not last.active else "unclear"


def slow_part(evidence: Evidence, seconds: float, limit: float) -> Blame | None:
    """Whether runs wait for a worker or the worker for ClickHouse; ``None`` where nothing tells.

    ``seconds`` is how long the run took or was waited for, of the ``limit`` that it may take. The workers' own times
    decide where they are long enough to explain that. Without them, a queue that stays empty while a run is late says
    that a worker held it, and one that is long and only gets shorter says that its tasks wait for a worker.
    """
    waited, stored = (_mean(evidence, name) for name in ("waited", "stored"))
    if waited is None or stored is None:
        return _by_the_queue(evidence)
    if waited + stored < min(seconds, limit) / 2:
        return None
    times = f"on average {waited:.1f} s until a worker took it, {stored:.1f} s until ClickHouse had it"
    # Runs wait while a worker is busy storing others, so a long wait beside a long storing is the storing's.
    if stored * 4 >= waited:
        return Blame("clickhouse-write", _taken(evidence), why=times)
    return Blame("backlog", f"ClickHouse takes what it is given: {times}") if stored * 10 <= waited else None


def slow_storing(evidence: Evidence, limit: float) -> Blame | None:
    """ClickHouse, where the workers' own times say that it takes long to have a run; ``None`` where they do not."""
    stored = _mean(evidence, "stored")
    if stored is None or stored < limit / 2:
        return None
    return Blame("clickhouse-write", _taken(evidence), why=f"on average {stored:.1f} s until ClickHouse had a run")


def _by_the_queue(evidence: Evidence) -> Blame | None:
    told = _told(evidence)
    if len(told) < 3:
        return None
    pending = [sample.pending or 0 for sample in told[1:]]
    if max(pending) == 0 and any(sample.active for sample in told[1:]):
        return Blame("clickhouse-write", f"nothing waits for a worker: {counters(evidence)}")
    if min(pending[:-1]) >= _MANY_TASKS and pending[-1] < pending[0] and pending == sorted(pending, reverse=True):
        return Blame("backlog", f"the workers take from the queue: {counters(evidence)}")
    return None


def has_passed(evidence: Evidence) -> bool:
    """Whether the workers stored more than waited and was in hand before the trace, so that its turn has been."""
    told = _told(evidence)
    if not told:
        return False
    before = (told[0].pending or 0) + max(sample.active or 0 for sample in told)
    return (stored_meanwhile(evidence) or 0) > before


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
