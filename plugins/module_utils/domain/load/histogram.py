# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Latencies in a table of fixed size, from which percentiles are read and which can be added up."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

#: Values share a bucket where their first eight binary digits agree, so a bucket is at most 1/128 wide of its value.
DIGITS = 8
#: The widest error of a percentile, as a part of its value; values below 0.256 ms are exact to the microsecond.
RELATIVE_ERROR = 1 / (1 << DIGITS - 1)
#: The longest latency that is told apart, in seconds: over an hour.
LONGEST = (1 << 32) / 1e6

_EXACT = 1 << DIGITS
_HALF = 1 << DIGITS - 1
_MOST = (1 << 32) - 1
_BUCKETS = _EXACT + (32 - DIGITS) * _HALF


class Histogram:
    """Counts of seconds, about 3,300 buckets whatever is counted. Not safe to write from several threads at once.

    ``missing`` are those that never came: they count as longer than everything, so that a percentile which falls
    among them is unknown and not flattering.
    """

    def __init__(self) -> None:
        self._counts = [0] * _BUCKETS
        self.count = 0
        self.missing = 0
        self.longest = 0.0

    def add(self, seconds: float, times: int = 1) -> None:
        """Count one latency, or several that are equal."""
        self._counts[_bucket(seconds)] += times
        self.count += times
        if seconds > self.longest:
            self.longest = seconds

    def percentile(self, percent: float) -> float | None:
        """The latency that ``percent`` of all stay within; ``None`` without values or where it fell to the missing.

        It is the upper edge of its bucket and hence too high by ``RELATIVE_ERROR`` at most, never too low.
        """
        rank = max(1, -int(-(self.count + self.missing) * percent // 100))
        if not self.count or rank > self.count:
            return None
        seen = 0
        for bucket, count in enumerate(self._counts):
            seen += count
            if seen >= rank:
                return min((_lowest(bucket + 1) - 1) / 1e6, self.longest)
        return None

    def buckets(self) -> Iterator[tuple[float, float, int]]:
        """Lower edge, upper edge (seconds) and count of every bucket that holds something."""
        for bucket, count in enumerate(self._counts):
            if count:
                yield _lowest(bucket) / 1e6, _lowest(bucket + 1) / 1e6, count

    def merge(self, other: Histogram) -> None:
        """Add another's counts to this one's."""
        for bucket, count in enumerate(other._counts):
            if count:
                self._counts[bucket] += count
        self.count += other.count
        self.missing += other.missing
        self.longest = max(self.longest, other.longest)

    def to_dict(self) -> dict[str, Any]:
        """The counts as JSON has them, only those that are not 0."""
        counts = {str(bucket): count for bucket, count in enumerate(self._counts) if count}
        return {"counts": counts, "missing": self.missing, "longest": round(self.longest, 6)}

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Histogram:
        """The histogram out of ``to_dict``. Raises ``ValueError`` or ``KeyError`` for anything else."""
        found = cls()
        for bucket, count in document["counts"].items():
            if not 0 <= int(bucket) < _BUCKETS:
                raise ValueError(f"there is no bucket {bucket}")
            found._counts[int(bucket)] = int(count)
        found.count = sum(found._counts)
        found.missing = int(document["missing"])
        found.longest = float(document["longest"])
        return found


def _bucket(seconds: float) -> int:
    value = int(seconds * 1e6)
    if value < _EXACT:
        return max(value, 0)
    shift = min(value, _MOST).bit_length() - DIGITS
    return _EXACT + (shift - 1) * _HALF + (min(value, _MOST) >> shift) - _HALF


def _lowest(bucket: int) -> int:
    """The smallest value of a bucket, in microseconds."""
    if bucket < _EXACT:
        return bucket
    shift, rest = divmod(bucket - _EXACT, _HALF)
    return (rest + _HALF) << shift + 1
