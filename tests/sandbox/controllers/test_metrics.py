# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The metrics API: the arithmetic alone, then kubectl and the real autoscaler on a real control plane."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sandbox import state
from sandbox.controllers.kubernetes import APPS, DEPLOYMENT, NODE, POD, Kind, Object
from sandbox.controllers.metrics import ADDON, API_SERVICE, API_SERVICE_NAME, Process, Usage, members, snapshot
from tests.sandbox.controllers.world import NAME, World, until

HPA = Kind("/apis/autoscaling/v2", "horizontalpodautoscalers", "HorizontalPodAutoscaler")
# A fifth of a core, in slices short enough to be a fifth of every window.
BURN = """
import time
while True:
    end = time.process_time() + 0.02
    while time.process_time() < end:
        pass
    time.sleep(0.08)
"""


def pod(name: str, node: str, *containers: str) -> Object:
    statuses = [{"name": item, "state": {"running": {}}} for item in containers]
    metadata = {"name": name, "namespace": "default", "uid": name}
    return {"metadata": metadata, "spec": {"nodeName": node}, "status": {"containerStatuses": statuses}}


def test_a_container_is_its_session_and_the_descendants_that_left_it() -> None:
    table = {
        10: Process(parent=1, session=10, ticks=0),
        11: Process(parent=10, session=10, ticks=0),
        12: Process(parent=11, session=12, ticks=0),
        13: Process(parent=12, session=12, ticks=0),
        # Its parent ended, yet it is of the session still.
        14: Process(parent=1, session=10, ticks=0),
        20: Process(parent=1, session=20, ticks=0),
        30: Process(parent=1, session=30, ticks=0),
    }
    assert members([10, 20, 99], table) == {10: [10, 11, 12, 13, 14], 20: [20], 99: []}


def test_a_node_is_the_sum_of_its_pods_and_one_without_pods_idles() -> None:
    pods = [pod("a", "one", "main", "sidecar"), pod("b", "one", "main"), pod("c", "two", "main")]
    usages = {(uid, name): Usage(0.5, 100, 15, 0) for uid, name in (("a", "main"), ("a", "sidecar"), ("b", "main"))}
    found = snapshot(pods, usages, Usage(0, 0, 15, 0))
    assert found.node("one") == Usage(1.5, 300, 15, 0)
    assert found.node("two") == found.node("three") == Usage(0, 0, 15, 0)


def test_a_pod_is_left_out_until_each_of_its_containers_can_be_told_of() -> None:
    pods = [pod("a", "one", "main", "sidecar"), pod("b", "one")]
    found = snapshot(pods, {("a", "main"): Usage(0.5, 100, 15, 0)}, None)
    assert found.pods == {}
    assert found.node("one") is None


def test_quantities_are_written_as_metrics_server_writes_them() -> None:
    assert Usage(0.25, 3 << 20, 15, 0).quantities() == {"cpu": "250000000n", "memory": "3072Ki"}


def kubectl(*arguments: str) -> subprocess.CompletedProcess[str]:
    found = state.read_json("endpoints.json")
    argv = [str(Path(found["bin"]) / "kubectl"), "--kubeconfig", found["kubernetes"]["admin_kubeconfig"], *arguments]
    return subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)


def top(*arguments: str) -> dict[str, tuple[int, int]]:
    """Millicores and MiB by name; empty as long as kubectl gets none."""
    done = kubectl("top", *arguments, "--no-headers")
    rows = [line.split() for line in done.stdout.splitlines()] if done.returncode == 0 else []
    first = 1 if "-A" in arguments else 0
    cells = {row[first]: [cell for cell in row[first + 1 :] if not cell.endswith("%")] for row in rows}
    return {name: (int(cpu.removesuffix("m")), int(memory.removesuffix("Mi"))) for name, (cpu, memory) in cells.items()}


def available(world: World) -> tuple[str, str] | None:
    """Status and reason of the APIService's condition Available."""
    found = world.cluster.get(API_SERVICE, None, API_SERVICE_NAME) or {}
    for entry in (found.get("status") or {}).get("conditions") or []:
        if entry["type"] == "Available":
            return entry["status"], entry["reason"]
    return None


def burning_pods(world: World) -> list[str]:
    query = {"labelSelector": "app=burner"}
    return [item["metadata"]["name"] for item in world.cluster.call("GET", POD.path("burn"), query=query)["items"]]


@pytest.fixture(scope="module")
def measured(world: World) -> Iterator[World]:
    """The add-on of EKS, and a Deployment whose pod burns ten times the CPU that it asks for, with an autoscaler."""
    with state.update_json("settings.json", {}) as settings:
        settings.setdefault("images", {})["burner"] = [sys.executable, "-c"]
    world.aws("eks").create_addon(clusterName=NAME, addonName=ADDON)
    namespace = world.namespace("burn")
    resources = {"requests": {"cpu": "20m"}}
    container: dict[str, Any] = {"name": "main", "image": "burner:1", "args": [BURN], "resources": resources}
    template = {"metadata": {"labels": {"app": "burner"}}, "spec": {"containers": [container]}}
    spec = {"selector": {"matchLabels": {"app": "burner"}}, "template": template}
    burner = world.cluster.create(DEPLOYMENT, {"metadata": {"name": "burner", "namespace": namespace}, "spec": spec})
    target = {"type": "Utilization", "averageUtilization": 100}
    spec = {
        "scaleTargetRef": {"apiVersion": APPS.removeprefix("/apis/"), "kind": "Deployment", "name": "burner"},
        "maxReplicas": 2,
        "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": target}}],
    }
    world.cluster.create(HPA, {"metadata": {"name": "burner", "namespace": namespace}, "spec": spec})
    yield world
    world.cluster.delete(HPA, namespace, "burner")
    world.cluster.delete(DEPLOYMENT, namespace, burner["metadata"]["name"])
    world.aws("eks").delete_addon(clusterName=NAME, addonName=ADDON)
    until("the API stays", lambda: world.cluster.get(API_SERVICE, None, API_SERVICE_NAME) is None)


@pytest.mark.sandbox
def test_kubectl_top_shows_the_cpu_that_a_pod_really_burns_and_its_node_as_the_sum(measured: World) -> None:
    nodes = {item["metadata"]["name"] for item in measured.cluster.call("GET", NODE.path())["items"]}
    assert until("no metrics of nodes", lambda: top("nodes")).keys() == nodes
    first = until("no burning pod", lambda: burning_pods(measured))[0]
    until("no metrics of the burning pod", lambda: first in top("pods", "-n", "burn"))
    # Other work on this machine may hold the process up, and whoever looks at it between two looks at the clock.
    until("not as much as it burns", lambda: 40 <= top("pods", "-n", "burn").get(first, (0, 0))[0] <= 230)
    found = until("no metrics of all pods", lambda: top("pods", "-A"))
    assert 1 <= found[first][1] <= 100
    # Nothing runs in the pods of the add-on, and that is what is told of them.
    assert {found[name] for name in found if name.startswith(ADDON)} == {(0, 0)}
    assert until("the node does not count it", lambda: max((cpu for cpu, _ in top("nodes").values()), default=0) >= 40)
    # The autoscaler may add a pod meanwhile, which is left out until it has run for a window.
    until(
        "not every burning pod is told of",
        lambda: top("pods", "-n", "burn", "-l", "app in (burner)").keys() == set(burning_pods(measured)),
    )
    assert top("pods", "-n", "burn", "-l", "app!=burner") == {}
    missing = 'Error from server (NotFound): podmetrics.metrics.k8s.io "burn/absent" not found'
    until("not told as missing", lambda: kubectl("top", "pod", "absent", "-n", "burn").stderr.strip() == missing)


@pytest.mark.sandbox
def test_an_autoscaler_gives_a_pod_that_burns_too_much_a_second_one(measured: World) -> None:
    def rescaled() -> bool:
        found = measured.cluster.get(HPA, "burn", "burner")
        return found is not None and (found.get("status") or {}).get("desiredReplicas") == 2

    until("not scaled up", rescaled)
    until("no second pod", lambda: len(burning_pods(measured)) == 2)
    found = measured.cluster.get(HPA, "burn", "burner")
    assert found is not None
    events = until("no event", lambda: [item[2] for item in measured.events(found) if item[1] == "SuccessfulRescale"])
    assert events == ["New size: 2; reason: cpu resource utilization (percentage of request) above target"]


@pytest.mark.sandbox
def test_the_api_is_available_only_while_the_add_on_has_a_ready_replica(measured: World) -> None:
    until("not available", lambda: available(measured) == ("True", "Passed"))
    deployment = measured.cluster.get(DEPLOYMENT, "kube-system", ADDON)
    assert deployment is not None
    measured.cluster.patch(DEPLOYMENT, deployment, {"spec": {"replicas": 0}})
    until("still available", lambda: available(measured) == ("False", "FailedDiscoveryCheck"))
    measured.cluster.patch(DEPLOYMENT, deployment, {"spec": {"replicas": deployment["spec"]["replicas"]}})
    until("not available again", lambda: available(measured) == ("True", "Passed"))


@pytest.mark.sandbox
def test_who_may_view_a_namespace_sees_its_metrics_and_nobody_else(measured: World) -> None:
    until("not available", lambda: available(measured) == ("True", "Passed"))
    bound = kubectl("create", "rolebinding", "viewer", "-n", "burn", "--clusterrole=view", "--user=viewer")
    assert bound.returncode == 0, bound.stderr
    until("no right", lambda: kubectl("top", "pods", "-n", "burn", "--as=viewer").returncode == 0)
    refusal = 'User "stranger" cannot list resource "pods" in API group "metrics.k8s.io"'
    until("not refused", lambda: refusal in kubectl("top", "pods", "-n", "burn", "--as=stranger").stderr)
