# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The sizing rules on a planned ClickHouse, by theme."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.facts import Environment, Plan
from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.planned import (
    compute,
    operation,
    storage,
    topology,
)
from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.planned.saying import NOT_GIVEN
from ansible_collections.langsmith.aws.plugins.module_utils.domain.finding import Finding

Rule = Callable[[Plan, Environment], "Finding | None"]

PLAN_RULES: tuple[Rule, ...] = (*topology.RULES, *compute.RULES, *storage.RULES, *operation.RULES)


def judge_plan(plan: Plan, environment: Environment, live: Sequence[Finding] = ()) -> list[Finding]:
    """Every plan rule. What the plan leaves out is no finding where a server told it, in ``live``, by the same rule."""
    told = {found.id for found in live if found.status != "unknown"}
    findings = [found for rule in PLAN_RULES if (found := rule(plan, environment)) is not None]
    return [found for found in findings if found.observed != NOT_GIVEN or found.id not in told]
