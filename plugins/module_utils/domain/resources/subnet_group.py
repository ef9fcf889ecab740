# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The subnet group of a database or a cache."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ansible_collections.langsmith.aws.plugins.module_utils.domain.difference import Difference
from ansible_collections.langsmith.aws.plugins.module_utils.domain.tags import tag_differences


@dataclass(frozen=True)
class SubnetGroup:
    """A subnet group as it is; ids in sorted order."""

    name: str
    arn: str
    description: str
    subnet_ids: tuple[str, ...]
    tags: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class WantedSubnetGroup:
    """What may be wanted; ``None`` leaves a part as it is."""

    name: str
    subnet_ids: tuple[str, ...] | None = None
    description: str | None = None


def differences(
    wanted: WantedSubnetGroup, actual: SubnetGroup, tags: Mapping[str, str] | None = None, purge_tags: bool = False
) -> list[Difference]:
    """What writing the group would change."""
    found = []
    if wanted.subnet_ids is not None and wanted.subnet_ids != actual.subnet_ids:
        found.append(Difference("subnet_ids", wanted.subnet_ids, actual.subnet_ids))
    if wanted.description is not None and wanted.description != actual.description:
        found.append(Difference("description", wanted.description, actual.description))
    return found + tag_differences(tags, actual.tags, purge_tags)
