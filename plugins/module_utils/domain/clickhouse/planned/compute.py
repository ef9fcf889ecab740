# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules on the CPU and memory that are planned, and on the nodes that have to give them."""

from __future__ import annotations

from dataclasses import replace

from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse import instances
from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.facts import Environment, Plan
from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.planned.saying import (
    IN_CLUSTER,
    figure,
    unsaid,
    weakest,
)
from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.recommendation import needed
from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.sources import KNOWLEDGE_BASE
from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.thresholds import (
    CONCURRENCY_MIN,
    CPU,
    KUBERNETES,
    MEMORY,
    P0,
    SCALE,
    Threshold,
)
from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.verdict import finding
from ansible_collections.langsmith.aws.plugins.module_utils.domain.finding import Finding, Status


def cpu(plan: Plan, environment: Environment) -> Finding | None:
    """CPU of each replica, by the reference architecture and by the load."""
    need, source = _grown(CPU, needed(plan.load, environment).cpu, environment)
    return figure("cpu", "cpu", plan.cpu, plan, environment, need, source)


def memory(plan: Plan, environment: Environment) -> Finding | None:
    """Memory of each replica, by the reference architecture and by the load."""
    need, source = _grown(MEMORY, needed(plan.load, environment).memory_gib, environment)
    return figure("memory", "memory_gib", plan.memory_gib, plan, environment, need, source)


def _grown(need: Threshold, value: float, environment: Environment) -> tuple[Threshold, str]:
    """The threshold raised to what the scaling page has for the load, below which it is warned."""
    if environment == "production" and value > need.production:
        return replace(need, production=value), SCALE
    return need, P0


def cpu_limit(plan: Plan, environment: Environment) -> Finding | None:
    """Kubernetes refuses a limit below the request; above it, merges may use what the node has to spare."""
    if plan.cpu_limit is None or plan.cpu is None:
        return None
    status: Status = "pass" if plan.cpu_limit >= plan.cpu else "fail"
    told = (f"{plan.cpu_limit:g} vCPU", f"not below the {plan.cpu:g} vCPU that are requested")
    remedy = f"raise plan.cpu_limit to {plan.cpu:g} or more, or leave it out"
    return finding("cpu_limit", status, "plan.cpu_limit", told, remedy, KUBERNETES)


def schedulable(plan: Plan, environment: Environment) -> Finding | None:
    """A pod that asks for a node's whole CPU or memory stays Pending: kubelet and DaemonSets have their share."""
    if plan.topology not in IN_CLUSTER:
        return None
    expectation = f"a node that has {_size(plan.cpu, plan.memory_gib)} to give to one pod"
    if not plan.instance_types:
        return unsaid("schedulable", "instance_types", plan, environment, expectation)
    return weakest(_schedulable_on(name, plan, environment, expectation) for name in plan.instance_types)


def _schedulable_on(name: str, plan: Plan, environment: Environment, expectation: str) -> Finding:
    kind = instances.TYPES.get(name)
    subject = "plan.instance_types"
    if kind is None:
        status: Status = "unknown" if environment == "production" else "warn"
        remedy = (
            "take an m, r, c or i type of xlarge to 8xlarge, or compare the pod's requests with the node's allocatable"
        )
        told = (f"{name} is not among the types that are known here", expectation)
        return finding("schedulable", status, subject, told, remedy, instances.SOURCE)
    wanted_cpu, wanted_memory = plan.cpu or 0, plan.memory_gib or 0
    larger = [other.name for other in instances.suitable(wanted_cpu, wanted_memory, 0, 0)]
    remedy = f"take a type that fits, such as {', '.join(larger[:4]) or 'one larger than 8xlarge'}"
    told = (
        f"{kind.name} leaves pods {kind.allocatable_cpu:.2f} vCPU and {kind.allocatable_memory_gib:.1f} GiB",
        expectation,
    )
    status = "pass"
    if wanted_cpu > kind.allocatable_cpu or wanted_memory > kind.allocatable_memory_gib:
        status = "fail"  # Pending whatever the installation is for
    elif not kind.fits(wanted_cpu, wanted_memory):
        status = "warn"
        told = (f"{told[0]}, of which DaemonSets take their share", expectation)
    return finding("schedulable", status, subject, told, remedy, f"{KUBERNETES}; {instances.RESERVATION}")


def _size(cpus: float | None, gib: float | None) -> str:
    return f"{'?' if cpus is None else f'{cpus:g}'} vCPU and {'?' if gib is None else f'{gib:g}'} GiB"


def memory_limit(plan: Plan, environment: Environment) -> Finding | None:
    """ClickHouse takes 0.9 of its container's limit, of the whole node without one, and is killed for what is over."""
    if plan.topology not in IN_CLUSTER and plan.memory_limit_gib is None:
        return None
    expectation = "a limit not below the request and not above what the node leaves to pods"
    if plan.memory_limit_gib is None:
        return unsaid("memory_limit", "memory_limit_gib", plan, environment, expectation)
    limit, remedy = plan.memory_limit_gib, ""
    status: Status = "pass"
    told = f"{limit:g} GiB"
    kinds = instances.known(plan.instance_types)
    least = min(kinds, key=lambda kind: kind.allocatable_memory_gib, default=None)
    if plan.memory_gib is not None and limit < plan.memory_gib:
        status, told = "fail", f"{told}, below the {plan.memory_gib:g} GiB that are requested"
        remedy = f"set plan.memory_limit_gib to {plan.memory_gib:g} or more"
    elif least is not None and limit > least.allocatable_memory_gib:
        status, told = "warn", f"{told}, and {least.name} leaves pods {least.allocatable_memory_gib:.1f} GiB"
        remedy = (
            "lower plan.memory_limit_gib: the kernel kills before ClickHouse reaches a limit that is above the node"
        )
    return finding("memory_limit", status, "plan.memory_limit_gib", (told, expectation), remedy, KUBERNETES)


def concurrency_limit(plan: Plan, environment: Environment) -> Finding | None:
    """Without a limit a crowd of readers takes the memory that inserts need; too low a one refuses the inserts."""
    expectation = f"max_concurrent_queries of {CONCURRENCY_MIN} or more (500 with asynchronous inserts)"
    limit = plan.max_concurrent_queries
    if limit is None:
        return unsaid("concurrency_limit", "max_concurrent_queries", plan, environment, expectation)
    status: Status = "pass" if limit >= CONCURRENCY_MIN else "warn"
    told = (f"{limit}" if limit else "0, which is no limit", expectation)
    remedy = "set max_concurrent_queries to 500 in the server's configuration"
    return finding("concurrency_limit", status, "plan.max_concurrent_queries", told, remedy, KNOWLEDGE_BASE)


RULES = (cpu, memory, cpu_limit, schedulable, memory_limit, concurrency_limit)
