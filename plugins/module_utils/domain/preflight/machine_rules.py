# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules that look at no input: the credentials, the tools of this machine, the account's quotas."""

from __future__ import annotations

import re

from ansible_collections.langsmith.aws.plugins.module_utils.domain.finding import Finding, Status
from ansible_collections.langsmith.aws.plugins.module_utils.domain.preflight.facts import Context, Problem, Quota, Tool

#: Quota codes by service, and what each counts (Service Quotas).
VCPU_QUOTA, VPC_QUOTA, ADDRESS_QUOTA = "L-1216C47A", "L-F678F1CE", "L-0263D0A3"
QUOTAS: dict[str, tuple[str, str]] = {
    VCPU_QUOTA: ("ec2", "vCPU of running On-Demand Standard instances"),
    VPC_QUOTA: ("vpc", "VPCs per region"),
    ADDRESS_QUOTA: ("ec2", "Elastic IP addresses"),
}


def _finding(rule: str, status: Status, subject: str, observed: str, expected: str, remedy: str) -> Finding:
    return Finding(
        id=f"preflight.{rule}",
        status=status,
        component="preflight",
        subject=subject,
        observed=observed,
        expected=expected,
        remedy="" if status == "pass" else remedy,
    )


def environment(name: str, variable: str) -> Finding:
    """Which rules hold depends on it, so it must be one that is known."""
    expected, remedy = "dev or production", f"set {variable} to dev or to production"
    status: Status = "pass" if name in ("dev", "production") else "fail"
    return _finding("environment", status, variable, repr(name) if status == "fail" else name, expected, remedy)


def credentials(context: Context) -> Finding:
    """Who we are in AWS."""
    answer, expected = context.facts.identity, "credentials that AWS accepts"
    if answer is None or isinstance(answer, Problem):
        message = answer.message if answer else "not looked at"
        remedy = "log in (aws sso login) or name another profile; aws sts get-caller-identity shows what is used"
        return _finding("credentials", "fail", "AWS credentials", message, expected, remedy)
    return _finding("credentials", "pass", "AWS credentials", answer.arn, expected, "")


def tool(found: Tool) -> Finding:
    """A program on PATH in a version that does."""
    worse: Status = "fail" if found.required else "warn"
    least = f"version {found.minimum_version} or newer" if found.minimum_version else "any version"
    least += f", below {found.below_version}" if found.below_version else ""
    expected = f"{found.name} on PATH, {least}" + ("" if found.required else " (optional)")
    remedy = f"install {found.name}, {least}, and put it on the PATH of the play (environment: PATH)"
    if not found.path:
        return _finding("tools", worse, found.name, "not on PATH", expected, remedy)
    version = version_in(found.output)
    if version is None:
        remedy = f"run {found.path} by hand and see why it tells no version"
        told = f"{found.path} tells no version: {found.output[:80]!r}"
        return _finding("tools", "unknown", found.name, told, expected, remedy)
    shown = ".".join(map(str, version))
    wanted = version_in(found.minimum_version) or ()
    too_new = version_in(found.below_version)
    status = worse if version < wanted or (too_new and version >= too_new) else "pass"
    return _finding("tools", status, found.name, f"{shown} ({found.path})", expected, remedy)


def version_in(text: str) -> tuple[int, ...] | None:
    """The first version in a text, ``v4.2.4+g123`` as (4, 2, 4); None where there is none."""
    match = re.search(r"(?<![\d.])v?(\d+(?:\.\d+)+)", text)
    return tuple(int(number) for number in match[1].split(".")) if match else None


def quotas(context: Context) -> list[Finding]:
    """The account's limits against what will be made."""
    return [_quota(code, answer, context) for code, answer in context.facts.quotas.items()]


def _quota(code: str, answer: Quota | Problem, context: Context) -> Finding:
    service, name = QUOTAS[code]
    subject = f"quota {service}/{code}"
    if isinstance(answer, Problem):
        remedy = f"grant servicequotas:GetServiceQuota, or see in the console that {name} leave room"
        return _finding("quotas", "unknown", subject, answer.message, f"room in {name}", remedy)
    remedy = f"ask AWS for more in Service Quotas: service {service}, quota {code}"
    if code == VCPU_QUOTA:
        need = _vcpu_needed(context)
        status: Status = "fail" if need > answer.value else "pass"
        return _finding("quotas", status, subject, f"{answer.value:g} {name}", f"at least {need:g}", remedy)
    used = answer.used or 0
    # The installation's own may be among those in use, so that a full quota need not stop a second run.
    status = "warn" if used >= answer.value else "pass"
    told = f"{used:g} of {answer.value:g} {name} in use"
    return _finding("quotas", status, subject, told, "room for one more", remedy)


def _vcpu_needed(context: Context) -> float:
    types = context.facts.types
    if types is None or isinstance(types, Problem) or not types:
        return 0
    smallest = min(one.vcpu for one in types.values())
    return sum(int(given.value) * smallest for given in context.values("node_count") if str(given.value).isdecimal())
