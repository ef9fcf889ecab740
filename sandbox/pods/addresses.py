# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Gives pods addresses in their node's subnet, as the VPC's network plugin does."""

from __future__ import annotations

import ipaddress
import threading


class Addresses:
    """Addresses in use. A pod gets one of its node's /24, which is within the subnet where that is not smaller."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._used: dict[str, str] = {}

    def claim(self, owner: str, address: str) -> None:
        """Note an address that `owner`, a node or a pod of an earlier run, has already."""
        with self._lock:
            self._used[owner] = address

    def give(self, owner: str, node_address: str) -> str:
        """A free address for the pod `owner`, or the one it has. Raises LookupError when the subnet is full."""
        with self._lock:
            if owner in self._used:
                return self._used[owner]
            taken = set(self._used.values())
            # AWS keeps the first four addresses and the last one of every subnet.
            for candidate in list(ipaddress.ip_network(f"{node_address}/24", strict=False))[4:-1]:
                if str(candidate) not in taken:
                    self._used[owner] = str(candidate)
                    return str(candidate)
        raise LookupError(f"no address is left in the subnet of {node_address}")

    def free(self, owner: str) -> None:
        with self._lock:
            self._used.pop(owner, None)
