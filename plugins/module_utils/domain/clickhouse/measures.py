# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The figures of each replica beside their limits, and the charts of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import isfinite
from typing import Any

from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.facts import (
    GIB,
    Live,
    Replica,
)
from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.live import QUERIES
from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.rules import (
    access,
    disk,
    parts,
    queries,
    replication,
    resources,
)
from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.thresholds import DISK_FAIL, DISK_WARN

Measures = Mapping[str, Any]

#: Days that the forecast draws; a disk that lasts longer is no concern of today.
HORIZON_DAYS = 90


def measures(live: Live) -> list[dict[str, Any]]:
    """One mapping for each server that was asked; None where a figure is unknown or may not be seen.

    ``cpu`` in vCPU, ``memory_used_gib`` and ``memory_limit_gib``, ``queries`` at the same time and ``queries_limit``
    (0: none), ``disk_used_gib`` and ``disk_total_gib`` of the local disks, ``parts`` in the fullest partition, where
    (``parts_in``) and ``parts_limit`` that holds inserts up, ``merges`` and ``merges_limit``, ``replication_lag_s``,
    ``growth_gib_per_day`` (negative where disks empty) and ``days_to_full`` (None also where they do not fill).
    """
    return [_measure(access.veiled(replica, QUERIES, live.database)) for replica in live.replicas]


def _measure(replica: Replica) -> dict[str, Any]:
    return {"subject": replica.subject, **{name: _figure(told, replica) for name, told in _FIGURES.items()}}


def _figure(told: Callable[[Replica], Any], replica: Replica) -> Any:
    try:
        return told(replica)
    except (LookupError, TypeError, ValueError, ArithmeticError):
        # Rows of another shape than asked for; the rules say so.
        return None


def _gib(size: float | None) -> float | None:
    return None if size is None else round(size / GIB, 3)


def _space(replica: Replica, number: int) -> float | None:
    used_total = disk.space(replica)
    return used_total and used_total[number]


def _growth(replica: Replica) -> float | None:
    grown = disk.growth(replica)
    return grown and grown[0]


def _days(replica: Replica) -> float | None:
    days = disk.days_to_full(replica)
    return round(days, 1) if days is not None and isfinite(days) else None


def _most(query: str, column: str) -> Callable[[Replica], float | None]:
    return lambda replica: max(queries.samples(replica, query, column), default=None)


def _parts(replica: Replica) -> int | None:
    fullest = parts.fullest(replica)
    if fullest is None:
        return None if replica.rows("parts") is None else 0
    return int(fullest[0]["parts"])


def _parts_in(replica: Replica) -> str | None:
    fullest = parts.fullest(replica)
    return fullest and f"{fullest[0]['database']}.{fullest[0]['table']}"


def _parts_limit(replica: Replica) -> float | None:
    fullest = parts.fullest(replica)
    return fullest and fullest[1]


def _lag(replica: Replica) -> float | None:
    rows = replica.rows("replicas") or ()
    delays = [row["absolute_delay"] for row in rows if not row["is_readonly"]]
    return max((delay for delay in delays if delay < replication.NEVER_STARTED), default=None)


_FIGURES: Mapping[str, Callable[[Replica], Any]] = {
    "cpu": resources.cores,
    "memory_used_gib": lambda replica: _gib(resources.memory_used(replica)),
    "memory_limit_gib": lambda replica: _gib(resources.usable_memory(replica)),
    "queries": _most("running", "running"),
    "queries_limit": queries.query_limit,
    "disk_used_gib": lambda replica: _gib(_space(replica, 0)),
    "disk_total_gib": lambda replica: _gib(_space(replica, 1)),
    "parts": _parts,
    "parts_in": _parts_in,
    "parts_limit": _parts_limit,
    "merges": _most("merge_pool", "tasks"),
    "merges_limit": _most("merge_pool", "size"),
    "replication_lag_s": _lag,
    "growth_gib_per_day": lambda replica: _gib(_growth(replica)),
    "days_to_full": _days,
}


def charts(measured: Sequence[Measures]) -> list[dict[str, Any]]:
    """The charts of these measures, for the report; a chart without anything to show is left out."""
    drawn = [_headroom(measured), _bars_of_parts(measured), _bars_of_merges(measured), *_forecasts(measured)]
    return [chart for chart in drawn if chart.get("bars") or chart.get("series")]


def _bar(label: str, value: float, limit: float, shares: tuple[float, float], note: str = "") -> dict[str, Any]:
    warn, fail = shares
    return {"label": label, "value": value, "limit": limit, "warn": limit * warn, "fail": limit * fail, "note": note}


def _headroom(measured: Sequence[Measures]) -> dict[str, Any]:
    """Each resource of each replica as percent of what it may use, so that they stand side by side."""
    bars = []
    for name, key, limit_key, unit, shares in (
        ("memory", "memory_used_gib", "memory_limit_gib", "GiB", (resources.USED_WARN, resources.USED_FAIL)),
        ("queries", "queries", "queries_limit", "at the same time", (queries.LIMIT_SHARE, 1.0)),
        ("disk", "disk_used_gib", "disk_total_gib", "GiB", (DISK_WARN, DISK_FAIL)),
        ("parts", "parts", "parts_limit", "in the fullest partition", (parts.PARTS_SHARE, 1.0)),
        ("merges", "merges", "merges_limit", "at work", (parts.MERGES_BUSY, 1.0)),
    ):
        for one in measured:
            if one[key] is not None and one[limit_key]:
                note = f"{one[key]:.4g} of {one[limit_key]:.4g} {unit}"
                share = round(100 * one[key] / one[limit_key], 1)
                bars.append(_bar(f"{one['subject']} {name}", share, 100, shares, note))
    return {"kind": "bars", "title": "Headroom of each replica", "unit": "%", "bars": bars}


def _bars_of_parts(measured: Sequence[Measures]) -> dict[str, Any]:
    bars = [
        _bar(one["subject"], one["parts"], one["parts_limit"], (parts.PARTS_SHARE, 1.0), one["parts_in"])
        for one in measured
        if one["parts"] is not None and one["parts_limit"]
    ]
    return {"kind": "bars", "title": "Parts in the fullest partition", "unit": "parts", "bars": bars}


def _bars_of_merges(measured: Sequence[Measures]) -> dict[str, Any]:
    bars = [
        _bar(one["subject"], one["merges"], one["merges_limit"], (parts.MERGES_BUSY, 1.0))
        for one in measured
        if one["merges"] is not None and one["merges_limit"]
    ]
    return {"kind": "bars", "title": "Merges and mutations at work", "unit": "merges", "bars": bars}


def _forecasts(measured: Sequence[Measures]) -> list[dict[str, Any]]:
    """Disk in use from today on, one chart for each size of disk, since its end is one line across."""
    known = [one for one in measured if one["growth_gib_per_day"] is not None and one["disk_total_gib"]]
    return [
        _forecast([one for one in known if one["disk_total_gib"] == total], total)
        for total in sorted({one["disk_total_gib"] for one in known})
    ]


def _forecast(measured: Sequence[Measures], total: float) -> dict[str, Any]:
    ends = [one["days_to_full"] for one in measured if one["days_to_full"] is not None]
    horizon = min(HORIZON_DAYS, max(1.25 * max(ends), 1.0)) if ends else 30
    series = [{"label": one["subject"], "points": _points(one, horizon)} for one in measured]
    marks = [{"label": f"{total:.4g} GiB", "axis": "y", "at": total}]
    marks += [
        {"label": f"{one['subject']} full", "axis": "x", "at": one["days_to_full"]}
        for one in measured
        if one["days_to_full"] is not None and one["days_to_full"] <= horizon
    ]
    return {
        "kind": "lines",
        "title": f"Disk in use as it fills now, of {total:.4g} GiB",
        "unit": "GiB",
        "x_unit": "days",
        "series": series,
        "marks": marks,
    }


def _points(one: Measures, horizon: float) -> list[list[float]]:
    """From today to the horizon, or to the day when nothing more fits or nothing is left."""
    used, total, by_day = one["disk_used_gib"], one["disk_total_gib"], one["growth_gib_per_day"]
    points = [[0.0, used]]
    full = one["days_to_full"]
    if full is not None and full < horizon:
        points += [[full, total], [round(horizon, 1), total]]
    else:
        points.append([round(horizon, 1), round(max(0.0, used + by_day * horizon), 3)])
    return points
