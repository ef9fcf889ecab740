# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filter over the trust of IAM roles in service accounts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.langsmith.aws.plugins.module_utils.domain import identity


def service_account_roles(roles: Iterable[Mapping[str, Any]], installation: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The roles with the trust policy that their service accounts need."""
    try:
        return identity.service_account_roles(roles, installation)
    except (KeyError, ValueError) as error:
        raise AnsibleFilterError(f"service_account_roles: {error}") from error


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Name to function."""
        return {"service_account_roles": service_account_roles}
