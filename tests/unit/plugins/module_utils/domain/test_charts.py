# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

import pytest
from ansible_collections.langsmith.aws.plugins.module_utils.domain.chart_svg import draw, figure, ticks
from ansible_collections.langsmith.aws.plugins.module_utils.domain.charts import parse_charts

SVG = "{http://www.w3.org/2000/svg}"
BARS = {
    "kind": "bars",
    "title": "Headroom",
    "unit": "GiB",
    "bars": [
        {"label": "a: disk", "value": 350, "limit": 500, "warn": 350, "fail": 425, "note": "gp3"},
        {"label": "b: <disk>", "value": 600, "limit": 500, "warn": 350, "fail": 425},
        {"label": "c: disk", "value": 0, "limit": 500},
    ],
}
LINES = {
    "kind": "lines",
    "title": "Forecast",
    "unit": "GiB",
    "x_unit": "days",
    "series": [{"label": "a", "points": [[0, 100], [30, 400]]}, {"label": "b", "points": [[0, 100], [30, 100]]}],
    "marks": [{"label": "full", "axis": "y", "at": 500}, {"label": "day 40", "at": 40}],
}
HISTOGRAM = {
    "kind": "histogram",
    "title": "Visible",
    "unit": "s",
    "buckets": [{"from": 0, "to": 1, "count": 3}, {"from": 1, "to": 2, "count": 0}, {"from": 2, "to": 4, "count": 9}],
    "marks": [{"label": "p95", "at": 3}],
}
TIMELINE = {
    "kind": "timeline",
    "title": "Stages",
    "unit": "s",
    "spans": [
        {"label": "tls", "from": 0, "to": 0.1, "status": "pass"},
        {"label": "visible", "from": 0.1, "to": 8, "status": "fail"},
    ],
}


def drawn(document: dict[str, Any]) -> ElementTree.Element:
    """The figure as a browser's parser would see it."""
    source = draw(parse_charts([document])[0]).replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ')
    return ElementTree.fromstring(source)  # noqa: S314 - it is our own


def rects(figure_element: ElementTree.Element, kind: str) -> list[ElementTree.Element]:
    return [rect for rect in figure_element.iter(f"{SVG}rect") if rect.get("class") == kind]


def texts(figure_element: ElementTree.Element) -> list[str]:
    return [text.text or "" for text in figure_element.iter(f"{SVG}text")]


def test_a_bar_is_as_long_as_its_share_of_the_limit() -> None:
    bars = drawn({**BARS, "bars": [{"label": "a", "value": 125, "limit": 500}]})
    track, used = rects(bars, "track")[0], rects(bars, "pass")[0]
    assert float(used.get("width", 0)) == pytest.approx(float(track.get("width", 0)) / 4, abs=0.1)


def test_a_bar_beyond_its_threshold_says_so_in_words_and_colour() -> None:
    bars = drawn(BARS)
    assert len(rects(bars, "warn")) == 1
    assert len(rects(bars, "fail")) == 1
    assert "350 of 500 GiB (warn)" in texts(bars)
    assert "600 of 500 GiB (fail)" in texts(bars)


def test_a_bar_over_its_limit_stays_in_the_drawing() -> None:
    bars = drawn(BARS)
    box = bars.find(f"{SVG}svg")
    assert box is not None
    width = float(box.get("viewBox", "").split()[2])
    for rect in bars.iter(f"{SVG}rect"):
        assert float(rect.get("x", 0)) + float(rect.get("width", 0)) <= width


def test_every_line_has_its_label_and_a_dash_pattern_of_its_own() -> None:
    lines = drawn(LINES)
    dashes = [line.get("stroke-dasharray") for line in lines.iter(f"{SVG}polyline")]
    assert len(set(dashes)) == 2
    assert {"a", "b", "full", "day 40"} <= set(texts(lines))


def test_marks_beyond_the_data_widen_the_plot() -> None:
    lines = drawn(LINES)
    marks = [float(line.get("x1", 0)) for line in lines.iter(f"{SVG}line") if line.get("class") == "mark"]
    points = " ".join(line.get("points", "") for line in lines.iter(f"{SVG}polyline")).split()
    assert max(float(point.split(",")[0]) for point in points) < max(marks)


def test_the_fullest_bucket_is_the_highest() -> None:
    heights = [float(rect.get("height", 0)) for rect in rects(drawn(HISTOGRAM), "count")]
    assert heights[2] > heights[0] > heights[1] == 0


def test_a_mark_lies_within_the_bar_of_its_bucket() -> None:
    histogram = drawn(HISTOGRAM)
    third = rects(histogram, "count")[2]
    mark = next(line for line in histogram.iter(f"{SVG}line") if line.get("class") == "mark")
    middle = float(third.get("x", 0)) + float(third.get("width", 0)) / 2
    assert float(mark.get("x1", 0)) == pytest.approx(middle, abs=1)
    assert "p95 3 s" in texts(histogram)


def test_a_mark_beyond_the_last_bucket_is_drawn_behind_it() -> None:
    histogram = drawn({**HISTOGRAM, "marks": [{"label": "threshold", "at": 60}]})
    last = rects(histogram, "count")[-1]
    mark = next(line for line in histogram.iter(f"{SVG}line") if line.get("class") == "mark")
    assert float(mark.get("x1", 0)) > float(last.get("x", 0)) + float(last.get("width", 0))


def test_a_span_begins_where_the_former_ends() -> None:
    first, second = (rects(drawn(TIMELINE), status)[0] for status in ("pass", "fail"))
    end = float(first.get("x", 0)) + float(first.get("width", 0))
    assert float(second.get("x", 0)) == pytest.approx(end, abs=0.2)


@pytest.mark.parametrize(
    "empty",
    [{**BARS, "bars": []}, {**LINES, "series": []}, {**HISTOGRAM, "buckets": []}, {**TIMELINE, "spans": []}],
    ids=lambda chart: chart["kind"],
)
def test_a_chart_without_data_says_so(empty: dict[str, Any]) -> None:
    assert "nothing to draw" in draw(parse_charts([empty])[0])


@pytest.mark.parametrize("chart", [LINES, HISTOGRAM], ids=lambda chart: chart["kind"])
def test_a_single_value_is_drawn(chart: dict[str, Any]) -> None:
    parts = {"series": [{"label": "a", "points": [[0, 0]]}], "buckets": [{"from": 0, "to": 0, "count": 1}]}
    assert drawn({**chart, **parts, "marks": []}).find(f"{SVG}svg") is not None


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ({**BARS, "kind": "pie"}, "kind 'pie' is none of bars, histogram, lines, timeline"),
        ({"kind": "bars", "title": "x"}, "'bars' is missing"),
        ({**BARS, "bars": [{"label": "a", "value": "much", "limit": 1}]}, "could not convert"),
        ({**BARS, "bars": [{"label": "a", "value": 1, "limit": 0}]}, "the limit of bar 'a' is 0, not above 0"),
        ({**BARS, "bars": [{"label": "a", "value": float("nan"), "limit": 1}]}, "nan is no finite number"),
        ({**TIMELINE, "spans": [{"label": "a", "from": 0, "to": 1, "status": "bad"}]}, "status 'bad' of span 'a'"),
        ("no chart", "entry 2"),
    ],
)
def test_what_is_no_chart_is_told_with_its_number(document: Any, said: str) -> None:
    with pytest.raises(ValueError, match="entry 2") as error:
        parse_charts([BARS, document])
    assert said in str(error.value)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0, "0"),
        (0.0001, "1.0e-04"),
        (0.0142, "0.014"),
        (1.5, "1.5"),
        (12.34, "12.3"),
        (1234.5, "1,234"),
        (7000, "7,000"),
    ],
)
def test_figures_have_three_digits(value: float, shown: str) -> None:
    assert figure(value) == shown


@pytest.mark.parametrize(("low", "high"), [(0, 1), (0, 0.003), (5, 5), (0, 1234567), (-3, 4)])
def test_ticks_are_few_and_within(low: float, high: float) -> None:
    found = ticks(low, high)
    assert 1 <= len(found) <= 7
    assert all(low <= tick <= high + 1e-9 for tick in found)
