# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stand-in for metrics-server: the API metrics.k8s.io, from what the processes of the containers really use.

The API server's aggregator reaches it as it reaches the real one, by an APIService and TLS, with the front proxy's
certificate as proof of who asks. Only the Service between them differs: its name stands for this machine.
"""

from __future__ import annotations

import base64
import collections
import dataclasses
import datetime
import http.server
import json
import logging
import os
import re
import ssl
import sys
import threading
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from sandbox import images, pki, state, supervisor
from sandbox.controllers.aws import Account
from sandbox.controllers.kubernetes import (
    DEPLOYMENT,
    NODE,
    POD,
    SERVICE,
    ApiError,
    Cluster,
    Kind,
    Object,
    annotations_of,
    labels_of,
    now,
)
from sandbox.controllers.loop import IDLE_SECONDS, Controller
from sandbox.controlplane import launch

NAMESPACE, ADDON = "kube-system", "metrics-server"
GROUP, VERSION = "metrics.k8s.io", "v1beta1"
GROUP_VERSION = f"{GROUP}/{VERSION}"
API_SERVICE = Kind("/apis/apiregistration.k8s.io/v1", "apiservices", "APIService", namespaced=False)
API_SERVICE_NAME = f"{VERSION}.{GROUP}"
CLUSTER_ROLE = Kind("/apis/rbac.authorization.k8s.io/v1", "clusterroles", "ClusterRole", namespaced=False)
# The add-on's own Service has an address of the VPC, which the API server cannot dial here.
ALIAS = f"{ADDON}-sandbox"
# A change of this Service makes the aggregator ask at once whether the API is available, rather than after 30 s.
STANDING = "metrics.sandbox/standing"
READER = "system:aggregated-metrics-reader"
FRONT_PROXY = "front-proxy"
PORT = "metrics-server"

# metrics-server's --metric-resolution on EKS, and the least age at which it tells of a new container.
WINDOW_SECONDS = 15.0
LEAST_SECONDS = 10.0
# Three looks per window, so that what is told is never older than this.
SAMPLE_SECONDS = 5.0
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
PATH = re.compile(
    rf"/apis/{re.escape(GROUP_VERSION)}"
    r"(?:/nodes(?:/(?P<node>[^/]+))?|(?:/namespaces/(?P<namespace>[^/]+))?/(?P<pods>pods)(?:/(?P<pod>[^/]+))?)"
)
RESOURCES = (("nodes", "NodeMetrics", False), ("pods", "PodMetrics", True))
# Descriptions of nothing; without any, the API server would ask again every minute and log that it failed.
OPENAPI: dict[str, Object] = {
    "/openapi/v2": {"swagger": "2.0", "info": {"title": ADDON, "version": VERSION}, "paths": {}},
    "/openapi/v3": {"paths": {}},
}
SELECTORS = ("labelSelector", "fieldSelector")
log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Usage:
    """CPU in cores over the last `window` seconds, and memory in bytes; `moment` is in seconds since 1970."""

    cpu: float
    memory: int
    window: float
    moment: float

    def quantities(self) -> dict[str, str]:
        """As Kubernetes writes them: CPU in billionths of a core, memory in KiB."""
        return {"cpu": f"{self.cpu * 1e9:.0f}n", "memory": f"{self.memory // 1024}Ki"}


@dataclasses.dataclass(frozen=True)
class Process:
    """What /proc says of a process: CPU ticks include those of its children that have ended."""

    parent: int
    session: int
    ticks: int


def processes(folder: Path = Path("/proc")) -> dict[int, Process]:
    """Every process of this machine by its id."""
    found = {}
    for entry in folder.glob("[0-9]*"):
        try:
            # The name in parentheses may hold blanks; the fields after it begin with the third of proc(5).
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        found[int(entry.name)] = Process(int(fields[1]), int(fields[3]), sum(int(word) for word in fields[11:15]))
    return found


def members(leaders: Iterable[int], table: Mapping[int, Process]) -> dict[int, list[int]]:
    """The processes of each leader: its session's, and descendants that left the session."""
    found: dict[int, list[int]] = {leader: [] for leader in leaders}
    for pid in table:
        owner, ancestor = None, pid
        while owner is None and ancestor in table:
            owner = next((item for item in (ancestor, table[ancestor].session) if item in found), None)
            ancestor = table[ancestor].parent
        if owner is not None:
            found[owner].append(pid)
    return found


def memory_bytes(pid: int) -> int:
    """Memory of a process, with its share of pages that others use too; 0 when it has gone."""
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0
    found = re.search(r"^Pss:\s+(\d+) kB", text, re.MULTILINE)
    return int(found[1]) * 1024 if found else 0


Containers = Mapping[tuple[str, str], supervisor.Part | None]


class Sampler:
    """Usage of containers, keyed by the pod's uid and the container's name, by the samples of the last window."""

    def __init__(self) -> None:
        # By container and by process, as a restarted container begins anew: seconds since boot, CPU seconds.
        self._points: dict[tuple[str, str, int, int], collections.deque[tuple[float, float]]] = {}

    def sample(self, containers: Containers) -> dict[tuple[str, str], Usage]:
        """Look at all running containers; None is one without a process. Those too young to tell are left out."""
        moment, instant, table = time.time(), time.monotonic(), processes()
        groups = members({part.pid for part in containers.values() if part}, table)
        points, found = {}, {}
        for key, part in containers.items():
            if part is None:
                found[key] = Usage(0.0, 0, WINDOW_SECONDS, moment)
                continue
            pids = groups[part.pid]
            identity = (*key, part.pid, part.ticks)
            series = points[identity] = self._points.get(identity) or _begun(moment - part.started_at, instant)
            series.append((instant, sum(table[pid].ticks for pid in pids) / TICKS_PER_SECOND))
            while len(series) > 2 and series[1][0] <= instant - WINDOW_SECONDS:
                series.popleft()
            window = instant - series[0][0]
            if window >= LEAST_SECONDS:
                # Time of a child that nobody waited for is lost with it.
                cpu = max(0.0, series[-1][1] - series[0][1]) / window
                found[key] = Usage(cpu, sum(memory_bytes(pid) for pid in pids), window, moment)
        self._points = points
        return found


def _begun(age: float, instant: float) -> collections.deque[tuple[float, float]]:
    """The series of a container never seen before; one that is young has used nothing before its start."""
    return collections.deque([(instant - age, 0.0)] if age < WINDOW_SECONDS else [])


def running(pod: Object) -> list[str]:
    """The names of the pod's containers that run, sidecars among them."""
    status = pod.get("status") or {}
    entries = [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]
    return [entry["name"] for entry in entries if "running" in (entry.get("state") or {})]


def containers_of(pods: Iterable[Object]) -> dict[tuple[str, str], supervisor.Part | None]:
    """The running containers; one whose program is not there at this moment is left out."""
    found: dict[tuple[str, str], supervisor.Part | None] = {}
    for pod in pods:
        metadata, spec = pod["metadata"], pod["spec"]
        specs = {item["name"]: item for item in [*(spec.get("initContainers") or []), *spec["containers"]]}
        for name in running(pod):
            part = supervisor.find(f"pod-{metadata['namespace']}-{metadata['name']}-{name}")
            if part is not None or images.argv(specs[name]["image"]) is None:
                found[metadata["uid"], name] = part
    return found


@dataclasses.dataclass(frozen=True)
class Snapshot:
    """What is told until the next sample: usage per pod (by uid, then by container) and per node (by name).

    `idle` is the usage of a node that runs nothing, None as long as it is too early to tell of nodes.
    """

    pods: Mapping[str, Mapping[str, Usage]]
    nodes: Mapping[str, Usage]
    idle: Usage | None

    def node(self, name: str) -> Usage | None:
        """The usage of a node, as the sum of its pods'."""
        return self.nodes.get(name, self.idle) if self.idle else None


def snapshot(pods: Iterable[Object], usages: Mapping[tuple[str, str], Usage], idle: Usage | None) -> Snapshot:
    """Sum up; a pod counts once all of its running containers have a usage."""
    told: dict[str, dict[str, Usage]] = {}
    nodes: dict[str, Usage] = {}
    for pod in pods:
        uid, node, names = pod["metadata"]["uid"], pod["spec"]["nodeName"], running(pod)
        if not names or any((uid, name) not in usages for name in names):
            continue
        told[uid] = {name: usages[uid, name] for name in names}
        if idle:
            every = [nodes.get(node, idle), *told[uid].values()]
            cpu, memory = sum(item.cpu for item in every), sum(item.memory for item in every)
            nodes[node] = dataclasses.replace(idle, cpu=cpu, memory=memory)
    return Snapshot(told, nodes, idle)


class Metrics(Controller):
    """Samples and serves while the Deployment of the add-on has a ready replica, and is registered while it exists."""

    name = "metrics"

    def __init__(self, cluster: Cluster, account: Account) -> None:
        super().__init__(cluster, account)
        self._deployments = self.watch(DEPLOYMENT)
        self._services = self.watch(SERVICE)
        self._api_services = self.watch(API_SERVICE)
        # Pods come and go often, and are looked at with each sample only.
        self._pods = cluster.watched(POD, lambda: None)
        self._sampler = Sampler()
        self._since = self._next_sample = 0.0
        self.told: Snapshot | None = None
        self._server = _Server(self)

    def run(self) -> None:
        threading.Thread(target=self._server.serve_forever, name=f"{self.name}-api", daemon=True).start()
        super().run()

    def reconcile(self) -> float:
        if not self._deployments.known:
            return IDLE_SECONDS
        deployment = self._deployments.get(NAMESPACE, ADDON)
        if deployment is None:
            self._rest()
            self._unregister()
            return IDLE_SECONDS
        ready = int((deployment.get("status") or {}).get("readyReplicas") or 0) > 0
        if ready:
            self._sample()
        else:
            self._rest()
        self._register(ready)
        return self._next_sample - time.monotonic() if ready else IDLE_SECONDS

    def _rest(self) -> None:
        self.told, self._sampler, self._next_sample = None, Sampler(), 0.0

    def _sample(self) -> None:
        instant = time.monotonic()
        if instant < self._next_sample:
            return
        if self.told is None:
            self._since = instant
        self._next_sample = instant + SAMPLE_SECONDS
        pods = [pod for pod in self._pods.all() if pod["spec"].get("nodeName")]
        usages = self._sampler.sample(containers_of(pods))
        window = min(instant - self._since, WINDOW_SECONDS)
        idle = Usage(0.0, 0, window, time.time()) if window >= LEAST_SECONDS else None
        self.told = snapshot(pods, usages, idle)

    def _register(self, ready: bool) -> None:
        alias = self._services.get(NAMESPACE, ALIAS)
        # A process that has just started must be asked anew, whatever its predecessor was.
        standing = f"{'ready' if ready else 'unready'}-{os.getpid()}"
        if self._ours() and alias and annotations_of(alias).get(STANDING) == standing:
            return
        for kind, body in _objects(standing, state.port(PORT), (launch.folder() / "ca.crt").read_bytes()):
            path = kind.path(body["metadata"].get("namespace"), body["metadata"]["name"])
            full = {"apiVersion": kind.api_version, "kind": kind.kind, **body}
            query = {"fieldManager": ADDON, "force": "true"}
            self.cluster.call("PATCH", path, full, query, "application/apply-patch+yaml")
        log.info("registered %s: %s", API_SERVICE_NAME, standing)

    def _unregister(self) -> None:
        if self._ours():
            self.cluster.delete(API_SERVICE, None, API_SERVICE_NAME)
            self.cluster.delete(CLUSTER_ROLE, None, READER)
            log.info("removed %s", API_SERVICE_NAME)
        if self._services.get(NAMESPACE, ALIAS):
            self.cluster.delete(SERVICE, NAMESPACE, ALIAS)

    def _ours(self) -> bool:
        found = self._api_services.get(None, API_SERVICE_NAME)
        return found is not None and (found["spec"].get("service") or {}).get("name") == ALIAS

    def answer(self, path: str, query: Mapping[str, str]) -> tuple[int, Object]:
        """HTTP status and body for a GET."""
        told = self.told
        if told is None:
            return _failure(503, "ServiceUnavailable", "metrics-server has no ready replica")
        if path.rstrip("/") == f"/apis/{GROUP_VERSION}":
            return 200, _discovery()
        if path in OPENAPI:
            return 200, OPENAPI[path]
        found = PATH.fullmatch(path)
        if found is None or (found["pod"] and not found["namespace"]):
            return _failure(404, "NotFound", "the server could not find the requested resource")
        if query.get("watch") in {"1", "true"}:
            return _failure(405, "MethodNotAllowed", "the server does not allow this method on the requested resource")
        kind, name = (POD, found["pod"]) if found["pods"] else (NODE, found["node"])
        tell = _pod_metrics if kind is POD else _node_metrics
        try:
            if name:
                item = self.cluster.get(kind, found["namespace"], name)
                metrics = tell(item, told) if item else None
                return (200, metrics) if metrics else _missing(kind, found["namespace"], name)
            # The API server itself judges the selectors, so that all of their forms mean what they mean elsewhere.
            selectors = {key: query[key] for key in SELECTORS if query.get(key)}
            items = self.cluster.call("GET", kind.path(found["namespace"]), query=selectors)["items"]
        except ApiError as error:
            return _failure(error.status or 503, "", str(error))
        kind_name = f"{kind.kind}MetricsList"
        listed = [metrics for item in items if (metrics := tell(item, told))]
        return 200, {"kind": kind_name, "apiVersion": GROUP_VERSION, "metadata": {}, "items": listed}


def _objects(standing: str, port: int, authority: bytes) -> list[tuple[Kind, Object]]:
    """What EKS's add-on registers, with the one Service that leads here; the APIService last, as it is what is used."""
    labels = {"app.kubernetes.io/name": ADDON}
    spec = {
        "group": GROUP,
        "version": VERSION,
        "groupPriorityMinimum": 100,
        "versionPriority": 100,
        "service": {"namespace": NAMESPACE, "name": ALIAS, "port": port},
        "caBundle": base64.b64encode(authority).decode(),
    }
    roles = {f"rbac.authorization.k8s.io/aggregate-to-{role}": "true" for role in ("admin", "edit", "view")}
    rules = [{"apiGroups": [GROUP], "resources": ["pods", "nodes"], "verbs": ["get", "list", "watch"]}]
    alias = {"name": ALIAS, "namespace": NAMESPACE, "labels": labels, "annotations": {STANDING: standing}}
    return [
        (SERVICE, {"metadata": alias, "spec": {"type": "ExternalName", "externalName": "localhost"}}),
        (CLUSTER_ROLE, {"metadata": {"name": READER, "labels": {**labels, **roles}}, "rules": rules}),
        (API_SERVICE, {"metadata": {"name": API_SERVICE_NAME, "labels": labels}, "spec": spec}),
    ]


def _pod_metrics(pod: Object, told: Snapshot) -> Object | None:
    usages = told.pods.get(pod["metadata"]["uid"])
    if usages is None:
        return None
    containers = [{"name": name, "usage": usage.quantities()} for name, usage in usages.items()]
    longest = max(usages.values(), key=lambda usage: usage.window)
    return {**_head(pod, "PodMetrics", longest), "containers": containers}


def _node_metrics(node: Object, told: Snapshot) -> Object | None:
    usage = told.node(node["metadata"]["name"])
    return {**_head(node, "NodeMetrics", usage), "usage": usage.quantities()} if usage else None


def _head(item: Object, kind: str, usage: Usage) -> Object:
    metadata = {key: item["metadata"][key] for key in ("name", "namespace") if key in item["metadata"]}
    moment = datetime.datetime.fromtimestamp(usage.moment, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "kind": kind,
        "apiVersion": GROUP_VERSION,
        "metadata": {**metadata, "creationTimestamp": now(), "labels": labels_of(item)},
        "timestamp": moment,
        "window": f"{usage.window:.3f}s",
    }


def _discovery() -> Object:
    resources = [
        {"name": name, "singularName": "", "namespaced": namespaced, "kind": kind, "verbs": ["get", "list"]}
        for name, kind, namespaced in RESOURCES
    ]
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": GROUP_VERSION, "resources": resources}


def _failure(code: int, reason: str, message: str) -> tuple[int, Object]:
    status = {"status": "Failure", "message": message, "reason": reason, "code": code}
    return code, {"kind": "Status", "apiVersion": "v1", "metadata": {}, **status}


def _missing(kind: Kind, namespace: str | None, name: str) -> tuple[int, Object]:
    full = f"{namespace}/{name}" if namespace else name
    return _failure(404, "NotFound", f'{kind.kind.lower()}metrics.{GROUP} "{full}" not found')


class _Server(http.server.ThreadingHTTPServer):
    """TLS on a loopback port, for those with a certificate of the cluster's CA."""

    daemon_threads = True

    def __init__(self, metrics: Metrics) -> None:
        super().__init__(("127.0.0.1", state.port(PORT)), _Handler)
        self.metrics = metrics
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*_certificate())
        context.load_verify_locations(launch.folder() / "ca.crt")
        context.verify_mode = ssl.CERT_REQUIRED
        # A handshake belongs to the thread of its connection, not to the one that accepts.
        self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)

    def handle_error(self, request: Any, client_address: Any) -> None:
        log.info("a connection to the metrics API ended: %s", sys.exception())


class _Handler(http.server.BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    # Longer than the API server keeps an idle connection, so that it is the one to close it.
    timeout = 120

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        if self._common_name() == FRONT_PROXY:
            code, body = self.server.metrics.answer(unquote(url.path), dict(parse_qsl(url.query)))
        else:
            code, body = _failure(401, "Unauthorized", "Unauthorized")
        content = json.dumps(body).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _common_name(self) -> str | None:
        certificate = self.connection.getpeercert()
        names = dict(entry for part in certificate["subject"] for entry in part)
        return names.get("commonName")

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its name in the base class
        """The API server asks every few seconds; that is no news."""


def _certificate() -> tuple[Path, Path]:
    """The certificate and key of the server, made once; its name is what the aggregator expects of the Service."""
    files = launch.folder() / f"{PORT}.crt", launch.folder() / f"{PORT}.key"
    if not files[0].exists():
        authority = pki.Authority(launch.folder(), "kubernetes")
        certificate, key = authority.issue(ADDON, [f"{ALIAS}.{NAMESPACE}.svc"], days=pki.CA_DAYS)
        state.write_text(files[1], key)
        state.write_text(files[0], certificate)
    return files
