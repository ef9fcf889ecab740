# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the status of a server's pod says of its memory."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.rules.pods import judge_pods
from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.storage import Unread
from ansible_collections.langsmith.aws.plugins.module_utils.domain.finding import Finding

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
SERVER = "chi-0:8123"
RUNS = {"running": {"startedAt": "2026-11-21T11:59:00Z"}}


def ended(minutes: float, reason: str = "OOMKilled") -> dict[str, Any]:
    when = NOW - timedelta(minutes=minutes)
    return {"terminated": {"reason": reason, "exitCode": 137, "finishedAt": f"{when:%Y-%m-%dT%H:%M:%SZ}"}}


def pod(name: str = "chi-0-0", **states: Any) -> dict[str, Any]:
    container = {"name": "clickhouse", "state": RUNS, "lastState": {}, **states}
    return {"metadata": {"name": name}, "status": {"containerStatuses": [container]}}


def judged(*pods: dict[str, Any]) -> Finding:
    (found,) = judge_pods({SERVER: pods}, NOW)
    assert (found.id, found.subject) == ("clickhouse.oom_killed", SERVER)
    return found


@pytest.mark.parametrize(
    ("states", "status"),
    [
        ({}, "pass"),
        ({"lastState": ended(5)}, "fail"),
        ({"lastState": ended(59)}, "fail"),
        ({"lastState": ended(61)}, "pass"),
        ({"lastState": ended(5, "Error")}, "pass"),
        ({"lastState": ended(5, "Completed")}, "pass"),
        ({"state": ended(0)}, "fail"),
        ({"state": {"waiting": {"reason": "CrashLoopBackOff"}}, "lastState": ended(2)}, "fail"),
    ],
)
def test_a_server_that_the_kernel_ended_for_its_memory_within_the_hour_fails(
    states: dict[str, Any], status: str
) -> None:
    assert judged(pod(**states)).status == status


def test_pod_and_time_are_told() -> None:
    name = "chi-langsmith-langsmith-0-2-0"
    found = judged(pod(), pod(name, lastState=ended(5)))
    assert found.observed == f"container clickhouse of pod {name} was OOMKilled at 2026-11-21 11:55:00 UTC"
    assert "more memory" in found.remedy


def test_an_older_one_is_told_and_passes() -> None:
    found = judged(pod(lastState=ended(600)))
    assert (found.status, found.remedy) == ("pass", "")
    assert "OOMKilled at 2026-11-21 02:00:00 UTC" in found.observed


@pytest.mark.parametrize("status", [{}, {"phase": "Pending"}, {"containerStatuses": None}])
def test_a_pod_that_has_not_started_has_not_ended(status: dict[str, Any]) -> None:
    assert judged({"metadata": {"name": "chi-0-0"}, "status": status}).status == "pass"


def test_what_could_not_be_read_is_unknown_with_what_lacks() -> None:
    (found,) = judge_pods({SERVER: Unread("the API server refuses the user")}, NOW)
    assert (found.status, found.observed) == ("unknown", "the API server refuses the user")
    assert "list pods" in found.remedy


def test_a_server_without_a_pod_is_unknown() -> None:
    assert judged().status == "unknown"
