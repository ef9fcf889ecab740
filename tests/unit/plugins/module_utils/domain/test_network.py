# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import ipaddress
import itertools

import pytest
from ansible_collections.langsmith.aws.plugins.module_utils.domain import network

ZONES = ["us-east-1a", "us-east-1b", "us-east-1c"]


@pytest.mark.parametrize("vpc", ["10.0.0.0/16", "172.16.0.0/20", "192.168.4.0/24"])
def test_every_zone_gets_a_public_and_a_larger_private_subnet_and_none_overlap(vpc: str) -> None:
    made = network.subnets(vpc, ZONES)
    nets = [ipaddress.IPv4Network(str(one["cidr_block"])) for one in made]
    assert [(one["availability_zone"], one["public"]) for one in made] == [
        (zone, public) for public in (True, False) for zone in ZONES
    ]
    assert all(net.subnet_of(ipaddress.IPv4Network(vpc)) for net in nets)
    assert not any(a.overlaps(b) for a, b in itertools.combinations(nets, 2))
    assert nets[3].num_addresses == 4 * nets[0].num_addresses


@pytest.mark.parametrize(
    ("cidr", "zones", "said"),
    [
        ("10.0.0.0/8", ZONES, "between /16 and /24"),
        ("10.0.0.0/28", ZONES, "between /16 and /24"),
        ("10.0.0.1/16", ZONES, "host bits"),
        ("ten", ZONES, "'ten' is no IPv4 range"),
        ("10.0.0.0/16", ["a"], "two or three"),
        ("10.0.0.0/16", ["a", "a"], "two or three"),
        ("10.0.0.0/16", ["a", "b", "c", "d"], "two or three"),
    ],
)
def test_what_cannot_be_divided_is_refused_with_the_reason(cidr: str, zones: list[str], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        network.subnets(cidr, zones)
