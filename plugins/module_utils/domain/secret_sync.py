# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the values in Kubernetes are those in Secrets Manager, told by hash only."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ansible_collections.langsmith.aws.plugins.module_utils.domain.finding import Finding

_SOURCE = "langsmith.aws: what runs must use the values that were meant"


@dataclass(frozen=True)
class Condition:
    """The condition ``Ready`` of an ExternalSecret."""

    ready: bool
    reason: str
    message: str


@dataclass(frozen=True)
class Copy:
    """One Kubernetes secret as it is, values hashed, and what External Secrets says of it."""

    hashes: Mapping[str, str] | None
    condition: Condition | None


def digest(value: bytes) -> str:
    """SHA-256 of a value, in hex."""
    return hashlib.sha256(value).hexdigest()


def compare(name: str, keys: Sequence[str], meant: Mapping[str, str], copy: Copy) -> Finding:
    """One finding for one secret.

    ``meant`` and ``copy.hashes`` map keys to hashes. The names of keys are told, hashes are not: those of short values
    could be guessed from.
    """
    subject = f"secret {name}"
    expected = f"{len(keys)} keys with the values of Secrets Manager"

    def failed(observed: str, remedy: str) -> Finding:
        return Finding("secrets.synced", "fail", "secrets", subject, observed, expected, remedy, _SOURCE)

    absent = [key for key in keys if key not in meant]
    if absent:
        return failed(
            f"Secrets Manager holds no {', '.join(absent)} for {subject}",
            "Run the roles datastores and secrets, which make these values.",
        )
    if copy.condition is not None and not copy.condition.ready:
        return failed(
            f"External Secrets could not write {subject}: {copy.condition.reason} {copy.condition.message}".rstrip(),
            f"Read `kubectl describe externalsecret {name}`; mostly the role or its trust is at fault.",
        )
    if copy.hashes is None:
        return failed(
            f"{subject} is not in the namespace",
            "Look whether the Deployment external-secrets runs and has the rights of its role.",
        )
    different = [key for key in keys if copy.hashes.get(key) != meant[key]]
    if different:
        return failed(
            f"{subject} holds other values than Secrets Manager for {', '.join(different)}",
            f"Let it copy again: kubectl annotate externalsecret {name} force-sync=$(date +%s) --overwrite",
        )
    return Finding("secrets.synced", "pass", "secrets", subject, f"{len(keys)} keys are equal", expected, "", _SOURCE)
