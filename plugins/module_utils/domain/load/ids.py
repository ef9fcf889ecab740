# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ids of a load's runs: each follows from a seed and the run's number, and leads back to it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property

#: Bits of a version 7 UUID that tell one load from another; 40 are left to count its runs.
TAG_BITS = 34

_SEED = re.compile(r"[0-9a-f]{12}-[0-9a-f]{9}")


@dataclass(frozen=True)
class Ids:
    """The ids of one load. ``milliseconds`` (48 bits, since 1970) and ``tag`` (34 random bits) make them its own.

    The ids are version 7 UUIDs (RFC 9562): the moment of the load first, then the tag, the run's number last. So they
    ascend as those of an application do, and nothing has to be kept to know them again.
    """

    milliseconds: int
    tag: int

    def __post_init__(self) -> None:
        if not 0 <= self.milliseconds < 1 << 48 or not 0 <= self.tag < 1 << TAG_BITS:
            raise ValueError(f"milliseconds {self.milliseconds} and tag {self.tag} do not fit 48 and {TAG_BITS} bits")

    @property
    def seed(self) -> str:
        """The text that gives these ids again: shares of one load are given the same."""
        return f"{self.milliseconds:012x}-{self.tag:09x}"

    @cached_property
    def prefix(self) -> str:
        """All but the last ten digits of every id."""
        moment = f"{self.milliseconds:012x}"
        first, second, third = self.tag >> 22, self.tag >> 8 & 0x3FFF, self.tag & 0xFF
        return f"{moment[:8]}-{moment[8:]}-7{first:03x}-{0x8000 | second:04x}-{third:02x}"

    def id(self, number: int) -> str:
        """The id of the run with this number, which is below 2 to the 40."""
        return f"{self.prefix}{number:010x}"

    def number(self, run_id: str) -> int | None:
        """The number of a run; ``None`` for an id that is not of this load."""
        if len(run_id) != 36 or not run_id.startswith(self.prefix):
            return None
        try:
            return int(run_id[26:], 16)
        except ValueError:
            return None


def new_ids(milliseconds: int, randomness: bytes) -> Ids:
    """Ids that no other load has, out of the present moment and five random bytes."""
    return Ids(milliseconds, int.from_bytes(randomness, "big") & (1 << TAG_BITS) - 1)


def parse_seed(seed: str) -> Ids:
    """The ids of a seed. Raises ``ValueError`` for a text that is none."""
    if not _SEED.fullmatch(seed) or int(seed[13:], 16) >= 1 << TAG_BITS:
        raise ValueError(f"seed {seed!r} is not of the form that a load reports, like 019ab3c4d5e6-0123456ff")
    return Ids(int(seed[:12], 16), int(seed[13:], 16))


@dataclass(frozen=True)
class RunIds:
    """Ids of the runs of one share, which counts its own from 0.

    A share holds every ``of``-th trace from ``index`` on; run n of it is run ``n % runs_per_trace`` of its trace.
    """

    ids: Ids
    runs_per_trace: int
    index: int = 0
    of: int = 1

    def number(self, local: int) -> int:
        """The number among the runs of the whole load."""
        trace, run = divmod(local, self.runs_per_trace)
        return (trace * self.of + self.index) * self.runs_per_trace + run

    def id(self, local: int) -> str:
        """The id of the share's run."""
        return self.ids.id(self.number(local))

    def local(self, run_id: str) -> int | None:
        """The share's run with this id; ``None`` where it is not of this share."""
        number = self.ids.number(run_id)
        if number is None:
            return None
        trace, run = divmod(number, self.runs_per_trace)
        share, rest = divmod(trace, self.of)
        return share * self.runs_per_trace + run if rest == self.index else None
