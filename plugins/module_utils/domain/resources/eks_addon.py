# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The EKS add-on: what can be wanted of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.langsmith.aws.plugins.module_utils.domain.difference import (
    Difference,
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

RESOLVE_CONFLICTS = ("OVERWRITE", "NONE", "PRESERVE")
#: What an update has to name again to keep it.
KEPT_FIELDS = ("service_account_role_arn", "configuration_values")

# Degraded is what an add-on is while no node can run its pods; it becomes active without anyone's help.
_PHASES: dict[str, Phase] = {
    "ACTIVE": "ready",
    "CREATING": "changing",
    "UPDATING": "changing",
    "DEGRADED": "degraded",
    "DELETING": "leaving",
    "CREATE_FAILED": "broken",
    "UPDATE_FAILED": "broken",
    "DELETE_FAILED": "broken",
}


@dataclass(frozen=True)
class AddonSettings:
    """What may be wanted; ``None`` leaves a setting as it is."""

    addon_version: str | None = None
    service_account_role_arn: str | None = None
    configuration_values: dict[str, Any] | None = None

    @classmethod
    def from_options(cls, options: Mapping[str, Any]) -> AddonSettings:
        """Settings out of module options."""
        return pick(cls, options)


@dataclass(frozen=True)
class Addon:
    """An add-on as it is. ``configuration_text`` is what EKS holds where it is no JSON object."""

    cluster_name: str
    name: str
    arn: str
    status: str
    settings: AddonSettings
    configuration_text: str | None = None
    issues: tuple[str, ...] = ()
    tags: dict[str, str] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """The add-on as modules return it."""
        known = settings_dict(self)
        known.pop("configuration_text")
        settings = known.pop("settings")
        settings["version"] = settings.pop("addon_version")
        return {**known, **settings}


def differences(
    wanted: AddonSettings, actual: Addon, tags: Mapping[str, str] | None = None, purge_tags: bool = False
) -> list[Difference]:
    """What an update would change. No configuration and an empty one are the same; a failed add-on is written again."""
    skip = ("configuration_values",) if not wanted.configuration_values and not _configured(actual) else ()
    found = broken_difference(progress(actual), "ACTIVE") + compare(wanted, actual.settings, skip=skip)
    return found + tag_differences(tags, actual.tags, purge_tags)


def _configured(actual: Addon) -> bool:
    return bool(actual.settings.configuration_values or actual.configuration_text)


def progress(actual: Addon) -> Progress:
    """Where the add-on stands."""
    return Progress(_PHASES.get(actual.status, "changing"), actual.status, actual.issues)
