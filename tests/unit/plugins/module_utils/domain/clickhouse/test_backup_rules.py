# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.backup_rules import (
    Backups,
    StoredObject,
    judge_backups,
    newest_good,
)
from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.storage import Unread

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
PLACE = "s3://backups/clickhouse"


def manifest(uuid: str, files: dict[str, int], base: str = "", in_base: tuple[str, ...] = ()) -> bytes:
    """A manifest as BACKUP writes it; ``in_base`` are files that the base holds."""
    entries = "".join(
        f"<file><name>{name}</name><size>{size}</size>"
        + ("<use_base>true</use_base>" if name in in_base else "")
        + "</file>"
        for name, size in files.items()
    )
    of = "<base_backup>S3('http://s3/backups/full', 'id', '[HIDDEN]')</base_backup>"
    of = f"{of}<base_backup_uuid>{base}</base_backup_uuid>" if base else ""
    return f"<config><uuid>{uuid}</uuid>{of}<contents>{entries}</contents></config>".encode()


class Bucket:
    """Objects with their age in hours."""

    def __init__(self) -> None:
        self.content: dict[str, bytes] = {}
        self.hours: dict[str, float] = {}
        self.sizes: dict[str, int] = {}
        self.read: list[str] = []

    def put(self, key: str, content: bytes, hours: float) -> None:
        self.content[key], self.hours[key], self.sizes[key] = content, hours, len(content)

    def backup(
        self, name: str, hours: float, files: dict[str, int], base: str = "", in_base: tuple[str, ...] = ()
    ) -> None:
        for file, size in files.items():
            if file not in in_base:
                self.put(f"clickhouse/{name}/{file}", b"x" * size, hours)
        self.put(f"clickhouse/{name}/.backup", manifest(name, files, base, in_base), hours)

    def newest(self) -> Backups:
        listing = {
            key: StoredObject(self.sizes[key], NOW - timedelta(hours=hours)) for key, hours in self.hours.items()
        }

        def get(key: str) -> bytes:
            self.read.append(key)
            return self.content[key]

        return newest_good(listing, get)


@pytest.fixture
def bucket() -> Bucket:
    made = Bucket()
    made.backup("full", 20, {"data/a.bin": 10, "data/b.bin": 5, "metadata/empty.sql": 0})
    made.backup("daily", 3, {"data/a.bin": 10, "data/c.bin": 7}, base="full", in_base=("data/a.bin",))
    return made


def test_the_newest_whole_backup_counts(bucket: Bucket) -> None:
    found = bucket.newest()
    assert (found.newest_good, found.finished, found.damaged) == ("clickhouse/daily", 2, {})
    assert found.written == NOW - timedelta(hours=3)


def test_an_unfinished_backup_has_no_manifest_and_does_not_count(bucket: Bucket) -> None:
    bucket.put("clickhouse/running/data/a.bin", b"xxx", 0.1)
    assert bucket.newest().newest_good == "clickhouse/daily"


def test_a_file_that_is_gone_makes_the_one_before_the_newest_good(bucket: Bucket) -> None:
    del bucket.hours["clickhouse/daily/data/c.bin"]
    found = bucket.newest()
    assert found.newest_good == "clickhouse/full"
    assert found.damaged == {"clickhouse/daily": "clickhouse/daily/data/c.bin is missing"}


def test_a_truncated_file_is_told_with_its_sizes(bucket: Bucket) -> None:
    bucket.sizes["clickhouse/daily/data/c.bin"] = 3
    assert bucket.newest().damaged == {"clickhouse/daily": "clickhouse/daily/data/c.bin has 3 instead of 7 bytes"}


def test_a_damaged_base_takes_what_is_built_on_it_along(bucket: Bucket) -> None:
    del bucket.hours["clickhouse/full/data/a.bin"]
    found = bucket.newest()
    assert found.newest_good == ""
    assert set(found.damaged) == {"clickhouse/full", "clickhouse/daily"}


def test_a_base_that_is_gone_is_told(bucket: Bucket) -> None:
    for key in [key for key in bucket.hours if key.startswith("clickhouse/full/")]:
        del bucket.hours[key]
    assert bucket.newest().damaged == {"clickhouse/daily": "its base full is not there"}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<html>",
        b'<!DOCTYPE x [<!ENTITY a "b">]><config/>',
        b"\xff\xfe",
        b'<?xml version="1.0" encoding="unheard-of"?><config/>',
        b'<?xml version="1.0" encoding="utf-7"?><config/>',
        '<!DOCTYPE x [<!ENTITY a "b">]><config/>'.encode("utf-16"),
        b"<config><contents><file><name>data/c.bin</name><size>abc</size></file></contents></config>",
        b"<config><contents><file><name>data/c.bin</name><size>1.5</size></file></contents></config>",
    ],
)
def test_a_manifest_that_is_none_is_damage_and_no_traceback(bucket: Bucket, content: bytes) -> None:
    bucket.put("clickhouse/daily/.backup", content, 3)
    found = bucket.newest()
    assert found.damaged == {"clickhouse/daily": "clickhouse/daily/.backup is no manifest"}
    assert found.newest_good == "clickhouse/full"


def test_two_backups_that_name_each_other_as_base_end(bucket: Bucket) -> None:
    bucket.backup("full", 3, {"data/a.bin": 10}, base="daily")
    assert bucket.newest().newest_good == ""


def test_a_bucket_full_of_damage_is_not_read_without_end() -> None:
    bucket = Bucket()
    for number in range(60):
        bucket.put(f"clickhouse/{number}/.backup", b"<html>", number)
    assert bucket.newest().newest_good == ""
    assert len(bucket.read) == 20


def test_each_manifest_is_read_once(bucket: Bucket) -> None:
    bucket.newest()
    assert len(bucket.read) == len(set(bucket.read)) == 2


@pytest.mark.parametrize(
    ("hours", "production", "dev"),
    [(0, "pass", "pass"), (23.9, "pass", "pass"), (25, "warn", "warn"), (49, "fail", "warn")],
)
def test_the_age_is_held_against_the_recovery_point_objective(hours: float, production: str, dev: str) -> None:
    backups = Backups(1, "clickhouse/daily", NOW - timedelta(hours=hours))
    assert [finding.status for finding in judge_backups(backups, "production", PLACE, 24, NOW)] == [production]
    assert [finding.status for finding in judge_backups(backups, "dev", PLACE, 24, NOW)] == [dev]


def test_no_backup_fails_in_production() -> None:
    (found,) = judge_backups(Backups(), "production", PLACE, 24, NOW)
    assert (found.status, found.observed, found.subject) == ("fail", "no backup", PLACE)


def test_a_damaged_one_beside_a_young_good_one_is_warned() -> None:
    backups = Backups(2, "clickhouse/a", NOW, {"clickhouse/b": "clickhouse/b/x is missing"})
    (found,) = judge_backups(backups, "production", PLACE, 24, NOW)
    assert found.status == "warn"
    assert "clickhouse/b is damaged: clickhouse/b/x is missing" in found.observed


def test_what_may_not_be_listed_is_unknown_with_the_missing_action() -> None:
    (found,) = judge_backups(Unread("not allowed", "s3:ListBucket"), "production", PLACE, 24, NOW)
    assert found.status == "unknown"
    assert "grant s3:ListBucket " in found.remedy
