# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules on how many servers are planned and how they are spread."""

from __future__ import annotations

from dataclasses import replace

from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.facts import Environment, Plan
from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.planned.saying import unsaid, untold
from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.recommendation import needed
from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.sources import KNOWLEDGE_BASE
from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.thresholds import (
    DEPENDENCIES,
    KEEPER_NODES,
    P0,
    REPLICAS,
    REPLICAS_MAX,
    SCALE,
    ZONES,
)
from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.verdict import (
    finding,
    number,
    serious,
    weigh,
)
from ansible_collections.langsmith.aws.plugins.module_utils.domain.finding import Finding, Status


def topology(plan: Plan, environment: Environment) -> Finding:
    """One node has no other to read from or to survive on."""
    status: Status = "pass"
    if plan.topology == "single":
        status = serious(environment)
    told = (plan.topology, "replicated, external or managed in production; single only for dev")
    remedy = (
        "take topology replicated with 3 replicas, external or managed before the first migration: the schema of a "
        "single node cannot be converted"
    )
    return finding("topology", status, "plan.topology", told, remedy)


def replicas(plan: Plan, environment: Environment) -> Finding | None:
    """At least three, so that the loss of one leaves two that agree; beyond five replication itself is load."""
    count = 1 if plan.replicas is None and plan.topology == "single" else plan.replicas
    wanted = needed(plan.load, environment).replicas
    expectation = f"{max(wanted, REPLICAS.production):g} to {REPLICAS_MAX} in production; 1 is enough for dev"
    if count is None:
        return untold("replicas", "replicas", plan, environment, expectation)
    status = weigh(count, environment, replace(REPLICAS, production=wanted))
    remedy = f"set plan.replicas to {max(wanted, REPLICAS.production):g}"
    if plan.topology == "single" and count > 1:
        status, remedy = "fail", "take topology replicated, or one replica: a single node has no others"
    elif plan.topology == "replicated" and count < REPLICAS.production and environment == "dev":
        status = "warn"
    elif count > REPLICAS_MAX:
        status, remedy = "warn", f"stay at {REPLICAS_MAX} replicas or fewer and give each more CPU and memory"
    source = P0 if wanted <= REPLICAS.production else f"{P0}; {SCALE}"
    return finding("replicas", status, "plan.replicas", (number(count, "replicas"), expectation), remedy, source)


def shards(plan: Plan, environment: Environment) -> Finding | None:
    """LangSmith makes no Distributed tables, so that it would not see what a second shard holds."""
    if plan.shards is None:
        return None
    told = (f"{plan.shards} shard{'' if plan.shards == 1 else 's'}", "1 shard")
    remedy = "set plan.shards to 1 and add replicas instead: data in a second shard is not seen"
    status: Status = "pass" if plan.shards == 1 else "fail"
    return finding("shards", status, "plan.shards", told, remedy, DEPENDENCIES)


def keeper(plan: Plan, environment: Environment) -> Finding | None:
    """Replicas agree through Keeper, which decides by majority and must not lose its log."""
    if plan.topology != "replicated":
        return None
    expectation = f"{KEEPER_NODES} nodes, or 5, in {ZONES} zones, each with a volume"
    if plan.keeper is None or plan.keeper.nodes is None:
        return unsaid("keeper", "keeper.nodes", plan, environment, expectation)
    nodes, zones, kept = plan.keeper.nodes, plan.keeper.zones, plan.keeper.persistence
    problems: list[tuple[Status, str]] = []
    if nodes < KEEPER_NODES:
        problems.append((serious(environment), f"{nodes} cannot lose one"))
    elif nodes % 2 == 0:
        problems.append(("warn", f"{nodes} survive no more losses than {nodes - 1}"))
    if kept is False:
        problems.append((serious(environment), "its log is lost with the pod"))
    if zones is not None and zones < min(ZONES, nodes):
        problems.append(("warn", f"in {zones} zone{'' if zones == 1 else 's'}"))
    unsure = environment == "production" and None in (zones, kept)
    status: Status = "fail" if any(bad == "fail" for bad, what in problems) else "warn" if problems else "pass"
    if unsure and status != "fail":
        status = "unknown"
        problems.append((status, "zones or persistence not given"))
    told = "; ".join([f"{nodes} nodes", *(what for bad, what in problems)])
    remedy = f"plan {KEEPER_NODES} Keeper nodes in {ZONES} zones, with persistence, and say so in plan.keeper"
    return finding("keeper", status, "plan.keeper", (told, expectation), remedy, KNOWLEDGE_BASE)


def spread(plan: Plan, environment: Environment) -> Finding | None:
    """A node or a zone that is lost must not take two replicas with it."""
    if plan.topology == "single" or (plan.topology != "replicated" and plan.zones is None):
        return None
    wanted = min(ZONES, plan.replicas or ZONES)
    expectation = f"replicas on nodes of their own, in {wanted} zones"
    if plan.anti_affinity is False:
        told = ("two replicas may share a node", expectation)
        remedy = (
            "require pods of different replicas on different nodes (anti-affinity by host), and set plan.anti_affinity"
        )
        return finding("spread", serious(environment), "plan.anti_affinity", told, remedy)
    if plan.zones is None or (plan.anti_affinity is None and plan.topology == "replicated"):
        option = "zones" if plan.zones is None else "anti_affinity"
        return unsaid("spread", option, plan, environment, expectation)
    told = (f"{plan.zones} zone{'' if plan.zones == 1 else 's'}", expectation)
    remedy = f"spread the node group over {wanted} zones; EBS volumes stay in the zone that they were made in"
    return finding("spread", "pass" if plan.zones >= wanted else "warn", "plan.zones", told, remedy)


def disruption_budget(plan: Plan, environment: Environment) -> Finding | None:
    """Without a budget a drain may take down all replicas at once."""
    if plan.topology != "replicated":
        return None
    expectation = "a PodDisruptionBudget that lets one replica go at a time"
    if plan.pod_disruption_budget is None:
        return unsaid("disruption_budget", "pod_disruption_budget", plan, environment, expectation)
    status: Status = "pass" if plan.pod_disruption_budget else "warn"
    told = ("there is one" if plan.pod_disruption_budget else "none", expectation)
    remedy = "add a PodDisruptionBudget with maxUnavailable 1 for the replicas and for Keeper"
    return finding("disruption_budget", status, "plan.pod_disruption_budget", told, remedy)


RULES = (topology, replicas, shards, keeper, spread, disruption_budget)
