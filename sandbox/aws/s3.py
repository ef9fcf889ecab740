# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stand-in for S3 bucket policies with conditions, which moto ignores."""

from __future__ import annotations

from typing import Any

from moto.iam.access_control import PermissionResult
from moto.s3.models import FakeBucket

from sandbox.aws import access, policy


def get_permission(self: FakeBucket, action: str, resource: str) -> PermissionResult:
    """What the bucket's policy says to this caller. The emulator's endpoint counts as the TLS endpoint that S3 has."""
    if self.policy is None:
        return PermissionResult.NEUTRAL
    who = access.caller()
    names = {"*", access.ACCOUNT, f"arn:aws:iam::{access.ACCOUNT}:root", *([who.arn, who.identity_arn] if who else [])}

    def named(element: Any) -> bool:
        return element == "*" or bool(names & set(policy.listed(element.get("AWS", []))))

    context = {"aws:securetransport": ["true"], "aws:principalarn": [who.identity_arn if who else ""]}
    document = self.policy.decode() if isinstance(self.policy, bytes) else self.policy
    verdict = policy.decide([document], action, resource, context, principal=named)
    results = {policy.ALLOW: PermissionResult.PERMITTED, policy.DENY: PermissionResult.DENIED}
    return results.get(verdict, PermissionResult.NEUTRAL)


def install() -> None:
    """Put this into moto."""
    FakeBucket.get_permission = get_permission
