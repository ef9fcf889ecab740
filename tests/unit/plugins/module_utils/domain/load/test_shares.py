# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.langsmith.aws.plugins.module_utils.domain.errors import ProjectError
from ansible_collections.langsmith.aws.plugins.module_utils.domain.load.measured import Measured
from ansible_collections.langsmith.aws.plugins.module_utils.domain.load.shares import merged

LOAD = {"rate": 4, "duration": 10, "of": 2, "seed": "01a1feca8bbd-386b8eb00", "runs_per_trace": 5}
URL = "https://langsmith.example.org"


def log(began: float, **counts: Any) -> str:
    """What a pod prints: how far it is, and at the end its share."""
    share = Measured(began=began, offered_rate=4, runs_per_trace=5, sending=10.0, complete=True, certain=True, **counts)
    return "sent 10 traces\nsent 20 traces\n" + json.dumps({"share": share.to_dict()}) + "\n"


def result(*logs: str) -> dict[str, Any]:
    return merged(logs, URL, LOAD, 30)


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
