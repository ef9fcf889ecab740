# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The status of a pod, from its containers."""

from __future__ import annotations

from collections.abc import Sequence

from sandbox.controlplane.client import Object
from sandbox.pods.container import Container


def phase(containers: Sequence[Container], initialized: bool, failed_init: bool) -> str:
    """Pending, Running, Succeeded or Failed by the rules of the kubelet."""
    if failed_init:
        return "Failed"
    if not initialized:
        return "Pending"
    ends = [container.ended for container in containers]
    if all(ends):
        return "Succeeded" if all(end and end["exitCode"] == 0 for end in ends) else "Failed"
    begun = all(container.running or container.ended or container.last_state for container in containers)
    return "Running" if begun else "Pending"


def conditions(
    pod: Object, containers: Sequence[Container], initialized: bool, phase_now: str, moment: str
) -> list[Object]:
    """The conditions that a kubelet owns; a time is kept where the value is."""
    unready = [container.name for container in containers if not container.ready]
    over = phase_now in {"Succeeded", "Failed"}
    trouble: Object = {}
    if over:
        trouble = {"reason": "PodCompleted" if phase_now == "Succeeded" else "PodFailed"}
    elif unready:
        names = " ".join(unready)
        trouble = {"reason": "ContainersNotReady", "message": f"containers with unready status: [{names}]"}
    ready = not unready and not over
    gate = _closed_gate(pod)
    wanted = [
        {"type": "PodReadyToStartContainers", "status": _truth(not over)},
        {"type": "Initialized", "status": _truth(initialized), **({} if initialized else _uninitialized(pod))},
        {"type": "ContainersReady", "status": _truth(ready), **trouble},
        {"type": "Ready", "status": _truth(ready and not gate), **(trouble or (_gated(gate) if gate else {}))},
        {"type": "PodScheduled", "status": "True"},
    ]
    before = {item["type"]: item for item in pod.get("status", {}).get("conditions", [])}
    for item in wanted:
        same = before.get(item["type"], {}).get("status") == item["status"]
        item["lastTransitionTime"] = before[item["type"]]["lastTransitionTime"] if same else moment
        item.setdefault("reason", "")
        item.setdefault("message", "")
    return wanted


def _truth(value: bool) -> str:
    return "True" if value else "False"


def _uninitialized(pod: Object) -> Object:
    names = " ".join(item["name"] for item in pod["spec"].get("initContainers", []))
    return {"reason": "ContainersNotInitialized", "message": f"containers with incomplete status: [{names}]"}


def _closed_gate(pod: Object) -> str | None:
    now_true = {item["type"] for item in pod.get("status", {}).get("conditions", []) if item["status"] == "True"}
    for gate in pod["spec"].get("readinessGates", []):
        if gate["conditionType"] not in now_true:
            return str(gate["conditionType"])
    return None


def _gated(gate: str) -> Object:
    message = f'corresponding condition of pod readiness gate "{gate}" does not exist or is not True.'
    return {"reason": "ReadinessGatesNotReady", "message": message}
