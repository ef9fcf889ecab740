# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Figures beside their limits, and the charts of them."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.facts import (
    GIB,
    Context,
    Live,
    Refused,
    Replica,
)
from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.measures import charts, measures

CONTEXT = Context("production", "reader")
ANSWERS: dict[str, Any] = {
    "threads": [{"value": "auto(8)"}],
    "memory_limit": [{"name": "max_server_memory_usage", "value": 28.0 * GIB}],
    "memory_tracked": [{"name": "MemoryTracking", "value": 14 * GIB}],
    "running": [{"running": 40}],
    "query_limit": [{"value": "500"}],
    "disks": [{"name": "default", "type": "Local", "total_space": 500 * GIB, "unreserved_space": 300 * GIB}],
    "parts": [{"database": "default", "table": "runs", "partition_id": "all", "parts": 120}],
    "merge_limits": [{"name": "parts_to_delay_insert", "value": 1000.0}],
    "merge_pool": [{"tasks": 3, "size": 32}],
    "replicas": [
        {"database": "other", "table": "a", "is_readonly": 0, "absolute_delay": 7},
        {"database": "other", "table": "b", "is_readonly": 1, "absolute_delay": 1_795_000_000},
    ],
    "disk_growth": [{"added": 120 * GIB, "removed": 20 * GIB, "seconds": 5 * 86400}],
}


def measured(**more: Any) -> dict[str, Any]:
    live = Live("reader", replicas=(Replica("chi-0:8123", {"sight": [{"result": 1}], **ANSWERS, **more}),))
    (one,) = measures(live)
    return one


def test_every_figure_stands_beside_its_limit() -> None:
    assert measured() == {
        "subject": "chi-0:8123",
        "cpu": 8,
        "memory_used_gib": 14.0,
        "memory_limit_gib": 28.0,
        "queries": 40.0,
        "queries_limit": 500.0,
        "disk_used_gib": 200.0,
        "disk_total_gib": 500.0,
        "parts": 120,
        "parts_in": "default.runs",
        "parts_limit": 1000.0,
        "merges": 3.0,
        "merges_limit": 32.0,
        "replication_lag_s": 7,
        "growth_gib_per_day": 20.0,
        "days_to_full": 15.0,
    }


def test_what_nobody_answered_is_none_and_draws_nothing() -> None:
    dark = measures(Live("reader", replicas=(Replica("chi-0:8123", unreachable="tcp: refused"),)))
    assert {name for name, value in dark[0].items() if value is not None} == {"subject"}
    assert charts(dark) == []
    assert charts([]) == []


def test_what_the_user_may_not_see_is_none_and_no_zero() -> None:
    blind = measured(sight=[{"result": 0}], parts=[], replicas=[])
    assert (blind["parts"], blind["replication_lag_s"]) == (None, None)
    assert (blind["queries"], blind["disk_total_gib"]) == (40.0, 500.0)
    assert measured(parts=[])["parts"] == 0


@pytest.mark.parametrize("broken", [[{}], [{"value": "x"}], [dict.fromkeys(("parts", "total_space"), "x")]])
@pytest.mark.parametrize("query", sorted(ANSWERS))
def test_rows_of_another_shape_cost_their_own_figures_only(query: str, broken: list[dict[str, Any]]) -> None:
    whole, damaged = measured(), measured(**{query: broken})
    assert set(damaged) == set(whole)
    assert len([name for name in whole if damaged[name] != whole[name]]) <= 5
    assert charts([damaged])


def test_a_disk_that_does_not_fill_has_no_last_day() -> None:
    emptying = measured(disk_growth=[{"added": 0, "removed": 90 * GIB, "seconds": 9 * 86400}])
    assert (emptying["growth_gib_per_day"], emptying["days_to_full"]) == (-10.0, None)
    (forecast,) = (chart for chart in charts([emptying]) if chart["kind"] == "lines")
    assert forecast["series"][0]["points"] == [[0.0, 200.0], [30, 0.0]]
    assert [mark["axis"] for mark in forecast["marks"]] == ["y"]


def test_a_disk_that_fills_is_drawn_to_its_last_day_and_on() -> None:
    (forecast,) = (chart for chart in charts([measured()]) if chart["kind"] == "lines")
    assert forecast["series"] == [
        {"label": "chi-0:8123", "points": [[0.0, 200.0], [15.0, 500.0], [18.8, 500.0]]},
    ]
    assert forecast["marks"] == [
        {"label": "500 GiB", "axis": "y", "at": 500.0},
        {"label": "chi-0:8123 full", "axis": "x", "at": 15.0},
    ]


def test_a_last_day_beyond_the_horizon_is_not_drawn() -> None:
    slow = measured(disk_growth=[{"added": GIB, "removed": 0, "seconds": 86400}])
    (forecast,) = (chart for chart in charts([slow]) if chart["kind"] == "lines")
    assert forecast["series"][0]["points"] == [[0.0, 200.0], [90, 290.0]]
    assert [mark["axis"] for mark in forecast["marks"]] == ["y"]


def test_headroom_is_in_percent_with_its_figures() -> None:
    (headroom,) = (chart for chart in charts([measured()]) if chart["unit"] == "%")
    bars = {one["label"]: (one["value"], one["note"]) for one in headroom["bars"]}
    assert bars["chi-0:8123 memory"] == (50.0, "14 of 28 GiB")
    assert bars["chi-0:8123 disk"] == (40.0, "200 of 500 GiB")
    assert all(0 < one["warn"] <= one["fail"] <= one["limit"] == 100 for one in headroom["bars"])


@pytest.mark.parametrize("more", [{"query_limit": [{"value": "0"}]}, {"query_limit": Refused(497, "denied")}])
def test_without_a_limit_there_is_no_bar(more: dict[str, Any]) -> None:
    labels = {one["label"] for chart in charts([measured(**more)]) for one in chart.get("bars", [])}
    assert "chi-0:8123 queries" not in labels


def test_disks_of_two_sizes_are_two_forecasts() -> None:
    small = {"name": "default", "type": "Local", "total_space": 100 * GIB, "unreserved_space": 50 * GIB}
    titles = [chart["title"] for chart in charts([measured(), measured(disks=[small])]) if chart["kind"] == "lines"]
    assert titles == ["Disk in use as it fills now, of 100 GiB", "Disk in use as it fills now, of 500 GiB"]
