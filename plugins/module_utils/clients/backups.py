# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Amazon S3: the backups that ClickHouse wrote under a prefix of a bucket."""

from __future__ import annotations

from typing import Any

from ansible_collections.langsmith.aws.plugins.module_utils.clients.aws import AwsCallError, call, pages
from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.backup_rules import (
    Backups,
    StoredObject,
    newest_good,
)
from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.storage import Unread

try:
    from botocore.exceptions import BotoCoreError
except ImportError:  # there is no client without it
    BotoCoreError = Exception  # type: ignore[assignment, misc]


def read(s3: Any, bucket: str, prefix: str) -> Backups | Unread:
    """The newest whole backup under the prefix. What AWS does not let see is :class:`Unread`."""
    start = prefix.strip("/") + "/" if prefix.strip("/") else ""
    try:
        found = pages(s3, "list_objects_v2", "Contents", Bucket=bucket, Prefix=start)
        listing = {item["Key"]: StoredObject(item["Size"], item["LastModified"]) for item in found}
        return newest_good(listing, lambda key: _content(s3, bucket, key))
    except AwsCallError as error:
        return Unread(str(error), error.action if error.denied else "")
    except BotoCoreError as error:
        return Unread(f"a manifest in s3://{bucket}/{start} was not read to its end: {error}")


def _content(s3: Any, bucket: str, key: str) -> bytes:
    content: bytes = call(s3, "get_object", Bucket=bucket, Key=key)["Body"].read()
    return content
