# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Draws charts as inline SVG, whose colours are the page's, so that they are readable in light and in dark.

What a colour tells is also told in words or by a dash pattern. Coordinates are in pixels of a drawing 720 wide.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from html import escape
from itertools import pairwise

from ansible_collections.langsmith.aws.plugins.module_utils.domain.charts import Bar, Chart, Mark, Span

WIDTH = 720
#: Room for labels on the left of bars and spans, and for figures on their right.
LABELS, FIGURES = 230, 190
ROW = 26
#: The plot of lines and histograms, inside its axes.
LEFT, RIGHT, TOP, BOTTOM = 64, 16, 28, 44
PLOT_HEIGHT = 200
#: Dash patterns tell the lines of a plot apart where colours do not.
DASHES = ("none", "7 4", "2 3", "10 3 2 3", "1 6")

STYLE = """
figure{margin:1rem 0;border:1px solid var(--line);border-radius:.3rem;background:var(--card);padding:.75rem}
figcaption{font-weight:600;margin-bottom:.4rem}
svg{display:block;width:100%;height:auto;font:13px system-ui,sans-serif}
svg text{fill:var(--ink)}svg .quiet{fill:var(--quiet)}
svg .over{paint-order:stroke;stroke:var(--card);stroke-width:4px;stroke-linejoin:round}
svg .track{fill:var(--line)}svg .axis{stroke:var(--quiet);stroke-width:1}svg .grid{stroke:var(--line);stroke-width:1}
svg .limit{stroke:var(--ink);stroke-width:1.5}svg .mark{stroke:var(--quiet);stroke-width:1.5;stroke-dasharray:4 3}
svg rect.pass{fill:var(--pass)}svg rect.warn{fill:var(--warn)}svg rect.unknown{fill:var(--unknown)}
svg rect.fail{fill:var(--fail)}svg .line{fill:none;stroke-width:2}
svg .l0{stroke:var(--pass)}svg .l1{stroke:var(--unknown)}svg .l2{stroke:var(--warn)}svg .l3{stroke:var(--fail)}
svg .l4{stroke:var(--ink)}svg rect.count{fill:var(--unknown)}
"""


def draw(chart: Chart) -> str:
    """The chart as a figure with its title; a chart without anything to draw says so."""
    drawn = _DRAW[chart.kind](chart)
    body = drawn or '<p class="quiet">There is nothing to draw yet.</p>'
    return f"<figure><figcaption>{escape(chart.title)}</figcaption>{body}</figure>"


def _svg(height: float, name: str, parts: list[str]) -> str:
    head = f'<svg viewBox="0 0 {WIDTH} {height:g}" role="img" aria-label="{escape(name)}">'
    return head + "".join(parts) + "</svg>"


def _text(x: float, y: float, value: str, anchor: str = "start", kind: str = "") -> str:
    shown = f' class="{kind}"' if kind else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{shown}>{escape(value)}</text>'


def _line(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{kind}"/>'


def _rect(x: float, y: float, width: float, height: float, kind: str, told: str = "") -> str:
    title = f"<title>{escape(told)}</title>" if told else ""
    sizes = f'x="{x:.1f}" y="{y:.1f}" width="{max(width, 0):.1f}" height="{max(height, 0):.1f}"'
    return f'<rect {sizes} class="{kind}" rx="2">{title}</rect>'


def _cut(value: str, characters: int = 28) -> str:
    """What has room beside a bar: names of hosts differ at their ends as often as at their beginnings."""
    half = characters // 2
    return value if len(value) <= characters else f"{value[: half - 1]}…{value[-half:]}"


def figure(value: float) -> str:
    """A number as people read it: at most three significant digits, thousands apart."""
    if value and abs(value) < 0.01:
        return f"{value:.1e}"
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2 if abs(value) >= 1 else 3
    text = f"{value:,.{digits}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _bars(chart: Chart) -> str:
    if not chart.bars:
        return ""
    parts = [piece for number, one in enumerate(chart.bars) for piece in _bar(one, chart.unit, number * ROW + 4)]
    return _svg(len(chart.bars) * ROW + 6, chart.title, parts)


def _bar(one: Bar, unit: str, y: float) -> list[str]:
    width = WIDTH - LABELS - FIGURES
    full = max(one.limit, one.value)
    share = width / full
    shown = f"{figure(one.value)} %" if unit == "%" else f"{figure(one.value)} of {figure(one.limit)} {unit}".strip()
    told = f"{one.label}: {shown}, {one.status}" + (f" ({one.note})" if one.note else "")
    parts = [
        _text(LABELS - 8, y + 14, _cut(one.label), "end"),
        _rect(LABELS, y, width * one.limit / full, ROW - 8, "track"),
        _rect(LABELS, y, one.value * share, ROW - 8, one.status, told),
    ]
    limits = [limit for limit in (one.warn, one.fail) if limit is not None and limit <= full]
    parts += [_line(LABELS + limit * share, y - 2, LABELS + limit * share, y + ROW - 6, "limit") for limit in limits]
    return [*parts, _text(WIDTH - FIGURES + 8, y + 14, shown if one.status == "pass" else f"{shown} ({one.status})")]


def _timeline(chart: Chart) -> str:
    if not chart.spans:
        return ""
    end = max(span.end for span in chart.spans) or 1.0
    parts: list[str] = []
    bottom = len(chart.spans) * ROW + 6
    share = (WIDTH - LABELS - FIGURES) / end
    for tick in ticks(0, end):
        parts += [_line(LABELS + tick * share, 0, LABELS + tick * share, bottom, "grid")]
        parts += [_text(LABELS + tick * share, bottom + 14, f"{figure(tick)} {chart.unit}", "middle", "quiet")]
    parts += [piece for number, span in enumerate(chart.spans) for piece in _span(span, chart.unit, end, number * ROW)]
    return _svg(bottom + 20, chart.title, parts)


def _span(span: Span, unit: str, end: float, y: float) -> list[str]:
    share = (WIDTH - LABELS - FIGURES) / end
    took = f"{figure(span.end - span.start)} {unit}"
    told = f"{span.label}: from {figure(span.start)} to {figure(span.end)} {unit}, {span.status}"
    width = max((span.end - span.start) * share, 2)
    shown = took if span.status == "pass" else f"{took} ({span.status})"
    return [
        _text(LABELS - 8, y + 18, _cut(span.label), "end"),
        _rect(LABELS + span.start * share, y + 4, width, ROW - 8, span.status, told),
        _text(WIDTH - FIGURES + 8, y + 18, shown),
    ]


def ticks(low: float, high: float, about: int = 5) -> list[float]:
    """Round values from low to high, about so many of them."""
    if high <= low:
        return [low]
    rough = (high - low) / about
    power = 10 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough)
    first = math.ceil(low / step)
    return [number * step for number in range(first, math.floor(high / step + 1e-9) + 1)]


class _Plot:
    """The axes of a plot and where its values lie."""

    def __init__(self, xs: tuple[float, float], ys: tuple[float, float]) -> None:
        self.xs = xs if xs[1] > xs[0] else (xs[0], xs[0] + 1)
        self.ys = ys if ys[1] > ys[0] else (ys[0], ys[0] + 1)

    def x(self, value: float) -> float:
        share = (value - self.xs[0]) / (self.xs[1] - self.xs[0])
        return LEFT + share * (WIDTH - LEFT - RIGHT)

    def y(self, value: float) -> float:
        share = (value - self.ys[0]) / (self.ys[1] - self.ys[0])
        return TOP + (1 - share) * PLOT_HEIGHT

    @property
    def bottom(self) -> float:
        """Where the x axis lies."""
        return TOP + PLOT_HEIGHT

    def y_axis(self, unit: str) -> list[str]:
        """The axis with its ticks, the lines across them and its unit."""
        parts = [_line(LEFT, TOP, LEFT, self.bottom, "axis"), _text(LEFT, TOP - 10, unit, "start", "quiet")]
        for tick in ticks(*self.ys):
            parts.append(_line(LEFT, self.y(tick), WIDTH - RIGHT, self.y(tick), "grid"))
            parts.append(_text(LEFT - 6, self.y(tick) + 4, figure(tick), "end", "quiet"))
        return parts

    def x_axis(self, unit: str) -> list[str]:
        """The axis and its unit."""
        line = _line(LEFT, self.bottom, WIDTH - RIGHT, self.bottom, "axis")
        return [line, _text(WIDTH - RIGHT, self.bottom + 34, unit, "end", "quiet")]

    def x_ticks(self) -> list[str]:
        """The figures below the x axis."""
        return [_text(self.x(tick), self.bottom + 16, figure(tick), "middle", "quiet") for tick in ticks(*self.xs)]

    def marks(self, marks: tuple[Mark, ...]) -> list[str]:
        parts = []
        for number, mark in enumerate(marks):
            if mark.axis == "y" and self.ys[0] <= mark.at <= self.ys[1]:
                y = self.y(mark.at)
                parts += [
                    _line(LEFT, y, WIDTH - RIGHT, y, "mark"),
                    _text(WIDTH - RIGHT, y - 4, mark.label, "end", "over"),
                ]
            elif mark.axis == "x" and self.xs[0] <= mark.at <= self.xs[1]:
                # Marks may lie close together, so their labels take turns in height.
                x, y = self.x(mark.at), TOP + 12 + 16 * (number % 6)
                anchor = "end" if x > WIDTH * 0.75 else "start"
                shift = -5 if anchor == "end" else 5
                parts += [
                    _line(x, TOP, x, TOP + PLOT_HEIGHT, "mark"),
                    _text(x + shift, y, _cut(mark.label), anchor, "over"),
                ]
        return parts


def _histogram(chart: Chart) -> str:
    """Bars of one width whatever their buckets span, since latencies go from milliseconds to minutes."""
    buckets = chart.buckets
    if not any(bucket.count for bucket in buckets):
        return ""
    edges = [buckets[0].low, *(bucket.high for bucket in buckets)]
    # What is marked beyond the last bucket gets room of its own behind it.
    beyond = any(mark.at > edges[-1] for mark in chart.marks)
    plot = _Plot((0, len(buckets) + (1 if beyond else 0)), (0, max(bucket.count for bucket in buckets)))
    parts = plot.y_axis("count")
    every = 1 + len(buckets) // 12
    parts += [
        _text(plot.x(place), plot.bottom + 16, figure(edge), "middle", "quiet")
        for place, edge in enumerate(edges)
        if place % every == 0
    ]
    for place, bucket in enumerate(buckets):
        told = f"{figure(bucket.low)} to {figure(bucket.high)} {chart.unit}: {bucket.count}"
        height = plot.bottom - plot.y(bucket.count)
        width = plot.x(place + 1) - plot.x(place) - 1
        parts.append(_rect(plot.x(place), plot.bottom - height, width, height, "count", told))
    marks = tuple(
        Mark(f"{mark.label} {figure(mark.at)} {chart.unit}".strip(), _place(edges, mark.at)) for mark in chart.marks
    )
    parts += [*plot.x_axis(chart.unit), *plot.marks(marks)]
    return _svg(plot.bottom + BOTTOM, chart.title, parts)


def _place(edges: list[float], value: float) -> float:
    """Where a value lies among bars of one width, the first of which begins at 0."""
    for place, (low, high) in enumerate(pairwise(edges)):
        if value <= high:
            return place + max(value - low, 0.0) / ((high - low) or 1.0)
    return len(edges) - 0.5


def _lines(chart: Chart) -> str:
    points = [point for series in chart.series for point in series.points]
    if not points:
        return ""
    marked = {axis: [mark.at for mark in chart.marks if mark.axis == axis] for axis in ("x", "y")}
    xs, ys = [x for x, _y in points] + marked["x"], [y for _x, y in points] + marked["y"]
    plot = _Plot((min(xs), max(xs)), (min(0, *ys), max(ys) * 1.05))
    parts = [*plot.y_axis(chart.unit), *plot.x_axis(chart.x_unit), *plot.x_ticks()]
    legend = TOP + PLOT_HEIGHT + BOTTOM
    for number, series in enumerate(chart.series):
        kind, dash = f"line l{number % len(DASHES)}", DASHES[number % len(DASHES)]
        path = " ".join(f"{plot.x(x):.1f},{plot.y(y):.1f}" for x, y in series.points)
        y = legend + number * 18
        parts.append(f'<polyline points="{path}" class="{kind}" stroke-dasharray="{dash}"/>')
        parts.append(f'<line x1="{LEFT}" y1="{y}" x2="{LEFT + 40}" y2="{y}" class="{kind}" stroke-dasharray="{dash}"/>')
        parts.append(_text(LEFT + 48, y + 4, series.label))
    return _svg(legend + 18 * len(chart.series), chart.title, parts + plot.marks(chart.marks))


_DRAW: dict[str, Callable[[Chart], str]] = {
    "bars": _bars,
    "histogram": _histogram,
    "lines": _lines,
    "timeline": _timeline,
}
