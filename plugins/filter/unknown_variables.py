# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filter over the names of variables."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible_collections.langsmith.aws.plugins.module_utils.domain import variables


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Name to function."""
        return {"unknown_variables": variables.unknown_variables}
