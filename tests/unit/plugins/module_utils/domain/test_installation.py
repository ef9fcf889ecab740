# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An installation as one fact, and what is left of it."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.langsmith.aws.plugins.module_utils.domain.installation import (
    Identity,
    Installation,
    LoadBalancer,
    Names,
    Secret,
    kind_of,
)
from ansible_collections.langsmith.aws.plugins.module_utils.domain.plan import Plan
from ansible_collections.langsmith.aws.plugins.module_utils.domain.resources.eks_addon import Addon, AddonSettings
from ansible_collections.langsmith.aws.plugins.module_utils.domain.resources.eks_cluster import Cluster, ClusterSettings
from ansible_collections.langsmith.aws.plugins.module_utils.domain.resources.eks_nodegroup import (
    Nodegroup,
    NodegroupSettings,
)
from ansible_collections.langsmith.aws.plugins.module_utils.domain.resources.elasticache_replication_group import (
    Cache,
    CacheSettings,
)
from ansible_collections.langsmith.aws.plugins.module_utils.domain.resources.iam_oidc_provider import (
    OidcProvider,
    OidcProviderSettings,
)
from ansible_collections.langsmith.aws.plugins.module_utils.domain.resources.network import (
    NatGateway,
    Network,
    Subnet,
    Vpc,
)
from ansible_collections.langsmith.aws.plugins.module_utils.domain.resources.rds_instance import (
    Database,
    DatabaseSettings,
)

WHO = Identity("123456789012", "arn:aws:sts::123456789012:assumed-role/deployer/x", "us-east-1")
OURS = {"langsmith:installation": "acme"}
HERE = "arn:aws:ec2:us-east-1:123456789012"
EKS = "arn:aws:eks:us-east-1:123456789012"
ISSUER = "https://oidc.eks.us-east-1.amazonaws.com/id/1"


def installation(**parts: Any) -> Installation:
    return Installation("acme", WHO, **parts)


def cluster(status: str = "ACTIVE", **settings: Any) -> Cluster:
    return Cluster("acme", f"{EKS}:cluster/acme", status, ClusterSettings(**settings), oidc_issuer=ISSUER, tags=OURS)


@pytest.mark.parametrize(
    ("arn", "kind"),
    [
        (f"{HERE}:vpc/vpc-1", ("ec2", "vpc")),
        ("arn:aws:s3:::acme-blobs", ("s3", "")),
        ("arn:aws:rds:us-east-1:123456789012:db:acme-postgres", ("rds", "db")),
        ("arn:aws:elasticloadbalancing:us-east-1:1:loadbalancer/app/x/1", ("elasticloadbalancing", "loadbalancer")),
        ("nonsense", ("", "")),
    ],
)
def test_the_kind_of_an_arn_is_its_service_and_sort(arn: str, kind: tuple[str, str]) -> None:
    assert kind_of(arn) == kind


def test_what_the_tagging_service_lists_after_its_end_is_not_a_resource() -> None:
    listed = (f"{HERE}:natgateway/nat-gone", f"{HERE}:vpc/vpc-1", "arn:aws:rds:us-east-1:123456789012:snapshot:last")
    left = installation(network=Network(vpc=Vpc("vpc-1", "10.0.0.0/16", "available")), tagged_arns=listed).resources()
    assert left == [f"{HERE}:vpc/vpc-1", "arn:aws:rds:us-east-1:123456789012:snapshot:last"]


def test_what_is_found_by_name_but_carries_another_tag_is_no_resource_of_ours() -> None:
    foreign = Cluster("acme", f"{EKS}:cluster/acme", "ACTIVE", ClusterSettings(), tags={})
    assert installation(cluster=foreign).resources() == []


def test_a_secret_that_waits_for_its_deletion_is_told_apart() -> None:
    told = installation(secrets=(Secret("a", "arn:a", True, OURS), Secret("b", "arn:b", False, OURS))).to_dict()
    assert (told["secrets"], told["secrets_pending_deletion"]) == ({"b": "arn:b"}, {"a": "arn:a"})
    assert told["resources"] == ["arn:b"]


def test_the_provider_is_that_of_the_cluster_and_not_one_left_from_another() -> None:
    old = OidcProvider("arn:old", "https://oidc.eks.us-east-1.amazonaws.com/id/0", OidcProviderSettings(), OURS)
    new = OidcProvider("arn:new", ISSUER, OidcProviderSettings(), OURS)
    assert installation(cluster=cluster(), oidc_providers=(old, new)).to_dict()["oidc_provider_arn"] == "arn:new"
    assert installation(oidc_providers=(old,)).to_dict()["oidc_provider_arn"] == "arn:old"
    assert installation(cluster=cluster(), oidc_providers=(old, new)).resources().count("arn:old") == 1


def test_the_fact_is_flat_and_named_as_documented() -> None:
    told = installation(
        network=Network(
            subnets=(Subnet("subnet-1", "10.0.0.0/24", "a", "vpc-1", tags={"kubernetes.io/role/elb": "1"}),),
            nat_gateways=(NatGateway("nat-1", "available", "subnet-1", None, "eipalloc-1"),),
        ),
        cluster=cluster(version="1.35"),
        nodegroups=(Nodegroup("acme", "acme-default", "arn:n", "ACTIVE", NodegroupSettings(min_size=2)),),
        addons=(Addon("acme", "coredns", "arn:a", "ACTIVE", AddonSettings("v1")),),
        database=Database(
            "acme-postgres", "arn:d", "available", DatabaseSettings(instance_class="db.m7g.large", port=5432)
        ),
        cache=Cache("acme-redis", "arn:c", "available", CacheSettings(port=6379), host="redis.example"),
        load_balancers=(LoadBalancer("arn:l", "l", "l.example", "Z1", "internet-facing", OURS),),
    ).to_dict()
    assert told["subnets"]["public"] == [{"id": "subnet-1", "cidr_block": "10.0.0.0/24", "availability_zone": "a"}]
    assert told["nat_gateways"][0]["availability_zone"] == "a"
    assert told["cluster"]["version"] == "1.35"
    assert told["nodegroups"][0]["min_size"] == 2
    assert told["addons"]["coredns"]["version"] == "v1"
    assert (told["database"]["class"], told["database"]["port"]) == ("db.m7g.large", 5432)
    assert (told["cache"]["host"], told["cache"]["transit_encryption"]) == ("redis.example", True)
    assert told["load_balancers"][0]["hosted_zone_id"] == "Z1"
    parts = (told["cluster"], told["nodegroups"][0], told["addons"]["coredns"], told["database"], told["cache"])
    assert not [part for part in parts if "settings" in part]


def test_the_nodes_of_clickhouse_are_those_of_its_groups() -> None:
    groups = [
        Nodegroup("acme", name, "arn:n", "ACTIVE", NodegroupSettings(instance_types=(kind,)))
        for name, kind in [
            ("acme-default", "m7i.large"),
            ("acme-clickhouse-a", "m6i.8xlarge"),
            ("acme-clickhouse-b", "m6i.8xlarge"),
        ]
    ]
    secret = Secret("langsmith/acme/clickhouse", "arn:s", False, {"langsmith:clickhouse-topology": "replicated"})
    found = installation(nodegroups=tuple(groups), secrets=(secret,)).clickhouse
    assert found is not None
    assert found.instance_types == (("m6i.8xlarge",),)


def test_a_cluster_on_its_way_out_is_to_be_created() -> None:
    drift = Plan(installation(cluster=cluster("DELETING")), {"cluster": {}}, OURS).drift()
    assert drift["cluster"].action == "create"


def test_a_cluster_that_is_being_made_is_no_drift() -> None:
    wish = {"cluster": {"version": "1.35", "tags": None}}
    assert Plan(installation(cluster=cluster("CREATING", version="1.35")), wish, OURS).drift() == {}


def test_tags_of_the_whole_and_of_a_part_are_both_wanted() -> None:
    wish = {"cluster": {"tags": {"tier": 1}}}
    (difference,) = Plan(installation(cluster=cluster()), wish, {**OURS, "team": "blue"}).drift()["cluster"].differences
    assert difference.wanted == {**OURS, "team": "blue", "tier": "1"}


def test_names_follow_from_the_installation_unless_given() -> None:
    names = Names.of("acme", database="other", cache=None)
    assert (names.database, names.cache, names.cluster) == ("other", "acme-redis", "acme")
    assert Names.bucket_of("acme", "123456789012", "us-east-1") == "acme-123456789012-us-east-1-blobs"
