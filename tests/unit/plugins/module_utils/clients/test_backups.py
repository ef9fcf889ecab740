# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import io
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from ansible_collections.langsmith.aws.plugins.module_utils.clients import backups
from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.backup_rules import Backups
from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.storage import Unread
from botocore.response import StreamingBody
from botocore.stub import Stubber

from tests.unit.plugins.aws_support import stubbed

WRITTEN = datetime(2026, 11, 21, 3, tzinfo=UTC)
MANIFEST = b"<config><uuid>u</uuid><contents><file><name>data/a.bin</name><size>4</size></file></contents></config>"


@pytest.fixture
def s3() -> Iterator[tuple[Any, Stubber]]:
    with stubbed("s3") as pair:
        yield pair


def test_the_newest_whole_backup_under_the_prefix_is_found(s3: tuple[Any, Stubber]) -> None:
    client, stub = s3
    contents = [
        {"Key": "clickhouse/daily/.backup", "Size": len(MANIFEST), "LastModified": WRITTEN},
        {"Key": "clickhouse/daily/data/a.bin", "Size": 4, "LastModified": WRITTEN},
    ]
    stub.add_response(
        "list_objects_v2",
        {"Contents": contents[:1], "IsTruncated": True, "NextContinuationToken": "next"},
        {"Bucket": "backups", "Prefix": "clickhouse/"},
    )
    stub.add_response(
        "list_objects_v2",
        {"Contents": contents[1:], "IsTruncated": False},
        {"Bucket": "backups", "Prefix": "clickhouse/", "ContinuationToken": "next"},
    )
    stub.add_response(
        "get_object",
        {"Body": StreamingBody(io.BytesIO(MANIFEST), len(MANIFEST))},
        {"Bucket": "backups", "Key": "clickhouse/daily/.backup"},
    )
    assert backups.read(client, "backups", "/clickhouse/") == Backups(1, "clickhouse/daily", WRITTEN)


def test_an_empty_prefix_is_the_whole_bucket(s3: tuple[Any, Stubber]) -> None:
    client, stub = s3
    stub.add_response("list_objects_v2", {"IsTruncated": False}, {"Bucket": "backups", "Prefix": ""})
    assert backups.read(client, "backups", "") == Backups()


@pytest.mark.parametrize(("code", "action"), [("AccessDenied", "s3:ListBucket"), ("NoSuchBucket", "")])
def test_a_bucket_that_may_not_be_listed_is_unread(s3: tuple[Any, Stubber], code: str, action: str) -> None:
    client, stub = s3
    stub.add_client_error("list_objects_v2", code, "no")
    found = backups.read(client, "backups", "clickhouse")
    assert isinstance(found, Unread)
    assert found.action == action


def test_a_manifest_that_is_cut_off_on_its_way_is_unread(s3: tuple[Any, Stubber]) -> None:
    client, stub = s3
    listed = [{"Key": "daily/.backup", "Size": len(MANIFEST), "LastModified": WRITTEN}]
    stub.add_response("list_objects_v2", {"Contents": listed, "IsTruncated": False})
    stub.add_response("get_object", {"Body": StreamingBody(io.BytesIO(MANIFEST[:9]), len(MANIFEST))})
    found = backups.read(client, "backups", "")
    assert isinstance(found, Unread)
    assert (found.action, "was not read to its end" in found.message) == ("", True)


def test_a_manifest_that_may_not_be_read_is_unread_with_its_action(s3: tuple[Any, Stubber]) -> None:
    client, stub = s3
    listed = [{"Key": "daily/.backup", "Size": 4, "LastModified": WRITTEN}]
    stub.add_response("list_objects_v2", {"Contents": listed, "IsTruncated": False})
    stub.add_client_error("get_object", "AccessDenied", "no")
    found = backups.read(client, "backups", "")
    assert isinstance(found, Unread)
    assert found.action == "s3:GetObject"
