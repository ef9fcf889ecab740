# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The life of one pod on its node, in a thread of its own: volumes, init containers, containers, the end."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

from sandbox import network, state
from sandbox.controlplane import kwok
from sandbox.controlplane.client import STRATEGIC, Client, NotFoundError, Object
from sandbox.pods import resolve, status
from sandbox.pods.container import Container, Surroundings
from sandbox.pods.events import Events, now
from sandbox.pods.mirror import UNREACHABLE
from sandbox.pods.volumes import Volumes

STEP_SECONDS = 0.1
REFRESH_SECONDS = 15
REPOSITORY = state.REPOSITORY
PASSED_ON = ("PATH", "HOME", "LANG", "XDG_CACHE_HOME", "TMPDIR")


class Worker:
    """`pod` is the newest version of the object; whoever sees a newer one hands it to `update`."""

    def __init__(self, client: Client, events: Events, pod: Object, address: str, node_address: str) -> None:
        self.pod, self._client, self._events = pod, client, events
        self.address, self._node_address = address, node_address
        self.uid: str = pod["metadata"]["uid"]
        self._name, self._namespace = pod["metadata"]["name"], pod["metadata"]["namespace"]
        self._path = f"/api/v1/namespaces/{self._namespace}/pods/{self._name}"
        self.folder = state.root() / "pods" / self.uid
        self.log_folder = self.folder / "logs"
        self._removed, self._wake = threading.Event(), threading.Event()
        self._sent: Object = {}
        self._started_text = pod.get("status", {}).get("startTime") or now()
        self._logs_changed = True
        self._next_refresh = self._last_grace = 0.0
        sources = resolve.ClusterSources(client)
        volumes = Volumes(client, sources, self._located(pod), self.folder / "volumes")
        self._around = Surroundings(
            client, sources, events, self._located(pod), address, self.log_folder, volumes, {}, self._log_changed
        )
        self._around.base = self._base()
        before = _by_name(pod.get("status", {}))
        policy = pod["spec"].get("restartPolicy", "Always")
        once = "Never" if policy == "Never" else "OnFailure"
        self._init, self._sidecars = [], []
        for spec in pod["spec"].get("initContainers", []):
            sidecar = spec.get("restartPolicy") == "Always"
            container = Container(spec, self._around, "Always" if sidecar else once, before.get(spec["name"]))
            self._init.append(container)
            if sidecar:
                self._sidecars.append(container)
        self._containers = [
            Container(spec, self._around, policy, before.get(spec["name"])) for spec in pod["spec"]["containers"]
        ]
        self._thread = threading.Thread(target=self._run, name=f"pod {self._namespace}/{self._name}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def update(self, pod: Object) -> None:
        """Take a newer version of the object."""
        self.pod = pod
        self._wake.set()

    def remove(self, grace_seconds: float = 0) -> None:
        """The object is gone, or its node stops: end the processes too."""
        self._last_grace = grace_seconds
        self._removed.set()
        self._wake.set()

    def join(self) -> None:
        self._thread.join()

    def _located(self, pod: Object) -> Object:
        """The object as the downward API shows it, with its addresses."""
        addresses = {"podIP": self.address, "hostIP": self._node_address}
        return {**pod, "status": {**pod.get("status", {}), **addresses}}

    def _base(self) -> dict[str, str]:
        """What the sandbox gives every process: its network, its node's view of AWS, and no environment of ours."""
        paths = [str(REPOSITORY), str(Path(__file__).parent / "network")]
        return {
            **{name: os.environ[name] for name in PASSED_ON if name in os.environ},
            "HOSTNAME": self._name,
            "KUBERNETES_SERVICE_HOST": network.KUBERNETES_SERVICE,
            "KUBERNETES_SERVICE_PORT": "443",
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{state.port('aws')}",
            "AWS_EC2_METADATA_DISABLED": "true",
            "SANDBOX_POD_IP": network.loopback(self.address),
            "SANDBOX_POD_NAMESPACE": self._namespace,
            "SANDBOX_NETWORK_PREFIX": str(network.prefix()),
            "SANDBOX_LOW_PORTS": "1" if network.low_ports_allowed() else "",
            "PYTHONPATH": os.pathsep.join(paths),
            "PYTHONUNBUFFERED": "1",
            state.FOLDER_VARIABLE: str(state.root()),
        }

    def _run(self) -> None:
        while not self._removed.is_set():
            try:
                if "deletionTimestamp" in self.pod["metadata"]:
                    self._end()
                    break
                self._step()
            except NotFoundError:
                # The object went between two looks, or its namespace did; the watch says so soon.
                self._wake.wait(STEP_SECONDS)
            except UNREACHABLE as error:
                print(f"{self._namespace}/{self._name}: {error}", flush=True)
                self._wake.wait(1)
            self._wake.wait(STEP_SECONDS)
            self._wake.clear()
        self._stop(self._last_grace, time.sleep)
        self._events.forget(self.uid)

    def _step(self) -> None:
        if self._volumes_ready():
            self._step_containers()
        self._publish()

    def _volumes_ready(self) -> bool:
        if time.monotonic() < self._next_refresh:
            return bool(self._around.volumes.paths) or not self.pod["spec"].get("volumes")
        try:
            self._around.volumes.refresh()
        except resolve.MissingError as error:
            if not self._begun:
                self._events.write(self.pod, "Warning", "FailedMount", str(error))
            self._next_refresh = time.monotonic() + (REFRESH_SECONDS if self._begun else 1)
            if not self._begun:
                self._around.volumes.paths.clear()
            return self._begun
        self._next_refresh = time.monotonic() + REFRESH_SECONDS
        return True

    @property
    def _begun(self) -> bool:
        return any(container.state.get("running") for container in [*self._init, *self._containers])

    def _step_containers(self) -> None:
        for container in self._init:
            container.step()
            started = container in self._sidecars and container.passed_startup
            if not started and not _succeeded(container):
                return
        for container in self._containers:
            container.step()
        if all(container.ended for container in self._containers):
            for sidecar in self._sidecars:
                sidecar.stop(self._grace())
                sidecar.mark_stopped()

    @property
    def _initialized(self) -> bool:
        return all(_succeeded(item) or (item in self._sidecars and item.passed_startup) for item in self._init)

    def _publish(self) -> None:
        self._publish_logs()
        failed_init = any(item.ended and item.ended["exitCode"] for item in self._init)
        phase = status.phase(self._containers, self._initialized, failed_init)
        wanted: Object = {
            "phase": phase,
            "hostIP": self._node_address,
            "hostIPs": [{"ip": self._node_address}],
            "podIP": self.address,
            "podIPs": [{"ip": self.address}],
            "startTime": self._started_text,
            "qosClass": self.pod.get("status", {}).get("qosClass", "Burstable"),
            "containerStatuses": [container.status() for container in self._containers],
            "conditions": status.conditions(self.pod, self._containers, self._initialized, phase, now()),
        }
        if self._init:
            wanted["initContainerStatuses"] = [container.status() for container in self._init]
        if _timeless(wanted) != _timeless(self._sent):
            self._client.patch(f"{self._path}/status", {"metadata": {"uid": self.uid}, "status": wanted}, STRATEGIC)
            self._sent = wanted

    def _log_changed(self) -> None:
        self._logs_changed = True

    def _publish_logs(self) -> None:
        """Tell kwok, which serves `kubectl logs` and `kubectl port-forward`, where this pod's are."""
        if not self._logs_changed:
            return
        everything = [*self._init, *self._containers]
        logs = []
        for container in everything:
            entry = {"containers": [container.name], "logsFile": str(container.log)}
            if container.previous_log:
                entry["previousLogsFile"] = str(container.previous_log)
            logs.append(entry)
        self._tell("logs", "Logs", {"logs": logs})
        ports = {port["containerPort"] for item in everything for port in item.spec.get("ports", [])}
        host = network.loopback(self.address)
        forwards = [
            {"ports": [port], "target": {"port": network.real_port(port), "address": host}} for port in sorted(ports)
        ]
        if forwards:
            self._tell("portforwards", "PortForward", {"forwards": forwards})
        self._logs_changed = False

    def _tell(self, plural: str, kind: str, spec: Object) -> None:
        owner = {"apiVersion": "v1", "kind": "Pod", "name": self._name, "uid": self.uid}
        metadata = {"name": self._name, "namespace": self._namespace, "ownerReferences": [owner]}
        body = {"apiVersion": f"{kwok.GROUP}/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec}
        self._client.apply(f"/apis/{kwok.GROUP}/v1alpha1/namespaces/{self._namespace}/{plural}/{self._name}", body)

    def _grace(self) -> float:
        given = self.pod["metadata"].get("deletionGracePeriodSeconds")
        return float(self.pod["spec"].get("terminationGracePeriodSeconds", 30) if given is None else given)

    def _end(self) -> None:
        """What follows a deletion: the processes are asked to end, then the object goes."""
        for container in [*self._init, *self._containers]:
            if container.running:
                message = f"Stopping container {container.name}"
                self._events.write(self.pod, "Normal", "Killing", message, container.name)
        self._stop(self._grace(), self._removed.wait)
        for container in [*self._init, *self._containers]:
            container.mark_stopped()
        self._logs_changed = False
        self._publish()
        options = {"gracePeriodSeconds": 0, "preconditions": {"uid": self.uid}}
        self._client.delete(self._path, options)

    def _stop(self, grace_seconds: float, wait: Callable[[float], object]) -> None:
        running = [item for item in [*self._init, *self._containers] if item.running]
        threads = [threading.Thread(target=item.stop, args=(grace_seconds, wait)) for item in running]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


def _succeeded(container: Container) -> bool:
    return container.ended is not None and container.ended["exitCode"] == 0


def _by_name(known: Object) -> dict[str, Object]:
    statuses = [*known.get("initContainerStatuses", []), *known.get("containerStatuses", [])]
    return {item["name"]: item for item in statuses}


def _timeless(value: Object) -> Object:
    """A status without the times of its conditions, which alone are no news."""
    plain = [{key: item[key] for key in item if key != "lastTransitionTime"} for item in value.get("conditions", [])]
    return {**value, "conditions": plain}
