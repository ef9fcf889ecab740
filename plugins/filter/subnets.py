# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filter over the division of a VPC's addresses."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.langsmith.aws.plugins.module_utils.domain import network


def subnets(vpc_cidr: str, zones: Sequence[str]) -> list[dict[str, str | bool]]:
    """The subnets of a VPC, a public and a private one in each zone."""
    try:
        return network.subnets(vpc_cidr, zones)
    except ValueError as error:
        raise AnsibleFilterError(str(error)) from error


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Name to function."""
        return {"subnets": subnets}
