# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The ElastiCache replication group: what can be wanted of it, and what AWS lets change."""

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

ENGINES = ("redis", "valkey")

_PHASES: dict[str, Phase] = {
    "available": "ready",
    "creating": "changing",
    "modifying": "changing",
    "snapshotting": "changing",
    "deleting": "leaving",
    "create-failed": "broken",
}
_NEW_GROUP = "ElastiCache fixes it at creation; make a new replication group out of a snapshot."
_BLOCKED = dict.fromkeys(("port", "subnet_group_name", "kms_key_id"), _NEW_GROUP) | {
    "transit_encryption": "this collection connects with TLS only; make a new replication group.",
    "at_rest_encryption": _NEW_GROUP,
    "auth_token_enabled": "a token is set when the group is made; make a new replication group.",
}
#: Sent in one ModifyReplicationGroup; the replica count has calls of its own.
MODIFY_FIELDS = (
    "description",
    "engine",
    "engine_version",
    "node_type",
    "automatic_failover",
    "multi_az",
    "security_group_ids",
    "parameter_group_name",
    "snapshot_retention_days",
    "snapshot_window",
    "maintenance_window",
)


@dataclass(frozen=True)
class CacheSettings:
    """What may be wanted; ``None`` leaves a setting as it is. ``replicas`` counts nodes beside the primary."""

    description: str | None = None
    engine: str | None = None
    engine_version: str | None = None
    node_type: str | None = None
    replicas: int | None = None
    automatic_failover: bool | None = None
    multi_az: bool | None = None
    port: int | None = None
    subnet_group_name: str | None = None
    security_group_ids: tuple[str, ...] | None = None
    parameter_group_name: str | None = None
    kms_key_id: str | None = None
    snapshot_retention_days: int | None = None
    snapshot_window: str | None = None
    maintenance_window: str | None = None
    transit_encryption: bool | None = True
    at_rest_encryption: bool | None = True
    auth_token_enabled: bool | None = None

    @classmethod
    def from_options(cls, options: Mapping[str, Any]) -> CacheSettings:
        """Settings out of module options."""
        window = options.get("maintenance_window")
        return pick(
            cls,
            options,
            security_group_ids=chosen(options.get("security_group_ids")),
            maintenance_window=window.lower() if window else None,
            transit_encryption=True,
            at_rest_encryption=True,
            auth_token_enabled=True if options.get("auth_token_secret") else None,
        )


@dataclass(frozen=True)
class Cache:
    """A replication group as it is; ``members`` are the ids of its nodes."""

    id: str
    arn: str
    status: str
    settings: CacheSettings
    host: str | None = None
    members: tuple[str, ...] = ()
    pending: tuple[str, ...] = ()
    tags: dict[str, str] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """The replication group as modules return it."""
        known = settings_dict(self)
        settings = known.pop("settings")
        return {**known, **settings}


def differences(
    wanted: CacheSettings, actual: Cache, tags: Mapping[str, str] | None = None, purge_tags: bool = False
) -> list[Difference]:
    """What a modification would change."""
    found = [
        replace(item, blocked=item.blocked or _reason(item))
        for item in compare(wanted, actual.settings, _BLOCKED)
        if not _accepted(item)
    ]
    remedy = "Delete it with state=absent and run again."
    return (
        broken_difference(progress(actual), "available", remedy)
        + found
        + tag_differences(tags, actual.tags, purge_tags)
    )


def _accepted(item: Difference) -> bool:
    if item.actual is None and item.field in _OF_NODES:
        # While the group is being made its nodes cannot be asked, and what only they know stays unknown.
        return True
    if item.field == "engine_version":
        # 7.1 is answered as 7.1.0, and 7.x means any minor of 7.
        prefix = item.wanted.removesuffix("x").rstrip(".")
        return bool(item.actual == prefix or item.actual.startswith(f"{prefix}."))
    return item.field == "kms_key_id" and ("alias/" in item.wanted or str(item.actual).endswith(f"/{item.wanted}"))


_OF_NODES = (
    "engine_version",
    "subnet_group_name",
    "security_group_ids",
    "parameter_group_name",
    "maintenance_window",
    "port",
)


def _reason(item: Difference) -> str:
    if item.field == "engine" and item.actual == "valkey":
        return "ElastiCache goes from redis to valkey and never back."
    if item.field == "engine_version" and item.actual and _numbers(item.wanted) < _numbers(item.actual):
        return f"ElastiCache does not go back; set engine_version {item.actual} or make a new group out of a snapshot."
    return ""


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdigit())


def progress(actual: Cache) -> Progress:
    """Where the replication group stands."""
    return Progress(_PHASES.get(actual.status, "changing"), actual.status)


def settled(actual: Cache) -> Progress:
    """As :func:`progress`, but not ready while accepted changes are still to be made."""
    seen = progress(actual)
    if seen.phase != "ready" or not actual.pending:
        return seen
    return Progress("changing", f"{seen.status}, pending {', '.join(actual.pending)}")
