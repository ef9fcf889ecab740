# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A small client of the Kubernetes API for the stand-ins of in-cluster controllers: calls, watched lists, events."""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import datetime
import json
import logging
import os
import ssl
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import urllib3
import yaml

Object = dict[str, Any]
JSON_PATCH_MERGE = "application/merge-patch+json"
# A watch is ended by the server after this long, so that a connection that died unseen is noticed.
WATCH_SECONDS = 120
RETRY_SECONDS = 1.0
TIMEOUT = urllib3.Timeout(connect=5, read=30)
log = logging.getLogger(__name__)


class ApiError(Exception):
    """The API server refused; `status` is the HTTP code, 0 when it was not reached. The message is the server's."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclasses.dataclass(frozen=True)
class Kind:
    """Where objects of a kind live: `api` is `/api/v1` or `/apis/GROUP/VERSION`."""

    api: str
    plural: str
    kind: str
    namespaced: bool = True

    def path(self, namespace: str | None = None, name: str | None = None) -> str:
        """The URL path of one object, of a namespace's list, or of the cluster-wide list."""
        scope = f"/namespaces/{namespace}" if self.namespaced and namespace else ""
        return f"{self.api}{scope}/{self.plural}" + (f"/{name}" if name else "")

    @property
    def api_version(self) -> str:
        return self.api.removeprefix("/apis/").removeprefix("/api/")


CORE, APPS, STORAGE, NETWORKING = "/api/v1", "/apis/apps/v1", "/apis/storage.k8s.io/v1", "/apis/networking.k8s.io/v1"
DEPLOYMENT = Kind(APPS, "deployments", "Deployment")
POD = Kind(CORE, "pods", "Pod")
SECRET = Kind(CORE, "secrets", "Secret")
SERVICE = Kind(CORE, "services", "Service")
SERVICE_ACCOUNT = Kind(CORE, "serviceaccounts", "ServiceAccount")
NODE = Kind(CORE, "nodes", "Node", namespaced=False)
EVENT = Kind(CORE, "events", "Event")
CLAIM = Kind(CORE, "persistentvolumeclaims", "PersistentVolumeClaim")
VOLUME = Kind(CORE, "persistentvolumes", "PersistentVolume", namespaced=False)
STORAGE_CLASS = Kind(STORAGE, "storageclasses", "StorageClass", namespaced=False)
ATTACHMENT = Kind(STORAGE, "volumeattachments", "VolumeAttachment", namespaced=False)
INGRESS = Kind(NETWORKING, "ingresses", "Ingress")
INGRESS_CLASS = Kind(NETWORKING, "ingressclasses", "IngressClass", namespaced=False)
ENDPOINT_SLICE = Kind("/apis/discovery.k8s.io/v1", "endpointslices", "EndpointSlice")


class Cluster:
    """The API server that a kubeconfig's current context names. Safe to share between threads."""

    def __init__(self, kubeconfig: Path) -> None:
        config = yaml.safe_load(kubeconfig.read_text())
        context = _named(config, "contexts", config["current-context"], "context")
        cluster = _named(config, "clusters", context["cluster"], "cluster")
        user = _named(config, "users", context["user"], "user")
        self._server = cluster["server"].rstrip("/")
        self._headers = {"Accept": "application/json", "User-Agent": "langsmith-sandbox-controllers"}
        if "token" in user:
            self._headers["Authorization"] = f"Bearer {user['token']}"
        self._pool = urllib3.PoolManager(ssl_context=_tls(cluster, user), maxsize=16, retries=False)
        self._lists: dict[tuple[str, str], Watched] = {}
        self._lock = threading.Lock()
        self._recorder = _Recorder(self)

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        query: Mapping[str, str] | None = None,
        content_type: str = "application/json",
    ) -> Object:
        """One request, with the decoded answer. Raises ApiError."""
        url = self._server + path + ("?" + urlencode(query) if query else "")
        data = None if body is None else json.dumps(body)
        headers = {**self._headers, "Content-Type": content_type}
        try:
            answer = self._pool.request(method, url, body=data, headers=headers, timeout=TIMEOUT)
        except urllib3.exceptions.HTTPError as error:
            raise ApiError(0, f"{method} {path}: {error}") from error
        if answer.status >= 400:
            raise ApiError(answer.status, _message(answer.data) or f"{method} {path}: HTTP {answer.status}")
        return json.loads(answer.data) if answer.data else {}

    def get(self, kind: Kind, namespace: str | None, name: str) -> Object | None:
        """One object, or None when there is none."""
        try:
            return self.call("GET", kind.path(namespace, name))
        except ApiError as error:
            if error.status == 404:
                return None
            raise

    def create(self, kind: Kind, body: Object) -> Object:
        """Create `body` in the namespace that its metadata names."""
        full = {"apiVersion": kind.api_version, "kind": kind.kind, **body}
        return self.call("POST", kind.path(body["metadata"].get("namespace")), full)

    def patch(self, kind: Kind, found: Object, change: Object, subresource: str = "") -> Object:
        """Merge `change` into an object; with a resourceVersion in `change`, only if the object still has it."""
        metadata = found["metadata"]
        path = kind.path(metadata.get("namespace"), metadata["name"])
        return self.call("PATCH", path + (f"/{subresource}" if subresource else ""), change, None, JSON_PATCH_MERGE)

    def replace(self, kind: Kind, body: Object) -> Object:
        """Write an object that was read; refused with 409 when another hand changed it meanwhile."""
        full = {"apiVersion": kind.api_version, "kind": kind.kind, **body}
        return self.call("PUT", kind.path(body["metadata"].get("namespace"), body["metadata"]["name"]), full)

    def delete(self, kind: Kind, namespace: str | None, name: str) -> None:
        """Delete an object; that it is gone already is no error."""
        try:
            self.call("DELETE", kind.path(namespace, name))
        except ApiError as error:
            if error.status != 404:
                raise

    def token(self, namespace: str, service_account: str, audience: str) -> str:
        """A token of the service account by the TokenRequest API, valid for an hour."""
        spec = {"audiences": [audience], "expirationSeconds": 3600}
        path = SERVICE_ACCOUNT.path(namespace, service_account) + "/token"
        body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec}
        return str(self.call("POST", path, body)["status"]["token"])

    def event(self, component: str, kind: Kind, about: Object, type_: str, reason: str, message: str) -> None:
        """Record an event; the same one again only raises its count, as client-go does."""
        self._recorder.record(component, kind, about, type_, reason, message)

    def watched(self, kind: Kind, wake: Callable[[], None], labels: str = "") -> Watched:
        """A list of all objects of `kind` that keeps itself up to date; `wake` is called after each change.

        Callers that ask for the same kind share one watch.
        """
        with self._lock:
            key = (kind.path(), labels)
            if key not in self._lists:
                self._lists[key] = Watched(self, kind, labels)
            self._lists[key].listeners.append(wake)
            return self._lists[key]

    def stream(self, path: str, query: Mapping[str, str]) -> Iterator[Object]:
        """The lines of a watch. Raises ApiError."""
        url = f"{self._server}{path}?{urlencode(query)}"
        timeout = urllib3.Timeout(connect=5, read=WATCH_SECONDS + 15)
        try:
            answer = self._pool.request("GET", url, headers=self._headers, timeout=timeout, preload_content=False)
            try:
                if answer.status >= 400:
                    raise ApiError(answer.status, _message(answer.read()))
                yield from _lines(answer)
            finally:
                answer.close()
        except urllib3.exceptions.HTTPError as error:
            raise ApiError(0, str(error)) from error


class Watched:
    """All objects of a kind, kept by a thread of its own: list, then watch, again and again.

    `synced` is false until the first list came. A kind that the cluster does not know is empty, with `known` false.
    """

    def __init__(self, cluster: Cluster, kind: Kind, labels: str) -> None:
        self.listeners: list[Callable[[], None]] = []
        self.synced = threading.Event()
        self.known = False
        self._cluster, self._kind, self._labels = cluster, kind, labels
        self._objects: dict[tuple[str, str], Object] = {}
        self._lock = threading.Lock()
        threading.Thread(target=self._run, name=f"watch-{kind.plural}", daemon=True).start()

    def all(self) -> list[Object]:
        """The objects by namespace and name. Shared with other threads: not to be changed."""
        with self._lock:
            return [self._objects[key] for key in sorted(self._objects)]

    def get(self, namespace: str | None, name: str) -> Object | None:
        """One object, or None."""
        with self._lock:
            return self._objects.get((namespace or "", name))

    def put(self, item: Object) -> None:
        """Take an object that this process just wrote, so that the next look does not miss its own write."""
        with self._lock:
            if _key(item) in self._objects:
                self._objects[_key(item)] = item

    def _run(self) -> None:
        while True:
            try:
                version = self._list()
                self._watch(version)
            except ApiError as error:
                if error.status == 404:
                    self._forget()
                elif error.status not in {0, 410, 429}:
                    log.warning("watch of %s: %s", self._kind.plural, error)
                self.synced.set()
                time.sleep(RETRY_SECONDS)
            except Exception:
                log.exception("watch of %s", self._kind.plural)
                time.sleep(RETRY_SECONDS)

    def _forget(self) -> None:
        with self._lock:
            had, self.known = self.known, False
            self._objects = {}
        if had:
            self._tell()

    def _list(self) -> str:
        query = {"labelSelector": self._labels} if self._labels else None
        answer = self._cluster.call("GET", self._kind.path(), query=query)
        with self._lock:
            self._objects = {_key(item): item for item in answer.get("items") or []}
            self.known = True
        self.synced.set()
        self._tell()
        return str(answer["metadata"]["resourceVersion"])

    def _watch(self, version: str) -> None:
        query = {"watch": "1", "allowWatchBookmarks": "true", "timeoutSeconds": str(WATCH_SECONDS)}
        if self._labels:
            query["labelSelector"] = self._labels
        while True:
            for change in self._cluster.stream(self._kind.path(), {**query, "resourceVersion": version}):
                if change["type"] == "ERROR":
                    raise ApiError(int(change["object"].get("code") or 410), str(change["object"].get("message")))
                version = str(change["object"]["metadata"]["resourceVersion"])
                if change["type"] != "BOOKMARK":
                    self._apply(change["type"], change["object"])

    def _apply(self, type_: str, item: Object) -> None:
        with self._lock:
            if type_ == "DELETED":
                self._objects.pop(_key(item), None)
            else:
                self._objects[_key(item)] = item
        self._tell()

    def _tell(self) -> None:
        for wake in list(self.listeners):
            wake()


class _Recorder:
    """Writes events and remembers them, so that one that comes again is counted instead of written anew."""

    _REMEMBERED = 2000

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._seen: dict[tuple[str, ...], Object] = {}
        self._lock = threading.Lock()

    def record(self, component: str, kind: Kind, about: Object, type_: str, reason: str, message: str) -> None:
        metadata = about["metadata"]
        key = (component, metadata["uid"], type_, reason, message)
        with self._lock, contextlib.suppress(ApiError):
            earlier = self._seen.get(key)
            if earlier is not None:
                try:
                    change = {"count": int(earlier["count"]) + 1, "lastTimestamp": now()}
                    self._seen[key] = self._cluster.patch(EVENT, earlier, change)
                    return
                except ApiError as error:
                    if error.status != 404:
                        raise
            if len(self._seen) >= self._REMEMBERED:
                self._seen.clear()
            self._seen[key] = self._cluster.create(EVENT, _event(component, kind, metadata, type_, reason, message))


def _event(component: str, kind: Kind, about: Object, type_: str, reason: str, message: str) -> Object:
    moment = now()
    return {
        "metadata": {
            "name": f"{about['name']}.{time.time_ns():x}",
            # Events about cluster-wide objects live in the namespace "default".
            "namespace": about.get("namespace") or "default",
        },
        "involvedObject": {
            "apiVersion": kind.api_version,
            "kind": kind.kind,
            "name": about["name"],
            "namespace": about.get("namespace", ""),
            "uid": about["uid"],
            "resourceVersion": about.get("resourceVersion", ""),
        },
        "type": type_,
        "reason": reason,
        # The limit that client-go and the API server put on a note.
        "message": message[:1024],
        "count": 1,
        "firstTimestamp": moment,
        "lastTimestamp": moment,
        "source": {"component": component},
        "reportingComponent": component,
    }


def now() -> str:
    """The time as Kubernetes writes it, to the second."""
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def moment(text: str) -> float:
    """Seconds since 1970 of a time that Kubernetes wrote."""
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def named(item: Object) -> str:
    """`namespace/name` of an object, or its name alone."""
    namespace = item["metadata"].get("namespace")
    return f"{namespace}/{item['metadata']['name']}" if namespace else str(item["metadata"]["name"])


def patched_finalizers(item: Object, finalizer: str, wanted: bool) -> Object | None:
    """The merge patch that adds or removes a finalizer, or None when there is nothing to do."""
    metadata = item["metadata"]
    present = list(metadata.get("finalizers") or [])
    if (finalizer in present) == wanted:
        return None
    changed = [*present, finalizer] if wanted else [name for name in present if name != finalizer]
    return {"metadata": {"finalizers": changed, "resourceVersion": metadata["resourceVersion"]}}


def annotations_of(item: Object) -> dict[str, str]:
    """The annotations of an object, also when it has none."""
    return dict(item["metadata"].get("annotations") or {})


def labels_of(item: Object) -> dict[str, str]:
    """The labels of an object, also when it has none."""
    return dict(item["metadata"].get("labels") or {})


def ready_deployment(deployments: list[Object], app: str) -> Object | None:
    """The Deployment labelled `app.kubernetes.io/name: app` that has a ready replica, or None."""
    for item in deployments:
        ready = int(item.get("status", {}).get("readyReplicas") or 0)
        if ready and labels_of(item).get("app.kubernetes.io/name") == app:
            return item
    return None


def argument(deployment: Object, name: str) -> str | None:
    """The value of `--name=value` in the arguments of the Deployment's containers."""
    for container in deployment["spec"]["template"]["spec"]["containers"]:
        for word in container.get("args") or []:
            if word.startswith(f"--{name}="):
                return str(word.split("=", 1)[1])
    return None


def _key(item: Object) -> tuple[str, str]:
    return item["metadata"].get("namespace", ""), item["metadata"]["name"]


def _lines(answer: urllib3.BaseHTTPResponse) -> Iterator[Object]:
    rest = b""
    while chunk := answer.read1(65536):
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            if line.strip():
                yield json.loads(line)


def _message(data: bytes) -> str:
    try:
        return str(json.loads(data).get("message", ""))
    except (ValueError, AttributeError):
        return data[:200].decode(errors="replace")


def _named(config: Object, many: str, name: str, one: str) -> Object:
    return next(dict(entry[one]) for entry in config[many] if entry["name"] == name)


def _tls(cluster: Object, user: Object) -> ssl.SSLContext:
    authority = _content(cluster, "certificate-authority")
    context = ssl.create_default_context(cadata=authority.decode() if authority else None)
    if cluster.get("insecure-skip-tls-verify"):
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    certificate, key = _content(user, "client-certificate"), _content(user, "client-key")
    if certificate and key:
        _load_pair(context, certificate, key)
    return context


def _load_pair(context: ssl.SSLContext, certificate: bytes, key: bytes) -> None:
    # The ssl module takes a client certificate from a file only.
    handle, path = tempfile.mkstemp()
    try:
        with os.fdopen(handle, "wb") as pair:
            pair.write(certificate + b"\n" + key)
        context.load_cert_chain(path)
    finally:
        Path(path).unlink()


def _content(entry: Object, key: str) -> bytes | None:
    if f"{key}-data" in entry:
        return base64.b64decode(entry[f"{key}-data"])
    return Path(entry[key]).read_bytes() if key in entry else None
