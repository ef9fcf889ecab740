# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Amazon RDS: database instances and their subnet groups."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from ansible_collections.langsmith.aws.plugins.module_utils.clients.aws import call, given, none_on
from ansible_collections.langsmith.aws.plugins.module_utils.domain.resources.rds_instance import (
    Database,
    DatabaseSettings,
)
from ansible_collections.langsmith.aws.plugins.module_utils.domain.resources.subnet_group import SubnetGroup
from ansible_collections.langsmith.aws.plugins.module_utils.domain.tags import TagChange, from_pairs, to_pairs


def instance_from(data: Mapping[str, Any]) -> Database:
    """An instance out of DescribeDBInstances' answer; accepted changes overlay the present values."""
    pending = dict(data.get("PendingModifiedValues") or {})
    exports = pending.pop("PendingCloudwatchLogsExports", None) or {}
    logs = set(data.get("EnabledCloudwatchLogsExports") or ()) | set(exports.get("LogTypesToEnable") or ())
    now = {**data, **pending}
    endpoint = data.get("Endpoint") or {}
    groups = data.get("DBParameterGroups") or []
    messages = tuple(item["Message"] for item in data.get("StatusInfos") or [] if item.get("Message"))
    return Database(
        id=data["DBInstanceIdentifier"],
        arn=data.get("DBInstanceArn") or "",
        status=data.get("DBInstanceStatus") or "unknown",
        settings=DatabaseSettings(
            engine=now.get("Engine"),
            engine_version=now.get("EngineVersion"),
            instance_class=now.get("DBInstanceClass"),
            allocated_storage_gib=now.get("AllocatedStorage"),
            max_allocated_storage_gib=data.get("MaxAllocatedStorage"),
            storage_type=now.get("StorageType"),
            iops=now.get("Iops"),
            storage_throughput_mib_s=now.get("StorageThroughput"),
            storage_encrypted=bool(data.get("StorageEncrypted")),
            kms_key_id=data.get("KmsKeyId"),
            master_username=data.get("MasterUsername"),
            database_name=data.get("DBName"),
            port=pending.get("Port") or endpoint.get("Port") or data.get("DbInstancePort") or None,
            subnet_group_name=(data.get("DBSubnetGroup") or {}).get("DBSubnetGroupName"),
            security_group_ids=tuple(
                sorted(item["VpcSecurityGroupId"] for item in data.get("VpcSecurityGroups") or [])
            ),
            parameter_group_name=next((item["DBParameterGroupName"] for item in groups), None),
            multi_az=bool(now.get("MultiAZ")),
            backup_retention_days=now.get("BackupRetentionPeriod"),
            backup_window=data.get("PreferredBackupWindow"),
            maintenance_window=(data.get("PreferredMaintenanceWindow") or "").lower() or None,
            deletion_protection=bool(data.get("DeletionProtection")),
            auto_minor_version_upgrade=bool(data.get("AutoMinorVersionUpgrade")),
            enabled_log_exports=tuple(sorted(logs - set(exports.get("LogTypesToDisable") or ()))),
        ),
        host=endpoint.get("Address"),
        resource_id=data.get("DbiResourceId"),
        pending=tuple(sorted(pending) + (["EnabledCloudwatchLogsExports"] if exports else [])),
        issues=messages,
        tags=from_pairs(data.get("TagList")),
    )


@none_on("DBInstanceNotFound", "DBInstanceNotFoundFault")
def describe_instance(client: Any, identifier: str) -> Database | None:
    """The instance, or ``None``."""
    found = call(client, "describe_db_instances", DBInstanceIdentifier=identifier).get("DBInstances") or []
    return instance_from(found[0]) if found else None


def create_instance(
    client: Any, identifier: str, settings: DatabaseSettings, password: str, tags: Mapping[str, str] | None
) -> None:
    """Start the creation of an instance."""
    call(
        client,
        "create_db_instance",
        DBInstanceIdentifier=identifier,
        MasterUserPassword=password,
        PubliclyAccessible=False,
        CopyTagsToSnapshot=True,
        **given(
            Engine=settings.engine,
            MasterUsername=settings.master_username,
            DBName=settings.database_name,
            Port=settings.port,
            DBSubnetGroupName=settings.subnet_group_name,
            StorageEncrypted=settings.storage_encrypted,
            KmsKeyId=settings.kms_key_id,
            EnableCloudwatchLogsExports=settings.enabled_log_exports or None,
            Tags=to_pairs(tags) or None,
        ),
        **_common(settings),
    )


def _common(settings: DatabaseSettings) -> dict[str, Any]:
    """What creation and modification call by the same names."""
    return given(
        EngineVersion=settings.engine_version,
        DBInstanceClass=settings.instance_class,
        AllocatedStorage=settings.allocated_storage_gib,
        MaxAllocatedStorage=settings.max_allocated_storage_gib,
        StorageType=settings.storage_type,
        Iops=settings.iops,
        StorageThroughput=settings.storage_throughput_mib_s,
        VpcSecurityGroupIds=settings.security_group_ids,
        DBParameterGroupName=settings.parameter_group_name,
        MultiAZ=settings.multi_az,
        BackupRetentionPeriod=settings.backup_retention_days,
        PreferredBackupWindow=settings.backup_window,
        PreferredMaintenanceWindow=settings.maintenance_window,
        DeletionProtection=settings.deletion_protection,
        AutoMinorVersionUpgrade=settings.auto_minor_version_upgrade,
    )


_API_NAMES = {
    "engine_version": "EngineVersion",
    "instance_class": "DBInstanceClass",
    "allocated_storage_gib": "AllocatedStorage",
    "max_allocated_storage_gib": "MaxAllocatedStorage",
    "storage_type": "StorageType",
    "iops": "Iops",
    "storage_throughput_mib_s": "StorageThroughput",
    "security_group_ids": "VpcSecurityGroupIds",
    "parameter_group_name": "DBParameterGroupName",
    "multi_az": "MultiAZ",
    "backup_retention_days": "BackupRetentionPeriod",
    "backup_window": "PreferredBackupWindow",
    "maintenance_window": "PreferredMaintenanceWindow",
    "deletion_protection": "DeletionProtection",
    "auto_minor_version_upgrade": "AutoMinorVersionUpgrade",
}


def modify_instance(
    client: Any, wanted: DatabaseSettings, actual: Database, changed: Collection[str], now: bool, major: bool
) -> None:
    """Start one modification of the fields that changed."""
    all_arguments = _common(wanted)
    names = {_API_NAMES[name] for name in changed if name in _API_NAMES}
    # RDS takes operations and throughput only together with the storage they belong to.
    if names & {"Iops", "StorageThroughput", "StorageType"}:
        names |= {"Iops", "StorageThroughput", "AllocatedStorage", "StorageType"}
        all_arguments.setdefault("AllocatedStorage", actual.settings.allocated_storage_gib)
    arguments = {key: value for key, value in all_arguments.items() if key in names}
    if "AllocatedStorage" in arguments:
        arguments["AllocatedStorage"] = max(arguments["AllocatedStorage"], actual.settings.allocated_storage_gib or 0)
    if "enabled_log_exports" in changed:
        arguments["CloudwatchLogsExportConfiguration"] = _log_change(wanted, actual)
    if major:
        arguments["AllowMajorVersionUpgrade"] = True
    call(client, "modify_db_instance", DBInstanceIdentifier=actual.id, ApplyImmediately=now, **arguments)


def _log_change(wanted: DatabaseSettings, actual: Database) -> dict[str, list[str]]:
    want, have = set(wanted.enabled_log_exports or ()), set(actual.settings.enabled_log_exports or ())
    return {"EnableLogTypes": sorted(want - have), "DisableLogTypes": sorted(have - want)}


def delete_instance(client: Any, identifier: str, snapshot: str | None, delete_backups: bool) -> None:
    """Start the deletion of an instance, with a last snapshot when one is named."""
    last: dict[str, Any] = {"FinalDBSnapshotIdentifier": snapshot} if snapshot else {}
    call(
        client,
        "delete_db_instance",
        DBInstanceIdentifier=identifier,
        SkipFinalSnapshot=not snapshot,
        DeleteAutomatedBackups=delete_backups,
        **last,
    )


def change_tags(client: Any, arn: str, change: TagChange) -> None:
    """Write tags of anything in RDS."""
    if change.put:
        call(client, "add_tags_to_resource", ResourceName=arn, Tags=to_pairs(change.put))
    if change.remove:
        call(client, "remove_tags_from_resource", ResourceName=arn, TagKeys=list(change.remove))


@none_on("DBSubnetGroupNotFoundFault", "DBSubnetGroupNotFound")
def describe_subnet_group(client: Any, name: str) -> SubnetGroup | None:
    """The DB subnet group with its tags, or ``None``."""
    found = call(client, "describe_db_subnet_groups", DBSubnetGroupName=name).get("DBSubnetGroups") or []
    if not found:
        return None
    arn = found[0].get("DBSubnetGroupArn") or ""
    tags = call(client, "list_tags_for_resource", ResourceName=arn).get("TagList") if arn else None
    subnets = (item["SubnetIdentifier"] for item in found[0].get("Subnets") or [])
    return SubnetGroup(
        name, arn, found[0].get("DBSubnetGroupDescription") or "", tuple(sorted(subnets)), from_pairs(tags)
    )
