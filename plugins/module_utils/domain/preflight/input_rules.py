# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules on inputs that need no answer from anywhere: the value and the other values decide."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from typing import Any

from ansible_collections.langsmith.aws.plugins.module_utils.domain.finding import Finding, Status
from ansible_collections.langsmith.aws.plugins.module_utils.domain.preflight.facts import Context, Input

P0 = "LangSmith self-hosted on AWS, P0 reference architecture"
VPC_GUIDE = "Amazon VPC user guide, VPC and subnet sizing"

_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
HOSTNAME = re.compile(rf"(?=.{{1,253}}$){_LABEL}(?:\.{_LABEL})+", re.IGNORECASE)
EMAIL = re.compile(rf"[A-Za-z0-9._%+'-]+@{_LABEL}(?:\.{_LABEL})+", re.IGNORECASE)
#: The bucket's name is the tightest: 63 characters, of which account, region (14 at most) and dashes take 34.
INSTALLATION_NAME = re.compile(r"[a-z](?:[a-z0-9]|-(?!-)){0,27}[a-z0-9]")
SEMVER = re.compile(r"\d+\.\d+\.\d+(?:-[0-9A-Za-z.-]+)?(?:\+[0-9A-Za-z.-]+)?")
REGION = re.compile(r"[a-z]{2}(?:-[a-z]+)+-\d+")

#: The line of the chart whose values this collection writes, and the oldest Kubernetes that EKS runs at all.
CHART_LINE = (0, 16)
DAY_SECONDS = 86400
#: The chart's periods, each with the variable of the days that the bucket and, unless told otherwise, the chart take.
RETENTION = {"shortlived": "datastores_ttl_short_days", "longlived": "datastores_ttl_long_days"}
CLICKHOUSE_TOPOLOGIES = ("single", "replicated", "external", "managed")


def finding(given: Input, status: Status, observed: str, expected: str, remedy: str, source: str = "") -> Finding:
    """A finding on an input; the operator's own remedy goes first."""
    return Finding(
        id=f"preflight.{given.rule}",
        status=status,
        component="preflight",
        subject=given.variable,
        observed=observed,
        expected=expected,
        remedy="" if status == "pass" else given.remedy or remedy,
        source=source,
    )


def missing(given: Input, expected: str = "a value") -> Finding:
    """The finding for a required variable without a value."""
    return finding(given, "fail", "not set", expected, f"set {given.variable} in the inventory")


def present(given: Input, context: Context) -> list[Finding]:
    """Whether there is a value, which is never shown."""
    if not given.value:
        return [missing(given)]
    return [finding(given, "pass", "set", "a value", "")]


def _by_pattern(given: Input, pattern: re.Pattern[str], expected: str) -> list[Finding]:
    text = str(given.value)
    if pattern.fullmatch(text):
        return [finding(given, "pass", text, expected, "")]
    return [finding(given, "fail", repr(text), expected, f"correct {given.variable}: {expected}")]


def installation_name(given: Input, context: Context) -> list[Finding]:
    """The name that every AWS resource's name begins with."""
    expected = "2 to 29 lower case letters, digits and single dashes, a letter first and no dash last"
    return _by_pattern(given, INSTALLATION_NAME, expected)


def hostname(given: Input, context: Context) -> list[Finding]:
    """The name under which LangSmith is reached."""
    if str(given.value).startswith(("http://", "https://")):
        remedy = f"leave the scheme out of {given.variable}: only the name"
        return [finding(given, "fail", repr(given.value), "a name such as langsmith.example.org", remedy)]
    return _by_pattern(given, HOSTNAME, "a name of at least two labels, such as langsmith.example.org")


def email(given: Input, context: Context) -> list[Finding]:
    """The address of the first administrator."""
    return _by_pattern(given, EMAIL, "an e-mail address, such as admin@example.org")


def chart_version(given: Input, context: Context) -> list[Finding]:
    """An exact version of the chart: a range would upgrade by itself."""
    text, line = str(given.value), ".".join(map(str, CHART_LINE))
    expected = f"an exact version of the {line} line, such as {line}.11"
    if not SEMVER.fullmatch(text):
        return [
            finding(given, "fail", repr(text), expected, f"set {given.variable} to {expected}; ranges are not pins")
        ]
    if tuple(int(number) for number in text.split(".")[:2]) != CHART_LINE:
        remedy = f"set {given.variable} to a version of the {line} line, whose values this collection writes"
        return [finding(given, "fail", text, expected, remedy)]
    if "-" in text:
        return [finding(given, "warn", f"{text}, a preview", expected, f"take a release in {given.variable}")]
    return [finding(given, "pass", text, expected, "")]


def kubernetes_version(given: Input, context: Context) -> list[Finding]:
    """A minor version as EKS names them."""
    if isinstance(given.value, float):
        remedy = f"put {given.variable} in quotes: YAML reads 1.30 as 1.3"
        return [finding(given, "fail", f"the number {given.value}", 'a string such as "1.33"', remedy)]
    return _by_pattern(given, re.compile(r"1\.[23]\d|1\.[4-9]\d"), 'a minor version as EKS names them, such as "1.33"')


def _network(text: Any) -> ipaddress.IPv4Network | str:
    """The IPv4 network, or why it is none."""
    try:
        return ipaddress.IPv4Network(str(text))
    except ValueError as error:
        return str(error)


def cidrs(given: Input, context: Context) -> list[Finding]:
    """Address ranges, such as those that may reach the cluster's API."""
    found = []
    for text in given.value if isinstance(given.value, list) else [given.value]:
        network, expected = _network(text), "IPv4 ranges such as 203.0.113.0/24"
        if isinstance(network, str):
            remedy = f"correct {text!r} in {given.variable}: {expected}"
            found.append(finding(given, "fail", f"{text!r}: {network}", expected, remedy))
        elif network.prefixlen == 0:
            remedy = f"name the networks of your operators in {given.variable}"
            found.append(finding(given, "warn", f"{text}: everyone", "no more than who needs it", remedy))
    return found or [finding(given, "pass", _listed(given.value), "IPv4 ranges", "")]


def vpc_cidr(given: Input, context: Context) -> list[Finding]:
    """The range of the VPC: private, and large, for every pod has an address of it."""
    network, expected = _network(given.value), "a private IPv4 range of /16, such as 10.0.0.0/16"
    if isinstance(network, str):
        remedy = f"correct {given.variable}: {expected}"
        return [finding(given, "fail", f"{given.value!r}: {network}", expected, remedy, VPC_GUIDE)]
    text = str(network)
    if not 16 <= network.prefixlen <= 28:
        remedy = f"set {given.variable} to {expected}"
        return [finding(given, "fail", f"{text}: a VPC is /16 to /28", expected, remedy, VPC_GUIDE)]
    if not _is_rfc1918(network):
        remedy = f"set {given.variable} to {expected}; public addresses of others would become unreachable"
        return [finding(given, "fail", f"{text}: not of RFC 1918", expected, remedy, VPC_GUIDE)]
    if network.prefixlen > 16:
        remedy = (
            f"set {given.variable} to a /16, unless you know that {network.num_addresses} addresses do for all pods"
        )
        return [finding(given, "warn", f"{text}: {network.num_addresses} addresses", expected, remedy, P0)]
    return [finding(given, "pass", text, expected, "", P0)]


def _is_rfc1918(network: ipaddress.IPv4Network) -> bool:
    private = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")
    return any(network.subnet_of(ipaddress.IPv4Network(block)) for block in private)


def subnet_cidrs(given: Input, context: Context) -> list[Finding]:
    """Each subnet lies in the VPC and on no other subnet, those of other inputs included."""
    expected = "ranges of /16 to /28 inside the VPC that do not overlap"
    found = []
    for text, network in _networks(given):
        if isinstance(network, str):
            remedy = f"correct {text!r} in {given.variable}"
            found.append(finding(given, "fail", f"{text!r}: {network}", expected, remedy, VPC_GUIDE))
            continue
        wrong = _misplaced(network, context)
        if wrong:
            remedy = f"change {text} in {given.variable}"
            found.append(finding(given, "fail", f"{text}: {wrong}", expected, remedy, VPC_GUIDE))
    found += _overlaps(given, context, expected)
    return found or [finding(given, "pass", _listed([text for text, network in _networks(given)]), expected, "")]


def _networks(given: Input) -> list[tuple[str, ipaddress.IPv4Network | str]]:
    entries = given.value if isinstance(given.value, list) else [given.value]
    texts = [str(entry.get("cidr_block", "")) if isinstance(entry, dict) else str(entry) for entry in entries]
    return [(text, _network(text)) for text in texts]


def _misplaced(network: ipaddress.IPv4Network, context: Context) -> str:
    if not 16 <= network.prefixlen <= 28:
        return "a subnet is /16 to /28"
    for other in context.values("vpc_cidr"):
        vpc = _network(other.value)
        if not isinstance(vpc, str) and not network.subnet_of(vpc):
            return f"outside {other.variable} ({vpc})"
    return ""


def _overlaps(given: Input, context: Context, expected: str) -> list[Finding]:
    """Overlaps of this input's subnets with each other and with those of the inputs before it."""
    earlier: list[tuple[str, str, ipaddress.IPv4Network]] = []
    found = []
    for other in context.values("subnet_cidrs"):
        for text, network in _networks(other):
            if isinstance(network, str):
                continue
            if other is given:
                found += [
                    finding(
                        given,
                        "fail",
                        f"{text} overlaps {there} of {variable}",
                        expected,
                        f"change {text} in {given.variable} or {there} in {variable}",
                        VPC_GUIDE,
                    )
                    for there, variable, taken in earlier
                    if network.overlaps(taken)
                ]
            earlier.append((text, other.variable, network))
        if other is given:
            break
    return found


def blob_storage(given: Input, context: Context) -> list[Finding]:
    """Payloads in S3; without it they swell ClickHouse's parts and merges."""
    expected = "on in production"
    if given.value is True:
        return [finding(given, "pass", "on", expected, "", P0)]
    status: Status = "fail" if context.production else "warn"
    return [finding(given, status, f"{given.value}", expected, f"set {given.variable} to true", P0)]


def trace_ttl(given: Input, context: Context) -> list[Finding]:
    """A trace's rows, which the chart drops, and its payloads, which the bucket does, go together.

    The value holds ``enabled`` and ``ttl_period_seconds`` of the chart, and the days of the bucket by their variables.
    """
    expected = "the days of the bucket"
    periods = given.value["ttl_period_seconds"] if given.value["enabled"] else {}
    wrong, right = [], []
    for period, variable in RETENTION.items():
        kept = given.value[variable]
        told, days = _days(periods[period]) if period in periods else ("", int(kept))
        if days != int(kept):
            wrong.append(f"{period} is {told} and the bucket drops their payloads after {kept}")
            right.append(f"{variable}: {days or 'whole days'}")
    remedy = f"leave {given.variable} out and set {', '.join(right)}, which chart and bucket both follow"
    return [finding(given, "fail" if wrong else "pass", "; ".join(wrong) or "those of the bucket", expected, remedy)]


def _days(seconds: Any) -> tuple[str, int]:
    """A period for people, and its days; 0 where it is no number of whole ones."""
    if not re.fullmatch(r"\d+", str(seconds)):
        return repr(seconds), 0
    days, rest = divmod(int(seconds), DAY_SECONDS)
    return (f"{seconds} s", 0) if rest or not days else (f"{days} day{'s' * (days > 1)}", days)


def clickhouse_topology(given: Input, context: Context) -> list[Finding]:
    """Production needs more than one node."""
    text, expected = str(given.value), "replicated, external or managed in production; single only for dev"
    if text not in CLICKHOUSE_TOPOLOGIES:
        remedy = f"set {given.variable} to one of {', '.join(CLICKHOUSE_TOPOLOGIES)}"
        return [finding(given, "fail", repr(text), expected, remedy, P0)]
    if text != "single":
        return [finding(given, "pass", text, expected, "", P0)]
    status: Status = "fail" if context.production else "warn"
    told = "single: one pod, whose loss stops every read and write, and whose schema can never become a replicated one"
    remedy = f"set {given.variable} to replicated, external or managed before the first migration"
    return [finding(given, status, told, expected, remedy, P0)]


def _listed(values: Sequence[Any] | str) -> str:
    return values if isinstance(values, str) else ", ".join(map(str, values))
