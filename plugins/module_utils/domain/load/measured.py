# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a load measured, as a share of a distributed one reports it; shares are added up to one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from ansible_collections.langsmith.aws.plugins.module_utils.domain.load.histogram import Histogram

#: Latencies that are counted. ``accepted`` and ``visible`` count from when a trace was due (open loop) or sent (closed
#: loop); ``late`` is from then to the sending; ``stored`` is what the server's own clocks say from received to
#: inserted; ``first_quarter`` and ``last_quarter`` are ``visible`` of the traces due in them.
LATENCIES = ("accepted", "visible", "late", "stored", "first_quarter", "last_quarter")

#: Ids that a result names.
SHOWN = 20


def latencies() -> dict[str, Histogram]:
    """An empty histogram for each latency."""
    return {name: Histogram() for name in LATENCIES}


@dataclass(frozen=True)
class Sample:
    """The ingestion queue's counters at a moment (seconds since the load began); ``None`` where one is not told."""

    at: float
    pending: int | None
    retry: int | None = None
    active: int | None = None

    @property
    def empty(self) -> bool:
        """Whether nothing is in the queue for certain. A counter that is missing proves nothing."""
        return self.pending == 0 and self.retry == 0 and self.active == 0


@dataclass(frozen=True)
class Progress:
    """Traces accepted and visible by a moment. ``visible`` is projected from the traces that were watched."""

    at: float
    accepted: float
    visible: float


@dataclass(frozen=True)
class Step:
    """One rate that a search for the capacity tried.

    Of one that does not hold, ``sender`` says that it was the sender that did not keep up, and ``blip`` that so little
    went wrong that the rate is worth another try. ``unsure`` says that it may hold, as reading was too slow to tell.
    """

    rate: float
    holds: bool
    reason: str
    accepted_rate: float
    visible_p95: float | None
    growth: float | None
    sender: bool = False
    blip: bool = False
    unsure: bool = False


@dataclass
class Measured:
    """One load, or one share of it, or all shares together.

    Counts are runs unless their name says traces. ``began`` is the wall clock's seconds since 1970. ``duration``,
    ``lead``, ``sending``, ``drain`` and ``whole`` are seconds: how long was to be sent, from ``began`` until that
    began, how long it took, from then until everything was visible (``None``: it never was), and all together.
    ``complete`` says that every id was looked up at the end. ``certain`` says that the queue was empty, so what was not
    visible is lost and not late. ``watched`` traces are those that ``visible`` and the quarters know, which count for
    the others, each for ``one_in`` at most, and are told up to ``resolution`` seconds too late. ``merged`` says that
    several shares were expected, which began to send within ``apart`` seconds.
    """

    began: float
    offered_rate: float | None
    runs_per_trace: int
    duration: float = 0.0
    lead: float = 0.0
    traces: int = 0
    unsent_traces: int = 0
    sent: int = 0
    accepted: int = 0
    refused: dict[str, int] = field(default_factory=dict)
    unanswered: dict[str, int] = field(default_factory=dict)
    visible: int = 0
    lost: int = 0
    duplicates: int = 0
    stored_unaccepted: int = 0
    lost_ids: list[str] = field(default_factory=list)
    duplicate_ids: list[str] = field(default_factory=list)
    requests: int = 0
    body_bytes: int = 0
    sending: float = 0.0
    drain: float | None = None
    whole: float = 0.0
    complete: bool = False
    certain: bool = False
    cpu: float = 0.0
    watched: int = 0
    one_in: int = 1
    resolution: float = 0.0
    latencies: dict[str, Histogram] = field(default_factory=latencies)
    backlog: list[Sample] = field(default_factory=list)
    progress: list[Progress] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    phases: list[tuple[str, float, float]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    interrupted: str = ""
    projects: list[dict[str, Any]] = field(default_factory=list)
    shares: int = 1
    merged: bool = False
    apart: float = 0.0

    @property
    def growth(self) -> float | None:
        """Seconds that the way to visible grew longer per second of sending; ``None`` where too little was watched.

        Above 0 the installation takes in more than it stores. At an offered rate r and a stored rate s it is r/s - 1.
        """
        first, last = (self.latencies[name].percentile(50) for name in ("first_quarter", "last_quarter"))
        if first is None or last is None or self.duration <= 0:
            return None
        return (last - first) / self._quarters_apart

    @property
    def growth_resolution(self) -> float:
        """By how much the growth may be told too high."""
        return self.resolution / self._quarters_apart if self.duration > 0 else 0.0

    @property
    def _quarters_apart(self) -> float:
        """Seconds from the middle of the first quarter to that of the last, by when their traces were due."""
        return 0.75 * self.duration

    def to_dict(self) -> dict[str, Any]:
        """All of it as JSON has it."""
        found = {name: value for name, value in self.__dict__.items() if name not in ("latencies",)}
        found["latencies"] = {name: one.to_dict() for name, one in self.latencies.items()}
        for name in ("backlog", "progress", "steps"):
            found[name] = [asdict(one) for one in found[name]]
        found["phases"] = [list(phase) for phase in self.phases]
        return found

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Measured:
        """What ``to_dict`` wrote. Raises ``TypeError``, ``ValueError`` or ``KeyError`` for anything else."""
        found = dict(document)
        found["latencies"] = {name: Histogram.from_dict(document["latencies"][name]) for name in LATENCIES}
        found["backlog"] = [Sample(**one) for one in document["backlog"]]
        found["progress"] = [Progress(**one) for one in document["progress"]]
        found["steps"] = [Step(**one) for one in document["steps"]]
        found["phases"] = [tuple(phase) for phase in document["phases"]]
        return cls(**found)


_SUMS = (
    *("traces", "unsent_traces", "sent", "accepted", "visible", "lost", "duplicates", "stored_unaccepted"),
    *("requests", "body_bytes", "cpu", "watched", "shares"),
)


def merge(shares: Sequence[Measured]) -> Measured:
    """One measurement out of those of a load's shares. Raises ``ValueError`` without any.

    Times are laid on the clock of the share that began first, so the shares' machines have to agree on the time.
    """
    if not shares:
        raise ValueError("there is no share to merge; look at the logs of the load's pods")
    if len({share.runs_per_trace for share in shares}) > 1:
        raise ValueError("the shares are not of one load: they differ in runs_per_trace")
    began = min(share.began for share in shares)
    whole = Measured(
        began=began, offered_rate=_offered(shares), runs_per_trace=shares[0].runs_per_trace, shares=0, merged=True
    )
    for share in shares:
        _add(whole, share)
    starts = [share.began - began + share.lead for share in shares]
    ends = [start + share.sending for share, start in zip(shares, starts, strict=True)]
    # One that could send nothing began nothing.
    sending = [start for share, start in zip(shares, starts, strict=True) if share.sending] or starts
    whole.lead, whole.apart = min(sending), max(sending) - min(sending)
    whole.duration = max(share.duration for share in shares)
    whole.sending = max(ends) - whole.lead
    whole.whole = max(share.began - began + share.whole for share in shares)
    known = [end + share.drain for share, end in zip(shares, ends, strict=True) if share.drain is not None]
    whole.drain = max(known) - max(ends) if len(known) == len(shares) else None
    whole.one_in = max(share.one_in for share in shares)
    whole.resolution = max(share.resolution for share in shares)
    whole.complete = all(share.complete for share in shares)
    whole.certain = all(share.certain for share in shares)
    whole.interrupted = "; ".join(dict.fromkeys(share.interrupted for share in shares if share.interrupted))
    # They look at one queue, so one share's view of it is all of it.
    seer = max(shares, key=lambda share: len(share.backlog))
    whole.backlog = [Sample(one.at + seer.began - began, one.pending, one.retry, one.active) for one in seer.backlog]
    whole.progress = _progress(shares, began)
    whole.phases = _phases(shares, began)
    return whole


def in_turn(steps: Sequence[Measured], telling: int) -> Measured:
    """One measurement out of stretches that were sent one after another; the latencies are those of one of them."""
    whole = merge(steps)
    later = [step.began - whole.began for step in steps]
    whole.sending = sum(step.sending for step in steps)
    whole.drain = steps[-1].drain
    whole.apart, whole.resolution = steps[telling].apart, steps[telling].resolution
    whole.shares = min(step.shares for step in steps)
    whole.offered_rate = steps[telling].offered_rate
    whole.latencies = {**steps[telling].latencies, "stored": whole.latencies["stored"]}
    whole.backlog = [
        Sample(one.at + offset, one.pending, one.retry, one.active)
        for step, offset in zip(steps, later, strict=True)
        for one in step.backlog
    ]
    whole.phases = [
        (name, begin + offset, end + offset)
        for step, offset in zip(steps, later, strict=True)
        for name, begin, end in step.phases
    ]
    return whole


def _offered(shares: Sequence[Measured]) -> float | None:
    # Each share knows the rate of the whole load.
    return next((share.offered_rate for share in shares if share.offered_rate is not None), None)


def _add(whole: Measured, share: Measured) -> None:
    for name in _SUMS:
        setattr(whole, name, getattr(whole, name) + getattr(share, name))
    for name in ("refused", "unanswered"):
        setattr(whole, name, dict(sorted((Counter(getattr(whole, name)) + Counter(getattr(share, name))).items())))
    for name in ("lost_ids", "duplicate_ids", "problems"):
        setattr(whole, name, (getattr(whole, name) + getattr(share, name))[:SHOWN])
    whole.projects += share.projects
    whole.steps += share.steps
    for name, one in share.latencies.items():
        whole.latencies[name].merge(one)


def _progress(shares: Sequence[Measured], began: float) -> list[Progress]:
    moments = sorted({round(one.at + share.began - began) for share in shares for one in share.progress})
    return [
        Progress(
            moment,
            sum(_at(share, moment - share.began + began, "accepted") for share in shares),
            sum(_at(share, moment - share.began + began, "visible") for share in shares),
        )
        for moment in moments
    ]


def _at(share: Measured, moment: float, name: str) -> float:
    """The last value that a share had by a moment."""
    value = 0.0
    for one in share.progress:
        if one.at > moment + 0.5:
            break
        value = getattr(one, name)
    return value


def _phases(shares: Sequence[Measured], began: float) -> list[tuple[str, float, float]]:
    spans: dict[str, tuple[float, float]] = {}
    for share in shares:
        later = share.began - began
        for name, begin, end in share.phases:
            known = spans.get(name, (begin + later, end + later))
            spans[name] = (min(known[0], begin + later), max(known[1], end + later))
    return [(name, begin, end) for name, (begin, end) in spans.items()]
