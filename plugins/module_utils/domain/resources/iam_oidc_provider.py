# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The IAM OpenID Connect provider that lets service accounts of a cluster assume roles."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.langsmith.aws.plugins.module_utils.domain.difference import (
    Difference,
    chosen,
    compare,
    settings_dict,
)
from ansible_collections.langsmith.aws.plugins.module_utils.domain.progress import Progress
from ansible_collections.langsmith.aws.plugins.module_utils.domain.tags import tag_differences


@dataclass(frozen=True)
class OidcProviderSettings:
    """What may be wanted; ``None`` leaves a setting as it is."""

    client_ids: tuple[str, ...] | None = None
    thumbprints: tuple[str, ...] | None = None

    @classmethod
    def from_options(cls, options: Mapping[str, Any]) -> OidcProviderSettings:
        """Settings out of module options."""
        prints = [item.lower().replace(":", "") for item in options.get("thumbprints") or ()]
        return cls(chosen(options.get("client_ids")), chosen(prints))


@dataclass(frozen=True)
class OidcProvider:
    """A provider as it is; ``url`` has its scheme."""

    arn: str
    url: str
    settings: OidcProviderSettings
    tags: dict[str, str] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """The provider as modules return it."""
        known = settings_dict(self)
        settings = known.pop("settings")
        return {**known, **{key: value or [] for key, value in settings.items()}}


def host_path(url: str) -> str:
    """The issuer as IAM writes it into ARNs: without scheme and trailing slash."""
    return url.removeprefix("https://").rstrip("/")


def differences(
    wanted: OidcProviderSettings, actual: OidcProvider, tags: Mapping[str, str] | None = None, purge_tags: bool = False
) -> list[Difference]:
    """What an update would change."""
    return compare(wanted, actual.settings) + tag_differences(tags, actual.tags, purge_tags)


def progress(actual: OidcProvider) -> Progress:
    """A provider is there or not."""
    return Progress("ready", "present")
