# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The sizing rules on a running ClickHouse, one function each. What could not be read is unknown, never a pass."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse import facts
from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.facts import (
    ACCESS_DENIED,
    AUTHENTICATION_CODES,
    GIB,
    TABLES,
    UNKNOWN_TABLE,
    Environment,
    Live,
    Plan,
    Refused,
    Rows,
    version_of,
)
from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.plan_rules import (
    expected,
    finding,
    judge_version,
    number,
    weigh,
)
from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.thresholds import (
    CHECKLIST,
    CPU,
    DEPENDENCIES,
    DISK_FAIL,
    DISK_SIZE_TOLERANCE,
    DISK_WARN,
    MEMORY,
    MEMORY_RATIO,
    P0,
    REPLICAS,
    REPLICAS_MAX,
)
from ansible_collections.langsmith.aws.plugins.module_utils.domain.finding import Finding, Status

Rule = Callable[[Live, Environment, "Plan | None"], Iterable[Finding]]


def unreadable(live: Live, rule: str, query: str, expectation: str) -> Finding:
    """The finding for a question that the server did not answer."""
    answer = live.answers.get(query)
    observed, remedy = "no answer", "run the check again; if it stays, read the server's log"
    if isinstance(answer, Refused):
        observed = f"ClickHouse error {answer.code}: {answer.message}"
        table = TABLES.get(query, "")
        if answer.code == ACCESS_DENIED:
            observed = f"user {live.user} may not read {table}"
            remedy = f"run as an administrator: GRANT SELECT ON {table} TO `{live.user}`"
        elif answer.code == UNKNOWN_TABLE:
            observed = f"the server has no table {table}"
            remedy = f"judge this from the plan; {table} is not there on this server"
    return finding(rule, "unknown", live.subject, (observed, expectation), remedy)


def _rows(live: Live, query: str) -> Rows | None:
    answer = live.answers.get(query)
    return None if answer is None or isinstance(answer, Refused) else answer


def version(live: Live, environment: Environment, plan: Plan | None) -> Iterable[Finding]:
    """The version that runs, which a plan may not go below."""
    rows = _rows(live, "version")
    if not rows:
        return [unreadable(live, "live_version", "version", "a version that LangSmith supports")]
    running = str(rows[0]["version"])
    found = [judge_version("live_version", live.subject, running)]
    planned, actual = version_of((plan and plan.version) or ""), version_of(running)
    if planned and actual and planned < actual[: len(planned)]:
        told = (f"{running} runs, {plan.version if plan else ''} is planned", "a plan that is not older")
        remedy = f"plan version {running} or newer: ClickHouse cannot be downgraded"
        status: Status = "fail" if environment == "production" else "warn"
        found.append(finding("downgrade", status, "plan.version", told, remedy, DEPENDENCIES))
    return found


def replicas(live: Live, environment: Environment, plan: Plan | None) -> Iterable[Finding]:
    """Replicas that the server itself knows of, and shards, of which LangSmith reads one only."""
    wanted = max(REPLICAS.production, (plan and plan.replicas) or 0)
    expectation = f"at least {wanted:g} replicas in production, in one shard"
    rows = _rows(live, "clusters")
    if rows is None:
        return [unreadable(live, "live_replicas", "clusters", expectation)]
    nodes = [row for row in rows if row["cluster"] == live.cluster]
    names = sorted({str(row["cluster"]) for row in rows})
    if live.cluster and not nodes:
        told = (f"no cluster {live.cluster}; the server knows {', '.join(names) or 'none'}", expectation)
        remedy = "set live.cluster to the server's cluster, or define it in remote_servers"
        return [finding("live_replicas", "fail", live.subject, told, remedy)]
    count = len({(row["shard_num"], row["replica_num"]) for row in nodes}) or 1
    shards = len({row["shard_num"] for row in nodes}) or 1
    status = weigh(count / shards, environment, replace(REPLICAS, production=wanted, tolerated=wanted))
    if environment == "dev" and count < REPLICAS.production:
        status = "warn"
    if count / shards > REPLICAS_MAX:
        status = "warn"
    observed = number(count // shards, "replicas") + (
        f" in cluster {live.cluster}" if live.cluster else ", a server by itself"
    )
    if not live.cluster and len(names) > 0:
        observed += f" (it knows the clusters {', '.join(names)}; live.cluster names none)"
    remedy = "add replicas up to 3 and name the cluster in live.cluster and in the chart's clickhouse.external.cluster"
    if count / shards > REPLICAS_MAX:
        remedy = f"stay at {REPLICAS_MAX} replicas or fewer and give each more CPU and memory"
    found = [finding("live_replicas", status, live.subject, (observed, expectation), remedy)]
    if shards > 1:
        told = (f"{shards} shards in cluster {live.cluster}", "1 shard")
        remedy = "make it one shard: LangSmith has no Distributed tables, so that data in a second shard is not seen"
        found.append(finding("live_shards", "fail", live.subject, told, remedy, DEPENDENCIES))
    return found


def cpu(live: Live, environment: Environment, plan: Plan | None) -> Iterable[Finding]:
    """Cores that the server counted for its own thread pools."""
    expectation = expected(environment, CPU)
    rows = _rows(live, "threads")
    if not rows:
        return [unreadable(live, "live_cpu", "threads", expectation)]
    count = facts.cores(live)
    if count is None:
        told = (f"max_threads is set to {rows[0]['value']}, which hides the cores", expectation)
        remedy = f"take max_threads out of the profile of user {live.user}, or judge the CPU from the plan"
        return [finding("live_cpu", "unknown", live.subject, told, remedy)]
    remedy = f"give each replica {CPU.production:g} vCPU: limits of the pod, or a larger instance type"
    told = (f"{count} vCPU", expectation)
    return [finding("live_cpu", weigh(count, environment, CPU), live.subject, told, remedy)]


def memory(live: Live, environment: Environment, plan: Plan | None) -> Iterable[Finding]:
    """Memory that the server may use, held against 0.9 of what a replica should have."""
    need = replace(
        MEMORY,
        production=round(MEMORY.production * MEMORY_RATIO, 1),
        tolerated=MEMORY.tolerated * MEMORY_RATIO,
        dev=round(MEMORY.dev * MEMORY_RATIO, 1),
    )
    expectation = f"{expected(environment, need)}, 0.9 of the replica's memory"
    amount = facts.memory_gib(live)
    if amount is None:
        refused = "memory_limit" if _rows(live, "memory_limit") is None else "memory_total"
        return [unreadable(live, "live_memory", refused, expectation)]
    remedy = (
        f"give each replica {MEMORY.production:g} GiB and take a lower max_server_memory_usage out of its configuration"
    )
    told = (f"{amount:.1f} GiB (max_server_memory_usage)", expectation)
    return [finding("live_memory", weigh(round(amount, 1), environment, need), live.subject, told, remedy)]


def disks(live: Live, environment: Environment, plan: Plan | None) -> Iterable[Finding]:
    """How full each local disk is, and whether it is the volume that was planned."""
    expectation = f"less than {DISK_WARN:.0%} in use"
    rows = _rows(live, "disks")
    local = [row for row in rows or () if str(row["type"]).lower() == "local"]
    if rows is None or not rows:
        return [unreadable(live, "disk_fill", "disks", expectation)]
    found = []
    for row in local:
        total, free = int(row["total_space"]), int(row["unreserved_space"])
        used = 1 - free / total if total else 1.0
        status: Status = "pass" if used < DISK_WARN else "warn" if used < DISK_FAIL else "fail"
        told = (f"disk {row['name']}: {used:.0%} of {total / GIB:.1f} GiB in use", expectation)
        remedy = "enlarge the volume, or shorten the retention of traces; merges need room for the largest parts"
        found.append(finding("disk_fill", status, live.subject, told, remedy, CHECKLIST))
    return [*found, *_disk_size(live, local, environment, plan)]


def _disk_size(live: Live, local: Rows, environment: Environment, plan: Plan | None) -> list[Finding]:
    size = plan.volume.size_gib if plan else None
    data = next((row for row in local if row["name"] == "default"), None)
    if size is None or data is None:
        return []
    actual = int(data["total_space"]) / GIB
    status: Status = "pass"
    if abs(actual - size) > size * DISK_SIZE_TOLERANCE:
        status = "fail" if environment == "production" else "warn"
    told = (f"disk default has {actual:.1f} GiB", f"{size:g} GiB as planned, within {DISK_SIZE_TOLERANCE:.0%}")
    remedy = "see what is mounted at the data path: a size that differs is another volume, or the node's own disk"
    return [finding("disk_size", status, live.subject, told, remedy, P0)]


LIVE_RULES: tuple[Rule, ...] = (version, replicas, cpu, memory, disks)


def judge_live(live: Live, environment: Environment, plan: Plan | None = None) -> list[Finding]:
    """Every live rule; where there is no server to ask, one finding that says so."""
    refused = next(
        (a for a in live.answers.values() if isinstance(a, Refused) and a.code in AUTHENTICATION_CODES), None
    )
    if live.unreachable or refused is not None:
        told = (live.unreachable or f"user {live.user} is not let in (ClickHouse error {refused and refused.code})",)
        remedy = "see that live.url and live.connect_to name the HTTP port of ClickHouse and that it runs"
        if refused is not None:
            remedy = "correct live.user, and live.password or live.password_secret"
        return [finding("connection", "fail", live.subject, (told[0], "an answer over HTTP"), remedy)]
    answered = finding("connection", "pass", live.subject, ("answers queries", "an answer over HTTP"), "")
    return [answered, *(found for rule in LIVE_RULES for found in rule(live, environment, plan))]
