# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Versions, servers that know each other, and tables that all of them have."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.facts import (
    CLUSTERS,
    IDENTITY,
    Answers,
    Context,
    Environment,
    Live,
    Plan,
    Refused,
    Replica,
)
from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.rules import topology
from ansible_collections.langsmith.aws.plugins.module_utils.domain.finding import Finding

CONTEXT = Context("production", "reader", cluster="replicated", nodes=3)
TABLES = [{"name": name, "engine": "ReplicatedMergeTree"} for name in ("runs", "feedback")]


def clusters(replicas: int = 3, shards: int = 1, name: str = "replicated") -> list[dict[str, Any]]:
    return [
        {"cluster": name, "shard_num": shard, "replica_num": replica, "host_name": f"chi-{shard}-{replica}"}
        for shard in range(1, shards + 1)
        for replica in range(1, replicas + 1)
    ]


def server(number: int = 0, /, **answers: Any) -> Replica:
    known: Answers = {IDENTITY: [{"version": "25.12.3.1"}], CLUSTERS: clusters(), "tables": TABLES, **answers}
    return Replica(f"chi-{number}:8123", known)


def live(*replicas: Replica, cluster: str | None = "replicated") -> Live:
    return Live("reader", "default", cluster, replicas)


def told(found: Any) -> dict[str, str]:
    return {one.id.removeprefix("clickhouse."): one.status for one in found}


def only(found: Any) -> Finding:
    (one,) = found
    assert isinstance(one, Finding)
    return one


VERSIONS = [
    ("26.7.2.1", "production", "pass"),
    ("25.12.3.1-stable", "production", "pass"),
    ("25.4.1", "production", "warn"),
    ("24.8.1", "production", "fail"),
    ("24.8.1", "dev", "warn"),
    ("23.8.1", "dev", "fail"),
    ("a version", "production", "unknown"),
]


@pytest.mark.parametrize(("running", "environment", "status"), VERSIONS)
def test_a_version_is_judged_by_what_the_charts_bring(running: str, environment: Environment, status: str) -> None:
    replica = server(**{IDENTITY: [{"version": running}]})
    assert told(topology.version(replica, replace(CONTEXT, environment=environment))) == {"version": status}


def test_a_version_that_was_not_told_is_unknown() -> None:
    assert only(topology.version(server(**{IDENTITY: Refused(0, "no answer")}), CONTEXT)).status == "unknown"


@pytest.mark.parametrize(
    ("planned", "downgrade"), [("25.11", "fail"), ("25.12", None), ("25.12.3.1", None), ("26.1", None), (None, None)]
)
def test_a_plan_below_what_runs_is_a_downgrade(planned: str | None, downgrade: str | None) -> None:
    context = replace(CONTEXT, plan=Plan("replicated", version=planned))
    assert told(topology.version(server(), context)).get("downgrade") == downgrade
    if downgrade:
        dev = replace(context, environment="dev")
        assert told(topology.version(server(), dev))["downgrade"] == "warn"


def test_servers_of_one_version_are_well_and_of_two_are_not() -> None:
    other = server(1, **{IDENTITY: [{"version": "25.12.4.2"}]})
    assert only(topology.same_version(live(server(0), server(1), server(2)), CONTEXT)).status == "pass"
    mixed = only(topology.same_version(live(server(0), other), CONTEXT))
    assert (mixed.status, mixed.observed) == ("fail", "25.12.3.1 on chi-0:8123; 25.12.4.2 on chi-1:8123")
    assert list(topology.same_version(live(server(0), cluster=None), CONTEXT)) == []


def test_servers_that_nobody_asked_may_have_another_version() -> None:
    few = only(topology.same_version(live(server(0), server(1)), CONTEXT))
    one = only(topology.same_version(live(server(0)), CONTEXT))
    assert (few.status, few.observed) == ("unknown", "25.12.3.1 on chi-0:8123, chi-1:8123; 2 of 3 servers asked")
    assert (one.status, one.observed) == ("unknown", "25.12.3.1 on chi-0:8123; 1 of 3 servers asked")
    assert "live.discover" in one.remedy
    alone = live(server(0, **{CLUSTERS: clusters(1)}))
    assert list(topology.same_version(alone, CONTEXT)) == []


COUNTS = [
    ("production", 3, 1, "pass", "pass"),
    ("production", 5, 1, "pass", "pass"),
    ("production", 2, 1, "fail", "pass"),
    ("production", 6, 1, "warn", "pass"),
    ("production", 3, 2, "pass", "fail"),
    ("dev", 1, 1, "warn", "pass"),
    ("dev", 3, 1, "pass", "pass"),
]


@pytest.mark.parametrize(("environment", "replicas", "shards", "status", "sharded"), COUNTS)
def test_replicas_and_shards_are_counted_as_the_servers_know_them(
    environment: Environment, replicas: int, shards: int, status: str, sharded: str
) -> None:
    found = topology.replicas(
        live(server(**{CLUSTERS: clusters(replicas, shards)})), replace(CONTEXT, environment=environment)
    )
    assert told(found) == {"replicas": status, "shards": sharded}


def test_shards_of_different_sizes_count_by_the_smallest() -> None:
    uneven = [*clusters(3), {"cluster": "replicated", "shard_num": 2, "replica_num": 1, "host_name": "chi-2-1"}]
    assert told(topology.replicas(live(server(**{CLUSTERS: uneven})), CONTEXT)) == {
        "replicas": "fail",
        "shards": "fail",
    }


def test_more_replicas_are_wanted_where_the_plan_wants_more() -> None:
    context = replace(CONTEXT, plan=Plan("replicated", replicas=5))
    assert told(topology.replicas(live(server()), context))["replicas"] == "fail"


def test_a_cluster_that_a_server_does_not_know_is_named() -> None:
    found = only(topology.replicas(live(server(0), server(1, **{CLUSTERS: clusters(name="other")})), CONTEXT))
    assert found.status == "fail"
    assert found.observed == "no cluster replicated on chi-1:8123; known: other, replicated"


def test_servers_that_disagree_about_their_cluster_fail() -> None:
    found = list(topology.replicas(live(server(0), server(1, **{CLUSTERS: clusters(4)})), CONTEXT))
    assert told(found)["replicas"] == "fail"
    assert found[0].observed == "the servers disagree: chi-0:8123 knows 3, chi-1:8123 knows 4"


def test_a_server_by_itself_is_one_replica() -> None:
    context = replace(CONTEXT, cluster=None, nodes=1)
    found = only(topology.replicas(live(server(), cluster=None), context))
    assert (found.status, found.subject) == ("fail", "chi-0:8123")
    assert "it knows the clusters replicated; live.cluster names none" in found.observed
    dev = only(topology.replicas(live(server(**{CLUSTERS: []}), cluster=None), replace(context, environment="dev")))
    assert (dev.status, dev.observed) == ("warn", "1 replica, a server by itself")


SHARED = [{"name": "runs", "engine": "SharedReplacingMergeTree"}, {"name": "feedback", "engine": "SharedMergeTree"}]
SERVICES = [
    ({"tables": SHARED}, "pass"),
    ({"tables": [], "cloud_mode": [{"value": "1"}]}, "pass"),
    ({"tables": [], "cloud_mode": [{"value": "0"}]}, "fail"),
    ({"tables": []}, "fail"),
    ({"tables": [*SHARED, {"name": "counts", "engine": "MergeTree"}], "cloud_mode": [{"value": "1"}]}, "fail"),
    ({"tables": TABLES}, "fail"),
]


@pytest.mark.parametrize(("answers", "status"), SERVICES)
def test_a_service_that_replicates_by_itself_needs_no_cluster(answers: dict[str, Any], status: str) -> None:
    context = replace(CONTEXT, cluster=None, nodes=1, plan=Plan("external"))
    found = only(topology.replicas(live(server(**answers), cluster=None), context))
    assert found.status == status
    assert ("replicates by itself" in found.observed) == (status == "pass")


def test_clusters_that_may_not_be_read_are_unknown_with_the_grant() -> None:
    found = only(topology.replicas(live(server(**{CLUSTERS: Refused(497, "no")})), CONTEXT))
    assert (found.status, found.remedy) == (
        "unknown",
        "run as an administrator: GRANT SELECT ON system.clusters TO `reader`",
    )


TABLE_CASES = [
    (TABLES, TABLES, "pass"),
    (TABLES, [{"name": "runs", "engine": "MergeTree"}, TABLES[1]], "fail"),
    (TABLES, TABLES[:1], "fail"),
    (TABLES, [], "fail"),
    (
        [{"name": "runs", "engine": "SharedReplacingMergeTree"}] * 1,
        [{"name": "runs", "engine": "SharedMergeTree"}],
        "pass",
    ),
    ([], [], "unknown"),
    (TABLES, Refused(497, "no"), "unknown"),
]


@pytest.mark.parametrize(("first", "second", "status"), TABLE_CASES)
def test_every_table_has_to_be_replicated_on_every_server(first: Any, second: Any, status: str) -> None:
    servers = live(server(0, tables=first), server(1, tables=second))
    assert only(topology.replicated_tables(servers, CONTEXT)).status == status


def test_the_tables_that_are_not_are_named_and_so_is_who_lacks_them() -> None:
    odd = [{"name": "ru`ns", "engine": "MergeTree"}, *TABLES]
    found = only(topology.replicated_tables(live(server(0, tables=odd), server(1)), CONTEXT))
    assert found.observed == "3 tables on 2 servers; not replicated: ru`ns; chi-1:8123 lacks ru`ns"


def test_a_single_server_needs_no_replicated_table() -> None:
    plain = server(tables=[{"name": "runs", "engine": "MergeTree"}])
    assert list(topology.replicated_tables(live(plain, cluster=None), replace(CONTEXT, nodes=1))) == []
    lost = live(plain, Replica("chi-1:8123", unreachable="tcp: refused"), cluster=None)
    assert only(topology.replicated_tables(lost, replace(CONTEXT, nodes=2))).status == "fail"


@pytest.mark.parametrize(("engine", "status"), [("MergeTree", "fail"), ("ReplicatedMergeTree", "pass")])
def test_one_server_of_a_cluster_tells_whether_its_tables_are_replicated(engine: str, status: str) -> None:
    asked = live(server(tables=[{"name": "runs", "engine": engine}]))
    assert only(topology.replicated_tables(asked, replace(CONTEXT, nodes=1))).status == status
