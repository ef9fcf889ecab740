# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stand-in for EKS: moto's clusters, given the real control plane's endpoint, and the calls that moto lacks."""

from __future__ import annotations

import base64
import re
import uuid
from pathlib import Path
from typing import Any

import moto.eks.models as models
import moto.eks.urls as urls
from moto.core.base_backend import BaseBackend
from moto.core.resource_tagging import TaggableResourcesMixin, TaggedResource
from moto.core.responses import ActionResult
from moto.ec2.models import ec2_backends
from moto.eks.models import EKSBackend
from moto.eks.responses import EKSResponse

from sandbox import state
from sandbox.aws import access, eks_access, eks_addon_calls, eks_addons, eks_cleanup, eks_nodegroups
from sandbox.aws.control_plane import endpoints, wait_ready
from sandbox.aws.eks_access import associate, new_entry
from sandbox.aws.eks_base import (
    CONTROL_PLANE_SECONDS,
    VERSIONS,
    _backend,
    active_cluster,
    check_role,
    cluster_of,
    install_states,
    invalid,
    not_found,
    subnets_of,
    sweep,
    update_of,
)
from sandbox.aws.states import WORK

NAME = re.compile(r"^[0-9A-Za-z][A-Za-z0-9_-]{0,99}$")
_create_cluster = EKSResponse.create_cluster


def create_cluster(self: EKSResponse) -> Any:
    """CreateCluster, refusing what EKS refuses; the caller is remembered for the bootstrap administrator."""
    version = self._get_param("version")
    name = self._get_param("name")
    if not NAME.match(name):
        raise invalid("The name can contain only alphanumeric characters, hyphens and underscores")
    if version and version not in VERSIONS:
        raise invalid(f"unsupported Kubernetes version {version}")
    check_role(self._get_param("roleArn"), "eks.amazonaws.com")
    vpc = self._get_param("resourcesVpcConfig") or {}
    subnets = subnets_of(self, vpc.get("subnetIds") or [])
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
        entry = new_entry(response, cluster, cluster.creator_arn)
        associate(entry, "arn:aws:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy", {"type": "cluster"})
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


def update_cluster_version(self: EKSResponse) -> ActionResult:
    """UpdateClusterVersion: one minor version at a time."""
    cluster, wanted = active_cluster(self), self._get_param("version")
    if wanted not in VERSIONS or int(wanted.split(".")[1]) != int(cluster.version.split(".")[1]) + 1:
        raise invalid(f"Unsupported Kubernetes minor version update from {cluster.version} to {wanted}")
    behind = [g for g in cluster.nodegroups.values() if int(wanted.split(".")[1]) - int(g.version.split(".")[1]) > 3]
    if behind:
        # Kubernetes version skew policy: a kubelet may be three minor versions older than the API server.
        raise models.InvalidRequestException(message=f"Nodegroup {behind[0].nodegroup_name} must be updated first")
    cluster.version = wanted
    cluster.status = "UPDATING"
    return update_of(cluster, "VersionUpdate", version=wanted, platformVersion="eks.1")


def update_cluster_config(self: EKSResponse) -> ActionResult:
    """UpdateClusterConfig: what is not named stays."""
    cluster = active_cluster(self)
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
    return update_of(cluster, kind, **params)


def describe_update(self: EKSResponse) -> ActionResult:
    """DescribeUpdate: it is successful once what it changes is active again."""
    cluster, identifier = cluster_of(self), self._get_param("updateId")
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
    return ActionResult({"updateIds": list(cluster_of(self).updates)})


def list_insights(self: EKSResponse) -> ActionResult:
    """ListInsights: the sandbox finds nothing."""
    cluster_of(self)
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
    *eks_nodegroups.FUNCTIONS,
    *eks_addon_calls.FUNCTIONS,
    *eks_access.FUNCTIONS,
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
    install_states()
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
