# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The charts that a check may give beside its findings, as plain data that any tool can read, and their reading."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.langsmith.aws.plugins.module_utils.domain.finding import SEVERITY, Status


@dataclass(frozen=True)
class Bar:
    """How much of ``limit`` is used; over ``warn`` or ``fail`` the bar is coloured so. All in the chart's unit."""

    label: str
    value: float
    limit: float
    warn: float | None = None
    fail: float | None = None
    note: str = ""

    @property
    def status(self) -> Status:
        """How the value stands against the bar's own thresholds."""
        if self.fail is not None and self.value >= self.fail:
            return "fail"
        return "warn" if self.warn is not None and self.value >= self.warn else "pass"


@dataclass(frozen=True)
class Bucket:
    """``count`` values from ``low`` up to ``high``, in the chart's unit."""

    low: float
    high: float
    count: int


@dataclass(frozen=True)
class Mark:
    """A line across the plot at a value of one axis, as a percentile or a threshold."""

    label: str
    at: float
    axis: str = "x"


@dataclass(frozen=True)
class Series:
    """A line through (x, y) points."""

    label: str
    points: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Span:
    """What took from ``start`` to ``end``, in the chart's unit, and how it ended."""

    label: str
    start: float
    end: float
    status: Status


@dataclass(frozen=True)
class Chart:
    """One chart; which of the parts it has follows from its ``kind``."""

    kind: str
    title: str
    unit: str = ""
    x_unit: str = ""
    bars: tuple[Bar, ...] = ()
    buckets: tuple[Bucket, ...] = ()
    series: tuple[Series, ...] = ()
    spans: tuple[Span, ...] = ()
    marks: tuple[Mark, ...] = field(default=())


def parse_charts(documents: Sequence[Any]) -> tuple[Chart, ...]:
    """Charts out of dictionaries as checks return them. Raises ``ValueError`` saying which one is none, and why."""
    found = []
    for number, document in enumerate(documents, 1):
        try:
            found.append(_chart(document))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            reason = f"{error} is missing" if isinstance(error, KeyError) else str(error)
            raise ValueError(f"charts: entry {number}: {reason}; give the `charts` of a check") from error
    return tuple(found)


def _chart(document: Mapping[str, Any]) -> Chart:
    kind = str(document["kind"])
    if kind not in _PARTS:
        raise ValueError(f"kind {kind!r} is none of {', '.join(_PARTS)}")
    name, read = _PARTS[kind]
    parts = tuple(read(entry) for entry in document[name])
    marks = tuple(_mark(entry) for entry in document.get("marks") or ())
    unit, x_unit = str(document.get("unit") or ""), str(document.get("x_unit") or "")
    return Chart(kind, str(document["title"]), unit, x_unit, marks=marks, **{name: parts})


def _bar(entry: Mapping[str, Any]) -> Bar:
    limits = {name: None if entry.get(name) is None else _number(entry[name]) for name in ("warn", "fail")}
    value, limit = _number(entry["value"]), _number(entry["limit"])
    if limit <= 0:
        raise ValueError(f"the limit of bar {entry['label']!r} is {limit:g}, not above 0")
    return Bar(str(entry["label"]), value, limit, limits["warn"], limits["fail"], str(entry.get("note") or ""))


def _bucket(entry: Mapping[str, Any]) -> Bucket:
    return Bucket(_number(entry["from"]), _number(entry["to"]), int(entry["count"]))


def _series(entry: Mapping[str, Any]) -> Series:
    return Series(str(entry["label"]), tuple((_number(x), _number(y)) for x, y in entry["points"]))


def _span(entry: Mapping[str, Any]) -> Span:
    status = entry.get("status", "pass")
    if status not in SEVERITY:
        raise ValueError(f"status {status!r} of span {entry['label']!r} is none of {', '.join(SEVERITY)}")
    return Span(str(entry["label"]), _number(entry["from"]), _number(entry["to"]), status)


def _mark(entry: Mapping[str, Any]) -> Mark:
    return Mark(str(entry["label"]), _number(entry["at"]), str(entry.get("axis") or "x"))


def _number(value: Any) -> float:
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(f"{value!r} is no finite number")
    return number


#: kind: the name of its parts, and how one is read.
_PARTS: dict[str, tuple[str, Callable[[Mapping[str, Any]], Any]]] = {
    "bars": ("bars", _bar),
    "histogram": ("buckets", _bucket),
    "lines": ("series", _series),
    "timeline": ("spans", _span),
}
