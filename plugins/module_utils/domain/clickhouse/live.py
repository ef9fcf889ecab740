# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rules on running servers, by theme. What could not be read is unknown, never a pass."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.facts import (
    AUTHENTICATION_CODES,
    Context,
    Environment,
    Live,
    Plan,
    Query,
    Refused,
    Replica,
)
from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.rules import (
    access,
    disk,
    ingest,
    parts,
    profile,
    queries,
    replication,
    resources,
    rights,
    topology,
)
from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.verdict import finding
from ansible_collections.langsmith.aws.plugins.module_utils.domain.finding import Finding

#: Each has QUERIES (by name, unique among all), REPLICA_RULES and CLUSTER_RULES.
THEMES = (access, rights, topology, resources, replication, queries, parts, disk, profile, ingest)

#: Everything that the rules ask a server.
QUERIES: dict[str, Query] = {name: query for theme in THEMES for name, query in theme.QUERIES.items()}


#: What LangChain manages is not the operator's to size: which servers, how large, on which disks.
NOT_OF_MANAGED: tuple[Callable[[Any, Context], Iterable[Finding]], ...] = (
    topology.replicas,
    resources.cpu,
    resources.memory,
    resources.memory_limit,
    disk.disk_fill,
    disk.disk_size,
    disk.disk_forecast,
    disk.system_logs,
    disk.dropped_tables,
    disk.io_pressure,
)


def judge_live(live: Live, environment: Environment, plan: Plan | None = None) -> list[Finding]:
    """First whether each server answers, then the rules on all of them together, then those on each."""
    context = Context(environment, live.user, live.database, live.cluster, len(live.replicas), plan, live.writer)
    found = [_connection(replica, live.user) for replica in live.replicas]
    # What a user may not see is refused, so that no rule takes an empty table for a healthy one.
    asked = [
        access.veiled(replica, QUERIES, live.database)
        for replica, answered in zip(live.replicas, found, strict=True)
        if answered.status == "pass"
    ]
    for replica, answered in zip(live.replicas, tuple(found), strict=True):
        if answered.status != "pass" and not replica.unreachable:
            # LangSmith's user may be let in where the one who checks is not.
            found += _told(rights.rights, replica, context)
    if not asked:
        return found
    known = replace(live, replicas=tuple(asked))
    for theme in THEMES:
        found += [told for rule in theme.CLUSTER_RULES for told in _told(rule, known, context)]
    for replica in asked:
        of_it = [told for theme in THEMES for rule in theme.REPLICA_RULES for told in _told(rule, replica, context)]
        found += [*of_it, *parts.async_insert_wait(replica, context, of_it)]
    return found


def _told(rule: Callable[[Any, Context], Iterable[Finding]], subject: Any, context: Context) -> list[Finding]:
    """What a rule finds, if it is one for this topology.

    Rows that are not of the shape asked for are something else's than ClickHouse's.
    """
    if context.plan is not None and context.plan.topology == "managed" and rule in NOT_OF_MANAGED:
        return []
    try:
        return list(rule(subject, context))
    except (LookupError, TypeError, ValueError, ArithmeticError) as error:
        where = subject.subject if isinstance(subject, Replica) else topology.subject_of(subject)
        told = (f"rows of another shape than asked for ({type(error).__name__}: {error})"[:200], "rows as asked for")
        remedy = "see whether it is a ClickHouse that answers here, and nothing in between that changes its answers"
        return [finding(rule.__name__, "unknown", where, told, remedy)]


def grants(user: str, database: str = "default") -> list[str]:
    """The statements that make a user one who can ask everything that the rules want to know, and do nothing else."""
    return access.statements(user, QUERIES, database)


def _connection(replica: Replica, user: str) -> Finding:
    expectation = "an answer over HTTP"
    refused = next(
        (a for a in replica.answers.values() if isinstance(a, Refused) and a.code in AUTHENTICATION_CODES), None
    )
    if replica.unreachable:
        remedy = "see that live.urls and live.connect_to name the HTTP port of ClickHouse and that it runs"
        return finding("connection", "fail", replica.subject, (replica.unreachable, expectation), remedy)
    if refused is not None:
        observed = f"user {user} is not let in (ClickHouse error {refused.code})"
        remedy = "correct live.user, and live.password or live.password_secret"
        return finding("connection", "fail", replica.subject, (observed, expectation), remedy)
    return finding("connection", "pass", replica.subject, ("answers queries", expectation), "")
