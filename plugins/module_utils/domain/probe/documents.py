# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads LangSmith's JSON documents, whatever they turn out to be."""

from __future__ import annotations

import re
from typing import Any


def text(document: Any, name: str) -> str:
    """A field of an object as text; empty where it is missing or no text."""
    value = document.get(name) if isinstance(document, dict) else None
    return value if isinstance(value, str) else ""


def server_facts(document: Any) -> tuple[str, dict[str, bool]]:
    """Version and the flags that are set or not, out of ``/info``; empty where it does not tell."""
    flags = document.get("instance_flags") if isinstance(document, dict) else None
    told = flags if isinstance(flags, dict) else {}
    return text(document, "version"), {name: value for name, value in told.items() if isinstance(value, bool)}


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


def queue_counters(document: Any) -> dict[str, int]:
    """Pending, active and retry of the ingestion queue out of platform-backend's metrics, as far as it tells them."""
    queue = document.get("ingestion_queue") if isinstance(document, dict) else None
    return _counts(queue, ("pending", "active", "retry"))


def background_queue(document: Any) -> dict[str, int]:
    """Pending and active out of backend's counters, whose queue takes the runs where there is no ingest-queue."""
    found = _counts(document, ("queued", "active"))
    return {"pending" if name == "queued" else name: count for name, count in found.items()}


def free_disk(document: Any) -> float | None:
    """Percent of ClickHouse's disk that are free out of ``/info/health``; ``None`` where it does not tell."""
    value = document.get("clickhouse_disk_free_pct") if isinstance(document, dict) else None
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def histogram(exposition: str, name: str) -> tuple[float, float] | None:
    """Sum and count of a Prometheus histogram of ClickHouse's store, all its series together; ``None`` without it."""
    sums, counts = (_series(exposition, f"{name}_{part}") for part in ("sum", "count"))
    return (sum(sums), sum(counts)) if sums and counts else None


def _series(exposition: str, name: str) -> list[float]:
    lines = re.findall(rf"^{name}(?:\{{([^}}]*)\}})? ([0-9.eE+-]+)", exposition, re.MULTILINE)
    return [float(value) for labels, value in lines if "store=" not in labels or 'store="clickhouse"' in labels]


def _counts(document: Any, names: tuple[str, ...]) -> dict[str, int]:
    told = document if isinstance(document, dict) else {}
    return {name: int(told[name]) for name in names if _is_number(told.get(name))}


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
