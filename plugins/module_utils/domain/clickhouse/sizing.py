# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All sizing rules together, and their verdict."""

from __future__ import annotations

from collections.abc import Sequence

from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.facts import Environment, Plan
from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.plan_rules import judge_plan
from ansible_collections.langsmith.aws.plugins.module_utils.domain.finding import Finding, worst


def judge(environment: Environment, plan: Plan | None, running: Sequence[Finding]) -> list[Finding]:
    """The findings on the plan, then those on the servers, each in the order of the rules."""
    return [*([] if plan is None else judge_plan(plan, environment, running)), *running]


def sufficient(findings: Sequence[Finding]) -> bool:
    """Whether nothing fails and nothing is unknown; warnings are for the operator to weigh."""
    return worst(findings) in ("pass", "warn")
