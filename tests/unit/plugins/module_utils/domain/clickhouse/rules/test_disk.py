# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Figures at the edges of what the rules on disks bear."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.facts import (
    GIB,
    Context,
    Plan,
    Refused,
    Replica,
    Volume,
)
from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.rules import disk
from ansible_collections.langsmith.aws.plugins.module_utils.domain.finding import Finding

CONTEXT = Context("production", "reader")
DEV = replace(CONTEXT, environment="dev")
ABSENT = Refused(60, "Unknown table expression identifier")


def server(later: Mapping[str, Any] | None = None, /, **first: Any) -> Replica:
    return Replica("chi-0:8123", first, later or {}, 3.0)


def only(found: Any) -> Finding:
    (one,) = found
    assert isinstance(one, Finding)
    return one


def disks(used: float, total: float = 100, **more: Any) -> list[dict[str, Any]]:
    space = {"total_space": int(total * GIB), "unreserved_space": int((total - used) * GIB)}
    return [{"name": "default", "type": "Local", **space, **more}]


@pytest.mark.parametrize(("used", "status"), [(0, "pass"), (70, "pass"), (71, "warn"), (85, "warn"), (86, "fail")])
def test_a_full_disk_fails_everywhere(used: float, status: str) -> None:
    replica = server(disks=disks(used))
    assert only(disk.disk_fill(replica, CONTEXT)).status == status
    assert only(disk.disk_fill(replica, DEV)).status == status


def test_object_storage_has_no_end_and_a_disk_of_nothing_is_full() -> None:
    remote = disks(99, name="s3", type="ObjectStorage")
    assert [one.status for one in disk.disk_fill(server(disks=[*disks(1), *remote]), CONTEXT)] == ["pass"]
    assert only(disk.disk_fill(server(disks=disks(0, 0)), CONTEXT)).status == "fail"


@pytest.mark.parametrize(
    ("total", "production", "dev"), [(91, "pass", "pass"), (89, "fail", "warn"), (111, "fail", "warn")]
)
def test_another_size_is_another_disk(total: float, production: str, dev: str) -> None:
    plan = Plan("external", volume=Volume(size_gib=100))
    replica = server(disks=disks(1, total))
    assert only(disk.disk_size(replica, replace(CONTEXT, plan=plan))).status == production
    assert only(disk.disk_size(replica, replace(DEV, plan=plan))).status == dev
    assert list(disk.disk_size(replica, CONTEXT)) == []


def history(gib_a_day: float, days: float, removed: float = 0) -> list[dict[str, Any]]:
    return [{"added": gib_a_day * days * GIB, "removed": removed * days * GIB, "seconds": int(days * 86400)}]


@pytest.mark.parametrize(
    ("grown", "production", "dev"),
    [
        (history(1, 7), "pass", "pass"),
        (history(1.7, 7), "warn", "warn"),
        (history(7.2, 7), "fail", "warn"),
        (history(50, 7, removed=50), "pass", "pass"),
        (history(50, 7, removed=60), "pass", "pass"),
        (history(50, 0.9), "unknown", "unknown"),
        (history(0, 0), "unknown", "unknown"),
    ],
)
def test_the_forecast_is_by_what_stayed(grown: list[dict[str, Any]], production: str, dev: str) -> None:
    replica = server(disks=disks(50), disk_growth=grown, disk_growth_of_parts=history(50, 7))
    assert only(disk.disk_forecast(replica, CONTEXT)).status == production
    assert only(disk.disk_forecast(replica, DEV)).status == dev


def test_without_a_part_log_the_parts_tell_the_worst_and_never_fail() -> None:
    replica = server(disks=disks(50), disk_growth=ABSENT, disk_growth_of_parts=history(25, 2))
    found = only(disk.disk_forecast(replica, CONTEXT))
    assert (found.status, found.observed) == ("warn", "25 GiB a day at most, full in 2 days")


def test_without_either_nobody_knows() -> None:
    found = only(disk.disk_forecast(server(disks=disks(50), disk_growth=ABSENT), CONTEXT))
    assert (found.status, found.observed) == ("unknown", "the server has no table system.part_log")


def log_tables(**sizes: float) -> list[dict[str, Any]]:
    return [{"name": name, "bytes": int(size * GIB), "has_ttl": False} for name, size in sizes.items()]


@pytest.mark.parametrize(
    ("gib", "production", "dev"), [(5, "pass", "pass"), (5.1, "warn", "warn"), (21, "fail", "warn")]
)
def test_endless_logs_are_weighed_by_the_disk(gib: float, production: str, dev: str) -> None:
    tables = [*log_tables(trace_log=gib - 1, text_log_0=1), {"name": "query_log", "bytes": 90 * GIB, "has_ttl": True}]
    replica = server(disks=disks(50), log_tables=tables)
    assert only(disk.system_logs(replica, CONTEXT)).status == production
    assert only(disk.system_logs(replica, DEV)).status == dev
    assert "trace_log, text_log_0" in only(disk.system_logs(replica, DEV)).observed


@pytest.mark.parametrize(
    ("dropped", "used", "status"), [(6, 60, "pass"), (6, 80, "warn"), (5, 80, "pass"), (None, 80, "pass")]
)
def test_dropped_tables_matter_on_a_disk_that_fills(dropped: float | None, used: float, status: str) -> None:
    size = None if dropped is None else dropped * GIB
    replica = server(disks=disks(used), dropped=[{"tables": 1, "bytes": size}])
    assert only(disk.dropped_tables(replica, CONTEXT)).status == status


@pytest.mark.parametrize(
    ("first", "second", "status"), [(0.3, 0.05, "pass"), (0.3, 0.11, "warn"), (0.3, 0.26, "fail"), (0.1, 0.1, "pass")]
)
def test_waiting_for_the_disk_has_to_last(first: float, second: float, status: str) -> None:
    replica = server({"io_wait": [{"value": second}]}, io_wait=[{"value": first}])
    assert only(disk.io_pressure(replica, CONTEXT)).status == status


def test_what_nobody_answered_is_unknown() -> None:
    rules = [rule for rule in disk.REPLICA_RULES if rule is not disk.disk_size]
    assert {only(rule(server(), CONTEXT)).status for rule in rules} == {"unknown"}
