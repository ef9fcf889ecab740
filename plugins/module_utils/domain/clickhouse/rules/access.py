# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the user who asks sees anything: without the right to, ClickHouse shows empty tables and no error."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.facts import (
    ACCESS_DENIED,
    KNOWN_CLUSTERS,
    SIGHT,
    Context,
    Live,
    Query,
    Refused,
    Replica,
    Rows,
)
from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.verdict import (
    AS_ADMINISTRATOR,
    finding,
    grant,
    grant_statement,
    listed,
    quoted,
)
from ansible_collections.langsmith.aws.plugins.module_utils.domain.finding import Finding

SOURCE = "ClickHouse documentation: GRANT, system tables"

QUERIES: dict[str, Query] = {
    "sight": Query(f"CHECK GRANT {SIGHT}"),
    # For servers that are too old for CHECK GRANT. Of a table that is nowhere only one hears who sees all that are.
    "any_table": Query("EXISTS TABLE langsmith_aws_nowhere.nothing", grant=SIGHT),
}


def sees_tables(replica: Replica) -> bool | None:
    """Whether the user sees what tables there are: False means that no rows tell nothing; None where it is unknown."""
    granted = replica.value("sight", "result")
    if granted is not None:
        return bool(granted)
    return True if replica.rows("any_table") else None


def grants(replica: Replica, context: Context) -> Iterable[Finding]:
    """What the user may not ask, all at once; every rule that wanted to know it is unknown as well."""
    refused = {a.privilege for a in replica.answers.values() if isinstance(a, Refused) and a.code == ACCESS_DENIED}
    seen = sees_tables(replica)
    missing = sorted(refused - {""} | ({SIGHT} if seen is False else set()))
    expectation = "a user who may ask everything that the check asks"
    if missing:
        told = (f"user {context.user} lacks {listed(missing)}", expectation)
        remedy = "; ".join(grant_statement(privilege, context.user) for privilege in missing)
        return [finding("grants", "unknown", replica.subject, told, f"{AS_ADMINISTRATOR}: {remedy}", SOURCE)]
    if seen is None:
        told = (f"it is not known whether user {context.user} sees any table", expectation)
        return [finding("grants", "unknown", replica.subject, told, grant(SIGHT, context.user), SOURCE)]
    told = (f"user {context.user} may ask everything", expectation)
    return [finding("grants", "pass", replica.subject, told, "", SOURCE)]


def veiled(replica: Replica, queries: Mapping[str, Query], database: str) -> Replica:
    """The replica without the answers that prove nothing, since the user may not see what they would tell of.

    A refusal that is about a table of ``database`` says so, for the GRANT that it asks for.
    """
    blind = not sees_tables(replica)

    def veil(name: str, answer: Rows | Refused) -> Rows | Refused:
        query = queries.get(name)
        if query is None:
            return answer
        if not isinstance(answer, Refused):
            return Refused(ACCESS_DENIED, "rows are left out", SIGHT) if blind and query.filtered else answer
        return replace(answer, privilege=privilege_of(query, database))

    return replace(
        replica,
        answers={name: veil(name, answer) for name, answer in replica.answers.items()},
        later={name: veil(name, answer) for name, answer in replica.later.items()},
    )


def privilege_of(query: Query, database: str) -> str:
    """What a query needs; a table without a database is one of ``database``."""
    if query.grant or not query.table or "." in query.table:
        return query.privilege
    return query.reading(f"{quoted(database)}.{query.table}")


def privileges(queries: Mapping[str, Query], database: str = "default") -> list[str]:
    """Every privilege that the queries need, each once."""
    needed = {privilege_of(query, database) for query in queries.values()}
    return sorted({SIGHT, KNOWN_CLUSTERS.privilege, *needed} - {""})


def statements(user: str, queries: Mapping[str, Query], database: str = "default") -> list[str]:
    """The statements that make a user one who can ask all of the queries and do nothing else."""
    return [grant_statement(privilege, user) for privilege in privileges(queries, database)]


REPLICA_RULES: tuple[Callable[[Replica, Context], Iterable[Finding]], ...] = (grants,)
CLUSTER_RULES: tuple[Callable[[Live, Context], Iterable[Finding]], ...] = ()
