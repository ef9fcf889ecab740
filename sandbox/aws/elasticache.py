# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stand-in for ElastiCache: moto's replication groups, each with a real Redis server behind its primary endpoint."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from moto.core.resource_tagging import TaggedResource
from moto.core.responses import ActionResult, EmptyResult
from moto.core.utils import utcnow
from moto.elasticache.exceptions import CacheSubnetGroupNotFound
from moto.elasticache.models import ElastiCacheBackend, ReplicationGroup, elasticache_backends
from moto.elasticache.responses import ElastiCacheResponse

from sandbox import state, supervisor
from sandbox.aws import access
from sandbox.aws.errors import CallError
from sandbox.aws.states import WORK, Lifecycle
from sandbox.stores import redis

STEPS = {"creating": "available", "modifying": "available", "deleting": "gone"}
# "Supported engines and versions" of the user guide; Redis OSS ends at 7.1, Valkey goes on from there.
VERSIONS = {"redis": ("6.2", "7.0", "7.1"), "valkey": ("7.2", "8.0", "8.1")}
NODE_TYPE = re.compile(
    r"^cache\.((t3|t4g)\.(micro|small|medium)"
    r"|(m5|m6g|m7g|r5|r6g|r6gd|r7g)\.(large|xlarge|2xlarge|4xlarge|8xlarge|12xlarge|16xlarge|24xlarge))$"
)
# "Authenticating with the AUTH command": 16 to 128 printable characters, of the others only ! & # $ ^ < > -.
TOKEN = re.compile(r"^[A-Za-z0-9!&#$^<>-]{16,128}$")
FIELDS = {
    "SecurityGroupIds": "security_group_ids",
    "CacheParameterGroupName": "cache_parameter_group_name",
    "EngineVersion": "engine_version",
    "SnapshotWindow": "snapshot_window",
    "PreferredMaintenanceWindow": "preferred_maintenance_window",
    "AutoMinorVersionUpgrade": "auto_minor_version_upgrade",
}


def _refuse(code: str, message: str) -> CallError:
    return CallError(code, message)


def sweep(backend: ElastiCacheBackend) -> ElastiCacheBackend:
    """Forget groups that have been deleted."""
    for identifier, group in list(backend.replication_groups.items()):
        if group.status == "gone":
            backend.replication_groups.pop(identifier, None)
            for member in group.member_clusters:
                backend.cache_clusters.pop(member, None)
    return backend


def _backend(self: ElastiCacheResponse) -> ElastiCacheBackend:
    return sweep(elasticache_backends[self.current_account][self.region])


def _validate(self: ElastiCacheResponse) -> None:
    engine = self._get_param("Engine") or "redis"
    version = self._get_param("EngineVersion")
    if engine not in VERSIONS:
        raise _refuse("InvalidParameterValue", f"Invalid engine: {engine}")
    if version and not any(version == known or version == known.split(".")[0] + ".x" for known in VERSIONS[engine]):
        raise _refuse("InvalidParameterCombination", f"Cannot find version {version} for {engine}")
    node_type = self._get_param("CacheNodeType")
    if node_type and not NODE_TYPE.match(node_type):
        raise _refuse("InvalidParameterValue", f"Invalid Cache Node Type: {node_type}")
    token = self._get_param("AuthToken")
    if token and not TOKEN.match(token):
        raise _refuse("InvalidParameterValue", "Invalid AuthToken provided.")


_create = ElastiCacheResponse.create_replication_group


def create_replication_group(self: ElastiCacheResponse) -> Any:
    """CreateReplicationGroup: a server is started; a token needs TLS, failover needs a replica."""
    _validate(self)
    token, tls = self._get_param("AuthToken"), self._get_bool_param("TransitEncryptionEnabled")
    if token and not tls:
        raise _refuse(
            "InvalidParameterValue", "The AUTH token is only supported when encryption-in-transit is enabled."
        )
    nodes = self._get_int_param("NumCacheClusters") or (self._get_int_param("ReplicasPerNodeGroup") or 0) + 1
    if self._get_bool_param("AutomaticFailoverEnabled") and nodes < 2:
        raise _refuse(
            "InvalidParameterCombination", "Automatic failover is not supported for replication groups with 1 node."
        )
    subnet_group = self._get_param("CacheSubnetGroupName")
    if subnet_group and subnet_group not in self.elasticache_backend.cache_subnet_groups:
        raise CacheSubnetGroupNotFound(subnet_group)
    result = _create(self)
    group = _group(self)
    engine = self._get_param("Engine") or "redis"
    group.engine_version = self._get_param("EngineVersion") or VERSIONS[engine][-1]
    _members(group, nodes)
    redis.configure(group.replication_group_id, [token] if token else [], bool(tls))
    WORK.start(group.arn, lambda: _start(group))
    return result


def _members(group: Any, nodes: int) -> None:
    """Members by NumCacheClusters, of which moto makes one: primary first, zones in turn."""
    identifier = group.replication_group_id
    group.member_clusters = [f"{identifier}-{number:03d}" for number in range(1, nodes + 1)]
    members = []
    for index, member in enumerate(group.member_clusters):
        row = {"cache_cluster_id": member, "cache_node_id": "0001", "current_role": "replica" if index else "primary"}
        members.append({**row, "preferred_availability_zone": f"{state.REGION}{'abc'[index % 3]}"})
    group.node_groups[0]["node_group_members"] = members


def _start(group: Any) -> None:
    port = redis.start(group.replication_group_id)
    group.port = port
    node_group = group.node_groups[0]
    node_group["port"] = port
    node_group["primary_endpoint"] = {"address": "127.0.0.1", "port": port}
    # One server serves both endpoints.
    node_group["reader_endpoint"] = {"address": "127.0.0.1", "port": port}
    for member in node_group["node_group_members"]:
        member["read_endpoint"] = {"address": "127.0.0.1", "port": port}


def _group(self: ElastiCacheResponse) -> Any:
    return self.elasticache_backend.describe_replication_groups(self._get_param("ReplicationGroupId"))[0]


_modify = ElastiCacheResponse.modify_replication_group


def modify_replication_group(self: ElastiCacheResponse) -> Any:
    """ModifyReplicationGroup: the fields that moto leaves out, and the token by its update strategy."""
    group = _group(self)
    if group.status != "available":
        raise _refuse(
            "InvalidReplicationGroupState",
            f"Replication group {group.replication_group_id} must be in available state to be modified.",
        )
    _validate(self)
    token, strategy = self._get_param("AuthToken"), self._get_param("AuthTokenUpdateStrategy") or "ROTATE"
    result = _modify(self)
    for parameter, attribute in FIELDS.items():
        if self._get_param(parameter) is not None:
            setattr(group, attribute, self._get_param(parameter))
    if token or strategy == "DELETE":
        known = state.read_json(f"stores/{redis.part(group.replication_group_id)}/settings.json")["tokens"]
        # ROTATE adds a token and keeps the last one, SET leaves only the new one, DELETE none.
        tokens = {"SET": [token], "ROTATE": [token, *known[:1]], "DELETE": []}[strategy]
        WORK.start(group.arn, lambda: redis.set_tokens(group.replication_group_id, tokens))
        group.auth_token_enabled, group.auth_token_last_modified_date = bool(tokens), utcnow()
    group.status = "modifying"
    return result


def increase_replica_count(self: ElastiCacheResponse) -> ActionResult:
    """IncreaseReplicaCount: recorded; there is one server."""
    group = _group(self)
    _members(group, int(self._get_param("NewReplicaCount")) + 1)
    group.status = "modifying"
    _start(group)
    return ActionResult({"ReplicationGroup": group})


_delete = ElastiCacheBackend.delete_replication_group


def delete_replication_group(
    self: ElastiCacheBackend, replication_group_id: str, retain_primary_cluster: bool | None
) -> Any:
    """DeleteReplicationGroup: the server and its data go."""
    group = self.describe_replication_groups(replication_group_id)[0]
    if group.status == "deleting":
        raise _refuse(
            "InvalidReplicationGroupState", f"Replication group {replication_group_id} is already being deleted."
        )
    WORK.start(group.arn, lambda: redis.remove(replication_group_id))
    return _delete(self, replication_group_id, retain_primary_cluster)


def describe_cache_clusters(self: ElastiCacheResponse) -> ActionResult:
    """DescribeCacheClusters for the members of replication groups, which moto does not list."""
    wanted = self._get_param("CacheClusterId")
    rows = [
        _member(group, member)
        for group in self.elasticache_backend.replication_groups.values()
        for member in group.member_clusters
    ]
    rows = [row for row in rows if wanted in (None, row["CacheClusterId"])]
    if wanted and not rows:
        raise _refuse("CacheClusterNotFound", f"CacheCluster not found: {wanted}")
    return ActionResult({"CacheClusters": rows})


def _member(group: Any, member: str) -> dict[str, Any]:
    return {
        "CacheClusterId": member,
        "ReplicationGroupId": group.replication_group_id,
        "CacheClusterStatus": group.status,
        "CacheNodeType": group.cache_node_type,
        "Engine": group.engine,
        "EngineVersion": full_version(group.engine_version),
        "NumCacheNodes": 1,
        "CacheSubnetGroupName": group.cache_subnet_group_name,
        "SecurityGroups": [{"SecurityGroupId": i, "Status": "active"} for i in group.security_group_ids or []],
        "CacheParameterGroup": {"CacheParameterGroupName": group.cache_parameter_group_name or "default.redis7"},
        "TransitEncryptionEnabled": group.transit_encryption_enabled,
        "AtRestEncryptionEnabled": group.at_rest_encryption_enabled,
        "AuthTokenEnabled": group.auth_token_enabled,
        "SnapshotRetentionLimit": group.snapshot_retention_limit,
        "CacheClusterCreateTime": group.replication_group_create_time,
        "AutoMinorVersionUpgrade": group.auto_minor_version_upgrade is not False,
        "ARN": group.arn.replace("replicationgroup:" + group.replication_group_id, "cluster:" + member),
    }


def full_version(version: str) -> str:
    """DescribeCacheClusters gives three numbers where two were asked for."""
    return version if version.count(".") > 1 else f"{version}.0"


def delete_cache_subnet_group(self: ElastiCacheResponse) -> EmptyResult:
    """DeleteCacheSubnetGroup: refused while a group is in it."""
    backend, name = self.elasticache_backend, self._get_param("CacheSubnetGroupName")
    if name not in backend.cache_subnet_groups:
        raise CacheSubnetGroupNotFound(name)
    if any(group.cache_subnet_group_name == name for group in backend.replication_groups.values()):
        raise _refuse("CacheSubnetGroupInUse", f"Cache Subnet Group {name} is currently in use by a cache cluster.")
    backend.cache_subnet_groups.pop(name)
    return EmptyResult()


def modify_cache_subnet_group(self: ElastiCacheResponse) -> ActionResult:
    """ModifyCacheSubnetGroup: description and subnets."""
    backend, name = self.elasticache_backend, self._get_param("CacheSubnetGroupName")
    group = backend.cache_subnet_groups.get(name)
    if group is None:
        raise CacheSubnetGroupNotFound(name)
    description = self._get_param("CacheSubnetGroupDescription") or group.cache_subnet_group_description
    subnets = self._get_param("SubnetIds") or group.subnet_ids
    made = type(group)(backend.account_id, backend.region_name, name, description, subnets, group.tags)
    backend.cache_subnet_groups[name] = made
    return ActionResult({"CacheSubnetGroup": made})


_iter_tagged = ElastiCacheBackend.iter_tagged_resources


def iter_tagged_resources(self: ElastiCacheBackend) -> Iterator[TaggedResource]:
    """What the tagging API lists of ElastiCache: without what is gone."""
    yield from _iter_tagged(sweep(self))


def resume() -> None:
    """Start the servers of all groups that there are, after a restart."""
    for backend in list(elasticache_backends[access.ACCOUNT].values()):
        for group in list(sweep(backend).replication_groups.values()):
            if group.status != "deleting" and supervisor.find(redis.part(group.replication_group_id)) is None:
                WORK.start(group.arn, lambda group=group: _start(group))  # type: ignore[misc]


def forget_all() -> None:
    """Remove the servers of a former run that the emulator knows nothing of."""
    for path in (state.root() / "stores").glob("redis-*"):
        redis.remove(path.name.removeprefix("redis-"))


def install() -> None:
    """Put all of this into moto."""
    ReplicationGroup.status = Lifecycle(
        "elasticache::replicationgroup", "creating", STEPS, "create-failed", lambda group: group.arn
    )
    ElastiCacheResponse.elasticache_backend = property(_backend)
    ElastiCacheBackend.delete_replication_group = delete_replication_group
    ElastiCacheBackend.iter_tagged_resources = iter_tagged_resources
    for function in (
        create_replication_group,
        modify_replication_group,
        increase_replica_count,
        describe_cache_clusters,
        delete_cache_subnet_group,
        modify_cache_subnet_group,
    ):
        setattr(ElastiCacheResponse, function.__name__, function)
