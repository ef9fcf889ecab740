# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""AWS Certificate Manager: certificates that DNS validates."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from ansible_collections.langsmith.aws.plugins.module_utils.clients.aws import call, given, none_on, pages
from ansible_collections.langsmith.aws.plugins.module_utils.domain.resources.acm_certificate import (
    KEY_ALGORITHMS,
    Certificate,
    CertificateSettings,
    ValidationRecord,
)
from ansible_collections.langsmith.aws.plugins.module_utils.domain.tags import TagChange, from_pairs, to_pairs


def certificate_from(data: Mapping[str, Any], tags: dict[str, str]) -> Certificate:
    """A certificate out of DescribeCertificate's answer."""
    records = {
        ValidationRecord(record["Name"], record["Type"], record["Value"])
        for option in data.get("DomainValidationOptions") or []
        if (record := option.get("ResourceRecord"))
    }
    # ACM describes RSA keys as RSA_2048 or RSA-2048, by the age of the certificate.
    algorithm = (data.get("KeyAlgorithm") or "").replace("-", "_")
    expires = data.get("NotAfter")
    return Certificate(
        arn=data["CertificateArn"],
        domain_name=data["DomainName"],
        status=data.get("Status") or "UNKNOWN",
        subject_alternative_names=tuple(sorted(data.get("SubjectAlternativeNames") or (data["DomainName"],))),
        key_algorithm=algorithm,
        validation_records=tuple(sorted(records, key=lambda record: record.name)),
        in_use_by=tuple(sorted(data.get("InUseBy") or ())),
        expires_at=expires.isoformat() if expires else None,
        failure_reason=data.get("FailureReason"),
        tags=tags,
    )


@none_on("ResourceNotFoundException")
def describe(client: Any, arn: str) -> Certificate:
    """The certificate, or ``None``."""
    data = call(client, "describe_certificate", CertificateArn=arn)["Certificate"]
    tags = call(client, "list_tags_for_certificate", CertificateArn=arn).get("Tags")
    return certificate_from(data, from_pairs(tags))


def find(client: Any, domain_name: str) -> list[Certificate]:
    """The certificates that ACM issued, or is asked to issue, for a first name."""
    known = pages(
        client,
        "list_certificates",
        "CertificateSummaryList",
        CertificateStatuses=["PENDING_VALIDATION", "ISSUED"],
        # Without this ACM lists RSA_1024 and RSA_2048 keys only.
        Includes={"keyTypes": list(KEY_ALGORITHMS)},
    )
    arns = [item["CertificateArn"] for item in known if item.get("DomainName") == domain_name]
    return [found for arn in arns if (found := describe(client, arn)) is not None]


def request(client: Any, settings: CertificateSettings, tags: Mapping[str, str] | None) -> str:
    """Request a certificate; its ARN. Asked again within the hour, ACM answers with the same one."""
    others = [name for name in settings.names if name != settings.domain_name]
    words = "|".join([settings.domain_name, *settings.names, settings.key_algorithm or ""])
    answer = call(
        client,
        "request_certificate",
        DomainName=settings.domain_name,
        ValidationMethod="DNS",
        IdempotencyToken=hashlib.sha256(words.encode()).hexdigest()[:32],
        **given(
            SubjectAlternativeNames=others or None, KeyAlgorithm=settings.key_algorithm, Tags=to_pairs(tags) or None
        ),
    )
    return str(answer["CertificateArn"])


def delete(client: Any, arn: str) -> None:
    """Delete a certificate."""
    call(client, "delete_certificate", CertificateArn=arn)


def change_tags(client: Any, arn: str, change: TagChange) -> None:
    """Write tags of a certificate."""
    if change.put:
        call(client, "add_tags_to_certificate", CertificateArn=arn, Tags=to_pairs(change.put))
    if change.remove:
        gone = [{"Key": key} for key in change.remove]
        call(client, "remove_tags_from_certificate", CertificateArn=arn, Tags=gone)
