# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.langsmith.aws.plugins.module_utils.domain import workload


def deployment(**status: int) -> dict[str, Any]:
    return {
        "kind": "Deployment",
        "metadata": {"name": "langsmith-backend", "generation": 2},
        "spec": {"replicas": 2},
        "status": status,
    }


@pytest.mark.parametrize(
    ("status", "said"),
    [
        ({"observedGeneration": 2, "replicas": 2, "updatedReplicas": 2, "availableReplicas": 2}, None),
        ({"observedGeneration": 1, "replicas": 2, "updatedReplicas": 2, "availableReplicas": 2}, "not seen the newest"),
        (
            {"observedGeneration": 2, "replicas": 2, "updatedReplicas": 1, "availableReplicas": 2},
            "1 of 2 replicas are of",
        ),
        (
            {"observedGeneration": 2, "replicas": 3, "updatedReplicas": 2, "availableReplicas": 3},
            "1 replicas of an older",
        ),
        (
            {"observedGeneration": 2, "replicas": 2, "updatedReplicas": 2, "availableReplicas": 1},
            "1 of 2 replicas are av",
        ),
        ({}, "not seen the newest"),
    ],
)
def test_a_rollout_is_finished_only_when_all_replicas_are_new_and_available(
    status: dict[str, int], said: str | None
) -> None:
    sentences = workload.unfinished_rollouts([deployment(**status)])
    assert (said is None and sentences == []) or (said is not None and said in sentences[0])


def pod(**status: Any) -> dict[str, Any]:
    return {"metadata": {"name": "p"}, "status": status}


READY = [{"type": "Ready", "status": "True"}]


@pytest.mark.parametrize(
    ("status", "said"),
    [
        ({"phase": "Succeeded"}, None),
        ({"phase": "Running", "conditions": READY}, None),
        (
            {"containerStatuses": [{"name": "c", "state": {"waiting": {"reason": "CrashLoopBackOff"}}}]},
            "c waits: CrashLoopBackOff",
        ),
        ({"containerStatuses": [{"name": "c", "state": {"terminated": {"exitCode": 3}}}]}, "exit code 3"),
        (
            {"conditions": [{"type": "PodScheduled", "status": "False", "message": "0/2 nodes: Insufficient cpu"}]},
            "not scheduled: 0/2 nodes: Insufficient cpu",
        ),
        (
            {"phase": "Running", "containerStatuses": [{"name": "c", "restartCount": 4}]},
            "not ready (Running, 4 restarts)",
        ),
    ],
)
def test_a_pod_in_trouble_is_told_with_the_reason_of_kubernetes(status: dict[str, Any], said: str | None) -> None:
    sentences = workload.troubled_pods([pod(**status)])
    assert (said is None and sentences == []) or (said is not None and said in sentences[0])
