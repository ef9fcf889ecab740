# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The sizing rules on volumes that are there: what they are, whether it is the plan, whether it is enough."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse import volume as ebs
from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.facts import Environment, Plan, Volume
from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.storage import (
    BALANCES,
    INSTANCE_CHECKS,
    MINUTES,
    VOLUME_CHECKS,
    RealVolume,
    Storage,
    Unread,
)
from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.thresholds import (
    BURST_BALANCE_WARN,
    DISK_SIZE_TOLERANCE,
    IOPS,
    P0,
    THROUGHPUT,
    ZONES,
    Threshold,
)
from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.verdict import (
    expected,
    finding,
    number,
    serious,
    weigh,
)
from ansible_collections.langsmith.aws.plugins.module_utils.domain.finding import Finding, Status

CLOUDWATCH = "Amazon CloudWatch metrics of Amazon EBS and of Amazon EC2 instances"


@dataclass(frozen=True)
class _Case:
    """One volume with all that its rules need."""

    volume: RealVolume
    storage: Storage
    environment: Environment
    plan: Plan | None


def judge_volumes(storage: Storage, environment: Environment, plan: Plan | None = None) -> list[Finding]:
    """Whether each volume is there, then the rules on it, then those on the instances."""
    if isinstance(storage.volumes, Unread):
        return [_unread("volume", "volumes.ids", storage.volumes, "the volumes of ClickHouse")]
    served = {volume.claim for volume in storage.volumes if volume.instance_id} - {""}
    left_over = {one.id: one for one in storage.volumes if not one.instance_id and one.claim in served}
    there = {volume.id: volume for volume in storage.volumes if volume.id not in left_over}
    found = [_left_over(volume) for volume in left_over.values()]
    for name in [name for name in storage.asked if name not in left_over]:
        found.append(_presence(name, there.get(name), environment))
        if name in there:
            case = _Case(there[name], storage, environment, plan)
            found += [told for rule in VOLUME_RULES for told in rule(case)]
    found += _spread(tuple(there.values()), environment)
    for instance in sorted({volume.instance_id for volume in storage.volumes if volume.instance_id}):
        held = [volume for volume in storage.volumes if volume.instance_id == instance]
        found.append(_instance_io(instance, held, storage, environment, plan))
        found += _instance_pressure(instance, storage, environment)
    return found


def _spread(volumes: Sequence[RealVolume], environment: Environment) -> list[Finding]:
    """A volume stays in its zone, so that their zones are those of the servers."""
    zones = {volume.zone for volume in volumes if volume.zone}
    if environment == "dev" or len(volumes) < 2 or not zones:
        return []
    wanted = min(ZONES, len(volumes))
    told = (f"{len(volumes)} volumes in {', '.join(sorted(zones))}", f"in {wanted} zones")
    remedy = "make the volumes of some replicas anew in other zones, one replica at a time"
    return [finding("spread", "pass" if len(zones) >= wanted else "warn", "volumes.ids", told, remedy)]


def _instance_io(
    name: str, held: Sequence[RealVolume], storage: Storage, environment: Environment, plan: Plan | None
) -> Finding:
    """Whether the instance can drive all the volumes on it together."""
    expectation = "an instance that sustains what its volumes can do"
    if isinstance(storage.instances, Unread):
        return _unread("instance_io", name, storage.instances, expectation)
    if isinstance(storage.types, Unread):
        return _unread("instance_io", name, storage.types, expectation)
    type_name = storage.instances.get(name, "")
    kind = storage.types.get(type_name)
    if kind is None:
        told = (f"EC2 tells no EBS figures of {type_name or name}", expectation)
        return finding("instance_io", "unknown", name, told, "compare its EBS figures with the volumes' by hand")
    room = (plan.cpu or 0, plan.memory_gib or 0) if plan else (0.0, 0.0)
    found = ebs.judge_instance(kind, [_as_planned(volume) for volume in held], environment, name, room)
    return replace(found, observed=f"{', '.join(volume.id for volume in held)}: {found.observed}")


def _left_over(volume: RealVolume) -> Finding:
    """A claim that was made anew leaves its old volume where the reclaim policy is Retain: nobody uses its figures."""
    told = (f"{volume.state}, left over: claim {volume.claim} has another volume by now", "a volume in use")
    remedy = (
        "once nothing on it is wanted any more, delete its PersistentVolume (kubectl get pv, its volumeHandle is this "
        "id) and the volume"
    )
    return finding("volume", "warn", volume.id, told, remedy)


def _presence(name: str, volume: RealVolume | None, environment: Environment) -> Finding:
    expectation = "a volume in use"
    if volume is None:
        remedy = "see that volumes.ids names volumes of this region and account that were not deleted"
        return finding("volume", "fail", name, ("there is no such volume", expectation), remedy)
    status: Status = "pass"
    if volume.state == "error":
        status = "fail"
    elif volume.state != "in-use" or not volume.instance_id:
        status = serious(environment)
    on = f"on {volume.instance_id}" if volume.instance_id else "attached to nothing"
    told = (f"{volume.state}, {on}" + (f", made for claim {volume.claim}" if volume.claim else ""), expectation)
    remedy = (
        "look for its PersistentVolume (kubectl get pv, its volumeHandle is this id): where that is Bound, see why the "
        "pod of its claim does not run (kubectl describe pod); where it is Released or gone, nobody uses the volume: "
        "delete both once nothing on it is wanted any more, or take the id out of volumes.ids"
    )
    return finding("volume", status, name, told, remedy)


def change(case: _Case) -> Iterable[Finding]:
    """While EBS changes a volume its figures are promises, and the next change has to wait."""
    expectation = "no change under way"
    changes = case.storage.modifications
    if isinstance(changes, Unread):
        return [_unread("volume_change", case.volume.id, changes, expectation)]
    now = changes.get(case.volume.id)
    if now is None or now.state == "completed":
        return [finding("volume_change", "pass", case.volume.id, ("none under way", expectation), "")]
    status: Status = "fail" if now.state == "failed" else "warn"
    told = f"{now.state}, {now.progress} % done" + (f": {now.message}" if now.message else "")
    remedy = "wait until it is completed; EBS takes four changes in 24 hours, each after the one before"
    if now.state == "failed":
        remedy = "read the message, correct the StorageClass or VolumeAttributesClass and change the volume again"
    return [finding("volume_change", status, case.volume.id, (told, expectation), remedy, ebs.SOURCE)]


def kind(case: _Case) -> Iterable[Finding]:
    """Its type, by the rule on planned ones."""
    status, told = ebs.judge_type(case.volume.type, case.environment)
    remedy = "change the volume's type to gp3 (ModifyVolume or a VolumeAttributesClass)"
    expectation = "an SSD volume that reaches the throughput: gp3 or io2"
    return [finding("volume_type", status, case.volume.id, (told, expectation), remedy, P0)]


def size(case: _Case) -> Iterable[Finding]:
    """Its size against the plan; one that was enlarged since is no problem."""
    planned = case.plan.volume.size_gib if case.plan else None
    if planned is None:
        return []
    status: Status = "pass"
    if case.volume.size_gib < planned * (1 - DISK_SIZE_TOLERANCE):
        status = serious(case.environment)
    told = (f"{case.volume.size_gib:g} GiB", f"{planned:g} GiB as planned")
    remedy = f"raise the request of the volume's claim to {planned:g}Gi"
    return [finding("disk_size", status, case.volume.id, told, remedy)]


def iops(case: _Case) -> Iterable[Finding]:
    """Its IOPS against the plan and the reference architecture."""
    planned = ebs.iops(case.plan.volume) if case.plan else None
    return [_figure("iops", case, ebs.iops(_as_planned(case.volume)), planned, IOPS)]


def throughput(case: _Case) -> Iterable[Finding]:
    """Its MiB/s against the plan and the reference architecture."""
    planned = ebs.throughput(case.plan.volume) if case.plan else None
    return [_figure("throughput", case, ebs.throughput(_as_planned(case.volume)), planned, THROUGHPUT)]


def _as_planned(volume: RealVolume) -> Volume:
    return Volume(volume.type, volume.size_gib, volume.iops, volume.throughput_mib_s)


def _figure(rule: str, case: _Case, value: float | None, planned: float | None, need: Threshold) -> Finding:
    """What was planned must be there even where the reference architecture asks for less."""
    wanted = replace(need, advice="")
    if planned is not None:
        wanted = replace(wanted, dev=max(need.dev, planned))
        if planned > need.production:
            wanted = replace(wanted, production=planned, tolerated=planned * need.tolerated / need.production)
    expectation = expected(case.environment, wanted)
    if case.environment == "dev" and planned is not None:
        expectation = f"at least {number(wanted.dev, need.unit)}, as planned"
    told = ("not told by EC2" if value is None else number(value, need.unit), expectation)
    remedy = (
        "change the volume itself (ModifyVolume or a VolumeAttributesClass): the StorageClass holds for new ones only"
    )
    status: Status = "unknown" if value is None else weigh(value, case.environment, wanted)
    return finding(rule, status, case.volume.id, told, remedy)


def pressure(case: _Case) -> Iterable[Finding]:
    """Whether the volume was held back in the last hour."""
    if not case.volume.instance_id:
        return []
    return [_exceeded(case.volume.id, VOLUME_CHECKS, case.storage, case.environment, "raise its IOPS and throughput")]


def _instance_pressure(name: str, storage: Storage, environment: Environment) -> list[Finding]:
    """Whether the instance held its volumes back in the last hour, and what is left to burst with."""
    remedy = "take an instance type with more EBS bandwidth: a larger volume does not help"
    found = [_exceeded(name, INSTANCE_CHECKS, storage, environment, remedy)]
    if isinstance(storage.metrics, Unread):
        return found
    for metric, what in BALANCES.items():
        values = storage.metrics.get((name, metric), ())
        if values:
            status: Status = "pass" if min(values) >= BURST_BALANCE_WARN else "warn"
            told = (f"{min(values):.0f} % left to burst with in {what}", f"at least {BURST_BALANCE_WARN} %")
            found.append(finding("io_balance", status, name, told, remedy, CLOUDWATCH))
    return found


def _exceeded(subject: str, checks: dict[str, str], storage: Storage, environment: Environment, remedy: str) -> Finding:
    expectation = f"in no minute of the last {MINUTES} more asked for than it may do"
    if isinstance(storage.metrics, Unread):
        return _unread("io_pressure", subject, storage.metrics, expectation)
    minutes = {what: storage.metrics.get((subject, metric), ()) for metric, what in checks.items()}
    over = {what: sum(value >= 1 for value in values) for what, values in minutes.items()}
    if any(over.values()):
        told = "; ".join(f"{what} exceeded in {count} min" for what, count in over.items() if count)
        return finding("io_pressure", serious(environment), subject, (told, expectation), remedy, CLOUDWATCH)
    silent = [what for what, values in minutes.items() if not values]
    if silent:
        told = f"CloudWatch has no values of {' and '.join(silent)}"
        remedy = "run the check again some minutes after the volume was attached; only Nitro instances report it"
        return finding("io_pressure", "unknown", subject, (told, expectation), remedy, CLOUDWATCH)
    return finding("io_pressure", "pass", subject, ("never exceeded", expectation), "", CLOUDWATCH)


def _unread(rule: str, subject: str, answer: Unread, expectation: str) -> Finding:
    remedy = f"grant {answer.action} to the role or user that runs this" if answer.action else "run the check again"
    return finding(rule, "unknown", subject, (answer.message, expectation), remedy)


VOLUME_RULES: Sequence[Callable[[_Case], Iterable[Finding]]] = (
    change,
    kind,
    size,
    iops,
    throughput,
    pressure,
)
