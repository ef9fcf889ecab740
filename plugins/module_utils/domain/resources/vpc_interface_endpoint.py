# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A private way into somebody else's service: an interface endpoint, which its owner has to accept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.langsmith.aws.plugins.module_utils.domain.difference import (
    Difference,
    chosen,
    compare,
    pick,
    plain,
)
from ansible_collections.langsmith.aws.plugins.module_utils.domain.progress import Phase, Progress
from ansible_collections.langsmith.aws.plugins.module_utils.domain.tags import tag_differences

# Amazon VPC user guide, "Access virtual appliances and services through AWS PrivateLink": the states of an endpoint.
_PHASES: dict[str, Phase] = {
    "available": "ready",
    "pendingacceptance": "changing",
    "pending": "changing",
    "partial": "degraded",
    "deleting": "leaving",
    "deleted": "absent",
    "rejected": "broken",
    "failed": "broken",
    "expired": "broken",
}
_ISSUES = {
    "pendingacceptance": "the owner of the service has to accept it",
    "rejected": "the owner of the service turned it down; ask them, delete it and run again",
    "expired": "nobody accepted it within seven days; delete it and run again",
}


@dataclass(frozen=True)
class EndpointSettings:
    """What may be wanted; ``None`` leaves a setting as it is."""

    subnet_ids: tuple[str, ...] | None = None
    security_group_ids: tuple[str, ...] | None = None
    private_dns: bool | None = None

    @classmethod
    def from_options(cls, options: Mapping[str, Any]) -> EndpointSettings:
        """Settings out of module options."""
        groups = chosen(options.get("security_group_ids"))
        return pick(cls, options, subnet_ids=chosen(options.get("subnet_ids")), security_group_ids=groups)


@dataclass(frozen=True)
class InterfaceEndpoint:
    """An interface endpoint; ``dns_names`` are its own, ``private_dns`` says whether the service's lead here too."""

    id: str
    vpc_id: str
    service_name: str
    state: str
    subnet_ids: tuple[str, ...] = ()
    security_group_ids: tuple[str, ...] = ()
    private_dns: bool = False
    dns_names: tuple[str, ...] = ()
    message: str = ""
    tags: dict[str, str] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """The endpoint as modules return it."""
        known = plain(self)
        known.pop("message")
        return dict(known)


def differences(
    wanted: EndpointSettings,
    actual: InterfaceEndpoint,
    tags: Mapping[str, str] | None = None,
    purge_tags: bool = False,
) -> list[Difference]:
    """What an update would change. AWS takes private names only for an endpoint that was accepted."""
    skip = () if progress(actual).phase == "ready" else ("private_dns",)
    return compare(wanted, actual, skip=skip) + tag_differences(tags, actual.tags, purge_tags)


def progress(actual: InterfaceEndpoint) -> Progress:
    """Where the endpoint stands, and who has to act."""
    issue = actual.message or _ISSUES.get(actual.state, "")
    return Progress(_PHASES.get(actual.state, "changing"), actual.state, (issue,) if issue else ())
