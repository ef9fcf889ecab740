# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Amazon EC2: everything of the network that carries an installation's tag."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.langsmith.aws.plugins.module_utils.clients.aws import call, none_on, pages
from ansible_collections.langsmith.aws.plugins.module_utils.domain.resources.network import (
    ElasticIp,
    InternetGateway,
    NatGateway,
    RouteTable,
    Rule,
    SecurityGroup,
    Subnet,
    Vpc,
    VpcEndpoint,
)
from ansible_collections.langsmith.aws.plugins.module_utils.domain.tags import INSTALLATION_TAG, from_pairs

_TARGETS = (
    "GatewayId",
    "NatGatewayId",
    "TransitGatewayId",
    "VpcPeeringConnectionId",
    "NetworkInterfaceId",
    "InstanceId",
)


def _tagged(name: str) -> list[dict[str, Any]]:
    return [{"Name": f"tag:{INSTALLATION_TAG}", "Values": [name]}]


def vpc(client: Any, name: str) -> Vpc | None:
    """The installation's VPC, or ``None``; the oldest id when there are several."""
    found = pages(client, "describe_vpcs", "Vpcs", Filters=_tagged(name))
    made = [
        Vpc(item["VpcId"], item["CidrBlock"], item.get("State", ""), tags=from_pairs(item.get("Tags")))
        for item in found
    ]
    return min(made, key=lambda item: item.id, default=None)


@none_on("InvalidVpcID.NotFound")
def vpc_switch(client: Any, vpc_id: str, name: str) -> bool | None:
    """Whether ``enableDnsSupport`` or ``enableDnsHostnames`` is on."""
    answer = call(client, "describe_vpc_attribute", VpcId=vpc_id, Attribute=name)
    return bool(answer[f"{name[0].upper()}{name[1:]}"]["Value"])


def subnets(client: Any, name: str) -> tuple[Subnet, ...]:
    """The installation's subnets."""
    return tuple(
        Subnet(
            item["SubnetId"],
            item["CidrBlock"],
            item["AvailabilityZone"],
            item["VpcId"],
            bool(item.get("MapPublicIpOnLaunch")),
            from_pairs(item.get("Tags")),
        )
        for item in pages(client, "describe_subnets", "Subnets", Filters=_tagged(name))
    )


def internet_gateways(client: Any, name: str) -> tuple[InternetGateway, ...]:
    """The installation's internet gateways."""
    return tuple(
        InternetGateway(
            item["InternetGatewayId"],
            tuple(to["VpcId"] for to in item.get("Attachments") or [] if to.get("VpcId")),
            from_pairs(item.get("Tags")),
        )
        for item in pages(client, "describe_internet_gateways", "InternetGateways", Filters=_tagged(name))
    )


def nat_gateways(client: Any, name: str) -> tuple[NatGateway, ...]:
    """The installation's NAT gateways but those that are deleted, which EC2 lists for an hour."""
    made = []
    for item in pages(client, "describe_nat_gateways", "NatGateways", Filter=_tagged(name)):
        address: dict[str, Any] = next(iter(item.get("NatGatewayAddresses") or []), {})
        if item.get("State") == "deleted":
            continue
        made.append(
            NatGateway(
                item["NatGatewayId"],
                item.get("State") or "pending",
                item["SubnetId"],
                address.get("PublicIp"),
                address.get("AllocationId"),
                from_pairs(item.get("Tags")),
            )
        )
    return tuple(sorted(made, key=lambda item: item.id))


def elastic_ips(client: Any, name: str) -> tuple[ElasticIp, ...]:
    """The installation's elastic addresses."""
    found = call(client, "describe_addresses", Filters=_tagged(name)).get("Addresses") or []
    return tuple(
        ElasticIp(item["AllocationId"], item.get("PublicIp", ""), item.get("AssociationId") or None)
        for item in sorted(found, key=lambda item: item["AllocationId"])
    )


def route_tables(client: Any, name: str) -> tuple[RouteTable, ...]:
    """The installation's route tables."""
    made = []
    for item in pages(client, "describe_route_tables", "RouteTables", Filters=_tagged(name)):
        tags = from_pairs(item.get("Tags"))
        joined = (to["SubnetId"] for to in item.get("Associations") or [] if to.get("SubnetId"))
        made.append(
            RouteTable(
                item["RouteTableId"], tags.get("Name", ""), item["VpcId"], tuple(sorted(joined)), _routes(item), tags
            )
        )
    return tuple(sorted(made, key=lambda item: (item.name, item.id)))


def _routes(table: Mapping[str, Any]) -> dict[str, str]:
    routes = {}
    for route in table.get("Routes") or []:
        destination = (
            route.get("DestinationCidrBlock")
            or route.get("DestinationIpv6CidrBlock")
            or route.get("DestinationPrefixListId")
        )
        target = next((route[key] for key in _TARGETS if route.get(key)), None)
        if destination and target and route.get("State") != "blackhole":
            routes[destination] = target
    return routes


def endpoints(client: Any, name: str) -> tuple[VpcEndpoint, ...]:
    """The installation's VPC endpoints but those that are deleted."""
    found = pages(client, "describe_vpc_endpoints", "VpcEndpoints", Filters=_tagged(name))
    return tuple(
        VpcEndpoint(
            item["VpcEndpointId"],
            item["ServiceName"],
            item.get("State") or "available",
            tuple(sorted(item.get("RouteTableIds") or ())),
        )
        for item in found
        if (item.get("State") or "").lower() != "deleted"
    )


def security_groups(client: Any, name: str) -> tuple[SecurityGroup, ...]:
    """The installation's security groups with their rules."""
    return tuple(
        SecurityGroup(
            item["GroupId"],
            item["GroupName"],
            item.get("VpcId") or "",
            item.get("Description") or "",
            frozenset(_rules(item.get("IpPermissions") or [])),
            frozenset(_rules(item.get("IpPermissionsEgress") or [])),
            from_pairs(item.get("Tags")),
        )
        for item in pages(client, "describe_security_groups", "SecurityGroups", Filters=_tagged(name))
    )


def _rules(permissions: Iterable[Mapping[str, Any]]) -> Iterable[Rule]:
    for item in permissions:
        protocol = str(item.get("IpProtocol"))
        ports = (-1, -1) if protocol == "-1" else (item.get("FromPort", -1), item.get("ToPort", -1))
        peers = [peer["CidrIp"] for peer in item.get("IpRanges") or []]
        peers += [peer["CidrIpv6"] for peer in item.get("Ipv6Ranges") or []]
        peers += [peer["PrefixListId"] for peer in item.get("PrefixListIds") or []]
        peers += [peer.get("GroupId") or peer.get("GroupName") for peer in item.get("UserIdGroupPairs") or []]
        yield from ((protocol, *ports, peer) for peer in peers)


def instances(client: Any, name: str) -> tuple[str, ...]:
    """The ids of the installation's instances but those that are terminated, which EC2 lists for an hour."""
    states = ["pending", "running", "shutting-down", "stopping", "stopped"]
    alive = {"Name": "instance-state-name", "Values": states}
    found = pages(client, "describe_instances", "Reservations", Filters=[*_tagged(name), alive])
    return tuple(sorted(item["InstanceId"] for group in found for item in group.get("Instances") or []))


def volumes(client: Any, name: str) -> tuple[str, ...]:
    """The ids of the installation's volumes."""
    return tuple(
        sorted(item["VolumeId"] for item in pages(client, "describe_volumes", "Volumes", Filters=_tagged(name)))
    )
