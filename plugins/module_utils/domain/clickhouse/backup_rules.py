# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Backups that ClickHouse wrote to S3: whether one is whole, and whether the newest whole one is young enough.

BACKUP writes its manifest ``.backup`` last, so that a backup without one is unfinished. The manifest names every file,
with its size and, in an incremental backup, whether it is in the base instead.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.facts import Environment
from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.storage import Unread
from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.thresholds import CHECKLIST, RPO_FAIL
from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.verdict import beyond, finding, serious
from ansible_collections.langsmith.aws.plugins.module_utils.domain.finding import Finding

MANIFEST = ".backup"
_PLACE = "see that backups.bucket is there, in this region and account, and reached from here"


@dataclass(frozen=True)
class StoredObject:
    """One object of the bucket: its bytes, and when it was written."""

    size: int
    written: datetime


@dataclass(frozen=True)
class Backups:
    """What lies under a prefix: how many finished backups, the newest whole one, what is wrong with newer ones."""

    finished: int = 0
    newest_good: str = ""
    written: datetime | None = None
    damaged: Mapping[str, str] = field(default_factory=dict)


Listing = Mapping[str, StoredObject]


def manifests(listing: Listing) -> list[str]:
    """The keys of all manifests, the newest first."""
    found = [key for key in listing if key == MANIFEST or key.endswith("/" + MANIFEST)]
    return sorted(found, key=lambda key: (listing[key].written, key), reverse=True)


def newest_good(listing: Listing, read: Callable[[str], bytes], most: int = 20) -> Backups:
    """The newest backup that is whole, its bases included; ``read`` gets the content of a manifest by its key.

    At most so many manifests are read, so that a bucket full of damaged ones ends too.
    """
    keys = manifests(listing)
    documents = _Documents(read, most)
    damaged: dict[str, str] = {}
    for key in keys:
        if documents.left <= 0:
            break
        wrong = _problem(key, listing, keys, documents)
        if not wrong:
            return Backups(len(keys), _folder(key), listing[key].written, damaged)
        damaged[_folder(key)] = wrong
    return Backups(len(keys), damaged=damaged)


class _Documents:
    """Manifests by key, each read once; ``left`` counts down."""

    def __init__(self, read: Callable[[str], bytes], left: int) -> None:
        self._read, self.left = read, left
        self._known: dict[str, ET.Element | None] = {}

    def get(self, key: str) -> ET.Element | None:
        """The manifest, or None where it is no XML."""
        if key not in self._known:
            self.left -= 1
            self._known[key] = _parsed(self._read(key))
        return self._known[key]


def _parsed(content: bytes) -> ET.Element | None:
    """The document, or None for what BACKUP does not write: no XML, XML with declarations of its own or in UTF-16,
    a size that is no number."""
    if b"<!" in content or b"\0" in content:
        return None
    try:
        document = ET.fromstring(content)  # noqa: S314  nothing is left in it that could grow
        for entry in document.iter("file"):
            _size(entry)
    except (ET.ParseError, LookupError, ValueError):
        return None
    return document


def _size(entry: ET.Element) -> int:
    return int(entry.findtext("size") or 0)


def _problem(key: str, listing: Listing, keys: list[str], documents: _Documents) -> str:
    """What is wrong with a backup or with one that it is built on; empty where nothing is."""
    seen: set[str] = set()
    while key not in seen:
        seen.add(key)
        document = documents.get(key)
        if document is None:
            return f"{key} is no manifest"
        wrong = _wrong_files(document, _folder(key), listing)
        if wrong:
            return wrong
        # The name of a base may hold a key of S3, so it is known by its UUID alone.
        base = document.findtext("base_backup_uuid")
        if not base:
            return ""
        older = [other for other in keys if listing[other].written <= listing[key].written and other != key]
        key = next((other for other in older if _uuid(documents, other) == base), "")
        if not key:
            return f"its base {base} is not there"
    return "it is its own base"


def _uuid(documents: _Documents, key: str) -> str | None:
    document = documents.get(key)
    return None if document is None else document.findtext("uuid")


def _wrong_files(document: ET.Element, folder: str, listing: Listing) -> str:
    for entry in document.iter("file"):
        size = _size(entry)
        in_base = entry.findtext("use_base") == "true" or entry.find("base_size") is not None
        name = entry.findtext("data_file") or (entry.findtext("name") or "").lstrip("/")
        key = f"{folder}/{name}".lstrip("/")
        if size == 0 or in_base:
            continue
        if key not in listing:
            return f"{key} is missing"
        if listing[key].size != size:
            return f"{key} has {listing[key].size} instead of {size} bytes"
    return ""


def _folder(key: str) -> str:
    return key.removesuffix(MANIFEST).rstrip("/")


def judge_backups(
    backups: Backups | Unread, environment: Environment, place: str, rpo_hours: float, now: datetime
) -> list[Finding]:
    """The age of the newest whole backup under ``place`` (s3://bucket/prefix) against the recovery point objective."""
    expectation = f"a whole backup of the last {rpo_hours:g} hours"
    if isinstance(backups, Unread):
        remedy = f"grant {backups.action} to the role or user that runs this" if backups.action else _PLACE
        return [finding("backup", "unknown", place, (backups.message, expectation), remedy, CHECKLIST)]
    wrong = "".join(f"; {folder} is damaged: {what}" for folder, what in list(backups.damaged.items())[:3])
    if backups.written is None:
        told = (
            f"{backups.finished} finished backups, none whole{wrong}" if backups.finished else "no backup",
            expectation,
        )
        remedy = "back up the database to this place: without a backup a loss is for good"
        return [finding("backup", serious(environment), place, told, remedy, CHECKLIST)]
    hours = max(0.0, (now - backups.written).total_seconds() / 3600)
    status = beyond(hours, rpo_hours, RPO_FAIL * rpo_hours)
    if status == "fail":
        status = serious(environment)
    if status == "pass" and backups.damaged:
        status = "warn"
    told = (f"{backups.newest_good} is {hours:.1f} hours old{wrong}", expectation)
    remedy = "see why the newest backup failed or did not run, and make one now"
    return [finding("backup", status, place, told, remedy, CHECKLIST)]
