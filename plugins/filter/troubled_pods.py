# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filter over the status of workloads."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible_collections.langsmith.aws.plugins.module_utils.domain import workload


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Name to function."""
        return {"troubled_pods": workload.troubled_pods}
