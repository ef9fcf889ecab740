# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The EKS cluster: what can be wanted of it, and what AWS lets change."""

from __future__ import annotations

import re
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
from ansible_collections.langsmith.aws.plugins.module_utils.domain.errors import RefusedError
from ansible_collections.langsmith.aws.plugins.module_utils.domain.progress import (
    Phase,
    Progress,
    broken_difference,
)
from ansible_collections.langsmith.aws.plugins.module_utils.domain.tags import tag_differences

LOG_TYPES = ("api", "audit", "authenticator", "controllerManager", "scheduler")
#: EKS moves an authentication mode only this way, one step at a time.
AUTHENTICATION_MODES = ("CONFIG_MAP", "API_AND_CONFIG_MAP", "API")

#: Fields that travel in one call; EKS takes one kind of update at a time. The version comes last: it takes longest
#: and everything else should hold while it runs.
UPDATE_GROUPS: tuple[tuple[str, ...], ...] = (
    ("authentication_mode",),
    ("endpoint_public_access", "endpoint_private_access", "public_access_cidrs"),
    ("subnet_ids", "security_group_ids"),
    ("log_types",),
    ("deletion_protection",),
    ("support_type",),
    ("kms_key_arn",),
    ("version",),
)

_PHASES: dict[str, Phase] = {
    "ACTIVE": "ready",
    "CREATING": "changing",
    "UPDATING": "changing",
    "PENDING": "changing",
    "DELETING": "leaving",
    "FAILED": "broken",
}
_BLOCKED = {
    "role_arn": "EKS keeps the role a cluster was made with; change that role's policies, or make a new cluster.",
    "service_ipv4_cidr": "the service network of a cluster is fixed when it is made; make a new cluster.",
}


@dataclass(frozen=True)
class ClusterSettings:
    """What may be wanted; ``None`` leaves a setting as it is. Lists are in sorted order."""

    version: str | None = None
    role_arn: str | None = None
    subnet_ids: tuple[str, ...] | None = None
    security_group_ids: tuple[str, ...] | None = None
    endpoint_public_access: bool | None = None
    endpoint_private_access: bool | None = None
    public_access_cidrs: tuple[str, ...] | None = None
    authentication_mode: str | None = None
    log_types: tuple[str, ...] | None = None
    deletion_protection: bool | None = None
    kms_key_arn: str | None = None
    service_ipv4_cidr: str | None = None
    support_type: str | None = None

    @classmethod
    def from_options(cls, options: Mapping[str, Any]) -> ClusterSettings:
        """Settings out of module options."""
        logs = options.get("log_types")
        return pick(
            cls,
            options,
            subnet_ids=chosen(options.get("subnet_ids")),
            security_group_ids=chosen(options.get("security_group_ids")),
            public_access_cidrs=chosen(options.get("public_access_cidrs")),
            log_types=None if logs is None else tuple(sorted(set(logs))),
        )


@dataclass(frozen=True)
class Cluster:
    """A cluster as it is."""

    name: str
    arn: str
    status: str
    settings: ClusterSettings
    platform_version: str | None = None
    endpoint: str | None = None
    certificate_authority: str | None = None
    oidc_issuer: str | None = None
    security_group_id: str | None = None
    vpc_id: str | None = None
    issues: tuple[str, ...] = ()
    tags: dict[str, str] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """The cluster as modules return it."""
        known = settings_dict(self)
        settings = known.pop("settings")
        return {**known, **settings}


def minor(version: str) -> tuple[int, int]:
    """``(1, 34)`` of ``1.34``. Raises :class:`RefusedError` for anything else."""
    match = re.fullmatch(r"(\d+)\.(\d+)", version)
    if not match:
        raise RefusedError(f"Kubernetes version {version!r} is not of the form 1.34; quote it in YAML.")
    return int(match[1]), int(match[2])


def differences(
    wanted: ClusterSettings, actual: Cluster, tags: Mapping[str, str] | None = None, purge_tags: bool = False
) -> list[Difference]:
    """What an update would change; settings that AWS does not change in place are blocked with a reason."""
    # A closed public endpoint has no use for its list of addresses, and EKS refuses one.
    skip = ("public_access_cidrs",) if wanted.endpoint_public_access is False else ()
    found = compare(wanted, actual.settings, _BLOCKED, skip)
    found = [replace(item, blocked=item.blocked or _reason(item)) for item in found]
    broken = broken_difference(progress(actual), "ACTIVE", "Delete it with state=absent and run again.")
    return broken + found + tag_differences(tags, actual.tags, purge_tags)


def _reason(item: Difference) -> str:
    if item.field == "version":
        return _version_reason(item.wanted, item.actual)
    if item.field == "authentication_mode":
        steps = AUTHENTICATION_MODES.index(item.wanted) - AUTHENTICATION_MODES.index(item.actual or "CONFIG_MAP")
        return "" if steps > 0 else "EKS goes from CONFIG_MAP to API_AND_CONFIG_MAP to API and never back."
    if item.field == "kms_key_arn" and item.actual:
        return "the key that encrypts Kubernetes secrets is set once; keep it, or make a new cluster."
    return ""


def _version_reason(wanted: str, actual: str) -> str:
    want, have = minor(wanted), minor(actual)
    if want < have:
        return f"EKS does not go back; set version {actual} or leave it out."
    if want != (have[0], have[1] + 1):
        return f"EKS goes up one minor version at a time; go to {have[0]}.{have[1] + 1} first."
    return ""


def authentication_path(wanted: str, actual: str | None) -> tuple[str, ...]:
    """The modes to set one after another, the wanted one last."""
    start = AUTHENTICATION_MODES.index(actual or "CONFIG_MAP")
    return AUTHENTICATION_MODES[start + 1 : AUTHENTICATION_MODES.index(wanted) + 1]


def progress(actual: Cluster) -> Progress:
    """Where the cluster stands."""
    return Progress(_PHASES.get(actual.status, "changing"), actual.status, actual.issues)


def deletion_refusal(actual: Cluster) -> str:
    """Why the cluster may not be deleted; empty when it may."""
    if not actual.settings.deletion_protection:
        return ""
    return (
        f"EKS cluster {actual.name} is protected against deletion; run once with state=present and "
        "deletion_protection=false, then delete it."
    )
