# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse import instances
from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.facts import Environment, Plan, Volume
from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.storage import (
    INSTANCE_CHECKS,
    VOLUME_CHECKS,
    Modification,
    RealVolume,
    Storage,
    Unread,
)
from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.volume_rules import judge_volumes
from ansible_collections.langsmith.aws.plugins.module_utils.domain.finding import Finding

from tests.unit.plugins.module_utils.domain.clickhouse.plans import DEV, HEALTHY

VOLUME, INSTANCE = "vol-0aa", "i-0bb"
GOOD = RealVolume(VOLUME, "gp3", 500, 7000, 1000, "in-use", INSTANCE)
QUIET = {
    **{(VOLUME, name): [0.0, 0.0] for name in VOLUME_CHECKS},
    **{(INSTANCE, name): [0.0, 0.0] for name in INSTANCE_CHECKS},
}


def storage(**changed: Any) -> Storage:
    """One good volume on an instance that can drive it, whose facts are changed."""
    facts: dict[str, Any] = {
        "asked": (VOLUME,),
        "volumes": (GOOD,),
        "instances": {INSTANCE: "m6in.4xlarge"},
        "types": instances.TYPES,
        "metrics": QUIET,
    }
    return Storage(**{**facts, **changed})


def judged(
    given: Storage, environment: Environment = "production", plan: Plan | None = HEALTHY
) -> dict[str, list[Finding]]:
    found: dict[str, list[Finding]] = {}
    for finding in judge_volumes(given, environment, plan):
        found.setdefault(finding.id.removeprefix("clickhouse."), []).append(finding)
    return found


def test_a_good_volume_passes_every_rule() -> None:
    found = judged(storage())
    assert {rule: {finding.status for finding in told} for rule, told in found.items()} == {
        rule: {"pass"}
        for rule in (
            "volume",
            "volume_change",
            "volume_type",
            "disk_size",
            "iops",
            "throughput",
            "instance_io",
            "io_pressure",
        )
    }
    assert [finding.subject for finding in found["io_pressure"]] == [VOLUME, INSTANCE]


def volume(**changed: Any) -> dict[str, Any]:
    return {"volumes": (replace(GOOD, **changed),)}


def metric(subject: str, name: str, values: list[float]) -> dict[str, Any]:
    return {"metrics": {**QUIET, (subject, name): values}}


#: Rule, what is changed, its worst status in production and in dev.
BROKEN: list[tuple[str, dict[str, Any], str, str]] = [
    ("volume", {"volumes": ()}, "fail", "fail"),
    ("volume", volume(state="available", instance_id=""), "fail", "warn"),
    ("volume", volume(state="error"), "fail", "fail"),
    ("volume_change", {"modifications": {VOLUME: Modification("modifying", 12)}}, "warn", "warn"),
    ("volume_change", {"modifications": {VOLUME: Modification("optimizing", 80)}}, "warn", "warn"),
    ("volume_change", {"modifications": {VOLUME: Modification("failed", 0, "no capacity")}}, "fail", "fail"),
    (
        "volume_change",
        {"modifications": Unread("not allowed", "ec2:DescribeVolumesModifications")},
        "unknown",
        "unknown",
    ),
    ("volume_type", volume(type="gp2"), "fail", "pass"),
    ("volume_type", volume(type="st1"), "fail", "warn"),
    ("disk_size", volume(size_gib=100), "fail", "warn"),
    ("iops", volume(iops=3000), "fail", "warn"),
    ("iops", volume(iops=6900), "warn", "warn"),
    ("iops", volume(type="io2", iops=None), "unknown", "unknown"),
    ("throughput", volume(throughput_mib_s=125), "fail", "warn"),
    ("instance_io", {"instances": {INSTANCE: "m6i.4xlarge"}}, "warn", "warn"),
    ("instance_io", {"instances": {INSTANCE: "m5.2xlarge"}}, "fail", "warn"),
    ("instance_io", {"instances": {INSTANCE: "u-6tb1.metal"}}, "unknown", "unknown"),
    ("instance_io", {"instances": Unread("not allowed", "ec2:DescribeInstances")}, "unknown", "unknown"),
    ("instance_io", {"types": Unread("not allowed", "ec2:DescribeInstanceTypes")}, "unknown", "unknown"),
    ("io_pressure", metric(VOLUME, "VolumeThroughputExceededCheck", [0, 1, 1]), "fail", "warn"),
    ("io_pressure", metric(INSTANCE, "InstanceEBSIOPSExceededCheck", [1]), "fail", "warn"),
    ("io_pressure", metric(VOLUME, "VolumeIOPSExceededCheck", []), "unknown", "unknown"),
    ("io_pressure", {"metrics": Unread("not allowed", "cloudwatch:GetMetricData")}, "unknown", "unknown"),
    ("io_balance", metric(INSTANCE, "EBSByteBalance%", [90.0, 15.0]), "warn", "warn"),
]
WORSE = ("pass", "warn", "unknown", "fail")


@pytest.mark.parametrize(("rule", "change", "production", "dev"), BROKEN)
def test_a_bad_volume_is_told_by_its_rule_with_a_remedy(
    rule: str, change: dict[str, Any], production: str, dev: str
) -> None:
    environments: tuple[tuple[Environment, str], ...] = (("production", production), ("dev", dev))
    for environment, status in environments:
        found = judged(storage(**change), environment)[rule]
        worst = max(found, key=lambda finding: WORSE.index(finding.status))
        assert worst.status == status, worst
        assert worst.status == "pass" or worst.remedy


def test_every_unread_fact_names_the_action_that_is_missing() -> None:
    facts = {
        "modifications": "ec2:DescribeVolumesModifications",
        "instances": "ec2:DescribeInstances",
        "types": "ec2:DescribeInstanceTypes",
        "metrics": "cloudwatch:GetMetricData",
        "volumes": "ec2:DescribeVolumes",
    }
    for fact, action in facts.items():
        found = judge_volumes(storage(**{fact: Unread("not allowed", action)}), "production", HEALTHY)
        told = [finding for finding in found if finding.status == "unknown"]
        assert told
        assert all(f"grant {action} " in finding.remedy for finding in told)


def test_what_was_planned_must_be_there_even_in_dev() -> None:
    plan = replace(DEV, volume=Volume("gp3", 100, 6000, 500))
    found = judged(storage(**volume(size_gib=100, iops=3000, throughput_mib_s=125)), "dev", plan)
    assert (found["iops"][0].status, found["throughput"][0].status) == ("warn", "warn")
    assert found["iops"][0].expected == "at least 6000 IOPS, as planned"


def test_more_than_the_reference_was_planned_and_is_asked_for() -> None:
    plan = replace(HEALTHY, volume=Volume("gp3", 500, 16000, 2000))
    found = judged(storage(), plan=plan)
    assert (found["iops"][0].status, found["throughput"][0].status) == ("fail", "fail")


def test_a_volume_that_grew_beyond_the_plan_is_no_problem() -> None:
    assert judged(storage(**volume(size_gib=900)))["disk_size"][0].status == "pass"


def test_volumes_on_one_instance_add_up() -> None:
    second = replace(GOOD, id="vol-0cc")
    (told,) = judged(storage(asked=(VOLUME, "vol-0cc"), volumes=(GOOD, second)))["instance_io"]
    assert told.status == "warn"  # 1490 of 2000 MiB/s
    assert told.observed.startswith(f"{VOLUME}, vol-0cc: the volumes can do 2000 MiB/s and 14000 IOPS")


@pytest.mark.parametrize(("zones", "status"), [("abc", "pass"), ("aab", "warn"), ("aaa", "warn"), ("ab", "pass")])
def test_the_zones_of_the_volumes_are_those_of_the_servers(zones: str, status: str) -> None:
    made = [replace(GOOD, id=f"vol-{number}", zone=f"us-east-1{zone}") for number, zone in enumerate(zones)]
    (told,) = judged(storage(asked=tuple(volume.id for volume in made), volumes=made))["spread"]
    assert told.status == status


def test_without_a_plan_the_reference_alone_is_asked_for() -> None:
    found = judged(storage(**volume(size_gib=20)), plan=None)
    assert "disk_size" not in found
    assert found["iops"][0].status == "pass"


CLAIM = "langsmith/data-chi-0"
OLD = replace(GOOD, id="vol-0dd", size_gib=20, iops=3000, state="available", instance_id="", claim=CLAIM, zone="b")


def test_a_volume_whose_claim_has_another_by_now_is_left_over_and_its_figures_are_nobodys() -> None:
    asked = {"asked": ("vol-0dd", VOLUME), "volumes": (OLD, replace(GOOD, claim=CLAIM, zone="a"))}
    found = [told for told in judge_volumes(storage(**asked), "production", HEALTHY) if told.status != "pass"]
    assert [(told.id, told.subject, told.status) for told in found] == [("clickhouse.volume", "vol-0dd", "warn")]
    assert "claim langsmith/data-chi-0 has another volume" in found[0].observed


def test_a_volume_attached_to_nothing_names_its_claim_and_both_ways_out() -> None:
    (told,) = judged(storage(asked=("vol-0dd",), volumes=(OLD,)))["volume"]
    assert (told.status, told.observed) == ("fail", f"available, attached to nothing, made for claim {CLAIM}")
    assert "where that is Bound" in told.remedy
    assert "where it is Released or gone" in told.remedy


def test_minutes_over_the_limit_are_counted() -> None:
    found = judged(storage(**metric(VOLUME, "VolumeThroughputExceededCheck", [0, 1, 1])))
    assert found["io_pressure"][0].observed == "throughput exceeded in 2 min"


def test_an_instance_type_of_no_table_is_judged_by_what_ec2_says_of_it() -> None:
    kind = instances.from_figures("x9z.4xlarge", 16, 64, (2000, 50000), (2000, 50000), 234)
    found = judged(storage(instances={INSTANCE: "x9z.4xlarge"}, types={"x9z.4xlarge": kind}))
    assert found["instance_io"][0].status == "pass"
    assert "x9z.4xlarge sustains 1907 MiB/s" in found["instance_io"][0].observed


def test_each_volume_that_was_asked_for_is_told_of_and_each_instance_once() -> None:
    second = replace(GOOD, id="vol-0cc")
    found = judged(storage(asked=(VOLUME, "vol-0cc", "vol-gone"), volumes=(GOOD, second)))
    assert [(finding.subject, finding.status) for finding in found["volume"]] == [
        (VOLUME, "pass"),
        ("vol-0cc", "pass"),
        ("vol-gone", "fail"),
    ]
    assert [finding.subject for finding in found["io_pressure"]].count(INSTANCE) == 1
