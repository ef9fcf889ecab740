# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an Ingress tells the AWS Load Balancer Controller."""

from __future__ import annotations

import json
from collections.abc import Mapping

_PREFIX = "alb.ingress.kubernetes.io/"


def load_balancer_annotations(
    installation: str,
    *,
    certificate_arn: str,
    scheme: str,
    healthcheck_path: str,
    tags: Mapping[str, str],
    web_acl_arn: str = "",
) -> dict[str, str]:
    """The annotations of an Ingress behind the installation's one load balancer.

    Every Ingress with them joins the group named after the installation, hence shares the balancer. Plain HTTP is
    answered with a redirect only. TLS 1.2 is the oldest protocol (policy ELBSecurityPolicy-TLS13-1-2-2021-06).
    Raises ValueError on a tag that the annotation's ``key=value,key=value`` form cannot carry.
    """
    for key, value in tags.items():
        if any(mark in f"{key}{value}" for mark in ",="):
            raise ValueError(f"tag {key!r}: a load balancer's tags may hold neither ',' nor '='")
    annotations = {
        "scheme": scheme,
        "target-type": "ip",
        "group.name": installation,
        "listen-ports": json.dumps([{"HTTP": 80}, {"HTTPS": 443}]),
        "ssl-redirect": "443",
        "ssl-policy": "ELBSecurityPolicy-TLS13-1-2-2021-06",
        "certificate-arn": certificate_arn,
        "healthcheck-path": healthcheck_path,
        "tags": ",".join(f"{key}={value}" for key, value in sorted(tags.items())),
    }
    if web_acl_arn:
        annotations["wafv2-acl-arn"] = web_acl_arn
    return {_PREFIX + key: value for key, value in annotations.items()}
