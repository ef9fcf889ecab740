# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The ACM certificate that is proved by a DNS record."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.langsmith.aws.plugins.module_utils.domain.difference import Difference, plain, settings_dict
from ansible_collections.langsmith.aws.plugins.module_utils.domain.progress import Phase, Progress
from ansible_collections.langsmith.aws.plugins.module_utils.domain.tags import tag_differences

KEY_ALGORITHMS = ("RSA_2048", "EC_prime256v1", "EC_secp384r1")

_PHASES: dict[str, Phase] = {
    "ISSUED": "ready",
    "PENDING_VALIDATION": "changing",
    "VALIDATION_TIMED_OUT": "broken",
    "FAILED": "broken",
    "EXPIRED": "broken",
    "REVOKED": "broken",
    "INACTIVE": "broken",
}


@dataclass(frozen=True)
class CertificateSettings:
    """The names a certificate is wanted for; ``names`` holds the domain name too, in sorted order."""

    domain_name: str
    names: tuple[str, ...]
    key_algorithm: str | None = None

    @classmethod
    def from_options(cls, options: Mapping[str, Any]) -> CertificateSettings:
        """Settings out of module options."""
        domain = options["domain_name"].lower().rstrip(".")
        others = (name.lower().rstrip(".") for name in options.get("subject_alternative_names") or ())
        return cls(domain, tuple(sorted({domain, *others})), options.get("key_algorithm"))


@dataclass(frozen=True)
class ValidationRecord:
    """The DNS record that proves control of a domain."""

    name: str
    type: str
    value: str


@dataclass(frozen=True)
class Certificate:
    """A certificate as it is; ``expires_at`` is ISO 8601."""

    arn: str
    domain_name: str
    status: str
    subject_alternative_names: tuple[str, ...]
    key_algorithm: str
    validation_records: tuple[ValidationRecord, ...] = ()
    in_use_by: tuple[str, ...] = ()
    expires_at: str | None = None
    failure_reason: str | None = None
    tags: dict[str, str] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """The certificate as modules return it."""
        return settings_dict(self)


def choose(
    wanted: CertificateSettings, found: Iterable[Certificate], tags: Mapping[str, str] | None
) -> Certificate | None:
    """The certificate that serves: its names and key are those wanted, it is issued or about to be.

    Of several, one with the wanted tags comes first, then an issued one, then the first by ARN.
    """
    fits = [
        item
        for item in found
        if item.domain_name == wanted.domain_name
        and tuple(sorted({item.domain_name, *item.subject_alternative_names})) == wanted.names
        and wanted.key_algorithm in (None, item.key_algorithm)
        and item.status in ("ISSUED", "PENDING_VALIDATION")
    ]
    tagged = set((tags or {}).items())
    return min(
        fits, key=lambda item: (not tagged <= set(item.tags.items()), item.status != "ISSUED", item.arn), default=None
    )


def differences(
    actual: Certificate, tags: Mapping[str, str] | None = None, purge_tags: bool = False
) -> list[Difference]:
    """What an update would change: only tags, since other names make another certificate."""
    return tag_differences(tags, actual.tags, purge_tags)


def wanted_dict(wanted: CertificateSettings) -> dict[str, Any]:
    """What a request would make."""
    return {"domain_name": wanted.domain_name, "subject_alternative_names": plain(wanted.names)}


def progress(actual: Certificate) -> Progress:
    """Where the certificate stands; while it waits, the records it waits for are told."""
    waiting = actual.status == "PENDING_VALIDATION"
    asked = (
        tuple(f"{item.type} {item.name} must be {item.value}" for item in actual.validation_records) if waiting else ()
    )
    issues = (actual.failure_reason,) if actual.failure_reason else asked
    return Progress(_PHASES.get(actual.status, "broken"), actual.status, issues)


def records_known(actual: Certificate) -> Progress:
    """Ready as soon as ACM has told the record of every name."""
    seen = progress(actual)
    if seen.phase == "changing" and actual.validation_records:
        return Progress("ready", seen.status)
    return seen
