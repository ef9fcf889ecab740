# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which side of ClickHouse is pressed, reads or writes, told by what comes first: concurrency, disk I/O, parts."""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.thresholds import REPLICAS_MAX
from ansible_collections.langsmith.aws.plugins.module_utils.domain.finding import Finding, worst

Level = Literal["none", "some", "high", "unknown"]

_LEVELS: dict[str, Level] = {"pass": "none", "warn": "some", "unknown": "unknown", "fail": "high"}
_RAISED = ("some", "high")

#: The rules that tell of each side, of late runs, and of waiting for the disk, which is a sign for both sides.
_READ = {"clickhouse.concurrency", "clickhouse.query_latency", "clickhouse.long_queries"}
_WRITE = {"clickhouse.inserts", "clickhouse.parts", "clickhouse.merges"}
_LATE, _WAITS = {"clickhouse.ingest_delay"}, {"clickhouse.io_pressure"}
_REACHED = {"clickhouse.connection"}


@dataclass(frozen=True)
class _Side:
    level: Level
    because: tuple[Finding, ...]


def pressure(findings: Sequence[Finding], servers: int, volumes: Sequence[Finding] = ()) -> dict[str, Any]:
    """``read`` and ``write`` (none, some, high or unknown), ``because`` (sentences) and ``advice``.

    ``findings`` are those on the servers and ``volumes`` those on their volumes, by the rules for production: pressure
    is the same wherever it is, the environment only says who may bear it. No side is calm before everything that would
    tell of it was read; the disk is, where either the servers or their volumes tell of all of it.
    """
    # A server that does not answer tells of nothing.
    unread = [found for found in _of(findings, _REACHED) if found.status != "pass"]
    disks = [_unread(told, _WAITS) for told in (findings, volumes) if _of(told, _WAITS)]
    if disks and all(disks):
        unread += disks[0]
    read = _side(findings, _READ, [*unread, *_unread(findings, _READ)])
    write = _side(findings, _WRITE, [*unread, *_unread(findings, _WRITE | _LATE)])
    late, waits = _raised(_of(findings, _LATE)), _raised(_of([*findings, *volumes], _WAITS))
    keeps_up = False if waits else {"none": True, "unknown": None}.get(write.level, False)
    read, write = _with_io(read, write, waits)
    if late:
        # Late runs alone do not tell whether ClickHouse or the queue before it is slow.
        write = _Side("high" if write.level == "high" else "some", (*write.because, *late))
    because = [f"{one.subject}: {one.observed}" for one in dict.fromkeys((*read.because, *write.because))]
    told = {"read": read.level, "write": write.level, "because": because}
    unread += _unread(findings, _READ | _WRITE | _LATE)
    return {**told, "advice": _advice(read.level, write.level, keeps_up, servers, unread)}


def _of(findings: Iterable[Finding], rules: Container[str]) -> list[Finding]:
    return [found for found in findings if found.id in rules]


def _unread(findings: Iterable[Finding], rules: Container[str]) -> list[Finding]:
    """The findings of these rules that tell nothing."""
    return [found for found in _of(findings, rules) if found.status == "unknown"]


def _raised(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    return tuple(found for found in findings if found.status in ("warn", "fail"))


def _side(findings: Sequence[Finding], rules: Container[str], unread: Sequence[Finding]) -> _Side:
    told = _of(findings, rules)
    raised = _raised(told)
    if raised:
        return _Side(_LEVELS[worst(raised)], raised)
    return _Side("unknown" if unread or not told else "none", ())


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


def _advice(read: Level, write: Level, keeps_up: bool | None, nodes: int, unread: Sequence[Finding]) -> str:
    told = []
    if write in _RAISED and keeps_up is False:
        told.append(
            "Add no queue workers: ClickHouse is saturated, and more of them press harder on it. Scale the write side: "
            "more throughput and IOPS for the volumes first, then 16 vCPU and 64 GiB for each replica; insert more "
            "rows at a time and keep payloads in blob storage. More replicas do not help writes: each takes all of "
            "them."
        )
    elif write in _RAISED and keeps_up is None:
        told.append("Runs arrive late: add no queue workers before it is known that ClickHouse keeps up.")
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
    if "unknown" in (read, write) or keeps_up is None:
        rules = ", ".join(sorted({found.id for found in unread})) or "nothing was asked"
        told.append(f"Not everything that would tell of pressure could be read ({rules}): see these findings for why.")
    return " ".join(told) or "No pressure: watch query concurrency and disk I/O, they rise before CPU and memory do."
