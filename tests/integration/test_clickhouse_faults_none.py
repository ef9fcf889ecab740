# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Three real servers under a real load of inserts and queries: nothing is wrong, so that nothing may be found.

What one engine cannot do, replicate and measure its machine, is supplied by healthy tables in its place.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from ansible_collections.langsmith.aws.plugins.module_utils.clients.clickhouse import Target, observe
from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.facts import Live, Login
from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.live import QUERIES, judge_live
from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.measures import charts, measures
from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.pressure import pressure
from ansible_collections.langsmith.aws.plugins.module_utils.domain.finding import Finding

from .clickhouse_servers import PASSWORD, USER, Server, Setup, running
from .test_clickhouse_faults import (
    GOOD_CONFIG,
    GOOD_PROFILE,
    HEALTHY,
    QUEUE,
    REPLICAS,
    add_runs,
    disk_of,
    roomy,
    schema,
)

#: This machine is no production node, and these tables stand for replicated ones: their rules have tests of their own.
OF_THE_MACHINE = {"cpu", "memory", "memory_limit", "replicated_tables"}


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Server]]:
    setup = Setup(nodes=3, config=GOOD_CONFIG, profile=GOOD_PROFILE, launcher=disk_of(4096))
    with roomy(tmp_path_factory) as folder, running(folder, setup) as servers:
        for server in servers:
            schema(server)
            server.inject("system.replicas", REPLICAS, [HEALTHY])
            server.inject("system.replication_queue", QUEUE)
            server.inject("system.zookeeper", "path String, name String", [{"path": "/", "name": "clickhouse"}])
            waits = [{"metric": "OSIOWaitTimeNormalized", "value": 0.01}]
            server.inject("system.asynchronous_metrics", "metric String, value Float64", waits)
        yield servers


def write(server: Server) -> None:
    """A batch as the queue's workers make it."""
    add_runs(server, 5000, payload=200)


def read(server: Server) -> None:
    """A page of a project, as the backend asks for it."""
    server.sql("SELECT id, inputs FROM runs WHERE session_id = 1 ORDER BY start_time DESC LIMIT 20")


@pytest.fixture(scope="module")
def loaded(cluster: list[Server]) -> Live:
    """What the servers answer while each is written to and read from, with hardly a pause."""
    done, batches = threading.Event(), Counter[str]()

    def work(server: Server) -> None:
        while not done.wait(0.05):
            write(server)
            for page in (server,) * 5:
                read(page)
            batches[server.subject] += 1

    login = Login(USER, PASSWORD)
    target = Target((cluster[0].url,), login, "replicated", {"timeout": 60}, sample_seconds=3)
    with ThreadPoolExecutor(6) as pool:
        futures = [pool.submit(work, server) for server in (*cluster, *cluster)]
        try:
            # The logs have something to tell of, then.
            while min(batches[server.subject] for server in cluster) < 10:
                assert not any(future.done() for future in futures)
                done.wait(0.05)
            for server in cluster:
                server.sql("SYSTEM FLUSH LOGS")
            live = observe(target, QUERIES)
        finally:
            done.set()
            for future in futures:
                future.result()
    return live


@pytest.fixture(scope="module")
def found(loaded: Live) -> list[Finding]:
    return judge_live(loaded, "production")


def test_nothing_is_found_where_nothing_is_wrong(found: list[Finding]) -> None:
    wrong = [
        f"{one.status} {one.id} {one.subject}: {one.observed}"
        for one in found
        if one.status in ("warn", "fail") and one.id.removeprefix("clickhouse.") not in OF_THE_MACHINE
    ]
    assert wrong == []


def test_only_the_forecast_waits_for_more_history(found: list[Finding]) -> None:
    unknown = {one.id for one in found if one.status == "unknown"}
    assert unknown - {"clickhouse.memory_limit"} == {"clickhouse.disk_forecast"}


def test_where_one_server_is_asked_of_three_their_versions_are_unknown(cluster: list[Server]) -> None:
    target = Target((cluster[0].url,), Login(USER, PASSWORD), "replicated", discover=False, sample_seconds=0.05)
    told = {one.id: one for one in judge_live(observe(target, QUERIES), "production")}
    version, tables = told["clickhouse.same_version"], told["clickhouse.replicated_tables"]
    assert (version.status, version.observed.rpartition("; ")[2]) == ("unknown", "1 of 3 servers asked")
    # They are not replicated, which one server alone can tell.
    assert (tables.status, "on 1 server" in tables.observed) == ("fail", True)


def test_the_load_itself_is_seen(loaded: Live, found: list[Finding]) -> None:
    told = {
        one.id.removeprefix("clickhouse."): one.observed for one in found if one.subject == loaded.replicas[0].subject
    }
    assert "too few" not in told["query_latency"]
    assert "a second" in told["batch_size"]
    assert told["ingest_delay"].startswith("95 of 100 of ")


def test_a_calm_cluster_is_under_no_pressure(loaded: Live) -> None:
    told = pressure(judge_live(loaded, "production"), 3)
    assert (told["read"], told["write"], told["because"]) == ("none", "none", [])


def test_every_replica_is_measured_and_drawn(loaded: Live, cluster: list[Server]) -> None:
    measured = measures(loaded)
    assert len({one["subject"] for one in measured}) == len(cluster)
    missing = {name for one in measured for name, value in one.items() if value is None}
    assert missing <= {"growth_gib_per_day", "days_to_full"}
    assert all(0 < one["disk_used_gib"] < one["disk_total_gib"] for one in measured)
    drawn = {chart["title"]: chart for chart in charts(measured)}
    assert len(drawn["Headroom of each replica"]["bars"]) == 5 * len(cluster)
    assert [one["limit"] for one in drawn["Parts in the fullest partition"]["bars"]] == [1000.0] * 3
