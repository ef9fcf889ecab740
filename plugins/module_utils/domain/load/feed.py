# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which traces the next request of a load carries, and when it leaves."""

from __future__ import annotations

import bisect
import itertools
from dataclasses import dataclass
from typing import Protocol

from ansible_collections.langsmith.aws.plugins.module_utils.domain.load.options import (
    REQUEST_BYTES,
    RUN_OVERHEAD_BYTES,
    RUNS_PER_REQUEST,
    Payload,
    Settings,
)
from ansible_collections.langsmith.aws.plugins.module_utils.domain.load.schedule import Arrivals

#: Traces that are due within so many seconds travel together, as an application's SDK collects them (0.05 to 0.25 s).
#: The last one of them is sent when it is due; the others wait that long, and it counts for their latency.
WINDOW_SECONDS = 0.1
#: A sender that is behind goes on for so long after the load's end; what is not sent by then stays unsent.
GRACE_SECONDS = 5.0

_SPREAD = 0x9E3779B1


@dataclass(frozen=True)
class Batch:
    """Traces of one request: ``count`` from position ``first``. ``send_at`` is in seconds since the phase began."""

    first: int
    count: int
    send_at: float


class Sizes:
    """Which payload a trace has: spread evenly by its position, in the proportions of the weights."""

    def __init__(self, payload: tuple[Payload, ...], runs_per_trace: int) -> None:
        self.bytes = tuple(max(int(size.kib * 1024), 1) for size in payload)
        self._edges = list(itertools.accumulate(size.weight for size in payload))
        self._trace_bytes = tuple(runs_per_trace * (size + RUN_OVERHEAD_BYTES) for size in self.bytes)
        self._runs_per_trace = runs_per_trace

    def of(self, position: int) -> int:
        """The size's place among the sizes, for the trace at a position."""
        if len(self._edges) == 1:
            return 0
        # A multiplicative hash (Knuth) takes neighbours far apart and fills the range evenly.
        part = (position * _SPREAD & 0xFFFFFFFF) / (1 << 32)
        return bisect.bisect_right(self._edges, part * self._edges[-1])

    def fitting(self, first: int, most: int) -> int:
        """How many of the traces from ``first`` on, ``most`` at most, go into one request; 1 at least."""
        most = min(most, RUNS_PER_REQUEST // self._runs_per_trace)
        size = 0
        for count in range(most):
            size += self._trace_bytes[self.of(first + count)]
            if size > REQUEST_BYTES:
                return max(count, 1)
        return max(most, 1)


class Feed(Protocol):
    """Hands out a phase's traces, each once; to be called by one thread at a time."""

    @property
    def seconds(self) -> float:
        """How long it takes if all goes well; at most where it depends on the answers."""

    def next(self, now: float) -> Batch | None:
        """The next request at a moment; ``None`` when there is none any more."""

    def due(self, position: int, sent: float) -> float:
        """The moment from which a trace's latency counts."""

    @property
    def unsent(self) -> int:
        """Traces that should have been sent and were not handed out."""


class OpenLoop:
    """Traces as they are due, however slowly they are taken in. ``first`` is the position of the phase's first."""

    def __init__(self, arrivals: Arrivals, sizes: Sizes, first: int = 0) -> None:
        self._arrivals = arrivals
        self._sizes = sizes
        self._first = first
        self._next = 0

    def next(self, now: float) -> Batch | None:
        total = self._arrivals.total
        if self._next >= total or now > self._arrivals.seconds + GRACE_SECONDS:
            return None
        begin = self._next
        horizon = max(now, self._arrivals.due(begin) + WINDOW_SECONDS)
        most = max(self._arrivals.due_by(horizon) - begin, 1)
        count = self._sizes.fitting(self._first + begin, most)
        self._next += count
        return Batch(self._first + begin, count, self._arrivals.due(begin + count - 1))

    @property
    def seconds(self) -> float:
        return self._arrivals.length

    def due(self, position: int, sent: float) -> float:
        return self._arrivals.due(position - self._first)

    @property
    def unsent(self) -> int:
        return self._arrivals.total - self._next


class ClosedLoop:
    """Full requests, each as soon as a connection is free, until the time or the traces are over."""

    def __init__(self, seconds: float, most: int, sizes: Sizes, first: int = 0) -> None:
        self.seconds = seconds
        self._most = most
        self._sizes = sizes
        self._first = first
        self._next = 0

    def next(self, now: float) -> Batch | None:
        if now >= self.seconds or self._next >= self._most:
            return None
        begin = self._first + self._next
        count = self._sizes.fitting(begin, self._most - self._next)
        self._next += count
        return Batch(begin, count, now)

    def due(self, position: int, sent: float) -> float:
        return sent

    @property
    def unsent(self) -> int:
        return 0


def feed(load: Settings, sizes: Sizes) -> Feed:
    """The feed of a load that is no search."""
    if load.rate is None:
        most = (load.traces_max - load.index + load.of - 1) // load.of
        return ClosedLoop(load.duration, most, sizes)
    arrivals = Arrivals(load.rate, load.duration, load.ramp, load.traces_max, load.index, load.of)
    return OpenLoop(arrivals, sizes)


def start_after(load: Settings, sender: int) -> float:
    """Seconds after which a sender begins: with ``concurrency`` the ramp lets them in one after another."""
    return load.ramp * sender / load.senders if load.rate is None and not load.find_capacity else 0.0
