# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tells the data plane what ELBv2 holds, whoever put it there, by the file load-balancer.json."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from sandbox import state
from sandbox.controllers.aws import AwsError, Client, administrator, call, pages
from sandbox.controllers.elbv2 import conditions_of, target_groups_of

LOOK_SECONDS = 3.0
IDLE_TIMEOUT = "idle_timeout.timeout_seconds"
FILE = "load-balancer.json"
Found = dict[str, Any]
log = logging.getLogger(__name__)


class Mirror:
    """Reads ELBv2 with the account's own credentials, as AWS's data plane is no part of a cluster."""

    def __init__(self, aws: Mapping[str, Any]) -> None:
        self._aws = aws
        self._wake = threading.Event()
        self._clients: tuple[Client, Client] | None = None
        self._domains: dict[str, list[str]] = {}

    def wake(self) -> None:
        """Look now."""
        self._wake.set()

    def run(self) -> None:
        """Look for ever."""
        while True:
            self._wake.wait(LOOK_SECONDS)
            self._wake.clear()
            try:
                self._look()
            except AwsError as error:
                log.warning("ELBv2: %s", error)
                time.sleep(LOOK_SECONDS)
            except Exception:
                log.exception("mirror of ELBv2")
                time.sleep(LOOK_SECONDS)

    def _look(self) -> None:
        elbv2, acm = self._both()
        found = picture(elbv2, lambda arn: self._certificate(acm, arn))
        if found != state.read_json(FILE):
            state.write_json(FILE, found)

    def _both(self) -> tuple[Client, Client]:
        if self._clients is None:
            self._clients = (administrator(self._aws, "elbv2"), administrator(self._aws, "acm"))
        return self._clients

    def _certificate(self, acm: Client, arn: str) -> Found | None:
        """A certificate's domains and files, or None when ACM holds no certificate that was issued."""
        identifier = arn.rpartition("/")[2]
        folder = state.root() / "acm"
        certificate, key = folder / f"{identifier}.crt", folder / f"{identifier}.key"
        if not certificate.exists() or not key.exists():
            return None
        if arn not in self._domains:
            detail = call("acm", acm.describe_certificate, {"CertificateArn": arn})["Certificate"]
            self._domains[arn] = list(detail.get("SubjectAlternativeNames") or [detail["DomainName"]])
        return {
            "arn": arn,
            "domains": self._domains[arn],
            "certificate_file": str(certificate),
            "key_file": str(key),
        }


def picture(elbv2: Client, certificate: Callable[[str], Found | None]) -> Found:
    """What the data plane is to do, from ELBv2's descriptions. Raises AwsError."""
    balancers = pages("elbv2", elbv2, "describe_load_balancers", "LoadBalancers")
    used: set[str] = set()
    described = [_balancer(elbv2, item, certificate, used) for item in balancers if item["Type"] == "application"]
    groups = pages("elbv2", elbv2, "describe_target_groups", "TargetGroups")
    return {
        "load_balancers": described,
        "target_groups": {item["TargetGroupArn"]: _group(elbv2, item, used) for item in groups},
    }


def _balancer(elbv2: Client, item: Found, certificate: Callable[[str], Found | None], used: set[str]) -> Found:
    arn = item["LoadBalancerArn"]
    answer = call("elbv2", elbv2.describe_load_balancer_attributes, {"LoadBalancerArn": arn})
    attributes = {entry["Key"]: entry["Value"] for entry in answer["Attributes"]}
    listeners = pages("elbv2", elbv2, "describe_listeners", "Listeners", LoadBalancerArn=arn)
    return {
        "arn": arn,
        "name": item["LoadBalancerName"],
        "dns_name": item["DNSName"],
        "idle_timeout_seconds": float(attributes.get(IDLE_TIMEOUT, 60)),
        "listeners": [_listener(elbv2, listener, certificate, used) for listener in listeners],
    }


def _listener(elbv2: Client, item: Found, certificate: Callable[[str], Found | None], used: set[str]) -> Found:
    arn = item["ListenerArn"]
    arns = [entry["CertificateArn"] for entry in item.get("Certificates") or []]
    if item["Protocol"] == "HTTPS":
        more = call("elbv2", elbv2.describe_listener_certificates, {"ListenerArn": arn})["Certificates"]
        arns += [entry["CertificateArn"] for entry in more if entry["CertificateArn"] not in arns]
    rules = call("elbv2", elbv2.describe_rules, {"ListenerArn": arn})["Rules"]
    rules = [rule for rule in rules if not rule["IsDefault"]]
    described = []
    for rule in sorted(rules, key=lambda entry: int(entry["Priority"])):
        hosts, paths = conditions_of(rule)
        described.append({"hosts": list(hosts), "paths": list(paths), "action": _action(rule["Actions"], used)})
    return {
        "arn": arn,
        "port": int(item["Port"]),
        "protocol": item["Protocol"],
        "certificates": [found for name in arns if (found := certificate(name))],
        "rules": described,
        "default_action": _action(item["DefaultActions"], used),
    }


def _action(actions: list[Found], used: set[str]) -> Found:
    """The last action, which is the one that answers; those before it log in a user, and no stand-in does that."""
    action = actions[-1]
    if action["Type"] == "forward":
        groups = target_groups_of(action)
        used.update(arn for arn, _ in groups)
        return {"type": "forward", "target_groups": [{"arn": arn, "weight": weight} for arn, weight in groups]}
    if action["Type"] == "redirect":
        config = action["RedirectConfig"]
        names = ("Protocol", "Host", "Port", "Path", "Query")
        options = {name.lower(): config[name] for name in names if config.get(name)}
        return {"type": "redirect", "status": int(config["StatusCode"].removeprefix("HTTP_")), **options}
    config = action.get("FixedResponseConfig") or {}
    return {
        "type": "fixed-response",
        "status": int(config.get("StatusCode", 503)),
        "content_type": config.get("ContentType", "text/plain"),
        "body": config.get("MessageBody", ""),
    }


def _group(elbv2: Client, item: Found, used: set[str]) -> Found:
    answer = call("elbv2", elbv2.describe_target_health, {"TargetGroupArn": item["TargetGroupArn"]})
    targets = [entry["Target"] for entry in answer["TargetHealthDescriptions"]]
    port = str(item.get("HealthCheckPort", "traffic-port"))
    return {
        "name": item["TargetGroupName"],
        "protocol": item["Protocol"],
        "used": item["TargetGroupArn"] in used,
        "targets": sorted([target["Id"], int(target["Port"])] for target in targets),
        "health_check": {
            "protocol": item.get("HealthCheckProtocol", "HTTP"),
            "port": int(port) if port.isdigit() else None,
            "path": item.get("HealthCheckPath") or "/",
            "interval": float(item.get("HealthCheckIntervalSeconds", 30)),
            "timeout": float(item.get("HealthCheckTimeoutSeconds", 5)),
            "healthy_threshold": int(item.get("HealthyThresholdCount", 5)),
            "unhealthy_threshold": int(item.get("UnhealthyThresholdCount", 2)),
            "matcher": (item.get("Matcher") or {}).get("HttpCode") or "200",
        },
    }
