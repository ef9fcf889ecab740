# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stand-in for EKS: moto's clusters, given the real control plane's endpoint, and the calls that moto lacks."""

from __future__ import annotations

import base64
import re
import types
import uuid
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import moto.eks.models as models
import moto.eks.urls as urls
from moto.core.base_backend import BaseBackend
from moto.core.resource_tagging import TaggableResourcesMixin, TaggedResource
from moto.core.responses import ActionResult
from moto.core.utils import utcnow
from moto.ec2.models import ec2_backends
from moto.ec2.models.instance_types import INSTANCE_TYPES
from moto.eks.models import Cluster, EKSBackend, Nodegroup, eks_backends
from moto.eks.responses import EKSResponse

from sandbox import state
from sandbox.aws import access, eks_addons, eks_cleanup, eks_nodes
from sandbox.aws.control_plane import endpoints, wait_ready
from sandbox.aws.states import WORK, Lifecycle

STEPS = {"CREATING": "ACTIVE", "UPDATING": "ACTIVE", "DELETING": "GONE"}
# Kubernetes versions of EKS in standard and extended support; the control plane runs the last one whatever is asked.
VERSIONS = ("1.31", "1.32", "1.33", "1.34", "1.35", "1.36")
# AmiTypes of the EKS API reference that nodes of Linux on x86 and ARM have.
AMI_TYPES = re.compile(r"^(AL2|AL2023|BOTTLEROCKET|CUSTOM|WINDOWS)(_[A-Za-z0-9_]+)?$")
CONTROL_PLANE_SECONDS = 120
NAME = re.compile(r"^[0-9A-Za-z][A-Za-z0-9_-]{0,99}$")
_LIST_NODEGROUPS = EKSResponse.list_nodegroups


def not_found(message: str) -> models.ResourceNotFoundException:
    """EKS's ResourceNotFoundException."""
    names = dict.fromkeys(("clusterName", "nodegroupName", "fargateProfileName", "addonName"))
    return models.ResourceNotFoundException(**names, message=message)


def in_use(message: str, **names: str) -> models.ResourceInUseException:
    """EKS's ResourceInUseException."""
    return models.ResourceInUseException(message=message, **names)


def invalid(message: str) -> models.InvalidParameterException:
    """EKS's InvalidParameterException."""
    return models.InvalidParameterException(message=message)


class Record(types.SimpleNamespace):
    """A resource that moto has no model for."""


class Addon(Record):
    """An add-on; the attribute names are those of the API."""

    status = Lifecycle("eks::addon", "CREATING", STEPS, "CREATE_FAILED", lambda addon: addon.addonArn)


def _install_states() -> None:
    Cluster.status = Lifecycle("eks::cluster", "CREATING", STEPS, "FAILED", lambda cluster: cluster.arn)
    Nodegroup.status = Lifecycle("eks::nodegroup", "CREATING", STEPS, "CREATE_FAILED", lambda group: group.arn)


def sweep(backend: EKSBackend) -> EKSBackend:
    """Forget what has been deleted, as a state changes only when somebody looks."""
    for cluster in list(backend.clusters.values()):
        for group in list(cluster.nodegroups.values()):
            if group.status == "GONE":
                cluster.nodegroups.pop(group.nodegroup_name, None)
                cluster.nodegroup_count -= 1
        for addon in list(cluster.addons.values()):
            if addon.status == "GONE":
                cluster.addons.pop(addon.addonName, None)
        if cluster.status == "GONE":
            backend.clusters.pop(cluster.name, None)
    return backend


def _backend(self: EKSResponse) -> EKSBackend:
    return sweep(eks_backends[self.current_account][self.region])


# --- clusters ---------------------------------------------------------------------------------------------------


def _subnets(response: EKSResponse, ids: list[str]) -> list[Any]:
    backend = ec2_backends[response.current_account][response.region]
    known = {subnet.id: subnet for zone in backend.subnets.values() for subnet in zone.values()}
    missing = [item for item in ids if item not in known]
    if missing:
        raise invalid(f"The subnet ID '{missing[0]}' does not exist (Service: AmazonEC2; InvalidSubnetID.NotFound)")
    found = [known[item] for item in ids]
    if len({subnet.vpc_id for subnet in found}) > 1:
        raise invalid("Subnets must be in the same VPC")
    return found


def _role(arn: str, service: str) -> None:
    models.validate_role_arn(arn)
    if access.role_trusting(arn, service) is None:
        why = "could not be assumed because it does not exist or the trusted entity is not correct"
        raise invalid(f"Role with arn: {arn}, {why}")


_create_cluster = EKSResponse.create_cluster


def create_cluster(self: EKSResponse) -> Any:
    """CreateCluster, refusing what EKS refuses; the caller is remembered for the bootstrap administrator."""
    version = self._get_param("version")
    name = self._get_param("name")
    if not NAME.match(name):
        raise invalid("The name can contain only alphanumeric characters, hyphens and underscores")
    if version and version not in VERSIONS:
        raise invalid(f"unsupported Kubernetes version {version}")
    _role(self._get_param("roleArn"), "eks.amazonaws.com")
    vpc = self._get_param("resourcesVpcConfig") or {}
    subnets = _subnets(self, vpc.get("subnetIds") or [])
    # CreateCluster: "You must specify at least two subnets", "in at least two different Availability Zones".
    if len({subnet.availability_zone for subnet in subnets}) < 2:
        raise invalid("Subnets specified must be in at least two different AZs")
    others = [cluster for cluster in self.eks_backend.clusters if cluster != name]
    if others:
        # Not AWS: one state folder has one control plane.
        raise invalid(f"the sandbox has one control plane, and cluster {others[0]} uses it; delete that cluster first")
    result = _create_cluster(self)
    cluster = result.result["cluster"]
    _complete(self, cluster, vpc, subnets[0].vpc_id)
    bootstrap = self._get_param("bootstrapSelfManagedAddons")
    WORK.start(cluster.arn, lambda: _create(cluster, bootstrap is not False))
    fill(cluster)
    return result


def _create(cluster: Any, bootstrap_addons: bool) -> None:
    plane = wait_ready(CONTROL_PLANE_SECONDS)
    # Of a cluster that the emulator no longer knows, as when its snapshot was of another version.
    if eks_cleanup.left(plane):
        eks_cleanup.empty(plane)
    for manifest in eks_addons.cluster_defaults():
        plane.apply(manifest)
    # bootstrapSelfManagedAddons: "By default, EKS installs the default networking add-ons".
    for name in eks_addons.BOOTSTRAPPED if bootstrap_addons else ():
        for manifest in eks_addons.manifests(name, eks_addons.default_version(name, cluster.version), None, {}):
            plane.apply(manifest)


def _complete(response: EKSResponse, cluster: Any, vpc: dict[str, Any], vpc_id: str) -> None:
    who = access.caller()
    asked = response._get_param("accessConfig") or {}
    cluster.access_config = {"authenticationMode": asked.get("authenticationMode", "CONFIG_MAP")}
    # bootstrapClusterCreatorAdminPermissions: "The default value is true."
    bootstrap = asked.get("bootstrapClusterCreatorAdminPermissions", True)
    cluster.access_config["bootstrapClusterCreatorAdminPermissions"] = bootstrap
    cluster.upgrade_policy = response._get_param("upgradePolicy") or {"supportType": "EXTENDED"}
    cluster.deletion_protection = bool(response._get_param("deletionProtection"))
    cluster.version = response._get_param("version") or VERSIONS[-1]
    cluster.platform_version = "eks.1"
    cluster.health = {"issues": []}
    cluster.addons, cluster.entries, cluster.pods, cluster.updates = {}, {}, {}, {}
    cluster.creator_arn = who.identity_arn if who else None
    if bootstrap and cluster.creator_arn and cluster.access_config["authenticationMode"] != "CONFIG_MAP":
        entry = _entry(response, cluster, cluster.creator_arn)
        _associate(entry, "arn:aws:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy", {"type": "cluster"})
    public = vpc.get("endpointPublicAccess", True)
    network = {"endpointPublicAccess": public, "endpointPrivateAccess": vpc.get("endpointPrivateAccess", False)}
    network["publicAccessCidrs"] = vpc.get("publicAccessCidrs") or (["0.0.0.0/0"] if public else [])
    network |= {"subnetIds": vpc["subnetIds"], "securityGroupIds": vpc.get("securityGroupIds") or [], "vpcId": vpc_id}
    network["clusterSecurityGroupId"] = _cluster_security_group(response, cluster.name, vpc_id)
    cluster.resources_vpc_config = network
    _logging(cluster, response._get_param("logging"))
    service_cidr = (response._get_param("kubernetesNetworkConfig") or {}).get("serviceIpv4Cidr", "10.100.0.0/16")
    cluster.kubernetes_network_config = {"serviceIpv4Cidr": service_cidr, "ipFamily": "ipv4"}


def _logging(cluster: Any, asked: dict[str, Any] | None) -> None:
    # DescribeCluster lists every log type, in an entry of those enabled and one of the others.
    every = ["api", "audit", "authenticator", "controllerManager", "scheduler"]
    known: set[str] = getattr(cluster, "log_types", set())
    for entry in (asked or {}).get("clusterLogging") or []:
        types_ = set(entry.get("types") or [])
        known = known | types_ if entry.get("enabled") else known - types_
    cluster.log_types = known
    parts = [{"types": [t for t in every if (t in known) == on], "enabled": on} for on in (True, False)]
    cluster.logging = {"clusterLogging": [part for part in parts if part["types"]]}


def _cluster_security_group(response: EKSResponse, name: str, vpc_id: str) -> str:
    """The group that EKS makes for the control plane and managed nodes: everything among its own members."""
    backend = ec2_backends[response.current_account][response.region]
    tags = {"Name": f"eks-cluster-sg-{name}", f"kubernetes.io/cluster/{name}": "owned", "aws:eks:cluster-name": name}
    description = "EKS created security group applied to ENI that is attached to EKS Control Plane master nodes, "
    group = backend.create_security_group(
        f"eks-cluster-sg-{name}-{uuid.uuid4().int % 10**9}", description + "as well as any managed workloads.", vpc_id
    )
    group.add_tags(tags)
    backend.authorize_security_group_ingress(group.id, "-1", None, None, [], source_groups=[{"GroupId": group.id}])
    return str(group.id)


def fill(cluster: Any) -> Any:
    """The cluster with what the control plane and the state folder know now: endpoint, CA and issuer."""
    known = endpoints()
    cluster.identity = {"oidc": {"issuer": state.issuer()}}
    status = cluster.status
    ready = status not in ("CREATING", "FAILED") and known
    # DescribeCluster has neither endpoint nor certificate before the control plane exists.
    cluster.endpoint = known["server"] if ready else None
    authority = base64.b64encode(Path(known["ca_file"]).read_bytes()).decode() if ready else None
    cluster.certificate_authority = {"data": authority} if authority else {}
    failure = WORK.error(cluster.arn)
    cluster.health = {"issues": [{"code": "InternalFailure", "message": failure}] if failure else []}
    return cluster


def describe_cluster(self: EKSResponse) -> ActionResult:
    """DescribeCluster."""
    return ActionResult({"cluster": fill(self.eks_backend.describe_cluster(self._get_param("name")))})


def delete_cluster(self: EKSResponse) -> ActionResult:
    """DeleteCluster: refused with node groups or deletion protection; empties the control plane."""
    cluster = self.eks_backend.describe_cluster(self._get_param("name"))
    if cluster.deletion_protection:
        raise models.InvalidRequestException(
            message=f"Cluster {cluster.name} has deletion protection enabled; disable it before deleting the cluster"
        )
    models.validate_safe_to_delete(cluster)
    backend = ec2_backends[self.current_account][self.region]
    group = cluster.resources_vpc_config["clusterSecurityGroupId"]

    def remove() -> None:
        if endpoints():
            eks_cleanup.empty(wait_ready(CONTROL_PLANE_SECONDS))
        backend.delete_security_group(group_id=group)

    WORK.start(cluster.arn, remove)
    cluster.status = "DELETING"
    return ActionResult({"cluster": cluster})


def _cluster(self: EKSResponse) -> Any:
    return self.eks_backend.describe_cluster(self._get_param("clusterName") or self._get_param("name"))


def _active(self: EKSResponse) -> Any:
    cluster = _cluster(self)
    if cluster.status != "ACTIVE":
        raise in_use(
            f"Cannot change cluster {cluster.name} as it is currently {cluster.status}", clusterName=cluster.name
        )
    return cluster


def _update(cluster: Any, kind: str, **params: Any) -> ActionResult:
    update = {"id": str(uuid.uuid4()), "status": "InProgress", "type": kind, "createdAt": utcnow(), "errors": []}
    update["params"] = [{"type": key[0].upper() + key[1:], "value": str(value)} for key, value in params.items()]
    cluster.updates[update["id"]] = update
    return ActionResult({"update": update})


def update_cluster_version(self: EKSResponse) -> ActionResult:
    """UpdateClusterVersion: one minor version at a time."""
    cluster, wanted = _active(self), self._get_param("version")
    if wanted not in VERSIONS or int(wanted.split(".")[1]) != int(cluster.version.split(".")[1]) + 1:
        raise invalid(f"Unsupported Kubernetes minor version update from {cluster.version} to {wanted}")
    behind = [g for g in cluster.nodegroups.values() if int(wanted.split(".")[1]) - int(g.version.split(".")[1]) > 3]
    if behind:
        # Kubernetes version skew policy: a kubelet may be three minor versions older than the API server.
        raise models.InvalidRequestException(message=f"Nodegroup {behind[0].nodegroup_name} must be updated first")
    cluster.version = wanted
    cluster.status = "UPDATING"
    return _update(cluster, "VersionUpdate", version=wanted, platformVersion="eks.1")


def update_cluster_config(self: EKSResponse) -> ActionResult:
    """UpdateClusterConfig: what is not named stays."""
    cluster = _active(self)
    vpc, logging = self._get_param("resourcesVpcConfig"), self._get_param("logging")
    kind, params = "ConfigUpdate", {}
    if vpc:
        kind = "VpcConfigUpdate" if {"subnetIds", "securityGroupIds"} & set(vpc) else "EndpointAccessUpdate"
        cluster.resources_vpc_config.update(vpc)
        params.update(vpc)
    if logging:
        kind = "LoggingUpdate"
        _logging(cluster, logging)
        params["clusterLogging"] = logging
    if self._get_param("accessConfig"):
        kind = "AccessConfigUpdate"
        cluster.access_config.update(self._get_param("accessConfig"))
    if self._get_param("upgradePolicy"):
        kind = "UpgradePolicyUpdate"
        cluster.upgrade_policy = self._get_param("upgradePolicy")
    if self._get_param("deletionProtection") is not None:
        kind = "DeletionProtectionUpdate"
        cluster.deletion_protection = self._get_param("deletionProtection")
    cluster.status = "UPDATING"
    return _update(cluster, kind, **params)


def describe_update(self: EKSResponse) -> ActionResult:
    """DescribeUpdate: it is successful once what it changes is active again."""
    cluster, identifier = _cluster(self), self._get_param("updateId")
    update = cluster.updates.get(identifier)
    if update is None:
        raise not_found(f"No update found for ID: {identifier}")
    group = cluster.nodegroups.get(self._get_param("nodegroupName"))
    addon = cluster.addons.get(self._get_param("addonName"))
    subject = group or addon or cluster
    if subject.status == "ACTIVE":
        update["status"] = "Successful"
    elif subject.status.endswith("FAILED"):
        update["status"] = "Failed"
    return ActionResult({"update": update})


def list_updates(self: EKSResponse) -> ActionResult:
    """ListUpdates."""
    return ActionResult({"updateIds": list(_cluster(self).updates)})


def list_insights(self: EKSResponse) -> ActionResult:
    """ListInsights: the sandbox finds nothing."""
    _cluster(self)
    return ActionResult({"insights": []})


def describe_cluster_versions(self: EKSResponse) -> ActionResult:
    """DescribeClusterVersions."""
    wanted = self._get_param("clusterVersions") or VERSIONS
    rows = [
        {"clusterVersion": v, "clusterType": "eks", "defaultVersion": v == VERSIONS[-1], "status": "standard-support"}
        for v in VERSIONS
        if v in wanted
    ]
    return ActionResult({"clusterVersions": rows})


# --- node groups ------------------------------------------------------------------------------------------------

_create_nodegroup = EKSResponse.create_nodegroup


def create_nodegroup(self: EKSResponse) -> Any:
    """CreateNodegroup: the version is the cluster's; instances and Node objects come with it."""
    cluster = self.eks_backend.describe_cluster(self._get_param("name"))
    _role(self._get_param("nodeRole"), "ec2.amazonaws.com")
    wanted_types = self._get_param("instanceTypes") or ["t3.medium"]
    unknown = [item for item in wanted_types if item not in INSTANCE_TYPES]
    if unknown and not self._get_param("launchTemplate"):
        raise invalid(f"[{unknown[0]}] is not a valid instance type")
    subnets = _subnets(self, self._get_param("subnets") or [])
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
    cluster = _cluster(self)
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
    return _update(cluster, "VersionUpdate", version=wanted, releaseVersion=group.release_version)


def list_nodegroups(self: EKSResponse) -> ActionResult:
    """ListNodegroups. moto answers 500 for a cluster that does not exist; EKS says ResourceNotFoundException."""
    _cluster(self)
    return _LIST_NODEGROUPS(self)


def delete_nodegroup(self: EKSResponse) -> ActionResult:
    """DeleteNodegroup: nodes are drained, then instances and Node objects go."""
    cluster, group = _group(self)
    _reconcile(self, cluster, group, size=0)
    group.status = "DELETING"
    return ActionResult({"nodegroup": group})


# --- add-ons ----------------------------------------------------------------------------------------------------

ADDON_FIELDS = ("addonVersion", "serviceAccountRoleArn", "configurationValues")


def _shown(addon: Addon) -> dict[str, Any]:
    shown = {k: v for k, v in vars(addon).items() if not k.startswith("_") and v is not None}
    failure = WORK.error(addon.addonArn)
    issue = {"code": "ClusterUnreachable", "message": failure}
    return {**shown, "status": addon.status, "health": {"issues": [issue] if failure else []}}


def create_addon(self: EKSResponse) -> ActionResult:
    """CreateAddon: what EKS installs is applied to the cluster."""
    cluster, name = _active(self), self._get_param("addonName")
    if name in cluster.addons:
        raise in_use("Addon already exists.", clusterName=cluster.name, addonName=name)
    arn = f"arn:aws:eks:{self.region}:{self.current_account}:addon/{cluster.name}/{name}/{uuid.uuid4()}"
    addon = Addon(addonName=name, clusterName=cluster.name, addonArn=arn, createdAt=utcnow(), modifiedAt=utcnow())
    addon.tags = self._get_param("tags") or {}
    asked = self._get_param("addonVersion")
    addon.addonVersion = _addon_version(name, cluster.version, asked)
    addon.serviceAccountRoleArn = self._get_param("serviceAccountRoleArn")
    addon.configurationValues = self._get_param("configurationValues")
    eks_addons.configuration(addon.configurationValues, invalid)
    _start_addon(addon)
    addon.status = "ACTIVE"
    cluster.addons[name] = addon
    return ActionResult({"addon": _shown(addon)})


def _addon_version(name: str, cluster_version: str, asked: str | None) -> str:
    versions = eks_addons.versions(name, cluster_version)
    if not versions:
        raise invalid(f"Addon {name} specified is not supported")
    if asked and asked not in versions:
        raise invalid(f"Addon version specified is not supported in {cluster_version} version of the cluster")
    return asked or versions[0]


def _start_addon(addon: Addon) -> None:
    values = eks_addons.configuration(addon.configurationValues, invalid)

    def apply() -> None:
        plane = wait_ready(CONTROL_PLANE_SECONDS)
        for manifest in eks_addons.manifests(addon.addonName, addon.addonVersion, addon.serviceAccountRoleArn, values):
            plane.apply(manifest)

    WORK.start(addon.addonArn, apply)


def _addon(self: EKSResponse) -> tuple[Any, Addon]:
    cluster, name = _cluster(self), self._get_param("addonName")
    if name not in cluster.addons:
        raise not_found(f"No addon: {name} found in cluster: {cluster.name}")
    return cluster, cluster.addons[name]


def describe_addon(self: EKSResponse) -> ActionResult:
    """DescribeAddon."""
    return ActionResult({"addon": _shown(_addon(self)[1])})


def update_addon(self: EKSResponse) -> ActionResult:
    """UpdateAddon: what is not named stays."""
    cluster, addon = _addon(self)
    if addon.status in ("CREATING", "UPDATING", "DELETING"):
        raise in_use(f"Addon {addon.addonName} cannot be updated as it is currently in {addon.status} state")
    asked = self._get_param("addonVersion")
    if asked:
        _addon_version(addon.addonName, cluster.version, asked)
    for field in ADDON_FIELDS:
        if self._get_param(field) is not None:
            setattr(addon, field, self._get_param(field))
    addon.modifiedAt = utcnow()
    _start_addon(addon)
    addon.status = "UPDATING"
    return _update(cluster, "AddonUpdate", addonVersion=addon.addonVersion)


def delete_addon(self: EKSResponse) -> ActionResult:
    """DeleteAddon: its objects go too, except with preserve."""
    _, addon = _addon(self)

    def remove() -> None:
        plane = wait_ready(CONTROL_PLANE_SECONDS)
        for manifest in eks_addons.manifests(addon.addonName, addon.addonVersion, None, {}):
            metadata = manifest["metadata"]
            plane.delete(manifest["kind"], metadata["name"], metadata.get("namespace"))

    if not self._get_param("preserve") and endpoints():
        WORK.start(addon.addonArn, remove)
    addon.status = "DELETING"
    return ActionResult({"addon": _shown(addon)})


def list_addons(self: EKSResponse) -> ActionResult:
    """ListAddons."""
    return ActionResult({"addons": sorted(_cluster(self).addons)})


def describe_addon_versions(self: EKSResponse) -> ActionResult:
    """DescribeAddonVersions."""
    return ActionResult(
        {"addons": eks_addons.catalogue(self._get_param("addonName"), self._get_param("kubernetesVersion"), VERSIONS)}
    )


# --- access entries and pod identity ----------------------------------------------------------------------------


def _entry(response: EKSResponse, cluster: Any, principal: str, **given: Any) -> dict[str, Any]:
    base = f"arn:aws:eks:{response.region}:{response.current_account}"
    kind, name = re.match(r"arn:aws:iam::\d+:(user|role)/(?:.*/)?([^/]+)$", principal).groups()  # type: ignore[union-attr]
    username = principal
    if kind == "role":
        # CreateAccessEntry: the default user name of a role is that of its sessions.
        username = f"arn:aws:sts::{response.current_account}:assumed-role/{name}/{{{{SessionName}}}}"
    entry = {"clusterName": cluster.name, "principalArn": principal, "kubernetesGroups": given.get("groups") or []}
    entry |= {"type": given.get("type") or "STANDARD", "username": given.get("username") or username}
    entry |= {"tags": given.get("tags") or {}, "createdAt": utcnow(), "modifiedAt": utcnow(), "_policies": {}}
    entry["accessEntryArn"] = (
        f"{base}:access-entry/{cluster.name}/{kind}/{response.current_account}/{name}/{uuid.uuid4()}"
    )
    cluster.entries[principal] = entry
    return entry


def _associate(entry: dict[str, Any], arn: str, scope: dict[str, Any]) -> dict[str, Any]:
    association = {"policyArn": arn, "accessScope": scope, "associatedAt": utcnow(), "modifiedAt": utcnow()}
    entry["_policies"][arn] = association
    return association


def _principal_arn(self: EKSResponse) -> str:
    arn = str(self._get_param("principalArn") or "")
    return unquote(arn)


def create_access_entry(self: EKSResponse) -> ActionResult:
    """CreateAccessEntry: needs an authentication mode with API, and a user or role ARN of this account."""
    cluster, principal = _cluster(self), _principal_arn(self)
    if cluster.access_config["authenticationMode"] == "CONFIG_MAP":
        raise models.InvalidRequestException(
            message="The cluster's authentication mode must be set to one of [API, API_AND_CONFIG_MAP] to perform this "
            "operation."
        )
    if not re.match(r"^arn:aws:iam::\d{12}:(user|role)/.+$", principal):
        raise invalid("The principalArn parameter format is not valid")
    if principal in cluster.entries:
        raise in_use("The specified access entry resource is already in use on this cluster.", clusterName=cluster.name)
    if any(str(group).startswith("system:") for group in self._get_param("kubernetesGroups") or []):
        raise invalid("The kubernetes group name is invalid, it cannot start with system:")
    given = {key: self._get_param(key) for key in ("type", "username", "tags")}
    entry = _entry(self, cluster, principal, groups=self._get_param("kubernetesGroups"), **given)
    return ActionResult({"accessEntry": entry})


def _find_entry(self: EKSResponse) -> dict[str, Any]:
    cluster, principal = _cluster(self), _principal_arn(self)
    if principal not in cluster.entries:
        raise not_found(
            "The specified principalArn could not be found. You can view your available access entries with "
            "'list-access-entries'."
        )
    entry: dict[str, Any] = cluster.entries[principal]
    return entry


def describe_access_entry(self: EKSResponse) -> ActionResult:
    """DescribeAccessEntry."""
    return ActionResult({"accessEntry": _find_entry(self)})


def update_access_entry(self: EKSResponse) -> ActionResult:
    """UpdateAccessEntry."""
    entry = _find_entry(self)
    for key in ("kubernetesGroups", "username"):
        if self._get_param(key) is not None:
            entry[key] = self._get_param(key)
    return ActionResult({"accessEntry": entry})


def delete_access_entry(self: EKSResponse) -> ActionResult:
    """DeleteAccessEntry."""
    entry = _find_entry(self)
    _cluster(self).entries.pop(entry["principalArn"])
    return ActionResult({})


def list_access_entries(self: EKSResponse) -> ActionResult:
    """ListAccessEntries."""
    return ActionResult({"accessEntries": list(_cluster(self).entries)})


def associate_access_policy(self: EKSResponse) -> ActionResult:
    """AssociateAccessPolicy."""
    entry, arn = _find_entry(self), self._get_param("policyArn")
    if not re.match(r"^arn:aws:eks::aws:cluster-access-policy/AmazonEKS\w+Policy$", arn):
        raise invalid("The policyArn parameter format is not valid")
    association = _associate(entry, arn, self._get_param("accessScope"))
    names = {"clusterName": entry["clusterName"], "principalArn": entry["principalArn"]}
    return ActionResult({**names, "associatedAccessPolicy": association})


def disassociate_access_policy(self: EKSResponse) -> ActionResult:
    """DisassociateAccessPolicy."""
    _find_entry(self)["_policies"].pop(unquote(self._get_param("policyArn")), None)
    return ActionResult({})


def list_associated_access_policies(self: EKSResponse) -> ActionResult:
    """ListAssociatedAccessPolicies."""
    entry = _find_entry(self)
    names = {"clusterName": entry["clusterName"], "principalArn": entry["principalArn"]}
    return ActionResult({**names, "associatedAccessPolicies": list(entry["_policies"].values())})


def create_pod_identity_association(self: EKSResponse) -> ActionResult:
    """CreatePodIdentityAssociation: recorded; no agent hands out the credentials."""
    cluster, identifier = _cluster(self), f"a-{uuid.uuid4().hex[:17]}"
    arn = f"arn:aws:eks:{self.region}:{self.current_account}:podidentityassociation/{cluster.name}/{identifier}"
    record = {key: self._get_param(key) for key in ("namespace", "serviceAccount", "roleArn")}
    record |= {"clusterName": cluster.name, "associationId": identifier, "associationArn": arn}
    record |= {"tags": self._get_param("tags") or {}, "createdAt": utcnow(), "modifiedAt": utcnow()}
    cluster.pods[identifier] = record
    return ActionResult({"association": record})


def list_pod_identity_associations(self: EKSResponse) -> ActionResult:
    """ListPodIdentityAssociations."""
    return ActionResult({"associations": list(_cluster(self).pods.values())})


def delete_pod_identity_association(self: EKSResponse) -> ActionResult:
    """DeletePodIdentityAssociation."""
    found = _cluster(self).pods.pop(self._get_param("associationId"), None)
    if found is None:
        raise not_found(f"No association found with id {self._get_param('associationId')}")
    return ActionResult({"association": found})


# --- tags -------------------------------------------------------------------------------------------------------


def _tagged(backend: EKSBackend) -> dict[str, tuple[str, dict[str, str]]]:
    found: dict[str, tuple[str, dict[str, str]]] = {}
    for cluster in sweep(backend).clusters.values():
        found[cluster.arn] = ("eks:cluster", cluster.tags)
        found |= {group.arn: ("eks:nodegroup", group.tags) for group in cluster.nodegroups.values()}
        found |= {addon.addonArn: ("eks:addon", addon.tags) for addon in cluster.addons.values()}
        found |= {e["accessEntryArn"]: ("eks:access-entry", e["tags"]) for e in cluster.entries.values()}
        found |= {p["associationArn"]: ("eks:podidentityassociation", p["tags"]) for p in cluster.pods.values()}
    return found


def _tags_of(self: EKSBackend, arn: str) -> dict[str, str]:
    found = _tagged(self).get(arn)
    if found is None:
        raise not_found("The specified resource was not found")
    return found[1]


def _tag(self: EKSBackend, arn: str, tags: dict[str, str]) -> None:
    _tags_of(self, arn).update(tags)


def _untag(self: EKSBackend, arn: str, keys: list[str] | str) -> None:
    tags = _tags_of(self, arn)
    for key in [keys] if isinstance(keys, str) else keys:
        tags.pop(key, None)


def _iter_tagged(self: EKSBackend) -> Any:
    for arn, (kind, tags) in _tagged(self).items():
        yield TaggedResource(arn=arn, tags=dict(tags), resource_type=kind)


FUNCTIONS = (
    create_cluster,
    describe_cluster,
    delete_cluster,
    update_cluster_version,
    update_cluster_config,
    describe_update,
    list_updates,
    list_insights,
    describe_cluster_versions,
    create_nodegroup,
    describe_nodegroup,
    update_nodegroup_config,
    update_nodegroup_version,
    list_nodegroups,
    delete_nodegroup,
    create_addon,
    describe_addon,
    update_addon,
    delete_addon,
    list_addons,
    describe_addon_versions,
    create_access_entry,
    describe_access_entry,
    update_access_entry,
    delete_access_entry,
    list_access_entries,
    associate_access_policy,
    disassociate_access_policy,
    list_associated_access_policies,
    create_pod_identity_association,
    list_pod_identity_associations,
    delete_pod_identity_association,
)
# moto routes by patterns of its own before it looks at the API model; the longer ones must not be optional parts.
PATHS = (
    "addons$",
    "addons/(?P<addonName>[^/]+)$",
    "addons/(?P<addonName>[^/]+)/update$",
    "access-entries$",
    "access-entries/(?P<principalArn>[^/]+)$",
    "access-entries/(?P<principalArn>.+)/access-policies$",
    "access-entries/(?P<principalArn>.+)/access-policies/(?P<policyArn>.+)$",
    "access-entries/(?P<principalArn>.+)$",
    "pod-identity-associations$",
    "pod-identity-associations/(?P<associationId>[^/]+)$",
    "updates$",
    "updates/(?P<updateId>[^/]+)$",
    "insights$",
    "node-groups/(?P<nodegroupName>[^/]+)/update-version$",
)


def install() -> None:
    """Put all of this into moto."""
    _install_states()
    for function in FUNCTIONS:
        setattr(EKSResponse, function.__name__, function)
    EKSResponse.eks_backend = property(_backend)
    EKSBackend.list_tags_for_resource, EKSBackend.tag_resource, EKSBackend.untag_resource = _tags_of, _tag, _untag
    # The tagging API asks every backend that has this mixin.
    EKSBackend.SERVICE_NAMESPACE = "eks"
    EKSBackend.iter_tagged_resources = _iter_tagged
    EKSBackend.__bases__ = (BaseBackend, TaggableResourcesMixin)
    dispatch = urls.response.dispatch
    urls.url_paths.update({rf"{{0}}/clusters/(?P<name>[^/]+)/{path}": dispatch for path in PATHS})
    urls.url_paths[r"{0}/clusters/(?P<name>[^/]+)/updates$"] = dispatch
    urls.url_paths["{0}/addons/supported-versions$"] = dispatch
    urls.url_paths["{0}/cluster-versions$"] = dispatch
