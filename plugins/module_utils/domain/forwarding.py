# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which pod and port a name used inside a cluster means, from what the Kubernetes API says of Services and pods."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.langsmith.aws.plugins.module_utils.domain.errors import ProjectError

#: A Kubernetes object as its JSON has it.
Object = Mapping[str, Any]


class DialError(ProjectError):
    """There is no way to a host; the text is a sentence without its full stop."""

    def __init__(self, reason: str, *, timed_out: bool = False) -> None:
        super().__init__(reason)
        self.timed_out = timed_out


class DeniedError(DialError):
    """The API server is there and knows the user, who has no right to this one thing."""


@dataclass(frozen=True)
class ClusterHost:
    """A Service's or a pod's name in a namespace; ``pod`` where the name itself says that it is a pod's."""

    name: str
    namespace: str
    pod: bool = False

    def __str__(self) -> str:
        return f"{self.name} in namespace {self.namespace}"


def parse_host(host: str, namespace: str) -> ClusterHost:
    """The meaning of ``name``, ``name.ns``, ``name.ns.svc[.cluster.local]`` or ``pod.service.ns[.svc[...]]``.

    ``namespace`` is the one of a name that says none. Raises DialError for any other form.
    """
    labels = host.rstrip(".").split(".")
    if "svc" in labels[1:]:
        labels = labels[: labels.index("svc", 1)]
        told = len(labels) > 1
    else:
        told = True
    if not all(labels) or not told or len(labels) > 3:
        raise DialError(
            f"{host!r} is no name inside a cluster; give service, service.namespace or pod.service.namespace"
        )
    if len(labels) == 3:
        return ClusterHost(labels[0], labels[2], pod=True)
    return ClusterHost(labels[0], labels[1] if len(labels) == 2 else namespace)


def selector(service: Object) -> str | None:
    """The label selector of a Service's pods as the API takes it, or None where it has none.

    Raises DialError for an ExternalName, which leads out of the cluster.
    """
    spec = service["spec"]
    if spec.get("type") == "ExternalName":
        raise DialError(
            f"Service {_name(service)} is the external name {spec.get('externalName')}; ask that name directly"
        )
    chosen = spec.get("selector") or {}
    return ",".join(f"{key}={value}" for key, value in sorted(chosen.items())) or None


def ready_pod(service: Object, pods: Sequence[Object]) -> Object:
    """The first ready pod by name. Raises DialError that tells the state of those that are not."""
    ready = sorted((pod for pod in pods if is_ready(pod)), key=_name)
    if ready:
        return ready[0]
    states = "; ".join(sorted(f"{_name(pod)} is {_state(pod)}" for pod in pods)) or "its selector fits no pod"
    raise DialError(f"Service {_name(service)} has no ready pod: {states}")


def is_ready(pod: Object) -> bool:
    """Whether a pod takes connections, and goes on to."""
    if "deletionTimestamp" in pod["metadata"]:
        return False
    conditions = pod.get("status", {}).get("conditions") or []
    return any(item["type"] == "Ready" and item["status"] == "True" for item in conditions)


def target_port(service: Object, port: int, pod: Object) -> int:
    """The port of ``pod`` behind ``port`` of the Service. Raises DialError when there is none."""
    if service["spec"].get("clusterIP") == "None":
        # A headless Service is its pods' addresses; nothing translates ports.
        return port
    wanted = _service_port(service, port).get("targetPort", port)
    if isinstance(wanted, int):
        return wanted
    containers = [*pod["spec"].get("initContainers", []), *pod["spec"]["containers"]]
    for declared in (item for container in containers for item in container.get("ports", [])):
        if declared.get("name") == wanted:
            return int(declared["containerPort"])
    raise DialError(f"port {port} of Service {_name(service)} is {wanted!r}, which pod {_name(pod)} does not declare")


def endpoint(service: Object, port: int, slices: Sequence[Object]) -> tuple[str, int]:
    """Pod and port behind a Service without a selector, from its EndpointSlices. Raises DialError."""
    headless = service["spec"].get("clusterIP") == "None"
    name = None if headless else _service_port(service, port).get("name")
    for part in slices:
        ports = [item["port"] for item in part.get("ports") or [] if (item.get("name") or None) == (name or None)]
        for found in part.get("endpoints") or []:
            target = found.get("targetRef") or {}
            ready = (found.get("conditions") or {}).get("ready", True)
            if ready and target.get("kind") == "Pod" and (headless or ports):
                return str(target["name"]), port if headless else int(ports[0])
    raise DialError(
        f"Service {_name(service)} selects no pods and no ready endpoint of it is one; ask its addresses directly"
    )


def _service_port(service: Object, port: int) -> Object:
    ports: Sequence[Object] = service["spec"].get("ports") or []
    for item in ports:
        if item["port"] == port:
            return item
    has = ", ".join(str(item["port"]) for item in ports) or "none"
    raise DialError(f"Service {_name(service)} has no port {port}; it has {has}")


def _name(item: Object) -> str:
    return str(item["metadata"]["name"])


def _state(pod: Object) -> str:
    if "deletionTimestamp" in pod["metadata"]:
        return "being deleted"
    status = pod.get("status", {})
    waiting = [item.get("state", {}).get("waiting", {}).get("reason") for item in status.get("containerStatuses") or []]
    reasons = [str(reason) for reason in waiting if reason]
    phase = str(status.get("phase", "unknown"))
    return reasons[0] if reasons else "running but not ready" if phase == "Running" else phase
