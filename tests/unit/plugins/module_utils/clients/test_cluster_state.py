# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from ansible_collections.langsmith.aws.plugins.module_utils.clients import cluster_state
from ansible_collections.langsmith.aws.plugins.module_utils.clients.cluster_state import Cluster, Seen, connect, see
from ansible_collections.langsmith.aws.plugins.module_utils.domain.errors import ProjectError
from ansible_collections.langsmith.aws.plugins.module_utils.domain.forwarding import DeniedError, DialError
from ansible_collections.langsmith.aws.plugins.module_utils.domain.probe.evidence import Latency, Workload

from tests.unit.plugins.scripted import Asked, Running, Said, said, serve

WAITED = "langsmith_ingestion_api_to_worker_latency_seconds"
STORED = "langsmith_ingestion_worker_to_store_latency_seconds"
SEEN = Seen({"ingest-queue": Workload(2, 2)}, ("acme-langsmith-ingest-queue-1", "acme-langsmith-ingest-queue-2"))


class Inside:
    """The services of a cluster on one port, told from each other by the name that was dialled."""

    def __init__(self) -> None:
        self.answers: dict[str, Said] = {
            "acme-langsmith-platform-backend:1986/metrics?json": said(
                {"ingestion_queue": {"pending": 4, "active": 1, "retry": 2}, "feedback_queue": {"pending": 9}}
            ),
            "acme-langsmith-backend:1984/metrics/queue/default": said({"queued": 7, "active": 3}),
            **{
                f"{pod}:1989/metrics": Said(
                    body=f"{WAITED}_sum 1\n{WAITED}_count 2\n{STORED}_sum 3\n{STORED}_count 2\n".encode()
                )
                for pod in SEEN.workers
            },
        }

    def __call__(self, asked: Asked) -> Said:
        target = f"{asked.headers['host']}{asked.path}{'?json' if asked.query else ''}"
        return self.answers.get(target, Said(404, b"", "text/plain"))


@pytest.fixture
def inside() -> Inside:
    return Inside()


@pytest.fixture
def server(inside: Inside) -> Iterator[Running]:
    with serve(inside) as running:
        yield running


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """No answer is given up here."""
    monkeypatch.setattr(cluster_state, "TIMEOUT_S", 60.0)


@pytest.fixture
def cluster(server: Running) -> Iterator[Cluster]:
    def dial(_host: str, _port: int, timeout: float) -> socket.socket:
        return socket.create_connection(("127.0.0.1", server.port), timeout)

    found = Cluster("acme", dial, lambda: SEEN, lambda: None)
    yield found
    found.close()


def test_the_queue_is_read_from_platform_backend(cluster: Cluster) -> None:
    sample = cluster.sample(1.5)
    assert (sample.at, sample.pending, sample.active, sample.retry, sample.reason) == (1.5, 4, 1, 2, "")
    assert sample.waited is None


def test_where_there_is_no_ingestion_queue_the_queue_of_backend_counts(cluster: Cluster, inside: Inside) -> None:
    inside.answers["acme-langsmith-platform-backend:1986/metrics?json"] = said({})
    sample = cluster.sample(0.0)
    assert (sample.pending, sample.active, sample.retry) == (7, 3, None)


def test_the_times_of_all_ready_workers_are_added(cluster: Cluster) -> None:
    cluster.look()
    sample = cluster.sample(0.0, times=True)
    assert sample.waited == Latency(2.0, 4.0)
    assert sample.stored == Latency(6.0, 4.0)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [(Said(502, b"<html>", "text/html"), "cannot be read"), (said({"ingestion_queue": []}), "no ingestion_queue")],
)
def test_counters_that_are_not_told_have_a_reason(cluster: Cluster, inside: Inside, answer: Said, reason: str) -> None:
    inside.answers = {"acme-langsmith-platform-backend:1986/metrics?json": answer}
    inside.answers["acme-langsmith-backend:1984/metrics/queue/default"] = said([])
    sample = cluster.sample(0.0)
    assert sample.pending is None
    assert reason in sample.reason


def failing(error: Exception) -> Callable[..., Any]:
    def call(*_: object) -> Any:
        raise error

    return call


def test_a_service_that_cannot_be_dialled_is_a_reason() -> None:
    cluster = Cluster("acme", failing(DialError("no pod of it is ready")), lambda: SEEN, lambda: None)
    assert "no pod of it is ready" in cluster.sample(0.0).reason


def test_workloads_that_may_not_be_listed_are_a_reason() -> None:
    cluster = Cluster("acme", failing(DialError("unused")), failing(ProjectError("verb list is needed")), lambda: None)
    cluster.look()
    assert (cluster.workloads, cluster.reason) == ({}, "verb list is needed")


def test_an_api_server_that_was_not_reached_is_not_tried_for_every_sample() -> None:
    cluster = Cluster("acme", failing(AssertionError("dialled")), failing(DialError("it is away")), lambda: None)
    cluster.look()
    assert cluster.sample(0.0).reason == "it is away"


def test_counters_are_read_where_workloads_may_not_be(server: Running) -> None:
    def dial(_host: str, _port: int, timeout: float) -> socket.socket:
        return socket.create_connection(("127.0.0.1", server.port), timeout)

    cluster = Cluster("acme", dial, lambda: Seen({}, SEEN.workers, "no right to list deployments"), lambda: None)
    cluster.look()
    assert (cluster.workloads, cluster.reason) == ({}, "no right to list deployments")
    sample = cluster.sample(0.0, times=True)
    assert (sample.pending, sample.waited, sample.reason) == (4, Latency(2.0, 4.0), "")
    cluster.close()


def test_a_kubeconfig_that_is_not_there_is_said_at_once() -> None:
    with pytest.raises(ProjectError, match="/nowhere is not there"):
        connect("/nowhere", "langsmith", "langsmith")


def item(name: str, ready: int | None = None, replicas: int | None = None, *conditions: str) -> dict[str, Any]:
    """An object of a cluster, as its API has it."""
    status: dict[str, Any] = {"readyReplicas": ready} if ready is not None else {}
    if conditions:
        status["conditions"] = [{"type": "Ready", "status": condition} for condition in conditions]
    return {
        "metadata": {"name": name},
        "spec": {"replicas": replicas} if replicas is not None else {},
        "status": status,
    }


LISTS = {
    "/apis/apps/v1/namespaces/tracing/deployments": [
        item("acme-langsmith-backend", 1, 2),
        item("acme-langsmith-ingest-queue", None, 3),
        item("other-backend", 5, 5),
    ],
    "/apis/apps/v1/namespaces/tracing/statefulsets": [item("acme-langsmith-clickhouse", 1)],
    "/api/v1/namespaces/tracing/pods": [
        item("acme-langsmith-ingest-queue-a", None, None, "True"),
        item("acme-langsmith-ingest-queue-b", None, None, "False"),
        item("acme-langsmith-ingest-queue-c"),
        item("acme-langsmith-backend-a", None, None, "True"),
    ],
}


def test_the_workloads_of_a_release_and_its_ready_workers_are_seen() -> None:
    seen = see(lambda target, _timeout: {"items": LISTS[target]}, "tracing", "acme")
    assert seen.workloads == {
        "backend": Workload(1, 2),
        "ingest-queue": Workload(0, 3),
        "clickhouse": Workload(1, 1),
    }
    assert seen.workers == ("acme-langsmith-ingest-queue-a",)
    assert seen.workloads["ingest-queue"].is_down


@pytest.mark.parametrize("denied", LISTS)
def test_what_may_not_be_listed_is_left_out_with_its_reason_and_the_rest_is_seen(denied: str) -> None:
    def read(target: str, _timeout: float) -> dict[str, Any]:
        if target == denied:
            raise DeniedError(f"may not list {target}")
        return {"items": LISTS[target]}

    seen, whole = (
        see(read, "tracing", "acme"),
        see(lambda target, _timeout: {"items": LISTS[target]}, "tracing", "acme"),
    )
    assert seen.reason == f"may not list {denied}"
    assert (seen.workers == whole.workers) is not denied.endswith("pods")
    assert ("backend" in seen.workloads) is not denied.endswith("deployments")
    assert ("clickhouse" in seen.workloads) is not denied.endswith("statefulsets")


def test_an_api_server_that_is_away_leaves_nothing_to_see() -> None:
    with pytest.raises(DialError, match="it is away"):
        see(failing(DialError("it is away")), "tracing", "acme")


def test_a_worker_that_is_on_its_way_out_is_not_asked() -> None:
    leaving = item("acme-langsmith-ingest-queue-a", None, None, "True")
    leaving["metadata"]["deletionTimestamp"] = "2026-11-21T10:00:00Z"
    assert see(lambda _target, _timeout: {"items": [leaving]}, "tracing", "acme").workers == ()


def test_a_namespace_that_is_not_there_has_no_workloads() -> None:
    assert see(lambda _target, _timeout: None, "tracing", "acme") == Seen({})
