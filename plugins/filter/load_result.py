# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filters over the logs of a load's pods."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.langsmith.aws.plugins.module_utils.domain.errors import ProjectError
from ansible_collections.langsmith.aws.plugins.module_utils.domain.load import shares


def load_next(logs: Sequence[Sequence[str]], url: str, load: Mapping[str, Any], timeout: float) -> dict[str, Any]:
    """What the pods of a load are to send after the steps with these logs; empty when all is sent."""
    try:
        return shares.following(logs, url, load, timeout) or {}
    except (ProjectError, ValueError) as error:
        raise AnsibleFilterError(str(error)) from error


def load_result(logs: Sequence[Sequence[str]], url: str, load: Mapping[str, Any], timeout: float) -> dict[str, Any]:
    """The result of a load out of the logs of its pods."""
    try:
        return shares.merged(logs, url, load, timeout)
    except (ProjectError, ValueError) as error:
        raise AnsibleFilterError(str(error)) from error


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Name to function."""
        return {"load_next": load_next, "load_result": load_result}
