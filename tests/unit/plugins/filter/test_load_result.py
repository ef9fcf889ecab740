# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
from typing import Any

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.langsmith.aws.plugins.filter.load_result import FilterModule
from ansible_collections.langsmith.aws.plugins.module_utils.domain.load.measured import Measured

URL = "https://langsmith.example.org"
LOAD = {"rate": 4, "duration": 10, "of": 1, "seed": "01a1feca8bbd-386b8eb00"}
LOG = json.dumps({"share": Measured(began=1.0, offered_rate=4, runs_per_trace=5, traces=40, sent=200).to_dict()})


def call(name: str, logs: list[list[str]], **load: Any) -> Any:
    return FilterModule().filters()[name](logs, URL, {**LOAD, **load}, 30.0)


def test_a_load_is_sent_once_and_told() -> None:
    assert call("load_next", [])["load"] == LOAD
    assert call("load_next", [[LOG]]) == {}
    assert call("load_result", [[LOG]])["sent"] == 200


@pytest.mark.parametrize(
    ("name", "logs", "load", "words"),
    [
        ("load_result", [["Killed"]], {}, "last words are 'Killed'"),
        ("load_next", [["Killed"]], {"find_capacity": True}, "last words are 'Killed'"),
        ("load_next", [], {"find_capacity": True, "traces_max": 3}, "nothing can be tried"),
        ("load_next", [], {"duration": 0}, "duration and drain_timeout: give seconds above 0"),
    ],
)
def test_what_cannot_be_sent_or_told_is_a_filters_error(
    name: str, logs: list[list[str]], load: dict[str, Any], words: str
) -> None:
    with pytest.raises(AnsibleFilterError, match=words):
        call(name, logs, **load)


@pytest.mark.parametrize(
    "load",
    [
        {"rate": "4", "duration": "10", "runs_per_trace": "5", "of": "1"},
        {"find_capacity": "false"},
        {"find_capacity": "no", "payload": [{"kib": "2", "weight": "1"}]},
    ],
)
def test_options_may_be_text_as_templates_make_them(load: dict[str, Any]) -> None:
    assert call("load_next", [], **load)["seconds_max"] == call("load_next", [])["seconds_max"]
    assert call("load_next", [[LOG]], **load) == {}
    assert call("load_result", [[LOG]], **load)["capacity"] is None


def test_a_search_that_is_asked_for_in_text_is_one() -> None:
    found = call("load_next", [], find_capacity="yes", rate="8")
    assert (found["load"]["find_capacity"], found["load"]["rate"]) == (False, 8)


@pytest.mark.parametrize(
    ("load", "words"),
    [
        ({"rate": "many"}, "load: rate 'many' is no number"),
        ({"rate": "nan"}, "load: rate 'nan' is no number"),
        ({"duration": float("inf")}, "load: duration inf is no number"),
        ({"connections": "2.5"}, "load: connections '2.5' is no whole number"),
        ({"connections": float("inf")}, "load: connections inf is no whole number"),
        ({"find_capacity": "maybe"}, "load: find_capacity 'maybe' is no yes or no"),
        ({"payload": "2"}, "load: payload '2' has no kib"),
        ({"payload": [{"kib": "x"}]}, "load: kib 'x' is no number"),
        ({"rate": ["4"]}, "is no number"),
    ],
)
def test_text_that_is_no_number_is_a_filters_error(load: dict[str, Any], words: str) -> None:
    with pytest.raises(AnsibleFilterError, match=words.replace("[", ".")):
        call("load_next", [], **load)
