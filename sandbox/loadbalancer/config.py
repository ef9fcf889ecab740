# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the load balancers are to do, as load-balancer.json tells it, and which rule a request meets. No I/O here."""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Mapping, Sequence
from typing import Any

HTTP, HTTPS = "HTTP", "HTTPS"


@dataclasses.dataclass(frozen=True)
class Certificate:
    """A certificate of a listener: the domains it is for, and the files that hold it and its key."""

    domains: tuple[str, ...]
    certificate_file: str
    key_file: str


@dataclasses.dataclass(frozen=True)
class Action:
    """What a rule does. `type` is forward, redirect or fixed-response; `options` are that type's own."""

    type: str
    options: Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class Rule:
    """Hosts and paths with wildcards; an empty tuple takes any."""

    hosts: tuple[str, ...]
    paths: tuple[str, ...]
    action: Action

    def meets(self, host: str, path: str) -> bool:
        """Whether a request for `host` (no port) and `path` (no query) is this rule's."""
        any_host = not self.hosts or any(glob(pattern.lower()).fullmatch(host.lower()) for pattern in self.hosts)
        return any_host and (not self.paths or any(glob(pattern).fullmatch(path) for pattern in self.paths))


@dataclasses.dataclass(frozen=True)
class Listener:
    """A port of a load balancer. `rules` are in order of priority, the default action comes last."""

    port: int
    protocol: str
    certificates: tuple[Certificate, ...]
    rules: tuple[Rule, ...]
    default: Action

    def action(self, host: str, path: str) -> Action:
        """The action for a request."""
        return next((rule.action for rule in self.rules if rule.meets(host, path)), self.default)


@dataclasses.dataclass(frozen=True)
class LoadBalancer:
    """One load balancer. `idle_timeout` is in seconds."""

    name: str
    dns_name: str
    idle_timeout: float
    listeners: tuple[Listener, ...]

    def listener(self, protocol: str) -> Listener | None:
        """The listener that this machine's port of `protocol` stands for: the first, by port."""
        return next((item for item in self.listeners if item.protocol == protocol), None)


@dataclasses.dataclass(frozen=True)
class HealthCheck:
    """How a target group checks its targets; times in seconds. `matcher` is like 200, 200-299 or 200,404."""

    path: str = "/"
    protocol: str = HTTP
    port: int | None = None
    interval: float = 15
    timeout: float = 5
    healthy_threshold: int = 2
    unhealthy_threshold: int = 2
    matcher: str = "200"

    def accepts(self, status: int) -> bool:
        """Whether an answer with `status` is a good one."""
        for part in self.matcher.split(","):
            first, _, last = part.strip().partition("-")
            if int(first) <= status <= int(last or first):
                return True
        return False


@dataclasses.dataclass(frozen=True)
class TargetGroup:
    """Targets are (address in the VPC, port)."""

    arn: str
    protocol: str
    check: HealthCheck
    targets: tuple[tuple[str, int], ...]
    used: bool


@dataclasses.dataclass(frozen=True)
class Config:
    """All load balancers by name, and all target groups by ARN."""

    balancers: tuple[LoadBalancer, ...] = ()
    groups: Mapping[str, TargetGroup] = dataclasses.field(default_factory=dict)

    def choose(self, protocol: str, host: str, sni: str | None = None) -> LoadBalancer | None:
        """The load balancer that a request is for. There is one address for all of them, so the name decides.

        That is the one with this DNS name, or a rule for this host, or a certificate for the name asked for; else the
        first, as a client that reaches a load balancer by any name gets an answer.
        """
        able = [item for item in self.balancers if item.listener(protocol)]
        for item in able:
            if item.dns_name.lower() == host.lower():
                return item
        for item in able:
            if any(_names(rule, host) for listener in item.listeners for rule in listener.rules):
                return item
        for item in able:
            if sni and any(covers(x, sni) for listener in item.listeners for x in listener.certificates):
                return item
        return able[0] if able else None

    def certificate(self, sni: str | None) -> Certificate | None:
        """The certificate for a TLS server name: one that covers it, else the first listener's default."""
        listeners = [item.listener(HTTPS) for item in self.balancers]
        certificates = [item for listener in listeners if listener for item in listener.certificates]
        if sni:
            for certificate in certificates:
                if covers(certificate, sni):
                    return certificate
        return certificates[0] if certificates else None


def _names(rule: Rule, host: str) -> bool:
    return bool(rule.hosts) and dataclasses.replace(rule, paths=()).meets(host, "")


def covers(certificate: Certificate, name: str) -> bool:
    """Whether a certificate is for a host name; a wildcard stands for one label."""
    name = name.lower()
    parent = name.partition(".")[2]
    return any(domain.lower() in {name, f"*.{parent}"} for domain in certificate.domains)


@functools.cache
def glob(pattern: str) -> re.Pattern[str]:
    """An ALB pattern: `*` is any number of characters, `?` one."""
    parts = {"*": ".*", "?": "."}
    return re.compile("".join(parts.get(letter, re.escape(letter)) for letter in pattern), re.DOTALL)


def parse(found: Mapping[str, Any]) -> Config:
    """The configuration in load-balancer.json."""
    balancers = tuple(_balancer(item) for item in found.get("load_balancers", []))
    groups = {arn: _group(arn, item) for arn, item in found.get("target_groups", {}).items()}
    return Config(tuple(sorted(balancers, key=lambda item: item.name)), groups)


def _balancer(item: Mapping[str, Any]) -> LoadBalancer:
    listeners = sorted((_listener(entry) for entry in item["listeners"]), key=lambda entry: entry.port)
    return LoadBalancer(item["name"], item["dns_name"], float(item["idle_timeout_seconds"]), tuple(listeners))


def _listener(item: Mapping[str, Any]) -> Listener:
    certificates = tuple(
        Certificate(tuple(entry["domains"]), entry["certificate_file"], entry["key_file"])
        for entry in item["certificates"]
    )
    rules = tuple(Rule(tuple(x["hosts"]), tuple(x["paths"]), _action(x["action"])) for x in item["rules"])
    return Listener(int(item["port"]), item["protocol"], certificates, rules, _action(item["default_action"]))


def _action(item: Mapping[str, Any]) -> Action:
    return Action(item["type"], item)


def _group(arn: str, item: Mapping[str, Any]) -> TargetGroup:
    targets: Sequence[Sequence[Any]] = item["targets"]
    check = HealthCheck(**item["health_check"])
    pairs = tuple((str(address), int(port)) for address, port in targets)
    return TargetGroup(arn, item["protocol"], check, pairs, bool(item["used"]))
