# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
import uuid
from typing import Any

import psycopg
import pytest
import redis
import requests

from sandbox import state as sandbox_state
from tests.sandbox.aws.account import Account, code_of, until


def database(account: Account, name: str, **more: Any) -> dict[str, Any]:
    given: dict[str, Any] = {
        "DBInstanceIdentifier": name,
        "Engine": "postgres",
        "EngineVersion": "16.10",
        "AllocatedStorage": 20,
    }
    given |= {"DBInstanceClass": "db.m7g.large", "MasterUsername": "langsmith", "MasterUserPassword": "password-one"}
    return {**given, "DBName": "langsmith", "StorageType": "gp3", **more}


def instance(account: Account, name: str) -> Any:
    def found() -> Any:
        return account.client("rds").describe_db_instances(DBInstanceIdentifier=name)["DBInstances"][0]

    until(lambda: found()["DBInstanceStatus"] == "available")
    return found()


def connect(account: Account, described: Any, password: str) -> psycopg.Connection[Any]:
    endpoint, authority = described["Endpoint"], account.state / "ca" / "ca.crt"
    return psycopg.connect(
        host=endpoint["Address"], port=endpoint["Port"], user="langsmith", dbname="langsmith", password=password,
        sslmode="verify-full", sslrootcert=str(authority), connect_timeout=60,
    )  # fmt: skip


def test_quotas_that_a_deployment_asks_for_have_values_and_others_do_not_exist(account: Account) -> None:
    quotas = account.client("service-quotas")
    for service, code in (("ec2", "L-1216C47A"), ("ec2", "L-0263D0A3"), ("vpc", "L-F678F1CE")):
        assert quotas.get_service_quota(ServiceCode=service, QuotaCode=code)["Quota"]["Value"] > 0
    assert code_of(quotas.get_service_quota, ServiceCode="ec2", QuotaCode="L-00000000") == "NoSuchResourceException"


def test_delays_are_set_while_it_runs_and_unknown_kinds_are_refused(account: Account) -> None:
    assert account.post("/sandbox/delays", {"ec2::natgateway": 0})["ec2::natgateway"] == 0
    with pytest.raises(requests.HTTPError, match="400"):
        account.post("/sandbox/delays", {"bogus": 1})


def test_a_dry_run_makes_nothing(account: Account) -> None:
    ec2 = account.client("ec2")
    before = len(ec2.describe_vpcs()["Vpcs"])
    assert code_of(ec2.create_vpc, CidrBlock="10.9.0.0/16", DryRun=True) == "DryRunOperation"
    assert len(ec2.describe_vpcs()["Vpcs"]) == before


def test_a_nat_gateway_takes_time_and_holds_what_it_uses(account: Account) -> None:
    ec2, (vpc, subnets) = account.client("ec2"), account.network()
    gateway = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc)
    address = ec2.allocate_address(Domain="vpc")["AllocationId"]
    nat = ec2.create_nat_gateway(SubnetId=subnets[0], AllocationId=address)["NatGateway"]
    assert nat["State"] == "pending"
    identifier = nat["NatGatewayId"]

    def state() -> str:
        return str(ec2.describe_nat_gateways(NatGatewayIds=[identifier])["NatGateways"][0]["State"])

    until(lambda: state() == "available")
    assert code_of(ec2.delete_subnet, SubnetId=subnets[0]) == "DependencyViolation"
    detach = {"InternetGatewayId": gateway, "VpcId": vpc}
    assert code_of(ec2.detach_internet_gateway, **detach) == "DependencyViolation"
    ec2.delete_nat_gateway(NatGatewayId=identifier)
    until(lambda: state() == "deleted")
    ec2.release_address(AllocationId=address)
    ec2.detach_internet_gateway(**detach)
    ec2.delete_subnet(SubnetId=subnets[0])


def test_a_database_is_a_real_server_whose_password_can_be_changed(account: Account) -> None:
    rds = account.client("rds")
    assert rds.create_db_instance(**database(account, "one"))["DBInstance"]["DBInstanceStatus"] == "creating"
    described = instance(account, "one")
    with connect(account, described, "password-one") as connection:
        connection.execute("CREATE TABLE kept (i int)")
    rds.modify_db_instance(DBInstanceIdentifier="one", MasterUserPassword="password-two", ApplyImmediately=True)
    described = instance(account, "one")
    connect(account, described, "password-two").close()
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        connect(account, described, "password-one")
    rds.create_db_snapshot(DBInstanceIdentifier="one", DBSnapshotIdentifier="kept")
    rds.restore_db_instance_from_db_snapshot(DBInstanceIdentifier="two", DBSnapshotIdentifier="kept")
    with connect(account, instance(account, "two"), "password-two") as connection:
        assert connection.execute("SELECT count(*) FROM kept").fetchone() == (0,)
    for name in ("one", "two"):
        rds.delete_db_instance(DBInstanceIdentifier=name, SkipFinalSnapshot=True)
    until(lambda: not rds.describe_db_instances()["DBInstances"])
    assert not list((account.state / "stores").glob("postgres-*"))


def test_what_rds_refuses_is_refused(account: Account) -> None:
    rds, (_, subnets) = account.client("rds"), account.network()
    cases: list[tuple[dict[str, Any], str]] = [
        ({"EngineVersion": "99.9"}, "InvalidParameterCombination"),
        ({"DBInstanceClass": "db.bogus"}, "InvalidParameterValue"),
        ({"DBInstanceClass": "db.m7g.micro"}, "InvalidParameterValue"),
        ({"MasterUserPassword": "short"}, "InvalidParameterValue"),
        ({"MasterUserPassword": "with/slash"}, "InvalidParameterValue"),
        ({"AllocatedStorage": 5}, "InvalidParameterCombination"),
    ]
    for change, code in cases:
        assert code_of(rds.create_db_instance, **database(account, "refused", **change)) == code
    group: dict[str, Any] = {"DBSubnetGroupName": "one-zone", "DBSubnetGroupDescription": "d", "SubnetIds": subnets[:1]}
    assert code_of(rds.create_db_subnet_group, **group) == "DBSubnetGroupDoesNotCoverEnoughAZs"


def test_a_replication_group_is_a_real_server_with_tls_and_a_token(account: Account) -> None:
    cache, name = account.client("elasticache"), f"c-{uuid.uuid4().hex[:6]}"
    tokens = ["first-token-0123456", "second-token-012345"]
    given: dict[str, Any] = {
        "ReplicationGroupId": name,
        "ReplicationGroupDescription": "d",
        "CacheNodeType": "cache.m7g.large",
    }
    given |= {"NumCacheClusters": 2, "AutomaticFailoverEnabled": True, "TransitEncryptionEnabled": True}
    cache.create_replication_group(**given, Engine="redis", EngineVersion="7.1", AuthToken=tokens[0])

    def group() -> Any:
        return cache.describe_replication_groups(ReplicationGroupId=name)["ReplicationGroups"][0]

    def ping(token: str) -> bool:
        endpoint = group()["NodeGroups"][0]["PrimaryEndpoint"]
        authority = str(account.state / "ca" / "ca.crt")
        with redis.Redis(
            host=endpoint["Address"], port=endpoint["Port"], password=token, ssl=True, ssl_ca_certs=authority
        ) as client:
            return bool(client.ping())

    until(lambda: group()["Status"] == "available")
    assert group()["MemberClusters"] == [f"{name}-001", f"{name}-002"]
    assert ping(tokens[0])
    for strategy in ("ROTATE", "SET"):
        change = {"AuthToken": tokens[1], "AuthTokenUpdateStrategy": strategy, "ApplyImmediately": True}
        cache.modify_replication_group(ReplicationGroupId=name, **change)
        until(lambda: group()["Status"] == "available")
        assert ping(tokens[1])
    with pytest.raises(redis.AuthenticationError):
        ping(tokens[0])
    cache.delete_replication_group(ReplicationGroupId=name)
    until(lambda: not cache.describe_replication_groups()["ReplicationGroups"])


def test_what_elasticache_refuses_is_refused(account: Account) -> None:
    create = account.client("elasticache").create_replication_group
    base: dict[str, Any] = {"ReplicationGroupId": "refused", "ReplicationGroupDescription": "d"}
    assert code_of(create, **base, CacheNodeType="cache.bogus") == "InvalidParameterValue"
    assert code_of(create, **base, EngineVersion="9.9") == "InvalidParameterCombination"
    assert code_of(create, **base, AuthToken="short", TransitEncryptionEnabled=True) == "InvalidParameterValue"
    assert code_of(create, **base, AuthToken="long-enough-token-1") == "InvalidParameterValue"
    assert code_of(create, **base, AutomaticFailoverEnabled=True, NumCacheClusters=1) == "InvalidParameterCombination"


def test_a_certificate_is_requested_anew_after_it_was_deleted(account: Account) -> None:
    acm = account.client("acm")
    wanted = {"DomainName": "twice.localhost", "ValidationMethod": "DNS", "IdempotencyToken": "twice"}
    first = acm.request_certificate(**wanted)["CertificateArn"]
    assert acm.request_certificate(**wanted)["CertificateArn"] == first
    acm.delete_certificate(CertificateArn=first)
    second = acm.request_certificate(**wanted)["CertificateArn"]
    assert acm.describe_certificate(CertificateArn=second)["Certificate"]["Status"] == "PENDING_VALIDATION"
    assert second != first


def test_a_certificate_is_issued_once_its_record_is_in_a_public_zone(account: Account) -> None:
    acm, route53 = account.client("acm"), account.client("route53")
    domain = f"{uuid.uuid4().hex[:6]}.localhost"
    arn = acm.request_certificate(DomainName=domain, ValidationMethod="DNS")["CertificateArn"]

    def certificate() -> Any:
        return acm.describe_certificate(CertificateArn=arn)["Certificate"]

    assert certificate()["Status"] == "PENDING_VALIDATION"
    assert code_of(acm.get_certificate, CertificateArn=arn) == "RequestInProgressException"
    record = certificate()["DomainValidationOptions"][0]["ResourceRecord"]
    zone = route53.create_hosted_zone(Name="localhost", CallerReference=domain)["HostedZone"]["Id"]

    def write(value: str) -> None:
        rows = {"Name": record["Name"], "Type": "CNAME", "TTL": 60, "ResourceRecords": [{"Value": value}]}
        changes = {"Changes": [{"Action": "UPSERT", "ResourceRecordSet": rows}]}
        route53.change_resource_record_sets(HostedZoneId=zone, ChangeBatch=changes)

    write("_wrong.acm-validations.aws.")
    assert certificate()["Status"] == "PENDING_VALIDATION"
    write(record["Value"])
    assert certificate()["Status"] == "ISSUED"
    files = account.state / "acm" / arn.rpartition("/")[2]
    assert json.loads(files.with_suffix(".json").read_text())["names"] == [domain]
    assert files.with_suffix(".key").stat().st_mode & 0o077 == 0
    acm.delete_certificate(CertificateArn=arn)
    assert not files.with_suffix(".key").exists()


def test_target_health_is_what_the_data_plane_wrote(account: Account) -> None:
    elb, (vpc, subnets) = account.client("elbv2"), account.network()
    name = f"t-{uuid.uuid4().hex[:6]}"
    group = elb.create_target_group(Name=name, Protocol="HTTP", Port=80, VpcId=vpc, TargetType="ip")
    arn = group["TargetGroups"][0]["TargetGroupArn"]
    elb.register_targets(TargetGroupArn=arn, Targets=[{"Id": "10.0.1.9", "Port": 8080}])

    def state() -> str:
        rows = elb.describe_target_health(TargetGroupArn=arn)["TargetHealthDescriptions"]
        return str(rows[0]["TargetHealth"]["State"])

    assert state() == "unused"
    balancer = elb.create_load_balancer(Name=name, Subnets=subnets)["LoadBalancers"][0]["LoadBalancerArn"]
    forward = [{"Type": "forward", "TargetGroupArn": arn}]
    elb.create_listener(LoadBalancerArn=balancer, Protocol="HTTP", Port=80, DefaultActions=forward)
    assert state() == "initial"
    health = {arn: {"10.0.1.9:8080": {"State": "healthy"}}}
    sandbox_state.write_text(account.state / "load-balancer-health.json", json.dumps(health))
    assert state() == "healthy"


def test_what_was_made_is_there_after_a_restart(account: Account) -> None:
    secret = f"langsmith/{uuid.uuid4().hex[:8]}"
    account.client("secretsmanager").create_secret(Name=secret, SecretString="kept")
    key = account.session().get_credentials().access_key
    arn = account.client("acm").request_certificate(DomainName="again.localhost", ValidationMethod="DNS")
    account.stop()
    account.start()
    assert account.session().get_credentials().access_key == key
    assert account.client("secretsmanager").get_secret_value(SecretId=secret)["SecretString"] == "kept"
    described = account.client("acm").describe_certificate(CertificateArn=arn["CertificateArn"])
    assert described["Certificate"]["Status"] == "PENDING_VALIDATION"
    assert (account.state / "aws" / "snapshot.pickle").stat().st_mode & 0o077 == 0
