# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Amazon EKS: clusters, managed node groups and add-ons."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ansible_collections.langsmith.aws.plugins.module_utils.clients.aws import (
    call,
    call_with_new_role,
    given,
    none_on,
    pages,
)
from ansible_collections.langsmith.aws.plugins.module_utils.domain.progress import Phase, Progress
from ansible_collections.langsmith.aws.plugins.module_utils.domain.resources.eks_addon import Addon, AddonSettings
from ansible_collections.langsmith.aws.plugins.module_utils.domain.resources.eks_cluster import (
    LOG_TYPES,
    Cluster,
    ClusterSettings,
)
from ansible_collections.langsmith.aws.plugins.module_utils.domain.resources.eks_nodegroup import (
    Nodegroup,
    NodegroupSettings,
    sorted_taints,
)
from ansible_collections.langsmith.aws.plugins.module_utils.domain.tags import TagChange

_UPDATE_PHASES: dict[str, Phase] = {"InProgress": "changing", "Successful": "ready"}


def _issues(data: Mapping[str, Any]) -> tuple[str, ...]:
    found = (data.get("health") or {}).get("issues") or []
    return tuple(f"{item.get('code')}: {item.get('message')}" for item in found)


def cluster_from(data: Mapping[str, Any]) -> Cluster:
    """A cluster out of DescribeCluster's answer."""
    vpc, access = data.get("resourcesVpcConfig") or {}, data.get("accessConfig") or {}
    logging = (data.get("logging") or {}).get("clusterLogging") or []
    keys = [item.get("provider", {}).get("keyArn") for item in data.get("encryptionConfig") or []]
    public = bool(vpc.get("endpointPublicAccess"))
    return Cluster(
        name=data["name"],
        arn=data["arn"],
        status=data.get("status") or "UNKNOWN",
        settings=ClusterSettings(
            version=data.get("version"),
            role_arn=data.get("roleArn"),
            subnet_ids=tuple(sorted(vpc.get("subnetIds") or ())),
            security_group_ids=tuple(sorted(vpc.get("securityGroupIds") or ())),
            endpoint_public_access=public,
            endpoint_private_access=bool(vpc.get("endpointPrivateAccess")),
            public_access_cidrs=tuple(sorted(vpc.get("publicAccessCidrs") or (["0.0.0.0/0"] if public else ()))),
            authentication_mode=access.get("authenticationMode") or "CONFIG_MAP",
            log_types=tuple(sorted(kind for item in logging if item.get("enabled") for kind in item["types"])),
            deletion_protection=bool(data.get("deletionProtection")),
            kms_key_arn=next((key for key in keys if key), None),
            service_ipv4_cidr=(data.get("kubernetesNetworkConfig") or {}).get("serviceIpv4Cidr"),
            support_type=(data.get("upgradePolicy") or {}).get("supportType"),
        ),
        platform_version=data.get("platformVersion"),
        endpoint=data.get("endpoint"),
        certificate_authority=(data.get("certificateAuthority") or {}).get("data"),
        oidc_issuer=((data.get("identity") or {}).get("oidc") or {}).get("issuer"),
        security_group_id=vpc.get("clusterSecurityGroupId"),
        vpc_id=vpc.get("vpcId"),
        issues=_issues(data),
        tags=dict(data.get("tags") or {}),
    )


@none_on("ResourceNotFoundException")
def describe_cluster(client: Any, name: str) -> Cluster:
    """The cluster, or ``None``."""
    return cluster_from(call(client, "describe_cluster", name=name)["cluster"])


def _logging(types: tuple[str, ...] | None) -> dict[str, Any] | None:
    if types is None:
        return None
    rest = [kind for kind in LOG_TYPES if kind not in types]
    setups = [{"types": list(types), "enabled": True}, {"types": rest, "enabled": False}]
    return {"clusterLogging": [item for item in setups if item["types"]]}


def _cluster_arguments(settings: ClusterSettings) -> dict[str, Any]:
    """What creation and configuration updates have in common."""
    vpc = given(
        subnetIds=settings.subnet_ids,
        securityGroupIds=settings.security_group_ids,
        endpointPublicAccess=settings.endpoint_public_access,
        endpointPrivateAccess=settings.endpoint_private_access,
        publicAccessCidrs=None if settings.endpoint_public_access is False else settings.public_access_cidrs,
    )
    access = given(authenticationMode=settings.authentication_mode)
    upgrade = given(supportType=settings.support_type)
    return given(
        resourcesVpcConfig=vpc or None,
        logging=_logging(settings.log_types),
        accessConfig=access or None,
        upgradePolicy=upgrade or None,
        deletionProtection=settings.deletion_protection,
    )


def create_cluster(
    client: Any, name: str, settings: ClusterSettings, bootstrap_admin: bool, tags: Mapping[str, str] | None
) -> None:
    """Start the creation of a cluster."""
    arguments = _cluster_arguments(settings)
    arguments["accessConfig"] = {
        **arguments.get("accessConfig", {}),
        "bootstrapClusterCreatorAdminPermissions": bootstrap_admin,
    }
    network = given(serviceIpv4Cidr=settings.service_ipv4_cidr)
    call_with_new_role(
        client,
        "create_cluster",
        name=name,
        roleArn=settings.role_arn,
        **given(
            version=settings.version,
            kubernetesNetworkConfig=network or None,
            encryptionConfig=_encryption(settings.kms_key_arn),
            tags=dict(tags) if tags else None,
        ),
        **arguments,
    )


def _encryption(key_arn: str | None) -> list[dict[str, Any]] | None:
    return [{"resources": ["secrets"], "provider": {"keyArn": key_arn}}] if key_arn else None


def update_cluster(client: Any, name: str, settings: ClusterSettings) -> str | None:
    """Start one update of one group of settings; the id of the update."""
    if settings.version is not None:
        answer = call(client, "update_cluster_version", name=name, version=settings.version)
    elif settings.kms_key_arn is not None:
        encryption = _encryption(settings.kms_key_arn)
        answer = call(client, "associate_encryption_config", clusterName=name, encryptionConfig=encryption)
    else:
        answer = call(client, "update_cluster_config", name=name, **_cluster_arguments(settings))
    return (answer.get("update") or {}).get("id")


def delete_cluster(client: Any, name: str) -> None:
    """Start the deletion of a cluster."""
    call(client, "delete_cluster", name=name)


def describe_update(client: Any, cluster: str, update_id: str, nodegroup: str = "", addon: str = "") -> Progress:
    """Where an update stands."""
    which = given(nodegroupName=nodegroup or None, addonName=addon or None)
    data = call(client, "describe_update", name=cluster, updateId=update_id, **which)["update"]
    errors = tuple(f"{item.get('errorCode')}: {item.get('errorMessage')}" for item in data.get("errors") or [])
    status = data.get("status") or "InProgress"
    return Progress(_UPDATE_PHASES.get(status, "broken"), f"{data.get('type', 'update')} {status}", errors)


def nodegroup_from(data: Mapping[str, Any]) -> Nodegroup:
    """A node group out of DescribeNodegroup's answer."""
    scaling, template = data.get("scalingConfig") or {}, data.get("launchTemplate") or {}
    groups = (data.get("resources") or {}).get("autoScalingGroups") or []
    return Nodegroup(
        cluster_name=data["clusterName"],
        name=data["nodegroupName"],
        arn=data["nodegroupArn"],
        status=data.get("status") or "UNKNOWN",
        settings=NodegroupSettings(
            node_role_arn=data.get("nodeRole"),
            subnet_ids=tuple(sorted(data.get("subnets") or ())),
            instance_types=tuple(data.get("instanceTypes") or ()) or None,
            ami_type=data.get("amiType"),
            capacity_type=data.get("capacityType") or "ON_DEMAND",
            disk_size_gib=data.get("diskSize"),
            min_size=scaling.get("minSize"),
            max_size=scaling.get("maxSize"),
            desired_size=scaling.get("desiredSize"),
            version=data.get("version"),
            release_version=data.get("releaseVersion"),
            launch_template_id=template.get("id"),
            launch_template_version=template.get("version"),
            max_unavailable=(data.get("updateConfig") or {}).get("maxUnavailable"),
            labels=dict(data.get("labels") or {}),
            taints=sorted_taints(data.get("taints") or ()),
        ),
        autoscaling_group_names=tuple(item["name"] for item in groups),
        issues=_issues(data),
        tags=dict(data.get("tags") or {}),
    )


@none_on("ResourceNotFoundException")
def describe_nodegroup(client: Any, cluster: str, name: str) -> Nodegroup:
    """The node group, or ``None``."""
    return nodegroup_from(call(client, "describe_nodegroup", clusterName=cluster, nodegroupName=name)["nodegroup"])


@none_on("ResourceNotFoundException")
def list_nodegroups(client: Any, cluster: str) -> list[str]:
    """The names of a cluster's node groups, or ``None`` without such a cluster."""
    return pages(client, "list_nodegroups", "nodegroups", clusterName=cluster)


def _taints(settings: NodegroupSettings) -> list[dict[str, str]]:
    return [given(key=item.key, value=item.value or None, effect=item.effect) for item in settings.taints or ()]


def create_nodegroup(
    client: Any, cluster: str, name: str, settings: NodegroupSettings, tags: Mapping[str, str] | None
) -> None:
    """Start the creation of a node group; without a desired size it starts at the smallest."""
    scaling = {
        "minSize": settings.min_size,
        "maxSize": settings.max_size,
        "desiredSize": settings.min_size if settings.desired_size is None else settings.desired_size,
    }
    template = given(id=settings.launch_template_id, version=settings.launch_template_version)
    update = given(maxUnavailable=settings.max_unavailable)
    call_with_new_role(
        client,
        "create_nodegroup",
        clusterName=cluster,
        nodegroupName=name,
        nodeRole=settings.node_role_arn,
        subnets=list(settings.subnet_ids or ()),
        scalingConfig=scaling,
        **given(
            instanceTypes=settings.instance_types,
            amiType=settings.ami_type,
            capacityType=settings.capacity_type,
            diskSize=settings.disk_size_gib,
            version=settings.version,
            releaseVersion=settings.release_version,
            launchTemplate=template or None,
            updateConfig=update or None,
            labels=settings.labels or None,
            taints=_taints(settings) or None,
            tags=dict(tags) if tags else None,
        ),
    )


def update_nodegroup_config(
    client: Any, wanted: NodegroupSettings, actual: Nodegroup, desired_size: int | None
) -> str | None:
    """Start an update of bounds, labels, taints or the update rate; the id of the update."""
    scaling = given(minSize=wanted.min_size, maxSize=wanted.max_size, desiredSize=desired_size)
    update = given(maxUnavailable=wanted.max_unavailable)
    answer = call(
        client,
        "update_nodegroup_config",
        clusterName=actual.cluster_name,
        nodegroupName=actual.name,
        **given(
            scalingConfig=scaling or None,
            labels=_label_change(wanted, actual.settings),
            taints=_taint_change(wanted, actual.settings),
            updateConfig=update or None,
        ),
    )
    return (answer.get("update") or {}).get("id")


def _label_change(wanted: NodegroupSettings, actual: NodegroupSettings) -> dict[str, Any] | None:
    if wanted.labels is None:
        return None
    have = actual.labels or {}
    put = {key: value for key, value in wanted.labels.items() if have.get(key) != value}
    remove = sorted(set(have) - set(wanted.labels))
    return given(addOrUpdateLabels=put or None, removeLabels=remove or None) or None


def _taint_change(wanted: NodegroupSettings, actual: NodegroupSettings) -> dict[str, Any] | None:
    if wanted.taints is None:
        return None
    want, have = _taints(wanted), _taints(actual)
    # EKS knows a taint by key and effect: one with a new value is an update, never also a removal.
    kept = {(item["key"], item["effect"]) for item in want}
    put = [item for item in want if item not in have]
    remove = [item for item in have if (item["key"], item["effect"]) not in kept]
    return given(addOrUpdateTaints=put or None, removeTaints=remove or None) or None


def update_nodegroup_version(
    client: Any, cluster: str, name: str, settings: NodegroupSettings, force: bool
) -> str | None:
    """Start the replacement of nodes by ones of another version; the id of the update."""
    template = given(id=settings.launch_template_id, version=settings.launch_template_version)
    answer = call(
        client,
        "update_nodegroup_version",
        clusterName=cluster,
        nodegroupName=name,
        force=force,
        **given(version=settings.version, releaseVersion=settings.release_version, launchTemplate=template or None),
    )
    return (answer.get("update") or {}).get("id")


def delete_nodegroup(client: Any, cluster: str, name: str) -> None:
    """Start the deletion of a node group."""
    call(client, "delete_nodegroup", clusterName=cluster, nodegroupName=name)


def addon_from(data: Mapping[str, Any]) -> Addon:
    """An add-on out of DescribeAddon's answer."""
    text = data.get("configurationValues") or None
    try:
        values = json.loads(text) if text else None
    except ValueError:
        values = None
    return Addon(
        cluster_name=data["clusterName"],
        name=data["addonName"],
        arn=data.get("addonArn") or "",
        status=data.get("status") or "UNKNOWN",
        settings=AddonSettings(
            addon_version=data.get("addonVersion"),
            service_account_role_arn=data.get("serviceAccountRoleArn"),
            configuration_values=values if isinstance(values, dict) else None,
        ),
        configuration_text=text,
        issues=_issues(data),
        tags=dict(data.get("tags") or {}),
    )


@none_on("ResourceNotFoundException")
def describe_addon(client: Any, cluster: str, name: str) -> Addon:
    """The add-on, or ``None``."""
    return addon_from(call(client, "describe_addon", clusterName=cluster, addonName=name)["addon"])


@none_on("ResourceNotFoundException")
def list_addons(client: Any, cluster: str) -> list[str]:
    """The names of a cluster's add-ons, or ``None`` without such a cluster."""
    return pages(client, "list_addons", "addons", clusterName=cluster)


def _addon_arguments(settings: AddonSettings, resolve_conflicts: str) -> dict[str, Any]:
    values = settings.configuration_values
    return given(
        addonVersion=settings.addon_version,
        serviceAccountRoleArn=settings.service_account_role_arn,
        configurationValues=json.dumps(values, sort_keys=True) if values is not None else None,
        resolveConflicts=resolve_conflicts,
    )


def create_addon(
    client: Any,
    cluster: str,
    name: str,
    settings: AddonSettings,
    resolve_conflicts: str,
    tags: Mapping[str, str] | None,
) -> None:
    """Start the creation of an add-on."""
    arguments = _addon_arguments(settings, resolve_conflicts)
    more = given(tags=dict(tags) if tags else None)
    call(client, "create_addon", clusterName=cluster, addonName=name, **arguments, **more)


def update_addon(client: Any, cluster: str, name: str, settings: AddonSettings, resolve_conflicts: str) -> str | None:
    """Start an update of an add-on; the id of the update."""
    arguments = _addon_arguments(settings, resolve_conflicts)
    answer = call(client, "update_addon", clusterName=cluster, addonName=name, **arguments)
    return (answer.get("update") or {}).get("id")


def delete_addon(client: Any, cluster: str, name: str, preserve: bool) -> None:
    """Start the deletion of an add-on; ``preserve`` leaves what it installed in the cluster."""
    call(client, "delete_addon", clusterName=cluster, addonName=name, preserve=preserve)


def change_tags(client: Any, arn: str, change: TagChange) -> None:
    """Write tags of anything in EKS."""
    if change.put:
        call(client, "tag_resource", resourceArn=arn, tags=change.put)
    if change.remove:
        call(client, "untag_resource", resourceArn=arn, tagKeys=list(change.remove))
