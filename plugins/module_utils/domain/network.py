# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a VPC's addresses are divided among its subnets."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

#: A VPC has at most /16 and a subnet at least /28 (Amazon VPC user guide, "VPC CIDR blocks" and "Subnet sizing").
LARGEST_VPC_PREFIX = 16
SMALLEST_VPC_PREFIX = 24

#: A quarter of the range for each zone's private subnet leaves the first quarter to the public ones, so three zones.
MOST_ZONES = 3


def subnets(vpc_cidr: str, zones: Sequence[str]) -> list[dict[str, str | bool]]:
    """A private subnet of a quarter and a public one of a sixteenth of ``vpc_cidr`` in each zone.

    Pods take addresses of the private subnets (the VPC CNI gives each its own), load balancers of the public ones,
    hence the sizes. Raises ValueError with a sentence for the operator.
    """
    try:
        vpc = ipaddress.IPv4Network(vpc_cidr)
    except ValueError as error:
        raise ValueError(f"{vpc_cidr!r} is no IPv4 range for a VPC: {error}") from error
    if not LARGEST_VPC_PREFIX <= vpc.prefixlen <= SMALLEST_VPC_PREFIX:
        raise ValueError(f"{vpc_cidr}: a VPC is between /{LARGEST_VPC_PREFIX} and /{SMALLEST_VPC_PREFIX} here")
    if not 2 <= len(zones) <= MOST_ZONES or len(set(zones)) != len(zones):
        raise ValueError(f"two or three different availability zones are needed, not {', '.join(zones) or 'none'}")
    quarters = list(vpc.subnets(prefixlen_diff=2))
    public = quarters[0].subnets(prefixlen_diff=2)
    return [
        {"cidr_block": str(net), "availability_zone": zone, "public": is_public}
        for nets, is_public in ((public, True), (quarters[1:], False))
        for net, zone in zip(nets, zones, strict=False)
    ]
