# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filter from a load to the ClickHouse that bears it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

from ansible.errors import AnsibleFilterError
from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.recommendation import (
    load_from,
    recommend,
)


def clickhouse_recommendation(
    load: Mapping[str, Any], environment: Literal["dev", "production"] = "production"
) -> dict[str, Any]:
    """Replicas, CPU, memory, volume and instance type for a load, with the arithmetic."""
    if environment not in ("dev", "production"):
        raise AnsibleFilterError(
            f"clickhouse_recommendation: environment {environment!r} is neither dev nor production"
        )
    try:
        return recommend(load_from(load), environment).to_dict()
    except ValueError as error:
        raise AnsibleFilterError(f"clickhouse_recommendation: {error}") from error


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Name to function."""
        return {"clickhouse_recommendation": clickhouse_recommendation}
