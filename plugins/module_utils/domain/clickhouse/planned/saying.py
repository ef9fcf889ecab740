# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the rules on a plan have in common: how they speak of what it does not say, and of its figures."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.facts import Environment, Plan
from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.thresholds import P0, Threshold
from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.verdict import (
    expected,
    finding,
    number,
    weigh,
)
from ansible_collections.langsmith.aws.plugins.module_utils.domain.finding import Finding, Status, worst

#: How the finding on something that the plan leaves out reads; a live one of the same rule takes its place.
NOT_GIVEN = "not given"

#: Where pods, volumes and nodes are this installation's own.
IN_CLUSTER = ("single", "replicated")


def missing(rule: str, option: str, plan: Plan, environment: Environment, expectation: str) -> Finding | None:
    """The finding where the plan does not say ``option``: unknown in production, a warning in dev.

    None for what LangChain manages, which is not the operator's to say.
    """
    if plan.topology == "managed":
        return None
    status: Status = "unknown" if environment == "production" else "warn"
    subject = f"plan.{option}"
    return finding(rule, status, subject, (NOT_GIVEN, expectation), f"give {subject}, so that it can be judged")


def untold(rule: str, option: str, plan: Plan, environment: Environment, expectation: str) -> Finding | None:
    """The same for what servers and their volumes are; None for those elsewhere, which tell it themselves if asked."""
    if plan.topology == "external":
        return None
    return missing(rule, option, plan, environment, expectation)


def unsaid(rule: str, option: str, plan: Plan, environment: Environment, expectation: str) -> Finding | None:
    """The same for what only production in the cluster has to say; None elsewhere."""
    if environment == "dev" or plan.topology not in IN_CLUSTER:
        return None
    return missing(rule, option, plan, environment, expectation)


def figure(
    rule: str,
    option: str,
    value: float | None,
    plan: Plan,
    environment: Environment,
    need: Threshold,
    source: str = P0,
) -> Finding | None:
    """The finding on a figure that must reach its threshold; None where dev has none and the plan does not say."""
    expectation = expected(environment, need)
    if value is None:
        if environment == "dev" and not need.dev:
            return None
        return untold(rule, option, plan, environment, expectation)
    subject = f"plan.{option}"
    wanted = need.production if environment == "production" else need.dev
    remedy = f"raise {subject} to {wanted:g} {need.unit}{need.advice}"
    return finding(
        rule, weigh(value, environment, need), subject, (number(value, need.unit), expectation), remedy, source
    )


def weakest(found: Iterable[Finding]) -> Finding:
    """Of findings that differ by the instance type the worst one, which tells of all types that are as bad."""
    found = tuple(found)
    bad = [one for one in found if one.status == worst(found)]
    return replace(bad[0], observed="; ".join(one.observed for one in bad))
