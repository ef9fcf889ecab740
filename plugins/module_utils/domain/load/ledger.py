# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What became of every run of a load, in a few bits each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

#: Ids that a result names of those that were lost or came twice.
SHOWN = 20


class Bits:
    """A set of numbers from 0, one bit each; it grows as it is written."""

    def __init__(self) -> None:
        self._bytes = bytearray()

    def add(self, first: int, count: int = 1) -> None:
        """Put ``count`` numbers from ``first`` on in."""
        begin, end = first >> 3, (first + count + 7) >> 3
        if end > len(self._bytes):
            # Doubled, so that a load that goes on does not copy it with each request.
            self._bytes.extend(bytes(max(end - len(self._bytes), len(self._bytes))))
        mask = ((1 << count) - 1) << (first & 7)
        now = int.from_bytes(self._bytes[begin:end], "little") | mask
        self._bytes[begin:end] = now.to_bytes(end - begin, "little")

    def __contains__(self, number: int) -> bool:
        place = number >> 3
        return place < len(self._bytes) and bool(self._bytes[place] >> (number & 7) & 1)

    def whole(self) -> int:
        """All of it as one integer, the number n being bit n."""
        return int.from_bytes(self._bytes, "little")

    def __len__(self) -> int:
        return self.whole().bit_count()


@dataclass(frozen=True)
class Account:
    """The runs of a load, each in exactly one of ``accepted``, ``refused`` and ``unanswered``.

    ``accepted`` is ``visible + lost``. ``stored_unaccepted`` are those that can be read though no answer accepted
    them, a request that timed out say. ``duplicates`` are rows beyond a run's first.
    """

    sent: int
    accepted: int
    refused: dict[str, int]
    unanswered: dict[str, int]
    visible: int
    lost: int
    duplicates: int
    stored_unaccepted: int
    lost_numbers: tuple[int, ...] = ()
    duplicate_numbers: tuple[int, ...] = ()


@dataclass
class Ledger:
    """Books of one load. Answers are booked by one thread at a time, sightings by another at a time."""

    accepted: Bits = field(default_factory=Bits)
    unaccepted: Bits = field(default_factory=Bits)
    seen: Bits = field(default_factory=Bits)
    looked_up: Bits = field(default_factory=Bits)
    repeated: Bits = field(default_factory=Bits)
    refused: Counter[str] = field(default_factory=Counter)
    unanswered: Counter[str] = field(default_factory=Counter)
    duplicates: int = 0

    def answer(self, first: int, count: int, status: int | None, reason: str = "") -> None:
        """Book the answer for ``count`` runs from ``first`` on; without a status, ``reason`` tells why none came."""
        if status is not None and 200 <= status < 300:
            self.accepted.add(first, count)
            return
        self.unaccepted.add(first, count)
        if status is None:
            self.unanswered[reason] += count
        else:
            self.refused[str(status)] += count

    def sight(self, asked: Sequence[int], found: Sequence[int]) -> None:
        """Book what one reading of the numbers ``asked`` brought, each as often as it was there."""
        for number in asked:
            self.looked_up.add(number)
        for number, times in Counter(found).items():
            self.seen.add(number)
            if times > 1 and number not in self.repeated:
                self.repeated.add(number)
                self.duplicates += times - 1

    @property
    def missing(self) -> int:
        """Accepted runs that have not been seen."""
        return (self.accepted.whole() & ~self.seen.whole()).bit_count()

    @property
    def unasked(self) -> int:
        """Runs that were sent and for which no reading has had an answer yet."""
        return (self._sent & ~self.looked_up.whole()).bit_count()

    def blocks(self, size: int) -> Iterator[list[int]]:
        """Numbers to look for, in lists of ``size``: those never looked up, and the accepted ones not yet seen."""
        wanted = self._sent & ~self.looked_up.whole() | self.accepted.whole() & ~self.seen.whole()
        block: list[int] = []
        for number in _ones(wanted):
            block.append(number)
            if len(block) == size:
                yield block
                block = []
        if block:
            yield block

    @property
    def _sent(self) -> int:
        return self.accepted.whole() | self.unaccepted.whole()

    def account(self) -> Account:
        """The sums, and the first numbers of what was lost or came twice."""
        accepted, seen = self.accepted.whole(), self.seen.whole()
        lost = accepted & ~seen
        return Account(
            sent=len(self.accepted) + len(self.unaccepted),
            accepted=accepted.bit_count(),
            refused=dict(sorted(self.refused.items())),
            unanswered=dict(sorted(self.unanswered.items())),
            visible=(accepted & seen).bit_count(),
            lost=lost.bit_count(),
            duplicates=self.duplicates,
            stored_unaccepted=(self.unaccepted.whole() & seen).bit_count(),
            lost_numbers=tuple(_first(lost)),
            duplicate_numbers=tuple(_first(self.repeated.whole())),
        )


def _first(bits: int) -> Iterator[int]:
    for position, number in enumerate(_ones(bits)):
        if position == SHOWN:
            return
        yield number


def _ones(bits: int) -> Iterator[int]:
    """The numbers of the bits that are set, ascending."""
    for place, byte in enumerate(bits.to_bytes((bits.bit_length() + 7) // 8, "little")):
        if byte:
            for bit in range(8):
                if byte >> bit & 1:
                    yield place * 8 + bit
