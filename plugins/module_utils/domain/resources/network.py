# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The network of an installation: what is there, and whether it does what is wanted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from ansible_collections.langsmith.aws.plugins.module_utils.domain.difference import Difference
from ansible_collections.langsmith.aws.plugins.module_utils.domain.resources.vpc_interface_endpoint import (
    InterfaceEndpoint,
)
from ansible_collections.langsmith.aws.plugins.module_utils.domain.tags import tag_differences

NatMode = Literal["none", "single", "per_zone"]
ANYWHERE = "0.0.0.0/0"
#: Subnets for load balancers carry the first, those for nodes the second (EKS user guide, load balancer subnets).
PUBLIC_TAG, PRIVATE_TAG = "kubernetes.io/role/elb", "kubernetes.io/role/internal-elb"


@dataclass(frozen=True)
class Vpc:
    """A VPC; the two switches are ``None`` when they were not asked for."""

    id: str
    cidr_block: str
    state: str
    dns_support: bool | None = None
    dns_hostnames: bool | None = None
    tags: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Subnet:
    """A subnet."""

    id: str
    cidr_block: str
    availability_zone: str
    vpc_id: str
    map_public: bool = False
    tags: dict[str, str] = field(default_factory=dict)

    @property
    def public(self) -> bool:
        """Whether load balancers of the internet go here."""
        return PUBLIC_TAG in self.tags


@dataclass(frozen=True)
class InternetGateway:
    """An internet gateway and the VPCs it is attached to."""

    id: str
    vpc_ids: tuple[str, ...]
    tags: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class NatGateway:
    """A NAT gateway; one that is deleted or going has no subnet to serve."""

    id: str
    state: str
    subnet_id: str
    public_ip: str | None
    allocation_id: str | None
    tags: dict[str, str] = field(default_factory=dict)

    @property
    def alive(self) -> bool:
        """Whether it carries traffic, or soon will."""
        return self.state in ("pending", "available")


@dataclass(frozen=True)
class ElasticIp:
    """An elastic address."""

    allocation_id: str
    public_ip: str
    association_id: str | None


@dataclass(frozen=True)
class RouteTable:
    """A route table; ``routes`` maps a destination to the id of its target."""

    id: str
    name: str
    vpc_id: str
    subnet_ids: tuple[str, ...]
    routes: dict[str, str]
    tags: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class VpcEndpoint:
    """A VPC endpoint."""

    id: str
    service_name: str
    state: str
    route_table_ids: tuple[str, ...]


@dataclass(frozen=True)
class Volume:
    """An EBS volume; ``claim`` is the name of the PersistentVolumeClaim that it was made for, where the driver says."""

    id: str
    availability_zone: str = ""
    size_gib: int = 0
    type: str = ""
    iops: int | None = None
    throughput_mib_s: int | None = None
    state: str = ""
    claim: str = ""


#: Protocol, first port, last port, peer (range of addresses or security group id). ``-1`` stands for all.
Rule = tuple[str, int, int, str]


@dataclass(frozen=True)
class SecurityGroup:
    """A security group with its rules."""

    id: str
    name: str
    vpc_id: str
    description: str
    ingress: frozenset[Rule]
    egress: frozenset[Rule]
    tags: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Network:
    """Everything of an installation in EC2."""

    vpc: Vpc | None = None
    internet_gateways: tuple[InternetGateway, ...] = ()
    subnets: tuple[Subnet, ...] = ()
    nat_gateways: tuple[NatGateway, ...] = ()
    elastic_ips: tuple[ElasticIp, ...] = ()
    route_tables: tuple[RouteTable, ...] = ()
    endpoints: tuple[VpcEndpoint, ...] = ()
    security_groups: tuple[SecurityGroup, ...] = ()
    instances: tuple[str, ...] = ()
    volumes: tuple[Volume, ...] = ()
    interface_endpoints: tuple[InterfaceEndpoint, ...] = ()

    @property
    def internet_gateway(self) -> InternetGateway | None:
        """The internet gateway, or ``None``."""
        return next(iter(self.internet_gateways), None)

    @property
    def s3_endpoint(self) -> VpcEndpoint | None:
        """The gateway endpoint to S3 that is there to stay, or ``None``."""
        alive = (item for item in self.endpoints if item.state.lower() in ("available", "pending"))
        return next((item for item in alive if item.service_name.endswith(".s3")), None)

    def private_subnet_ids(self) -> tuple[str, ...]:
        """The subnets of nodes and data stores."""
        return tuple(sorted(item.id for item in self.subnets if not item.public))

    def zone_of(self, subnet_id: str) -> str | None:
        """The availability zone of one of its subnets."""
        return next((item.availability_zone for item in self.subnets if item.id == subnet_id), None)


def vpc_differences(
    wanted: Mapping[str, Any], actual: Vpc, tags: Mapping[str, str], purge_tags: bool = False
) -> list[Difference]:
    """What writing the VPC would change."""
    found = []
    if wanted["cidr_block"] != actual.cidr_block:
        reason = "the first range of a VPC is fixed; keep it, or tear the installation down first."
        found.append(Difference("cidr_block", wanted["cidr_block"], actual.cidr_block, reason))
    for name in ("dns_support", "dns_hostnames"):
        have = getattr(actual, name)
        if wanted.get(name) is not None and have is not None and wanted[name] != have:
            found.append(Difference(name, wanted[name], have))
    return found + tag_differences(tags, actual.tags, purge_tags)


def subnet_tags(wanted: Mapping[str, Any]) -> dict[str, str]:
    """The tags of a wanted subnet: its own, or those by which EKS finds where load balancers go."""
    if wanted.get("tags") is not None:
        own = {str(key): str(value) for key, value in wanted["tags"].items()}
    else:
        own = {PUBLIC_TAG if wanted["public"] else PRIVATE_TAG: "1"}
    return {**own, "Name": wanted["name"]} if wanted.get("name") else own


def subnet_differences(
    wanted: Sequence[Mapping[str, Any]], actual: Iterable[Subnet], tags: Mapping[str, str], purge_tags: bool = False
) -> list[Difference]:
    """What writing the subnets would change; fields begin with the subnet's range."""
    known = {item.cidr_block: item for item in actual}
    found = []
    for want in wanted:
        cidr = want["cidr_block"]
        have = known.get(cidr)
        if have is None:
            found.append(Difference(cidr, want["availability_zone"], None))
            continue
        if want["availability_zone"] != have.availability_zone:
            reason = "a subnet stays in its zone; use another range, or tear the installation down first."
            field_name = f"{cidr}.availability_zone"
            found.append(Difference(field_name, want["availability_zone"], have.availability_zone, reason))
        if want.get("map_public") is not None and want["map_public"] != have.map_public:
            found.append(Difference(f"{cidr}.map_public", want["map_public"], have.map_public))
        changed = tag_differences({**tags, **subnet_tags(want)}, have.tags, purge_tags)
        found += [Difference(f"{cidr}.tags", item.wanted, item.actual) for item in changed]
    return found


def nat_differences(mode: NatMode, zones: Iterable[str], network: Network) -> list[Difference]:
    """The zones that lack a NAT gateway. ``single`` asks for one anywhere."""
    served = sorted({zone for item in network.nat_gateways if item.alive and (zone := network.zone_of(item.subnet_id))})
    if mode == "none":
        return []
    if mode == "single":
        return [] if served else [Difference("nat_gateways", 1, 0)]
    wanted = sorted(set(zones))
    missing = [zone for zone in wanted if zone not in served]
    return [Difference("nat_gateways", wanted, served)] if missing else []


def route_differences(wanted: Sequence[Mapping[str, Any]], mode: NatMode, network: Network) -> list[Difference]:
    """The subnets whose traffic to the internet does not go the wanted way."""
    known = {item.cidr_block: item for item in network.subnets}
    gateway = network.internet_gateway
    nats = {item.id: network.zone_of(item.subnet_id) for item in network.nat_gateways if item.alive}
    found = []
    for want in wanted:
        subnet = known.get(want["cidr_block"])
        table = next((item for item in network.route_tables if subnet and subnet.id in item.subnet_ids), None)
        target = table.routes.get(ANYWHERE) if table else None
        if want["public"]:
            good = bool(gateway) and target == gateway.id  # type: ignore[union-attr]
            way = gateway.id if gateway else "internet gateway"
        elif mode == "none":
            good, way = table is not None and target is None, "no way out"
        else:
            good = target in nats and (mode == "single" or nats[str(target)] == want["availability_zone"])
            way = "NAT gateway" if mode == "single" else f"NAT gateway of {want['availability_zone']}"
        if not good:
            found.append(
                Difference(f"{want['cidr_block']}.{ANYWHERE}", way, target or ("none" if table else "no table"))
            )
    return found


def s3_endpoint_differences(network: Network) -> list[Difference]:
    """The tables of private subnets that do not lead to S3 through the endpoint."""
    endpoint = network.s3_endpoint
    if endpoint is None:
        return [Difference("present", True, False)]
    private = set(network.private_subnet_ids())
    wanted = sorted(item.id for item in network.route_tables if private.intersection(item.subnet_ids))
    if set(wanted) <= set(endpoint.route_table_ids):
        return []
    return [Difference("route_table_ids", wanted, sorted(endpoint.route_table_ids))]


def wanted_rules(rules: Iterable[Mapping[str, Any]], group_ids: Mapping[str, str]) -> frozenset[Rule]:
    """Rules as ``amazon.aws.ec2_security_group`` takes them, each peer and range of ports on its own."""
    made: set[Rule] = set()
    for rule in rules:
        protocol = _protocol(rule.get("proto"))
        for first, last in _ports(rule, protocol):
            made.update((protocol, first, last, peer) for peer in _peers(rule, group_ids))
    return frozenset(made)


def _protocol(name: Any) -> str:
    text = str("tcp" if name is None else name).lower()
    return "-1" if text in ("all", "-1") else text


def _ports(rule: Mapping[str, Any], protocol: str) -> list[tuple[int, int]]:
    if protocol == "-1":
        return [(-1, -1)]
    if rule.get("ports"):
        return [_port_range(str(item)) for item in _listed(rule["ports"])]
    first = rule.get("from_port")
    last = rule.get("to_port")
    return [(-1 if first is None else int(first), int(first if last is None else last) if first is not None else -1)]


def _port_range(text: str) -> tuple[int, int]:
    if text == "-1":
        return -1, -1
    ends = text.split("-")
    return int(ends[0]), int(ends[-1])


def _peers(rule: Mapping[str, Any], group_ids: Mapping[str, str]) -> list[str]:
    ranges = [peer for key in ("cidr_ip", "cidr_ipv6", "group_id") for peer in _listed(rule.get(key))]
    return ranges + [group_ids.get(name, name) for name in _listed(rule.get("group_name"))]


def _listed(value: Any) -> list[Any]:
    if value is None or value == "":
        return []
    return list(value) if isinstance(value, list | tuple) else [value]


def security_group_differences(
    wanted: Mapping[str, Any],
    actual: SecurityGroup,
    group_ids: Mapping[str, str],
    tags: Mapping[str, str],
    purge_tags: bool = False,
) -> list[Difference]:
    """What writing the security group would change; rules that are not given are not looked at."""
    found = []
    for option, have in (("rules", actual.ingress), ("rules_egress", actual.egress)):
        if wanted.get(option) is None:
            continue
        want = wanted_rules(wanted[option], group_ids)
        if want != have:
            found.append(Difference(option, sorted(map(_told, want)), sorted(map(_told, have))))
    return found + tag_differences(tags, actual.tags, purge_tags)


def _told(rule: Rule) -> str:
    protocol, first, last, peer = rule
    ports = "all" if first == -1 else str(first) if first == last else f"{first}-{last}"
    return f"{'all' if protocol == '-1' else protocol} {ports} {peer}"
