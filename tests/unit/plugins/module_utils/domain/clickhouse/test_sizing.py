# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The verdict over what is planned and what runs; the rules have tests of their own."""

from __future__ import annotations

import pytest
from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse import sizing
from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.facts import (
    Live,
    Plan,
    Replica,
    Topology,
)
from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.live import judge_live
from ansible_collections.langsmith.aws.plugins.module_utils.domain.finding import Finding, Status

from tests.unit.plugins.module_utils.domain.clickhouse.plans import DEV, HEALTHY

GONE = Live("langsmith", replicas=(Replica("clickhouse:8123", unreachable="tcp: nothing listens there"),))


def of_status(status: Status) -> Finding:
    return Finding("clickhouse.x", status, "clickhouse", "plan.x", "seen", "wanted", "do it")


def test_warnings_suffice_and_what_nobody_looked_at_does_not() -> None:
    assert sizing.sufficient([of_status("pass"), of_status("warn")])
    assert not sizing.sufficient([of_status("pass"), of_status("unknown")])
    assert not sizing.sufficient([of_status("pass"), of_status("fail")])
    assert not sizing.sufficient([])


def test_what_is_planned_comes_first_and_what_runs_after_it() -> None:
    findings = sizing.judge("dev", DEV, judge_live(GONE, "dev"))
    assert findings[0].subject == "plan.topology"
    assert (findings[-1].id, findings[-1].status) == ("clickhouse.connection", "fail")


def test_a_server_that_is_gone_tells_nothing_that_the_plan_leaves_out() -> None:
    findings = sizing.judge("production", Plan("replicated"), judge_live(GONE, "production"))
    assert "unknown" in {finding.status for finding in findings if finding.id == "clickhouse.cpu"}


def test_the_reference_plan_alone_suffices() -> None:
    assert sizing.sufficient(sizing.judge("production", HEALTHY, []))


@pytest.mark.parametrize("topology", ["external", "managed"])
def test_a_clickhouse_of_others_that_nobody_asked_is_not_called_sufficient(topology: Topology) -> None:
    plan = Plan(topology, blob_storage=True, ttl_days=14)
    unseen = [found for found in sizing.judge("production", plan, []) if found.subject == "live"]
    assert [(found.id, found.status) for found in unseen] == [("clickhouse.connection", "unknown")]
    assert not sizing.sufficient(sizing.judge("production", plan, []))
    assert "live" not in {found.subject for found in sizing.judge("production", plan, judge_live(GONE, "production"))}
