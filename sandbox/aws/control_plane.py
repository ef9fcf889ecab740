# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The cluster's API server as EKS itself sees it: the few calls that nodes, add-ons and tokens need."""

from __future__ import annotations

import base64
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import requests
import yaml

from sandbox import state

Manifest = dict[str, Any]
REQUEST_SECONDS = 10
# Where the kinds that the sandbox applies live: API group and version, plural, whether in a namespace.
KINDS: dict[str, tuple[str, str, bool]] = {
    "Namespace": ("api/v1", "namespaces", False),
    "Node": ("api/v1", "nodes", False),
    "Pod": ("api/v1", "pods", True),
    "PersistentVolume": ("api/v1", "persistentvolumes", False),
    "ServiceAccount": ("api/v1", "serviceaccounts", True),
    "Service": ("api/v1", "services", True),
    "ConfigMap": ("api/v1", "configmaps", True),
    "Secret": ("api/v1", "secrets", True),
    "Deployment": ("apis/apps/v1", "deployments", True),
    "DaemonSet": ("apis/apps/v1", "daemonsets", True),
    "StatefulSet": ("apis/apps/v1", "statefulsets", True),
    "ClusterRole": ("apis/rbac.authorization.k8s.io/v1", "clusterroles", False),
    "ClusterRoleBinding": ("apis/rbac.authorization.k8s.io/v1", "clusterrolebindings", False),
    "Role": ("apis/rbac.authorization.k8s.io/v1", "roles", True),
    "RoleBinding": ("apis/rbac.authorization.k8s.io/v1", "rolebindings", True),
    "StorageClass": ("apis/storage.k8s.io/v1", "storageclasses", False),
    "CSIDriver": ("apis/storage.k8s.io/v1", "csidrivers", False),
    "VolumeAttachment": ("apis/storage.k8s.io/v1", "volumeattachments", False),
    "IngressClass": ("apis/networking.k8s.io/v1", "ingressclasses", False),
    "PriorityClass": ("apis/scheduling.k8s.io/v1", "priorityclasses", False),
    "PodDisruptionBudget": ("apis/policy/v1", "poddisruptionbudgets", True),
    "Job": ("apis/batch/v1", "jobs", True),
    "Lease": ("apis/coordination.k8s.io/v1", "leases", True),
    "CustomResourceDefinition": ("apis/apiextensions.k8s.io/v1", "customresourcedefinitions", False),
    "ValidatingWebhookConfiguration": (
        "apis/admissionregistration.k8s.io/v1",
        "validatingwebhookconfigurations",
        False,
    ),
    "MutatingWebhookConfiguration": ("apis/admissionregistration.k8s.io/v1", "mutatingwebhookconfigurations", False),
}


class ControlPlaneError(Exception):
    """The API server is not there, or refused a call."""


def endpoints() -> dict[str, Any]:
    """What the state folder says about the cluster: server, ca_file and admin_kubeconfig; empty while there is none."""
    known: dict[str, Any] = state.read_json("endpoints.json", {}).get("kubernetes") or {}
    if "admin_kubeconfig" in known and Path(known["admin_kubeconfig"]).exists():
        return known
    return {}


class ControlPlane:
    """A connection with the administrator's certificate."""

    def __init__(self) -> None:
        known = endpoints()
        if not known:
            raise ControlPlaneError("the cluster's control plane has not started: endpoints.json names no kubeconfig")
        config = yaml.safe_load(Path(known["admin_kubeconfig"]).read_text())
        cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
        self.server = cluster["server"].rstrip("/")
        self._folder = tempfile.TemporaryDirectory(prefix="eks-")
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.verify = self._file(cluster, "certificate-authority", "ca") or False
        if "token" in user:
            self._session.headers["Authorization"] = f"Bearer {user['token']}"
        certificate = self._file(user, "client-certificate", "crt")
        if certificate:
            self._session.cert = (certificate, self._file(user, "client-key", "key"))

    def _file(self, section: dict[str, str], name: str, short: str) -> str:
        if name in section:
            return section[name]
        if f"{name}-data" not in section:
            return ""
        path = Path(self._folder.name) / short
        path.touch(mode=0o600)
        path.write_bytes(base64.b64decode(section[f"{name}-data"]))
        return str(path)

    def call(self, method: str, path: str, body: Any = None, content_type: str = "application/json") -> Any:
        """The answer to a request as JSON (text where it is none), None when there is no such object."""
        kwargs: dict[str, Any] = {"timeout": REQUEST_SECONDS, "headers": {"Content-Type": content_type}}
        if body is not None:
            kwargs["json"] = body
        try:
            answer = self._session.request(method, f"{self.server}/{path}", **kwargs)
        except requests.RequestException as error:
            raise ControlPlaneError(f"{self.server} does not answer: {type(error).__name__}") from error
        if answer.status_code == requests.codes.not_found:
            return None
        if not answer.ok:
            raise ControlPlaneError(f"{method} {path}: {answer.status_code} {answer.text[:300]}")
        return answer.json() if "json" in answer.headers.get("Content-Type", "") else answer.text

    def ready(self) -> bool:
        """Whether the API server says that it is ready."""
        try:
            return self.call("GET", "readyz") == "ok"
        except ControlPlaneError:
            return False

    def apply(self, manifest: Manifest, manager: str = "eks") -> Manifest:
        """Server-side apply, taking over fields that someone else set."""
        metadata = manifest["metadata"]
        path = path_of(manifest["kind"], metadata.get("namespace"), metadata["name"])
        query = f"?fieldManager={manager}&force=true"
        applied: Manifest = self.call("PATCH", path + query, manifest, "application/apply-patch+yaml")
        return applied

    def get(self, kind: str, name: str, namespace: str | None = None) -> Manifest | None:
        """One object, or None."""
        found: Manifest | None = self.call("GET", path_of(kind, namespace, name))
        return found

    def list(self, kind: str, namespace: str | None = None, query: str = "") -> list[Manifest]:
        """All objects of a kind, in all namespaces when `namespace` is None."""
        answer = self.call("GET", path_of(kind, namespace) + query)
        return list(answer["items"]) if answer else []

    def delete(self, kind: str, name: str, namespace: str | None = None, grace_seconds: int | None = None) -> None:
        """Ask for the deletion of an object; fine when there is none."""
        options: dict[str, Any] = {"propagationPolicy": "Background"}
        if grace_seconds is not None:
            options["gracePeriodSeconds"] = grace_seconds
        self.call("DELETE", path_of(kind, namespace, name), options)

    def patch(self, path: str, body: Any) -> None:
        """A merge patch of any object."""
        self.call("PATCH", path, body, "application/merge-patch+json")


def path_of(kind: str, namespace: str | None = None, name: str | None = None) -> str:
    """The URL path of a kind's collection, or of one object."""
    prefix, plural, namespaced = KINDS[kind]
    words = [prefix]
    if namespaced and namespace:
        words += ["namespaces", namespace]
    words.append(plural)
    if name:
        words.append(name)
    return "/".join(words)


def wait_ready(seconds: float) -> ControlPlane:
    """A connection once the API server is ready. Raises ControlPlaneError when it is not after `seconds`."""
    for _ in polls(seconds):
        if endpoints():
            plane = ControlPlane()
            if plane.ready():
                return plane
    raise ControlPlaneError(f"the cluster's API server was not ready within {seconds:g} s")


def polls(seconds: float, pause: float = 0.1) -> Iterator[None]:
    """Turns of a loop that looks again every `pause` seconds, for `seconds` at most and at least once."""
    deadline = time.monotonic() + seconds
    while True:
        yield
        if time.monotonic() > deadline:
            return
        time.sleep(pause)
