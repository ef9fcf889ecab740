# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Figures at the edges of what the rules on read load bear."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.facts import Context, Refused, Replica
from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.live import QUERIES
from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.rules import queries
from ansible_collections.langsmith.aws.plugins.module_utils.domain.finding import Finding

CONTEXT = Context("production", "reader")


def server(first: Mapping[str, Any], later: Mapping[str, Any] | None = None) -> Replica:
    return Replica("chi-0:8123", first, later or {}, 3.0)


def only(found: Any) -> Finding:
    (one,) = found
    assert isinstance(one, Finding)
    return one


def running(*samples: int, limit: int = 1000, refused: int = 0) -> Replica:
    name = "TOO_MANY_SIMULTANEOUS_QUERIES"
    first = {
        "running": [{"running": samples[0]}],
        "query_limit": [{"value": str(limit)}],
        "refused_queries": [{"name": name, "refused": 5}],
    }
    later = {"running": [{"running": samples[-1]}], "refused_queries": [{"name": name, "refused": 5 + refused}]}
    return server(first, later)


@pytest.mark.parametrize(
    ("replica", "production", "dev"),
    [
        (running(0, 0), "pass", "pass"),
        (running(80, 80), "pass", "pass"),
        (running(81, 0), "warn", "warn"),
        (running(101, 99), "warn", "warn"),
        (running(101, 101), "fail", "warn"),
        (running(0, 200), "warn", "warn"),
        (running(0, 201), "fail", "warn"),
        (running(41, 0, limit=50), "warn", "warn"),
        (running(41, 0, limit=0), "pass", "pass"),
        (running(0, 0, refused=8), "warn", "warn"),
        (running(0, 0, refused=9), "fail", "fail"),
    ],
)
def test_what_lasts_weighs_more_than_a_peak_and_refusals_more_than_both(
    replica: Replica, production: str, dev: str
) -> None:
    assert only(queries.concurrency(replica, CONTEXT)).status == production
    assert only(queries.concurrency(replica, replace(CONTEXT, environment="dev"))).status == dev


def test_a_server_without_room_for_the_check_has_too_many_queries() -> None:
    full = server({"latency": Refused(202, "Too many simultaneous queries"), "running": [{"running": 3}]})
    assert only(queries.concurrency(full, CONTEXT)).status == "fail"


def test_counters_that_began_anew_refuse_nobody() -> None:
    name = "TOO_MANY_SIMULTANEOUS_QUERIES"
    again = server(
        {"running": [{"running": 0}], "refused_queries": [{"name": name, "refused": 500}]},
        {"running": [{"running": 0}], "refused_queries": []},
    )
    assert only(queries.concurrency(again, CONTEXT)).status == "pass"


@pytest.mark.parametrize(("limit", "status"), [(0, "warn"), (99, "warn"), (100, "pass"), (1000, "pass")])
def test_a_limit_that_is_missing_or_low_warns(limit: int, status: str) -> None:
    assert only(queries.concurrency_limit(running(0, limit=limit), CONTEXT)).status == status


@pytest.mark.parametrize(
    ("count", "seconds", "production", "dev"),
    [
        (0, None, "pass", "pass"),
        (19, 60.0, "pass", "pass"),
        (20, 2.0, "pass", "pass"),
        (20, 2.01, "warn", "warn"),
        (20, 10.01, "fail", "warn"),
    ],
)
def test_latency_is_judged_where_there_are_queries_enough(
    count: int, seconds: float | None, production: str, dev: str
) -> None:
    replica = server({"latency": [{"queries": count, "p95_s": seconds}]})
    assert only(queries.query_latency(replica, CONTEXT)).status == production
    assert only(queries.query_latency(replica, replace(CONTEXT, environment="dev"))).status == dev


def test_what_nobody_answered_is_unknown() -> None:
    silent = server({"latency": Refused(497, "Not enough privileges")})
    found = [only(rule(silent, CONTEXT)) for rule in queries.REPLICA_RULES]
    assert {one.status for one in found} == {"unknown"}
    assert f"GRANT SELECT({', '.join(queries.LOGGED)}) ON system.query_log TO `reader`" in found[2].remedy


def test_the_text_of_a_query_is_never_told() -> None:
    row = {"query_id": "one", "user": "langsmith", "query_kind": "Select", "seconds": 700}
    found = only(queries.long_queries(server({"long_queries": [row] * 5}), CONTEXT))
    assert found.observed.startswith("5 over 600 s: one of langsmith for 700 s, ")
    assert "SELECT query_id" in queries.QUERIES["long_queries"].sql
    assert ", query," not in queries.QUERIES["long_queries"].sql


def test_of_queries_that_run_or_ran_no_column_is_read_that_holds_their_text_or_what_it_names() -> None:
    told = {"query", "formatted_query", "normalized_query_hash", "exception", "log_comment", "tables", "Settings"}
    for name, query in QUERIES.items():
        if query.table in ("system.processes", "system.query_log"):
            assert query.columns, name
            assert not told & set(query.columns), name
