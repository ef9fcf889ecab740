# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stand-in for Elastic Load Balancing: what moto's load balancers lack."""

from __future__ import annotations

import hashlib
from typing import Any

from moto.core.responses import ActionResult
from moto.elbv2.exceptions import TargetGroupNotFoundError
from moto.elbv2.models import FakeLoadBalancer
from moto.elbv2.responses import ELBV2Response

from sandbox import state

# "Load balancer attributes" of the Application Load Balancer guide, with their defaults.
ATTRIBUTES = {
    "access_logs.s3.enabled": "false",
    "idle_timeout.timeout_seconds": "60",
    "routing.http2.enabled": "true",
    "routing.http.drop_invalid_header_fields.enabled": "false",
    "routing.http.desync_mitigation_mode": "defensive",
    "routing.http.x_amzn_tls_version_and_cipher_suite.enabled": "false",
    "routing.http.xff_client_port.enabled": "false",
    "routing.http.preserve_host_header.enabled": "false",
    "routing.http.xff_header_processing.mode": "append",
    "waf.fail_open.enabled": "false",
    "load_balancing.cross_zone.enabled": "true",
}
# "Elastic Load Balancing endpoints and quotas": the hosted zone of application load balancers in us-east-1.
HOSTED_ZONE = "Z35SXDOTRQ7X7K"
_init = FakeLoadBalancer.__init__


def _complete(self: FakeLoadBalancer, *args: Any, **kwargs: Any) -> None:
    _init(self, *args, **kwargs)
    self.attrs.update(ATTRIBUTES)
    self.canonical_hosted_zone_id = HOSTED_ZONE
    number = int(hashlib.sha256(self.arn.encode()).hexdigest(), 16) % 10**10
    prefix = "internal-" if self.scheme == "internal" else ""
    self.dns_name = f"{prefix}{self.name}-{number}.us-east-1.elb.amazonaws.com"


HEALTH_FILE = "load-balancer-health.json"


def describe_target_health(self: ELBV2Response) -> ActionResult:
    """DescribeTargetHealth, as the data plane of the sandbox has last written it."""
    arn = self._get_param("TargetGroupArn")
    group = self.elbv2_backend.target_groups.get(arn)
    if group is None:
        raise TargetGroupNotFoundError()
    known = state.read_json(HEALTH_FILE, {}).get(arn, {})
    asked = self._get_param("Targets", []) or []
    targets = asked or list(group.targets.values())
    rows = []
    for target in targets:
        identifier, port = _target(target, group)
        # DescribeTargetHealth: targets of a group that no listener forwards to are "unused".
        health = known.get(f"{identifier}:{port}", STARTING) if group.load_balancer_arns else UNUSED
        row = {"Target": {"Id": identifier, "Port": port}, "HealthCheckPort": str(port), "TargetHealth": health}
        rows.append(row)
    return ActionResult({"TargetHealthDescriptions": rows})


def _target(target: Any, group: Any) -> tuple[str, int]:
    lowered = {str(key).lower(): value for key, value in target.items()}
    return str(lowered["id"]), int(lowered.get("port") or group.port)


STARTING = {
    "State": "initial",
    "Reason": "Elb.RegistrationInProgress",
    "Description": "Target registration is in progress",
}
UNUSED = {
    "State": "unused",
    "Reason": "Target.NotInUse",
    "Description": "Target group is not configured to receive traffic from the load balancer",
}


def install() -> None:
    """Put all of this into moto."""
    FakeLoadBalancer.__init__ = _complete
    ELBV2Response.describe_target_health = describe_target_health
