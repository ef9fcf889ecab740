# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse import sizing
from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.facts import (
    Environment,
    Keeper,
    Load,
    Plan,
    Volume,
)
from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.plan_rules import PLAN_RULES, judge_plan
from ansible_collections.langsmith.aws.plugins.module_utils.domain.finding import Finding

from tests.unit.plugins.module_utils.domain.clickhouse.plans import DEV, GP3, HEALTHY

RULES = [rule.__name__ for rule in PLAN_RULES]


def statuses(found: list[Finding]) -> dict[str, str]:
    return {finding.id.removeprefix("clickhouse."): finding.status for finding in found}


def of_plan(plan: Plan, environment: Environment = "production") -> dict[str, str]:
    return statuses(judge_plan(plan, environment))


def failing(plan: Plan) -> set[str]:
    return {rule for rule, status in of_plan(plan).items() if status == "fail"}


def test_the_reference_architecture_passes_every_rule() -> None:
    assert of_plan(HEALTHY) == dict.fromkeys(RULES, "pass")
    assert sizing.sufficient(judge_plan(HEALTHY, "production"))


#: Rule, what is changed in the healthy plan, its status in production and in dev (None: no finding).
BROKEN: list[tuple[str, dict[str, Any], str, str | None]] = [
    ("topology", {"topology": "single", "replicas": 1}, "fail", "warn"),
    ("replicas", {"replicas": 2}, "fail", "warn"),
    ("replicas", {"replicas": 6}, "warn", "warn"),
    ("replicas", {"replicas": None}, "unknown", "warn"),
    ("replicas", {"topology": "single", "replicas": 3}, "fail", "fail"),
    ("replicas", {"load": Load(10, 60, 14)}, "warn", "pass"),  # more readers than the scaling page has
    ("shards", {"shards": 2}, "fail", "fail"),
    ("keeper", {"keeper": None}, "unknown", None),
    ("keeper", {"keeper": Keeper(1, 1, True)}, "fail", "warn"),
    ("keeper", {"keeper": Keeper(2, 2, True)}, "fail", "warn"),
    ("keeper", {"keeper": Keeper(4, 3, True)}, "warn", "warn"),
    ("keeper", {"keeper": Keeper(3, 1, True)}, "warn", "warn"),
    ("keeper", {"keeper": Keeper(3, 3, False)}, "fail", "warn"),
    ("keeper", {"keeper": Keeper(3)}, "unknown", "pass"),
    ("spread", {"zones": 1}, "warn", "warn"),
    ("spread", {"zones": 2}, "warn", "warn"),
    ("spread", {"anti_affinity": False}, "fail", "warn"),
    ("spread", {"anti_affinity": None}, "unknown", None),
    ("spread", {"zones": None}, "unknown", None),
    ("disruption_budget", {"pod_disruption_budget": False}, "warn", "warn"),
    ("disruption_budget", {"pod_disruption_budget": None}, "unknown", None),
    ("cpu", {"cpu": 7.5}, "fail", "pass"),
    ("cpu", {"cpu": None}, "unknown", "warn"),
    ("cpu", {"cpu": float("nan")}, "fail", "warn"),
    ("cpu", {"load": Load(100, 20, 7)}, "warn", "pass"),  # 16 vCPU by the scaling page
    ("memory", {"memory_gib": 31}, "warn", "pass"),  # 33.3 GB, which the source's 32 GB allow
    ("memory", {"memory_gib": 29}, "fail", "pass"),
    ("memory", {"memory_gib": 8}, "fail", "warn"),
    ("memory", {"memory_gib": None}, "unknown", "warn"),
    ("cpu_limit", {"cpu_limit": 4}, "fail", "fail"),
    ("schedulable", {"instance_types": ("m6i.2xlarge",)}, "fail", "fail"),
    ("schedulable", {"instance_types": ("m6i.4xlarge",), "cpu": 15.6}, "warn", "warn"),  # no room for DaemonSets
    ("schedulable", {"instance_types": ("mac2.metal",)}, "unknown", "warn"),
    ("schedulable", {"instance_types": ()}, "unknown", None),
    ("memory_limit", {"memory_limit_gib": 16}, "fail", "fail"),
    ("memory_limit", {"memory_limit_gib": 64}, "warn", "warn"),  # more than the node leaves to pods
    ("memory_limit", {"memory_limit_gib": None}, "unknown", None),
    ("concurrency_limit", {"max_concurrent_queries": 0}, "warn", "warn"),
    ("concurrency_limit", {"max_concurrent_queries": 99}, "warn", "warn"),
    ("concurrency_limit", {"max_concurrent_queries": None}, "unknown", None),
    ("volume_type", {"volume": replace(GP3, type="st1")}, "fail", "warn"),
    ("volume_type", {"volume": replace(GP3, type="gp2")}, "fail", "pass"),
    ("volume_type", {"volume": replace(GP3, type="nfs")}, "unknown", "unknown"),
    ("volume_type", {"volume": Volume(size_gib=500)}, "unknown", "warn"),
    ("volume_limits", {"volume": Volume("gp3", 10, 7000, 1000)}, "fail", "fail"),  # 700 IOPS per GiB
    ("volume_limits", {"volume": Volume("gp3", 500, 3000, 1000)}, "fail", "fail"),  # needs 4000 IOPS
    ("volume_limits", {"volume": Volume("gp3", 500, 90000, 1000)}, "fail", "fail"),
    ("volume_limits", {"volume": Volume("gp3", 500, 7000, 3000)}, "fail", "fail"),
    ("volume_limits", {"volume": Volume("gp3", 70000, 7000, 1000)}, "fail", "fail"),
    ("volume_limits", {"volume": Volume("io2", 500, 7000, 1000)}, "fail", "fail"),  # throughput is not settable
    ("iops", {"volume": replace(GP3, iops=6999)}, "warn", "pass"),
    ("iops", {"volume": replace(GP3, iops=5599)}, "fail", "pass"),
    ("iops", {"volume": Volume("gp3", 500)}, "fail", "pass"),
    ("iops", {"volume": Volume("io2", 500)}, "unknown", None),
    ("throughput", {"volume": replace(GP3, throughput_mib_s=900)}, "warn", "pass"),
    ("throughput", {"volume": replace(GP3, throughput_mib_s=None)}, "fail", "pass"),  # 125 MiB/s
    ("throughput", {"volume": Volume("io1", 500, 7000)}, "fail", "pass"),  # 500 MiB/s
    ("throughput", {"volume": Volume("io2", 500)}, "unknown", None),
    ("instance_io", {"instance_types": ("m6i.4xlarge",)}, "warn", "warn"),  # 596 MiB/s, 1192 in bursts
    ("instance_io", {"instance_types": ("m6i.2xlarge",)}, "warn", "warn"),
    ("instance_io", {"instance_types": ("m5.2xlarge",)}, "fail", "warn"),  # 566 MiB/s even in bursts
    ("instance_io", {"instance_types": ("m6in.2xlarge",)}, "warn", "warn"),
    ("disk_need", {"volume": replace(GP3, size_gib=100)}, "fail", "warn"),  # 109.2 GiB
    ("disk_need", {"volume": replace(GP3, size_gib=None)}, "unknown", "warn"),
    ("disk_need", {"load": Load(10, 5, 90)}, "fail", "warn"),
    ("persistence", {"persistence": False}, "fail", "warn"),
    ("persistence", {"persistence": None}, "unknown", "warn"),
    ("volume_expansion", {"allow_volume_expansion": False}, "warn", "warn"),
    ("volume_expansion", {"allow_volume_expansion": None}, "unknown", None),
    ("reclaim_policy", {"reclaim_policy": "Delete"}, "warn", "pass"),
    ("reclaim_policy", {"reclaim_policy": None}, "unknown", None),
    ("version", {"version": "25.8"}, "warn", "warn"),
    ("version", {"version": "24.8"}, "fail", "warn"),
    ("version", {"version": "23.8.2"}, "fail", "fail"),
    ("version", {"version": "latest"}, "unknown", "unknown"),
    ("version", {"version": None}, "unknown", "warn"),
    ("downgrade", {"version": "25.12", "running_version": "26.2.1"}, "fail", "fail"),
    ("ttl", {"ttl_days": 0}, "warn", "warn"),
    ("blob_storage", {"blob_storage": False}, "fail", "pass"),
    ("blob_storage", {"blob_storage": None}, "unknown", None),
]


@pytest.mark.parametrize(("rule", "change", "production", "dev"), BROKEN)
def test_a_broken_plan_is_told_by_its_rule_with_a_remedy(
    rule: str, change: dict[str, Any], production: str, dev: str | None
) -> None:
    plan = replace(HEALTHY, **change)
    (found,) = [finding for finding in judge_plan(plan, "production") if finding.id == f"clickhouse.{rule}"]
    assert found.status == production, found
    assert found.subject.startswith("plan.")
    assert found.source
    assert found.remedy
    assert of_plan(plan, "dev").get(rule) == dev


def test_every_rule_has_a_broken_plan() -> None:
    assert {broken[0] for broken in BROKEN} == set(RULES)


@pytest.mark.parametrize("volume", [Volume("io2", 500, 7000), Volume("io2", 500, 64000), Volume("io1", 4000, 64000)])
def test_the_throughput_of_provisioned_iops_follows_from_the_iops(volume: Volume) -> None:
    assert of_plan(replace(HEALTHY, volume=volume))["throughput"] == "pass"


def test_an_instance_that_only_bursts_is_told_with_the_figures_and_the_types_that_could() -> None:
    found = judge_plan(replace(HEALTHY, instance_types=("m6i.2xlarge",)), "production")
    (told,) = [finding for finding in found if finding.id == "clickhouse.instance_io"]
    assert "the volume can do 1000 MiB/s" in told.observed
    assert "m6i.2xlarge sustains 298 MiB/s" in told.observed
    assert "m6in.4xlarge" in told.remedy
    assert "mac" not in told.remedy


def test_a_slower_volume_asks_no_more_of_the_instance_than_it_gives() -> None:
    modest = replace(HEALTHY, instance_types=("m6i.4xlarge",), volume=Volume("gp3", 500))
    assert of_plan(modest)["instance_io"] == "pass"


def test_a_pod_that_does_not_fit_is_told_with_types_on_which_it_does() -> None:
    found = judge_plan(replace(HEALTHY, instance_types=("m6i.2xlarge",)), "production")
    (told,) = [finding for finding in found if finding.id == "clickhouse.schedulable"]
    assert told.observed == "m6i.2xlarge leaves pods 7.91 vCPU and 31.0 GiB"
    assert "4xlarge" in told.remedy


def test_a_volume_that_is_too_small_is_told_with_the_arithmetic() -> None:
    found = judge_plan(replace(HEALTHY, volume=replace(GP3, size_gib=100), load=Load(100, 5, 7)), "production")
    (told,) = [finding for finding in found if finding.id == "clickhouse.disk_need"]
    assert told.expected == "at least 546 GiB: 0.6 GiB x 100 traces/s x 7 days x 1.3"
    assert told.observed == "100 GiB, full after 1.7 days"


@pytest.mark.parametrize(("gib", "status"), [(2300, "fail"), (2400, "warn"), (60000, "warn")])
def test_traces_that_never_expire_fill_a_volume_of_any_size(gib: int, status: str) -> None:
    plan = replace(HEALTHY, volume=replace(GP3, size_gib=gib), load=Load(100, 5), ttl_days=0)
    (told,) = [finding for finding in judge_plan(plan, "production") if finding.id == "clickhouse.disk_need"]
    assert told.status == status
    assert told.observed.startswith(f"{gib} GiB, full after {gib / 60:.1f} days")
    assert "30 days x 1.3 (plan.load.horizon_days, as traces never expire)" in told.expected
    assert of_plan(replace(plan, load=Load(100, 5, 7)))["disk_need"] == "pass"


def test_langchains_replicated_example_does_not_suffice() -> None:
    """examples/replicated-clickhouse of the langsmith chart, its volumes of the default class taken for gp3."""
    example = Plan(
        "replicated",
        replicas=3,
        cpu=3,
        memory_gib=12,
        cpu_limit=8,
        memory_limit_gib=24,
        volume=Volume("gp3", 200),
        persistence=True,
        version="24.8",
        keeper=Keeper(3, None, True),
    )
    assert failing(example) == {"version", "cpu", "memory", "iops", "throughput"}
    assert failing(replace(example, volume=Volume(size_gib=200))) == {"version", "cpu", "memory"}
    assert of_plan(replace(example, volume=Volume(size_gib=200)))["iops"] == "unknown"


def test_the_charts_own_clickhouse_does_not_suffice_for_production() -> None:
    bundled = Plan("single", cpu=3.5, memory_gib=12, volume=Volume("gp3", 50), persistence=True, version="25.12")
    assert failing(bundled) == {"topology", "replicas", "cpu", "memory", "iops", "throughput"}
    assert sizing.sufficient(judge_plan(bundled, "dev"))


def test_a_single_node_suffices_for_dev_with_a_warning_and_never_for_production() -> None:
    assert of_plan(DEV, "dev")["topology"] == "warn"
    assert sizing.sufficient(judge_plan(DEV, "dev"))
    assert not sizing.sufficient(judge_plan(DEV, "production"))


def test_dev_is_warned_below_4_vcpu_and_16_gb_and_asked_for_no_iops() -> None:
    told = of_plan(replace(DEV, cpu=2, memory_gib=8), "dev")
    assert (told["cpu"], told["memory"], told["iops"], told["throughput"]) == ("warn", "warn", "pass", "pass")


def test_what_langchain_manages_is_not_asked_of_the_operator_but_the_blob_storage_of_his_own_account_counts() -> None:
    assert of_plan(Plan("managed")) == {"topology": "pass"}
    assert of_plan(Plan("managed", blob_storage=False))["blob_storage"] == "fail"


def test_of_an_external_server_no_nodes_and_no_classes_are_asked() -> None:
    told = of_plan(Plan("external"))
    assert not {"schedulable", "keeper", "spread", "disruption_budget", "reclaim_policy", "memory_limit"} & set(told)
    assert of_plan(Plan("external", zones=1))["spread"] == "warn"


@pytest.mark.parametrize("environment", ["production", "dev"])
def test_what_only_an_external_server_knows_of_itself_is_not_asked_of_the_operator(environment: Environment) -> None:
    plan = Plan("external", blob_storage=True, load=Load(100, 20, 14))
    assert of_plan(plan, environment) == {"topology": "pass", "blob_storage": "pass"}
    assert sizing.sufficient(judge_plan(plan, environment))


def test_what_the_operator_does_say_of_an_external_server_is_judged_and_so_is_his_own_bucket() -> None:
    small = Plan(
        "external", replicas=1, cpu=2, memory_gib=8, volume=Volume("gp2", 10), persistence=False, version="23.8"
    )
    told = of_plan(replace(small, load=Load(100, 20, 14)))
    judged = {"replicas", "cpu", "memory", "volume_type", "disk_need", "persistence", "version"}
    assert {told[rule] for rule in judged} == {"fail"}
    assert told["blob_storage"] == "unknown"


def test_what_a_server_told_need_not_be_planned_and_what_it_did_not_tell_is_still_asked_for() -> None:
    told = Finding("clickhouse.cpu", "fail", "clickhouse", "clickhouse:8123", "4 vCPU", "8 vCPU", "more")
    silent = Finding("clickhouse.memory", "unknown", "clickhouse", "clickhouse:8123", "no answer", "32 GiB", "grant")
    found = statuses(judge_plan(Plan("replicated"), "production", [told, silent]))
    assert "cpu" not in found
    assert found["memory"] == "unknown"


def test_what_a_server_told_does_not_hide_what_is_planned() -> None:
    told = Finding("clickhouse.cpu", "pass", "clickhouse", "clickhouse:8123", "8 vCPU", "8 vCPU")
    assert statuses(judge_plan(Plan("external", cpu=2), "production", [told]))["cpu"] == "fail"


@pytest.mark.parametrize("order", [1, -1])
def test_of_several_instance_types_each_is_judged_and_the_weakest_decides(order: int) -> None:
    types = ("m6in.4xlarge", "m6i.4xlarge", "m5.2xlarge", "c5.2xlarge")[::order]
    found = {
        one.id: one for one in judge_plan(replace(HEALTHY, instance_types=types, memory_limit_gib=40), "production")
    }
    io, room, limit = (found[f"clickhouse.{rule}"] for rule in ("instance_io", "schedulable", "memory_limit"))
    assert [one.status for one in (io, room, limit)] == ["fail", "fail", "warn"]
    # All that are as bad, and no better one.
    for told in (io, room):
        assert ("m5.2xlarge" in told.observed, "c5.2xlarge" in told.observed) == (True, True)
        assert "4xlarge" not in told.observed
    assert "c5.2xlarge leaves pods" in limit.observed
    assert of_plan(replace(HEALTHY, instance_types=(*types, "mac2.metal")))["schedulable"] == "fail"
    assert of_plan(replace(HEALTHY, instance_types=("m6in.4xlarge", "mac2.metal")))["schedulable"] == "unknown"
