# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Amazon EC2: everything of the network that carries an installation's tag."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.langsmith.aws.plugins.module_utils.clients.aws import AwsCallError, call, none_on, pages
from ansible_collections.langsmith.aws.plugins.module_utils.domain.resources.network import (
    ElasticIp,
    InternetGateway,
    NatGateway,
    RouteTable,
    Rule,
    SecurityGroup,
    Subnet,
    Volume,
    Vpc,
    VpcEndpoint,
)
from ansible_collections.langsmith.aws.plugins.module_utils.domain.resources.vpc_interface_endpoint import (
    EndpointSettings,
    InterfaceEndpoint,
)
from ansible_collections.langsmith.aws.plugins.module_utils.domain.tags import (
    INSTALLATION_TAG,
    TagChange,
    from_pairs,
    to_pairs,
)

#: What the EBS CSI driver of EKS writes on a volume.
CLAIM_TAG = "kubernetes.io/created-for/pvc/name"
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


def endpoints(client: Any, name: str) -> tuple[VpcEndpoint | InterfaceEndpoint, ...]:
    """The installation's VPC endpoints of both kinds but those that are deleted."""
    return tuple(endpoint_of(item) for item in _endpoints(client, Filters=_tagged(name)))


def interface_endpoint(client: Any, vpc_id: str, service_name: str) -> InterfaceEndpoint | None:
    """The interface endpoint of a VPC to a service, or ``None``."""
    filters = [{"Name": "vpc-id", "Values": [vpc_id]}, {"Name": "service-name", "Values": [service_name]}]
    found = (endpoint_of(item) for item in _endpoints(client, Filters=filters))
    return next((item for item in found if isinstance(item, InterfaceEndpoint)), None)


def _endpoints(client: Any, **arguments: Any) -> list[dict[str, Any]]:
    found = pages(client, "describe_vpc_endpoints", "VpcEndpoints", **arguments)
    return [item for item in found if (item.get("State") or "").lower() != "deleted"]


def endpoint_of(item: Mapping[str, Any]) -> VpcEndpoint | InterfaceEndpoint:
    """An endpoint as DescribeVpcEndpoints tells of it."""
    if item.get("VpcEndpointType") == "Interface":
        names = [entry["DnsName"] for entry in item.get("DnsEntries") or [] if entry.get("DnsName")]
        return InterfaceEndpoint(
            id=item["VpcEndpointId"],
            vpc_id=item.get("VpcId") or "",
            service_name=item["ServiceName"],
            state=(item.get("State") or "").lower(),
            subnet_ids=tuple(sorted(item.get("SubnetIds") or ())),
            security_group_ids=tuple(sorted(group["GroupId"] for group in item.get("Groups") or ())),
            private_dns=bool(item.get("PrivateDnsEnabled")),
            dns_names=tuple(names),
            message=(item.get("LastError") or {}).get("Message") or "",
            tags=from_pairs(item.get("Tags")),
        )
    return VpcEndpoint(
        item["VpcEndpointId"],
        item["ServiceName"],
        item.get("State") or "available",
        tuple(sorted(item.get("RouteTableIds") or ())),
    )


def create_interface_endpoint(
    client: Any, vpc_id: str, service_name: str, settings: EndpointSettings, tags: Mapping[str, str] | None
) -> None:
    """Ask for an endpoint. Its private names wait until the owner of the service has accepted it."""
    call(
        client,
        "create_vpc_endpoint",
        VpcEndpointType="Interface",
        VpcId=vpc_id,
        ServiceName=service_name,
        SubnetIds=list(settings.subnet_ids or ()),
        SecurityGroupIds=list(settings.security_group_ids or ()),
        PrivateDnsEnabled=False,
        **({"TagSpecifications": [{"ResourceType": "vpc-endpoint", "Tags": to_pairs(tags)}]} if tags else {}),
    )


def modify_endpoint(client: Any, endpoint_id: str, **changes: Any) -> None:
    """Change what ModifyVpcEndpoint takes."""
    call(client, "modify_vpc_endpoint", VpcEndpointId=endpoint_id, **changes)


def delete_endpoint(client: Any, endpoint_id: str) -> None:
    """Start the deletion of an endpoint. Raises :class:`AwsCallError` also where AWS tells of it in the answer."""
    answer = call(client, "delete_vpc_endpoints", VpcEndpointIds=[endpoint_id])
    for item in answer.get("Unsuccessful") or []:
        code, text = item["Error"]["Code"], item["Error"].get("Message") or ""
        if code != "InvalidVpcEndpointId.NotFound":
            raise AwsCallError("ec2:DeleteVpcEndpoints", code, f"{endpoint_id} was not deleted: {code}: {text}")


def change_tags(client: Any, resource_id: str, change: TagChange) -> None:
    """Write and remove tags."""
    if change.put:
        call(client, "create_tags", Resources=[resource_id], Tags=to_pairs(change.put))
    if change.remove:
        call(client, "delete_tags", Resources=[resource_id], Tags=[{"Key": key} for key in change.remove])


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


def volumes(client: Any, name: str) -> tuple[Volume, ...]:
    """The installation's volumes but those that are being deleted."""
    made = []
    for item in pages(client, "describe_volumes", "Volumes", Filters=_tagged(name)):
        if item.get("State") in ("deleting", "deleted"):
            continue
        tags = from_pairs(item.get("Tags"))
        made.append(
            Volume(
                item["VolumeId"],
                item.get("AvailabilityZone") or "",
                int(item.get("Size") or 0),
                item.get("VolumeType") or "",
                item.get("Iops"),
                item.get("Throughput"),
                item.get("State") or "",
                tags.get(CLAIM_TAG, ""),
            )
        )
    return tuple(sorted(made, key=lambda item: (item.claim, item.id)))
