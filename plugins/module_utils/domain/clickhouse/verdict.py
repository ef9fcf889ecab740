# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the rules on ClickHouse speak: findings of one component, severities by environment, figures with units."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.facts import (
    ACCESS_DENIED,
    UNKNOWN_TABLE,
    Environment,
    Query,
    Refused,
    Replica,
)
from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.thresholds import P0, Threshold
from ansible_collections.langsmith.aws.plugins.module_utils.domain.finding import Finding, Status

AS_ADMINISTRATOR = "run as an administrator"


def finding(rule: str, status: Status, subject: str, told: tuple[str, str], remedy: str, source: str = P0) -> Finding:
    """A finding of component clickhouse; ``told`` is (observed, expected). The remedy is dropped where all is well."""
    return Finding(
        id=f"clickhouse.{rule}",
        status=status,
        component="clickhouse",
        subject=subject,
        observed=told[0],
        expected=told[1],
        remedy="" if status == "pass" else remedy,
        source=source,
    )


def serious(environment: Environment) -> Status:
    """How bad it is to be too small: production is refused, dev is warned. What does harm fails in both."""
    return "fail" if environment == "production" else "warn"


def by_environment(status: Status, environment: Environment) -> Status:
    """A verdict on size: what fails is only warned of in dev."""
    return serious(environment) if status == "fail" else status


def weigh(value: float, environment: Environment, need: Threshold) -> Status:
    """How a figure stands against its threshold: production may fail, dev is only ever warned."""
    if environment == "dev":
        return "pass" if value >= need.dev else "warn"
    if value >= need.production:
        return "pass"
    return "warn" if value >= need.tolerated else "fail"


def beyond(value: float, warn: float, fail: float) -> Status:
    """How a figure stands that should stay small: over ``warn`` is warned, over ``fail`` fails."""
    if value > fail:
        return "fail"
    return "warn" if value > warn else "pass"


def number(value: float, unit: str) -> str:
    """A figure with its unit, at most one decimal."""
    return f"{round(value, 1):g} {'replica' if unit == 'replicas' and value == 1 else unit}"


def counted(count: int, noun: str) -> str:
    """How many there are of something."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def expected(environment: Environment, need: Threshold) -> str:
    """The threshold as a sentence with its unit."""
    full = number(need.production, need.unit)
    if environment == "production":
        return f"at least {full}"
    return (
        f"at least {number(need.dev, need.unit)} ({full} in production)"
        if need.dev
        else f"no minimum ({full} in production)"
    )


def listed(names: Sequence[str], most: int = 5) -> str:
    """The first names, and how many more there are; none is longer than a line."""
    shown = [name if len(name) <= 80 else f"{name[:77]}..." for name in names[:most]]
    return ", ".join(shown) + (f" and {len(names) - most} more" if len(names) > most else "")


def grant(privilege: str, user: str) -> str:
    """What an administrator has to run so that the user has a privilege."""
    return f"{AS_ADMINISTRATOR}: {grant_statement(privilege, user)}"


def grant_statement(privilege: str, user: str) -> str:
    """The GRANT of a privilege to a user."""
    return f"GRANT {privilege} TO {quoted(user, always=True)}"


def quoted(name: str, *, always: bool = False) -> str:
    """An identifier as ClickHouse reads it; in backticks where it is no plain word."""
    if not always and re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
        return name
    escaped = name.replace("\\", "\\\\").replace("`", "\\`")
    return f"`{escaped}`"


def unreadable(rule: str, replica: Replica, name: str, query: Query, user: str, expectation: str) -> Finding:
    """The finding for a question that the server did not answer: unknown, with the grant that is missing."""
    answer = replica.answers.get(name)
    observed, remedy = "no answer", "run the check again; if it stays, read the server's log"
    if isinstance(answer, Refused):
        observed = f"ClickHouse error {answer.code}: {answer.message}" if answer.code else answer.message
        if answer.code == ACCESS_DENIED:
            privilege = answer.privilege or query.privilege
            observed, remedy = f"user {user} lacks {privilege}", grant(privilege, user)
        elif answer.code == UNKNOWN_TABLE:
            observed = f"the server has no table {query.table}"
            remedy = f"judge this from the plan or by hand; {query.table} is not there on this server"
    return finding(rule, "unknown", replica.subject, (observed, expectation), remedy)
