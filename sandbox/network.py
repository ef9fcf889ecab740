# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stand-in for the network of a VPC: every address of it is one of this machine's loopback addresses.

10.a.b.c becomes 127.N.b.c, and a service address 10.100.b.c becomes 127.(N+1).b.c; N is chosen once per state folder.
"""

from __future__ import annotations

import functools
import ipaddress
import os
import socket

from sandbox import state

VPC_CIDR = ipaddress.ip_network("10.0.0.0/16")
# What EKS takes when the VPC lies in 10.0.0.0/8 but outside of it (serviceIpv4Cidr of CreateCluster).
SERVICE_CIDR = ipaddress.ip_network("10.100.0.0/16")
KUBERNETES_SERVICE = "10.100.0.1"
PRIVATE = ipaddress.ip_network("10.0.0.0/8")
LOW_PORT_OFFSET = 20000
# A part or a pod process is told the prefix, so that it needs no state folder.
PREFIX_VARIABLE = "SANDBOX_NETWORK_PREFIX"


def prefix() -> int:
    """N, the second number of the pods' loopback addresses: even, 2 to 126."""
    told = os.environ.get(PREFIX_VARIABLE)
    return int(told) if told else int(state.once("network.json", "prefix", lambda _: _free_prefix()))


def _free_prefix() -> int:
    for number in state.share(range(2, 127, 2)):
        # The API server's own service always listens in a sandbox that runs.
        if not any(_listens(f"127.{number + 1}.0.1", port) for port in (443, 443 + LOW_PORT_OFFSET)):
            return number
    raise state.StateError("every loopback range is used by a sandbox; stop one")


def _listens(address: str, port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((address, port)) == 0


def loopback(address: str) -> str:
    """The loopback address where a VPC, pod or service address really listens; any other address as it is."""
    parsed = ipaddress.ip_address(address)
    if parsed not in PRIVATE:
        return address
    _, _, third, fourth = parsed.packed
    return f"127.{prefix() + (parsed in SERVICE_CIDR)}.{third}.{fourth}"


@functools.cache
def low_ports_allowed() -> bool:
    """Whether this user may listen on ports below 1024, tried rather than reasoned about."""
    with socket.socket() as probe:
        try:
            probe.bind((f"127.{prefix()}.255.254", 80))
        except PermissionError:
            return False
        except OSError:
            # Somebody tries the same at this moment, so it is allowed.
            return True
    return True


def real_port(port: int) -> int:
    """The port that stands for `port`: itself, or 20000 more where low ports are refused."""
    return port if port >= 1024 or low_ports_allowed() else port + LOW_PORT_OFFSET
