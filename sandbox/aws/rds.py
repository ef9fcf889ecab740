# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stand-in for RDS: moto's instances, each with a real PostgreSQL server behind its endpoint."""

from __future__ import annotations

import copy
import re
import shutil
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from moto.core.resource_tagging import TaggedResource
from moto.core.responses import ActionResult
from moto.rds.exceptions import InvalidParameterCombination, InvalidParameterValue, RDSClientError
from moto.rds.models import DBInstance, RDSBackend, rds_backends
from moto.rds.responses import RDSResponse

from sandbox import state, supervisor
from sandbox.aws import access
from sandbox.aws.states import WORK, Lifecycle
from sandbox.stores import postgres

# Minor versions on offer by major version, oldest first.
VERSIONS = {
    "15": [f"15.{minor}" for minor in range(10, 17)],
    "16": [f"16.{minor}" for minor in range(6, 15)],
    "17": [f"17.{minor}" for minor in range(2, 10)],
    "18": [f"18.{minor}" for minor in range(1, 5)],
}
ALL_VERSIONS = [version for minors in VERSIONS.values() for version in minors]
DEFAULT_VERSION = VERSIONS["17"][-1]
SIZES = "micro|small|medium|large|xlarge|2xlarge|4xlarge|8xlarge|12xlarge|16xlarge|24xlarge|32xlarge|48xlarge"
FAMILIES = (
    "t3|t4g|m5|m5d|m6g|m6gd|m6i|m6id|m6in|m7g|m7gd|m7i|m8g|m8gd"
    "|r5|r5b|r5d|r6g|r6gd|r6i|r6id|r6in|r7g|r7gd|r7i|r8g|r8gd|x2g"
)
CLASS = re.compile(rf"^db\.(({FAMILIES})\.({SIZES}))$")
# db.t classes end at 2xlarge, the others begin at large.
BURSTABLE = re.compile(r"^db\.t[34]g?\.(micro|small|medium|large|xlarge|2xlarge)$")
IMMUTABLE = ("creating", "deleting")
STEPS = {"creating": "available", "modifying": "available", "rebooting": "available", "deleting": "gone"}
# ModifyDBInstance without ApplyImmediately keeps these until the maintenance window.
PENDING = (
    "db_instance_class",
    "engine_version",
    "allocated_storage",
    "multi_az",
    "backup_retention_period",
    "storage_type",
)
SNAPSHOTS = "stores/snapshots"


def valid_class(name: str) -> bool:
    """Whether RDS has such an instance class for PostgreSQL."""
    if name.startswith("db.t"):
        return BURSTABLE.match(name) is not None
    return CLASS.match(name) is not None and name.rpartition(".")[2] not in ("micro", "small", "medium")


def _validate(version: str | None, instance_class: str | None) -> None:
    if version is not None and version not in ALL_VERSIONS and version not in VERSIONS:
        raise RDSClientError("InvalidParameterCombination", f"Cannot find version {version} for postgres")
    if instance_class is not None and not valid_class(instance_class):
        raise RDSClientError("InvalidParameterValue", f"Invalid DB Instance class: {instance_class}")


def sweep(backend: RDSBackend) -> RDSBackend:
    """Forget instances that have been deleted."""
    for identifier, database in list(backend.databases.items()):
        if database.status == "gone":
            backend.databases.pop(identifier, None)
    return backend


def _backend(self: RDSResponse) -> RDSBackend:
    return sweep(rds_backends[self.current_account][self.region])


_create = RDSBackend.create_db_instance


def create_db_instance(self: RDSBackend, db_kwargs: dict[str, Any]) -> Any:
    """CreateDBInstance for PostgreSQL: unknown versions and classes are refused, a server is started."""
    if getattr(_restoring, "active", False):
        return _create(self, db_kwargs)
    if db_kwargs.get("engine") != "postgres" or db_kwargs.get("db_cluster_identifier"):
        raise InvalidParameterValue("the sandbox has engine postgres without a cluster only")
    _validate(db_kwargs.get("engine_version"), db_kwargs.get("db_instance_class"))
    version = db_kwargs.get("engine_version") or DEFAULT_VERSION
    # "EngineVersion: 16" means the default minor version of it.
    db_kwargs["engine_version"] = VERSIONS[version][-1] if version in VERSIONS else version
    _validate_storage(db_kwargs)
    database = _create(self, db_kwargs)
    password = str(db_kwargs["master_user_password"])
    _complete(database)
    name, user = database.db_instance_identifier, database.master_username
    postgres.configure(name, database.engine_version, user, password, db_kwargs.get("db_name"))
    database.master_user_password = None
    WORK.start(database.arn, lambda: _start(database))
    return database


def _validate_storage(given: dict[str, Any]) -> None:
    # CreateDBInstance: gp2 and gp3 take 20 to 65536 GiB for PostgreSQL.
    if not 20 <= int(given.get("allocated_storage") or 20) <= 65536:
        raise InvalidParameterCombination(
            "Invalid storage size for engine name postgres and storage type gp3: it must be 20 to 65536 GiB"
        )
    password = given.get("master_user_password") or ""
    if given.get("manage_master_user_password"):
        raise InvalidParameterCombination("the sandbox's PostgreSQL needs MasterUserPassword; it manages none")
    if not 8 <= len(password) <= 128:
        raise InvalidParameterValue(
            "The parameter MasterUserPassword is not a valid password because it is shorter than 8 characters."
        )
    if re.search(r"[/@\" ]", password):
        raise InvalidParameterValue(
            "The parameter MasterUserPassword is not a valid password. Only printable ASCII characters besides "
            "'/', '@', '\"', ' ' may be used."
        )
    if given.get("master_username") in ("rdsadmin", "admin"):
        raise InvalidParameterValue(
            f"MasterUsername {given['master_username']} cannot be used as it is a reserved word used by the engine"
        )


def _complete(database: Any) -> None:
    if database.storage_type == "gp3":
        # "gp3 storage": 3000 IOPS and 125 MiB/s below 400 GiB, 12000 and 500 from there.
        small = int(database.allocated_storage) < 400
        database.iops = database.iops or (3000 if small else 12000)
        database.storage_throughput = database.storage_throughput or (125 if small else 500)
    database.dbi_resource_id = "db-" + uuid.uuid4().hex[:26].upper()
    database.performance_insights_enabled = bool(getattr(database, "enable_performance_insights", False))
    database.ca_certificate_identifier = "rds-ca-rsa2048-g1"


def _start(database: Any) -> None:
    database.port = postgres.start(database.db_instance_identifier)


def _address(_: DBInstance) -> str:
    return "127.0.0.1"


def _endpoint(self: DBInstance) -> dict[str, Any] | None:
    # DescribeDBInstances has no endpoint before the instance has one.
    if self.status == "creating":
        return None
    return {"Address": self.address, "Port": self.port, "HostedZoneId": "Z2R2ITUGPM61AM"}


_modify = RDSBackend.modify_db_instance


def modify_db_instance(self: RDSBackend, db_instance_identifier: str, db_kwargs: dict[str, Any]) -> Any:
    """ModifyDBInstance: a new master password reaches the server; the other values are recorded."""
    database = self.describe_db_instances(db_instance_identifier)[0]
    if database.status != "available":
        raise RDSClientError("InvalidDBInstanceState", "Database instance is not in available state.")
    version = db_kwargs.get("engine_version")
    _validate(version, db_kwargs.get("db_instance_class"))
    _validate_upgrade(database.engine_version, version, bool(db_kwargs.get("allow_major_version_upgrade")))
    if "allocated_storage" in db_kwargs and int(db_kwargs["allocated_storage"]) < int(database.allocated_storage):
        raise InvalidParameterCombination("Invalid storage size: the allocated storage cannot be decreased")
    password = db_kwargs.pop("master_user_password", None)
    deferred = {}
    if not db_kwargs.get("apply_immediately"):
        deferred = {
            key: db_kwargs.pop(key) for key in PENDING if key in db_kwargs and _differs(database, key, db_kwargs[key])
        }
    security_groups = db_kwargs.pop("vpc_security_group_ids", None)
    before = _plain(database)
    changed = _modify(self, db_instance_identifier, db_kwargs)
    if security_groups:
        changed.vpc_security_group_ids = security_groups
    if deferred:
        changed.sandbox_pending = {**getattr(changed, "sandbox_pending", {}), **deferred}
    if password:
        WORK.start(changed.arn, lambda: _set_password(changed, password))
    if password or _plain(changed) != before:
        changed.status = "modifying"
    return changed


def _set_password(database: Any, password: str) -> None:
    postgres.set_password(database.db_instance_identifier, database.master_username, password)


def _differs(database: Any, key: str, wanted: Any) -> bool:
    return str(getattr(database, key, None)) != str(wanted)


def _plain(database: Any) -> dict[str, Any]:
    return copy.copy({k: v for k, v in vars(database).items() if isinstance(v, str | int | list | type(None))})


def _validate_upgrade(current: str, wanted: str | None, major_allowed: bool) -> None:
    if not wanted:
        return
    if ALL_VERSIONS.index(wanted if wanted in ALL_VERSIONS else VERSIONS[wanted][-1]) < ALL_VERSIONS.index(current):
        raise InvalidParameterCombination(f"Cannot upgrade postgres from {current} to {wanted}")
    if wanted.split(".")[0] != current.split(".")[0] and not major_allowed:
        raise InvalidParameterCombination(
            "The AllowMajorVersionUpgrade flag must be present when upgrading to a new major version."
        )


def _pending(self: DBInstance) -> dict[str, Any]:
    words = getattr(self, "sandbox_pending", {})
    return {
        "".join(part.capitalize() for part in key.split("_")).replace("Db", "DB").replace("Az", "AZ"): v
        for key, v in words.items()
    }


_delete = RDSBackend.delete_db_instance


def delete_db_instance(self: RDSBackend, db_instance_identifier: str, **kwargs: Any) -> Any:
    """DeleteDBInstance: the server and its data go, a final snapshot keeps a copy of them."""
    database = self.describe_db_instances(db_instance_identifier)[0]
    if database.status == "deleting":
        raise RDSClientError("InvalidDBInstanceState", f"Instance {db_instance_identifier} is already being deleted.")
    final = kwargs.get("final_db_snapshot_identifier")
    if not kwargs.get("skip_final_snapshot") and not final:
        raise InvalidParameterCombination(
            "FinalDBSnapshotIdentifier is required unless SkipFinalSnapshot is specified."
        )
    _delete(self, db_instance_identifier, **kwargs)
    # moto forgets it at once; RDS shows it until it is gone.
    self.databases[database.db_instance_identifier] = database
    WORK.start(database.arn, lambda: postgres.remove(database.db_instance_identifier))
    database.status = "deleting"
    return database


# moto's restore ends in CreateDBInstance, which has checks and work of its own here.
_restoring = threading.local()
_create_snapshot = RDSBackend.create_db_snapshot
_delete_snapshot = RDSBackend.delete_db_snapshot
_restore = RDSBackend.restore_db_instance_from_db_snapshot


def snapshot_folder(identifier: str) -> Path:
    """Where the data of a DB snapshot lie."""
    return state.root() / SNAPSHOTS / identifier


def create_db_snapshot(
    self: RDSBackend, db_instance_identifier: str, db_snapshot_identifier: str, *args: Any, **kwargs: Any
) -> Any:
    """CreateDBSnapshot: a physical copy of the server's data, taken before the call returns."""
    database = self.databases.get(db_instance_identifier)
    # moto makes an automated one with every instance, when that has no server yet.
    manual = (args[0] if args else kwargs.get("snapshot_type", "manual")) == "manual"
    if manual and database is not None and database.status != "available":
        raise RDSClientError("InvalidDBInstanceState", f"Instance {db_instance_identifier} is not currently available.")
    snapshot = _create_snapshot(self, db_instance_identifier, db_snapshot_identifier, *args, **kwargs)
    if manual:
        postgres.backup(db_instance_identifier, snapshot_folder(db_snapshot_identifier))
    return snapshot


def delete_db_snapshot(self: RDSBackend, db_snapshot_identifier: str) -> Any:
    """DeleteDBSnapshot."""
    snapshot = _delete_snapshot(self, db_snapshot_identifier)
    shutil.rmtree(snapshot_folder(db_snapshot_identifier), ignore_errors=True)
    return snapshot


def restore_db_instance_from_db_snapshot(self: RDSBackend, from_snapshot_id: str, overrides: dict[str, Any]) -> Any:
    """RestoreDBInstanceFromDBSnapshot: a new server on a copy of the snapshot's data, with its users and passwords."""
    _validate(None, overrides.get("db_instance_class"))
    _restoring.active = True
    try:
        database = _restore(self, from_snapshot_id, overrides)
    finally:
        _restoring.active = False
    _complete(database)
    # "Deletion protection" of the source is not taken over.
    database.deletion_protection = bool(overrides.get("deletion_protection"))
    source = snapshot_folder(from_snapshot_id.rpartition(":")[2])

    def make() -> None:
        postgres.restore(source, database.db_instance_identifier)
        _start(database)

    WORK.start(database.arn, make)
    database.__dict__.pop("_life", None)
    database.status = "available"
    return database


def restore_db_instance_to_point_in_time(self: RDSBackend, *_: Any, **__: Any) -> Any:
    """RestoreDBInstanceToPointInTime: refused, as the sandbox keeps no transaction logs."""
    raise InvalidParameterCombination("the sandbox keeps no transaction logs: restore from a DB snapshot")


def describe_db_engine_versions(self: RDSResponse) -> ActionResult:
    """DescribeDBEngineVersions for PostgreSQL."""
    params = self.params
    wanted = params.get("EngineVersion")
    rows = []
    for version in ALL_VERSIONS if params.get("Engine", "postgres") == "postgres" else []:
        major = version.split(".")[0]
        if wanted not in (None, version, major):
            continue
        if params.get("DefaultOnly") and version != (VERSIONS[wanted][-1] if wanted in VERSIONS else DEFAULT_VERSION):
            continue
        later = [other for other in ALL_VERSIONS if ALL_VERSIONS.index(other) > ALL_VERSIONS.index(version)]
        targets = [
            {"Engine": "postgres", "EngineVersion": other, "IsMajorVersionUpgrade": other.split(".")[0] != major}
            for other in later
        ]
        row = {"Engine": "postgres", "EngineVersion": version, "DBParameterGroupFamily": f"postgres{major}"}
        rows.append({**row, "MajorEngineVersion": major, "Status": "available", "ValidUpgradeTarget": targets})
    return ActionResult({"DBEngineVersions": rows})


def describe_orderable_db_instance_options(self: RDSResponse) -> ActionResult:
    """DescribeOrderableDBInstanceOptions for PostgreSQL: every class for every version and zone."""
    params = self.params
    classes = [f"db.{family}.{size}" for family in FAMILIES.split("|") for size in SIZES.split("|")]
    wanted_class, wanted_version = params.get("DBInstanceClass"), params.get("EngineVersion")
    rows = []
    for name in classes if params.get("Engine") == "postgres" else []:
        if not valid_class(name) or wanted_class not in (None, name):
            continue
        for version in [v for v in ALL_VERSIONS if wanted_version in (None, v, v.split(".")[0])]:
            zones = [{"Name": f"{state.REGION}{letter}"} for letter in "abcdef"]
            row = {"Engine": "postgres", "EngineVersion": version, "DBInstanceClass": name, "Vpc": True}
            rows.append({**row, "MultiAZCapable": True, "StorageType": "gp3", "AvailabilityZones": zones})
    return ActionResult({"OrderableDBInstanceOptions": rows[:1000]})


_modify_subnet_group = RDSBackend.modify_db_subnet_group
_delete_subnet_group = RDSBackend.delete_subnet_group
_create_subnet_group_response = RDSResponse.create_db_subnet_group


def create_db_subnet_group(self: RDSResponse) -> Any:
    """CreateDBSubnetGroup: subnets in at least two zones."""
    result = _create_subnet_group_response(self)
    group = result.result["DBSubnetGroup"]
    if len({subnet.availability_zone for subnet in group._subnets}) < 2:
        self.backend.subnet_groups.pop(group.name, None)
        raise RDSClientError(
            "DBSubnetGroupDoesNotCoverEnoughAZs",
            "The DB subnet group doesn't meet Availability Zone (AZ) coverage requirement. Current AZ coverage: 1. "
            "Add subnets to cover at least 2 AZs.",
        )
    return result


def modify_db_subnet_group(self: RDSBackend, subnet_name: str, description: str, subnets: Any) -> Any:
    """ModifyDBSubnetGroup: the group stays (moto loses it)."""
    group = _modify_subnet_group(self, subnet_name, description, subnets)
    self.subnet_groups[subnet_name] = group
    return group


def delete_subnet_group(self: RDSBackend, subnet_name: str) -> Any:
    """DeleteDBSubnetGroup: refused while an instance is in it."""
    for database in sweep(self).databases.values():
        if getattr(database, "_db_subnet_group_name", None) == subnet_name:
            raise RDSClientError(
                "InvalidDBSubnetGroupStateFault",
                f"Cannot delete the subnet group '{subnet_name}' because at least one database instance: "
                f"{database.db_instance_identifier} is still using it.",
            )
    return _delete_subnet_group(self, subnet_name)


_iter_tagged = RDSBackend.iter_tagged_resources


def iter_tagged_resources(self: RDSBackend) -> Iterator[TaggedResource]:
    """What the tagging API lists of RDS: with subnet groups, without what is gone."""
    yield from _iter_tagged(sweep(self))
    for group in self.subnet_groups.values():
        tags = {tag["Key"]: tag["Value"] for tag in group.get_tags()}
        yield TaggedResource(arn=group.arn, tags=tags, resource_type="rds:subgrp")


def resume() -> None:
    """Start the servers of all instances that there are, after a restart."""
    for backend in list(rds_backends[access.ACCOUNT].values()):
        for database in list(sweep(backend).databases.values()):
            if (
                database.status != "deleting"
                and supervisor.find(postgres.part(database.db_instance_identifier)) is None
            ):
                WORK.start(database.arn, lambda database=database: _start(database))  # type: ignore[misc]


def forget_all() -> None:
    """Remove the servers of a former run that the emulator knows nothing of."""
    for path in (state.root() / "stores").glob("postgres-*"):
        postgres.remove(path.name.removeprefix("postgres-"))
    shutil.rmtree(state.root() / SNAPSHOTS, ignore_errors=True)


def install() -> None:
    """Put all of this into moto."""
    DBInstance.status = Lifecycle("rds::dbinstance", "creating", STEPS, "failed", lambda database: database.arn)
    DBInstance.address, DBInstance.endpoint = property(_address), property(_endpoint)
    DBInstance.pending_modified_values = property(_pending)
    RDSResponse.backend = property(_backend)
    for function in (
        create_db_instance,
        modify_db_instance,
        delete_db_instance,
        create_db_snapshot,
        delete_db_snapshot,
        restore_db_instance_from_db_snapshot,
        restore_db_instance_to_point_in_time,
        modify_db_subnet_group,
        delete_subnet_group,
        iter_tagged_resources,
    ):
        setattr(RDSBackend, function.__name__, function)
    for call in (describe_db_engine_versions, describe_orderable_db_instance_options, create_db_subnet_group):
        setattr(RDSResponse, call.__name__, call)
