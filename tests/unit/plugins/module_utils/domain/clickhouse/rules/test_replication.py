# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keeper and replicas where there are none, and where they are silent."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.facts import Context, Refused, Replica
from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.rules import replication
from ansible_collections.langsmith.aws.plugins.module_utils.domain.finding import Finding

ALONE = Context("production", "reader")
CLUSTER = Context("production", "reader", cluster="langsmith", nodes=3)


def only(found: Any) -> Finding:
    (one,) = found
    assert isinstance(one, Finding)
    return one


def test_a_server_by_itself_needs_no_keeper() -> None:
    alone = Replica("chi-0:8123", {"replicas": [], "keeper_root": Refused(60, "Unknown table")})
    assert [found for rule in replication.REPLICA_RULES for found in rule(alone, ALONE)] == []


def test_in_a_cluster_silence_is_unknown() -> None:
    silent = Replica("chi-0:8123", {})
    assert {only(rule(silent, CLUSTER)).status for rule in replication.REPLICA_RULES} == {"unknown"}


@pytest.mark.parametrize(
    ("code", "status"), [(999, "fail"), (225, "fail"), (497, "unknown"), (60, "unknown"), (0, "unknown")]
)
def test_a_keeper_that_does_not_answer_clickhouse_fails(code: int, status: str) -> None:
    replica = Replica("chi-0:8123", {"replicas": [], "keeper_root": Refused(code, "Coordination error")})
    assert only(replication.keeper(replica, CLUSTER)).status == status


def row(**more: Any) -> dict[str, Any]:
    healthy = {"database": "default", "table": "runs", "is_readonly": 0, "is_session_expired": 0, "queue_size": 0}
    return {**healthy, "total_replicas": 3, "active_replicas": 3, "absolute_delay": 0, **more}


@pytest.mark.parametrize(
    ("limit", "delay", "status"), [(300, 300, "warn"), (900, 800, "warn"), (30, 31, "fail"), (None, 301, "fail")]
)
def test_the_limit_of_a_stale_replica_is_the_server_s_own(limit: float | None, delay: int, status: str) -> None:
    limits = [] if limit is None else [{"name": "min_relative_delay_to_close", "value": limit}]
    for answers in ({"merge_limits": limits}, {"merge_limits": [], "replicated_merge_limits": limits}):
        replica = Replica("chi-0:8123", {"replicas": [row(absolute_delay=delay)], **answers})
        assert only(replication.replication_lag(replica, CLUSTER)).status == status


def test_many_read_only_tables_are_counted_not_listed() -> None:
    rows = [row(table=f"table_{number}", is_readonly=1) for number in range(500)]
    found = only(replication.replicas_alive(Replica("chi-0:8123", {"replicas": rows}), CLUSTER))
    assert found.observed.endswith("default.table_2 and 497 more")


@pytest.mark.parametrize(("requests", "observed"), [(9, "too few"), (10, "200.0 ms")])
def test_a_few_requests_to_keeper_make_no_average(requests: int, observed: str) -> None:
    def events(count: int) -> list[dict[str, Any]]:
        return [
            {"name": "ZooKeeperTransactions", "value": 1000 + count},
            {"name": "ZooKeeperWaitMicroseconds", "value": 9_000_000 + 200_000 * count},
        ]

    replica = Replica("chi-0:8123", {"keeper_events": events(0)}, {"keeper_events": events(requests)}, 3.0)
    found = only(replication.keeper_latency(replica, CLUSTER))
    assert observed in found.observed
    assert (found.status == "fail") == (requests == 10)
