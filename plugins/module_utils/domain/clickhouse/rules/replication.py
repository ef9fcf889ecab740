# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Replicas that follow each other, and the Keeper that lets them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.facts import (
    ACCESS_DENIED,
    UNKNOWN_TABLE,
    Context,
    Live,
    Query,
    Refused,
    Replica,
    Rows,
)
from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.sources import (
    KNOWLEDGE_BASE,
    MIXIN,
    OPERATOR_ALERTS,
    OWN,
)
from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.verdict import (
    beyond,
    finding,
    listed,
    unreadable,
)
from ansible_collections.langsmith.aws.plugins.module_utils.domain.finding import Finding, Status

#: Seconds of delay that are warned of; from min_relative_delay_to_close (300) a replica calls itself stale.
LAG_WARN, LAG_FAIL = 60, 300
#: A replica that never started reports its delay since 1970.
NEVER_STARTED = 1e9
QUEUE_WARN = 99
#: An entry of the queue is stuck after so many tries or postponements, if it is ten minutes old.
STUCK_TRIES, STUCK_POSTPONED = 100, 1000
#: Milliseconds that an average request to Keeper takes, and how many requests make an average.
KEEPER_WARN_MS, KEEPER_FAIL_MS, KEEPER_REQUESTS = 20.0, 100.0, 10

QUERIES: dict[str, Query] = {
    "replicas": Query(
        "SELECT database, table, is_readonly, is_session_expired, total_replicas, active_replicas, absolute_delay,"
        " queue_size FROM system.replicas ORDER BY is_readonly DESC, absolute_delay DESC LIMIT 1000",
        table="system.replicas",
        filtered=True,
    ),
    "stuck": Query(
        "SELECT database, table, type, num_tries, num_postponed,"  # noqa: S608 - constants of ours
        " substring(if(last_exception = '', postpone_reason, last_exception), 1, 160) AS reason"
        f" FROM system.replication_queue WHERE (num_tries > {STUCK_TRIES} OR num_postponed > {STUCK_POSTPONED})"
        " AND create_time < now() - INTERVAL 10 MINUTE ORDER BY num_tries DESC LIMIT 20",
        table="system.replication_queue",
        filtered=True,
    ),
    "keeper_root": Query("SELECT count() AS nodes FROM system.zookeeper WHERE path = '/'", table="system.zookeeper"),
    "keeper_sessions": Query(
        "SELECT metric AS name, value FROM system.metrics WHERE metric = 'ZooKeeperSession'", table="system.metrics"
    ),
    "keeper_events": Query(
        "SELECT event AS name, value FROM system.events WHERE event IN"
        " ('ZooKeeperWaitMicroseconds', 'ZooKeeperTransactions', 'ZooKeeperHardwareExceptions')",
        table="system.events",
        sampled=True,
    ),
}


def _replicated(replica: Replica, context: Context) -> bool:
    """Whether there is anything to replicate: a server by itself without replicated tables needs no Keeper."""
    return bool(context.cluster or context.nodes > 1 or replica.rows("replicas"))


def _tables(rule: str, replica: Replica, context: Context, expectation: str) -> tuple[Rows, list[Finding]]:
    """The replicated tables; without any, the finding that there is nothing to judge by."""
    rows = replica.rows("replicas")
    if rows is None:
        return (), [unreadable(rule, replica, "replicas", QUERIES["replicas"], context.user, expectation)]
    if rows or not _replicated(replica, context):
        return rows, []
    told = ("no replicated table to judge by", expectation)
    remedy = "check again after LangSmith's first migration, which makes its tables replicated where the chart has "
    return (), [finding(rule, "unknown", replica.subject, told, remedy + "clickhouse.external.cluster set", MIXIN)]


def replicas_alive(replica: Replica, context: Context) -> Iterable[Finding]:
    """A read-only table takes no inserts, one with an expired session follows nobody."""
    expectation = "all replicas of each table active, none read-only"
    rows, found = _tables("replicas_alive", replica, context, expectation)
    if not rows:
        return found
    readonly = [row for row in rows if row["is_readonly"] or row["is_session_expired"]]
    fewer = [row for row in rows if row["active_replicas"] < row["total_replicas"]]
    status: Status = "fail" if readonly else "warn" if fewer else "pass"
    observed = f"{len(rows)} tables, all replicas active"
    if readonly:
        observed = f"read-only or without a Keeper session: {_names(readonly)}"
    elif fewer:
        row = min(fewer, key=lambda one: one["active_replicas"])
        observed = f"{row['active_replicas']} of {row['total_replicas']} replicas active of {_names(fewer)}"
    remedy = "start the replicas that are missing; they are in system.replicas with replica_is_active 0"
    if readonly:
        remedy = (
            "see that Keeper answers and the disk has room, then SYSTEM RESTART REPLICA the table; SYSTEM RESTORE "
            "REPLICA where Keeper lost its metadata"
        )
    return [finding("replicas_alive", status, replica.subject, (observed, expectation), remedy, OPERATOR_ALERTS)]


def _names(rows: Rows) -> str:
    return listed([_name(row) for row in rows], 3)


def _name(row: Mapping[str, Any]) -> str:
    return f"{row['database']}.{row['table']}"


def replication_lag(replica: Replica, context: Context) -> Iterable[Finding]:
    """How far the slowest table is behind; ClickHouse's own limit for a stale replica fails."""
    name = "min_relative_delay_to_close"
    limit = replica.named("replicated_merge_limits", name) or replica.named("merge_limits", name) or LAG_FAIL
    warn = min(LAG_WARN, limit)
    expectation = f"at most {warn:g} s behind the others"
    rows, found = _tables("replication_lag", replica, context, expectation)
    if not rows:
        return found
    started = [row for row in rows if not row["is_readonly"] and row["absolute_delay"] < NEVER_STARTED]
    if not started:
        told = ("no table has started to replicate", expectation)
        remedy = "mend rule replicas_alive first: a read-only table follows nobody"
        return [finding("replication_lag", "unknown", replica.subject, told, remedy, OPERATOR_ALERTS)]
    slowest = max(started, key=lambda row: row["absolute_delay"])
    told = (f"{slowest['absolute_delay']:g} s behind in {_name(slowest)}", expectation)
    remedy = "see system.replication_queue for what it waits for: network, background_fetches_pool_size, or its disk"
    status = beyond(slowest["absolute_delay"], warn, limit)
    return [finding("replication_lag", status, replica.subject, told, remedy, OPERATOR_ALERTS)]


def replication_queue(replica: Replica, context: Context) -> Iterable[Finding]:
    """What waits to be fetched or merged, and entries that are tried again and again."""
    expectation = f"at most {QUEUE_WARN} entries for a table, none stuck"
    rows, found = _tables("replication_queue", replica, context, expectation)
    if not rows:
        return found
    stuck = replica.rows("stuck")
    if stuck is None:
        return [unreadable("replication_queue", replica, "stuck", QUERIES["stuck"], context.user, expectation)]
    longest = max(rows, key=lambda row: row["queue_size"])
    status: Status = "fail" if stuck else "warn" if longest["queue_size"] > QUEUE_WARN else "pass"
    observed = f"{longest['queue_size']:g} entries in {_name(longest)}"
    if stuck:
        one = stuck[0]
        observed += f"; {len(stuck)} stuck, a {one['type']} of {_name(one)} after {one['num_tries']} tries"
        observed += f" and {one['num_postponed']} postponements: {one['reason']}"
    remedy = "read last_exception and postpone_reason in system.replication_queue; SYSTEM RESTART REPLICA reads it anew"
    source = KNOWLEDGE_BASE if stuck else MIXIN
    return [finding("replication_queue", status, replica.subject, (observed, expectation), remedy, source)]


def keeper(replica: Replica, context: Context) -> Iterable[Finding]:
    """Keeper answers, over one session; without it every replicated table becomes read-only."""
    if not _replicated(replica, context):
        return []
    expectation = "Keeper answers, over one session"
    answer = replica.answers.get("keeper_root")
    if isinstance(answer, Refused) and answer.code not in (0, ACCESS_DENIED, UNKNOWN_TABLE):
        told = (f"ClickHouse error {answer.code}: {answer.message}", expectation)
        remedy = "start Keeper's nodes, see that two of three have a leader, and that port 2181 is open to them"
        return [finding("keeper", "fail", replica.subject, told, remedy, OPERATOR_ALERTS)]
    if not replica.rows("keeper_root"):
        query = QUERIES["keeper_root"]
        return [unreadable("keeper", replica, "keeper_root", query, context.user, expectation)]
    sessions = replica.named("keeper_sessions", "ZooKeeperSession")
    if sessions is None:
        query = QUERIES["keeper_sessions"]
        return [unreadable("keeper", replica, "keeper_sessions", query, context.user, expectation)]
    status: Status = "fail" if sessions > 1 else "pass"
    told = (f"answers, {sessions:g} sessions", expectation)
    remedy = "restart this server: reads over more than one session may be stale"
    return [finding("keeper", status, replica.subject, told, remedy, OPERATOR_ALERTS)]


def keeper_latency(replica: Replica, context: Context) -> Iterable[Finding]:
    """What an average request to Keeper took between the samples, and connections that broke meanwhile."""
    if not _replicated(replica, context):
        return []
    expectation = f"at most {KEEPER_WARN_MS:g} ms for a request, no broken connection"
    waited, requests, broken = (
        replica.rise("keeper_events", f"ZooKeeper{name}")
        for name in ("WaitMicroseconds", "Transactions", "HardwareExceptions")
    )
    if waited is None or requests is None:
        query = QUERIES["keeper_events"]
        return [unreadable("keeper_latency", replica, "keeper_events", query, context.user, expectation)]
    observed = f"{requests:g} requests in {replica.seconds:.0f} s, too few to judge by"
    status: Status = "pass"
    if requests >= KEEPER_REQUESTS:
        milliseconds = waited / requests / 1000
        status = beyond(milliseconds, KEEPER_WARN_MS, KEEPER_FAIL_MS)
        observed = f"{milliseconds:.1f} ms for an average of {requests:g} requests"
    if broken:
        status, observed = "fail", observed + f"; {broken:g} connections broke"
    remedy = (
        "give Keeper nodes and gp3 volumes of its own with 1000 IOPS or more, and see the network between the zones"
    )
    return [finding("keeper_latency", status, replica.subject, (observed, expectation), remedy, OWN)]


REPLICA_RULES: tuple[Callable[[Replica, Context], Iterable[Finding]], ...] = (
    replicas_alive,
    replication_lag,
    replication_queue,
    keeper,
    keeper_latency,
)
CLUSTER_RULES: tuple[Callable[[Live, Context], Iterable[Finding]], ...] = ()
