# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The sizing rules on a planned ClickHouse, one function each."""

from __future__ import annotations

from collections.abc import Callable

from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse import volume as ebs
from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.facts import (
    Environment,
    Live,
    Plan,
    Refused,
    version_of,
)
from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.thresholds import (
    CHART_VERSION,
    CPU,
    DEPENDENCIES,
    IOPS,
    MEMORY,
    OLDEST_VERSION,
    P0,
    REPLICAS,
    REPLICAS_MAX,
    THROUGHPUT,
    Threshold,
)
from ansible_collections.langsmith.aws.plugins.module_utils.domain.finding import Finding, Status

Rule = Callable[[Plan, Environment], "Finding | None"]

#: Where the operator runs no servers and volumes of their own, what is not said is not theirs to say.
_NOT_OURS = ("managed",)


def finding(rule: str, status: Status, subject: str, told: tuple[str, str], remedy: str, source: str = P0) -> Finding:
    """A finding of component clickhouse; ``told`` is (observed, expected). The remedy is dropped where all is well."""
    return Finding(
        id=f"clickhouse.{rule}",
        status=status,
        component="clickhouse",
        subject=subject,
        observed=told[0],
        expected=told[1],
        remedy="" if status == "pass" else remedy,
        source=source,
    )


def weigh(value: float, environment: Environment, need: Threshold) -> Status:
    """How a figure stands against its threshold: production may fail, dev is only ever warned."""
    if environment == "dev":
        return "pass" if value >= need.dev else "warn"
    if value >= need.production:
        return "pass"
    return "warn" if value >= need.tolerated else "fail"


def number(value: float, unit: str) -> str:
    """A figure with its unit, at most one decimal."""
    return f"{round(value, 1):g} {'replica' if unit == 'replicas' and value == 1 else unit}"


def expected(environment: Environment, need: Threshold) -> str:
    """The threshold as a sentence with its unit."""
    full = number(need.production, need.unit)
    if environment == "production":
        return f"at least {full}"
    return (
        f"at least {number(need.dev, need.unit)} ({full} in production)"
        if need.dev
        else f"no minimum ({full} in production)"
    )


def _missing(rule: str, plan: Plan, environment: Environment, expectation: str) -> Finding | None:
    if plan.topology in _NOT_OURS:
        return None
    status: Status = "unknown" if environment == "production" else "warn"
    subject = f"plan.{_SUBJECTS.get(rule, rule)}"
    return finding(rule, status, subject, ("not given", expectation), f"give {subject}, so that it can be judged")


_SUBJECTS = {
    "memory": "memory_gib",
    "volume_type": "volume.type",
    "iops": "volume.iops",
    "throughput": "volume.throughput_mib_s",
}


def _figure(rule: str, value: float | None, plan: Plan, environment: Environment, need: Threshold) -> Finding | None:
    expectation = expected(environment, need)
    if value is None:
        return _missing(rule, plan, environment, expectation) if environment == "production" or need.dev else None
    subject = f"plan.{_SUBJECTS.get(rule, rule)}"
    remedy = f"raise {subject} to {need.production:g} {need.unit}{need.advice}"
    return finding(rule, weigh(value, environment, need), subject, (number(value, need.unit), expectation), remedy)


def topology(plan: Plan, environment: Environment) -> Finding:
    """One node has no other to read from or to survive on."""
    status: Status = "pass"
    if plan.topology == "single":
        status = "fail" if environment == "production" else "warn"
    told = (plan.topology, "replicated, external or managed in production; single only for dev")
    remedy = (
        "take topology replicated with 3 replicas, external or managed before the first migration: the schema of a "
        "single node cannot be converted"
    )
    return finding("topology", status, "plan.topology", told, remedy)


def replicas(plan: Plan, environment: Environment) -> Finding | None:
    """At least three, so that the loss of one leaves two that agree; beyond five replication itself is load."""
    count = 1 if plan.replicas is None and plan.topology == "single" else plan.replicas
    expectation = f"{REPLICAS.production:g} to {REPLICAS_MAX} in production; 1 is enough for dev"
    if count is None:
        return _missing("replicas", plan, environment, expectation)
    status = weigh(count, environment, REPLICAS)
    remedy = f"set plan.replicas to {REPLICAS.production:g}"
    if plan.topology == "single" and count > 1:
        status, remedy = "fail", "take topology replicated, or one replica: a single node has no others"
    elif plan.topology == "replicated" and count < REPLICAS.production and environment == "dev":
        status = "warn"
    elif count > REPLICAS_MAX:
        status, remedy = "warn", f"stay at {REPLICAS_MAX} replicas or fewer and give each more CPU and memory"
    return finding("replicas", status, "plan.replicas", (number(count, "replicas"), expectation), remedy)


def cpu(plan: Plan, environment: Environment) -> Finding | None:
    """CPU of each replica."""
    return _figure("cpu", plan.cpu, plan, environment, CPU)


def memory(plan: Plan, environment: Environment) -> Finding | None:
    """Memory of each replica."""
    return _figure("memory", plan.memory_gib, plan, environment, MEMORY)


def volume_type(plan: Plan, environment: Environment) -> Finding | None:
    """Merges seek all the time, which spinning disks do not bear."""
    kind = plan.volume.type
    expectation = "an SSD volume that reaches the throughput: gp3 or io2"
    if kind is None:
        return _missing("volume_type", plan, environment, expectation)
    worse: Status = "fail" if environment == "production" else "warn"
    remedy = "set plan.volume.type to gp3, with 7000 IOPS and 1000 MiB/s in production"
    if kind in ebs.HDD:
        return finding("volume_type", worse, "plan.volume.type", (f"{kind} (HDD)", expectation), remedy)
    if kind == "gp2":
        status: Status = worse if environment == "production" else "pass"
        told = ("gp2 (SSD, 250 MiB/s at most)", expectation)
        return finding("volume_type", status, "plan.volume.type", told, remedy, ebs.SOURCE)
    if kind not in ebs.SSD:
        told = (f"{kind}, no EBS type", expectation)
        return finding("volume_type", "unknown", "plan.volume.type", told, remedy)
    return finding("volume_type", "pass", "plan.volume.type", (f"{kind} (SSD)", expectation), remedy)


def volume_limits(plan: Plan, environment: Environment) -> Finding | None:
    """What EBS cannot make comes back as less than was asked for."""
    if plan.volume.type not in ebs.SSD:
        return None
    wrong = ebs.refusals(plan.volume)
    told = ("; ".join(wrong) or "size, IOPS and throughput fit together", f"what EBS makes as {plan.volume.type}")
    remedy = "change plan.volume so that its size, IOPS and throughput fit together"
    return finding("volume_limits", "fail" if wrong else "pass", "plan.volume", told, remedy, ebs.SOURCE)


def iops(plan: Plan, environment: Environment) -> Finding | None:
    """I/O operations per second of each replica's volume."""
    return _figure("iops", ebs.iops(plan.volume), plan, environment, IOPS)


def throughput(plan: Plan, environment: Environment) -> Finding | None:
    """MiB/s of each replica's volume; gp3 without a word gives an eighth of it."""
    return _figure("throughput", ebs.throughput(plan.volume), plan, environment, THROUGHPUT)


def persistence(plan: Plan, environment: Environment) -> Finding | None:
    """Traces on a pod's own file system die with the pod."""
    expectation = "a persistent volume for each replica"
    if plan.persistence is None:
        return _missing("persistence", plan, environment, expectation)
    worse: Status = "fail" if environment == "production" else "warn"
    told = ("on" if plan.persistence else "off: data is lost with the pod", expectation)
    remedy = "set plan.persistence to true, with a StorageClass of the EBS CSI driver"
    return finding("persistence", "pass" if plan.persistence else worse, "plan.persistence", told, remedy)


def version(plan: Plan, environment: Environment) -> Finding | None:
    """LangSmith's migrations need a server not older than what its chart brings."""
    if plan.version is None:
        return _missing("version", plan, environment, version_expectation())
    return judge_version("version", "plan.version", plan.version)


def version_expectation() -> str:
    """The versions wanted, as a sentence."""
    oldest, chart = (".".join(map(str, numbers)) for numbers in (OLDEST_VERSION, CHART_VERSION))
    return f"{chart} or newer, as LangSmith's chart brings; never older than {oldest}"


def judge_version(rule: str, subject: str, text: str) -> Finding:
    """A version against the oldest that LangSmith supports and the one that its chart brings."""
    numbers = version_of(text)
    status: Status = "pass"
    if numbers is None:
        status = "unknown"
    elif numbers < OLDEST_VERSION:
        status = "fail"
    elif numbers < CHART_VERSION:
        status = "warn"
    remedy = f"run ClickHouse {'.'.join(map(str, CHART_VERSION))} or newer; a downgrade is never supported"
    return finding(rule, status, subject, (text, version_expectation()), remedy, DEPENDENCIES)


PLAN_RULES: tuple[Rule, ...] = (
    topology,
    replicas,
    cpu,
    memory,
    volume_type,
    volume_limits,
    iops,
    throughput,
    persistence,
    version,
)

#: What a live server tells too, so that the plan need not.
_TOLD_LIVE = {
    "clickhouse.replicas": "clusters",
    "clickhouse.cpu": "threads",
    "clickhouse.memory": "memory_limit",
    "clickhouse.version": "version",
}


def judge_plan(plan: Plan, environment: Environment, live: Live | None = None) -> list[Finding]:
    """Every plan rule. What the plan leaves out is no finding where ``live`` tells it and has rules of its own."""
    findings = [found for rule in PLAN_RULES if (found := rule(plan, environment)) is not None]
    return [found for found in findings if found.observed != "not given" or not _is_told(found, live)]


def _is_told(found: Finding, live: Live | None) -> bool:
    answer = None if live is None else live.answers.get(_TOLD_LIVE.get(found.id, ""))
    return answer is not None and not isinstance(answer, Refused)
