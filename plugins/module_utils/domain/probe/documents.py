# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads LangSmith's JSON documents, whatever they turn out to be."""

from __future__ import annotations

import math
import re
from typing import Any


def text(document: Any, name: str) -> str:
    """A field of an object as text that can be written; empty where it is missing or no text."""
    value = document.get(name) if isinstance(document, dict) else None
    # JSON may hold half of a character, which no file and no terminal takes.
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else ""


def server_facts(document: Any) -> tuple[str, dict[str, bool]]:
    """Version and the flags that are set or not, out of ``/info``; empty where it does not tell."""
    flags = document.get("instance_flags") if isinstance(document, dict) else None
    told = flags if isinstance(flags, dict) else {}
    return text(document, "version"), {name: value for name, value in told.items() if isinstance(value, bool)}


def first_id(document: Any) -> str:
    """The id of an array's first object, whichever that is; empty where there is none."""
    return next(iter(ids(document)), "")


def id_of(document: Any, name: str) -> str:
    """The id of the object with that name in an array; empty where there is none, whatever else was listed."""
    named = [entry for entry in document if text(entry, "name") == name] if isinstance(document, list) else []
    return first_id(named)


def ids(document: Any) -> list[str]:
    """The ids of an array's objects; an empty one for each that has none."""
    return [text(entry, "id") for entry in document] if isinstance(document, list) else []


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
    return _number(document.get("clickhouse_disk_free_pct")) if isinstance(document, dict) else None


def histogram(exposition: str, name: str) -> tuple[float, float] | None:
    """Sum and count of a Prometheus histogram of ClickHouse's store, all its series together; ``None`` without it."""
    sums, counts = (_series(exposition, f"{name}_{part}") for part in ("sum", "count"))
    return (sum(sums), sum(counts)) if sums and counts else None


def _series(exposition: str, name: str) -> list[float]:
    number = r"[0-9]+(?:\.[0-9]*)?(?:[eE][+-]?[0-9]{1,2})?"
    lines = re.findall(rf"^{name}(?:\{{([^}}]*)\}})? ({number})(?:\s|$)", exposition, re.MULTILINE)
    return [float(value) for labels, value in lines if "store=" not in labels or 'store="clickhouse"' in labels]


def _counts(document: Any, names: tuple[str, ...]) -> dict[str, int]:
    told = document if isinstance(document, dict) else {}
    counts = {name: _number(told.get(name)) for name in names}
    return {name: int(count) for name, count in counts.items() if count is not None}


def _number(value: Any) -> float | None:
    """A number as JSON has them; ``None`` for anything else, and for one without an end or a bound."""
    try:
        number = float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else math.nan
    except OverflowError:
        return None
    return number if math.isfinite(number) else None
