# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Amazon S3: one bucket and its settings."""

from __future__ import annotations

import json
from typing import Any

from ansible_collections.langsmith.aws.plugins.module_utils.clients.aws import call, none_on
from ansible_collections.langsmith.aws.plugins.module_utils.domain.resources.s3_bucket import LifecycleRule
from ansible_collections.langsmith.aws.plugins.module_utils.domain.tags import from_pairs


@none_on("404", "NoSuchBucket")
def region(client: Any, name: str) -> str:
    """The region of the bucket, or ``None`` where there is none of that name."""
    answer = call(client, "head_bucket", Bucket=name)
    headers = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    return str(answer.get("BucketRegion") or headers.get("x-amz-bucket-region") or client.meta.region_name)


@none_on("NoSuchTagSet", "NoSuchTagSetError", "NoSuchBucket")
def tags(client: Any, name: str) -> dict[str, str]:
    """The tags of the bucket, ``None`` without any."""
    return from_pairs(call(client, "get_bucket_tagging", Bucket=name).get("TagSet"))


def versioning(client: Any, name: str) -> bool:
    """Whether versions of objects are kept."""
    return call(client, "get_bucket_versioning", Bucket=name).get("Status") == "Enabled"


@none_on("ServerSideEncryptionConfigurationNotFoundError")
def encryption(client: Any, name: str) -> tuple[str | None, str | None]:
    """The algorithm and the KMS key by which objects are encrypted when their writer does not say."""
    rules = call(client, "get_bucket_encryption", Bucket=name)["ServerSideEncryptionConfiguration"]["Rules"]
    default: dict[str, Any] = next((rule["ApplyServerSideEncryptionByDefault"] for rule in rules), {})
    return default.get("SSEAlgorithm"), default.get("KMSMasterKeyID")


@none_on("NoSuchPublicAccessBlockConfiguration")
def public_access_blocked(client: Any, name: str) -> bool:
    """Whether all four ways to make the bucket public are closed."""
    block = call(client, "get_public_access_block", Bucket=name)["PublicAccessBlockConfiguration"]
    names = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
    return all(block.get(key) for key in names)


@none_on("OwnershipControlsNotFoundError")
def object_ownership(client: Any, name: str) -> str | None:
    """Who owns the objects."""
    rules = call(client, "get_bucket_ownership_controls", Bucket=name)["OwnershipControls"]["Rules"]
    return next((rule["ObjectOwnership"] for rule in rules), None)


@none_on("NoSuchBucketPolicy")
def policy(client: Any, name: str) -> Any:
    """The policy document of the bucket."""
    return json.loads(call(client, "get_bucket_policy", Bucket=name)["Policy"])


@none_on("NoSuchLifecycleConfiguration")
def lifecycle_rules(client: Any, name: str) -> tuple[LifecycleRule, ...]:
    """The rules by which objects expire."""
    rules = call(client, "get_bucket_lifecycle_configuration", Bucket=name).get("Rules") or []
    return tuple(
        LifecycleRule(
            item.get("ID", ""),
            (item.get("Filter") or {}).get("Prefix") or item.get("Prefix") or "",
            (item.get("Expiration") or {}).get("Days"),
            item.get("Status") == "Enabled",
        )
        for item in rules
    )
