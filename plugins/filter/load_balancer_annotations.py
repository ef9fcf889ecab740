# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filter over the annotations of an Ingress."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.langsmith.aws.plugins.module_utils.domain import ingress


def load_balancer_annotations(
    installation: str,
    certificate_arn: str,
    tags: Mapping[str, str],
    scheme: str = "internet-facing",
    healthcheck_path: str = "/health",
    web_acl_arn: str = "",
) -> dict[str, str]:
    """The annotations that put an Ingress behind the load balancer of an installation."""
    try:
        return ingress.load_balancer_annotations(
            installation,
            certificate_arn=certificate_arn,
            scheme=scheme,
            healthcheck_path=healthcheck_path,
            tags=tags,
            web_acl_arn=web_acl_arn,
        )
    except ValueError as error:
        raise AnsibleFilterError(str(error)) from error


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Name to function."""
        return {"load_balancer_annotations": load_balancer_annotations}
