# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The pictures of a load: latencies, what was accepted and visible by when, the queue, and how the time went."""

from __future__ import annotations

import math
from typing import Any

from ansible_collections.langsmith.aws.plugins.module_utils.domain.load.histogram import Histogram
from ansible_collections.langsmith.aws.plugins.module_utils.domain.load.measured import Measured
from ansible_collections.langsmith.aws.plugins.module_utils.domain.load.options import Settings

#: Edges of a latency histogram's bars are these times a power of ten, as latencies go from milliseconds to minutes.
_EDGES = (1.0, 2.0, 5.0)


def charts(load: Settings, measured: Measured) -> list[dict[str, Any]]:
    """Charts as the report draws them; one without anything to show is left out."""
    made = [
        _latencies("Traces by seconds until accepted", measured.latencies["accepted"], None),
        _latencies("Traces by seconds until visible, projected", measured.latencies["visible"], load.visible_p95),
        _progress(measured),
        _backlog(measured),
        _timeline(measured),
    ]
    return [chart for chart in made if chart is not None]


def _latencies(title: str, found: Histogram, threshold: float | None) -> dict[str, Any] | None:
    if not found.count:
        return None
    marks = [
        {"label": f"p{percent}", "at": round(value, 4)}
        for percent in (50, 95, 99)
        if (value := found.percentile(percent)) is not None
    ]
    if threshold is not None:
        marks.append({"label": "threshold of p95", "at": threshold})
    return {"kind": "histogram", "title": title, "unit": "s", "buckets": _bars(found), "marks": marks}


def _bars(found: Histogram) -> list[dict[str, float]]:
    """The fine buckets gathered into bars, the empty ones between two others among them."""
    lowest = min(begin for begin, _end, _count in found.buckets())
    edges = [0.0, *_edges(max(lowest, 1e-4), found.longest)]
    counts = [0] * (len(edges) - 1)
    for begin, _end, count in found.buckets():
        place = next(place for place, edge in enumerate(edges[1:]) if begin < edge or place == len(counts) - 1)
        counts[place] += count
    bars = [{"from": a, "to": b, "count": n} for a, b, n in zip(edges, edges[1:], counts, strict=False)]
    while bars and not bars[0]["count"]:
        bars.pop(0)
    return bars


def _edges(lowest: float, highest: float) -> list[float]:
    exponent = math.floor(math.log10(lowest))
    edges: list[float] = []
    while not edges or edges[-1] <= highest:
        edges += [round(edge * 10.0**exponent, 9) for edge in _EDGES]
        exponent += 1
    last = next(place for place, edge in enumerate(edges) if edge > highest)
    return edges[: last + 1]


def _progress(measured: Measured) -> dict[str, Any] | None:
    if len(measured.progress) < 2:
        return None
    series = [
        {"label": "accepted", "points": [[one.at, one.accepted] for one in measured.progress]},
        {"label": "visible (by those watched)", "points": [[one.at, one.visible] for one in measured.progress]},
    ]
    return _lines("Traces accepted and visible", "traces", series, measured)


def _backlog(measured: Measured) -> dict[str, Any] | None:
    known = [one for one in measured.backlog if one.pending is not None]
    if len(known) < 2:
        return None
    series = [{"label": "pending", "points": [[one.at, one.pending] for one in known]}]
    if any(one.retry for one in known):
        series.append({"label": "retry", "points": [[one.at, one.retry or 0] for one in known]})
    return _lines("Ingestion queue", "tasks", series, measured)


def _lines(title: str, unit: str, series: list[dict[str, Any]], measured: Measured) -> dict[str, Any]:
    ends = [end for name, _begin, end in measured.phases if name.startswith("send")]
    marks = [{"label": "sending ended", "axis": "x", "at": max(ends)}] if ends else []
    return {"kind": "lines", "title": title, "unit": unit, "x_unit": "s", "series": series, "marks": marks}


def _timeline(measured: Measured) -> dict[str, Any] | None:
    if not measured.phases:
        return None
    holds = {f"send {step.rate:g}/s": "pass" if step.holds else "warn" for step in measured.steps}
    spans = [
        {"label": name, "from": begin, "to": end, "status": holds.get(name, "pass")}
        for name, begin, end in measured.phases
    ]
    return {"kind": "timeline", "title": "The load's time", "unit": "s", "spans": spans}
