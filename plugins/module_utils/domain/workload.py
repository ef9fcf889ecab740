# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the status of Deployments, StatefulSets and Pods says, in sentences."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any


def unfinished_rollouts(workloads: Iterable[Mapping[str, Any]]) -> list[str]:
    """A sentence for each Deployment or StatefulSet that does not run what its spec asks for, and nothing else.

    The three conditions are those of ``kubectl rollout status``: the controller has seen the spec, every replica is of
    the newest revision, and every replica is available.
    """
    return [sentence for workload in workloads for sentence in _unfinished(workload)]


def _unfinished(workload: Mapping[str, Any]) -> Iterator[str]:
    name = f"{workload['kind']} {workload['metadata']['name']}"
    wanted = workload["spec"].get("replicas", 1)
    status = workload.get("status") or {}
    if status.get("observedGeneration", 0) < workload["metadata"].get("generation", 0):
        yield f"{name}: its controller has not seen the newest spec yet"
        return
    updated, available = status.get("updatedReplicas", 0), status.get("availableReplicas", 0)
    if updated < wanted:
        yield f"{name}: {updated} of {wanted} replicas are of the newest revision"
    elif status.get("replicas", 0) > wanted:
        yield f"{name}: {status['replicas'] - wanted} replicas of an older revision still run"
    elif available < wanted:
        yield f"{name}: {available} of {wanted} replicas are available"


def troubled_pods(pods: Iterable[Mapping[str, Any]]) -> list[str]:
    """A sentence for each pod that neither runs ready nor has completed, with the reason that Kubernetes gives."""
    return [f"pod {pod['metadata']['name']}: {trouble}" for pod in pods if (trouble := _trouble(pod))]


def _trouble(pod: Mapping[str, Any]) -> str:
    status = pod.get("status") or {}
    if status.get("phase") == "Succeeded":
        return ""
    for container in [*status.get("initContainerStatuses", []), *status.get("containerStatuses", [])]:
        state = container.get("state") or {}
        waiting, ended = state.get("waiting"), state.get("terminated")
        if waiting:
            why = f"{waiting.get('reason', 'no reason given')} {waiting.get('message', '')}"
            return f"{container['name']} waits: {why}".strip()
        if ended and ended.get("exitCode"):
            return f"{container['name']} ended with exit code {ended['exitCode']}"
    conditions = {condition["type"]: condition for condition in status.get("conditions", [])}
    unscheduled = conditions.get("PodScheduled", {})
    if unscheduled.get("status") == "False":
        return f"not scheduled: {unscheduled.get('message') or unscheduled.get('reason', 'no reason given')}"
    if conditions.get("Ready", {}).get("status") == "True":
        return ""
    restarts = sum(container.get("restartCount", 0) for container in status.get("containerStatuses", []))
    return f"not ready ({status.get('phase', 'no status yet')}, {restarts} restarts)"
