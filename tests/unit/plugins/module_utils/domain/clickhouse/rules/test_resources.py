# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a server has, may use and uses."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.facts import (
    GIB,
    IDENTITY,
    Context,
    Environment,
    Plan,
    Refused,
    Replica,
    Rows,
)
from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.rules import resources
from ansible_collections.langsmith.aws.plugins.module_utils.domain.finding import Finding

CONTEXT = Context("production", "reader")
LIMIT = "max_server_memory_usage"


def server(later: dict[str, Rows | Refused] | None = None, /, **answers: Any) -> Replica:
    return Replica("chi-0:8123", answers, later or {}, 3.0)


def named(**values: float | None) -> list[dict[str, Any]]:
    return [{"name": name, "value": value} for name, value in values.items()]


def only(found: Any) -> Finding:
    (one,) = found
    assert isinstance(one, Finding)
    return one


CORES = [
    ("production", "auto(8)", "pass"),
    ("production", "'auto(16)'", "pass"),
    ("production", "auto(7)", "fail"),
    ("dev", "auto(4)", "pass"),
    ("dev", "auto(2)", "warn"),
    ("production", "4", "unknown"),
    ("production", "auto(" + "9" * 500 + ")", "unknown"),
]


@pytest.mark.parametrize(("environment", "threads", "status"), CORES)
def test_cores_are_what_the_server_counted(environment: Environment, threads: str, status: str) -> None:
    found = only(resources.cpu(server(threads=[{"value": threads}]), replace(CONTEXT, environment=environment)))
    assert found.status == status
    assert len(found.observed) < 120


RATIO = LIMIT + "_to_ram_ratio"
MEMORY = [
    # The role's own: 32 GiB, of which the server takes 0.85.
    ("production", named(**{LIMIT: 0.85 * 32 * GIB, RATIO: 0.85}), named(CGroupMaxMemory=32 * GIB), "pass"),
    ("production", named(**{LIMIT: 0.85 * 32 * GIB, RATIO: 0.85}), [], "pass"),
    ("production", named(**{LIMIT: 0.9 * 32e9}), named(CGroupMaxMemory=32e9), "warn"),
    ("production", named(**{LIMIT: 2e9}), named(CGroupMaxMemory=32 * GIB), "pass"),
    ("production", named(**{LIMIT: 0.9 * 32 * GIB}), named(CGroupMaxMemory=16 * GIB), "fail"),
    ("production", named(**{LIMIT: 0.9 * 32 * GIB}), [], "pass"),
    ("production", named(**{LIMIT: 0.9 * 30 * GIB}), [], "warn"),
    ("production", named(**{LIMIT: 0.9 * 16 * GIB}), [], "fail"),
    ("dev", named(**{LIMIT: 0.9 * 16 * GIB}), [], "pass"),
    ("dev", named(**{LIMIT: 2e9}), [], "warn"),
    ("production", named(**{LIMIT: 0}), named(OSMemoryTotal=64 * GIB, CGroupMaxMemory=32 * GIB), "pass"),
    ("production", named(**{LIMIT: 0}), named(OSMemoryTotal=64 * GIB, CGroupMaxMemory=2.0**63), "pass"),
    ("production", named(**{LIMIT: 0, RATIO: 0.5}), named(OSMemoryTotal=32 * GIB), "pass"),
    ("production", named(**{LIMIT: None}), Refused(497, "no"), "unknown"),
    ("production", Refused(497, "no"), Refused(60, "no"), "unknown"),
]


@pytest.mark.parametrize(("environment", "limit", "total", "status"), MEMORY)
def test_memory_is_what_the_container_has_or_what_the_server_s_limit_tells_of_it(
    environment: Environment, limit: Any, total: Any, status: str
) -> None:
    replica = server(memory_limit=limit, memory_total=total)
    assert only(resources.memory(replica, replace(CONTEXT, environment=environment))).status == status


def test_memory_that_may_not_be_read_asks_for_the_grant() -> None:
    found = only(resources.memory(server(memory_limit=Refused(497, "no"), memory_total=Refused(60, "no")), CONTEXT))
    assert found.remedy.endswith("GRANT SELECT ON system.server_settings TO `reader`")


ROLE = Path(__file__).parents[7] / "roles/datastores/vars/main.yml"


def test_the_servers_of_the_role_have_as_much_as_they_should() -> None:
    role = yaml.safe_load(ROLE.read_text(encoding="utf-8"))
    share = float(role["__datastores_clickhouse_settings"]["max_server_memory_usage_to_ram_ratio"])
    limits = named(**{LIMIT: share * 32 * GIB, RATIO: share})
    replica = server(memory_limit=limits, memory_total=named(CGroupMaxMemory=32 * GIB))
    found = [*resources.memory(replica, CONTEXT), *resources.memory_limit(replica, CONTEXT)]
    assert [(one.id, one.status) for one in found] == [
        ("clickhouse.memory", "pass"),
        ("clickhouse.memory_limit", "pass"),
    ]
    assert found[0].observed == "32.0 GiB"


SHARES = [(0.9, "pass"), (0.904, "pass"), (0.7, "pass"), (0.91, "fail"), (1.2, "fail"), (0.69, "warn")]


@pytest.mark.parametrize(("share", "status"), SHARES)
@pytest.mark.parametrize("planned", [True, False])
def test_the_servers_limit_leaves_room_for_the_kernel(share: float, status: str, planned: bool) -> None:
    context = replace(CONTEXT, plan=Plan("replicated", memory_limit_gib=32 if planned else None))
    total = Refused(60, "no") if planned else named(OSMemoryTotal=128 * GIB, CGroupMaxMemory=32 * GIB)
    replica = server(memory_limit=named(**{LIMIT: share * 32 * GIB}), memory_total=total)
    found = only(resources.memory_limit(replica, context))
    assert found.status == status
    assert ("plan.memory_limit_gib" in found.observed) == planned


def test_a_limit_with_nothing_to_hold_it_against_is_unknown() -> None:
    replica = server(memory_limit=named(**{LIMIT: GIB}), memory_total=Refused(60, "no"))
    assert only(resources.memory_limit(replica, CONTEXT)).status == "unknown"


@pytest.mark.parametrize(("used", "status"), [(0.5, "pass"), (0.85, "warn"), (0.95, "fail")])
@pytest.mark.parametrize("where", ["first", "later", "resident"])
def test_memory_in_use_is_the_most_that_was_seen(used: float, status: str, where: str) -> None:
    seen, low = named(MemoryTracking=used * 10 * GIB), named(MemoryTracking=GIB)
    replica = server(
        {"memory_tracked": seen if where == "later" else low},
        memory_limit=named(**{LIMIT: 10 * GIB}),
        memory_tracked=seen if where == "first" else low,
        memory_resident=named(MemoryResident=used * 10 * GIB) if where == "resident" else Refused(60, "no"),
    )
    assert only(resources.memory_pressure(replica, CONTEXT)).status == status


@pytest.mark.parametrize("missing", ["memory_limit", "memory_tracked"])
def test_memory_in_use_that_is_not_told_is_unknown(missing: str) -> None:
    answers = {"memory_limit": named(**{LIMIT: GIB}), "memory_tracked": named(MemoryTracking=1)}
    assert (
        only(resources.memory_pressure(server(**{**answers, missing: Refused(497, "no")}), CONTEXT)).status == "unknown"
    )


def refusals(count: int, ago: int | None) -> list[dict[str, Any]]:
    return [{"name": "MEMORY_LIMIT_EXCEEDED", "refused": count, "ago": ago}]


REFUSED = [
    (refusals(0, None), refusals(0, None), "pass"),
    (refusals(5, 90000), refusals(5, 90003), "pass"),
    (refusals(5, 60), refusals(5, 63), "warn"),
    (refusals(5, 90000), refusals(7, 1), "warn"),
    (Refused(497, "no"), Refused(497, "no"), "unknown"),
]


@pytest.mark.parametrize(("first", "second", "status"), REFUSED)
def test_queries_refused_for_want_of_memory_are_told_while_they_are_news(first: Any, second: Any, status: str) -> None:
    found = only(resources.memory_refusals(server({"memory_errors": second}, memory_errors=first), CONTEXT))
    assert found.status == status
    assert ("2 of them within 3.0 s" in found.observed) == (second == refusals(7, 1))


RESTARTS = [
    (9000, [{"parts": 7}], "pass"),
    (30, [{"parts": 7}], "warn"),
    (30, [{"parts": 0}], "pass"),
    (30, Refused(497, "no"), "unknown"),
]


@pytest.mark.parametrize(("uptime", "older", "status"), RESTARTS)
def test_a_server_with_data_that_just_started_was_stopped(uptime: int, older: Any, status: str) -> None:
    replica = server(**{IDENTITY: [{"uptime": uptime}], "older_parts": older})
    assert only(resources.restart(replica, CONTEXT)).status == status


def test_a_server_that_does_not_tell_since_when_it_runs_is_not_judged_by_it() -> None:
    assert list(resources.restart(server(), CONTEXT)) == []
