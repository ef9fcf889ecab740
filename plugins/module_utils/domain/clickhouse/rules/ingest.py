# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""LangSmith's own tables: is the schema whole, do payloads go elsewhere, how late do runs arrive."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.facts import (
    GIB,
    UNKNOWN_IDENTIFIER,
    UNKNOWN_TABLE,
    Context,
    Live,
    Query,
    Refused,
    Replica,
)
from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.rules import parts
from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.sources import OPERATIONS, OWN
from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.thresholds import CHECKLIST
from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.verdict import (
    finding,
    serious,
    unreadable,
)
from ansible_collections.langsmith.aws.plugins.module_utils.domain.finding import Finding, Status

#: Share of the bytes of runs that are inputs and outputs, once an average run has more of them than the chart leaves
#: inline with blob storage on (config.blobStorage.minBlobStorageSizeKb).
INLINE_SHARE, INLINE_BYTES = 0.30, 20 * 1024
#: Seconds from a run's arrival to its row, for 95 of 100.
DELAY_FAIL = 60

#: No index leads to the runs of the last hour, so that only new parts are read, and of these not the giant ones.
_LAST_HOUR = (
    "FROM runs WHERE inserted_at > now() - INTERVAL 1 HOUR AND _part IN (SELECT name FROM system.parts WHERE active"
    " AND database = currentDatabase() AND table = 'runs' AND rows < 10000000"
    " AND modification_time > now() - INTERVAL 1 HOUR)"
)

#: What the delay is told by, of either schema: times. What a run says is nothing for those who check. ``_part`` is no
#: column, and has to be granted as one.
TIMES = ("inserted_at", "received_at", "trace_first_received_at", "start_time", "end_time", "_part")

QUERIES: dict[str, Query] = {
    "schema": Query(
        "SELECT count() AS records, argMax(version, sequence) AS version, argMax(dirty, sequence) AS dirty"
        " FROM schema_migrations",
        table="schema_migrations",
    ),
    "inline_payload": Query(
        "SELECT sumIf(column_data_compressed_bytes, column IN ('inputs', 'outputs')) AS inline,"
        " sumIf(column_data_uncompressed_bytes, column IN ('inputs', 'outputs')) AS payload,"
        " sum(column_data_compressed_bytes) AS total, sumIf(rows, column = 'id') AS runs FROM system.parts_columns"
        " WHERE active AND database = currentDatabase() AND table = 'runs'",
        table="system.parts_columns",
        filtered=True,
    ),
    "ingest_delay": Query(
        "SELECT count() AS runs, quantile(0.95)(toUnixTimestamp(inserted_at) - toUnixTimestamp(received_at)) AS p95_s"
        f" {_LAST_HOUR}",
        table="runs",
        columns=TIMES,
    ),
    # A schema without received_at tells when the trace began to arrive; a run cannot arrive before it ends.
    "ingest_delay_of_traces": Query(
        "SELECT count() AS runs, quantile(0.95)(toUnixTimestamp(inserted_at) - toUnixTimestamp("
        f"greatest(trace_first_received_at, coalesce(end_time, start_time)))) AS p95_s {_LAST_HOUR}",
        table="runs",
        columns=TIMES,
    ),
}


def schema(replica: Replica, context: Context) -> Iterable[Finding]:
    """A migration that broke off leaves its mark, and the next one refuses to start."""
    expectation = "the last migration ended"
    if _absent(replica, "schema") or replica.value("schema", "records") == 0:
        told = (f"database {context.database} has no schema of LangSmith", expectation)
        remedy = "check again after the first migration; if it has run, name its database in live.database"
        return [finding("schema", "unknown", replica.subject, told, remedy, CHECKLIST)]
    version, dirty = replica.value("schema", "version"), replica.value("schema", "dirty")
    if version is None:
        return [unreadable("schema", replica, "schema", QUERIES["schema"], context.user, expectation)]
    told = (f"version {version}" + (", dirty: its migration broke off" if dirty else ""), expectation)
    remedy = (
        "read the log of LangSmith's ClickHouse migration, finish or undo what it left, then correct "
        "schema_migrations; upgrade nothing before"
    )
    return [finding("schema", "fail" if dirty else "pass", replica.subject, told, remedy, CHECKLIST)]


def _absent(replica: Replica, query: str) -> bool:
    answer = replica.answers.get(query)
    return isinstance(answer, Refused) and answer.code == UNKNOWN_TABLE


def blob_storage(replica: Replica, context: Context) -> Iterable[Finding]:
    """Payloads that lie in ClickHouse though the chart would have put them into S3."""
    expectation = (
        f"inputs and outputs below {INLINE_SHARE:.0%} of runs, or {INLINE_BYTES // 1024} KiB in an average run"
    )
    rows = replica.rows("inline_payload")
    if not rows:
        query = QUERIES["inline_payload"]
        return [unreadable("blob_storage", replica, "inline_payload", query, context.user, expectation)]
    row = rows[0]
    if not row["runs"] or not row["total"]:
        # ClickHouse tells the size of a column in parts of 10 MB or more only: there is nothing to judge by yet.
        return []
    share, each = row["inline"] / row["total"], row["payload"] / row["runs"]
    status: Status = "warn" if share > INLINE_SHARE and each > INLINE_BYTES else "pass"
    observed = f"{share:.0%} of {row['total'] / GIB:.3g} GiB, {each / 1024:.1f} KiB in an average run"
    remedy = "turn blob storage on (config.blobStorage.enabled in the chart's values): payloads inline make merges slow"
    return [finding("blob_storage", status, replica.subject, (observed, expectation), remedy, OWN)]


def ingest_delay(replica: Replica, context: Context) -> Iterable[Finding]:
    """How long runs of the last hour waited for their row: a trace that was accepted and is not visible."""
    expectation = f"95 of 100 runs within {DELAY_FAIL} s of their arrival"
    if _absent(replica, "ingest_delay"):
        return []
    answer, query = replica.answers.get("ingest_delay"), "ingest_delay"
    if isinstance(answer, Refused) and answer.code == UNKNOWN_IDENTIFIER:
        query = "ingest_delay_of_traces"
    count = replica.value(query, "runs")
    if count is None:
        asked = QUERIES[query]
        if isinstance(answer, Refused) and "system.parts" in answer.message and replica.rows("parts") is None:
            # The other table that it reads is the one that lacks a grant.
            query, asked = "parts", parts.QUERIES["parts"]
        return [unreadable("ingest_delay", replica, query, asked, context.user, expectation)]
    seconds = replica.value(query, "p95_s")
    if not count or seconds is None:
        told = ("no run in the last hour", expectation)
        return [finding("ingest_delay", "pass", replica.subject, told, "", CHECKLIST)]
    status = serious(context.environment) if seconds > DELAY_FAIL else "pass"
    told = (f"95 of 100 of {count} runs in the last hour within {max(seconds, 0):.3g} s", expectation)
    remedy = (
        "see rules inserts, parts and merges: where ClickHouse is saturated scale it; add queue workers only where it "
        "is not"
    )
    return [finding("ingest_delay", status, replica.subject, told, remedy, OPERATIONS)]


REPLICA_RULES: tuple[Callable[[Replica, Context], Iterable[Finding]], ...] = (schema, blob_storage, ingest_delay)
CLUSTER_RULES: tuple[Callable[[Live, Context], Iterable[Finding]], ...] = ()
