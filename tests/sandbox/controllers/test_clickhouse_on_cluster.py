# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The ClickHouse operator's stand-in on a real control plane, with real servers in the pods."""

from __future__ import annotations

import base64
import http.client
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from sandbox import network
from sandbox.controllers.clickhouse_operator import APP, BUDGET, CONFIG_MAP, FINALIZER, KINDS, STATEFUL_SET
from sandbox.controllers.kubernetes import CLAIM, NODE, POD, SECRET, SERVICE, STORAGE_CLASS, VOLUME, Object, labels_of
from tests.sandbox.controllers.world import World, until

pytestmark = pytest.mark.sandbox
SERVERS, KEEPERS = KINDS["ClickHouseInstallation"], KINDS["ClickHouseKeeperInstallation"]
NAMESPACE = "traces"
NAMES = ["chi-acme-main-0-0", "chi-acme-main-0-1"]


def claims(size: str) -> list[Object]:
    resources = {"requests": {"storage": size}}
    spec = {"accessModes": ["ReadWriteOnce"], "storageClassName": "fast", "resources": resources}
    return [{"name": "data", "reclaimPolicy": "Retain", "spec": spec}]


def servers() -> Object:
    source = {"valueFrom": {"secretKeyRef": {"name": "words", "key": "password"}}}
    secret = {"valueFrom": {"secretKeyRef": {"name": "words", "key": "interserver"}}}
    return {
        "metadata": {"name": "acme", "namespace": NAMESPACE},
        "spec": {
            "defaults": {
                "templates": {"dataVolumeClaimTemplate": "data"},
                "storageManagement": {"provisioner": "Operator", "reclaimPolicy": "Retain"},
            },
            "configuration": {
                "clusters": [{"name": "main", "layout": {"replicasCount": 2}, "secret": secret}],
                "users": {"app/password": source},
                "settings": {"max_concurrent_queries": 111},
            },
            "templates": {"volumeClaimTemplates": claims("10Gi")},
        },
    }


@pytest.fixture(scope="module")
def installed(world: World) -> Iterator[World]:
    """The operator, and an installation of two servers."""
    world.helm("altinity-clickhouse-operator", NAMESPACE, rbac={"namespaceScoped": True})
    parameters = {"type": "gp3", "iops": "4000", "throughput": "250"}
    world.cluster.create(
        STORAGE_CLASS,
        {
            "metadata": {"name": "fast"},
            "provisioner": "ebs.csi.aws.com",
            "parameters": parameters,
            "volumeBindingMode": "WaitForFirstConsumer",
            "allowVolumeExpansion": True,
            "reclaimPolicy": "Retain",
        },
    )
    words = {"password": "a-word", "interserver": "between-us"}
    world.cluster.create(SECRET, {"metadata": {"name": "words", "namespace": NAMESPACE}, "stringData": words})
    world.cluster.create(SERVERS, servers())
    settled(world)
    yield world
    world.cluster.delete(SERVERS, NAMESPACE, "acme")


def settled(world: World) -> Object:
    """The installation once the operator has done what is wanted."""

    def done() -> Object | None:
        found = world.cluster.get(SERVERS, NAMESPACE, "acme") or {}
        status = found.get("status") or {}
        current = status.get("generation") == found["metadata"]["generation"]
        return found if current and status.get("status") == "Completed" else None

    found: Object = until("the installation is not complete", done)
    return found


def ask(world: World, number: int, statement: str) -> str:
    """The answer of a server."""
    pod = world.cluster.get(POD, NAMESPACE, f"{NAMES[number]}-0") or {}
    connection = http.client.HTTPConnection(network.loopback(pod["status"]["podIP"]), 8123, timeout=60)
    known = base64.b64encode(b"app:a-word").decode()
    connection.request("POST", "/", statement, {"Authorization": f"Basic {known}"})
    answer = connection.getresponse()
    text = answer.read().decode().strip()
    connection.close()
    if answer.status != 200:
        raise OSError(text)
    return text


def test_a_cluster_of_real_servers_comes_up_with_all_its_objects(installed: World) -> None:
    status = settled(installed)["status"]
    assert (status["hosts"], status["hostsCompleted"], status["pods"]) == (2, 2, [f"{name}-0" for name in NAMES])
    assert status["endpoint"] == f"clickhouse-acme.{NAMESPACE}.svc.cluster.local"
    for name in NAMES:
        for kind in (STATEFUL_SET, SERVICE):
            assert installed.cluster.get(kind, NAMESPACE, name)
    assert installed.cluster.get(BUDGET, NAMESPACE, "chi-acme-main")
    names = "SELECT getMacro('replica') FROM clusterAllReplicas('main', system.one) ORDER BY 1"
    # A server that asks the others fails where one of them is held up.
    until("not all of them answer", lambda: ask(installed, 0, names).split() == NAMES)
    assert ask(installed, 1, "SELECT value FROM system.server_settings WHERE name = 'max_concurrent_queries'") == "111"


def test_its_volumes_are_what_the_storage_class_says_and_grow_with_the_installation(installed: World) -> None:
    ec2, name = installed.aws("ec2"), f"data-{NAMES[0]}-0"

    def volume() -> Any:
        filters = [{"Name": "tag:kubernetes.io/created-for/pvc/name", "Values": [name]}]
        return ec2.describe_volumes(Filters=filters)["Volumes"][0]

    found = volume()
    assert (found["VolumeType"], found["Iops"], found["Throughput"]) == ("gp3", 4000, 250)
    instance = found["Attachments"][0]["InstanceId"]
    pod = installed.cluster.get(POD, NAMESPACE, f"{NAMES[0]}-0") or {}
    node = installed.cluster.call("GET", f"/api/v1/nodes/{pod['spec']['nodeName']}")
    assert node["spec"]["providerID"].endswith(instance)
    before = {item: pod_of(installed, item)["metadata"]["uid"] for item in NAMES}
    change = {"spec": {"templates": {"volumeClaimTemplates": claims("2048Gi")}}}
    installed.cluster.patch(SERVERS, settled(installed), change)
    settled(installed)
    until("the volume does not grow", lambda: volume()["Size"] == 2048)

    def capacity() -> str:
        claim = installed.cluster.get(CLAIM, NAMESPACE, name) or {}
        return str(claim["status"]["capacity"]["storage"])

    # So the API server writes it, whoever wrote it otherwise.
    until("the claim does not say so", lambda: capacity() == "2Ti")
    # No server is restarted for it.
    assert {item: pod_of(installed, item)["metadata"]["uid"] for item in NAMES} == before


def pod_of(world: World, name: str) -> Object:
    return world.cluster.get(POD, NAMESPACE, f"{name}-0") or {}


def test_a_setting_that_needs_a_restart_restarts_one_server_after_the_other(installed: World) -> None:
    before = [pod_of(installed, name)["metadata"]["uid"] for name in NAMES]
    wanted = {"spec": {"configuration": {"settings": {"background_pool_size": 6}}}}
    installed.cluster.patch(SERVERS, settled(installed), wanted)
    until("the first is not restarted", lambda: pod_of(installed, NAMES[0]).get("metadata", {}).get("uid") != before[0])
    seen = []

    def over() -> bool:
        # The second is asked first: once it is away, the first has come back and stays.
        seen.append([_ready(pod_of(installed, name)) for name in reversed(NAMES)])
        status = (installed.cluster.get(SERVERS, NAMESPACE, "acme") or {})["status"]["status"]
        return bool(status == "Completed")

    until("the servers are not restarted", over)
    settled(installed)
    assert [False, False] not in seen
    assert [pod_of(installed, name)["metadata"]["uid"] for name in NAMES] != before
    assert ask(installed, 1, "SELECT value FROM system.server_settings WHERE name = 'background_pool_size'") == "6"


def _ready(pod: Object) -> bool:
    conditions = (pod.get("status") or {}).get("conditions") or []
    return any(item["type"] == "Ready" and item["status"] == "True" for item in conditions)


def test_keeper_nodes_come_up(installed: World) -> None:
    wanted = {"configuration": {"clusters": [{"name": "keeper", "layout": {"replicasCount": 1}}]}}
    installed.cluster.create(KEEPERS, {"metadata": {"name": "acme", "namespace": NAMESPACE}, "spec": wanted})

    def status() -> Any:
        return ((installed.cluster.get(KEEPERS, NAMESPACE, "acme") or {}).get("status") or {}).get("status")

    until("Keeper is not complete", lambda: status() == "Completed")
    assert installed.cluster.get(SERVICE, NAMESPACE, "keeper-acme")
    installed.cluster.delete(KEEPERS, NAMESPACE, "acme")
    until("Keeper stays", lambda: installed.cluster.get(STATEFUL_SET, NAMESPACE, "chk-acme-keeper-0-0") is None)


def test_a_host_that_does_not_come_is_given_up_until_another_task_asks_for_it(installed: World) -> None:
    files = installed.cluster.get(CONFIG_MAP, NAMESPACE, f"{APP}-files") or {}

    def host_seconds(number: int) -> None:
        settings = yaml.safe_load(files["data"]["config.yaml"])
        settings["reconcile"] = {"statefulSet": {"update": {"timeout": number}}}
        installed.cluster.patch(CONFIG_MAP, files, {"data": {"config.yaml": yaml.safe_dump(settings)}})

    def is_told(status: str) -> Object:
        def told() -> Object | None:
            found = installed.cluster.get(KEEPERS, NAMESPACE, "slow") or {}
            return found if (found.get("status") or {}).get("status") == status else None

        found: Object = until(f"it is not {status}", told)
        return found

    template = {"name": "here", "spec": {"nodeSelector": {"slow": "yes"}}}
    spec = {
        "defaults": {"templates": {"podTemplate": "here"}},
        "configuration": {"clusters": [{"name": "keeper", "layout": {"replicasCount": 1}}]},
        "templates": {"podTemplates": [template]},
    }
    host_seconds(1)
    installed.cluster.create(KEEPERS, {"metadata": {"name": "slow", "namespace": NAMESPACE}, "spec": spec})
    found = is_told("Aborted")
    assert found["status"]["error"] == "host chk-slow-keeper-0-0 is not ready after 1 s"
    host_seconds(300)
    node = installed.cluster.call("GET", "/api/v1/nodes")["items"][0]
    installed.cluster.patch(NODE, node, {"metadata": {"labels": {"slow": "yes"}}})
    pod = "chk-slow-keeper-0-0-0"
    until("it has no node", lambda: _ready(installed.cluster.get(POD, NAMESPACE, pod) or {"status": {}}))
    # Nothing is done for the same task, though there is a node by now.
    assert installed.cluster.patch(KEEPERS, found, {"spec": spec})["status"]["status"] == "Aborted"
    installed.cluster.patch(KEEPERS, found, {"spec": {"taskID": "again-1"}})
    assert is_told("Completed")["status"]["taskID"] == "again-1"
    installed.cluster.delete(KEEPERS, NAMESPACE, "slow")


def test_what_is_deleted_leaves_its_claims_and_volumes(world: World, installed: World) -> None:
    other = servers()
    other["metadata"]["name"] = "brief"
    other["spec"]["configuration"]["clusters"][0]["layout"] = {"replicasCount": 1}
    world.cluster.create(SERVERS, other)
    name = "chi-brief-main-0-0"

    def complete() -> bool:
        status = (world.cluster.get(SERVERS, NAMESPACE, "brief") or {}).get("status") or {}
        return bool(status.get("status") == "Completed")

    until("it is not complete", complete)
    assert FINALIZER in (world.cluster.get(SERVERS, NAMESPACE, "brief") or {})["metadata"]["finalizers"]
    claim = world.cluster.get(CLAIM, NAMESPACE, f"data-{name}-0") or {}
    assert labels_of(claim)["clickhouse.altinity.com/reclaimPolicy"] == "Retain"
    bound = world.cluster.get(VOLUME, None, claim["spec"]["volumeName"]) or {}
    handle = bound["spec"]["csi"]["volumeHandle"]
    world.cluster.delete(SERVERS, NAMESPACE, "brief")
    until("it stays", lambda: world.cluster.get(SERVERS, NAMESPACE, "brief") is None)
    assert world.cluster.get(CLAIM, NAMESPACE, claim["metadata"]["name"])
    # Both claim and PersistentVolume may go, also while the pod still has them; the volume is deleted by EC2 alone.
    world.cluster.delete(CLAIM, NAMESPACE, claim["metadata"]["name"])
    world.cluster.delete(VOLUME, None, bound["metadata"]["name"])
    until("its pod stays", lambda: world.cluster.get(POD, NAMESPACE, f"{name}-0") is None)
    until("the PersistentVolume stays", lambda: world.cluster.get(VOLUME, None, bound["metadata"]["name"]) is None)
    until("the volume is not detached", lambda: _available(world.aws("ec2"), handle))
    world.aws("ec2").delete_volume(VolumeId=handle)


def _available(ec2: Any, handle: str) -> bool:
    return bool(ec2.describe_volumes(VolumeIds=[handle])["Volumes"][0]["State"] == "available")
