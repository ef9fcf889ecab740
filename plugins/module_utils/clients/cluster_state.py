# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an installation's cluster tells from inside: the queue's counters, the workers' times, the pods."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ansible_collections.langsmith.aws.plugins.module_utils.clients.http_client import (
    Answer,
    Dial,
    HttpClient,
    HttpError,
)
from ansible_collections.langsmith.aws.plugins.module_utils.domain.chart_names import fullname
from ansible_collections.langsmith.aws.plugins.module_utils.domain.errors import ProjectError
from ansible_collections.langsmith.aws.plugins.module_utils.domain.forwarding import DeniedError, is_ready
from ansible_collections.langsmith.aws.plugins.module_utils.domain.probe import documents, inside
from ansible_collections.langsmith.aws.plugins.module_utils.domain.probe.evidence import Latency, QueueSample, Workload

#: Seconds for one question, so that a cluster that does not answer does not hold up the probe.
TIMEOUT_S = 5.0
#: More workers than this are not asked for their times; what they would add is noise.
MOST_WORKERS = 5
_PLATFORM = ("platform-backend", inside.PLATFORM_BACKEND_PORT)
_WAITED = "langsmith_ingestion_api_to_worker_latency_seconds"
_STORED = "langsmith_ingestion_worker_to_store_latency_seconds"


@dataclass(frozen=True)
class Seen:
    """Workloads by component, and the names of the ready pods of the ingestion workers.

    ``reason`` says what may not be seen; the rest is there.
    """

    workloads: Mapping[str, Workload]
    workers: tuple[str, ...] = ()
    reason: str = ""


class Cluster:
    """One installation seen from inside; nothing here raises, since what cannot be seen is evidence too.

    ``see`` reads the workloads and may raise ProjectError; ``dial`` reaches Services and pods by their names.
    """

    def __init__(self, release: str, dial: Dial, see: Callable[[], Seen], close: Callable[[], None]) -> None:
        self.workloads: Mapping[str, Workload] = {}
        self.reason = ""
        self._unreached = ""
        self._name = fullname(release)
        self._dial = dial
        self._see = see
        self._close = close
        self._clients: dict[str, HttpClient] = {}
        self._workers: tuple[str, ...] = ()

    def look(self) -> None:
        """Reads ``workloads`` by component anew, or the ``reason`` why some or all are missing."""
        try:
            seen = self._see()
        except ProjectError as error:
            self.workloads, self.reason = {}, str(error)
            self._unreached = self.reason
            return
        self.workloads, self.reason, self._unreached = seen.workloads, seen.reason, ""
        self._workers = seen.workers[:MOST_WORKERS]

    def sample(self, at: float, *, times: bool = False) -> QueueSample:
        """The queue now, with the workers' times where they are wanted; a reason where it cannot be read."""
        if self._unreached:
            # Without an API server or credentials every try would only take its time from the probe.
            return QueueSample(at, reason=self._unreached)
        try:
            counts = documents.queue_counters(self._get(*_PLATFORM, inside.COUNTERS).json())
            if "pending" not in counts:
                background = self._get("backend", inside.BACKEND_PORT, "/metrics/queue/default")
                counts = documents.background_queue(background.json())
        except (HttpError, ValueError) as error:
            return QueueSample(at, reason=f"the queue's counters cannot be read: {error}")
        found = QueueSample(at, counts.get("pending"), counts.get("active"), counts.get("retry"))
        if found.pending is None:
            return replace(found, reason="platform-backend tells no ingestion_queue.pending, and backend no queue")
        return replace(found, waited=self._times(_WAITED), stored=self._times(_STORED)) if times else found

    def close(self) -> None:
        """Ends every connection."""
        for client in self._clients.values():
            client.close()
        self._close()

    def _times(self, name: str) -> Latency | None:
        """A histogram of all that keep one; which pods do is not told, so workers and platform-backend are asked."""
        workers = [(pod, inside.INGEST_QUEUE_PORT) for pod in self._workers]
        found = [self._histogram(*place, name) for place in (*workers, _PLATFORM)]
        told = [value for value in found if value is not None]
        return Latency(sum(value[0] for value in told), sum(value[1] for value in told)) if told else None

    def _histogram(self, component: str, port: int, name: str) -> tuple[float, float] | None:
        try:
            answer = self._get(component, port, "/metrics")
        except HttpError:
            return None
        return documents.histogram(answer.body.decode("utf-8", "replace"), name)

    def _get(self, component: str, port: int, target: str) -> Answer:
        # A pod is named in full, a Service by its component.
        host = component if component in self._workers else f"{self._name}-{component}"
        if host not in self._clients:
            origin = f"http://{host}:{port}"
            self._clients[host] = HttpClient(origin, connect_timeout=TIMEOUT_S, timeout=TIMEOUT_S, dial=self._dial)
        return self._clients[host].request("GET", target)


def connect(kubeconfig: str, namespace: str, release: str) -> Cluster:
    """The installation ``release`` in a namespace of the current context of ``kubeconfig``. Raises ProjectError."""
    # Only who gives a kubeconfig pays for what reads it.
    from ansible_collections.langsmith.aws.plugins.module_utils.clients.port_forward import PortForward

    if not Path(kubeconfig).is_file():
        raise ProjectError(f"kubeconfig {kubeconfig} is not there; correct the option or leave it out")
    forward = PortForward(kubeconfig, namespace)
    return Cluster(release, forward.dial, lambda: see(forward.read, namespace, release), forward.close)


#: Reads what the API server has at a path within seconds; ``None`` where it has nothing. Raises ProjectError, for a
#: right that is missing DeniedError.
Read = Callable[[str, float], "dict[str, Any] | None"]


def see(read: Read, namespace: str, release: str) -> Seen:
    """The Deployments and StatefulSets of a release, and its workers' pods that are ready, as far as they may be read.

    Raises ProjectError where nothing can be asked.
    """
    prefix = f"{fullname(release)}-"
    apps, core = f"/apis/apps/v1/namespaces/{namespace}", f"/api/v1/namespaces/{namespace}"
    denied: list[str] = []

    def listed(path: str) -> list[dict[str, Any]]:
        try:
            return _items(read(path, TIMEOUT_S))
        except DeniedError as error:
            denied.append(str(error))
            return []

    sets = [item for kind in ("deployments", "statefulsets") for item in listed(f"{apps}/{kind}")]
    found = {
        name.removeprefix(prefix): Workload(
            entry.get("status", {}).get("readyReplicas", 0), entry["spec"].get("replicas", 1)
        )
        for entry in sets
        if (name := entry["metadata"]["name"]).startswith(prefix)
    }
    workers = [pod["metadata"]["name"] for pod in listed(f"{core}/pods") if is_ready(pod)]
    ours = tuple(name for name in workers if name.startswith(f"{prefix}ingest-queue-"))
    return Seen(found, ours, "; ".join(denied))


def _items(listed: dict[str, Any] | None) -> list[dict[str, Any]]:
    return list(listed.get("items") or []) if listed else []
