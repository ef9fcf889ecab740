# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether network, roles, bucket and certificate do what is wanted."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.langsmith.aws.plugins.module_utils.domain.resources import (
    acm_certificate,
    iam_role,
    network,
    s3_bucket,
)
from ansible_collections.langsmith.aws.plugins.module_utils.domain.resources.network import (
    InternetGateway,
    NatGateway,
    Network,
    RouteTable,
    SecurityGroup,
    Subnet,
    Vpc,
    VpcEndpoint,
)

TAGS = {"langsmith:installation": "acme"}


def subnet(number: int, zone: str, public: bool) -> Subnet:
    tag = network.PUBLIC_TAG if public else network.PRIVATE_TAG
    return Subnet(f"subnet-{number}", f"10.0.{number}.0/24", zone, "vpc-1", tags={**TAGS, tag: "1"})


WANTED = [
    {"cidr_block": "10.0.1.0/24", "availability_zone": "a", "public": True},
    {"cidr_block": "10.0.2.0/24", "availability_zone": "b", "public": True},
    {"cidr_block": "10.0.3.0/24", "availability_zone": "a", "public": False},
    {"cidr_block": "10.0.4.0/24", "availability_zone": "b", "public": False},
]
NET = Network(
    vpc=Vpc("vpc-1", "10.0.0.0/16", "available", True, True, {**TAGS, "Name": "acme"}),
    internet_gateways=(InternetGateway("igw-1", ("vpc-1",), TAGS),),
    subnets=(subnet(1, "a", True), subnet(2, "b", True), subnet(3, "a", False), subnet(4, "b", False)),
    nat_gateways=(NatGateway("nat-1", "available", "subnet-1", "198.51.100.1", "eipalloc-1"),),
    route_tables=(
        RouteTable("rtb-1", "public", "vpc-1", ("subnet-1", "subnet-2"), {"0.0.0.0/0": "igw-1"}),
        RouteTable("rtb-2", "private", "vpc-1", ("subnet-3", "subnet-4"), {"0.0.0.0/0": "nat-1"}),
    ),
    endpoints=(VpcEndpoint("vpce-1", "com.amazonaws.us-east-1.s3", "available", ("rtb-2",)),),
)


def test_a_network_that_does_what_is_wanted_has_no_differences() -> None:
    assert network.vpc_differences({"cidr_block": "10.0.0.0/16", "dns_support": True}, NET.vpc, TAGS) == []  # type: ignore[arg-type]
    assert network.subnet_differences(WANTED, NET.subnets, TAGS) == []
    assert network.nat_differences("single", ["a", "b"], NET) == []
    assert network.route_differences(WANTED, "single", NET) == []
    assert network.s3_endpoint_differences(NET) == []


def test_a_nat_gateway_that_is_going_serves_nobody() -> None:
    going = replace(NET, nat_gateways=(replace(NET.nat_gateways[0], state="deleting"),))
    assert network.nat_differences("single", ["a"], going)
    assert [item.field for item in network.route_differences(WANTED, "single", going)] == [
        "10.0.3.0/24.0.0.0.0/0",
        "10.0.4.0/24.0.0.0.0/0",
    ]


def test_a_gateway_per_zone_wants_each_zone_served_by_its_own() -> None:
    (missing,) = network.nat_differences("per_zone", ["a", "b"], NET)
    assert (missing.wanted, missing.actual) == (["a", "b"], ["a"])
    assert [item.field for item in network.route_differences(WANTED, "per_zone", NET)] == ["10.0.4.0/24.0.0.0.0/0"]


def test_a_private_subnet_that_leads_to_the_internet_is_a_difference_where_no_way_out_is_wanted() -> None:
    assert len(network.route_differences(WANTED, "none", NET)) == 2


def test_subnets_without_a_table_are_named() -> None:
    bare = replace(NET, route_tables=())
    assert [item.actual for item in network.route_differences(WANTED, "single", bare)] == ["no table"] * 4


def test_a_subnet_that_lacks_the_tag_of_load_balancers_is_a_difference() -> None:
    untagged = replace(NET.subnets[0], tags=TAGS)
    (found,) = network.subnet_differences(WANTED[:1], [untagged], TAGS)
    assert found.field == "10.0.1.0/24.tags"


def test_a_subnet_in_another_zone_is_blocked() -> None:
    (found,) = network.subnet_differences([{**WANTED[0], "availability_zone": "c"}], NET.subnets, TAGS)
    assert found.blocked


def test_an_endpoint_that_private_subnets_do_not_use_is_a_difference() -> None:
    unused = replace(NET, endpoints=(replace(NET.endpoints[0], route_table_ids=()),))
    assert [item.field for item in network.s3_endpoint_differences(unused)] == ["route_table_ids"]
    gone = replace(NET, endpoints=(replace(NET.endpoints[0], state="deleting"),))
    assert [item.field for item in network.s3_endpoint_differences(gone)] == ["present"]


GROUP = SecurityGroup(
    "sg-2", "acme-postgres", "vpc-1", "d", frozenset({("tcp", 5432, 5432, "sg-1")}), frozenset(), TAGS
)


@pytest.mark.parametrize(
    "rule",
    [
        {"proto": "tcp", "ports": [5432], "group_id": "sg-1"},
        {"proto": "TCP", "ports": "5432", "group_id": ["sg-1"]},
        {"proto": "tcp", "from_port": 5432, "to_port": 5432, "group_name": "acme-nodes"},
        {"ports": ["5432-5432"], "group_id": "sg-1", "rule_desc": "nodes"},
    ],
)
def test_a_rule_in_any_of_its_forms_is_the_same_rule(rule: dict[str, Any]) -> None:
    wish = {"name": "acme-postgres", "rules": [rule], "rules_egress": []}
    assert network.security_group_differences(wish, GROUP, {"acme-nodes": "sg-1"}, TAGS) == []


def test_a_rule_too_many_is_a_difference_that_reads_well() -> None:
    (found,) = network.security_group_differences({"rules": []}, GROUP, {}, TAGS)
    assert (found.wanted, found.actual) == ([], ["tcp 5432 sg-1"])


def test_rules_that_are_not_given_are_not_looked_at() -> None:
    assert network.security_group_differences({"name": "acme-postgres"}, GROUP, {}, TAGS) == []


TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "eks.amazonaws.com"}, "Action": ["sts:AssumeRole"]}],
}
ROLE = iam_role.Role(
    "acme-eks-cluster",
    "arn:aws:iam::123456789012:role/acme-eks-cluster",
    TRUST,
    ("arn:aws:iam::aws:policy/AmazonEKSClusterPolicy",),
    {},
    TAGS,
)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ({"Action": "a"}, {"Action": ["a"]}, True),
        ({"Action": ["a", "b"]}, {"Action": ["b", "a"]}, True),
        ({"Action": ["a", "b"]}, {"Action": ["a"]}, False),
        ('{"Action": "a"}', {"Action": ["a"]}, True),
        ({"Principal": {"AWS": "123456789012"}}, {"Principal": {"AWS": "arn:aws:iam::123456789012:root"}}, True),
        ({"Condition": {"Bool": {"x": False}}}, {"Condition": {"Bool": {"x": "false"}}}, True),
        ({"Effect": "Allow"}, {"Effect": "Deny"}, False),
    ],
)
def test_policies_that_say_the_same_are_the_same(one: Any, other: Any, same: bool) -> None:
    assert iam_role.same_policy(one, other) is same


@pytest.mark.parametrize("policy", ["AmazonEKSClusterPolicy", "arn:aws:iam::aws:policy/AmazonEKSClusterPolicy"])
def test_a_managed_policy_may_be_named_either_way(policy: str) -> None:
    assert iam_role.differences(iam_role.WantedRole("r", TRUST, (policy,)), ROLE, TAGS) == []


def test_each_part_of_a_role_that_differs_is_named() -> None:
    wish = iam_role.WantedRole("r", {"Statement": []}, ("Other",), {"s3": {"Statement": []}})
    assert [item.field for item in iam_role.differences(wish, ROLE, {"x": "y"})] == [
        "assume_role_policy",
        "managed_policies",
        "inline_policies.s3",
        "tags",
    ]


def test_a_bucket_is_compared_setting_by_setting() -> None:
    rule = s3_bucket.LifecycleRule("ttl_s", "ttl_s/", 15)
    bucket = s3_bucket.Bucket("b", "us-east-1", True, "AES256", None, True, "BucketOwnerEnforced", None, (rule,), TAGS)
    same = {
        "versioning": True,
        "encryption": "AES256",
        "lifecycle_rules": [{"rule_id": "ttl_s", "prefix": "ttl_s/", "expiration_days": 15}],
    }
    assert s3_bucket.differences(same, bucket, TAGS) == []
    other = {"versioning": False, "lifecycle_rules": [{"rule_id": "ttl_s", "prefix": "ttl_s/", "expiration_days": 30}]}
    assert [item.field for item in s3_bucket.differences(other, bucket, TAGS)] == [
        "versioning",
        "lifecycle_rules.ttl_s",
    ]


def certificate(
    arn: str, status: str = "ISSUED", names: tuple[str, ...] = ("a.test",), **more: Any
) -> acm_certificate.Certificate:
    return acm_certificate.Certificate(arn, "a.test", status, names, "RSA_2048", **more)


@pytest.mark.parametrize(
    ("found", "chosen"),
    [
        ([], None),
        ([certificate("1", "FAILED")], None),
        ([certificate("1", names=("a.test", "b.test"))], None),
        ([certificate("1", "PENDING_VALIDATION"), certificate("2")], "2"),
        ([certificate("1"), certificate("2", "PENDING_VALIDATION", tags=TAGS)], "2"),
    ],
)
def test_the_certificate_that_serves_is_chosen(found: list[acm_certificate.Certificate], chosen: str | None) -> None:
    wish = acm_certificate.CertificateSettings.from_options({"domain_name": "A.test.", "key_algorithm": "RSA_2048"})
    picked = acm_certificate.choose(wish, found, TAGS)
    assert (picked.arn if picked else None) == chosen
