# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The commands that decide between the layers which the probe's own evidence leaves open."""

from __future__ import annotations

from ansible_collections.langsmith.aws.plugins.module_utils.domain.endpoint import Place
from ansible_collections.langsmith.aws.plugins.module_utils.domain.probe import inside


def queue(place: Place) -> str:
    """The queues' counters: tasks that wait for a worker, that are in hand, that are tried again."""
    service = f"service/{place.release}-platform-backend"
    return _metrics(place, service, inside.PLATFORM_BACKEND_PORT, inside.COUNTERS)


def worker_times(place: Place) -> str:
    """How long runs waited for a worker, and the worker for ClickHouse."""
    workers = f"deployment/{place.release}-ingest-queue"
    return _metrics(place, workers, inside.INGEST_QUEUE_PORT, "/metrics", " | grep latency_seconds")


def stored(place: Place, run_id: str) -> str:
    """Whether ClickHouse has a run, and since when: a row says that the fault is in reading, none that it is before."""
    columns = "select inserted_at, trace_first_received_at from default.runs"
    return _clickhouse(place, f"{columns} where id = '{run_id}'")


def replicas(place: Place) -> str:
    """How far each replica is behind; where none is, ClickHouse's own write is slow."""
    return _clickhouse(place, "select table, absolute_delay, queue_size, is_readonly from system.replicas")


def worker_log(place: Place, run_id: str) -> str:
    """What the workers say of a run."""
    pods = f"app.kubernetes.io/component={place.release}-ingest-queue"
    return place.kubectl(f"logs -l {pods} --prefix --since=1h --tail=-1 | grep {run_id}")


def _clickhouse(place: Place, query: str) -> str:
    return place.kubectl(f'exec {place.release}-clickhouse-0 -- clickhouse-client -q "{query}"')


def _metrics(place: Place, what: str, port: int, path: str, chosen: str = "") -> str:
    forward = place.kubectl(f"port-forward {what} {port}")
    return f"{forward} & sleep 3; curl -s 'http://127.0.0.1:{port}{path}'{chosen}; kill $!"
