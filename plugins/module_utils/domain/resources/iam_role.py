# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The IAM role: its trust, its policies, and when two policies say the same."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.langsmith.aws.plugins.module_utils.domain.difference import Difference
from ansible_collections.langsmith.aws.plugins.module_utils.domain.tags import tag_differences


@dataclass(frozen=True)
class WantedRole:
    """What may be wanted; ``None`` leaves a part as it is. Policies are documents, managed ones names or ARNs."""

    name: str
    assume_role_policy: Any | None = None
    managed_policies: tuple[str, ...] | None = None
    inline_policies: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Role:
    """A role as it is."""

    name: str
    arn: str
    assume_role_policy: Any
    managed_policies: tuple[str, ...]
    inline_policies: Mapping[str, Any]
    tags: dict[str, str] = field(default_factory=dict)


def canonical(policy: Any) -> Any:
    """A policy document in one form: text parsed, one-item lists as the item, lists without order.

    IAM takes ``"Action": "s3:GetObject"`` and ``"Action": ["s3:GetObject"]`` for the same and so does this. An account
    number as principal is its root's ARN.
    """
    if isinstance(policy, str):
        return _parsed(policy)
    if isinstance(policy, Mapping):
        return {key: _principal(value) if key == "AWS" else canonical(value) for key, value in policy.items()}
    if isinstance(policy, list | tuple):
        items = [canonical(item) for item in policy]
        return items[0] if len(items) == 1 else sorted(items, key=lambda item: json.dumps(item, sort_keys=True))
    return str(policy).lower() if isinstance(policy, bool) else policy


def _parsed(text: str) -> Any:
    if not text.lstrip().startswith("{"):
        return text
    try:
        return canonical(json.loads(text))
    except ValueError:
        return text


def _principal(value: Any) -> Any:
    if isinstance(value, str) and value.isdigit():
        return f"arn:aws:iam::{value}:root"
    return canonical([_principal(item) for item in value]) if isinstance(value, list | tuple) else value


def same_policy(one: Any, other: Any) -> bool:
    """Whether two policy documents say the same."""
    return bool(canonical(one) == canonical(other))


def differences(
    wanted: WantedRole, actual: Role, tags: Mapping[str, str] | None = None, purge_tags: bool = False
) -> list[Difference]:
    """What writing the role would change."""
    found = []
    if wanted.assume_role_policy is not None and not same_policy(wanted.assume_role_policy, actual.assume_role_policy):
        found.append(Difference("assume_role_policy", _document(wanted.assume_role_policy), actual.assume_role_policy))
    if wanted.managed_policies is not None:
        # A name stands for the policy of that name, be it AWS's or the account's.
        have = {arn: arn.rsplit("/", 1)[-1] for arn in actual.managed_policies}
        want = set(wanted.managed_policies)
        if len(want) != len(have) or not all(arn in want or name in want for arn, name in have.items()):
            found.append(Difference("managed_policies", sorted(want), sorted(have)))
    for name, document in sorted((wanted.inline_policies or {}).items()):
        if not same_policy(document, actual.inline_policies.get(name)):
            found.append(Difference(f"inline_policies.{name}", _document(document), actual.inline_policies.get(name)))
    return found + tag_differences(tags, actual.tags, purge_tags)


def _document(policy: Any) -> Any:
    if isinstance(policy, str):
        try:
            return json.loads(policy)
        except ValueError:
            return policy
    return policy
