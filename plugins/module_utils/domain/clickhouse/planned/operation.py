# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules on the version that is planned and on how LangSmith will use it."""

from __future__ import annotations

from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.facts import Environment, Plan, version_of
from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.planned.saying import missing, untold
from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.thresholds import (
    CHART_TTL_DAYS,
    DEPENDENCIES,
    P0,
    SCALE,
)
from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.verdict import finding, serious
from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.versions import (
    judge_version,
    version_expectation,
)
from ansible_collections.langsmith.aws.plugins.module_utils.domain.finding import Finding, Status


def version(plan: Plan, environment: Environment) -> Finding | None:
    """LangSmith's migrations need a server not older than what its chart brings."""
    if plan.version is None:
        return untold("version", "version", plan, environment, version_expectation(environment))
    return judge_version("version", "plan.version", plan.version, environment)


def downgrade(plan: Plan, environment: Environment) -> Finding | None:
    """An older server does not read what a newer one wrote."""
    planned, running = version_of(plan.version or ""), version_of(plan.running_version or "")
    if planned is None or running is None:
        return None
    status: Status = "pass" if planned >= running[: len(planned)] else "fail"
    told = (f"{plan.running_version} runs, {plan.version} is planned", "a plan that is not older")
    remedy = f"plan version {plan.running_version} or newer: ClickHouse cannot be downgraded"
    return finding("downgrade", status, "plan.version", told, remedy, DEPENDENCIES)


def ttl(plan: Plan, environment: Environment) -> Finding | None:
    """Traces that never expire fill every volume."""
    if plan.ttl_days is None:
        return None  # LangSmith's chart then sets its own
    told = (
        f"{plan.ttl_days:g} days" if plan.ttl_days > 0 else "off",
        f"short-lived traces expire, after {CHART_TTL_DAYS} days by the chart",
    )
    remedy = "turn config.ttl of the chart on and set plan.ttl_days to the days that traces are kept"
    return finding("ttl", "pass" if plan.ttl_days > 0 else "warn", "plan.ttl_days", told, remedy, SCALE)


def blob_storage(plan: Plan, environment: Environment) -> Finding | None:
    """Payloads inside ClickHouse grow its parts and its merges."""
    expectation = "payloads in S3 in production; a small, short-lived dev installation may do without"
    if plan.blob_storage is None:
        return (
            missing("blob_storage", "blob_storage", plan, environment, expectation)
            if environment == "production"
            else None
        )
    status: Status = "pass" if plan.blob_storage or environment == "dev" else serious(environment)
    told = ("on" if plan.blob_storage else "off: payloads are kept in ClickHouse", expectation)
    remedy = "set config.blobStorage.enabled in the chart's values, with a bucket, and plan.blob_storage to true"
    return finding("blob_storage", status, "plan.blob_storage", told, remedy, P0)


RULES = (version, downgrade, ttl, blob_storage)
