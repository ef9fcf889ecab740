# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse import sizing
from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.facts import (
    GIB,
    Environment,
    Live,
    Plan,
    Refused,
    Rows,
    Volume,
    version_of,
)
from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.live_rules import LIVE_RULES
from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.plan_rules import PLAN_RULES
from ansible_collections.langsmith.aws.plugins.module_utils.domain.finding import Finding

GP3 = Volume("gp3", 500, 7000, 1000)
HEALTHY = Plan("replicated", 3, 8, 32, GP3, True, "25.12.3.1")
DEV = Plan("single", 1, 4, 16, Volume("gp3", 100), True, "25.12")


def cluster(name: str = "replicated", replicas: int = 3, shards: int = 1) -> list[dict[str, Any]]:
    return [
        {"cluster": name, "shard_num": shard, "replica_num": replica, "host_name": f"host-{shard}-{replica}"}
        for shard in range(1, shards + 1)
        for replica in range(1, replicas + 1)
    ]


def disk(used: float = 0.2, gib: int = 500, name: str = "default") -> dict[str, Any]:
    free = int(gib * GIB * (1 - used))
    return {"name": name, "type": "Local", "path": "/data/", "total_space": gib * GIB, "unreserved_space": str(free)}


ANSWERS: dict[str, Rows | Refused] = {
    "version": [{"version": "25.12.3.1"}],
    "clusters": cluster(),
    "memory_limit": [{"value": str(int(0.9 * 32 * GIB))}],
    "memory_total": Refused(60, "Unknown table"),
    "threads": [{"value": "auto(8)"}],
    "disks": [disk()],
}


def server(**changed: Any) -> Live:
    """A healthy server, whose answers are changed."""
    return Live("clickhouse:8123", "langsmith", "replicated", {**ANSWERS, **changed})


def statuses(found: list[Finding]) -> dict[str, str]:
    return {finding.id.removeprefix("clickhouse."): finding.status for finding in found}


def of_plan(plan: Plan, environment: Environment = "production") -> dict[str, str]:
    return statuses(sizing.judge(environment, plan, None))


def of_server(live: Live, environment: Environment = "production", plan: Plan | None = None) -> dict[str, str]:
    return statuses([f for f in sizing.judge(environment, plan, live) if not f.subject.startswith("plan.volume")])


def test_the_reference_architecture_passes_every_plan_rule() -> None:
    assert of_plan(HEALTHY) == dict.fromkeys((rule.__name__ for rule in PLAN_RULES), "pass")
    assert sizing.sufficient(sizing.judge("production", HEALTHY, None))


BROKEN: list[tuple[str, dict[str, Any], str]] = [
    ("topology", {"topology": "single", "replicas": 1}, "fail"),
    ("replicas", {"replicas": 2}, "fail"),
    ("replicas", {"replicas": 6}, "warn"),
    ("replicas", {"replicas": None}, "unknown"),
    ("replicas", {"topology": "single", "replicas": 3}, "fail"),
    ("cpu", {"cpu": 7.5}, "fail"),
    ("cpu", {"cpu": None}, "unknown"),
    ("memory", {"memory_gib": 31}, "warn"),  # 33.3 GB, which the source's 32 GB allow
    ("memory", {"memory_gib": 29}, "fail"),
    ("memory", {"memory_gib": None}, "unknown"),
    ("volume_type", {"volume": replace(GP3, type="st1")}, "fail"),
    ("volume_type", {"volume": replace(GP3, type="gp2")}, "fail"),
    ("volume_type", {"volume": replace(GP3, type="nfs")}, "unknown"),
    ("volume_type", {"volume": Volume()}, "unknown"),
    ("volume_limits", {"volume": Volume("gp3", 10, 7000, 1000)}, "fail"),  # 700 IOPS per GiB
    ("volume_limits", {"volume": Volume("gp3", 500, 3000, 1000)}, "fail"),  # needs 4000 IOPS
    ("volume_limits", {"volume": Volume("gp3", 500, 90000, 1000)}, "fail"),
    ("volume_limits", {"volume": Volume("gp3", 500, 7000, 3000)}, "fail"),
    ("volume_limits", {"volume": Volume("io2", 500, 7000, 1000)}, "fail"),  # throughput is not settable
    ("iops", {"volume": replace(GP3, iops=6999)}, "warn"),
    ("iops", {"volume": replace(GP3, iops=5599)}, "fail"),
    ("iops", {"volume": Volume("gp3", 500)}, "fail"),
    ("iops", {"volume": Volume("io2", 500)}, "unknown"),
    ("throughput", {"volume": replace(GP3, throughput_mib_s=900)}, "warn"),
    ("throughput", {"volume": replace(GP3, throughput_mib_s=None)}, "fail"),  # 125 MiB/s
    ("throughput", {"volume": Volume("io1", 500, 7000)}, "fail"),  # 500 MiB/s
    ("throughput", {"volume": Volume("io2", 500)}, "unknown"),
    ("persistence", {"persistence": False}, "fail"),
    ("persistence", {"persistence": None}, "unknown"),
    ("version", {"version": "24.8"}, "warn"),
    ("version", {"version": "23.8.2"}, "fail"),
    ("version", {"version": "latest"}, "unknown"),
    ("version", {"version": None}, "unknown"),
]


@pytest.mark.parametrize(("rule", "change", "status"), BROKEN)
def test_a_broken_plan_is_told_by_its_rule_with_a_remedy(rule: str, change: dict[str, Any], status: str) -> None:
    findings = sizing.judge("production", replace(HEALTHY, **change), None)
    (found,) = [finding for finding in findings if finding.id == f"clickhouse.{rule}"]
    assert found.status == status, found
    assert "plan." in found.subject
    assert found.remedy
    assert found.source
    assert sizing.sufficient(findings) is (statuses(findings) == {**of_plan(HEALTHY), rule: "warn"})


def test_every_plan_rule_has_a_broken_plan() -> None:
    assert {broken[0] for broken in BROKEN} == {rule.__name__ for rule in PLAN_RULES}


@pytest.mark.parametrize("volume", [Volume("io2", 500, 7000), Volume("io2", 100, 4000), Volume("io1", 4000, 64000)])
def test_the_throughput_of_provisioned_iops_follows_from_the_iops(volume: Volume) -> None:
    assert of_plan(replace(HEALTHY, volume=volume))["throughput"] == "pass"


def test_a_single_node_suffices_for_dev_with_a_warning_and_never_for_production() -> None:
    findings = sizing.judge("dev", DEV, None)
    assert statuses(findings)["topology"] == "warn"
    assert sizing.sufficient(findings)
    assert not sizing.sufficient(sizing.judge("production", DEV, None))


def test_dev_is_warned_below_4_vcpu_and_16_gb() -> None:
    told = of_plan(replace(DEV, cpu=2, memory_gib=8), "dev")
    assert (told["cpu"], told["memory"]) == ("warn", "warn")
    told = of_plan(DEV, "dev")
    assert (told["cpu"], told["memory"], told["iops"], told["throughput"]) == ("pass",) * 4


def test_a_plan_for_dev_without_persistence_is_a_warning() -> None:
    assert of_plan(replace(DEV, persistence=False), "dev")["persistence"] == "warn"


def test_langchains_replicated_example_does_not_suffice() -> None:
    example = Plan("replicated", 3, 3, 12, Volume("gp3", 200), True, "24.8")
    told = of_plan(example)
    assert {rule for rule, status in told.items() if status == "fail"} == {"cpu", "memory", "iops", "throughput"}
    assert told["version"] == "warn"


def test_the_charts_own_clickhouse_does_not_suffice_for_production() -> None:
    bundled = Plan("single", 1, 3.5, 12, Volume("gp3", 50), True, "25.12")
    assert {rule for rule, status in of_plan(bundled).items() if status == "fail"} >= {"topology", "replicas", "cpu"}


def test_what_langchain_manages_is_not_asked_of_the_operator() -> None:
    findings = sizing.judge("production", Plan("managed"), None)
    assert statuses(findings) == {"topology": "pass"}
    assert sizing.sufficient(findings)


def test_a_healthy_server_passes_every_live_rule() -> None:
    findings = sizing.judge("production", None, server())
    assert statuses(findings) == dict.fromkeys(
        ("connection", "live_version", "live_replicas", "live_cpu", "live_memory", "disk_fill"), "pass"
    )
    assert sizing.sufficient(findings)


LIVE_BROKEN: list[tuple[str, dict[str, Any], str]] = [
    ("live_version", {"version": [{"version": "24.8.1"}]}, "warn"),
    ("live_version", {"version": [{"version": "23.3.1"}]}, "fail"),
    ("live_replicas", {"clusters": cluster(replicas=2)}, "fail"),
    ("live_replicas", {"clusters": cluster(replicas=6)}, "warn"),
    ("live_replicas", {"clusters": cluster("other")}, "fail"),
    ("live_replicas", {"clusters": []}, "fail"),
    ("live_shards", {"clusters": cluster(shards=2)}, "fail"),
    ("live_cpu", {"threads": [{"value": "auto(4)"}]}, "fail"),
    ("live_cpu", {"threads": [{"value": "16"}]}, "unknown"),
    ("live_memory", {"memory_limit": [{"value": str(8 * GIB)}]}, "fail"),
    ("live_memory", {"memory_limit": [{"value": "0"}]}, "unknown"),
    ("disk_fill", {"disks": [disk(0.75)]}, "warn"),
    ("disk_fill", {"disks": [disk(0.9)]}, "fail"),
]


@pytest.mark.parametrize(("rule", "change", "status"), LIVE_BROKEN)
def test_a_sick_server_is_told_by_its_rule_with_a_remedy(
    rule: str, change: Mapping[str, Rows | Refused], status: str
) -> None:
    findings = sizing.judge("production", None, server(**change))
    (found,) = [finding for finding in findings if finding.id == f"clickhouse.{rule}"]
    assert found.status == status, found
    assert found.subject == "clickhouse:8123"
    assert found.remedy
    assert sizing.sufficient(findings) is (status == "warn")


def test_memory_without_a_limit_is_that_of_the_container() -> None:
    total: Rows = [{"metric": "CGroupMemoryTotal", "value": 32 * GIB}, {"metric": "OSMemoryTotal", "value": 64 * GIB}]
    assert of_server(server(memory_limit=[{"value": "0"}], memory_total=total))["live_memory"] == "pass"
    small: Rows = [{"metric": "CGroupMemoryTotal", "value": 16 * GIB}, {"metric": "OSMemoryTotal", "value": 64 * GIB}]
    assert of_server(server(memory_limit=[{"value": "0"}], memory_total=small))["live_memory"] == "fail"


@pytest.mark.parametrize(
    ("query", "rule", "table"),
    [
        ("clusters", "live_replicas", "system.clusters"),
        ("memory_limit", "live_memory", "system.server_settings"),
        ("threads", "live_cpu", "system.settings"),
        ("disks", "disk_fill", "system.disks"),
    ],
)
@pytest.mark.parametrize("environment", ["dev", "production"])
def test_a_missing_grant_is_unknown_with_the_statement_that_gives_it(
    query: str, rule: str, table: str, environment: Environment
) -> None:
    findings = sizing.judge(environment, None, server(**{query: Refused(497, "Not enough privileges")}))
    (found,) = [finding for finding in findings if finding.id == f"clickhouse.{rule}"]
    assert found.status == "unknown"
    assert f"GRANT SELECT ON {table} TO `langsmith`" in found.remedy
    assert not sizing.sufficient(findings)


@pytest.mark.parametrize("rule", LIVE_RULES)
@pytest.mark.parametrize("environment", ["dev", "production"])
def test_no_live_rule_passes_without_an_answer(rule: Any, environment: Environment) -> None:
    silent = Live("clickhouse:8123", "langsmith", "replicated", {})
    found = list(rule(silent, environment, HEALTHY))
    assert [finding.status for finding in found] == ["unknown"]


def test_a_server_that_cannot_be_reached_is_one_failure() -> None:
    gone = Live("clickhouse:8123", "langsmith", unreachable="tcp: nothing listens there")
    assert statuses(sizing.judge("dev", None, gone)) == {"connection": "fail"}


def test_a_wrong_password_is_one_failure() -> None:
    refused = Refused(516, "Authentication failed")
    locked = server(**dict.fromkeys(ANSWERS, refused))
    assert statuses(sizing.judge("production", None, locked)) == {"connection": "fail"}


def test_one_server_by_itself_suffices_for_dev_only() -> None:
    alone = replace(server(clusters=cluster("default", replicas=1)), cluster=None)
    assert of_server(alone, "dev")["live_replicas"] == "warn"
    assert of_server(alone)["live_replicas"] == "fail"


def test_more_planned_replicas_than_run_are_told() -> None:
    assert of_server(server(), plan=replace(HEALTHY, replicas=5))["live_replicas"] == "fail"


def test_a_plan_older_than_what_runs_is_a_downgrade() -> None:
    assert of_server(server(), plan=replace(HEALTHY, version="25.8"))["downgrade"] == "fail"
    assert "downgrade" not in of_server(server(), plan=replace(HEALTHY, version="25.12"))


def test_a_disk_that_is_not_the_planned_volume_is_told() -> None:
    assert of_server(server(), plan=HEALTHY)["disk_size"] == "pass"
    assert of_server(server(disks=[disk(gib=80)]), plan=HEALTHY)["disk_size"] == "fail"
    assert of_server(server(disks=[disk(gib=80)]), "dev", plan=HEALTHY)["disk_size"] == "warn"


def test_what_the_server_tells_need_not_be_planned() -> None:
    findings = sizing.judge("production", Plan("external", volume=GP3, persistence=True), server())
    assert sizing.sufficient(findings), [finding for finding in findings if finding.status != "pass"]
    blind = server(threads=Refused(497, "Not enough privileges"))
    assert of_server(blind, plan=Plan("external"))["cpu"] == "unknown"


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("25.12", (25, 12)),
        ("25.12.3.1-stable", (25, 12, 3, 1)),
        ("v26.7.2.1", (26, 7, 2, 1)),
        ("head", None),
        ("", None),
    ],
)
def test_a_version_is_its_leading_numbers(text: str, numbers: tuple[int, ...] | None) -> None:
    assert version_of(text) == numbers
