# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Events about pods, counted up when they repeat, as the kubelet's are."""

from __future__ import annotations

import datetime
import secrets
import threading

from sandbox.controlplane.client import ApiError, Client, Object


def now() -> str:
    """This moment as Kubernetes writes it."""
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class Events:
    """Writes events; one that cannot be written is left out, as they are a help and no record."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._lock = threading.Lock()
        self._seen: dict[tuple[str, ...], tuple[str, int]] = {}

    def write(self, pod: Object, kind: str, reason: str, message: str, container: str = "") -> None:
        metadata = pod["metadata"]
        key = (metadata["uid"], reason, message, container)
        with self._lock:
            name, count = self._seen.get(key, (f"{metadata['name']}.{secrets.token_hex(8)}", 0))
            self._seen[key] = (name, count + 1)
        path = f"/api/v1/namespaces/{metadata['namespace']}/events"
        try:
            if count:
                self._client.patch(f"{path}/{name}", {"count": count + 1, "lastTimestamp": now()})
            else:
                self._client.post(path, self._event(pod, name, kind, reason, message, container))
        except (ApiError, OSError):
            return

    def forget(self, uid: str) -> None:
        with self._lock:
            for key in [key for key in self._seen if key[0] == uid]:
                del self._seen[key]

    def _event(self, pod: Object, name: str, kind: str, reason: str, message: str, container: str) -> Object:
        metadata, moment = pod["metadata"], now()
        involved = {
            "kind": "Pod",
            "apiVersion": "v1",
            "namespace": metadata["namespace"],
            "name": metadata["name"],
            "uid": metadata["uid"],
        }
        if container:
            involved["fieldPath"] = f"spec.containers{{{container}}}"
        return {
            "metadata": {"name": name, "namespace": metadata["namespace"]},
            "involvedObject": involved,
            "type": kind,
            "reason": reason,
            "message": message,
            "source": {"component": "kubelet", "host": pod["spec"].get("nodeName", "")},
            "reportingComponent": "kubelet",
            "reportingInstance": pod["spec"].get("nodeName", ""),
            "firstTimestamp": moment,
            "lastTimestamp": moment,
            "count": 1,
        }
