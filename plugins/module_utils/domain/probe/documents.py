# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads LangSmith's JSON documents, whatever they turn out to be."""

from __future__ import annotations

from typing import Any


def text(document: Any, name: str) -> str:
    """A field of an object as text; empty where it is missing or no text."""
    value = document.get(name) if isinstance(document, dict) else None
    return value if isinstance(value, str) else ""


def server_facts(document: Any) -> tuple[str, bool | None]:
    """Version and whether blob storage is on, out of ``/info``; empty and ``None`` where it does not tell."""
    flags = document.get("instance_flags") if isinstance(document, dict) else None
    enabled = flags.get("blob_storage_enabled") if isinstance(flags, dict) else None
    return text(document, "version"), enabled if isinstance(enabled, bool) else None


def first_id(document: Any) -> str:
    """The id of an array's first object; empty where there is none."""
    first = document[0] if isinstance(document, list) and document else None
    return text(first, "id")


def runs_by_id(document: Any) -> dict[str, dict[str, Any]]:
    """The runs of a ``/runs/query`` answer by their ids."""
    runs = document.get("runs") if isinstance(document, dict) else None
    return {text(run, "id"): run for run in runs if text(run, "id")} if isinstance(runs, list) else {}


def blob_address(document: dict[str, Any], name: str) -> str:
    """Where a run says that a payload is (``inputs``, ``outputs``, ``attachment.NAME``); empty where it does not."""
    for place, key in (("s3_urls", name), (f"{name}_s3_urls", "ROOT"), (f"{name}_s3_urls", name)):
        urls = document.get(place)
        address = text(urls.get(key), "presigned_url") if isinstance(urls, dict) else ""
        if address:
            return address
    return ""


def queue_counters(document: Any) -> tuple[int | None, int | None]:
    """Pending and retry of the ingestion queue out of platform-backend's metrics; ``None`` where one is not told."""
    queue = document.get("ingestion_queue") if isinstance(document, dict) else None
    if not isinstance(queue, dict):
        return None, None
    return _count(queue.get("pending")), _count(queue.get("retry"))


def _count(value: Any) -> int | None:
    return int(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None
