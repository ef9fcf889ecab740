# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The RDS database instance: what can be wanted of it, and what AWS lets change."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ansible_collections.langsmith.aws.plugins.module_utils.domain.difference import (
    Difference,
    chosen,
    compare,
    pick,
    settings_dict,
)
from ansible_collections.langsmith.aws.plugins.module_utils.domain.progress import (
    Phase,
    Progress,
    broken_difference,
)
from ansible_collections.langsmith.aws.plugins.module_utils.domain.tags import tag_differences

STORAGE_TYPES = ("gp3", "gp2", "io1", "io2")

#: DB instance status, from the RDS user guide "Viewing Amazon RDS DB instance status". What is not here is a change
#: under way (creating, backing-up, modifying, upgrading, rebooting, configuring-..., maintenance, ...).
_PHASES: dict[str, Phase] = {
    "available": "ready",
    "storage-optimization": "ready",
    "storage-full": "degraded",
    "deleting": "leaving",
    "delete-precheck": "leaving",
    "failed": "broken",
    "restore-error": "broken",
    "insufficient-capacity": "broken",
    "inaccessible-encryption-credentials": "broken",
    "stopped": "broken",
}

_RESTORE = "RDS fixes it at creation; restore a snapshot into a new instance."
_BLOCKED = {
    "engine": _RESTORE,
    "master_username": _RESTORE,
    "database_name": "RDS makes the first database only at creation; create another with SQL, or leave the option out.",
    "storage_encrypted": _RESTORE,
    "kms_key_id": _RESTORE,
    "subnet_group_name": _RESTORE,
    "port": "changing the port cuts every client off; keep the port, or restore a snapshot into a new instance.",
}


@dataclass(frozen=True)
class DatabaseSettings:
    """What may be wanted; ``None`` leaves a setting as it is. Storage is in GiB, throughput in MiB/s."""

    engine: str | None = None
    engine_version: str | None = None
    instance_class: str | None = None
    allocated_storage_gib: int | None = None
    max_allocated_storage_gib: int | None = None
    storage_type: str | None = None
    iops: int | None = None
    storage_throughput_mib_s: int | None = None
    storage_encrypted: bool | None = None
    kms_key_id: str | None = None
    master_username: str | None = None
    database_name: str | None = None
    port: int | None = None
    subnet_group_name: str | None = None
    security_group_ids: tuple[str, ...] | None = None
    parameter_group_name: str | None = None
    multi_az: bool | None = None
    backup_retention_days: int | None = None
    backup_window: str | None = None
    maintenance_window: str | None = None
    deletion_protection: bool | None = None
    auto_minor_version_upgrade: bool | None = None
    enabled_log_exports: tuple[str, ...] | None = None

    @classmethod
    def from_options(cls, options: Mapping[str, Any]) -> DatabaseSettings:
        """Settings out of module options."""
        logs, window = options.get("enabled_log_exports"), options.get("maintenance_window")
        return pick(
            cls,
            options,
            security_group_ids=chosen(options.get("security_group_ids")),
            maintenance_window=window.lower() if window else None,
            enabled_log_exports=None if logs is None else tuple(sorted(set(logs))),
        )


@dataclass(frozen=True)
class Database:
    """An instance as it is. Changes that RDS has accepted but not yet made count as made."""

    id: str
    arn: str
    status: str
    settings: DatabaseSettings
    host: str | None = None
    resource_id: str | None = None
    pending: tuple[str, ...] = ()
    issues: tuple[str, ...] = ()
    tags: dict[str, str] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """The instance as modules return it."""
        known = settings_dict(self)
        settings = known.pop("settings")
        settings["class"] = settings.pop("instance_class")
        return {**known, **settings}


def same_version(wanted: str, actual: str | None) -> bool:
    """Whether ``actual`` is the version, or a minor of the major version, that is wanted."""
    return actual == wanted or (actual or "").startswith(f"{wanted}.")


def differences(
    wanted: DatabaseSettings, actual: Database, tags: Mapping[str, str] | None = None, purge_tags: bool = False
) -> list[Difference]:
    """What a modification would change. Storage only grows: less than there is, is no difference."""
    found = [
        replace(item, blocked=item.blocked or _reason(item))
        for item in compare(wanted, actual.settings, _BLOCKED)
        if not _accepted(item)
    ]
    remedy = "Start it, or read the instance's events and mend or restore it."
    return (
        broken_difference(progress(actual), "available", remedy)
        + found
        + tag_differences(tags, actual.tags, purge_tags)
    )


def _accepted(item: Difference) -> bool:
    if item.field == "engine_version":
        return same_version(item.wanted, item.actual)
    if item.field == "allocated_storage_gib":
        return bool(item.wanted <= (item.actual or 0))
    if item.field == "kms_key_id":
        # RDS answers with the key's ARN whatever form was given; an alias cannot be compared without asking KMS.
        return "alias/" in item.wanted or str(item.actual).endswith(f"/{item.wanted}")
    # Until the instance has an endpoint nobody knows its port.
    return item.field == "port" and item.actual is None


def _reason(item: Difference) -> str:
    if item.field == "engine_version" and _numbers(item.wanted) < _numbers(item.actual):
        return f"RDS does not go back; set engine_version {item.actual} or restore a snapshot into a new instance."
    return ""


def _numbers(version: str | None) -> tuple[int, ...]:
    return tuple(int(part) for part in (version or "0").split(".") if part.isdigit())


def major_upgrade(wanted: DatabaseSettings, actual: DatabaseSettings) -> bool:
    """Whether the wanted version has another major number, which RDS changes only when told so twice."""
    return bool(wanted.engine_version) and _numbers(wanted.engine_version)[:1] != _numbers(actual.engine_version)[:1]


def progress(actual: Database) -> Progress:
    """Where the instance stands."""
    default: Phase = "broken" if actual.status.startswith("incompatible-") else "changing"
    return Progress(_PHASES.get(actual.status, default), actual.status, actual.issues)


def settled(actual: Database) -> Progress:
    """As :func:`progress`, but not ready while accepted changes are still to be made."""
    seen = progress(actual)
    if seen.phase != "ready" or not actual.pending:
        return seen
    return Progress("changing", f"{seen.status}, pending {', '.join(actual.pending)}", seen.issues)


def deletion_refusal(actual: Database) -> str:
    """Why the instance may not be deleted; empty when it may."""
    if not actual.settings.deletion_protection:
        return ""
    return (
        f"RDS instance {actual.id} is protected against deletion; run once with state=present and "
        "deletion_protection=false, then delete it."
    )
