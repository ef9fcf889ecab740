# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings of the profile that LangSmith's own ClickHouse has."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.facts import (
    Context,
    Live,
    Query,
    Replica,
)
from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.sources import INGESTION
from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.verdict import finding, unreadable
from ansible_collections.langsmith.aws.plugins.module_utils.domain.finding import Finding, Status

#: LangSmith's documentation asks for these together; the sizes around them differ between its own examples.
PROFILE = {
    "async_insert": "1",
    "wait_for_async_insert": "0",
    "parallel_view_processing": "1",
    "materialize_ttl_after_modify": "0",
    "lightweight_deletes_sync": "0",
    "allow_materialized_view_with_bad_select": "1",
}
SIZE = "async_insert_max_data_size"

QUERIES: dict[str, Query] = {
    "profile": Query(
        "SELECT name, value FROM system.settings WHERE name IN ("  # noqa: S608 - constants of ours
        + ", ".join(f"'{name}'" for name in (*PROFILE, SIZE))
        + ")",
        table="system.settings",
    ),
}


def profile(replica: Replica, context: Context) -> Iterable[Finding]:
    """The settings that hold for LangSmith's user; those of who asks where LangSmith's was not asked."""
    expectation = ", ".join(f"{name}={value}" for name, value in PROFILE.items())
    user = context.user
    if "profile" in replica.writer:
        replica, user = replace(replica, answers=replica.writer), context.writer
    rows = replica.rows("profile")
    if not rows:
        return [unreadable("profile", replica, "profile", QUERIES["profile"], user, expectation)]
    actual = {str(row["name"]): str(row["value"]) for row in rows}
    # A server that does not know a setting yet has nothing to set wrongly.
    wrong = [f"{name}={actual[name]}" for name, value in PROFILE.items() if actual.get(name, value) != value]
    observed = f"{', '.join(wrong) or 'as expected'} for user {user}"
    if SIZE in actual:
        observed += f" ({SIZE}={actual[SIZE]})"
    remedy = f"set {expectation} in the profile of LangSmith's user (users.d); the check sees the profile of {user}"
    status: Status = "warn" if wrong else "pass"
    return [finding("profile", status, replica.subject, (observed, expectation), remedy, INGESTION)]


REPLICA_RULES: tuple[Callable[[Replica, Context], Iterable[Finding]], ...] = (profile,)
CLUSTER_RULES: tuple[Callable[[Live, Context], Iterable[Finding]], ...] = ()
