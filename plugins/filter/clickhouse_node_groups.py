# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filter over the nodes of ClickHouse's replicas."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ansible_collections.langsmith.aws.plugins.module_utils.domain.resources.clickhouse import node_groups


def clickhouse_node_groups(
    subnets: Sequence[Mapping[str, str]], installation: str, replicas: int
) -> list[dict[str, Any]]:
    """A node group in each zone, with a node for each replica that belongs there."""
    return node_groups(subnets, installation, int(replicas))


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Name to function."""
        return {"clickhouse_node_groups": clickhouse_node_groups}
