# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stand-in for a managed node group's Auto Scaling group: EC2 instances, and the Node objects of their kubelets."""

from __future__ import annotations

import uuid
from typing import Any

from moto.ec2.models.instance_types import INSTANCE_TYPES

from sandbox import state
from sandbox.aws.control_plane import ControlPlane, Manifest, endpoints, polls, wait_ready

CONTROL_PLANE_SECONDS = 120
DRAIN_SECONDS = 20
# kwok keeps the nodes with this annotation ready.
KWOK = {"kwok.x-k8s.io/node": "fake"}
EFFECTS = {"NO_SCHEDULE": "NoSchedule", "NO_EXECUTE": "NoExecute", "PREFER_NO_SCHEDULE": "PreferNoSchedule"}


def reconcile(backend: Any, cluster: Any, group: Any, size: int, replace: bool) -> None:
    """Bring instances and nodes of `group` to `size`, new ones before old ones go when all are to be replaced.

    The first subnet's zone gets the first instance, and so on in turn, as an Auto Scaling group balances zones.
    """
    if size == 0 and not endpoints():
        _terminate(backend, group, list(group.node_ids))
        return
    plane = wait_ready(CONTROL_PLANE_SECONDS)
    old = list(group.node_ids) if replace else []
    kept = [identifier for identifier in group.node_ids if identifier not in old]
    while len(kept) < size:
        kept.append(_launch(backend, cluster, group, _emptiest_subnet(backend, group, kept)))
        group.node_ids.append(kept[-1])
    surplus = old + kept[size:]
    for identifier in surplus:
        _remove_node(plane, _instance(backend, identifier))
    _terminate(backend, group, surplus)
    for identifier in group.node_ids:
        plane.apply(node(backend, cluster, group, _instance(backend, identifier)))


def _instance(backend: Any, identifier: str) -> Any:
    return backend.get_instance(identifier)


def _emptiest_subnet(backend: Any, group: Any, identifiers: list[str]) -> str:
    used = [_instance(backend, identifier).subnet_id for identifier in identifiers]
    return min(group.subnets, key=used.count)


def _launch(backend: Any, cluster: Any, group: Any, subnet_id: str) -> str:
    tags = {"eks:cluster-name": cluster.name, "eks:nodegroup-name": group.nodegroup_name}
    # CreateNodegroup: its tags "don't propagate to any other resources", such as the instances.
    tags[f"kubernetes.io/cluster/{cluster.name}"] = "owned"
    reservation = backend.run_instances(
        next(iter(backend.amis)),
        1,
        None,
        [],
        instance_type=group.instance_types[0],
        is_instance_type_default=False,
        subnet_id=subnet_id,
        security_group_ids=[cluster.resources_vpc_config["clusterSecurityGroupId"]],
        region_name=backend.region_name,
        tags={"instance": tags},
    )
    return str(reservation.instances[0].id)


def _terminate(backend: Any, group: Any, identifiers: list[str]) -> None:
    if identifiers:
        backend.terminate_instances(identifiers)
    group.node_ids = [identifier for identifier in group.node_ids if identifier not in identifiers]


def node_name(instance: Any) -> str:
    """The name that a node of a managed group has: its private DNS name."""
    return f"ip-{instance.private_ip.replace('.', '-')}.{state.REGION}.compute.internal"


def _remove_node(plane: ControlPlane, instance: Any) -> None:
    """Drain as EKS does when it scales in: cordon, end the pods, then delete the node."""
    name = node_name(instance)
    if plane.get("Node", name) is None:
        return
    plane.patch(f"api/v1/nodes/{name}", {"spec": {"unschedulable": True}})
    query = f"?fieldSelector=spec.nodeName={name}"
    for pod in plane.list("Pod", query=query):
        plane.delete("Pod", pod["metadata"]["name"], pod["metadata"]["namespace"])
    for _ in polls(DRAIN_SECONDS):
        left = [pod for pod in plane.list("Pod", query=query) if not _of_daemon_set(pod)]
        if not left:
            break
    for pod in plane.list("Pod", query=query):
        plane.delete("Pod", pod["metadata"]["name"], pod["metadata"]["namespace"], grace_seconds=0)
    plane.delete("Node", name)


def _of_daemon_set(pod: Manifest) -> bool:
    # A DaemonSet makes its pod again on the node until that is gone.
    return any(owner["kind"] == "DaemonSet" for owner in pod["metadata"].get("ownerReferences", []))


def capacity(instance_type: str, disk_gib: int) -> tuple[dict[str, str], dict[str, str]]:
    """Capacity and allocatable of a node, by the reservations of the Amazon EKS AMI's nodeadm.

    CPU: 6 % of the first core, 1 % of the second, 0.5 % of the next two, 0.25 % of the others.
    Memory: 255 MiB and 11 MiB for each pod that the network interfaces allow, and 100 MiB for hard eviction.
    """
    facts = INSTANCE_TYPES[instance_type]
    cores, memory = facts["VCpuInfo"]["DefaultVCpus"], facts["MemoryInfo"]["SizeInMiB"]
    pods = max_pods(instance_type)
    reserved = sum((60, 10, 5, 5)[core] if core < 4 else 2.5 for core in range(cores))
    disk = disk_gib * 1024
    whole = {"cpu": str(cores), "memory": f"{memory}Mi", "pods": str(pods), "ephemeral-storage": f"{disk}Mi"}
    free = {
        "cpu": f"{int(cores * 1000 - reserved)}m",
        "memory": f"{memory - 255 - 11 * pods - 100}Mi",
        "ephemeral-storage": f"{int(disk * 0.9) - 1024}Mi",
    }
    return whole, {**whole, **free}


def max_pods(instance_type: str) -> int:
    """How many pods the VPC CNI has addresses for: interfaces x (addresses - 1) + 2."""
    network = INSTANCE_TYPES[instance_type]["NetworkInfo"]
    return int(network["MaximumNetworkInterfaces"] * (network["Ipv4AddressesPerInterface"] - 1) + 2)


def node(backend: Any, cluster: Any, group: Any, instance: Any) -> Manifest:
    """The Node object that the kubelet of an EKS node registers."""
    zone = backend.get_subnet(instance.subnet_id).availability_zone
    name = node_name(instance)
    architectures = INSTANCE_TYPES[instance.instance_type]["ProcessorInfo"]["SupportedArchitectures"]
    architecture = "arm64" if "arm64" in architectures else "amd64"
    labels = {
        "kubernetes.io/hostname": name,
        "kubernetes.io/os": "linux",
        "kubernetes.io/arch": architecture,
        "topology.kubernetes.io/zone": zone,
        "topology.kubernetes.io/region": state.REGION,
        "topology.ebs.csi.aws.com/zone": zone,
        "node.kubernetes.io/instance-type": instance.instance_type,
        "eks.amazonaws.com/nodegroup": group.nodegroup_name,
        "eks.amazonaws.com/nodegroup-image": instance.image_id,
        "eks.amazonaws.com/capacityType": group.capacity_type,
        **group.labels,
    }
    whole, free = capacity(instance.instance_type, int(group.disk_size or 20))
    taints = [{"key": t["key"], "value": t.get("value", ""), "effect": EFFECTS[t["effect"]]} for t in group.taints]
    addresses = [("InternalIP", instance.private_ip), ("InternalDNS", name), ("Hostname", name)]
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": labels, "annotations": KWOK},
        "spec": {"providerID": f"aws:///{zone}/{instance.id}", "taints": taints},
        "status": {
            "capacity": whole,
            "allocatable": free,
            "addresses": [{"type": kind, "address": address} for kind, address in addresses],
            "nodeInfo": _node_info(instance, group.version, architecture),
        },
    }


def _node_info(instance: Any, version: str, architecture: str) -> dict[str, str]:
    machine = uuid.uuid5(uuid.NAMESPACE_DNS, instance.id)
    return {
        "architecture": architecture,
        "bootID": str(machine),
        "machineID": machine.hex,
        "systemUUID": f"ec2{str(machine)[3:]}",
        "containerRuntimeVersion": "containerd://2.1.4",
        "kernelVersion": "6.12.46-66.121.amzn2023.x86_64",
        "kubeProxyVersion": "",
        "kubeletVersion": f"v{version}.0-eks-3cfe0ce",
        "operatingSystem": "linux",
        "osImage": "Amazon Linux 2023.9.20251014",
    }
