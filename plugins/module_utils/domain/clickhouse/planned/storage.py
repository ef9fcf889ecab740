# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules on the volume that is planned, on the instance that has to drive it, and on what keeps the data."""

from __future__ import annotations

from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse import instances
from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse import volume as ebs
from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.facts import Environment, Plan
from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.planned.saying import (
    IN_CLUSTER,
    figure,
    unsaid,
    untold,
    weakest,
)
from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.recommendation import (
    disk_gib,
    planned_load,
    volume_days,
)
from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.thresholds import (
    CHECKLIST,
    DISK_HEADROOM,
    GIB_PER_TRACE_S_DAY,
    IOPS,
    P0,
    SCALE,
    THROUGHPUT,
)
from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.verdict import finding, serious
from ansible_collections.langsmith.aws.plugins.module_utils.domain.finding import Finding, Status


def volume_type(plan: Plan, environment: Environment) -> Finding | None:
    """Merges seek all the time, which spinning disks do not bear."""
    kind = plan.volume.type
    expectation = "an SSD volume that reaches the throughput: gp3 or io2"
    if kind is None:
        return untold("volume_type", "volume.type", plan, environment, expectation)
    remedy = "set plan.volume.type to gp3, with 7000 IOPS and 1000 MiB/s in production"
    status, told = ebs.judge_type(kind, environment)
    source = ebs.SOURCE if kind == "gp2" else P0
    return finding("volume_type", status, "plan.volume.type", (told, expectation), remedy, source)


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
    return figure("iops", "volume.iops", ebs.iops(plan.volume), plan, environment, IOPS)


def throughput(plan: Plan, environment: Environment) -> Finding | None:
    """MiB/s of each replica's volume; gp3 without a word gives an eighth of it."""
    return figure("throughput", "volume.throughput_mib_s", ebs.throughput(plan.volume), plan, environment, THROUGHPUT)


def instance_io(plan: Plan, environment: Environment) -> Finding | None:
    """A volume gives no more than what the instance that it is attached to sustains."""
    kinds = instances.known(plan.instance_types)
    if plan.topology not in IN_CLUSTER or not kinds:
        return None  # that no type, or an unknown one, is given is told by ``schedulable``
    room = (plan.cpu or 0, plan.memory_gib or 0)
    return weakest(ebs.judge_instance(kind, [plan.volume], environment, "plan.instance_types", room) for kind in kinds)


def disk_need(plan: Plan, environment: Environment) -> Finding | None:
    """What the traces take until they expire, with room for merges."""
    load = planned_load(plan)
    if load is None or plan.topology == "managed":
        return None
    days, endless = volume_days(load)
    need = disk_gib(load, days) * DISK_HEADROOM
    expectation = (
        f"at least {need:.0f} GiB: {GIB_PER_TRACE_S_DAY:g} GiB x {load.traces_per_s:g} traces/s x {days:g} days x "
        f"{DISK_HEADROOM:g}"
    ) + (" (plan.load.horizon_days, as traces never expire)" if endless else "")
    size = plan.volume.size_gib
    if size is None:
        return untold("disk_need", "volume.size_gib", plan, environment, expectation)
    full = size / disk_gib(load, 1)
    told = (f"{size:g} GiB, full after {full:.1f} days", expectation)
    status: Status = "pass" if size >= need else serious(environment)
    remedy = f"set plan.volume.size_gib to {need:.0f} or more, or keep traces for fewer days"
    if status == "pass" and endless:
        # No size is enough for ever.
        status = "warn"
        remedy = "turn config.ttl of the chart on, or enlarge the volume before it is full"
    return finding("disk_need", status, "plan.volume.size_gib", told, remedy, SCALE)


def persistence(plan: Plan, environment: Environment) -> Finding | None:
    """Traces on a pod's own file system die with the pod."""
    expectation = "a persistent volume for each replica"
    if plan.persistence is None:
        return untold("persistence", "persistence", plan, environment, expectation)
    told = ("on" if plan.persistence else "off: data is lost with the pod", expectation)
    remedy = "set plan.persistence to true, with a StorageClass of the EBS CSI driver"
    status: Status = "pass" if plan.persistence else serious(environment)
    return finding("persistence", status, "plan.persistence", told, remedy)


def volume_expansion(plan: Plan, environment: Environment) -> Finding | None:
    """A volume that is filling has to grow under the running server."""
    expectation = "a StorageClass with allowVolumeExpansion"
    if plan.allow_volume_expansion is None:
        return unsaid("volume_expansion", "allow_volume_expansion", plan, environment, expectation)
    told = ("allowed" if plan.allow_volume_expansion else "not allowed", expectation)
    remedy = "take a StorageClass with allowVolumeExpansion: true; it can be set on an existing one too"
    status: Status = "pass" if plan.allow_volume_expansion else "warn"
    return finding("volume_expansion", status, "plan.allow_volume_expansion", told, remedy)


def reclaim_policy(plan: Plan, environment: Environment) -> Finding | None:
    """With Delete, the volume and its traces go when somebody removes the claim."""
    expectation = "reclaimPolicy Retain"
    if plan.reclaim_policy is None:
        return unsaid("reclaim_policy", "reclaim_policy", plan, environment, expectation)
    status: Status = "warn" if environment == "production" and plan.reclaim_policy != "Retain" else "pass"
    remedy = "take a StorageClass with reclaimPolicy: Retain, and patch the policy of volumes that are there already"
    told = (plan.reclaim_policy, expectation)
    return finding("reclaim_policy", status, "plan.reclaim_policy", told, remedy, CHECKLIST)


RULES = (
    volume_type,
    volume_limits,
    iops,
    throughput,
    instance_io,
    disk_need,
    persistence,
    volume_expansion,
    reclaim_policy,
)
