# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether LangSmith's database is there, and its user may do what migrations and work do. Nothing is tried out."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.facts import (
    AUTHENTICATION_CODES,
    IDENTITY,
    SYNTAX_ERROR,
    Context,
    Live,
    Query,
    Refused,
    Replica,
)
from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.rules.profile import (
    QUERIES as PROFILE_QUERIES,
)
from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.sources import INGESTION
from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.verdict import (
    AS_ADMINISTRATOR,
    finding,
    grant,
    grant_statement,
    listed,
    quoted,
)
from ansible_collections.langsmith.aws.plugins.module_utils.domain.finding import Finding, Status

#: Who looks asks none of this; see ``queries`` for what LangSmith's user is asked.
QUERIES: dict[str, Query] = {}

#: On the database: tables, indexes and views are made and changed, rows written, read, changed and deleted. The rights
#: on views come with those on tables.
ON_DATABASE = ("SELECT", "INSERT", "CREATE TABLE", "ALTER TABLE", "DROP TABLE", "TRUNCATE", "OPTIMIZE")
#: Engines need a right of their own where the server has table_engines_require_grant set, as ON CLUSTER does with
#: on_cluster_queries_require_cluster_grant; CHECK GRANT knows of both.
ENGINES = ("MergeTree", "ReplacingMergeTree")
ON_CLUSTER = "CLUSTER ON *.*"
#: What LangSmith tells of the disk in its health; without it that is empty.
ON_DISKS = "SELECT ON system.disks"

#: Settings that take rights away, whatever was granted, and what they should be.
HOLDING = {"readonly": "0", "allow_ddl": "1"}


def needed(database: str, cluster: str | None) -> list[str]:
    """The privileges without which migrations or work fail, as GRANT and CHECK GRANT write them."""
    engines = ", ".join(f"TABLE ENGINE ON {'Replicated' if cluster else ''}{engine}" for engine in ENGINES)
    rights = [f"{right} ON {quoted(database)}.*" for right in ON_DATABASE]
    return [*rights, engines, *([ON_CLUSTER] if cluster else [])]


def grants_of_writer(user: str, database: str, cluster: str | None) -> list[str]:
    """The statements that make a user one whom LangSmith can connect with."""
    return [grant_statement(privilege, user) for privilege in (*needed(database, cluster), ON_DISKS)]


def queries(database: str, cluster: str | None) -> dict[str, Query]:
    """What LangSmith's user is asked: the settings that hold for it, and for each privilege whether it has it."""
    names = ", ".join(f"'{name}'" for name in HOLDING)
    privileges = [*needed(database, cluster), ON_DISKS, _creation(database)]
    return {
        "holding": Query(f"SELECT name, value FROM system.settings WHERE name IN ({names})", table="system.settings"),  # noqa: S608 - constants of ours
        **PROFILE_QUERIES,
        **{privilege: Query(f"CHECK GRANT {privilege}", grant=privilege) for privilege in privileges},
    }


def _creation(database: str) -> str:
    return f"CREATE DATABASE ON {quoted(database)}.*"


def _granted(replica: Replica, privilege: str) -> bool | None:
    """Whether LangSmith's user has a privilege; None where the server did not tell."""
    answer = replica.writer.get(privilege)
    told = None if not answer or isinstance(answer, Refused) else answer[0].get("result")
    return None if told is None else bool(told)


def database(replica: Replica, context: Context) -> Iterable[Finding]:
    """LangSmith connects to its database before it makes anything, so that it has to be there."""
    expectation = "LangSmith's database, before its first migration"
    if not replica.no_database:
        if replica.rows(IDENTITY) is None:
            return []
        told = (f"database {context.database} is there", expectation)
        return [finding("database", "pass", replica.subject, told, "", INGESTION)]
    privileges = [_creation(context.database), *([ON_CLUSTER] if context.cluster else [])]
    answers = [_granted(replica, privilege) for privilege in privileges]
    observed = f"there is no database {context.database}"
    if context.writer and None not in answers:
        observed += f"; user {context.writer} {'may' if all(answers) else 'may not'} create it"
    who = f"run as user {context.writer}" if context.writer and all(answers) else AS_ADMINISTRATOR
    where = f" ON CLUSTER {quoted(context.cluster)}" if context.cluster else ""
    remedy = f"{who}: CREATE DATABASE {quoted(context.database)}{where}; or correct live.database"
    return [finding("database", "fail", replica.subject, (observed, expectation), remedy, INGESTION)]


def rights(replica: Replica, context: Context) -> Iterable[Finding]:
    """What LangSmith's user lacks, each with its GRANT; a migration that lacks one breaks off half-way."""
    if not context.writer:
        return []
    user, subject = context.writer, replica.subject
    expectation = f"a user who may do everything on database {context.database}"
    barred = _barred(replica, user)
    if barred:
        return [finding("rights", "fail", subject, (barred[0], expectation), barred[1], INGESTION)]
    privileges = [*needed(context.database, context.cluster), ON_DISKS]
    answers = {privilege: _granted(replica, privilege) for privilege in privileges}
    found = [_lacking(replica, user, privilege, expectation) for privilege, has in answers.items() if has is False]
    unknown = [privilege for privilege, has in answers.items() if has is None]
    if unknown:
        told = (f"it is not known whether user {user} has {listed(unknown)}: {_reason(replica, unknown)}", expectation)
        statements = "; ".join(grant_statement(privilege, user) for privilege in unknown)
        found.append(finding("rights", "unknown", subject, told, f"{AS_ADMINISTRATOR}: {statements}", INGESTION))
    told = (f"user {user} has every right that migrations and work need", expectation)
    return found or [finding("rights", "pass", subject, told, "", INGESTION)]


def _lacking(replica: Replica, user: str, privilege: str, expectation: str) -> Finding:
    status: Status = "fail"
    if privilege == ON_DISKS:
        status, expectation = "warn", "a user who may read how full the disks are"
    told = (f"user {user} lacks {privilege}, or a part of it", expectation)
    return finding("rights", status, replica.subject, told, grant(privilege, user), INGESTION)


def _barred(replica: Replica, user: str) -> tuple[str, str] | None:
    """What no GRANT mends, and its remedy: a login that is refused, or settings that let nobody write."""
    for answer in replica.writer.values():
        if isinstance(answer, Refused) and answer.code in AUTHENTICATION_CODES:
            return (
                f"user {user} is not let in (ClickHouse error {answer.code})",
                "correct live.writer, or give the user this password",
            )
    told = replica.writer.get("holding", ())
    rows = () if isinstance(told, Refused) else told
    actual = {str(row["name"]): str(row["value"]) for row in rows}
    wrong = [f"{name} = {actual[name]}" for name, value in HOLDING.items() if actual.get(name, value) != value]
    if not wrong:
        return None
    wanted = ", ".join(f"{name} = {value}" for name, value in HOLDING.items())
    return (
        f"user {user} has {' and '.join(wrong)}, which hides what was granted",
        f"set {wanted} in the profile of user {user} (users.d, or ALTER USER ... SETTINGS), and check again",
    )


def _reason(replica: Replica, privileges: list[str]) -> str:
    answer = replica.writer.get(privileges[0])
    if not isinstance(answer, Refused):
        return "no answer"
    if answer.code == SYNTAX_ERROR:
        return "this server does not know CHECK GRANT"
    return f"ClickHouse error {answer.code}: {answer.message}" if answer.code else answer.message


REPLICA_RULES: tuple[Callable[[Replica, Context], Iterable[Finding]], ...] = (database, rights)
CLUSTER_RULES: tuple[Callable[[Live, Context], Iterable[Finding]], ...] = ()
