# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The AWS modules over real HTTP against moto, as far as moto is able: check, do, check again, do again."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from ansible_collections.amazon.aws.plugins.modules import (
    ec2_security_group,
    ec2_vpc_net,
    ec2_vpc_subnet,
    iam_role,
    rds_subnet_group,
    s3_bucket,
)
from ansible_collections.langsmith.aws.plugins.module_utils.clients.installation import SERVICES
from ansible_collections.langsmith.aws.plugins.modules import (
    acm_certificate_request,
    eks_cluster,
    eks_nodegroup,
    elasticache_replication_group,
    iam_oidc_provider,
    installation_info,
    installation_plan,
    rds_instance,
)
from moto.server import ThreadedMotoServer

from tests.unit.plugins.aws_support import KEYS, REGION, Run, four_steps, make_client, runner

TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": ["sts:AssumeRole"]}],
}
Make = Callable[[str], Any]


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(autouse=True)
def no_profile(monkeypatch: pytest.MonkeyPatch) -> None:
    """The keys of the tests and not the profile of whoever runs them."""
    monkeypatch.delenv("AWS_PROFILE", raising=False)


@pytest.fixture
def run(endpoint: str, capfd: pytest.CaptureFixture[str]) -> Run:
    return runner(endpoint, capfd)


@pytest.fixture
def client(endpoint: str) -> Make:
    return lambda service: make_client(service, region_name=REGION, endpoint_url=endpoint, **KEYS)


@pytest.fixture
def name() -> str:
    """An installation of its own for each test, so that their order does not matter."""
    return f"acme-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def tags(name: str) -> dict[str, str]:
    return {"langsmith:installation": name}


@pytest.fixture
def subnet_ids(client: Make, tags: dict[str, str]) -> list[str]:
    """Two private subnets of a VPC of the installation, made without any module of ours."""
    ec2 = client("ec2")
    pairs = [{"Key": key, "Value": value} for key, value in tags.items()]
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16", TagSpecifications=[{"ResourceType": "vpc", "Tags": pairs}])
    specifications = [{"ResourceType": "subnet", "Tags": pairs}]
    return [
        ec2.create_subnet(
            VpcId=vpc["Vpc"]["VpcId"], CidrBlock=block, AvailabilityZone=zone, TagSpecifications=specifications
        )["Subnet"]["SubnetId"]
        for block, zone in (("10.0.0.0/20", "us-east-1a"), ("10.0.16.0/20", "us-east-1b"))
    ]


@pytest.fixture
def role(client: Make, name: str) -> str:
    made = client("iam").create_role(RoleName=f"{name}-eks-cluster", AssumeRolePolicyDocument=json.dumps(TRUST))
    arn: str = made["Role"]["Arn"]
    return arn


def test_a_cluster_goes_through_the_four_steps_and_away(
    run: Run, name: str, role: str, subnet_ids: list[str], tags: dict[str, str]
) -> None:
    options = {"name": name, "version": "1.35", "role_arn": role, "subnet_ids": subnet_ids, "tags": tags}
    # Plain moto forgets the access mode and answers as clusters without one do.
    results = four_steps(run, eks_cluster, **options, authentication_mode="CONFIG_MAP", wait_sleep=0)
    assert results[0]["cluster"]["version"] == "1.35"
    assert results[1]["cluster"]["status"] == "ACTIVE"
    assert "settings" not in results[1]["cluster"]
    assert results[3]["cluster"] == results[1]["cluster"]
    four_steps(run, eks_cluster, name=name, state="absent", wait_sleep=0)


def test_a_node_group_goes_through_the_four_steps_and_away(
    run: Run, client: Make, name: str, role: str, subnet_ids: list[str]
) -> None:
    client("eks").create_cluster(name=name, roleArn=role, resourcesVpcConfig={"subnetIds": subnet_ids})
    which = {"cluster_name": name, "name": f"{name}-default", "wait_sleep": 0}
    options = {"node_role_arn": role, "subnet_ids": subnet_ids, "instance_types": ["m6i.2xlarge"]}
    results = four_steps(run, eks_nodegroup, **which, **options, min_size=2, max_size=4, labels={"pool": "default"})
    assert results[1]["nodegroup"]["desired_size"] == 2
    refused = run(eks_nodegroup, check=True, **which, instance_types=["m7i.large"])
    assert "instance_types" in refused["msg"]
    four_steps(run, eks_nodegroup, **which, state="absent")


def test_an_identity_provider_goes_through_the_four_steps_and_away(run: Run, name: str, tags: dict[str, str]) -> None:
    url = f"https://oidc.eks.us-east-1.amazonaws.com/id/{name}"
    thumbprints = ["9e99a48a9960b14926bb7f3b02e22da2b0ab7280"]
    results = four_steps(run, iam_oidc_provider, url=url, tags=tags, thumbprints=thumbprints)
    assert results[1]["oidc_provider"]["arn"].endswith(f"oidc-provider/oidc.eks.us-east-1.amazonaws.com/id/{name}")
    assert results[1]["oidc_provider"]["client_ids"] == ["sts.amazonaws.com"]
    four_steps(run, iam_oidc_provider, url=url, tags={"team": "blue"})
    four_steps(run, iam_oidc_provider, url=url.removeprefix("https://"), state="absent")


def secret(client: Make, name: str, **values: str) -> str:
    full = f"langsmith/{name}/store"
    client("secretsmanager").create_secret(Name=full, SecretString=json.dumps(values))
    return full


def test_a_database_goes_through_the_four_steps_and_away(
    run: Run, client: Make, name: str, subnet_ids: list[str], tags: dict[str, str]
) -> None:
    group = f"{name}-postgres"
    client("rds").create_db_subnet_group(
        DBSubnetGroupName=group, DBSubnetGroupDescription="LangSmith", SubnetIds=subnet_ids
    )
    options = {
        "id": group,
        "engine_version": "16",
        "instance_class": "db.m7g.large",
        "allocated_storage_gib": 100,
        "master_username": "langsmith",
        "password_secret": {"name": secret(client, name, password="correct-horse-battery")},
        "database_name": "langsmith",
        "subnet_group_name": group,
        "deletion_protection": True,
        "tags": tags,
        "wait_sleep": 0,
    }
    results = four_steps(run, rds_instance, **options)
    assert results[1]["database"]["status"] == "available"
    assert "correct-horse" not in json.dumps(results)
    absent = {"id": group, "state": "absent", "skip_final_snapshot": True, "wait_sleep": 0}
    assert "deletion_protection" in run(rds_instance, **absent)["msg"]
    four_steps(run, rds_instance, id=group, deletion_protection=False, backup_retention_days=7, wait_sleep=0)
    four_steps(run, rds_instance, **absent)


def test_a_cache_goes_through_the_four_steps(
    run: Run, client: Make, name: str, subnet_ids: list[str], tags: dict[str, str]
) -> None:
    group = f"{name}-redis"
    client("elasticache").create_cache_subnet_group(
        CacheSubnetGroupName=group, CacheSubnetGroupDescription="LangSmith", SubnetIds=subnet_ids
    )
    options = {
        "id": group,
        "description": "LangSmith",
        "node_type": "cache.m7g.large",
        "subnet_group_name": group,
        "auth_token_secret": {"name": secret(client, name, auth_token="correct-horse-battery")},
        "tags": tags,
        "wait_sleep": 0,
    }
    results = four_steps(run, elasticache_replication_group, **options)
    assert results[1]["cache"]["transit_encryption"] is True
    assert results[1]["cache"]["auth_token_enabled"] is True
    assert "correct-horse" not in json.dumps(results)


def test_a_certificate_goes_through_the_four_steps_and_away(run: Run, name: str, tags: dict[str, str]) -> None:
    options = {"domain_name": f"{name}.example.com", "subject_alternative_names": [f"www.{name}.example.com"]}
    results = four_steps(run, acm_certificate_request, **options, tags=tags, wait_sleep=0)
    certificate = results[1]["certificate"]
    assert certificate["validation_records"][0]["type"] == "CNAME"
    assert results[3]["certificate"]["arn"] == certificate["arn"]
    four_steps(run, acm_certificate_request, **options, state="absent", wait_sleep=0)


def test_an_installation_that_is_not_there_is_empty(run: Run, name: str) -> None:
    found = run(installation_info, name=name)
    assert found["resources"] == []
    assert found["installation"]["vpc"] is None
    assert found["installation"]["cluster"] is None
    assert found["installation"]["account_id"] == "123456789012"


def test_an_installation_is_found_by_its_tag_and_no_neighbour_with_it(
    run: Run, client: Make, name: str, subnet_ids: list[str]
) -> None:
    client("ec2").create_vpc(
        CidrBlock="10.9.0.0/16",
        TagSpecifications=[
            {"ResourceType": "vpc", "Tags": [{"Key": "langsmith:installation", "Value": f"{name}-other"}]}
        ],
    )
    iam = client("iam")
    for role_name, owner in ((f"{name}-langsmith", name), (f"{name}-other-langsmith", f"{name}-other")):
        tag = [{"Key": "langsmith:installation", "Value": owner}]
        iam.create_role(RoleName=role_name, AssumeRolePolicyDocument=json.dumps(TRUST), Tags=tag)
    found = run(installation_info, name=name)
    assert sorted(item["id"] for item in found["installation"]["subnets"]["private"]) == sorted(subnet_ids)
    assert list(found["installation"]["roles"]) == [f"{name}-langsmith"]
    assert len([arn for arn in found["resources"] if ":vpc/" in arn]) == 1
    assert not [arn for arn in found["resources"] if "-other" in arn]


def test_a_wish_with_a_word_that_is_not_known_is_refused(run: Run, name: str) -> None:
    result = run(installation_plan, name=name, wanted={"cluster": {"verison": "1.35"}})
    assert "verison" in result["msg"]


def test_a_plan_for_nothing_creates_everything_and_changes_nothing(run: Run, name: str) -> None:
    wanted = {
        "vpc": {"cidr_block": "10.0.0.0/16"},
        "subnets": [{"cidr_block": "10.0.0.0/20", "availability_zone": "us-east-1a", "public": True}],
        "nat_gateways": "single",
        "s3_endpoint": True,
        "cluster": {"version": "1.35"},
        "nodegroup": {"min_size": 1},
        "nodegroups": [{"name": "clickhouse"}],
        "addons": [{"name": "vpc-cni"}],
        "oidc_provider": True,
        "roles": [{"name": f"{name}-langsmith"}],
        "security_groups": [{"name": f"{name}-redis"}],
        "database": {},
        "cache": {},
        "bucket": {},
        "secrets": [{"name": f"langsmith/{name}/config"}],
        "certificate": {"domain_name": "langsmith.example.com"},
    }
    keys = [
        *("vpc", "internet_gateway", "subnets", "nat_gateways", "route_tables", "s3_endpoint"),
        *(f"security_group:{name}-redis", f"role:{name}-langsmith", "cluster", "oidc_provider", "nodegroup"),
        *("nodegroup:clickhouse", "addon:vpc-cni", "database_subnet_group", "database", "cache_subnet_group", "cache"),
        *("bucket", f"secret:langsmith/{name}/config", "certificate"),
    ]
    planned = run(installation_plan, check=True, name=name, wanted=wanted)
    assert sorted(planned["drift"]) == sorted(keys)
    assert {item["action"] for item in planned["drift"].values()} == {"create"}
    assert planned["changed"] is True
    assert run(installation_plan, name=name, wanted=wanted)["changed"] is False
    assert run(installation_info, name=name)["resources"] == []


class Agreement:
    """Holds a plan against what the module that writes a part says of the same wish."""

    def __init__(self, run: Run, clients: dict[str, Any], name: str, tags: dict[str, str]) -> None:
        self.run, self.clients, self.name, self.tags = run, clients, name, tags

    def plan(self, part: str, key: str, wish: Any) -> bool:
        options = {"name": self.name, "tags": {}, "wanted": {part: wish}}
        return key in installation_plan.compare(self.clients, options)["drift"]

    def module(self, module: Any, /, *, check: bool = True, **options: Any) -> bool:
        result = self.run(module, check=check, tags=self.tags, **options)
        assert "msg" not in result or "changed" in result, result
        assert not result.get("failed"), result
        return bool(result["changed"])


@pytest.fixture(scope="module")
def clients(endpoint: str) -> dict[str, Any]:
    return {name: make_client(name, region_name=REGION, endpoint_url=endpoint, **KEYS) for name in SERVICES}


@pytest.fixture
def agreement(run: Run, clients: dict[str, Any], name: str, tags: dict[str, str]) -> Agreement:
    return Agreement(run, clients, name, tags)


@pytest.fixture
def vpc_id(client: Make, subnet_ids: list[str]) -> str:
    found: str = client("ec2").describe_subnets(SubnetIds=subnet_ids[:1])["Subnets"][0]["VpcId"]
    return found


def test_plan_and_vpc_module_agree(agreement: Agreement, client: Make, name: str) -> None:
    wish = {"cidr_block": "10.0.0.0/16"}
    options: dict[str, Any] = {"name": name, **wish, "purge_tags": False, "dns_support": True, "dns_hostnames": True}
    assert agreement.plan("vpc", "vpc", wish) is agreement.module(ec2_vpc_net, **options) is True
    agreement.module(ec2_vpc_net, check=False, **options)
    assert agreement.plan("vpc", "vpc", wish) is agreement.module(ec2_vpc_net, **options) is False
    ec2 = client("ec2")
    (vpc,) = ec2.describe_vpcs(Filters=[{"Name": "tag:Name", "Values": [name]}])["Vpcs"]
    ec2.modify_vpc_attribute(VpcId=vpc["VpcId"], EnableDnsHostnames={"Value": False})
    assert agreement.plan("vpc", "vpc", wish) is agreement.module(ec2_vpc_net, **options) is True


def test_plan_and_subnet_module_agree(agreement: Agreement, vpc_id: str, client: Make) -> None:
    block = "10.0.32.0/20"
    wish = [{"cidr_block": block, "availability_zone": "us-east-1a", "public": True}]
    tags = {**agreement.tags, "kubernetes.io/role/elb": "1"}
    agreement.tags = tags
    options: dict[str, Any] = {"vpc_id": vpc_id, "cidr": block, "az": "us-east-1a", "purge_tags": False}
    assert agreement.plan("subnets", "subnets", wish) is agreement.module(ec2_vpc_subnet, **options) is True
    agreement.module(ec2_vpc_subnet, check=False, **options)
    assert agreement.plan("subnets", "subnets", wish) is agreement.module(ec2_vpc_subnet, **options) is False
    ec2 = client("ec2")
    (subnet,) = ec2.describe_subnets(
        Filters=[{"Name": "cidr-block", "Values": [block]}, {"Name": "vpc-id", "Values": [vpc_id]}]
    )["Subnets"]
    ec2.delete_tags(Resources=[subnet["SubnetId"]], Tags=[{"Key": "kubernetes.io/role/elb"}])
    # Without the tag that makes it public the subnet is still found, by its range.
    assert agreement.plan("subnets", "subnets", wish) is agreement.module(ec2_vpc_subnet, **options) is True


RULES: list[list[dict[str, Any]]] = [
    [{"proto": "tcp", "ports": [5432], "cidr_ip": "10.0.0.0/16"}],
    [{"proto": "tcp", "ports": ["5432-5433"], "cidr_ip": ["10.0.0.0/16", "10.1.0.0/16"]}],
    [{"proto": "-1", "cidr_ip": "10.0.0.0/16"}],
    [{"proto": "icmp", "from_port": -1, "to_port": -1, "cidr_ip": "0.0.0.0/0"}],
    [],
    [{"proto": "tcp", "from_port": 5432, "to_port": 5432, "cidr_ip": "10.0.0.0/16"}],
]


def test_plan_and_security_group_module_agree_on_rules_of_every_form(
    agreement: Agreement, vpc_id: str, name: str
) -> None:
    group, key = f"{name}-postgres", f"security_group:{name}-postgres"
    options: dict[str, Any] = {
        "name": group,
        "description": "LangSmith",
        "vpc_id": vpc_id,
        "rules_egress": [],
        "purge_tags": False,
    }
    start = [{"proto": "tcp", "ports": [22], "cidr_ip": "10.0.0.0/8"}]
    agreement.module(ec2_security_group, check=False, **options, rules=start)
    for rules in RULES:
        wish = [{"name": group, "rules": rules, "rules_egress": []}]
        assert agreement.plan("security_groups", key, wish) is True, rules
        assert agreement.module(ec2_security_group, check=False, **options, rules=rules) is True, rules
        assert agreement.plan("security_groups", key, wish) is False, rules
        assert agreement.module(ec2_security_group, **options, rules=rules) is False, rules


def test_plan_and_role_module_agree(agreement: Agreement, client: Make, name: str) -> None:
    role_name, key = f"{name}-eks-node", f"role:{name}-eks-node"
    allow = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}]}
    arn = client("iam").create_policy(PolicyName=f"{name}-p", PolicyDocument=json.dumps(allow))["Policy"]["Arn"]
    statement = {**TRUST["Statement"][0], "Action": "sts:AssumeRole"}  # type: ignore[dict-item]
    same = {"Version": "2012-10-17", "Statement": [statement]}

    def options(policies: list[str], trust: dict[str, Any]) -> dict[str, Any]:
        known = {"name": role_name, "managed_policies": policies, "create_instance_profile": False}
        return {**known, "assume_role_policy_document": json.dumps(trust), "purge_tags": False}

    def plan(policies: list[str], trust: dict[str, Any]) -> bool:
        wish = [{"name": role_name, "managed_policies": policies, "assume_role_policy": trust}]
        return agreement.plan("roles", key, wish)

    agreement.module(iam_role, check=False, **options([arn], TRUST))
    assert plan([arn], TRUST) is agreement.module(iam_role, **options([arn], TRUST)) is False
    assert plan([arn], same) is agreement.module(iam_role, **options([arn], same)) is False
    assert plan([], TRUST) is agreement.module(iam_role, **options([], TRUST)) is True
    other = json.loads(json.dumps(TRUST).replace("ec2.", "eks."))
    assert plan([arn], other) is agreement.module(iam_role, **options([arn], other)) is True


def test_plan_and_subnet_group_module_agree(agreement: Agreement, name: str, subnet_ids: list[str]) -> None:
    group = f"{name}-postgres"
    options: dict[str, Any] = {"name": group, "description": "LangSmith", "state": "present"}
    part = "database_subnet_group"
    assert agreement.plan(part, part, {}) is True
    agreement.module(rds_subnet_group, check=False, **options, subnets=subnet_ids)
    assert agreement.plan(part, part, {}) is False
    assert agreement.module(rds_subnet_group, **options, subnets=subnet_ids) is False


def test_plan_and_bucket_module_agree(agreement: Agreement, client: Make, name: str) -> None:
    bucket = f"{name}-blobs"
    public = ("block_public_acls", "ignore_public_acls", "block_public_policy", "restrict_public_buckets")
    options: dict[str, Any] = {
        "name": bucket,
        "versioning": True,
        "encryption": "AES256",
        "public_access": dict.fromkeys(public, True),
        "object_ownership": "BucketOwnerEnforced",
    }
    wish = {
        "name": bucket,
        "versioning": True,
        "encryption": "AES256",
        "public_access_blocked": True,
        "object_ownership": "BucketOwnerEnforced",
    }
    assert agreement.plan("bucket", "bucket", wish) is True
    agreement.module(s3_bucket, check=False, **options)
    assert agreement.plan("bucket", "bucket", wish) is False
    assert agreement.module(s3_bucket, check=False, **options) is False
    client("s3").put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Suspended"})
    assert agreement.plan("bucket", "bucket", wish) is True
    assert agreement.module(s3_bucket, check=False, **options) is True


def test_a_secret_that_waits_for_its_deletion_is_told_and_is_to_be_created(run: Run, client: Make, name: str) -> None:
    full = secret(client, name, password="correct-horse")
    manager = client("secretsmanager")
    wanted = {"secrets": [{"name": full, "keys": ["password", "salt"]}]}
    difference = next(
        item
        for item in run(installation_plan, name=name, wanted=wanted)["drift"][f"secret:{full}"]["differences"]
        if item["field"] == "keys"
    )
    assert difference["actual"] == ["password"]
    manager.delete_secret(SecretId=full, RecoveryWindowInDays=7)
    planned = run(installation_plan, name=name, wanted=wanted)
    assert planned["drift"][f"secret:{full}"]["action"] == "create"
    assert list(planned["installation"]["secrets_pending_deletion"]) == [full]
    assert "correct-horse" not in json.dumps(planned)
