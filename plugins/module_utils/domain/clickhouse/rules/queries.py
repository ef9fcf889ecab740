# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read load: queries at the same time, how long they take, which never end."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.facts import (
    TOO_MANY_QUERIES,
    USER_AGENT,
    Context,
    Live,
    Query,
    Refused,
    Replica,
)
from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.sources import (
    KNOWLEDGE_BASE,
    OPERATOR_ALERTS,
)
from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.thresholds import (
    CHECKLIST,
    CONCURRENCY_MIN,
)
from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.verdict import (
    beyond,
    by_environment,
    finding,
    number,
    serious,
    unreadable,
)
from ansible_collections.langsmith.aws.plugins.module_utils.domain.finding import Finding, Status

#: ClickHouse's own background work has no user, and this check is no load of LangSmith's.
LOAD_ONLY = f"user != '' AND http_user_agent NOT LIKE '{USER_AGENT}%'"

#: What is read of queries that run and of those that ran: never their text, which holds what applications have sent.
RUNNING = ("elapsed", "http_user_agent", "query_id", "query_kind", "user")
LOGGED = (
    "event_date",
    "event_time",
    "type",
    "query_kind",
    "is_initial_query",
    "databases",
    "user",
    "http_user_agent",
    "query_duration_ms",
    "written_rows",
    "ProfileEvents",
)

#: Queries at the same time: an alert from 80, too many for one replica when 100 last, or at a peak of 200.
CONCURRENT_WARN, CONCURRENT_FAIL, CONCURRENT_PEAK = 80, 100, 200
#: Share of max_concurrent_queries, past which the next burst is refused.
LIMIT_SHARE = 0.8
#: Seconds that 95 of 100 SELECTs take at most.
LATENCY_WARN, LATENCY_FAIL = 2.0, 10.0
#: So few queries in an hour make no percentile.
LATENCY_QUERIES = 20
LONG_SECONDS = 600
#: Refusals between the samples that may be those of this check itself: it asks four queries at a time.
OWN_REFUSALS = 8

QUERIES: dict[str, Query] = {
    "running": Query(
        f"SELECT countIf({LOAD_ONLY}) AS running FROM system.processes",  # noqa: S608 - a constant of ours
        table="system.processes",
        columns=RUNNING,
        sampled=True,
    ),
    "query_limit": Query(
        "SELECT value FROM system.server_settings WHERE name = 'max_concurrent_queries'", table="system.server_settings"
    ),
    "refused_queries": Query(
        "SELECT name, sum(value) AS refused FROM system.errors WHERE name = 'TOO_MANY_SIMULTANEOUS_QUERIES'"
        " GROUP BY name",
        table="system.errors",
        sampled=True,
    ),
    "latency": Query(
        "SELECT count() AS queries, quantile(0.95)(query_duration_ms) / 1000 AS p95_s FROM system.query_log"  # noqa: S608 - constants of ours
        " WHERE event_date >= yesterday() AND event_time > now() - INTERVAL 1 HOUR AND type = 'QueryFinish'"
        " AND query_kind = 'Select' AND is_initial_query AND arrayExists(name -> name NOT IN"
        " ('system', 'information_schema', 'INFORMATION_SCHEMA', '_table_function'), databases)"
        f" AND {LOAD_ONLY}",
        table="system.query_log",
        columns=LOGGED,
    ),
    "long_queries": Query(
        "SELECT query_id, user, query_kind, toUInt64(elapsed) AS seconds FROM system.processes"  # noqa: S608 - constants of ours
        f" WHERE elapsed > {LONG_SECONDS} AND query_kind NOT IN ('Backup', 'Restore') AND {LOAD_ONLY}"
        " ORDER BY elapsed DESC LIMIT 20",
        table="system.processes",
        columns=RUNNING,
    ),
}


def concurrency(replica: Replica, context: Context) -> Iterable[Finding]:
    """Queries at the same time: what lasts over both samples, what peaks in one, what the limit has refused."""
    expectation = f"at most {CONCURRENT_WARN} at the same time, none refused"
    if _turned_away(replica):
        told = ("the server refused queries of this check: too many at the same time (error 202)", expectation)
        return [finding("concurrency", "fail", replica.subject, told, _FEWER_QUERIES, CHECKLIST)]
    seen = samples(replica, "running", "running")
    if not seen:
        return [unreadable("concurrency", replica, "running", QUERIES["running"], context.user, expectation)]
    lasting, peak, limit = min(seen), max(seen), query_limit(replica)
    refused = replica.rise("refused_queries", "TOO_MANY_SIMULTANEOUS_QUERIES", column="refused") or 0
    status: Status = "pass"
    if refused > OWN_REFUSALS:
        status = "fail"
    elif peak > CONCURRENT_PEAK or lasting > CONCURRENT_FAIL:
        status = serious(context.environment)
    elif refused or peak > CONCURRENT_WARN or (limit and peak > limit * LIMIT_SHARE):
        status = "warn"
    observed = number(peak, "queries at the same time") + (f", {limit:g} allowed" if limit else "")
    observed += f", {refused:g} refused in {replica.seconds:.0f} s (error 202)" if refused else ""
    told = (observed, expectation + (f", {LIMIT_SHARE:.0%} of the limit" if limit else ""))
    return [finding("concurrency", status, replica.subject, told, _FEWER_QUERIES, CHECKLIST)]


_FEWER_QUERIES = (
    "find out which side it is: for reads add replicas, for writes take queue workers away; raising "
    "max_concurrent_queries alone makes every query slower"
)


def _turned_away(replica: Replica) -> bool:
    """Whether the server had no room for this check itself."""
    return any(isinstance(one, Refused) and one.code == TOO_MANY_QUERIES for one in replica.answers.values())


def samples(replica: Replica, query: str, column: str) -> list[float]:
    """A figure of the first row in each sample that was answered."""
    answers = (replica.answers.get(query), replica.later.get(query))
    rows = [answer[0] for answer in answers if answer and not isinstance(answer, Refused)]
    return [float(row[column]) for row in rows if row.get(column) is not None]


def query_limit(replica: Replica) -> float | None:
    """max_concurrent_queries; 0 where the server has no limit, None where it did not tell."""
    value = replica.value("query_limit", "value")
    return None if value is None else float(value)


def concurrency_limit(replica: Replica, context: Context) -> Iterable[Finding]:
    """Without a limit a burst takes all memory; with a low one it is refused."""
    expectation = f"max_concurrent_queries of at least {CONCURRENCY_MIN}"
    limit = query_limit(replica)
    if limit is None:
        query = QUERIES["query_limit"]
        return [unreadable("concurrency_limit", replica, "query_limit", query, context.user, expectation)]
    observed = f"max_concurrent_queries is {limit:g}" + ("" if limit else ": no limit")
    remedy = "set max_concurrent_queries to 500 or more in the server's configuration (config.d), and reload it"
    status: Status = "pass" if limit >= CONCURRENCY_MIN else "warn"
    return [finding("concurrency_limit", status, replica.subject, (observed, expectation), remedy, KNOWLEDGE_BASE)]


def query_latency(replica: Replica, context: Context) -> Iterable[Finding]:
    """How long the SELECTs of the last hour took; what only looked at system tables is no load of LangSmith's."""
    expectation = f"95 of 100 SELECTs within {LATENCY_WARN:g} s"
    count = replica.value("latency", "queries")
    if count is None:
        return [unreadable("query_latency", replica, "latency", QUERIES["latency"], context.user, expectation)]
    seconds = float(replica.value("latency", "p95_s") or 0)
    if count < LATENCY_QUERIES:
        told = (f"{count} SELECTs in the last hour, too few to judge by", expectation)
        return [finding("query_latency", "pass", replica.subject, told, "", CHECKLIST)]
    status = beyond(seconds, LATENCY_WARN, LATENCY_FAIL)
    status = by_environment(status, context.environment)
    told = (f"95 of 100 of {count} SELECTs in the last hour within {seconds:.2g} s", expectation)
    remedy = (
        "add replicas up to 5 or give each 16 vCPU and 64 GiB; look for the slowest in system.query_log, and see that "
        "blob storage is on"
    )
    return [finding("query_latency", status, replica.subject, told, remedy, CHECKLIST)]


def long_queries(replica: Replica, context: Context) -> Iterable[Finding]:
    """Queries that run for more than ten minutes; backups may."""
    expectation = f"no query over {LONG_SECONDS} s"
    rows = replica.rows("long_queries")
    if rows is None:
        query = QUERIES["long_queries"]
        return [unreadable("long_queries", replica, "long_queries", query, context.user, expectation)]
    named = ", ".join(f"{row['query_id']} of {row['user']} for {row['seconds']} s" for row in rows[:3])
    told = (f"{len(rows)} over {LONG_SECONDS} s: {named}" if rows else "none", expectation)
    remedy = "look at them in system.processes; end one with KILL QUERY WHERE query_id = '...'"
    status: Status = "warn" if rows else "pass"
    return [finding("long_queries", status, replica.subject, told, remedy, OPERATOR_ALERTS)]


REPLICA_RULES: tuple[Callable[[Replica, Context], Iterable[Finding]], ...] = (
    concurrency,
    concurrency_limit,
    query_latency,
    long_queries,
)
CLUSTER_RULES: tuple[Callable[[Live, Context], Iterable[Finding]], ...] = ()
