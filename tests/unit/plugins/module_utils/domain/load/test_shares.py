# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.langsmith.aws.plugins.module_utils.domain.errors import ProjectError
from ansible_collections.langsmith.aws.plugins.module_utils.domain.load.ids import parse_seed
from ansible_collections.langsmith.aws.plugins.module_utils.domain.load.measured import Measured, Sample
from ansible_collections.langsmith.aws.plugins.module_utils.domain.load.options import settings
from ansible_collections.langsmith.aws.plugins.module_utils.domain.load.shares import following, merged

LOAD: dict[str, Any] = {"rate": 4, "duration": 10, "of": 2, "seed": "01a1feca8bbd-386b8eb00", "runs_per_trace": 5}
URL = "https://langsmith.example.org"
IDS = parse_seed(LOAD["seed"])


def log(began: float, **counts: Any) -> str:
    """What a pod prints: how far it is, and at the end its share."""
    known = {"duration": 10.0, "sending": 10.0, "complete": True, "certain": True, **counts}
    share = Measured(began=began, offered_rate=4, runs_per_trace=5, **known)
    return "sent 10 traces\nsent 20 traces\n" + json.dumps({"share": share.to_dict()}) + "\n"


def result(*logs: str) -> dict[str, Any]:
    return merged([logs], URL, LOAD, 30)


def status(found: dict[str, Any], rule: str) -> str:
    return str(next(finding["status"] for finding in found["findings"] if finding["id"] == f"load.{rule}"))


def test_the_counts_of_all_pods_are_added_up() -> None:
    found = result(
        log(1000.0, traces=20, sent=100, accepted=100, visible=100),
        log(1000.5, traces=20, sent=100, accepted=98, visible=97, lost=1, lost_ids=["a"], refused={"503": 2}),
    )
    assert (found["sent"], found["accepted"], found["visible"], found["lost"]) == (200, 198, 197, 1)
    assert (found["lost_ids"], found["refused"]) == (["a"], {"503": 2})
    assert status(found, "lost") == "fail"


def test_shares_make_one_result() -> None:
    found = result(*(log(1000.0 + index, traces=25, sent=125, accepted=125, visible=125) for index in range(2)))
    assert (found["sent"], found["traces"], found["sender"]["shares"]) == (250, 50, 2)
    assert not [one for one in found["findings"] if one["id"] == "load.shares"]


def test_a_share_that_is_missing_is_found_although_the_others_are_well() -> None:
    found = result(log(1000.0, traces=20, sent=100, accepted=100, visible=100))
    assert status(found, "shares") == "fail"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "last words are ''"),
        ("Killed\n", "last words are 'Killed'"),
        ('{"error":"ValueError: no"}\n', "ValueError: no"),
        ('{"share":{"began":1}}\n', "began"),
    ],
)
def test_a_log_without_a_share_is_refused_with_its_last_words(text: str, words: str) -> None:
    with pytest.raises(ProjectError, match="ended without telling what it measured") as caught:
        result(log(1000.0), text)
    assert words in str(caught.value)


def test_a_plain_load_is_one_step() -> None:
    found = following([], URL, LOAD, 30)
    assert found is not None
    assert found["load"] == LOAD
    assert found["seconds_max"] > 600
    assert following([[log(1000.0)]], URL, LOAD, 30) is None


SEARCH = {**LOAD, "find_capacity": True, "duration": 10.0, "visible_p95": 5.0, "traces_max": 2000, "steps_max": 5}


def step(rate: float, began: float, seconds: float = 1.0, **facts: Any) -> list[str]:
    """The logs of two pods that sent 10 s at a rate, and whose traces were visible after so many seconds."""
    traces = round(rate * 10 / 2)
    counts = dict.fromkeys(("sent", "accepted", "visible"), traces * 5)
    known: dict[str, Any] = {"drain": 0.5, "traces": traces, "complete": True, "whole": 12.0}
    known |= {"duration": 10.0, "sending": 10.0}
    logs = []
    for number in range(2):
        share = Measured(
            began=began + number * facts.get("apart", 0.0),
            offered_rate=rate,
            runs_per_trace=5,
            **{**known, **counts, "phases": [(f"send {rate:g}/s", 0.0, 10.0)], "backlog": [Sample(1.0, 3)]},
        )
        share.latencies["visible"].add(seconds, traces)
        if "drain" in facts:
            share.drain = facts["drain"]
        logs.append(json.dumps({"share": share.to_dict()}))
    return logs


def rate_after(*steps: list[str], **changed: Any) -> float | None:
    found = following(steps, URL, {**SEARCH, **changed}, 30)
    return found["load"]["rate"] if found else None


def test_each_step_of_a_search_is_a_load_at_the_rate_that_the_steps_before_it_lead_to() -> None:
    first = following([], URL, SEARCH, 30)
    second = following([step(4, 1000.0)], URL, SEARCH, 30)
    assert first is not None
    assert second is not None
    assert (first["load"]["rate"], second["load"]["rate"]) == (4, 8)
    assert (first["load"]["find_capacity"], first["load"]["of"]) == (False, 2)
    assert settings(first["load"], IDS).ids == IDS
    assert first["load"]["seed"] != second["load"]["seed"]
    assert rate_after(step(4, 1000.0), step(8, 1100.0, 9.0)) == pytest.approx(32**0.5)
    without = {name: value for name, value in SEARCH.items() if name != "rate"}
    begun = following([], URL, without, 30)
    assert begun is not None
    assert begun["load"]["rate"] == 10.0


def test_a_step_whose_pods_did_not_send_together_is_sent_again_and_told() -> None:
    apart = step(4, 1000.0, apart=3.0)
    assert rate_after(apart) == 4
    assert rate_after(apart, step(4, 1100.0)) == 8
    assert rate_after(apart, apart, steps_max=2) is None
    found = merged([apart, step(4, 1100.0)], URL, SEARCH, 30)
    assert [one["rate"] for one in found["capacity"]["steps"]] == [4]
    assert found["problems"] == ["at 4 traces/s its shares began 3 s apart, which is another load"]
    assert merged([apart], URL, SEARCH, 30)["capacity"]["rate"] is None


@pytest.mark.parametrize(
    ("steps", "bounds"),
    [
        ([step(4, 1000.0, drain=None)], {}),
        ([step(4, 1000.0)], {"steps_max": 1}),
        ([step(4, 1000.0)], {"traces_max": 100}),
        ([step(4, 1000.0), step(4.3, 1100.0, 9.0)], {}),
    ],
)
def test_a_search_ends_at_its_bounds_on_a_backlog_that_stays_and_when_it_has_found_it(
    steps: list[list[str]], bounds: dict[str, Any]
) -> None:
    assert rate_after(*steps, **bounds) is None


def test_a_search_that_has_no_room_for_its_first_step_is_refused() -> None:
    with pytest.raises(ValueError, match="4 traces/s for 10 s would exceed traces_max 30; raise traces_max"):
        rate_after(traces_max=30)


def test_the_steps_of_a_search_are_one_result_with_the_latencies_of_the_capacity() -> None:
    steps = [step(4, 1000.0), step(8, 1100.0, 2.0), step(16, 1200.0, 9.0)]
    found = merged(steps, URL, SEARCH, 30)
    assert (found["capacity"]["rate"], found["capacity"]["bounded"]) == (8, True)
    assert [one["holds"] for one in found["capacity"]["steps"]] == [True, True, False]
    assert (found["traces"], found["sent"], found["accepted"], found["lost"]) == (280, 1400, 1400, 0)
    assert found["percentiles"]["visible"]["p95"] == pytest.approx(2.0, rel=0.01)
    assert found["rates"]["accepted"] == pytest.approx(280 / 30, rel=0.01)
    assert found["sender"]["shares"] == 2
    assert [one["at"] for one in found["backlog"]] == [1.0, 101.0, 201.0]
    timeline = next(chart for chart in found["charts"] if chart["kind"] == "timeline")
    assert [(span["label"], span["from"], span["status"]) for span in timeline["spans"]] == [
        ("send 4/s", 0.0, "pass"),
        ("send 8/s", 100.0, "pass"),
        ("send 16/s", 200.0, "warn"),
    ]
    assert status(found, "capacity") == "warn"
    assert not [one for one in found["findings"] if one["id"] == "load.shares"]


@pytest.mark.parametrize("way", [{"rate": 4}, {"rate": None, "concurrency": 3}])
def test_pods_that_did_not_send_together_are_not_one_load(way: dict[str, Any]) -> None:
    counts = {"traces": 20, "sent": 100, "accepted": 100, "visible": 100}
    found = merged([[log(1000.0, **counts), log(1040.0, **counts)]], URL, {**LOAD, **way}, 30)
    assert (status(found, "shares"), status(found, "accepted"), found["load_class"]) == ("fail", "unknown", None)
    assert "its shares began 40 s apart" in str(found["findings"])


def test_the_time_until_a_pod_sends_counts_and_not_when_it_was_started() -> None:
    counts = {"traces": 20, "sent": 100, "accepted": 100, "visible": 100}
    assert status(result(log(1000.0, lead=40.0, **counts), log(1000.0, **counts)), "shares") == "fail"
    together = result(log(1000.0, lead=40.0, **counts), log(1040.0, **counts))
    assert not [one for one in together["findings"] if one["id"] == "load.shares"]


def test_a_share_is_not_counted_twice() -> None:
    twice = log(1000.0, projects=[{"id": "1", "name": "load-a-0", "kept": False}])
    with pytest.raises(ProjectError, match="two pods told the same share of the load, load-a-0"):
        result(twice, twice)
