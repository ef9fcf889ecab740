# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When the traces of a load are due."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Arrivals:
    """Traces at ``rate`` per second for ``seconds``, evenly spaced, whatever becomes of those before them.

    During the first ``ramp`` seconds the rate rises from nothing in a straight line. Of a load that several senders
    share, this is the share ``index`` of ``of``: every ``of``-th trace. ``most`` bounds the traces of the whole load.
    """

    rate: float
    seconds: float
    ramp: float = 0.0
    most: int | None = None
    index: int = 0
    of: int = 1

    def __post_init__(self) -> None:
        if self.rate <= 0 or self.seconds <= 0 or not 0 <= self.ramp <= self.seconds:
            raise ValueError(
                f"rate {self.rate:g}/s, duration {self.seconds:g} s, ramp {self.ramp:g} s: give a rate and a duration"
                " above 0 and a ramp no longer than the duration"
            )
        if not 0 <= self.index < self.of:
            raise ValueError(f"share {self.index} of {self.of}: the index goes from 0 to {self.of - 1}")

    @property
    def total(self) -> int:
        """Traces of this share."""
        whole = self._whole_by(self.seconds)
        return self._share(whole if self.most is None else min(whole, self.most))

    @property
    def length(self) -> float:
        """Seconds in which the whole load is due: fewer than ``seconds`` where ``most`` ends it before."""
        bounded = self.most is not None and self.most < self._whole_by(self.seconds)
        return self._moment(self.most or 0) if bounded else self.seconds

    def due(self, position: int) -> float:
        """Seconds from the start until this share's trace at ``position`` (from 0) is due."""
        return self._moment(position * self.of + self.index)

    def _moment(self, number: int) -> float:
        """When a trace of the whole load is due."""
        ramped = self.rate * self.ramp / 2
        if number < ramped:
            return math.sqrt(2 * number * self.ramp / self.rate)
        return number / self.rate + self.ramp / 2

    def due_by(self, seconds: float) -> int:
        """How many of this share's traces are due within so many seconds from the start."""
        return min(self._share(self._whole_by(seconds)), self.total)

    def _whole_by(self, seconds: float) -> int:
        """Traces of the whole load that are due before a moment."""
        if seconds <= 0:
            return 0
        within = min(seconds, self.seconds)
        if within < self.ramp:
            return math.ceil(self.rate * within * within / (2 * self.ramp) - 1e-9)
        return math.ceil(self.rate * (within - self.ramp / 2) - 1e-9)

    def _share(self, whole: int) -> int:
        return max((whole - self.index + self.of - 1) // self.of, 0)
