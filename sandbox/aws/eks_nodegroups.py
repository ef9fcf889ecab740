# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stand-in for EKS node groups: their calls; eks_nodes does what they ask for."""

from __future__ import annotations

import re
from typing import Any

from moto.core.responses import ActionResult
from moto.ec2.models import ec2_backends
from moto.ec2.models.instance_types import INSTANCE_TYPES
from moto.eks.responses import EKSResponse

from sandbox.aws import eks_nodes
from sandbox.aws.eks_base import (
    _LIST_NODEGROUPS,
    VERSIONS,
    check_role,
    cluster_of,
    in_use,
    invalid,
    not_found,
    subnets_of,
    update_of,
)
from sandbox.aws.states import WORK

# AmiTypes of the EKS API reference that nodes of Linux on x86 and ARM have.
AMI_TYPES = re.compile(r"^(AL2|AL2023|BOTTLEROCKET|CUSTOM|WINDOWS)(_[A-Za-z0-9_]+)?$")
_create_nodegroup = EKSResponse.create_nodegroup


def create_nodegroup(self: EKSResponse) -> Any:
    """CreateNodegroup: the version is the cluster's; instances and Node objects come with it."""
    cluster = self.eks_backend.describe_cluster(self._get_param("name"))
    check_role(self._get_param("nodeRole"), "ec2.amazonaws.com")
    wanted_types = self._get_param("instanceTypes") or ["t3.medium"]
    unknown = [item for item in wanted_types if item not in INSTANCE_TYPES]
    if unknown and not self._get_param("launchTemplate"):
        raise invalid(f"[{unknown[0]}] is not a valid instance type")
    subnets = subnets_of(self, self._get_param("subnets") or [])
    if any(subnet.vpc_id != cluster.resources_vpc_config["vpcId"] for subnet in subnets):
        raise invalid(f"Subnets are not in the VPC of cluster {cluster.name}")
    ami_type = self._get_param("amiType") or "AL2023_x86_64_STANDARD"
    if not AMI_TYPES.match(ami_type):
        raise invalid(f"{ami_type} is not a valid AMI type")
    _architecture(ami_type, wanted_types)
    scaling = self._get_param("scalingConfig") or {"minSize": 1, "maxSize": 2, "desiredSize": 2}
    _scaling(scaling)
    if not subnets:
        raise invalid("Subnets cannot be empty")
    result = _create_nodegroup(self)
    group = result.result["nodegroup"]
    group.ami_type, group.instance_types, group.scaling_config = ami_type, wanted_types, scaling
    group.version = self._get_param("version") or cluster.version
    group.release_version = self._get_param("releaseVersion") or release_version(group.version)
    group.update_config = self._get_param("updateConfig") or {"maxUnavailable": 1}
    group.remote_access = self._get_param("remoteAccess")
    group.resources.pop("remoteAccessSecurityGroup", None)
    group.node_ids = []
    _reconcile(self, cluster, group)
    return result


def release_version(version: str) -> str:
    """The AMI release version that EKS gives node groups: Kubernetes patch version and date."""
    return f"{version}.0-20261101"


def _architecture(ami_type: str, wanted_types: list[str]) -> None:
    # "[t4g.medium] is not supported for the ami type": ARM types need ARM images and the other way round.
    arm = "ARM_64" in ami_type.upper()
    for item in wanted_types:
        supported = INSTANCE_TYPES.get(item, {}).get("ProcessorInfo", {}).get("SupportedArchitectures", [])
        if ami_type != "CUSTOM" and supported and ("arm64" in supported) != arm:
            raise invalid(f"[{item}] is not a valid instance type for requested amiType {ami_type}")


def _scaling(scaling: dict[str, int]) -> None:
    low, high = scaling.get("minSize", 1), scaling.get("maxSize", 2)
    desired = scaling.get("desiredSize", low)
    if low > high:
        raise invalid("Minimum capacity can't be greater than maximum size")
    if desired < low:
        raise invalid(f"Minimum capacity {low} can't be greater than desired size {desired}")
    if desired > high:
        raise invalid(f"desired capacity {desired} can't be greater than max size {high}")
    scaling.setdefault("desiredSize", desired)


def _reconcile(response: EKSResponse, cluster: Any, group: Any, size: int | None = None, replace: bool = False) -> None:
    backend = ec2_backends[response.current_account][response.region]
    wanted = group.scaling_config["desiredSize"] if size is None else size
    WORK.start(group.arn, lambda: eks_nodes.reconcile(backend, cluster, group, wanted, replace))


def _group(self: EKSResponse) -> tuple[Any, Any]:
    cluster = cluster_of(self)
    group = cluster.nodegroups.get(self._get_param("nodegroupName"))
    if group is None:
        raise not_found(f"No node group found for name: {self._get_param('nodegroupName')}.")
    return cluster, group


def _active_group(self: EKSResponse) -> tuple[Any, Any]:
    cluster, group = _group(self)
    if group.status != "ACTIVE":
        message = "Nodegroup cannot be updated as it is currently not in Active State"
        raise in_use(message, clusterName=cluster.name, nodegroupName=group.nodegroup_name)
    return cluster, group


def describe_nodegroup(self: EKSResponse) -> ActionResult:
    """DescribeNodegroup: failed work shows as EKS's health issue for instances that did not join."""
    _, group = _group(self)
    failure = WORK.error(group.arn)
    issue = {"code": "NodeCreationFailure", "message": failure, "resourceIds": group.node_ids}
    group.health = {"issues": [issue] if failure else []}
    return ActionResult({"nodegroup": group})


_update_nodegroup_config = EKSResponse.update_nodegroup_config


def update_nodegroup_config(self: EKSResponse) -> ActionResult:
    """UpdateNodegroupConfig: nodes follow size, labels and taints."""
    cluster, group = _active_group(self)
    scaling = {**group.scaling_config, **(self._get_param("scalingConfig") or {})}
    _scaling(scaling)
    update = _update_nodegroup_config(self).result["update"]
    group.scaling_config = scaling
    update["status"] = "InProgress"
    cluster.updates[update["id"]] = update
    _reconcile(self, cluster, group)
    group.status = "UPDATING"
    return ActionResult({"update": update})


def update_nodegroup_version(self: EKSResponse) -> ActionResult:
    """UpdateNodegroupVersion: every node is replaced by one of the new version."""
    cluster, group = _active_group(self)
    wanted = self._get_param("version") or cluster.version
    if wanted not in VERSIONS or int(wanted.split(".")[1]) > int(cluster.version.split(".")[1]):
        raise invalid(f"Requested nodegroup version {wanted} is not supported for cluster version {cluster.version}")
    group.version = wanted
    group.release_version = self._get_param("releaseVersion") or release_version(wanted)
    if self._get_param("launchTemplate"):
        group.launch_template = {**(group.launch_template or {}), **self._get_param("launchTemplate")}
    _reconcile(self, cluster, group, replace=True)
    group.status = "UPDATING"
    return update_of(cluster, "VersionUpdate", version=wanted, releaseVersion=group.release_version)


def list_nodegroups(self: EKSResponse) -> ActionResult:
    """ListNodegroups. moto answers 500 for a cluster that does not exist; EKS says ResourceNotFoundException."""
    cluster_of(self)
    return _LIST_NODEGROUPS(self)


def delete_nodegroup(self: EKSResponse) -> ActionResult:
    """DeleteNodegroup: nodes are drained, then instances and Node objects go."""
    cluster, group = _group(self)
    _reconcile(self, cluster, group, size=0)
    group.status = "DELETING"
    return ActionResult({"nodegroup": group})


FUNCTIONS = (
    create_nodegroup,
    describe_nodegroup,
    update_nodegroup_config,
    update_nodegroup_version,
    list_nodegroups,
    delete_nodegroup,
)
