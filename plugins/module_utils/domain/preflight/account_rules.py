# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules on inputs that the account decides. What could not be asked is unknown, never a pass."""

from __future__ import annotations

from ansible_collections.langsmith.aws.plugins.module_utils.domain.finding import Finding, Status
from ansible_collections.langsmith.aws.plugins.module_utils.domain.preflight.facts import (
    ENABLED,
    Context,
    Input,
    InstanceType,
    Problem,
    secret_place,
)
from ansible_collections.langsmith.aws.plugins.module_utils.domain.preflight.input_rules import (
    P0,
    REGION,
    finding,
)

#: The least a cluster may have for LangSmith with everything around it.
MINIMUM_VCPU, MINIMUM_GIB = 16, 64


def unasked(given: Input, answer: object, expected: str) -> Finding:
    """The finding for what nobody could look at."""
    if isinstance(answer, Problem):
        return finding(given, "unknown", answer.message, expected, "mend what AWS says and run this again")
    remedy = "settle preflight.credentials and preflight.region first, then run this again"
    return finding(given, "unknown", "not looked at: no usable credentials or region", expected, remedy)


def region(given: Input, context: Context) -> list[Finding]:
    """Named, existing and enabled in this account."""
    text, state = str(given.value), context.facts.region_state
    expected = "a region that is enabled in the account, such as us-east-1"
    if not REGION.fullmatch(text):
        return [finding(given, "fail", repr(text), expected, f"correct {given.variable}: {expected}")]
    if context.facts.region != text:
        told = f"{text}, but the credentials' profile or environment names {context.facts.region}"
        return [finding(given, "fail", told, expected, f"name one region in {given.variable} and in the option region")]
    if state is None or isinstance(state, Problem):
        return [unasked(given, state, expected)]
    if state == "absent":
        return [finding(given, "fail", f"AWS has no region {text}", expected, f"correct {given.variable}")]
    if state not in ENABLED:
        remedy = f"enable {text} in the account's settings (account:EnableRegion), or take another in {given.variable}"
        return [finding(given, "fail", f"{text} is {state}", expected, remedy)]
    return [finding(given, "pass", f"{text} ({state})", expected, "")]


def zones(given: Input, context: Context) -> list[Finding]:
    """At least two availability zones of the region, each once."""
    wanted = given.value if isinstance(given.value, list) else [given.value]
    expected, answer = "two or more availability zones of the region", context.facts.zones
    if len(set(wanted)) < max(2, len(wanted)):
        remedy = f"name two or three different zones in {given.variable}: EKS and RDS need two"
        return [finding(given, "fail", ", ".join(map(str, wanted)), expected, remedy)]
    if answer is None or isinstance(answer, Problem):
        return [unasked(given, answer, expected)]
    absent = [str(zone) for zone in wanted if zone not in answer]
    if absent:
        remedy = f"take zones of {context.facts.region} in {given.variable}: {', '.join(answer)}"
        return [finding(given, "fail", f"not there or not available: {', '.join(absent)}", expected, remedy)]
    return [finding(given, "pass", ", ".join(wanted), expected, "")]


def instance_types(given: Input, context: Context) -> list[Finding]:
    """Each type exists and is offered in every zone that is used."""
    wanted = given.value if isinstance(given.value, list) else [given.value]
    types, offers = context.facts.types, context.facts.offers
    expected = "instance types that EC2 offers in every zone of the cluster"
    if types is None or isinstance(types, Problem):
        return [unasked(given, types, expected)]
    absent = [name for name in wanted if name not in types]
    if absent:
        told = f"{context.facts.region} has no {', '.join(map(str, absent))}"
        return [finding(given, "fail", told, expected, f"take other types in {given.variable}")]
    if offers is None or isinstance(offers, Problem):
        return [unasked(given, offers, expected)]
    used = sorted({str(zone) for other in context.values("zones") for zone in _as_list(other.value)})
    lacking = [
        f"{name} in {zone}" for name in wanted for zone in used if zone not in offers.get(name, frozenset())
    ] or [name for name in wanted if not offers.get(name)]
    if lacking:
        remedy = f"take other types in {given.variable}, or other zones"
        return [finding(given, "fail", f"not offered: {', '.join(lacking)}", expected, remedy)]
    return [finding(given, "pass", f"{', '.join(wanted)} in {', '.join(used) or 'the region'}", expected, "")]


def node_count(given: Input, context: Context) -> list[Finding]:
    """The node group, at its smallest type, against the least a cluster for LangSmith has."""
    expected = f"{MINIMUM_VCPU} vCPU and {MINIMUM_GIB} GiB together in production"
    if isinstance(given.value, bool) or not str(given.value).isdecimal() or int(given.value) < 1:
        remedy = f"set {given.variable} to the number of nodes"
        return [finding(given, "fail", repr(given.value), expected, remedy, P0)]
    names = [str(name) for other in context.values("instance_types") for name in _as_list(other.value)]
    types = context.facts.types
    if types is None or isinstance(types, Problem) or not names:
        return [unasked(given, types, expected)]
    known = [types[name] for name in names if name in types]
    if not known:
        remedy = "settle preflight.instance_types first"
        return [finding(given, "unknown", "no instance type that exists", expected, remedy, P0)]
    return [_capacity(given, context, int(given.value), known, expected)]


def _capacity(given: Input, context: Context, count: int, known: list[InstanceType], expected: str) -> Finding:
    smallest = min(known, key=lambda one: (one.vcpu, one.memory_mib))
    vcpu, gib = count * smallest.vcpu, count * smallest.memory_mib / 1024
    free_cpu, free_gib = count * smallest.allocatable_cpu, count * smallest.allocatable_mib / 1024
    told = f"{count} x {smallest.name}: {vcpu} vCPU, {gib:g} GiB ({free_cpu:.1f} and {free_gib:.1f} left to pods)"
    remedy = f"raise {given.variable} or take a larger instance type"
    status: Status = "pass"
    if vcpu < MINIMUM_VCPU or gib < MINIMUM_GIB:
        status = "fail" if context.production else "warn"
    elif free_cpu < MINIMUM_VCPU or free_gib < MINIMUM_GIB:
        status, remedy = "warn", f"{remedy}: EKS keeps a part of each node for itself"
    return finding(given, status, told, expected, remedy, P0)


def _as_list(value: object) -> list[object]:
    return value if isinstance(value, list) else [value]


def hosted_zone(given: Input, context: Context) -> list[Finding]:
    """A public zone of the account, in which the host's name lies."""
    text = str(given.value)
    expected = "a public hosted zone of Route 53 in this account that the host's name lies in"
    answer = context.facts.hosted_zones.get(text)
    if answer is None or isinstance(answer, Problem):
        return [unasked(given, answer, expected)]
    public = [zone for zone in answer if not zone.private]
    identity = context.facts.identity
    account = getattr(identity, "account_id", "this account")
    if not public:
        told = f"hosted zone {text} is {'private' if answer else 'not'} in account {account}"
        remedy = f"create a public zone {text}, or correct {given.variable}"
        return [finding(given, "fail", told, expected, remedy)]
    if len(public) > 1:
        told = f"{len(public)} public zones {text}: {', '.join(zone.id for zone in public)}"
        remedy = f"put the id of the one that is delegated to in {given.variable}"
        return [finding(given, "warn", told, expected, remedy)]
    zone = public[0]
    outside = [other for other in context.values("hostname") if not _within(str(other.value), zone.name)]
    if outside:
        told = f"{outside[0].value} does not lie in {zone.name}"
        remedy = f"change {outside[0].variable} or {given.variable}"
        return [finding(given, "fail", told, expected, remedy)]
    return [finding(given, "pass", f"{zone.name} ({zone.id})", expected, "")]


def _within(name: str, zone: str) -> bool:
    return name.lower() == zone.lower() or name.lower().endswith(f".{zone.lower()}")


def license_secret(given: Input, context: Context) -> list[Finding]:
    """The license is stored and can be read; it is not looked at otherwise."""
    expected = "a secret of AWS Secrets Manager that holds the license key"
    place = secret_place(given.value)
    if place is None:
        remedy = f"set {given.variable} to the name of the secret, or to its name and key"
        return [finding(given, "fail", "no name of a secret", expected, remedy)]
    if given.variable not in context.facts.secrets:
        return [unasked(given, None, expected)]
    problem = context.facts.secrets[given.variable]
    if problem is None:
        return [finding(given, "pass", f"{place[0]} is there", expected, "")]
    if not problem.denied:
        return [
            finding(given, "fail", problem.message, expected, f"store the license key and name it in {given.variable}")
        ]
    return [finding(given, "fail", problem.message, expected, f"grant the reading of what {given.variable} names")]
