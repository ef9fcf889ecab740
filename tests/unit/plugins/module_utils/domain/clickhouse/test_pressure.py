# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which side is pressed, and what to do about it."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.facts import Live, Refused, Replica
from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.live import judge_live
from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.pressure import pressure
from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.storage import (
    INSTANCE_CHECKS,
    VOLUME_CHECKS,
    RealVolume,
    Storage,
)
from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.volume_rules import judge_volumes

CALM: dict[str, Any] = {
    "sight": [{"result": 1}],
    "running": [{"running": 3}],
    "latency": [{"queries": 100, "p95_s": 0.1}],
    "long_queries": [],
    "parts": [{"database": "default", "table": "runs", "partition_id": "all", "parts": 10}],
    "merge_limits": [{"name": "parts_to_delay_insert", "value": 1000.0}],
    "merge_pool": [{"tasks": 1, "size": 16}],
    "merges": [],
    "part_events": [],
    "ingest_delay": [{"runs": 100, "p95_s": 2.0}],
    "io_wait": [{"value": 0.01}],
}
BUSY_DISK, FULL_DISK = [{"value": 0.2}], [{"value": 0.5}]
SLOW, SLOWER = [{"queries": 100, "p95_s": 3.0}], [{"queries": 100, "p95_s": 11.0}]
PILED = [{"database": "default", "table": "runs", "partition_id": "all", "parts": 600}]
LATE = [{"runs": 100, "p95_s": 100.0}]


def server(name: str = "chi-0:8123", **more: Any) -> Replica:
    answers = {**CALM, **more}
    return Replica(name, answers, answers, 3.0)


def told(*replicas: Replica) -> dict[str, Any]:
    live = Live("reader", cluster="langsmith", replicas=replicas)
    return pressure(judge_live(live, "production"), len(replicas))


@pytest.mark.parametrize(
    ("more", "read", "write"),
    [
        ({}, "none", "none"),
        ({"latency": SLOW}, "some", "none"),
        ({"latency": SLOWER}, "high", "none"),
        ({"parts": PILED}, "none", "some"),
        ({"io_wait": BUSY_DISK}, "some", "some"),
        ({"io_wait": FULL_DISK}, "some", "some"),
        ({"io_wait": FULL_DISK, "parts": PILED}, "none", "high"),
        ({"io_wait": BUSY_DISK, "latency": SLOW}, "some", "none"),
        ({"latency": SLOWER, "parts": PILED}, "high", "some"),
        ({"ingest_delay": LATE}, "none", "some"),
        ({"ingest_delay": LATE, "parts": PILED}, "none", "some"),
    ],
)
def test_pressure_is_named_by_its_side(more: dict[str, Any], read: str, write: str) -> None:
    found = told(server(**more))
    assert (found["read"], found["write"]) == (read, write)
    assert bool(found["because"]) == ("some" in (read, write) or "high" in (read, write))


def test_the_worst_replica_decides_and_is_named() -> None:
    found = told(server(), server("chi-1:8123", parts=PILED), server("chi-2:8123"))
    assert found["write"] == "some"
    assert [reason.partition(": ")[0] for reason in found["because"]] == ["chi-1:8123"]


def test_workers_are_advised_against_only_where_clickhouse_is_saturated() -> None:
    assert told(server(parts=PILED))["advice"].startswith("Add no queue workers")
    assert told(server(io_wait=FULL_DISK, ingest_delay=LATE))["advice"].startswith("Add no queue workers")
    assert "Queue workers may be added" in told(server(ingest_delay=LATE))["advice"]
    assert "Add no queue workers" not in told(server(latency=SLOW))["advice"]


def test_reads_are_scaled_by_replicas_up_to_five() -> None:
    assert "add replicas" in told(server(latency=SLOW))["advice"]
    five = [server(f"chi-{number}:8123", latency=SLOW) for number in range(5)]
    assert "stay at 5 replicas or fewer" in told(*five)["advice"]


@pytest.mark.parametrize(
    ("hidden", "read", "write"),
    [
        ("running", "unknown", "none"),
        ("long_queries", "unknown", "none"),
        ("latency", "unknown", "none"),
        ("part_events", "none", "unknown"),
        ("parts", "none", "unknown"),
        ("merges", "none", "unknown"),
        ("ingest_delay", "none", "unknown"),
        ("io_wait", "unknown", "unknown"),
    ],
)
def test_a_side_of_which_something_was_not_read_is_unknown(hidden: str, read: str, write: str) -> None:
    answers = {name: rows for name, rows in CALM.items() if name != hidden}
    found = told(Replica("chi-0:8123", answers, answers, 3.0))
    assert (found["read"], found["write"]) == (read, write)
    assert found["advice"].startswith("Not everything that would tell of pressure could be read (clickhouse.")


def test_without_an_answer_nothing_is_known() -> None:
    found = told(Replica("chi-0:8123", unreachable="tcp: refused"))
    assert (found["read"], found["write"]) == ("unknown", "unknown")
    assert "could be read (clickhouse.connection)" in found["advice"]


def test_a_replica_without_an_answer_may_be_the_pressed_one() -> None:
    found = told(server(), Replica("chi-1:8123", unreachable="tcp: refused"))
    assert (found["read"], found["write"]) == ("unknown", "unknown")
    assert "could be read (clickhouse.connection)" in found["advice"]


def test_what_is_pressed_is_told_though_something_else_was_not_read() -> None:
    found = told(server(parts=PILED, running=Refused(497, "denied")))
    assert (found["read"], found["write"]) == ("unknown", "some")
    assert found["advice"].startswith("Add no queue workers")
    assert "could be read (clickhouse.concurrency)" in found["advice"]


def test_no_workers_are_added_before_it_is_known_that_clickhouse_keeps_up() -> None:
    found = told(server(ingest_delay=LATE, io_wait=Refused(60, "no such table")))
    assert (found["read"], found["write"]) == ("unknown", "some")
    assert found["advice"].startswith("Runs arrive late: add no queue workers before")
    assert "could be read (clickhouse.io_pressure)" in found["advice"]


HELD_BACK = {("vol-0aa", name): [0.0, 1.0] for name in VOLUME_CHECKS}
FREE = {**{("vol-0aa", name): [0.0] for name in VOLUME_CHECKS}, **{("i-0bb", name): [0.0] for name in INSTANCE_CHECKS}}


@pytest.mark.parametrize(
    ("metrics", "more", "read", "write"),
    [
        (FREE, {}, "none", "none"),
        (FREE, {"io_wait": Refused(60, "no such table")}, "none", "none"),
        ({}, {}, "none", "none"),
        ({}, {"io_wait": Refused(60, "no such table")}, "unknown", "unknown"),
        ({**FREE, **HELD_BACK}, {}, "some", "some"),
        ({**FREE, **HELD_BACK}, {"parts": PILED}, "none", "high"),
    ],
)
def test_what_cloudwatch_has_of_the_disks_counts_too(
    metrics: dict[tuple[str, str], list[float]], more: dict[str, Any], read: str, write: str
) -> None:
    volume = RealVolume("vol-0aa", "gp3", 500, 7000, 1000, "in-use", "i-0bb")
    volumes = judge_volumes(Storage(("vol-0aa",), (volume,), metrics=metrics), "production")
    live = Live("reader", cluster="langsmith", replicas=(server(**more),))
    found = pressure(judge_live(live, "production"), 1, volumes)
    assert (found["read"], found["write"]) == (read, write)
