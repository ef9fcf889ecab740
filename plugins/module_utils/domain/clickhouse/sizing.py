# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All sizing rules together, and their verdict."""

from __future__ import annotations

from collections.abc import Sequence

from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.facts import Environment, Plan
from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.plan_rules import judge_plan
from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.planned.saying import IN_CLUSTER
from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.verdict import finding
from ansible_collections.langsmith.aws.plugins.module_utils.domain.finding import Finding, worst


def judge(environment: Environment, plan: Plan | None, running: Sequence[Finding]) -> list[Finding]:
    """The findings on the plan, then those on the servers, each in the order of the rules."""
    planned = [] if plan is None else judge_plan(plan, environment, running)
    unseen = [_unseen(plan)] if plan and plan.topology not in IN_CLUSTER and not running else []
    return [*planned, *unseen, *running]


def _unseen(plan: Plan) -> Finding:
    """What somebody else runs is planned by nobody here, so that a plan alone says nothing of it."""
    told = (f"a ClickHouse with topology {plan.topology} that was not asked", "answers of the servers themselves")
    remedy = (
        "give live with the URL of the servers, from a machine that reaches them; in the role that is "
        "datastores_clickhouse_live: true, with datastores_clickhouse_connect_to where a tunnel leads there"
    )
    return finding("connection", "unknown", "live", told, remedy)


def sufficient(findings: Sequence[Finding]) -> bool:
    """Whether nothing fails and nothing is unknown; warnings are for the operator to weigh."""
    return worst(findings) in ("pass", "warn")
