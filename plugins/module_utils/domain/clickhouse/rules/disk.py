# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Disks: how full, full when, by what, how busy; and that what is written once goes again."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.facts import (
    GIB,
    Context,
    Live,
    Query,
    Refused,
    Replica,
    Rows,
)
from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.rules.queries import samples
from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.sources import INGESTION, LIMITS, OWN
from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.thresholds import (
    CHECKLIST,
    DISK_FAIL,
    DISK_SIZE_TOLERANCE,
    DISK_WARN,
    HORIZON_DAYS,
    P0,
)
from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.verdict import (
    beyond,
    by_environment,
    finding,
    serious,
    unreadable,
)
from ansible_collections.langsmith.aws.plugins.module_utils.domain.finding import Finding, Status

#: Days until the disk is full, and days of history that a forecast needs: less is an hour of the day, not a trend.
DAYS_WARN, DAYS_FAIL, HISTORY_DAYS = HORIZON_DAYS, 7, 1.0
#: Share of the disk that log tables without a time to live take.
LOGS_WARN, LOGS_FAIL = 0.05, 0.20
#: Share of the disk that dropped tables still hold.
DROPPED_SHARE = 0.05
#: Share of the time that processors wait for I/O.
IO_WARN, IO_FAIL = 0.10, 0.25

QUERIES: dict[str, Query] = {
    "disks": Query("SELECT name, type, total_space, unreserved_space FROM system.disks", table="system.disks"),
    # Every part that came, however it came, less those that went: so deletion by TTL and merges count too.
    "disk_growth": Query(
        "SELECT sumIf(size_in_bytes, event_type IN ('NewPart', 'MergeParts', 'MutatePart', 'DownloadPart')) AS added,"
        " sumIf(size_in_bytes, event_type = 'RemovePart') AS removed,"
        " if(count() = 0, 0, toInt64(dateDiff('second', min(event_time), now()))) AS seconds FROM system.part_log"
        " WHERE event_date >= today() - 7 AND error = 0",
        table="system.part_log",
    ),
    "disk_growth_of_parts": Query(
        "SELECT sum(bytes_on_disk) AS added, 0 AS removed,"
        " if(count() = 0, 0, toInt64(dateDiff('second', min(modification_time), now()))) AS seconds"
        " FROM system.parts WHERE active",
        table="system.parts",
        filtered=True,
    ),
    "log_tables": Query(
        "SELECT name, toUInt64(ifNull(total_bytes, 0)) AS bytes, positionCaseInsensitive(engine_full, ' TTL ') > 0"
        " AS has_ttl FROM system.tables WHERE database = 'system' AND match(name, '_log(_\\\\d+)?$')",
        table="system.tables",
        filtered=True,
    ),
    "runs_table": Query(
        "SELECT positionCaseInsensitive(engine_full, ' TTL ') > 0 AS has_ttl FROM system.tables"
        " WHERE database = currentDatabase() AND name = 'runs'",
        table="system.tables",
        filtered=True,
    ),
    "dropped": Query(
        "SELECT count(DISTINCT database, table) AS tables, sum(bytes_on_disk) AS bytes"
        " FROM system.dropped_tables_parts",
        table="system.dropped_tables_parts",
        filtered=True,
    ),
    "io_wait": Query(
        "SELECT value FROM system.asynchronous_metrics WHERE metric = 'OSIOWaitTimeNormalized'",
        table="system.asynchronous_metrics",
        sampled=True,
    ),
}


def local(replica: Replica) -> Rows:
    """The disks on a file system of the server; object storage has no end."""
    return tuple(row for row in replica.rows("disks") or () if str(row["type"]).lower() == "local")


def space(replica: Replica) -> tuple[float, float] | None:
    """Bytes in use and in all on the local disks together; None where nobody told."""
    rows = local(replica)
    total = float(sum(row["total_space"] for row in rows))
    return (total - sum(row["unreserved_space"] for row in rows), total) if total else None


def disk_fill(replica: Replica, context: Context) -> Iterable[Finding]:
    """How full each local disk is: a merge writes its result before its sources go."""
    expectation = f"at most {DISK_WARN:.0%} in use"
    if not replica.rows("disks"):
        return [unreadable("disk_fill", replica, "disks", QUERIES["disks"], context.user, expectation)]
    remedy = "enlarge the volume, or keep traces for a shorter time; merges need room for the largest parts"
    found = []
    for row in local(replica):
        used = 1 - row["unreserved_space"] / row["total_space"] if row["total_space"] else 1.0
        told = (f"disk {row['name']}: {used:.0%} of {row['total_space'] / GIB:.1f} GiB in use", expectation)
        found.append(finding("disk_fill", beyond(used, DISK_WARN, DISK_FAIL), replica.subject, told, remedy, CHECKLIST))
    return found


def disk_size(replica: Replica, context: Context) -> Iterable[Finding]:
    """Whether the disk is the volume that was planned; another size is another disk, often the node's own."""
    size = context.plan.volume.size_gib if context.plan else None
    data = next((row for row in local(replica) if row["name"] == "default"), None)
    if size is None or data is None:
        return []
    actual = data["total_space"] / GIB
    status: Status = "pass"
    if abs(actual - size) > size * DISK_SIZE_TOLERANCE:
        status = serious(context.environment)
    told = (f"disk default has {actual:.1f} GiB", f"{size:g} GiB as planned, within {DISK_SIZE_TOLERANCE:.0%}")
    remedy = "see what is mounted at the data path: a size that differs is another volume, or the node's own disk"
    return [finding("disk_size", status, replica.subject, told, remedy, P0)]


def growth(replica: Replica) -> tuple[float, bool] | None:
    """Bytes a day by which the disks fill, and whether deletions are counted in; None without a day of history."""
    for query in ("disk_growth", "disk_growth_of_parts"):
        seconds = replica.value(query, "seconds")
        if seconds and seconds >= HISTORY_DAYS * 86400:
            grown = replica.value(query, "added") - replica.value(query, "removed")
            return grown / seconds * 86400, query == "disk_growth"
        if replica.rows("disk_growth") is not None:
            return None
    return None


def days_to_full(replica: Replica) -> float | None:
    """Days until the local disks are full as they fill now; infinite where they do not, None where nobody knows."""
    used_total, grown = space(replica), growth(replica)
    if used_total is None or grown is None:
        return None
    used, total = used_total[0], used_total[1]
    return (total - used) / grown[0] if grown[0] > 0 else float("inf")


def disk_forecast(replica: Replica, context: Context) -> Iterable[Finding]:
    """When the disks are full, by what parts came and went in the last days."""
    expectation = f"not full within {DAYS_WARN} days"
    if not replica.rows("disks"):
        return [unreadable("disk_forecast", replica, "disks", QUERIES["disks"], context.user, expectation)]
    days, grown = days_to_full(replica), growth(replica)
    if days is None or grown is None:
        return [_no_forecast(replica, context, expectation)]
    by_day, net = grown
    status: Status = "fail" if days < DAYS_FAIL else "warn" if days < DAYS_WARN else "pass"
    if not net and status == "fail":
        # What was deleted meanwhile is not known, so that this is the worst that can be.
        status = "warn"
    observed = f"{by_day / GIB:.3g} GiB a day" + ("" if net else " at most") + f", full in {days:.3g} days"
    if days == float("inf"):
        observed = "the disks do not fill"
    remedy = (
        "enlarge the volume (EBS takes 4 changes in 24 hours) or keep traces for a shorter time; see rule system_logs"
    )
    status = by_environment(status, context.environment)
    return [finding("disk_forecast", status, replica.subject, (observed, expectation), remedy, OWN)]


def _no_forecast(replica: Replica, context: Context, expectation: str) -> Finding:
    if isinstance(replica.answers.get("disk_growth"), Refused) and replica.rows("disk_growth_of_parts") is None:
        query = QUERIES["disk_growth"]
        return unreadable("disk_forecast", replica, "disk_growth", query, context.user, expectation)
    told = ("less than a day of history", expectation)
    return finding("disk_forecast", "unknown", replica.subject, told, "check again after a day of ordinary load", OWN)


def system_logs(replica: Replica, context: Context) -> Iterable[Finding]:
    """Log tables of ClickHouse grow for ever unless they have a time to live."""
    expectation = f"at most {LOGS_WARN:.0%} of the disk in log tables without a TTL"
    for name in ("log_tables", "disks"):
        if replica.rows(name) is None:
            return [unreadable("system_logs", replica, name, QUERIES[name], context.user, expectation)]
    endless = [row for row in replica.rows("log_tables") or () if not row["has_ttl"]]
    used_total, size = space(replica), sum(row["bytes"] for row in endless)
    share = size / used_total[1] if used_total else 0.0
    status = beyond(share, LOGS_WARN, LOGS_FAIL)
    status = by_environment(status, context.environment)
    names = ", ".join(row["name"] for row in sorted(endless, key=lambda row: -row["bytes"])[:5])
    observed = f"{size / GIB:.3g} GiB, {share:.0%} of the disk" + (f": {names}" if endless else "")
    remedy = (
        f"set a <ttl> for {names} in the server's configuration (config.d), restart it and DROP the old tables "
        "(system.*_log_0)"
    )
    return [finding("system_logs", status, replica.subject, (observed, expectation), remedy, OWN)]


def ttl(replica: Replica, context: Context) -> Iterable[Finding]:
    """Without a TTL on runs, traces stay for ever."""
    expectation = "a TTL on table runs"
    rows = replica.rows("runs_table")
    if rows is None:
        return [unreadable("ttl", replica, "runs_table", QUERIES["runs_table"], context.user, expectation)]
    if not rows:
        # Before the first migration; rule schema tells of it.
        return []
    status: Status = "pass" if rows[0]["has_ttl"] else "warn"
    told = ("runs has a TTL" if rows[0]["has_ttl"] else "runs has none: traces stay for ever", expectation)
    remedy = "set config.ttl.enabled and the periods in the chart's values, and let its migration add the TTL"
    return [finding("ttl", status, replica.subject, told, remedy, INGESTION)]


def dropped_tables(replica: Replica, context: Context) -> Iterable[Finding]:
    """A dropped table holds its space for some minutes, which matters on a disk that is nearly full."""
    expectation = f"at most {DROPPED_SHARE:.0%} of a disk that fills"
    for name in ("dropped", "disks"):
        if replica.rows(name) is None:
            return [unreadable("dropped_tables", replica, name, QUERIES[name], context.user, expectation)]
    size, (used, total) = replica.value("dropped", "bytes") or 0, space(replica) or (0.0, 1.0)
    status: Status = "warn" if size > total * DROPPED_SHARE and used > total * DISK_WARN else "pass"
    observed = f"{size / GIB:.3g} GiB in {replica.value('dropped', 'tables') or 0} dropped tables"
    if size > total * DROPPED_SHARE:
        observed += f", {size / total:.0%} of the disk, until database_atomic_delay_before_drop_table_sec (480) is over"
    remedy = (
        "wait for it, or lower database_atomic_delay_before_drop_table_sec (config.d); next time DROP TABLE ... SYNC"
    )
    return [finding("dropped_tables", status, replica.subject, (observed, expectation), remedy, LIMITS)]


def io_pressure(replica: Replica, context: Context) -> Iterable[Finding]:
    """Processors that wait for the disk, in both samples; one alone may be the flush of a moment."""
    expectation = f"at most {IO_WARN:.0%} of the time"
    seen = samples(replica, "io_wait", "value")
    if not seen:
        return [unreadable("io_pressure", replica, "io_wait", QUERIES["io_wait"], context.user, expectation)]
    share = min(seen)
    status = beyond(share, IO_WARN, IO_FAIL)
    status = by_environment(status, context.environment)
    told = (f"processors wait for I/O {share:.0%} of the time", expectation)
    remedy = (
        "raise the volume's throughput and IOPS; where CloudWatch shows InstanceEBS...ExceededCheck take a larger "
        "instance type"
    )
    return [finding("io_pressure", status, replica.subject, told, remedy, OWN)]


REPLICA_RULES: tuple[Callable[[Replica, Context], Iterable[Finding]], ...] = (
    disk_fill,
    disk_size,
    disk_forecast,
    system_logs,
    ttl,
    dropped_tables,
    io_pressure,
)
CLUSTER_RULES: tuple[Callable[[Live, Context], Iterable[Finding]], ...] = ()
