# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which side of ClickHouse is pressed, reads or writes, told by what comes first: concurrency, disk I/O, parts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.thresholds import REPLICAS_MAX
from ansible_collections.langsmith.aws.plugins.module_utils.domain.finding import Finding, worst

Level = Literal["none", "some", "high", "unknown"]

_LEVELS: dict[str, Level] = {"pass": "none", "warn": "some", "unknown": "unknown", "fail": "high"}
_RAISED = ("some", "high")

#: The rules that tell of each side, those that tell of both, and those without which a side cannot be called calm.
_READ = {"clickhouse.concurrency", "clickhouse.query_latency", "clickhouse.long_queries"}
_WRITE = {"clickhouse.inserts", "clickhouse.parts", "clickhouse.merges"}
_LATE, _WAITS = {"clickhouse.ingest_delay"}, {"clickhouse.io_pressure"}
_DECISIVE = {"clickhouse.concurrency", "clickhouse.inserts", "clickhouse.parts"}


@dataclass(frozen=True)
class _Side:
    level: Level
    because: tuple[Finding, ...]


def pressure(findings: Sequence[Finding], servers: int) -> dict[str, Any]:
    """``read`` and ``write`` (none, some, high or unknown), ``because`` (sentences) and ``advice``.

    ``findings`` are those on the servers, by the rules for production: pressure is the same wherever it is, the
    environment only says who may bear it.
    """
    read, write = (_side([found for found in findings if found.id in rules]) for rules in (_READ, _WRITE))
    late, waits = (_raised(found for found in findings if found.id in rules) for rules in (_LATE, _WAITS))
    saturated = write.level in _RAISED or bool(waits)
    read, write = _with_io(read, write, waits)
    if late:
        # Late runs alone do not tell whether ClickHouse or the queue before it is slow.
        write = _Side("high" if write.level == "high" else "some", (*write.because, *late))
    because = [f"{one.subject}: {one.observed}" for one in dict.fromkeys((*read.because, *write.because))]
    told = {"read": read.level, "write": write.level, "because": because}
    return {**told, "advice": _advice(read.level, write.level, saturated, servers)}


def _raised(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    return tuple(found for found in findings if found.status in ("warn", "fail"))


def _side(found: Sequence[Finding]) -> _Side:
    raised = _raised(found)
    if raised:
        return _Side(_LEVELS[worst(raised)], raised)
    unsure = not found or any(one.status == "unknown" and one.id in _DECISIVE for one in found)
    return _Side("unknown" if unsure else "none", ())


def _with_io(read: _Side, write: _Side, waits: Sequence[Finding]) -> tuple[_Side, _Side]:
    """Waiting for the disk adds to the side that is pressed anyway; where neither is, it is a sign for both."""
    if not waits:
        return read, write
    neither = read.level not in _RAISED and write.level not in _RAISED
    sides = []
    for side in (read, write):
        if neither:
            sides.append(_Side("some", tuple(waits)))
        elif side.level in _RAISED:
            high = side.level == "high" or worst(waits) == "fail"
            sides.append(_Side("high" if high else "some", (*side.because, *waits)))
        else:
            sides.append(side)
    return sides[0], sides[1]


def _advice(read: Level, write: Level, saturated: bool, nodes: int) -> str:
    told = []
    if write in _RAISED and saturated:
        told.append(
            "Add no queue workers: ClickHouse is saturated, and more of them press harder on it. Scale the write side: "
            "more throughput and IOPS for the volumes first, then 16 vCPU and 64 GiB for each replica; insert more "
            "rows at a time and keep payloads in blob storage. More replicas do not help writes: each takes all of "
            "them."
        )
    elif write in _RAISED:
        told.append(
            "Runs arrive late although ClickHouse keeps up: look at the queue before it. Queue workers may be added as "
            "long as parts, merges and disk stay calm."
        )
    if read in _RAISED:
        how = "add replicas" if nodes < REPLICAS_MAX else f"stay at {REPLICAS_MAX} replicas or fewer"
        told.append(
            f"Scale the read side: {how}, give each 16 vCPU and 64 GiB, and end the queries that take longest. Queue "
            "workers change nothing here."
        )
    if not told and "unknown" in (read, write):
        return "The leading indicators could not be read: give the user the grants that the findings name."
    return " ".join(told) or "No pressure: watch query concurrency and disk I/O, they rise before CPU and memory do."
