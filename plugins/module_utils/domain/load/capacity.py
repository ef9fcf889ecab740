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
#: The part of the traces that were due which has to leave, and of those that left which has to be accepted for a rate
#: that does not hold to be worth another try.
SENT_LEAST = 0.95
#: Seconds that the sender itself may be behind at p95 before its figures count as too low.
LATE_MOST = 1.0
#: The part of a load's duration that its shares may begin apart: beyond it they did not send the rate together.
APART_MOST = 0.2
#: The part of a core beyond which one process of Python has no more to give.
CORE_MOST = 0.7
#: Traces that have to be watched in the first and the last quarter before their difference says something.
GROWTH_WATCHED = 10


def next_rate(steps: Sequence[Step], first: float) -> float | None:
    """The rate to try after these; ``None`` when the search is over."""
    if not steps:
        return first
    last = steps[-1]
    if last.blip and last.rate not in [step.rate for step in steps[:-1]]:
        return last.rate
    held, broken = _rates(steps, holding=True), _rates(steps, holding=False)
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
    limit = min(_rates(steps, holding=False), default=float("inf"))
    return max((rate for rate in _rates(steps, holding=True) if rate < limit), default=None)


def limit(steps: Sequence[Step]) -> Step | None:
    """The lowest rate that did not hold; ``None`` where all did, or it was the sender or the reading that did not."""
    broken = [step for step in steps if step.rate in _rates(steps, holding=False)]
    lowest = min(broken, key=lambda step: step.rate, default=None)
    return None if lowest is None or lowest.sender or lowest.unsure else lowest


def is_found(steps: Sequence[Step]) -> bool:
    """Whether a search came as near to the capacity as it goes."""
    held, broken = capacity(steps), limit(steps)
    return held is not None and broken is not None and broken.rate / held <= CLOSE_ENOUGH


def _rates(steps: Sequence[Step], *, holding: bool) -> list[float]:
    """The rates that held, or those that did not. What a rate that was tried again came to is what counts."""
    return [rate for rate, holds in {step.rate: step.holds for step in steps}.items() if holds is holding]


def judge_step(rate: float, measured: Measured, visible_p95: float) -> Step:
    """What one rate of a search came to."""
    reason, p95 = breach(measured, visible_p95), measured.latencies["visible"].percentile(95)
    unsure = bool(reason) and not breach(measured, visible_p95, certain=True)
    reason += f", and reading may tell it {measured.resolution:.2f} s too late" if unsure else ""
    accepted = measured.accepted / measured.runs_per_trace
    sent = measured.traces >= SENT_LEAST * (measured.traces + measured.unsent_traces)
    return Step(
        round(rate, 3),
        not reason,
        reason or f"visible p95 {p95:.2f} s",
        round(accepted / (measured.sending or 1.0), 3),
        p95,
        growth_if_watched(measured),
        sender=bool(shortfall(measured)) and is_busy(measured),
        blip=bool(_refused(measured)) and sent and accepted >= SENT_LEAST * measured.traces,
        unsure=unsure,
    )


def breach(measured: Measured, visible_p95: float, *, certain: bool = False) -> str:
    """Why an installation does not hold a load; empty where it does.

    It does where nothing is refused or lost, all of it was sent at its rate, and it became visible in time and no
    slower with time. ``certain`` leaves out what may only seem so, as the watching was too coarse.
    """
    p95, growth = measured.latencies["visible"].percentile(95), growth_if_watched(measured)
    gone, refused = missing(measured), _refused(measured)
    checks = (
        (refused > 0, f"{refused} runs were not accepted"),
        (bool(shortfall(measured)), shortfall(measured)),
        (measured.lost > 0, f"{measured.lost} accepted runs are missing"),
        (gone > 0, f"about {gone} traces did not become visible"),
        (p95 is None, "too few traces became visible to tell a p95"),
        (is_late(measured, visible_p95, certain=certain), f"visible p95 {p95 or 0.0:.2f} s is above {visible_p95:g} s"),
        (grows(measured, certain=certain), f"the way to visible grew by {growth or 0.0:.2f} s per second of sending"),
    )
    return next((reason for broken, reason in checks if broken), "")


def is_late(measured: Measured, visible_p95: float, *, certain: bool = False) -> bool:
    """Whether p95 to visible is above the threshold, or ``certain`` to be."""
    p95 = measured.latencies["visible"].percentile(95)
    return p95 is not None and p95 - certain * measured.resolution > visible_p95


def grows(measured: Measured, *, certain: bool = False) -> bool:
    """Whether the way to visible grew more than it may, or is ``certain`` to have."""
    growth = growth_if_watched(measured)
    return growth is not None and growth - certain * measured.growth_resolution > GROWTH_MOST


def shortfall(measured: Measured) -> str:
    """Why a load did not leave at the rate that was asked for; empty where it did, or where none was."""
    if is_apart(measured):
        return f"its shares began {measured.apart:.0f} s apart, which is another load"
    if measured.offered_rate is None:
        return ""
    due, late = measured.traces + measured.unsent_traces, measured.latencies["late"].percentile(95)
    if measured.traces < SENT_LEAST * due:
        return f"{measured.traces} of {due} traces left in time"
    if late is not None and late > LATE_MOST + (1 - SENT_LEAST) * measured.duration:
        return f"traces left {late:.1f} s late at p95 in a load of {measured.duration:g} s"
    return ""


def is_apart(measured: Measured) -> bool:
    """Whether its shares did not send together."""
    return measured.apart > APART_MOST * measured.duration


def is_busy(measured: Measured) -> bool:
    """Whether the sender's own processes were at their limit."""
    return core(measured) > CORE_MOST


def core(measured: Measured) -> float:
    """The part of a core that each share of a load took for sending."""
    return measured.cpu / measured.sending / measured.shares if measured.sending else 0.0


def missing(measured: Measured) -> int:
    """Accepted traces that did not become visible while they were watched for, as projected from those that were."""
    return max(measured.latencies["visible"].missing - measured.unsent_traces, 0)


def _refused(measured: Measured) -> int:
    return sum(measured.refused.values()) + sum(measured.unanswered.values())


def growth_if_watched(measured: Measured) -> float | None:
    """The growth of a measurement; ``None`` where too few traces were watched to tell it from chance."""
    counts = [measured.latencies[name].count for name in ("first_quarter", "last_quarter")]
    return measured.growth if min(counts) >= GROWTH_WATCHED * measured.one_in else None
