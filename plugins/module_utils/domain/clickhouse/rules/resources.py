# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""CPU and memory of each server: what it has, what it may use, what it uses."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import replace

from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.facts import (
    GIB,
    IDENTITY,
    Context,
    Live,
    Query,
    Refused,
    Replica,
)
from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.thresholds import (
    CPU,
    KUBERNETES,
    MEMORY,
    MEMORY_RATIO,
)
from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.verdict import (
    beyond,
    expected,
    finding,
    unreadable,
    weigh,
)
from ansible_collections.langsmith.aws.plugins.module_utils.domain.finding import Finding, Status

QUERIES: dict[str, Query] = {
    "threads": Query("SELECT value FROM system.settings WHERE name = 'max_threads'", table="system.settings"),
    "memory_limit": Query(
        "SELECT name, toFloat64OrNull(value) AS value FROM system.server_settings "
        "WHERE name IN ('max_server_memory_usage', 'max_server_memory_usage_to_ram_ratio')",
        table="system.server_settings",
    ),
    "memory_total": Query(
        "SELECT metric AS name, value FROM system.asynchronous_metrics "
        "WHERE metric IN ('CGroupMaxMemory', 'CGroupMemoryTotal', 'OSMemoryTotal')",
        table="system.asynchronous_metrics",
    ),
    "memory_tracked": Query(
        "SELECT metric AS name, value FROM system.metrics WHERE metric = 'MemoryTracking'",
        table="system.metrics",
        sampled=True,
    ),
    "memory_resident": Query(
        "SELECT metric AS name, value FROM system.asynchronous_metrics WHERE metric = 'MemoryResident'",
        table="system.asynchronous_metrics",
        sampled=True,
    ),
    "memory_errors": Query(
        "SELECT 'MEMORY_LIMIT_EXCEEDED' AS name, sum(value) AS refused, "
        "if(refused = 0, NULL, dateDiff('second', max(last_error_time), now())) AS ago "
        "FROM system.errors WHERE code = 241 AND NOT remote",
        table="system.errors",
        sampled=True,
    ),
    # A server writes parts before it begins to count how long it is up, hence the margin.
    "older_parts": Query(
        "SELECT count() AS parts FROM system.parts "
        "WHERE active AND database != 'system' AND modification_time < now() - uptime() - 10",
        table="system.parts",
        filtered=True,
    ),
}

#: The limit that ClickHouse takes by itself is 0.9 of the memory; above that the kernel kills the server before it
#: refuses a query. Far below it, memory lies idle. The margin is for rounding.
LIMIT_FAIL, LIMIT_WARN = MEMORY_RATIO + 0.005, 0.7
#: Share of the limit in use.
USED_WARN, USED_FAIL = 0.8, 0.9
#: A refusal this many seconds ago is still news, and a server that has run this long is a settled one.
RECENT, SETTLED = 3600, 180


def cores(replica: Replica) -> int | None:
    """The processor cores the server counts, out of ``auto(8)``; None where ``max_threads`` was set by hand."""
    match = re.fullmatch(r"'?auto\((\d{1,6})\)'?", str(replica.value("threads", "value")))
    return int(match[1]) if match else None


def memory_total(replica: Replica) -> float | None:
    """Bytes of memory that the server's container or machine has, whichever is less."""
    rows = replica.rows("memory_total") or ()
    totals = [float(row["value"]) for row in rows if row["value"] and 0 < float(row["value"]) < 2**60]
    return min(totals, default=None)


def usable_memory(replica: Replica) -> float | None:
    """Bytes that the server may use: its own limit, else its share of what there is."""
    limit = replica.named("memory_limit", "max_server_memory_usage")
    if limit:
        return limit
    total = memory_total(replica)
    return None if total is None else _ratio(replica) * total


def _ratio(replica: Replica) -> float:
    """The share of its memory that the server takes, 0.9 by default."""
    return replica.named("memory_limit", "max_server_memory_usage_to_ram_ratio") or MEMORY_RATIO


def memory_used(replica: Replica) -> float | None:
    """Bytes in use, the most that was seen: what the server counts for itself, or what the system counts."""
    seen = [
        float(row["value"])
        for answers in (replica.answers, replica.later)
        for query in ("memory_tracked", "memory_resident")
        if not isinstance(rows := answers.get(query, ()), Refused)
        for row in rows
        if row["value"] is not None
    ]
    return max(seen, default=None)


def cpu(replica: Replica, context: Context) -> Iterable[Finding]:
    """Cores that the server counted for its own thread pools."""
    expectation = expected(context.environment, CPU)
    if not replica.rows("threads"):
        return [unreadable("cpu", replica, "threads", QUERIES["threads"], context.user, expectation)]
    count = cores(replica)
    if count is None:
        shown = str(replica.value("threads", "value"))[:40]
        told = (f"max_threads is set to {shown}, which hides the cores", expectation)
        remedy = f"take max_threads out of the profile of user {context.user}, or judge the CPU from the plan"
        return [finding("cpu", "unknown", replica.subject, told, remedy)]
    remedy = f"give each replica {CPU.production:g} vCPU: limits of the pod, or a larger instance type"
    told = (f"{count} vCPU", expectation)
    return [finding("cpu", weigh(count, context.environment, CPU), replica.subject, told, remedy)]


def memory(replica: Replica, context: Context) -> Iterable[Finding]:
    """Memory that the server's container or machine has; what it takes of that is for ``memory_limit`` to judge."""
    need = replace(MEMORY, tolerated=round(MEMORY.tolerated, 1), dev=round(MEMORY.dev, 1))
    expectation = expected(context.environment, need)
    total, limit = memory_total(replica), usable_memory(replica)
    if total is None and limit is None:
        refused = "memory_limit" if replica.rows("memory_limit") is None else "memory_total"
        return [unreadable("memory", replica, refused, QUERIES[refused], context.user, expectation)]
    amount = round((total or (limit or 0) / _ratio(replica)) / GIB, 1)
    told = (f"{amount:.1f} GiB" + ("" if total else ", by the server's limit"), expectation)
    remedy = f"give each replica {MEMORY.production:g} GiB: limits of the pod, or a larger instance type"
    return [finding("memory", weigh(amount, context.environment, need), replica.subject, told, remedy)]


def memory_limit(replica: Replica, context: Context) -> Iterable[Finding]:
    """The server has to refuse a query before the kernel kills it, and should use what it was given."""
    expectation = f"a server's limit of {LIMIT_WARN:g} to {MEMORY_RATIO:g} of its container's memory"
    planned = context.plan.memory_limit_gib if context.plan else None
    total, limit = planned * GIB if planned else memory_total(replica), usable_memory(replica)
    if limit is None or not total:
        refused = "memory_limit" if replica.rows("memory_limit") is None else "memory_total"
        return [unreadable("memory_limit", replica, refused, QUERIES[refused], context.user, expectation)]
    share = limit / total
    status: Status = "fail" if share > LIMIT_FAIL else "warn" if share < LIMIT_WARN else "pass"
    of = "plan.memory_limit_gib" if planned else "the container or machine"
    told = (f"{limit / GIB:.1f} GiB, {share:.2f} of the {total / GIB:.1f} GiB of {of}", expectation)
    remedy = (
        "take max_server_memory_usage and max_server_memory_usage_to_ram_ratio out of the configuration, so that the "
        "server takes 0.9 of its container; set the container's memory limit"
    )
    return [finding("memory_limit", status, replica.subject, told, remedy, KUBERNETES)]


def memory_pressure(replica: Replica, context: Context) -> Iterable[Finding]:
    """How near the server is to refusing queries for want of memory."""
    expectation = f"less than {USED_WARN:.0%} of the server's limit"
    used, limit = memory_used(replica), usable_memory(replica)
    if used is None or not limit:
        refused = "memory_tracked" if used is None else "memory_limit"
        return [unreadable("memory_pressure", replica, refused, QUERIES[refused], context.user, expectation)]
    status = beyond(used / limit, USED_WARN, USED_FAIL)
    told = (f"{used / GIB:.1f} of {limit / GIB:.1f} GiB in use ({used / limit:.0%})", expectation)
    remedy = "give each replica more memory, or let fewer users read at a time"
    return [finding("memory_pressure", status, replica.subject, told, remedy, KUBERNETES)]


def memory_refusals(replica: Replica, context: Context) -> Iterable[Finding]:
    """Queries that were refused for want of memory (ClickHouse error 241)."""
    expectation = "no query refused for want of memory (error 241) in the last hour"
    total = replica.value("memory_errors", "refused")
    if total is None:
        query = QUERIES["memory_errors"]
        return [unreadable("memory_refusals", replica, "memory_errors", query, context.user, expectation)]
    rise, ago = (
        replica.rise("memory_errors", "MEMORY_LIMIT_EXCEEDED", column="refused"),
        replica.value("memory_errors", "ago"),
    )
    recent = bool(rise) or (ago is not None and ago < RECENT)
    observed = f"{total:.0f} since the server started" + (f", the last {ago:.0f} s ago" if ago is not None else "")
    if rise:
        observed += f", {rise:.0f} of them within {replica.seconds:.1f} s"
    remedy = (
        "give each replica 8 vCPU and 32 GiB in production, raise max_memory_usage where a query's own limit refuses, "
        "or let fewer users read at a time"
    )
    status: Status = "warn" if recent else "pass"
    return [finding("memory_refusals", status, replica.subject, (observed, expectation), remedy, KUBERNETES)]


def restart(replica: Replica, context: Context) -> Iterable[Finding]:
    """A server with data that has just started was stopped by somebody, or by the kernel for its memory."""
    expectation = f"a server that has run for {SETTLED} s or more, or one that is new"
    uptime = replica.value(IDENTITY, "uptime")
    if uptime is None:
        return []
    if uptime >= SETTLED:
        told = (f"runs for {uptime / 3600:.1f} h", expectation)
        return [finding("restart", "pass", replica.subject, told, "", KUBERNETES)]
    older = replica.value("older_parts", "parts")
    if older is None:
        query = QUERIES["older_parts"]
        return [unreadable("restart", replica, "older_parts", query, context.user, expectation)]
    told = (f"runs for {uptime} s, {'with data from before' if older else 'and is new'}", expectation)
    remedy = "see why it started again: kubectl describe pod (Last State: OOMKilled?), and the server's log"
    return [finding("restart", "warn" if older else "pass", replica.subject, told, remedy, KUBERNETES)]


REPLICA_RULES: tuple[Callable[[Replica, Context], Iterable[Finding]], ...] = (
    cpu,
    memory,
    memory_limit,
    memory_pressure,
    memory_refusals,
    restart,
)
CLUSTER_RULES: tuple[Callable[[Live, Context], Iterable[Finding]], ...] = ()
