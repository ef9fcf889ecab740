# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The version that runs, the servers that know each other, and whether each of them has all the data."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.facts import (
    CLUSTERS,
    GREETING,
    IDENTITY,
    KNOWN_CLUSTERS,
    Context,
    Live,
    Query,
    Replica,
    Rows,
    version_of,
)
from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.thresholds import (
    DEPENDENCIES,
    REPLICAS,
    REPLICAS_MAX,
)
from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.verdict import (
    counted,
    finding,
    listed,
    number,
    serious,
    unreadable,
    weigh,
)
from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.versions import judge_version
from ansible_collections.langsmith.aws.plugins.module_utils.domain.finding import Finding, Status

QUERIES: dict[str, Query] = {
    IDENTITY: GREETING,
    CLUSTERS: KNOWN_CLUSTERS,
    "tables": Query(
        "SELECT name, engine FROM system.tables "
        "WHERE database = currentDatabase() AND engine LIKE '%MergeTree' ORDER BY name LIMIT 2000",
        table="system.tables",
        filtered=True,
    ),
    # 1 where the service makes every MergeTree a SharedMergeTree by itself; it is told before there are tables.
    "cloud_mode": Query("SELECT value FROM system.settings WHERE name = 'cloud_mode'", table="system.settings"),
}


def version(replica: Replica, context: Context) -> Iterable[Finding]:
    """The version that runs, which a plan may not go below."""
    running = replica.value(IDENTITY, "version")
    if running is None:
        expectation = "a version that LangSmith supports"
        return [unreadable("version", replica, IDENTITY, GREETING, context.user, expectation)]
    found = [judge_version("version", replica.subject, str(running), context.environment)]
    wanted = context.plan.version if context.plan else None
    planned, actual = version_of(wanted or ""), version_of(str(running))
    if planned and actual and planned < actual[: len(planned)]:
        told = (f"{running} runs, {wanted} is planned", "a plan that is not older")
        remedy = f"plan version {running} or newer: ClickHouse cannot be downgraded"
        status = serious(context.environment)
        found.append(finding("downgrade", status, replica.subject, told, remedy, DEPENDENCIES))
    return found


def same_version(live: Live, context: Context) -> Iterable[Finding]:
    """Replicas of different versions are an upgrade that was not finished."""
    running: dict[str, list[str]] = {}
    for replica in live.reached:
        running.setdefault(str(replica.value(IDENTITY, "version")), []).append(replica.subject)
    asked, there = len(live.reached), max((len(nodes) for nodes in _views(live).values()), default=1)
    if max(asked, there) < 2:
        return []
    told = "; ".join(f"{found} on {listed(servers)}" for found, servers in sorted(running.items()))
    status: Status = "pass" if len(running) == 1 else "fail"
    remedy = "finish the rolling upgrade: bring every replica to the newest of these versions"
    if status == "pass" and asked < there:
        status, told = "unknown", f"{told}; {asked} of {there} servers asked"
        remedy = "ask the others too: name them in live.urls, or turn live.discover on where they can be reached"
    return [finding("same_version", status, subject_of(live), (told, "one version"), remedy, DEPENDENCIES)]


def replicas(live: Live, context: Context) -> Iterable[Finding]:
    """Replicas that the servers know of, and shards, of which LangSmith reads one only."""
    wanted = max(REPLICAS.production, (context.plan and context.plan.replicas) or 0)
    expectation = f"at least {wanted:g} replicas in production, {REPLICAS_MAX} at most, in one shard"
    if not live.cluster and all(_shares(replica) for replica in live.reached):
        told = ("a service that replicates by itself", expectation)
        return [finding("replicas", "pass", subject_of(live), told, "", DEPENDENCIES)]
    views = _views(live)
    if not views:
        return [unreadable("replicas", live.reached[0], CLUSTERS, KNOWN_CLUSTERS, context.user, expectation)]
    ignorant = [subject for subject, nodes in views.items() if live.cluster and not nodes]
    if ignorant:
        names = sorted({str(row["cluster"]) for replica in live.reached for row in replica.rows(CLUSTERS) or ()})
        observed = f"no cluster {live.cluster} on {listed(ignorant)}; known: {listed(names) or 'none'}"
        remedy = "set live.cluster to the servers' cluster, or define it in remote_servers of each"
        return [finding("replicas", "fail", subject_of(live), (observed, expectation), remedy)]
    found = [_count(live, context, views, wanted, expectation)]
    shards = max(len({shard for shard, _replica, _host in nodes}) for nodes in views.values())
    if live.cluster:
        remedy = "make it one shard: LangSmith has no Distributed tables, so that data in a second shard is not seen"
        told = (f"{counted(shards, 'shard')} in cluster {live.cluster}", "1 shard")
        status: Status = "pass" if shards == 1 else "fail"
        found.append(finding("shards", status, subject_of(live), told, remedy, DEPENDENCIES))
    return found


#: A server of a cluster: the numbers of its shard and replica, its name.
Node = tuple[int, int, str]


def _shares(replica: Replica) -> bool:
    """Whether all tables are shared by the servers of a service; before there are any, whether they are going to be."""
    tables = replica.rows("tables")
    if tables:
        return all(str(row["engine"]).startswith("Shared") for row in tables)
    return str(replica.value("cloud_mode", "value")) == "1"


def _views(live: Live) -> dict[str, frozenset[Node]]:
    """The servers of the cluster as each server knows them that told."""
    told_by = [replica for replica in live.reached if replica.rows(CLUSTERS) is not None]
    return {replica.subject: _nodes(replica.rows(CLUSTERS) or (), live.cluster) for replica in told_by}


def _nodes(rows: Rows, cluster: str | None) -> frozenset[Node]:
    return frozenset(
        (int(row["shard_num"]), int(row["replica_num"]), str(row["host_name"]))
        for row in rows
        if row["cluster"] == cluster
    )


def _per_shard(nodes: frozenset[Node]) -> int:
    """Replicas of the shard that has fewest; a server that stands alone is one."""
    shards = [shard for shard, _replica, _host in nodes]
    return min((shards.count(shard) for shard in shards), default=1)


def _count(live: Live, context: Context, views: dict[str, frozenset[Node]], wanted: float, expectation: str) -> Finding:
    counts = {subject: _per_shard(nodes) for subject, nodes in views.items()}
    count = min(counts.values())
    status = weigh(count, context.environment, replace(REPLICAS, production=wanted, tolerated=wanted))
    if context.environment == "dev" and count < REPLICAS.production:
        status = "warn"
    remedy = "add replicas up to 3 and name the cluster in live.cluster and in the chart's clickhouse.external.cluster"
    if count > REPLICAS_MAX:
        status, remedy = "warn", f"stay at {REPLICAS_MAX} replicas or fewer and give each more CPU and memory"
    observed = number(count, "replicas") + (f" in cluster {live.cluster}" if live.cluster else ", a server by itself")
    names = sorted({str(row["cluster"]) for replica in live.reached for row in replica.rows(CLUSTERS) or ()})
    if not live.cluster and names:
        observed += f" (it knows the clusters {listed(names)}; live.cluster names none)"
    if len(set(views.values())) > 1:
        status = "fail"
        observed = f"the servers disagree: {listed([f'{name} knows {found}' for name, found in counts.items()])}"
        remedy = "give every server the same remote_servers, with the same names in the same order"
    return finding("replicas", status, subject_of(live), (observed, expectation), remedy)


def replicated_tables(live: Live, context: Context) -> Iterable[Finding]:
    """A table that is not replicated has other rows on each server; so has one that a server lacks."""
    expectation = "every table on every server, with a Replicated engine"
    if not live.cluster and context.nodes < 2:
        return []
    blind = next((replica for replica in live.reached if replica.rows("tables") is None), None)
    if blind is not None:
        return [unreadable("replicated_tables", blind, "tables", QUERIES["tables"], context.user, expectation)]
    engines = {
        r.subject: {str(row["name"]): str(row["engine"]) for row in r.rows("tables") or ()} for r in live.reached
    }
    everything = sorted({name for tables in engines.values() for name in tables})
    if not everything:
        told = (f"no table in database {live.database}", expectation)
        remedy = "set live.database to LangSmith's, or check again after the first migration"
        return [finding("replicated_tables", "unknown", subject_of(live), told, remedy, DEPENDENCIES)]
    return [_tables_finding(live, engines, everything, expectation)]


def _tables_finding(live: Live, engines: dict[str, dict[str, str]], names: list[str], expectation: str) -> Finding:
    plain = [
        name
        for name in names
        if any(not tables.get(name, "Replicated").startswith(("Replicated", "Shared")) for tables in engines.values())
    ]
    missing = [f"{subject} lacks {name}" for subject, tables in engines.items() for name in names if name not in tables]
    observed = [f"{counted(len(names), 'table')} on {counted(len(engines), 'server')}"]
    if plain:
        observed.append(f"not replicated: {listed(plain)}")
    if missing:
        observed.append(listed(missing))
    remedy = (
        "set clickhouse.external.cluster before the first migration; a schema that was made without it cannot be "
        "converted: make a new one and migrate the data"
    )
    status: Status = "fail" if plain or missing else "pass"
    told = ("; ".join(observed), expectation)
    return finding("replicated_tables", status, subject_of(live), told, remedy, DEPENDENCIES)


def subject_of(live: Live) -> str:
    """The cluster, or the servers that were asked."""
    return f"cluster {live.cluster}" if live.cluster else listed([replica.subject for replica in live.replicas])


REPLICA_RULES: tuple[Callable[[Replica, Context], Iterable[Finding]], ...] = (version,)
CLUSTER_RULES: tuple[Callable[[Live, Context], Iterable[Finding]], ...] = (same_version, replicas, replicated_tables)
