# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The S3 bucket of payloads: its settings, and when they are as wanted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.langsmith.aws.plugins.module_utils.domain.difference import Difference
from ansible_collections.langsmith.aws.plugins.module_utils.domain.resources.iam_role import same_policy
from ansible_collections.langsmith.aws.plugins.module_utils.domain.tags import tag_differences


@dataclass(frozen=True)
class LifecycleRule:
    """A rule that lets objects under a prefix expire; days count from their creation."""

    rule_id: str
    prefix: str
    expiration_days: int | None
    enabled: bool = True


@dataclass(frozen=True)
class Bucket:
    """A bucket as it is; what was not asked for is ``None``."""

    name: str
    region: str
    versioning: bool | None = None
    encryption: str | None = None
    encryption_key_id: str | None = None
    public_access_blocked: bool | None = None
    object_ownership: str | None = None
    policy: Any | None = None
    lifecycle_rules: tuple[LifecycleRule, ...] | None = None
    tags: dict[str, str] = field(default_factory=dict)


def _encryption_key(wanted: Mapping[str, Any], actual: Bucket) -> list[Difference]:
    want, have = wanted.get("encryption_key_id"), actual.encryption_key_id
    if not want or "alias/" in want or str(have).endswith(want):
        return []
    return [Difference("encryption_key_id", want, have)]


def differences(
    wanted: Mapping[str, Any], actual: Bucket, tags: Mapping[str, str] | None = None, purge_tags: bool = False
) -> list[Difference]:
    """What writing the bucket would change; settings that are not given are not looked at."""
    found = [
        Difference(name, wanted[name], getattr(actual, name))
        for name in ("versioning", "encryption", "public_access_blocked", "object_ownership")
        if wanted.get(name) is not None and wanted[name] != getattr(actual, name)
    ]
    found += _encryption_key(wanted, actual)
    if wanted.get("policy") is not None and not same_policy(wanted["policy"], actual.policy or {}):
        found.append(Difference("policy", wanted["policy"], actual.policy))
    rules = {rule.rule_id: rule for rule in actual.lifecycle_rules or ()}
    for want in wanted.get("lifecycle_rules") or ():
        made = LifecycleRule(want["rule_id"], want.get("prefix") or "", want.get("expiration_days"))
        if (have := rules.get(made.rule_id)) != made:
            told = f"{have.expiration_days} days, prefix {have.prefix!r}" if have else None
            field_name = f"lifecycle_rules.{made.rule_id}"
            found.append(Difference(field_name, f"{made.expiration_days} days, prefix {made.prefix!r}", told))
    return found + tag_differences(tags, actual.tags, purge_tags)
