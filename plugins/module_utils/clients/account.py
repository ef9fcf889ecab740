# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an AWS account says of itself: one function per question."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from ansible_collections.langsmith.aws.plugins.module_utils.clients.aws import AwsCallError, call, none_on, pages
from ansible_collections.langsmith.aws.plugins.module_utils.domain.preflight.facts import (
    Identity,
    InstanceType,
    Quota,
    Zone,
)

_ZONE_ID = re.compile(r"(?:/hostedzone/)?(Z[0-9A-Z]{7,31})")


def identity(sts: Any) -> Identity:
    """Who the credentials are. Raises AwsCallError."""
    answer = call(sts, "get_caller_identity")
    return Identity(answer["Account"], answer["Arn"])


def region_state(ec2: Any, region: str) -> str:
    """``opt-in-not-required``, ``opted-in``, ``not-opted-in``, or ``absent``. Raises AwsCallError."""
    regions = call(ec2, "describe_regions", AllRegions=True)["Regions"]
    return next((str(one["OptInStatus"]) for one in regions if one["RegionName"] == region), "absent")


def zones(ec2: Any) -> tuple[str, ...]:
    """The availability zones of the region that are available, sorted; no local zones. Raises AwsCallError."""
    answer = call(ec2, "describe_availability_zones", Filters=[{"Name": "state", "Values": ["available"]}])
    found = answer["AvailabilityZones"]
    return tuple(sorted(z["ZoneName"] for z in found if z.get("ZoneType", "availability-zone") == "availability-zone"))


def instance_types(ec2: Any, names: Sequence[str]) -> dict[str, InstanceType]:
    """The types of these names that exist in the region. Raises AwsCallError."""
    found = pages(
        ec2, "describe_instance_types", "InstanceTypes", Filters=[{"Name": "instance-type", "Values": list(names)}]
    )
    return {one["InstanceType"]: _instance_type(one) for one in found}


def _instance_type(told: dict[str, Any]) -> InstanceType:
    network = told["NetworkInfo"]
    # The VPC CNI gives pods the secondary addresses of each interface; two pods use the host's network.
    pods = network["MaximumNetworkInterfaces"] * (network["Ipv4AddressesPerInterface"] - 1) + 2
    return InstanceType(
        told["InstanceType"], int(told["VCpuInfo"]["DefaultVCpus"]), int(told["MemoryInfo"]["SizeInMiB"]), pods
    )


def offers(ec2: Any, names: Sequence[str]) -> dict[str, frozenset[str]]:
    """For each type the zones in which it is offered. Raises AwsCallError."""
    found = pages(
        ec2,
        "describe_instance_type_offerings",
        "InstanceTypeOfferings",
        LocationType="availability-zone",
        Filters=[{"Name": "instance-type", "Values": list(names)}],
    )
    return {
        name: frozenset(one["Location"] for one in found if one["InstanceType"] == name)
        for name in {one["InstanceType"] for one in found}
    }


def hosted_zones(route53: Any, zone: str) -> tuple[Zone, ...]:
    """The hosted zones of a name, or the one of an id; empty when there is none. Raises AwsCallError."""
    by_id = _ZONE_ID.fullmatch(zone)
    if by_id:
        found = _zone_by_id(route53, by_id[1])
        return () if found is None else (found,)
    name = zone.rstrip(".").lower() + "."
    answer = call(route53, "list_hosted_zones_by_name", DNSName=name)
    return tuple(_zone(one) for one in answer["HostedZones"] if one["Name"] == name)


@none_on("NoSuchHostedZone")
def _zone_by_id(route53: Any, zone_id: str) -> Zone:
    return _zone(call(route53, "get_hosted_zone", Id=zone_id)["HostedZone"])


def _zone(told: dict[str, Any]) -> Zone:
    private = bool(told.get("Config", {}).get("PrivateZone"))
    return Zone(told["Id"].removeprefix("/hostedzone/"), told["Name"].rstrip("."), private)


def quota(service_quotas: Any, service: str, code: str, name: str) -> Quota:
    """The account's value of a quota, AWS's default where the account has none of its own. Raises AwsCallError."""
    try:
        answer = call(service_quotas, "get_service_quota", ServiceCode=service, QuotaCode=code)
    except AwsCallError as error:
        if error.code != "NoSuchResourceException":
            raise
        answer = call(service_quotas, "get_aws_default_service_quota", ServiceCode=service, QuotaCode=code)
    return Quota(code, name, float(answer["Quota"]["Value"]))


def vpcs_in_use(ec2: Any) -> int:
    """Number of VPCs in the region. Raises AwsCallError."""
    return len(pages(ec2, "describe_vpcs", "Vpcs"))


def addresses_in_use(ec2: Any) -> int:
    """Number of Elastic IP addresses in the region. Raises AwsCallError."""
    return len(call(ec2, "describe_addresses")["Addresses"])
