# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`python -m sandbox.pods`: runs the pods of every node until it is told to stop, and their processes end with it."""

from __future__ import annotations

import contextlib
import http.client
import shutil
import threading

from sandbox import state, supervisor
from sandbox.controlplane.client import ApiError, Client, Object
from sandbox.ending import Ending
from sandbox.pods import identity
from sandbox.pods.addresses import Addresses
from sandbox.pods.events import Events
from sandbox.pods.mirror import Mirror
from sandbox.pods.proxy import Proxy
from sandbox.pods.worker import Worker

READY = "pods.ready"
# Signals may come to a thread that waits for a lock; a short wait lets Python see them.
LOOK_SECONDS = 0.5
# How long a store may take to close its files when the sandbox stops.
GRACE_SECONDS = 5.0


class Kubelets:
    """One worker per pod that a node was chosen for."""

    def __init__(self, client: Client) -> None:
        self._client, self._events, self._addresses = client, Events(client), Addresses()
        self._workers: dict[str, Worker] = {}
        self._lock = threading.Lock()
        self.nodes = Mirror(client, "/api/v1/nodes", self._node_changed, self._node_gone)
        self.pods = Mirror(client, "/api/v1/pods", self._pod_changed, self._pod_gone, fieldSelector="spec.nodeName!=")

    def start(self) -> None:
        """Take up what there is, and follow what comes."""
        self.nodes.start()
        self.nodes.synced.wait()
        for pod in self._client.get("/api/v1/pods")["items"]:
            address = pod.get("status", {}).get("podIP")
            if address and not pod["spec"].get("hostNetwork"):
                self._addresses.claim(pod["metadata"]["uid"], address)
        self.pods.start()
        self.pods.synced.wait()

    def stop(self) -> None:
        """End every process."""
        with self._lock:
            workers = list(self._workers.values())
        for worker in workers:
            worker.remove(GRACE_SECONDS)
        for worker in workers:
            worker.join()

    def _node_changed(self, node: Object) -> None:
        address = node_address(node)
        if address:
            self._addresses.claim(node["metadata"]["uid"], address)
        # Pods may have been scheduled before the node had its address.
        for pod in list(self.pods.objects.values()) if hasattr(self, "pods") else []:
            if pod["metadata"]["uid"] not in self._workers:
                self._pod_changed(pod)

    def _node_gone(self, node: Object) -> None:
        self._addresses.free(node["metadata"]["uid"])

    def _pod_changed(self, pod: Object) -> None:
        uid = pod["metadata"]["uid"]
        with self._lock:
            worker = self._workers.get(uid)
            if worker is None:
                worker = self._new_worker(pod)
                if worker is None:
                    return
                self._workers[uid] = worker
                worker.start()
        worker.update(pod)

    def _new_worker(self, pod: Object) -> Worker | None:
        node = next(
            (item for item in list(self.nodes.objects.values()) if _name(item) == pod["spec"]["nodeName"]), None
        )
        address = node_address(node) if node else None
        if address is None:
            return None
        uid = pod["metadata"]["uid"]
        try:
            own = address if pod["spec"].get("hostNetwork") else self._addresses.give(uid, address)
        except LookupError as error:
            self._events.write(pod, "Warning", "FailedCreatePodSandBox", f"failed to assign an IP address: {error}")
            return None
        return Worker(self._client, self._events, pod, own, address)

    def _pod_gone(self, pod: Object) -> None:
        uid = pod["metadata"]["uid"]
        self._addresses.free(uid)
        with self._lock:
            worker = self._workers.pop(uid, None)
        if worker is not None:
            worker.remove()
            worker.join()
            shutil.rmtree(worker.folder, ignore_errors=True)


def _name(item: Object) -> str:
    return str(item["metadata"]["name"])


def node_address(node: Object) -> str | None:
    """The node's own address in the VPC, once kwok has told it."""
    for entry in node.get("status", {}).get("addresses", []):
        if entry["type"] == "InternalIP":
            return str(entry["address"])
    return None


def clear_leftovers() -> None:
    """End the processes that a killed predecessor left, and drop the folders of pods that are no more."""
    for part in supervisor.running():
        if part.name.startswith("pod-"):
            supervisor.stop(part.name, timeout=1)


def clear_folders(client: Client) -> None:
    """Drop the folders of pods that ended while nobody looked."""
    here = {pod["metadata"]["uid"] for pod in client.get("/api/v1/pods")["items"]}
    folder = state.root() / "pods"
    for path in folder.iterdir() if folder.exists() else []:
        if path.name not in here:
            shutil.rmtree(path, ignore_errors=True)


def main() -> None:
    """Run until SIGTERM."""
    ready = state.root() / "run" / READY
    ready.unlink(missing_ok=True)
    ending = Ending()
    client = Client()
    clear_leftovers()
    with contextlib.suppress(OSError, ApiError, http.client.HTTPException):
        clear_folders(client)
    identity.start(client)
    Proxy(client).start()
    kubelets = Kubelets(client)
    kubelets.start()
    ready.touch()
    while not ending.wait(LOOK_SECONDS):
        pass
    ready.unlink(missing_ok=True)
    kubelets.stop()


if __name__ == "__main__":
    main()
