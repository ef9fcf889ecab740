# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The EKS managed node group: what can be wanted of it, and what AWS lets change."""

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
from ansible_collections.langsmith.aws.plugins.module_utils.domain.resources.eks_cluster import minor
from ansible_collections.langsmith.aws.plugins.module_utils.domain.tags import tag_differences

#: Checked against botocore's ``AMITypes`` by a test. Windows and CUSTOM are left out: nothing here runs on the one,
#: and the other comes with a launch template that says so itself.
AMI_TYPES = (
    "AL2023_x86_64_STANDARD",
    "AL2023_ARM_64_STANDARD",
    "AL2023_x86_64_NVIDIA",
    "AL2023_ARM_64_NVIDIA",
    "AL2023_x86_64_NEURON",
    "BOTTLEROCKET_x86_64",
    "BOTTLEROCKET_ARM_64",
    "BOTTLEROCKET_x86_64_FIPS",
    "BOTTLEROCKET_ARM_64_FIPS",
)
CAPACITY_TYPES = ("ON_DEMAND", "SPOT", "CAPACITY_BLOCK")
TAINT_EFFECTS = ("NO_SCHEDULE", "NO_EXECUTE", "PREFER_NO_SCHEDULE")

CONFIG_FIELDS = ("min_size", "max_size", "desired_size", "max_unavailable", "labels", "taints")
VERSION_FIELDS = ("version", "release_version", "launch_template_version")

_NEW_GROUP = "a node group keeps it for life; make a second node group, move the pods there and delete this one."
_BLOCKED = dict.fromkeys(
    ("node_role_arn", "subnet_ids", "instance_types", "ami_type", "capacity_type", "disk_size_gib"), _NEW_GROUP
) | {"launch_template_id": _NEW_GROUP}
_PHASES: dict[str, Phase] = {
    "ACTIVE": "ready",
    "CREATING": "changing",
    "UPDATING": "changing",
    "DELETING": "leaving",
    "CREATE_FAILED": "broken",
    "DELETE_FAILED": "broken",
    "DEGRADED": "degraded",
}


@dataclass(frozen=True)
class Taint:
    """A taint that every node of the group carries."""

    key: str
    value: str
    effect: str


@dataclass(frozen=True)
class NodegroupSettings:
    """What may be wanted; ``None`` leaves a setting as it is. Sizes count nodes, the disk is in GiB."""

    node_role_arn: str | None = None
    subnet_ids: tuple[str, ...] | None = None
    instance_types: tuple[str, ...] | None = None
    ami_type: str | None = None
    capacity_type: str | None = None
    disk_size_gib: int | None = None
    min_size: int | None = None
    max_size: int | None = None
    desired_size: int | None = None
    version: str | None = None
    release_version: str | None = None
    launch_template_id: str | None = None
    launch_template_version: str | None = None
    max_unavailable: int | None = None
    labels: dict[str, str] | None = None
    taints: tuple[Taint, ...] | None = None

    @classmethod
    def from_options(cls, options: Mapping[str, Any]) -> NodegroupSettings:
        """Settings out of module options."""
        template = options.get("launch_template") or {}
        taints = options.get("taints")
        return pick(
            cls,
            options,
            subnet_ids=chosen(options.get("subnet_ids")),
            instance_types=tuple(options.get("instance_types") or ()) or None,
            launch_template_id=template.get("id"),
            launch_template_version=template.get("version"),
            taints=None if taints is None else sorted_taints(taints),
        )


@dataclass(frozen=True)
class Nodegroup:
    """A node group as it is."""

    cluster_name: str
    name: str
    arn: str
    status: str
    settings: NodegroupSettings
    autoscaling_group_names: tuple[str, ...] = ()
    issues: tuple[str, ...] = ()
    tags: dict[str, str] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """The node group as modules return it."""
        known = settings_dict(self)
        settings = known.pop("settings")
        return {**known, **settings}


def sorted_taints(taints: Any) -> tuple[Taint, ...]:
    """Taints in a fixed order, so the order in which they are written is no difference."""
    made = (Taint(item["key"], item.get("value") or "", item["effect"]) for item in taints)
    return tuple(sorted(made, key=lambda taint: (taint.key, taint.value, taint.effect)))


def differences(
    wanted: NodegroupSettings, actual: Nodegroup, tags: Mapping[str, str] | None = None, purge_tags: bool = False
) -> list[Difference]:
    """What an update would change. The desired size belongs to the autoscaler and is never compared."""
    # A launch template may name the image itself; EKS then calls the type CUSTOM.
    skip = ("desired_size", "ami_type") if wanted.launch_template_id else ("desired_size",)
    found = compare(wanted, actual.settings, _BLOCKED, skip)
    found = [replace(item, blocked=item.blocked or _reason(item)) for item in found]
    broken = broken_difference(progress(actual), "ACTIVE", "Delete it with state=absent and run again.")
    return broken + found + tag_differences(tags, actual.tags, purge_tags)


def _reason(item: Difference) -> str:
    if item.field == "version" and item.actual and minor(item.wanted) < minor(item.actual):
        return f"nodes do not go back; set version {item.actual} or leave it out."
    return ""


def size_within(wanted: NodegroupSettings, actual: NodegroupSettings) -> int | None:
    """The desired size to send with new bounds: only when the present one lies outside them, which EKS refuses."""
    low = actual.min_size if wanted.min_size is None else wanted.min_size
    high = actual.max_size if wanted.max_size is None else wanted.max_size
    size = actual.desired_size
    if size is None or low is None or high is None or low <= size <= high:
        return None
    return min(max(size, low), high)


def progress(actual: Nodegroup) -> Progress:
    """Where the node group stands. A degraded group may yet recover."""
    return Progress(_PHASES.get(actual.status, "changing"), actual.status, actual.issues)
