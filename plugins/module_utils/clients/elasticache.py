# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Amazon ElastiCache: replication groups and their subnet groups."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from ansible_collections.langsmith.aws.plugins.module_utils.clients.aws import AwsCallError, call, given, none_on
from ansible_collections.langsmith.aws.plugins.module_utils.domain.resources.elasticache_replication_group import (
    Cache,
    CacheSettings,
)
from ansible_collections.langsmith.aws.plugins.module_utils.domain.resources.subnet_group import SubnetGroup
from ansible_collections.langsmith.aws.plugins.module_utils.domain.tags import TagChange, from_pairs, to_pairs

_GONE = (
    "CacheClusterNotFound",
    "CacheClusterNotFoundFault",
    "InvalidARN",
    "InvalidARNFault",
    "ReplicationGroupNotFoundFault",
)


def group_from(data: Mapping[str, Any], member: Mapping[str, Any], tags: dict[str, str]) -> Cache:
    """A replication group out of its description and that of one of its nodes, which knows what the group does not."""
    shard: dict[str, Any] = next(iter(data.get("NodeGroups") or []), {})
    endpoint = data.get("ConfigurationEndpoint") or shard.get("PrimaryEndpoint") or {}
    members = tuple(sorted(data.get("MemberClusters") or ()))
    node: dict[str, Any] = next(iter(member.get("CacheNodes") or []), {})
    groups = [item["SecurityGroupId"] for item in member.get("SecurityGroups") or []]
    changes = data.get("PendingModifiedValues") or {}
    node_changes = member.get("PendingModifiedValues") or {}
    return Cache(
        id=data["ReplicationGroupId"],
        arn=data.get("ARN") or "",
        status=data.get("Status") or "unknown",
        settings=CacheSettings(
            description=data.get("Description"),
            engine=data.get("Engine") or member.get("Engine") or "redis",
            engine_version=node_changes.get("EngineVersion") or member.get("EngineVersion"),
            node_type=node_changes.get("CacheNodeType") or data.get("CacheNodeType") or member.get("CacheNodeType"),
            replicas=max(len(members) - 1, 0),
            automatic_failover=(changes.get("AutomaticFailoverStatus") or data.get("AutomaticFailover"))
            in ("enabled", "enabling"),
            multi_az=data.get("MultiAZ") == "enabled",
            port=endpoint.get("Port") or (node.get("Endpoint") or {}).get("Port"),
            subnet_group_name=member.get("CacheSubnetGroupName"),
            security_group_ids=tuple(sorted(groups)) or None,
            parameter_group_name=(member.get("CacheParameterGroup") or {}).get("CacheParameterGroupName"),
            kms_key_id=data.get("KmsKeyId"),
            snapshot_retention_days=data.get("SnapshotRetentionLimit"),
            snapshot_window=data.get("SnapshotWindow"),
            maintenance_window=(member.get("PreferredMaintenanceWindow") or "").lower() or None,
            transit_encryption=bool(data.get("TransitEncryptionEnabled")),
            at_rest_encryption=bool(data.get("AtRestEncryptionEnabled")),
            auth_token_enabled=bool(data.get("AuthTokenEnabled")),
        ),
        host=endpoint.get("Address"),
        members=members,
        pending=tuple(sorted({*(key for key, value in {**changes, **node_changes}.items() if value)})),
        tags=tags,
    )


@none_on("ReplicationGroupNotFoundFault")
def describe_group(client: Any, identifier: str) -> Cache | None:
    """The replication group, or ``None``."""
    found = call(client, "describe_replication_groups", ReplicationGroupId=identifier).get("ReplicationGroups") or []
    if not found:
        return None
    members = sorted(found[0].get("MemberClusters") or ())
    member = _member(client, members[0]) if members else None
    return group_from(found[0], member or {}, _tags(client, found[0].get("ARN") or ""))


@none_on(*_GONE)
def _member(client: Any, identifier: str) -> dict[str, Any] | None:
    answer = call(client, "describe_cache_clusters", CacheClusterId=identifier, ShowCacheNodeInfo=True)
    return next(iter(answer.get("CacheClusters") or []), None)


def _tags(client: Any, arn: str) -> dict[str, str]:
    """Tags of a group. ElastiCache does not tell them while the group is being made or deleted."""
    try:
        return from_pairs(call(client, "list_tags_for_resource", ResourceName=arn).get("TagList")) if arn else {}
    except AwsCallError as error:
        if error.code in (*_GONE, "InvalidReplicationGroupState"):
            return {}
        raise


def create_group(
    client: Any, identifier: str, settings: CacheSettings, token: str | None, tags: Mapping[str, str] | None
) -> None:
    """Start the creation of a replication group, encrypted in transit and at rest."""
    call(
        client,
        "create_replication_group",
        ReplicationGroupId=identifier,
        ReplicationGroupDescription=settings.description,
        NumCacheClusters=1 + (settings.replicas or 0),
        TransitEncryptionEnabled=True,
        AtRestEncryptionEnabled=True,
        **given(
            AuthToken=token,
            Port=settings.port,
            CacheSubnetGroupName=settings.subnet_group_name,
            KmsKeyId=settings.kms_key_id,
            Tags=to_pairs(tags) or None,
        ),
        **_common(settings),
    )


def _common(settings: CacheSettings) -> dict[str, Any]:
    """What creation and modification call by the same names."""
    return given(
        Engine=settings.engine,
        EngineVersion=settings.engine_version,
        CacheNodeType=settings.node_type,
        AutomaticFailoverEnabled=settings.automatic_failover,
        MultiAZEnabled=settings.multi_az,
        SecurityGroupIds=settings.security_group_ids,
        CacheParameterGroupName=settings.parameter_group_name,
        SnapshotRetentionLimit=settings.snapshot_retention_days,
        SnapshotWindow=settings.snapshot_window,
        PreferredMaintenanceWindow=settings.maintenance_window,
    )


def modify_group(client: Any, identifier: str, wanted: CacheSettings, fields: Collection[str], now: bool) -> None:
    """Start one modification of the named fields."""
    only = CacheSettings(**{name: getattr(wanted, name) for name in fields})
    more = given(ReplicationGroupDescription=only.description)
    call(
        client, "modify_replication_group", ReplicationGroupId=identifier, ApplyImmediately=now, **_common(only), **more
    )


def change_replicas(client: Any, identifier: str, have: int, want: int) -> None:
    """Start adding or removing replicas. ElastiCache makes this change at once only."""
    method = "increase_replica_count" if want > have else "decrease_replica_count"
    call(client, method, ReplicationGroupId=identifier, NewReplicaCount=want, ApplyImmediately=True)


def delete_group(client: Any, identifier: str, snapshot: str | None) -> None:
    """Start the deletion of a replication group, with a last snapshot when one is named."""
    last: dict[str, Any] = {"FinalSnapshotIdentifier": snapshot} if snapshot else {}
    call(client, "delete_replication_group", ReplicationGroupId=identifier, RetainPrimaryCluster=False, **last)


def change_tags(client: Any, arn: str, change: TagChange) -> None:
    """Write tags of anything in ElastiCache."""
    if change.put:
        call(client, "add_tags_to_resource", ResourceName=arn, Tags=to_pairs(change.put))
    if change.remove:
        call(client, "remove_tags_from_resource", ResourceName=arn, TagKeys=list(change.remove))


@none_on("CacheSubnetGroupNotFoundFault", "CacheSubnetGroupNotFound")
def describe_subnet_group(client: Any, name: str) -> SubnetGroup | None:
    """The cache subnet group with its tags, or ``None``."""
    found = call(client, "describe_cache_subnet_groups", CacheSubnetGroupName=name).get("CacheSubnetGroups") or []
    if not found:
        return None
    data = found[0]
    arn = data.get("ARN") or ""
    subnets = tuple(sorted(item["SubnetIdentifier"] for item in data.get("Subnets") or []))
    return SubnetGroup(name, arn, data.get("CacheSubnetGroupDescription") or "", subnets, _tags(client, arn))
