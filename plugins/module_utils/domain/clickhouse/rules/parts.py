# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write load: parts and the merges that have to keep up with them, inserts held back, mutations, lost parts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.facts import (
    Context,
    Live,
    Query,
    Replica,
)
from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.rules.queries import (
    LOAD_ONLY,
    LOGGED,
    samples,
)
from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.sources import (
    LIMITS,
    OPERATIONS,
    OPERATOR_ALERTS,
    OWN,
)
from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.verdict import finding, unreadable
from ansible_collections.langsmith.aws.plugins.module_utils.domain.finding import Finding, Status

#: Active parts of one partition: worth a word from here, a warning from half of what holds inserts back.
PARTS_NOTE, PARTS_SHARE = 100, 0.5
#: Share of the merge threads at work in both samples, and seconds that one merge may take.
MERGES_BUSY, MERGE_SECONDS = 0.9, 3600
#: Unfinished mutations of one table, and seconds since the oldest was ordered.
MUTATIONS_WARN, MUTATION_SECONDS = 10, 3600
#: Rows of an average INSERT, and how many a second it takes for small ones to matter.
ROWS_PER_INSERT, INSERTS_PER_SECOND = 1000, 1.0

MERGE_LIMITS = ("parts_to_delay_insert", "parts_to_throw_insert", "number_of_mutations_to_delay")
_OWN_LIMITS = ", ".join(f"toUInt64OrNull(extract(engine_full, '{name} = (\\\\d+)')) AS {name}" for name in MERGE_LIMITS)
_LIMIT_NAMES = ", ".join(f"'{name}'" for name in (*MERGE_LIMITS, "min_relative_delay_to_close"))

QUERIES: dict[str, Query] = {
    "parts": Query(
        "SELECT database, table, argMax(partition_id, number) AS partition_id, max(number) AS parts FROM"
        " (SELECT database, table, partition_id, count() AS number FROM system.parts WHERE active"
        " GROUP BY database, table, partition_id) GROUP BY database, table ORDER BY parts DESC LIMIT 1000",
        table="system.parts",
        filtered=True,
    ),
    "merge_limits": Query(
        f"SELECT name, toFloat64OrNull(value) AS value FROM system.merge_tree_settings WHERE name IN ({_LIMIT_NAMES})",  # noqa: S608 - constants of ours
        table="system.merge_tree_settings",
    ),
    # Tables with a Replicated engine have limits of their own, by a section of their own in the configuration.
    "replicated_merge_limits": Query(
        "SELECT name, toFloat64OrNull(value) AS value FROM system.replicated_merge_tree_settings"  # noqa: S608 - constants of ours
        f" WHERE name IN ({_LIMIT_NAMES})",
        table="system.replicated_merge_tree_settings",
    ),
    "own_merge_limits": Query(
        f"SELECT database, name AS table, {_OWN_LIMITS} FROM system.tables"  # noqa: S608 - constants of ours
        " WHERE engine LIKE '%MergeTree' AND match(engine_full, 'parts_to_|number_of_mutations_to_delay')",
        table="system.tables",
        filtered=True,
    ),
    "part_events": Query(
        "SELECT event AS name, value FROM system.events WHERE event IN"
        " ('DelayedInserts', 'RejectedInserts', 'ReplicatedDataLoss', 'ReplicatedPartFailedFetches')",
        table="system.events",
        sampled=True,
    ),
    "merge_pool": Query(
        "SELECT sumIf(value, metric = 'BackgroundMergesAndMutationsPoolTask') AS tasks,"
        " sumIf(value, metric = 'BackgroundMergesAndMutationsPoolSize') AS size FROM system.metrics",
        table="system.metrics",
        sampled=True,
    ),
    "merges": Query(
        "SELECT database, table, toUInt64(elapsed) AS seconds, progress FROM system.merges WHERE NOT is_mutation"
        " ORDER BY elapsed DESC LIMIT 1",
        table="system.merges",
        filtered=True,
    ),
    "mutations": Query(
        "SELECT database, table, count() AS open, toInt64(dateDiff('second', min(create_time), now())) AS seconds,"
        " countIf(latest_fail_reason != '') AS failing, argMax(mutation_id, latest_fail_reason != '') AS mutation_id,"
        " substring(max(latest_fail_reason), 1, 160) AS reason FROM system.mutations WHERE NOT is_done"
        " GROUP BY database, table ORDER BY failing DESC, open DESC LIMIT 1000",
        table="system.mutations",
        filtered=True,
    ),
    "inserts_logged": Query(
        "SELECT count() AS inserts, avg(written_rows) AS rows,"  # noqa: S608 - constants of ours
        " toInt64(dateDiff('second', min(event_time), max(event_time))) AS seconds FROM system.query_log"
        " WHERE event_date >= yesterday() AND event_time > now() - INTERVAL 1 HOUR AND type = 'QueryFinish'"
        # A flush is LangSmith's though most servers log it without a user. By its key a map is read as a column of its
        # own, which a grant on the map does not cover.
        f" AND (query_kind = 'AsyncInsertFlush' OR query_kind = 'Insert' AND {LOAD_ONLY} AND"
        " NOT mapExists((name, count) -> name = 'AsyncInsertQuery' AND count > 0, ProfileEvents))"
        " AND NOT has(databases, 'system')",
        table="system.query_log",
        columns=LOGGED,
    ),
    "detached": Query(
        "SELECT database, table, count() AS parts, arrayStringConcat(groupUniqArray(3)(if(reason = '', 'by hand',"
        " reason)), ', ') AS reasons FROM system.detached_parts GROUP BY database, table ORDER BY parts DESC LIMIT 100",
        table="system.detached_parts",
        filtered=True,
    ),
}


def limits(replica: Replica, database: str, table: str) -> dict[str, float]:
    """The limits of MergeTree that hold for a table: its own, else the server's; what was not told is left out."""
    replicated = any((row["database"], row["table"]) == (database, table) for row in replica.rows("replicas") or ())
    rows = (replicated and replica.rows("replicated_merge_limits")) or replica.rows("merge_limits") or ()
    known = {str(row["name"]): float(row["value"]) for row in rows if row["value"] is not None}
    for row in replica.rows("own_merge_limits") or ():
        if (row["database"], row["table"]) == (database, table):
            known |= {name: float(row[name]) for name in MERGE_LIMITS if row.get(name) is not None}
    return known


def fullest(replica: Replica) -> tuple[Mapping[str, Any], float | None] | None:
    """The partition nearest to the number of parts that delays or rejects inserts, and that number; None without parts.

    Where the limits are not known it is the one with most parts.
    """
    rows = replica.rows("parts") or ()
    told = [(row, _limit(limits(replica, row["database"], row["table"]))) for row in rows]
    return max(told, key=lambda one: one[0]["parts"] / (one[1] or 1e9), default=None)


def _limit(known: Mapping[str, float]) -> float | None:
    """The number of parts at which inserts are held back first; 0 turns either limit off."""
    both = (known.get(name) for name in ("parts_to_delay_insert", "parts_to_throw_insert"))
    return min((number for number in both if number), default=None)


def parts(replica: Replica, context: Context) -> Iterable[Finding]:
    """Parts of the fullest partition, held against the number from which ClickHouse delays or rejects inserts."""
    expectation = f"less than {PARTS_SHARE:.0%} of parts_to_delay_insert (parts_to_throw_insert) in each partition"
    for name in ("parts", "merge_limits"):
        if replica.rows(name) is None:
            return [unreadable("parts", replica, name, QUERIES[name], context.user, expectation)]
    worst_one = fullest(replica)
    if worst_one is None:
        return [finding("parts", "pass", replica.subject, ("no parts yet", expectation), "", LIMITS)]
    row, limit = worst_one
    count = row["parts"]
    status: Status = "pass"
    if limit:
        status = "fail" if count >= limit else "warn" if count > limit * PARTS_SHARE else "pass"
    observed = f"{count} parts in partition {row['partition_id']} of {row['database']}.{row['table']}"
    delays = limits(replica, row["database"], row["table"]).get("parts_to_delay_insert") == limit
    how = "delayed" if delays else "rejected"
    observed += f", inserts are {how} from {limit:g}" if limit else ", inserts are never delayed"
    if status == "pass" and count > PARTS_NOTE:
        observed += f"; more than {PARTS_NOTE} is worth watching"
    remedy = (
        "insert more rows at a time (async_insert=1), turn blob storage on, and see rule merges for what holds them "
        "up; SYSTEM START MERGES if someone stopped them"
    )
    return [finding("parts", status, replica.subject, (observed, expectation), remedy, LIMITS)]


def inserts(replica: Replica, context: Context) -> Iterable[Finding]:
    """Inserts that were delayed or rejected between the samples, since the counters run from the server's start."""
    expectation = "no INSERT delayed or rejected for too many parts"
    delayed, rejected = (replica.rise("part_events", name) for name in ("DelayedInserts", "RejectedInserts"))
    if delayed is None or rejected is None:
        query = QUERIES["part_events"]
        return [unreadable("inserts", replica, "part_events", query, context.user, expectation)]
    status: Status = "fail" if rejected else "warn" if delayed else "pass"
    observed = f"{delayed:g} delayed and {rejected:g} rejected in {replica.seconds:.0f} s"
    before = replica.named("part_events", "RejectedInserts") or 0
    if before > rejected:
        observed += f"; {before:g} rejected since the server's start"
    remedy = (
        "add no queue workers, ClickHouse is the bottleneck: give its volume more throughput, its pods more CPU, and "
        "insert more rows at a time"
    )
    return [finding("inserts", status, replica.subject, (observed, expectation), remedy, OPERATIONS)]


def merges(replica: Replica, context: Context) -> Iterable[Finding]:
    """Merge threads that are all at work while parts pile up, and a merge without end."""
    expectation = f"merges keep up with inserts, each within {MERGE_SECONDS} s"
    tasks, sizes = samples(replica, "merge_pool", "tasks"), samples(replica, "merge_pool", "size")
    running = replica.rows("merges")
    if not tasks or running is None:
        name = "merges" if tasks else "merge_pool"
        return [unreadable("merges", replica, name, QUERIES[name], context.user, expectation)]
    seconds = running[0]["seconds"] if running else 0
    busy = all(size and task >= size * MERGES_BUSY for task, size in zip(tasks, sizes, strict=True))
    piled = (replica.value("parts", "parts") or 0) > PARTS_NOTE
    status: Status = "warn" if (busy and piled) or seconds > MERGE_SECONDS else "pass"
    observed = f"{tasks[-1]:g} of {sizes[-1]:g} merges and mutations at work"
    if running:
        observed += f", the longest merge for {seconds} s in {running[0]['database']}.{running[0]['table']}"
    if busy and piled:
        observed += f", while a partition has {replica.value('parts', 'parts')} parts"
    remedy = "raise the volume's throughput first, then CPU and background_pool_size (config.d)"
    return [finding("merges", status, replica.subject, (observed, expectation), remedy, OWN)]


def mutations(replica: Replica, context: Context) -> Iterable[Finding]:
    """Mutations that fail, that wait for an hour, or of which there are so many that ClickHouse delays new ones."""
    expectation = f"at most {MUTATIONS_WARN} unfinished in a table, none failing or older than {MUTATION_SECONDS} s"
    rows = replica.rows("mutations")
    if rows is None:
        return [unreadable("mutations", replica, "mutations", QUERIES["mutations"], context.user, expectation)]
    found = [_mutations(replica, row, expectation) for row in rows]
    bad = [one for one in found if one.status != "pass"]
    if bad:
        return bad
    told = (f"{sum(row['open'] for row in rows)} unfinished, none failing", expectation)
    return [finding("mutations", "pass", replica.subject, told, "", LIMITS)]


def _mutations(replica: Replica, row: Mapping[str, Any], expectation: str) -> Finding:
    name = f"{row['database']}.{row['table']}"
    limit = limits(replica, row["database"], row["table"]).get("number_of_mutations_to_delay") or float("inf")
    status: Status = "pass"
    if row["failing"] or row["open"] >= limit:
        status = "fail"
    elif row["open"] > MUTATIONS_WARN or row["seconds"] > MUTATION_SECONDS:
        status = "warn"
    observed = f"{row['open']} unfinished in {name}, the oldest for {row['seconds']} s"
    remedy = "let them end, and run the TTL clean-up off-peak; more of them only wait behind these"
    if row["failing"]:
        observed += f", {row['failing']} failing: {row['reason']}"
        remedy = (
            f"mend what the reason says, or take it back: KILL MUTATION WHERE database = {_literal(row['database'])} "
            f"AND table = {_literal(row['table'])} AND mutation_id = {_literal(row['mutation_id'])}"
        )
    return finding("mutations", status, replica.subject, (observed, expectation), remedy, LIMITS)


def _literal(text: object) -> str:
    """A string of ClickHouse's SQL: names are not ours, and someone will paste this."""
    return "'" + str(text).replace("\\", "\\\\").replace("'", "\\'") + "'"


def batch_size(replica: Replica, context: Context) -> Iterable[Finding]:
    """Rows of an INSERT: each makes parts that have to be merged. Small ones matter where there are many."""
    expectation = f"more than {ROWS_PER_INSERT} rows in an average INSERT, or less than one INSERT a second"
    count = replica.value("inserts_logged", "inserts")
    if count is None:
        query = QUERIES["inserts_logged"]
        return [unreadable("batch_size", replica, "inserts_logged", query, context.user, expectation)]
    if not count:
        told = ("no INSERT in the last hour", expectation)
        return [finding("batch_size", "pass", replica.subject, told, "", OPERATOR_ALERTS)]
    rows = float(replica.value("inserts_logged", "rows") or 0)
    # What has run for seconds only is not held to be a rate.
    rate = count / max(60.0, float(replica.value("inserts_logged", "seconds") or 0))
    status: Status = "warn" if rows <= ROWS_PER_INSERT and rate > INSERTS_PER_SECOND else "pass"
    told = (f"{rows:.0f} rows in an average of {count} INSERTs, {rate:.2g} a second", expectation)
    remedy = (
        "set async_insert=1 and wait_for_async_insert=0 in the profile of LangSmith's user, so that ClickHouse gathers "
        "rows; fewer queue workers make larger batches too"
    )
    return [finding("batch_size", status, replica.subject, told, remedy, OPERATOR_ALERTS)]


def lost_parts(replica: Replica, context: Context) -> Iterable[Finding]:
    """Parts that ClickHouse put aside, and data that no replica has any more."""
    expectation = "no detached parts, no data loss"
    rows = replica.rows("detached")
    lost = replica.named("part_events", "ReplicatedDataLoss") or 0
    if rows is None or replica.rows("part_events") is None:
        name = "detached" if rows is None else "part_events"
        return [unreadable("lost_parts", replica, name, QUERIES[name], context.user, expectation)]
    fetches = replica.rise("part_events", "ReplicatedPartFailedFetches") or 0
    status: Status = "fail" if lost else "warn" if rows or fetches else "pass"
    told = [f"{row['parts']} detached in {row['database']}.{row['table']} ({row['reasons']})" for row in rows[:3]]
    told += [f"{fetches:g} fetches of parts failed in {replica.seconds:.0f} s"] * bool(fetches)
    told += [f"{lost:g} parts lost since the server's start: no replica had them"] * bool(lost)
    remedy = (
        "see system.detached_parts; ALTER TABLE ... ATTACH PART 'name' takes one back that is sound, DROP DETACHED "
        "PART removes it"
    )
    if lost:
        remedy = "restore what is lost from a backup, then check the replicas' volumes and Keeper"
    return [finding("lost_parts", status, replica.subject, ("; ".join(told) or "none", expectation), remedy, LIMITS)]


#: Rules whose verdict says that ClickHouse does not keep up with what is written.
SATURATION = ("clickhouse.parts", "clickhouse.inserts", "clickhouse.merges")


def async_insert_wait(replica: Replica, context: Context, told: Sequence[Finding]) -> Iterable[Finding]:
    """A wait of 0 in the chart hides a ClickHouse that is saturated, by what was ``told`` of this replica, from the
    queue workers."""
    if context.plan is None or context.plan.async_insert_wait_pct != 0:
        return []
    if not any(found.id in SATURATION and found.status in ("warn", "fail") for found in told):
        return []
    seen = ("0 while inserts or merges lag behind", "more than 0, as long as ClickHouse is saturated")
    remedy = "take CLICKHOUSE_ASYNC_INSERT_WAIT_PCT_FLOAT out of the chart's values; it hides saturation, it cures none"
    return [finding("async_insert_wait", "warn", replica.subject, seen, remedy, OPERATIONS)]


REPLICA_RULES: tuple[Callable[[Replica, Context], Iterable[Finding]], ...] = (
    parts,
    inserts,
    merges,
    mutations,
    batch_size,
    lost_parts,
)
CLUSTER_RULES: tuple[Callable[[Live, Context], Iterable[Finding]], ...] = ()
