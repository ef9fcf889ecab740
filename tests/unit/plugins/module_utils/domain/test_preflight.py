# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.langsmith.aws.plugins.module_utils.domain.finding import Finding
from ansible_collections.langsmith.aws.plugins.module_utils.domain.preflight import rules
from ansible_collections.langsmith.aws.plugins.module_utils.domain.preflight.facts import (
    Context,
    Facts,
    Identity,
    Input,
    InstanceType,
    Problem,
    Quota,
    Tool,
    Zone,
)

TYPES = {
    "m6i.xlarge": InstanceType("m6i.xlarge", 4, 16 * 1024, 58),
    "m6i.2xlarge": InstanceType("m6i.2xlarge", 8, 32 * 1024, 58),
    "m6i.4xlarge": InstanceType("m6i.4xlarge", 16, 64 * 1024, 234),
}
FACTS = Facts(
    region="us-east-1",
    identity=Identity("123456789012", "arn:aws:iam::123456789012:user/operator"),
    region_state="opt-in-not-required",
    zones=("us-east-1a", "us-east-1b", "us-east-1e"),
    types=TYPES,
    offers={name: frozenset({"us-east-1a", "us-east-1b"}) for name in TYPES},
    hosted_zones={
        "example.org": (Zone("Z1", "example.org", False), Zone("Z2", "example.org", True)),
        "intern.org": (Zone("Z3", "intern.org", True),),
        "absent.org": (),
        "twice.org": (Zone("Z4", "twice.org", False), Zone("Z5", "twice.org", False)),
    },
    secrets={"license": None},
    tools=(Tool("helm", "3.12.0", path="/bin/helm", output="v4.2.4+g1"),),
)


def judge(*inputs: Input, facts: Facts = FACTS, environment: str = "production") -> list[Finding]:
    return rules.judge(Context(environment, inputs, facts), "langsmith_environment")


def on(variable: str, found: list[Finding]) -> list[str]:
    return [finding.status for finding in found if finding.subject == variable]


@pytest.mark.parametrize(
    ("rule", "value", "status"),
    [
        ("installation_name", "acme-prod", "pass"),
        ("installation_name", "Acme", "fail"),
        ("installation_name", "a--b", "fail"),
        ("installation_name", "acme-", "fail"),
        ("installation_name", "a" * 29, "pass"),
        ("installation_name", "a" * 30, "fail"),
        ("hostname", "langsmith.example.org", "pass"),
        ("hostname", "langsmith.localhost", "pass"),
        ("hostname", "https://langsmith.example.org", "fail"),
        ("hostname", "langsmith", "fail"),
        ("hostname", "lang_smith.example.org", "fail"),
        ("hostname", "a..b", "fail"),
        ("hostname", f"{'a' * 64}.org", "fail"),
        ("email", "admin@example.org", "pass"),
        ("email", "admin@example", "fail"),
        ("email", "admin example.org", "fail"),
        ("chart_version", "0.16.11", "pass"),
        ("chart_version", "0.16.11-rc.1", "warn"),
        ("chart_version", "0.15.3", "fail"),
        ("chart_version", "~0.16.0", "fail"),
        ("chart_version", "latest", "fail"),
        ("kubernetes_version", "1.33", "pass"),
        ("kubernetes_version", 1.3, "fail"),
        ("kubernetes_version", "1.33.1", "fail"),
        ("vpc_cidr", "10.0.0.0/16", "pass"),
        ("vpc_cidr", "172.16.0.0/16", "pass"),
        ("vpc_cidr", "10.0.0.0/20", "warn"),
        ("vpc_cidr", "10.0.0.0/8", "fail"),
        ("vpc_cidr", "10.0.0.1/16", "fail"),
        ("vpc_cidr", "172.32.0.0/16", "fail"),
        ("vpc_cidr", "8.8.0.0/16", "fail"),
        ("vpc_cidr", "ten", "fail"),
        ("vpc_cidr", "2001:db8::/56", "fail"),
        ("cidrs", ["203.0.113.0/24"], "pass"),
        ("cidrs", ["0.0.0.0/0"], "warn"),
        ("cidrs", ["203.0.113.5/24"], "fail"),
        ("blob_storage", True, "pass"),
        ("blob_storage", False, "fail"),
        ("clickhouse_topology", "replicated", "pass"),
        ("clickhouse_topology", "single", "fail"),
        ("clickhouse_topology", "cluster", "fail"),
        ("region", "us-east-1", "pass"),
        ("region", "us_east_1", "fail"),
        ("region", "eu-west-1", "fail"),
        ("zones", ["us-east-1a", "us-east-1b"], "pass"),
        ("zones", ["us-east-1a"], "fail"),
        ("zones", ["us-east-1a", "us-east-1a"], "fail"),
        ("zones", ["us-east-1a", "us-east-1z"], "fail"),
        ("instance_types", ["m6i.xlarge", "m6i.2xlarge"], "pass"),
        ("instance_types", ["m6i.huge"], "fail"),
        ("hosted_zone", "example.org", "pass"),
        ("hosted_zone", "intern.org", "fail"),
        ("hosted_zone", "absent.org", "fail"),
        ("hosted_zone", "twice.org", "warn"),
        ("license_secret", {"nome": "x"}, "fail"),
        ("present", True, "pass"),
        ("present", "", "fail"),
        ("present", False, "fail"),
        ("present", None, "fail"),
    ],
)
def test_a_value_is_judged_by_its_rule_and_every_remedy_names_its_variable(rule: str, value: Any, status: str) -> None:
    (found,) = [finding for finding in judge(Input("the_variable", value, rule)) if finding.subject == "the_variable"]
    assert found.status == status, found
    assert found.id == f"preflight.{rule}"
    assert status == "pass" or "the_variable" in found.remedy


@pytest.mark.parametrize("rule", [rule for rule in rules.RULES if rule != "present"])
@pytest.mark.parametrize("empty", [None, "", [], {}])
def test_an_empty_variable_is_a_failure_only_where_it_is_required(rule: str, empty: Any) -> None:
    assert on("v", judge(Input("v", empty, rule))) == ["fail"]
    assert on("v", judge(Input("v", empty, rule, required=False))) == []


def test_a_value_that_only_has_to_be_there_is_never_shown() -> None:
    assert "hunter2" not in repr(judge(Input("password", "hunter2", "present")))


def test_the_operators_own_remedy_goes_first() -> None:
    found = judge(Input("v", "x", "email", remedy="ask the helpdesk"))
    assert [finding.remedy for finding in found if finding.subject == "v"] == ["ask the helpdesk"]


@pytest.mark.parametrize(("rule", "value"), [("blob_storage", False), ("clickhouse_topology", "single")])
def test_what_production_refuses_dev_is_warned_of(rule: str, value: Any) -> None:
    assert on("v", judge(Input("v", value, rule), environment="dev")) == ["warn"]


@pytest.mark.parametrize(
    ("public", "private", "statuses"),
    [
        (["10.0.0.0/20"], ["10.0.16.0/20", "10.0.32.0/20"], ["pass", "pass"]),
        (["10.0.0.0/20"], ["10.0.8.0/21"], ["pass", "fail"]),
        (["10.0.0.0/20", "10.0.0.0/20"], ["10.0.32.0/20"], ["fail", "pass"]),
        (["10.1.0.0/20"], ["10.0.32.0/20"], ["fail", "pass"]),
        (["10.0.0.0/29"], [{"cidr_block": "10.0.32.0/20"}], ["fail", "pass"]),
        (["10.0.0.0/33"], [{"cidr": "10.0.32.0/20"}], ["fail", "fail"]),
    ],
)
def test_subnets_lie_in_the_vpc_and_on_no_other(public: list[Any], private: list[Any], statuses: list[str]) -> None:
    found = judge(
        Input("vpc", "10.0.0.0/16", "vpc_cidr"),
        Input("public", public, "subnet_cidrs"),
        Input("private", private, "subnet_cidrs"),
    )
    assert on("public", found) + on("private", found) == statuses


@pytest.mark.parametrize(
    ("kind", "count", "production", "dev"),
    [
        ("m6i.4xlarge", 3, "pass", "pass"),
        ("m6i.2xlarge", 2, "warn", "warn"),  # 16 vCPU, but EKS keeps some
        ("m6i.2xlarge", "3", "pass", "pass"),
        ("m6i.2xlarge", 1, "fail", "warn"),
        ("m6i.xlarge", 3, "fail", "warn"),
        ("m6i.xlarge", 0, "fail", "fail"),
        ("m6i.xlarge", "many", "fail", "fail"),
        ("m6i.huge", 3, "unknown", "unknown"),
    ],
)
def test_the_node_group_is_held_against_16_vcpu_and_64_gib(kind: str, count: Any, production: str, dev: str) -> None:
    inputs = (Input("types", [kind], "instance_types"), Input("count", count, "node_count"))
    assert on("count", judge(*inputs)) == [production]
    assert on("count", judge(*inputs, environment="dev")) == [dev]


def test_mixed_instance_types_count_as_the_smallest() -> None:
    inputs = (Input("types", ["m6i.4xlarge", "m6i.xlarge"], "instance_types"), Input("count", 3, "node_count"))
    assert on("count", judge(*inputs)) == ["fail"]


def test_allocatable_capacity_is_that_of_an_eks_node() -> None:
    node = TYPES["m6i.2xlarge"]
    assert (round(node.allocatable_cpu * 1000), node.allocatable_mib) == (7910, 31775)


def test_a_type_that_a_zone_does_not_offer_is_named_with_the_zone() -> None:
    zones = Input("zones", ["us-east-1a", "us-east-1e"], "zones")
    found = judge(zones, Input("types", ["m6i.xlarge"], "instance_types"))
    assert [finding.observed for finding in found if finding.subject == "types"] == [
        "not offered: m6i.xlarge in us-east-1e"
    ]


def test_the_hosts_name_lies_in_the_zone() -> None:
    zone = Input("zone", "example.org", "hosted_zone")
    assert on("zone", judge(Input("host", "langsmith.example.org", "hostname"), zone)) == ["pass"]
    assert on("zone", judge(Input("host", "langsmith.notexample.org", "hostname"), zone)) == ["fail"]


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (None, "pass"),
        (Problem("secret langsmith/license is not in region us-east-1"), "fail"),
        (Problem("not allowed", denied=True), "fail"),
    ],
)
def test_the_license_must_be_stored_and_readable(answer: Problem | None, status: str) -> None:
    facts = replace(FACTS, secrets={"license": answer})
    assert on("license", judge(Input("license", "langsmith/license", "license_secret"), facts=facts)) == [status]


@pytest.mark.parametrize(
    ("rule", "value"),
    [
        ("zones", ["us-east-1a", "us-east-1b"]),
        ("instance_types", ["m6i.xlarge"]),
        ("node_count", 3),
        ("hosted_zone", "example.org"),
        ("license_secret", "langsmith/license"),
        ("region", "us-east-1"),
    ],
)
def test_what_nobody_could_look_at_is_unknown(rule: str, value: Any) -> None:
    facts = Facts(region="us-east-1", identity=Problem("no credentials"))
    assert on("v", judge(Input("v", value, rule), facts=facts)) == ["unknown"]


@pytest.mark.parametrize(
    ("state", "status"),
    [("opted-in", "pass"), ("not-opted-in", "fail"), ("absent", "fail"), (Problem("denied", denied=True), "unknown")],
)
def test_a_region_must_be_enabled(state: str | Problem, status: str) -> None:
    facts = replace(FACTS, region_state=state)
    assert on("region_variable", judge(Input("region_variable", "us-east-1", "region"), facts=facts)) == [status]


def test_no_region_is_one_finding_even_without_an_input_for_it() -> None:
    nowhere = replace(FACTS, region=None, region_state=None)
    assert on("region", judge(facts=nowhere)) == ["fail"]
    assert on("langsmith_region", judge(Input("langsmith_region", "", "region"), facts=nowhere)) == ["fail"]


@pytest.mark.parametrize(("name", "status"), [("dev", "pass"), ("production", "pass"), ("prod", "fail"), ("", "fail")])
def test_the_environment_is_dev_or_production(name: str, status: str) -> None:
    assert on("langsmith_environment", judge(environment=name)) == [status]


@pytest.mark.parametrize(
    ("tool", "status"),
    [
        (Tool("helm", "3.12.0", path="/bin/helm", output="v4.2.4+g92fda2a"), "pass"),
        (Tool("helm", "3.12.0", path="/bin/helm", output="v3.12.0"), "pass"),
        (Tool("helm", "3.12.0", path="/bin/helm", output="v3.21.4", below_version="4.0.0"), "pass"),
        (Tool("helm", "3.12.0", path="/bin/helm", output="v4.0.0", below_version="4.0.0"), "fail"),
        (Tool("helm", "3.12.0", path="/bin/helm", output="v4.2.4+g92fda2a", below_version="4.0.0"), "fail"),
        (Tool("helm", "3.12.0", path="/bin/helm", output="v3.9.4"), "fail"),
        (Tool("helm", "3.12.0", path="/bin/helm", output="Segmentation fault"), "unknown"),
        (Tool("helm", "3.12.0"), "fail"),
        (Tool("kubectl", required=False), "warn"),
        (Tool("aws", "1.16.156", path="/bin/aws", output="aws-cli/2.17.1 Python/3.11.7 Linux/6.1"), "pass"),
        (Tool("kubectl", "1.20.0", path="/k", output="Client Version: v1.36.3\nKustomize Version: v5.7.1"), "pass"),
    ],
)
def test_a_tool_is_judged_by_what_it_says_of_itself(tool: Tool, status: str) -> None:
    assert on(tool.name, judge(facts=replace(FACTS, tools=(tool,)))) == [status]


@pytest.mark.parametrize(
    ("code", "answer", "status"),
    [
        ("L-1216C47A", Quota("L-1216C47A", "vCPU", 64), "pass"),
        ("L-1216C47A", Quota("L-1216C47A", "vCPU", 5), "fail"),
        ("L-F678F1CE", Quota("L-F678F1CE", "VPCs", 5, 4), "pass"),
        ("L-F678F1CE", Quota("L-F678F1CE", "VPCs", 5, 5), "warn"),
        ("L-0263D0A3", Problem("not allowed", denied=True), "unknown"),
    ],
)
def test_a_quota_is_held_against_what_is_wanted(code: str, answer: Quota | Problem, status: str) -> None:
    inputs = (Input("types", ["m6i.4xlarge"], "instance_types"), Input("count", 3, "node_count"))
    found = judge(*inputs, facts=replace(FACTS, quotas={code: answer}))
    assert [finding.status for finding in found if finding.id == "preflight.quotas"] == [status]


def trace_ttl(enabled: bool = True, **seconds: Any) -> Finding:
    days = {"datastores_ttl_short_days": 14, "datastores_ttl_long_days": "400"}
    value = {"enabled": enabled, "ttl_period_seconds": seconds, **days}
    given = Input("langsmith_values.config.ttl.ttl_period_seconds", value, "trace_ttl")
    (found,) = [one for one in judge(given) if one.id == "preflight.trace_ttl"]
    return found


@pytest.mark.parametrize(
    "seconds",
    [
        {},
        {"shortlived": "1209600"},
        {"shortlived": 1209600, "longlived": 34560000},
        {"shortlived": 604800, "enabled": False},
        {"other": 1},
    ],
)
def test_traces_that_the_chart_keeps_for_the_buckets_days_or_for_ever_pass(seconds: dict[str, Any]) -> None:
    assert trace_ttl(**seconds).status == "pass"


def test_traces_that_the_chart_keeps_for_other_days_than_the_bucket_are_refused_once() -> None:
    found = trace_ttl(shortlived="604800", longlived=7776000)
    assert (found.status, found.subject) == ("fail", "langsmith_values.config.ttl.ttl_period_seconds")
    assert found.observed == (
        "shortlived is 7 days and the bucket drops their payloads after 14; "
        "longlived is 90 days and the bucket drops their payloads after 400"
    )
    assert found.remedy == (
        "leave langsmith_values.config.ttl.ttl_period_seconds out and set datastores_ttl_short_days: 7, "
        "datastores_ttl_long_days: 90, which chart and bucket both follow"
    )


@pytest.mark.parametrize(
    ("seconds", "told"), [(100000, "100000 s"), ("a week", "'a week'"), (None, "None"), (0, "0 s")]
)
def test_a_period_that_is_no_whole_days_cannot_be_the_buckets(seconds: Any, told: str) -> None:
    found = trace_ttl(shortlived=seconds)
    assert found.status == "fail"
    assert found.observed.startswith(f"shortlived is {told} and")
    assert "set datastores_ttl_short_days: whole days" in found.remedy
