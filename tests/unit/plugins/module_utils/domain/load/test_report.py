# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.langsmith.aws.plugins.module_utils.domain.charts import parse_charts
from ansible_collections.langsmith.aws.plugins.module_utils.domain.load.histogram import Histogram
from ansible_collections.langsmith.aws.plugins.module_utils.domain.load.ids import Ids
from ansible_collections.langsmith.aws.plugins.module_utils.domain.load.measured import Measured, Progress, Sample, Step
from ansible_collections.langsmith.aws.plugins.module_utils.domain.load.options import Settings
from ansible_collections.langsmith.aws.plugins.module_utils.domain.load.report import result
from ansible_collections.langsmith.aws.plugins.module_utils.domain.load.verdict import judge

URL = "https://langsmith.example.org"


def load(**options: Any) -> Settings:
    ways = {} if options.get("find_capacity") or options.get("concurrency") else {"rate": 10.0}
    return Settings(**{"ids": Ids(1, 2), **ways, **options})


def measured(**options: Any) -> Measured:
    """A load of 100 traces of two runs that went well."""
    well = {
        "traces": 100,
        "sent": 200,
        "accepted": 200,
        "visible": 200,
        "drain": 0.5,
        "complete": True,
        "certain": True,
    }
    common = {"began": 1.0, "offered_rate": 10.0, "runs_per_trace": 2, "duration": 10.0, "sending": 10.0, "whole": 12.0}
    found = Measured(**{**common, "cpu": 0.4, **well, **options})
    found.latencies["accepted"].add(0.02, 100)
    found.latencies["visible"].add(0.4, 100)
    found.latencies["late"].add(0.001, 100)
    for name in ("first_quarter", "last_quarter"):
        found.latencies[name].add(0.4, 25)
    return found


def statuses(found: Measured, settings: Settings | None = None) -> dict[str, str]:
    return {one.id.removeprefix("load."): one.status for one in judge(settings or load(), found, URL)}


WELL = {
    "accepted": "pass",
    "lost": "pass",
    "duplicates": "pass",
    "visible": "pass",
    "backlog": "pass",
    "sender": "pass",
}


def test_a_load_that_went_well_passes_every_rule() -> None:
    assert statuses(measured()) == WELL


@pytest.mark.parametrize(
    ("options", "changed"),
    [
        ({"refused": {"429": 5}, "accepted": 195, "visible": 195}, {"accepted": "fail"}),
        ({"unanswered": {"http timeout": 5}, "accepted": 195, "visible": 195}, {"accepted": "fail"}),
        ({"lost": 1, "visible": 199}, {"lost": "fail"}),
        ({"lost": 1, "visible": 199, "certain": False}, {"lost": "fail"}),
        ({"complete": False}, {"lost": "unknown", "duplicates": None}),
        ({"duplicates": 2, "duplicate_ids": ["a"]}, {"duplicates": "fail"}),
        ({"stored_unaccepted": 2}, {"unaccepted": "warn"}),
        ({"unsent_traces": 3}, {"sender": "warn"}),
        ({"interrupted": "interrupted while sending"}, {"interrupted": "unknown"}),
        ({"projects": [{"id": "1", "name": "load-1", "kept": True}]}, {"cleanup": "warn"}),
        ({"shares": 1, "merged": True}, {}),
        ({"shares": 2, "merged": True}, {"shares": "fail"}),
    ],
)
def test_each_trouble_has_its_own_finding(options: dict[str, Any], changed: dict[str, str | None]) -> None:
    expected = {name: status for name, status in {**WELL, **changed}.items() if status is not None}
    assert statuses(measured(**options)) == expected


def test_a_project_that_was_to_be_kept_is_no_finding() -> None:
    found = measured(projects=[{"id": "1", "name": "load-1", "kept": True}])
    assert statuses(found, load(keep=True)) == WELL


def test_lost_runs_are_told_apart_from_late_ones() -> None:
    lost, late = (measured(lost=3, visible=197, lost_ids=["x1"], certain=certain) for certain in (True, False))
    told = [next(one for one in judge(load(), found, URL) if one.id == "load.lost") for found in (lost, late)]
    assert "they are lost. First: x1" in told[0].observed
    assert "lost or late is not known" in told[1].observed


@pytest.mark.parametrize(
    ("status", "words"),
    [("429", "quota"), ("413", "25 MB"), ("403", "firewall"), ("500", "platform-backend"), ("422", "answer's text")],
)
def test_a_refusal_has_the_remedy_of_its_status(status: str, words: str) -> None:
    found = measured(refused={status: 4}, problems=[f"status {status}: no"])
    finding = judge(load(), found, URL)[0]
    assert words in finding.remedy
    assert f"4 by status {status}" in finding.observed
    assert "no" in finding.observed


def test_watched_traces_that_never_came_fail_the_threshold() -> None:
    found = measured()
    found.latencies["visible"].missing = 20
    assert statuses(found)["visible"] == "fail"


def test_traces_that_are_visible_too_late_fail_the_threshold_they_are_judged_by() -> None:
    assert statuses(measured(), load(visible_p95=0.3))["visible"] == "fail"


@pytest.mark.parametrize(
    ("resolution", "visible", "backlog"),
    [(0.05, "fail", "warn"), (0.2, "unknown", "warn"), (9.0, "unknown", "unknown")],
)
def test_what_only_slow_reading_may_make_too_late_is_unknown(resolution: float, visible: str, backlog: str) -> None:
    found = measured(resolution=resolution)
    found.latencies["last_quarter"].add(9.0, 75)
    settings = load(visible_p95=0.3)
    told = statuses(found, settings)
    assert (told["visible"], told["backlog"]) == (visible, backlog)
    shown = result(found, settings, URL, 30)
    assert (shown["resolution_seconds"], shown["load_class"]) == (resolution, None)


def test_what_slow_reading_cannot_make_too_late_passes() -> None:
    assert statuses(measured(resolution=9.0)) == WELL


@pytest.mark.parametrize(
    ("options", "status"),
    [
        ({}, None),
        ({"certain": False}, "warn"),
        # Nothing is queued any more.
        ({"lost": 1, "visible": 199}, None),
        ({"lost": 1, "visible": 199, "certain": False}, "warn"),
        ({"complete": False, "certain": False, "interrupted": "interrupted while accounting"}, "warn"),
        ({"sent": 0, "accepted": 0, "certain": False}, None),
    ],
)
def test_a_project_that_was_removed_before_a_queue_that_may_hold_its_runs_is_a_warning(
    options: dict[str, Any], status: str | None
) -> None:
    found = measured(**options, projects=[{"id": "1", "name": "load-1", "kept": False}])
    assert statuses(found).get("cleanup") == status


def test_a_backlog_that_grows_is_a_warning_with_the_rate_that_is_stored() -> None:
    found = measured()
    found.latencies["last_quarter"].add(9.0, 75)
    warning = next(one for one in judge(load(), found, URL) if one.id == "load.backlog")
    assert warning.status == "warn"
    assert "about 5 traces/s" in warning.remedy


def test_nothing_sent_is_not_known_to_be_accepted() -> None:
    found = Measured(began=1.0, offered_rate=10.0, runs_per_trace=2, complete=True)
    assert statuses(found)["accepted"] == "unknown"


def steps(*held: tuple[float, bool]) -> list[Step]:
    return [Step(rate, holds, "visible p95 0.40 s", rate, 0.4, 0.0) for rate, holds in held]


@pytest.mark.parametrize(
    ("found", "status", "rate", "carried"),
    [
        (steps((10, True), (20, True), (22, False)), "pass", 20, "low"),
        (steps((10, True), (20, True), (40, False)), "warn", 20, "low"),
        (steps((100, True), (200, True)), "warn", 200, "medium"),
        (steps((10, False)), "unknown", None, None),
    ],
)
def test_a_capacity_is_told_with_the_load_class_that_it_carries(
    found: list[Step], status: str, rate: float | None, carried: str | None
) -> None:
    searching = load(find_capacity=True)
    told = measured(steps=found, offered_rate=rate)
    assert statuses(told, searching)["capacity"] == status
    found_class = result(told, searching, URL, 30)
    assert (found_class["capacity"]["rate"], found_class["load_class"]) == (rate, carried)


def test_a_result_tells_what_was_planned_and_what_came_of_it() -> None:
    found = result(measured(refused={}), load(), URL, 30)
    assert found["plan"]["traces"] == 600
    assert found["rates"] == {"offered": 10.0, "accepted": 10.0, "visible": pytest.approx(9.524)}
    assert found["percentiles"]["visible"]["p95"] == pytest.approx(0.4, rel=0.01)
    assert found["percentiles"]["stored"] == {"p50": None, "p95": None, "p99": None}
    assert found["load_class"] == "low"
    assert found["capacity"] is None


@pytest.mark.parametrize(
    ("options", "settings", "expected"),
    [
        # The last trace of 600 leaves 0.1 s before the minute is over.
        ({"traces": 600, "accepted": 1200, "visible": 1200, "sending": 59.9}, {}, "low"),
        ({"traces": 600, "accepted": 1200, "visible": 1200, "sending": 59.9, "offered_rate": None}, {}, "medium"),
        ({"lost": 1, "visible": 199}, {}, None),
        ({"complete": False}, {}, None),
        ({}, {"visible_p95": 0.3}, None),
    ],
)
def test_the_load_class_is_that_of_the_rate_which_was_carried(
    options: dict[str, Any], settings: dict[str, Any], expected: str | None
) -> None:
    assert result(measured(**options), load(**settings), URL, 30)["load_class"] == expected


@pytest.mark.parametrize(
    ("interrupted", "words"), [("", "raise drain_timeout"), ("interrupted while accounting", "see load.interrupted")]
)
def test_books_that_stay_open_have_the_remedy_of_their_reason(interrupted: str, words: str) -> None:
    found = judge(load(), measured(complete=False, interrupted=interrupted), URL)
    assert words in next(one for one in found if one.id == "load.lost").remedy


def test_charts_show_latencies_progress_queue_and_time() -> None:
    found = measured(phases=[("send 10/s", 0.0, 10.0), ("drain", 10.0, 10.5)])
    found.backlog = [Sample(0.0, 0, 0, 0), Sample(1.0, 7, 1, 1)]
    found.progress = [Progress(0.0, 0, 0), Progress(1.0, 10, 8)]
    charts = result(found, load(), URL, 30)["charts"]
    assert [chart["kind"] for chart in charts] == ["histogram", "histogram", "lines", "lines", "timeline"]
    assert [chart.title for chart in parse_charts(charts)] == [chart["title"] for chart in charts]
    accepted = charts[0]
    assert sum(bucket["count"] for bucket in accepted["buckets"]) == 100
    assert all(bucket["from"] < bucket["to"] for bucket in accepted["buckets"])
    assert {mark["label"] for mark in charts[1]["marks"]} == {"p50", "p95", "p99", "threshold of p95"}
    assert [series["label"] for series in charts[3]["series"]] == ["pending", "retry"]
    assert charts[3]["marks"] == [{"label": "sending ended", "axis": "x", "at": 10.0}]


def test_what_was_not_measured_has_no_chart() -> None:
    assert result(Measured(began=1.0, offered_rate=1.0, runs_per_trace=1), load(), URL, 30)["charts"] == []


@pytest.mark.parametrize("seconds", [0.00005, 0.0003, 0.01, 0.99, 1.0, 2.0, 45.0, 4000.0])
def test_a_latency_lies_within_its_bar(seconds: float) -> None:
    found = Measured(began=1.0, offered_rate=1.0, runs_per_trace=1)
    found.latencies["accepted"].add(seconds)
    (chart,) = result(found, load(), URL, 30)["charts"]
    (filled,) = [bucket for bucket in chart["buckets"] if bucket["count"]]
    assert filled["from"] <= seconds <= filled["to"]


def unsent(**options: Any) -> Measured:
    """A load of which 61 of 100 traces were not sent."""
    found = measured(**{"traces": 39, "unsent_traces": 61, "sent": 78, "accepted": 78, "visible": 78, **options})
    for name in ("accepted", "visible", "late", "last_quarter"):
        found.latencies[name] = Histogram()
        found.latencies[name].add(0.1, 39)
        found.latencies[name].missing = 61
    return found


@pytest.mark.parametrize(
    ("options", "accepted", "sender"),
    [
        ({}, "fail", "fail"),
        # The sender itself had no more to give, so nothing is known of the installation.
        ({"cpu": 9.5}, "unknown", "unknown"),
    ],
)
def test_a_rate_that_was_not_sent_is_no_pass_and_no_load_class(
    options: dict[str, Any], accepted: str, sender: str
) -> None:
    found = unsent(**options)
    told = statuses(found)
    assert (told["accepted"], told["sender"], told["visible"]) == (accepted, sender, "unknown")
    assert "backlog" not in told
    assert result(found, load(), URL, 30)["load_class"] is None
    visible = next(one for one in judge(load(), found, URL) if one.id == "load.visible")
    assert "61 were not sent" in visible.observed


def test_what_a_load_that_was_cut_off_did_not_send_is_no_fault_of_the_installation() -> None:
    found = measured(unsent_traces=500, interrupted="interrupted while sending")
    assert statuses(found) == {**WELL, "sender": "warn", "interrupted": "unknown"}
    assert result(found, load(), URL, 30)["load_class"] is None


def test_shares_that_did_not_send_together_are_no_pass() -> None:
    found = measured(shares=2, merged=True, apart=40.0)
    told = statuses(found, load(of=2))
    assert (told["shares"], told["accepted"], told["visible"]) == ("fail", "unknown", "unknown")
    assert "backlog" not in told
    assert result(found, load(of=2), URL, 30)["load_class"] is None


def test_a_percentile_says_how_many_of_how_many_it_is_of() -> None:
    visible = next(one for one in judge(load(), measured(watched=25), URL) if one.id == "load.visible")
    assert "25 of 100 traces watched" in visible.observed


@pytest.mark.parametrize("trouble", ["refused", "backlog"])
def test_a_load_that_was_refused_in_part_or_piled_up_has_no_load_class(trouble: str) -> None:
    found = measured(refused={"429": 2}) if trouble == "refused" else measured()
    if trouble == "backlog":
        found.latencies["last_quarter"].add(9.0, 75)
    assert result(found, load(), URL, 30)["load_class"] is None


def test_what_is_refused_above_the_capacity_is_no_failure_of_a_search() -> None:
    tried = steps((10, True), (11, False))
    found = measured(steps=tried, refused={"429": 10}, accepted=190, visible=190)
    assert "accepted" not in statuses(found, load(find_capacity=True))
    assert statuses(found, load(find_capacity=True))["capacity"] == "pass"


@pytest.mark.parametrize(
    ("tried", "words"),
    [
        ([(10.0, True, False), (20.0, False, False)], "between 10 and 20 traces/s: raise traces_max"),
        ([(10.0, True, False), (11.0, False, True)], "the sender came to its limit"),
        ([(10.0, True, False), (20.0, True, False)], "at least this: raise traces_max"),
    ],
)
def test_a_search_that_a_bound_or_the_sender_ended_says_what_it_found(
    tried: list[tuple[float, bool, bool]], words: str
) -> None:
    found = measured(steps=[Step(rate, holds, "", rate, 0.4, 0.0, sender=sender) for rate, holds, sender in tried])
    finding = next(one for one in judge(load(find_capacity=True), found, URL) if one.id == "load.capacity")
    assert finding.status == "warn"
    assert words in finding.remedy
