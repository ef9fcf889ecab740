# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import ipaddress
import json
from collections.abc import Iterator
from typing import Any

import pytest

from sandbox import state
from tests.sandbox.aws.account import Account, code_of, until

SERVICE = "com.amazonaws.vpce.us-east-1.vpce-svc-0123456789abcdef0"
NAME = "acme.us-east-1.vpce.aws.clickhouse.cloud"
ADDRESS = "127.9.254.1"


class Network:
    """A VPC with two subnets and a security group."""

    def __init__(self, account: Account) -> None:
        self.account, self.ec2 = account, account.client("ec2")
        self.vpc = self.ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
        blocks = {"us-east-1a": "10.9.0.0/24", "us-east-1b": "10.9.1.0/24"}
        self.subnets = [
            self.ec2.create_subnet(VpcId=self.vpc, CidrBlock=block, AvailabilityZone=zone)["Subnet"]["SubnetId"]
            for zone, block in blocks.items()
        ]
        group = self.ec2.create_security_group(GroupName="clickhouse", Description="clickhouse", VpcId=self.vpc)
        self.group = group["GroupId"]

    def offer(self, **wanted: Any) -> None:
        """What the settings say of the managed ClickHouse."""
        known = {"service_name": SERVICE, "private_dns_name": NAME, "address": ADDRESS, **wanted}
        state.write_text(self.account.state / "settings.json", json.dumps({"managed_clickhouse": known}))

    def endpoint(self, service: str = SERVICE, **wanted: Any) -> dict[str, Any]:
        """A new interface endpoint in both subnets."""
        where = {"VpcId": self.vpc, "SubnetIds": self.subnets, "SecurityGroupIds": [self.group]}
        made: dict[str, Any] = self.ec2.create_vpc_endpoint(
            VpcEndpointType="Interface", ServiceName=service, **{"PrivateDnsEnabled": True, **where, **wanted}
        )["VpcEndpoint"]
        return made

    def described(self, endpoint: dict[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = self.ec2.describe_vpc_endpoints(VpcEndpointIds=[endpoint["VpcEndpointId"]])[
            "VpcEndpoints"
        ][0]
        return found

    def hosts(self) -> dict[str, str]:
        """What pods resolve."""
        path = self.account.state / "hosts.json"
        found: dict[str, str] = json.loads(path.read_text()) if path.exists() else {}
        return found


@pytest.fixture
def network(account: Account) -> Iterator[Network]:
    made = Network(account)
    made.offer()
    yield made
    living = [item["VpcEndpointId"] for item in made.ec2.describe_vpc_endpoints()["VpcEndpoints"]]
    made.ec2.delete_vpc_endpoints(VpcEndpointIds=living)
    (account.state / "settings.json").unlink()


def test_an_endpoint_waits_to_be_accepted_and_then_its_names_resolve(network: Network) -> None:
    network.offer(accept=False)
    made = network.endpoint()
    assert network.described(made)["State"] == "pendingAcceptance"
    assert NAME not in network.hosts()
    network.offer(accept=True)
    until(lambda: network.described(made)["State"] == "available")
    names = [entry["DnsName"] for entry in network.described(made)["DnsEntries"]]
    assert names[-1] == NAME
    assert [name.endswith(".vpce-svc-0123456789abcdef0.us-east-1.vpce.amazonaws.com") for name in names] == [
        *[True] * 3,
        False,
    ]
    assert {network.hosts()[name] for name in names} == {ADDRESS}
    network.ec2.delete_vpc_endpoints(VpcEndpointIds=[made["VpcEndpointId"]])
    assert not set(names) & set(network.hosts())


def test_an_endpoint_has_addresses_of_its_subnets_and_holds_subnets_and_groups(network: Network) -> None:
    made = network.endpoint()
    assert [group["GroupId"] for group in made["Groups"]] == [network.group]
    found = network.ec2.describe_network_interfaces(NetworkInterfaceIds=made["NetworkInterfaceIds"])[
        "NetworkInterfaces"
    ]
    addresses = sorted(ipaddress.ip_address(item["PrivateIpAddress"]) for item in found)
    for address, block in zip(addresses, ("10.9.0.0/24", "10.9.1.0/24"), strict=True):
        assert address in ipaddress.ip_network(block)
    assert [group["GroupId"] for group in found[0]["Groups"]] == [network.group]
    assert code_of(network.ec2.delete_security_group, GroupId=network.group) == "DependencyViolation"
    assert code_of(network.ec2.delete_subnet, SubnetId=network.subnets[0]) == "DependencyViolation"
    network.ec2.delete_vpc_endpoints(VpcEndpointIds=[made["VpcEndpointId"]])
    network.ec2.delete_security_group(GroupId=network.group)


def test_private_dns_can_be_turned_on_later(network: Network) -> None:
    made = network.endpoint(PrivateDnsEnabled=False)
    until(lambda: network.described(made)["State"] == "available")
    assert NAME not in network.hosts()
    network.ec2.modify_vpc_endpoint(VpcEndpointId=made["VpcEndpointId"], PrivateDnsEnabled=True)
    assert network.hosts()[NAME] == ADDRESS
    assert network.described(made)["PrivateDnsEnabled"]


def test_a_service_that_nobody_offers_does_not_exist(network: Network) -> None:
    unknown = SERVICE.replace("svc-0", "svc-1")
    assert code_of(network.endpoint, service=unknown) == "InvalidServiceName"
    assert code_of(network.ec2.describe_vpc_endpoint_services, ServiceNames=[unknown]) == "InvalidServiceName"
    network.offer(private_dns_name="")
    assert code_of(network.endpoint) == "InvalidParameter"


def test_the_service_tells_what_it_offers(network: Network) -> None:
    found = network.ec2.describe_vpc_endpoint_services(ServiceNames=[SERVICE])["ServiceDetails"][0]
    assert (found["PrivateDnsName"], found["AcceptanceRequired"]) == (NAME, True)
    assert {"us-east-1a", "us-east-1b"} <= set(found["AvailabilityZones"])


def test_a_service_that_is_not_in_every_zone_takes_no_subnets_of_others(network: Network) -> None:
    network.offer(zones=["us-east-1b", "us-east-1c"])
    (found,) = network.ec2.describe_vpc_endpoint_services(ServiceNames=[SERVICE])["ServiceDetails"]
    assert found["AvailabilityZones"] == ["us-east-1b", "us-east-1c"]
    assert code_of(network.endpoint) == "InvalidParameter"
    made = network.endpoint(SubnetIds=network.subnets[1:])
    change = {"VpcEndpointId": made["VpcEndpointId"], "AddSubnetIds": network.subnets[:1]}
    assert code_of(network.ec2.modify_vpc_endpoint, **change) == "InvalidParameter"
    assert network.described(made)["SubnetIds"] == network.subnets[1:]


def test_an_endpoint_of_aws_itself_becomes_available_and_a_gateway_is(network: Network) -> None:
    made = network.endpoint(service="com.amazonaws.us-east-1.ecr.api")
    until(lambda: network.described(made)["State"] == "available")
    gateway = network.ec2.create_vpc_endpoint(VpcId=network.vpc, ServiceName="com.amazonaws.us-east-1.s3")[
        "VpcEndpoint"
    ]
    assert gateway["State"] == "available"
