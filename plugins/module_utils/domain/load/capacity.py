# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Looks for the highest rate that an installation keeps up with, from what the rates before it led to."""

from __future__ import annotations

from collections.abc import Sequence

from ansible_collections.langsmith.aws.plugins.module_utils.domain.load.measured import Measured, Step
from ansible_collections.langsmith.aws.plugins.module_utils.domain.load.options import Settings
from ansible_collections.langsmith.aws.plugins.module_utils.domain.load.schedule import Arrivals

#: The rate that a search begins with unless it is told one, in traces per second: the writes of a low load.
FIRST_RATE = 10.0
#: From one rate to the next as long as all hold.
FACTOR = 2.0
#: The search ends when the lowest rate that does not hold is at most so many times the highest that does.
CLOSE_ENOUGH = 1.1
#: Seconds by which the way to visible may grow per second of sending: above it a step would not hold for longer.
GROWTH_MOST = 0.1
#: The part of the traces that were due which has to be accepted.
ACCEPTED_LEAST = 0.95
#: Traces that have to be watched in the first and the last quarter before their difference says something.
GROWTH_WATCHED = 10


def next_rate(steps: Sequence[Step], first: float) -> float | None:
    """The rate to try after these; ``None`` when the search is over."""
    held = [step.rate for step in steps if step.holds]
    broken = [step.rate for step in steps if not step.holds]
    if not steps:
        return first
    if not broken:
        return max(held) * FACTOR
    low, high = max((rate for rate in held if rate < min(broken)), default=0.0), min(broken)
    if low and high / low <= CLOSE_ENOUGH:
        return None
    if not low:
        return high / FACTOR if high / FACTOR >= first / FACTOR**6 else None
    return (low * high) ** 0.5


def step_after(load: Settings, steps: Sequence[Step], tried: int, traces: int) -> tuple[float | None, str]:
    """The rate of the search's next step; else None and, where a bound ends the search, which one that is.

    ``tried`` steps were sent so far, of which ``steps`` count, and ``traces`` in all of them.
    """
    rate = next_rate(steps, load.rate or FIRST_RATE)
    if rate is None:
        return None, ""
    if tried >= load.steps_max:
        return None, f"{tried} steps were made"
    if Arrivals(rate, load.duration, load.ramp).total > load.traces_max - traces:
        return None, f"{rate:g} traces/s for {load.duration:g} s would exceed traces_max {load.traces_max}"
    return rate, ""


def refuse_without_room(load: Settings) -> None:
    """Raises ``ValueError`` for a search whose bound does not hold its first step."""
    rate, bound = step_after(load, [], 0, 0) if load.find_capacity else (0.0, "")
    if rate is None:
        raise ValueError(f"load: nothing can be tried, as {bound}; raise traces_max, or begin with a lower rate")


def telling(steps: Sequence[Step]) -> int:
    """Which step's latencies are those of the search: the one that led to the capacity, else the last."""
    rate = capacity(steps)
    return next((place for place, step in enumerate(steps) if step.holds and step.rate == rate), len(steps) - 1)


def capacity(steps: Sequence[Step]) -> float | None:
    """The highest rate that held below every one that did not; ``None`` where none held."""
    limit = min((step.rate for step in steps if not step.holds), default=float("inf"))
    return max((step.rate for step in steps if step.holds and step.rate < limit), default=None)


def judge_step(rate: float, measured: Measured, visible_p95: float) -> Step:
    """Whether a rate holds: nothing refused or lost, enough accepted, visible in time and no slower with time."""
    seconds = measured.sending or 1.0
    accepted = measured.accepted / measured.runs_per_trace
    p95 = measured.latencies["visible"].percentile(95)
    growth = growth_if_watched(measured)
    due = measured.traces + measured.unsent_traces
    reason = ""
    if measured.refused or measured.unanswered:
        reason = f"{sum(measured.refused.values()) + sum(measured.unanswered.values())} runs were not accepted"
    elif accepted < ACCEPTED_LEAST * due:
        reason = f"{accepted:.0f} of {due} traces were accepted in time"
    elif p95 is None:
        reason = "too few traces became visible to tell a p95"
    elif p95 > visible_p95:
        reason = f"visible p95 {p95:.2f} s is above {visible_p95:g} s"
    elif growth is not None and growth > GROWTH_MOST:
        reason = f"the way to visible grew by {growth:.2f} s per second of sending"
    held = reason or f"visible p95 {p95:.2f} s"
    return Step(round(rate, 3), not reason, held, round(accepted / seconds, 3), p95, growth)


def growth_if_watched(measured: Measured) -> float | None:
    """The growth of a measurement; ``None`` where too few traces were watched to tell it from chance."""
    counts = [measured.latencies[name].count for name in ("first_quarter", "last_quarter")]
    return measured.growth if min(counts) >= GROWTH_WATCHED else None
