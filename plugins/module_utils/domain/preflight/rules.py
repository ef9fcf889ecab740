# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All of preflight's rules together."""

from __future__ import annotations

from collections.abc import Callable

from ansible_collections.langsmith.aws.plugins.module_utils.domain.finding import Finding
from ansible_collections.langsmith.aws.plugins.module_utils.domain.preflight import (
    account_rules,
    clickhouse_rules,
    input_rules,
    machine_rules,
)
from ansible_collections.langsmith.aws.plugins.module_utils.domain.preflight.facts import Context

Rule = Callable[[input_rules.Input, Context], list[Finding]]

#: What an input's ``rule`` may name.
RULES: dict[str, Rule] = {
    "present": input_rules.present,
    "region": account_rules.region,
    "installation_name": input_rules.installation_name,
    "hostname": input_rules.hostname,
    "email": input_rules.email,
    "chart_version": input_rules.chart_version,
    "kubernetes_version": input_rules.kubernetes_version,
    "cidrs": input_rules.cidrs,
    "vpc_cidr": input_rules.vpc_cidr,
    "subnet_cidrs": input_rules.subnet_cidrs,
    "zones": account_rules.zones,
    "instance_types": account_rules.instance_types,
    "other_instance_types": account_rules.instance_types,
    "node_count": account_rules.node_count,
    "hosted_zone": account_rules.hosted_zone,
    "license_secret": account_rules.license_secret,
    "blob_storage": input_rules.blob_storage,
    "trace_ttl": input_rules.trace_ttl,
    "clickhouse_topology": input_rules.clickhouse_topology,
    "clickhouse": clickhouse_rules.clickhouse,
}


def judge(context: Context, environment_variable: str) -> list[Finding]:
    """Every finding: environment, credentials, inputs in their order, tools, quotas."""
    found = [
        machine_rules.environment(context.environment, environment_variable),
        machine_rules.credentials(context),
    ]
    if context.facts.region is None and not any(given.rule == "region" for given in context.inputs):
        unnamed = input_rules.Input("region", None, "region")
        found.append(input_rules.missing(unnamed, "a region, such as us-east-1"))
    for given in context.inputs:
        found += _judge_input(given, context)
    found += [machine_rules.tool(one) for one in context.facts.tools]
    return found + machine_rules.quotas(context)


def _judge_input(given: input_rules.Input, context: Context) -> list[Finding]:
    if given.empty and given.rule != "present":
        return [input_rules.missing(given)] if given.required else []
    if not given.required and not given.value and given.rule in ("node_count", "present"):
        return []
    return RULES[given.rule](given, context)
