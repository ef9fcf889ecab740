# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From the load that LangSmith has to bear to the ClickHouse that bears it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse import instances
from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse import volume as ebs
from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.facts import Environment, Load, Plan
from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.thresholds import (
    CHART_TTL_DAYS,
    CPU,
    DISK_WARN,
    GIB_PER_TRACE_S_DAY,
    HORIZON_DAYS,
    IOPS,
    MEMORY,
    REPLICAS,
    REPLICAS_MAX,
    THROUGHPUT,
)
from ansible_collections.langsmith.aws.plugins.module_utils.domain.load_class import (
    TRACES_PER_S,
    USERS,
    LoadClass,
    needed_class,
)


@dataclass(frozen=True)
class Size:
    """Replicas, and what each of them requests."""

    replicas: int
    cpu: float
    memory_gib: float


#: The rows of the scaling page, by reads and writes. It has five of the nine.
_ROWS: dict[tuple[LoadClass, LoadClass], Size] = {
    ("low", "low"): Size(1, 4, 16),
    ("low", "high"): Size(1, 10, 32),
    ("high", "low"): Size(3, 8, 16),
    ("medium", "medium"): Size(1, 16, 24),
    ("high", "high"): Size(3, 14, 24),
}
_CLASSES: tuple[LoadClass, ...] = ("low", "medium", "high")
#: The reference architecture's next step after its baseline, taken above what the scaling page has figures for.
_SCALED_UP = Size(3, 16, 64)
#: Smallest volume that is recommended, and what sizes are rounded up to, in GiB.
_SMALLEST, _STEP = 100, 50


@dataclass(frozen=True)
class Recommendation:
    """What each of ``replicas`` should have: vCPU, GiB, IOPS and MiB/s; ``arithmetic`` says why, in sentences.

    ``days_to_full`` is how long the volume lasts at this load while nothing is deleted. ``instance_type`` is None where
    no type of the table is large enough.
    """

    replicas: int
    cpu: float
    memory_gib: float
    volume_gib: int
    iops: int
    throughput_mib_s: int
    instance_type: str | None
    days_to_full: float
    arithmetic: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """As modules and filters return it."""
        return {**vars(self), "arithmetic": list(self.arithmetic)}


def classes(load: Load) -> tuple[LoadClass, LoadClass]:
    """The load's classes of reads and of writes. Users that are not told count as few."""
    return needed_class(load.users or 0, USERS), needed_class(load.traces_per_s)


def row(load: Load, environment: Environment) -> tuple[LoadClass, LoadClass]:
    """The row of the scaling page for a load that it has figures for: its own, or else that of all which cover it with
    the least vCPU and memory in total, beside what the environment has anyway."""
    reads, writes = classes(load)
    if (reads, writes) in _ROWS:
        return reads, writes

    def total(name: tuple[LoadClass, LoadClass]) -> tuple[float, float]:
        size = _larger(_base(environment), _ROWS[name])
        return size.replicas * size.cpu, size.replicas * size.memory_gib

    rank = _CLASSES.index
    return min((one for one in _ROWS if rank(one[0]) >= rank(reads) and rank(one[1]) >= rank(writes)), key=total)


def documented(load: Load, environment: Environment) -> Size:
    """What LangChain's own sources say for a load, without what the environment has anyway."""
    reads, writes = classes(load)
    if "above" not in (reads, writes):
        return _ROWS[row(load, environment)]
    # Every replica takes every write, so that only reads are helped by more replicas.
    return Size(REPLICAS_MAX, _SCALED_UP.cpu, _SCALED_UP.memory_gib) if reads == "above" else _SCALED_UP


def needed(load: Load | None, environment: Environment) -> Size:
    """The larger, figure by figure, of the reference architecture's baseline and what the load asks for."""
    base = _base(environment)
    return base if load is None else _larger(base, documented(load, environment))


def _base(environment: Environment) -> Size:
    if environment == "dev":
        return Size(int(REPLICAS.dev), CPU.dev, 16)
    return Size(int(REPLICAS.production), CPU.production, MEMORY.production)


def _larger(one: Size, other: Size) -> Size:
    return Size(max(one.replicas, other.replicas), max(one.cpu, other.cpu), max(one.memory_gib, other.memory_gib))


def disk_gib(load: Load, days: float) -> float:
    """GiB that the traces of so many days take on each replica, since each holds all of them."""
    return GIB_PER_TRACE_S_DAY * load.traces_per_s * days


def planned_load(plan: Plan) -> Load | None:
    """The load of a plan, whose traces are kept as the plan says where the load does not."""
    if plan.load is None or plan.load.retention_days is not None:
        return plan.load
    return replace(plan.load, retention_days=plan.ttl_days)


def volume_days(load: Load) -> tuple[float, bool]:
    """The days whose traces a volume has to hold, and whether these are a horizon, as traces never expire."""
    kept = CHART_TTL_DAYS if load.retention_days is None else load.retention_days
    return (kept, False) if kept else (HORIZON_DAYS if load.horizon_days is None else load.horizon_days, True)


def load_from(given: Mapping[str, Any]) -> Load:
    """A load out of an inventory. Raises ValueError for what is no load."""
    names = ("traces_per_s", "users", "retention_days", "horizon_days")
    if not isinstance(given, Mapping) or "traces_per_s" not in given or set(given) - set(names):
        raise ValueError(
            f"the load has to be a dictionary of {', '.join(names)}, traces_per_s at least; it is {given!r}"
        )
    try:
        figures = {name: None if given.get(name) is None else float(given[name]) for name in names}
    except (TypeError, ValueError) as error:
        raise ValueError(f"a figure of the load is no number: {error}") from error
    users = figures["users"]
    if users is not None and not users.is_integer():
        raise ValueError(f"load.users is {users:g}; give a whole number")
    return Load(
        figures["traces_per_s"] or 0.0,
        None if users is None else int(users),
        figures["retention_days"],
        figures["horizon_days"],
    )


def recommend(load: Load, environment: Environment = "production") -> Recommendation:
    """The ClickHouse for a load. Raises ValueError for a load that is none or that no volume can hold."""
    days, endless = _checked(load)
    size = needed(load, environment)
    volume = _volume(load, days, "horizon_days" if endless else "retention_days")
    iops, speed = (int(IOPS.production), int(THROUGHPUT.production))
    if environment == "dev":
        iops, speed = ebs.GP3_IOPS, ebs.GP3_THROUGHPUT
    types = instances.suitable(size.cpu, size.memory_gib, speed, iops)
    per_day = disk_gib(load, 1)
    return Recommendation(
        size.replicas,
        size.cpu,
        size.memory_gib,
        volume,
        iops,
        speed,
        types[0].name if types else None,
        round(volume / per_day, 1),
        (
            *_size_sentences(load, size, environment),
            *([_horizon_sentence(days)] if endless else []),
            f"{GIB_PER_TRACE_S_DAY:g} GiB for each trace a second and day x {load.traces_per_s:g} traces/s x {days:g} "
            f"days = {disk_gib(load, days):g} GiB on each replica",
            f"{disk_gib(load, days):g} GiB at {DISK_WARN:.0%} of the volume, at least {_SMALLEST} GiB and rounded up "
            f"to {_STEP}: {volume} GiB, full after {volume / per_day:.1f} days"
            + ("" if endless else " if nothing were deleted"),
            f"{iops} IOPS and {speed} MiB/s for each volume, " + _io_reason(environment),
            _instance_sentence(size, speed, iops, types),
        ),
    )


def _checked(load: Load) -> tuple[float, bool]:
    """The days that size the volume, and whether they are a horizon."""
    days, endless = volume_days(load)
    of_days = "horizon_days" if endless else "retention_days"
    for name, value in (("traces_per_s", load.traces_per_s), (of_days, days)):
        if not (math.isfinite(value) and value > 0):
            raise ValueError(f"load.{name} is {value:g}; give a number above 0")
    if load.users is not None and load.users < 0:
        raise ValueError(f"load.users is {load.users}; give 0 or more")
    return days, endless


def _volume(load: Load, days: float, of_days: str) -> int:
    wanted = max(_SMALLEST, disk_gib(load, days) / DISK_WARN)
    if wanted > ebs.LARGEST_GP3_GIB:
        raise ValueError(
            f"{load.traces_per_s:g} traces/s of {days:g} days need {wanted:.5g} GiB on each replica and a gp3 "
            f"volume ends at {ebs.LARGEST_GP3_GIB}; shorten load.{of_days}"
        )
    return min(math.ceil(wanted / _STEP) * _STEP, ebs.LARGEST_GP3_GIB)


def _size_sentences(load: Load, size: Size, environment: Environment) -> tuple[str, ...]:
    reads, writes = classes(load)
    own, base = documented(load, environment), _base(environment)
    told = f"{load.users} users ({reads} reads)" if load.users is not None else "users not given (taken as low reads)"
    start = f"{told} and {load.traces_per_s:g} traces/s ({writes} writes): "
    if "above" in (reads, writes):
        start += (
            f"above the {USERS['high']} users and {TRACES_PER_S['high']} traces/s that LangChain has figures for; the "
            f"reference architecture's next size is {own.replicas} x {own.cpu:g} vCPU / {own.memory_gib:g} GiB, and "
            "only a load test tells whether it suffices"
        )
    else:
        of_reads, of_writes = row(load, environment)
        start += (
            f"LangChain's scaling page has {own.replicas} x {own.cpu:g} vCPU / {own.memory_gib:g} GiB for {of_reads} "
            f"reads and {of_writes} writes"
            + ("" if (of_reads, of_writes) == (reads, writes) else ", the least of its rows that covers them")
        )
    return (
        start,
        f"the reference architecture has at least {base.replicas} x {base.cpu:g} vCPU / {base.memory_gib:g} GiB for "
        f"{environment}; the larger of each is {size.replicas} x {size.cpu:g} vCPU / {size.memory_gib:g} GiB",
    )


def _horizon_sentence(days: float) -> str:
    return (
        f"traces never expire (retention 0), so that no volume lasts: it is sized for {days:g} days "
        "(load.horizon_days), before the end of which it has to be larger"
    )


def _io_reason(environment: Environment) -> str:
    if environment == "dev":
        return "what gp3 has at no extra price, since nothing more is asked of a dev installation"
    return "by the reference architecture"


def _instance_sentence(size: Size, speed: float, iops: float, types: list[instances.InstanceType]) -> str:
    wanted = (
        f"room for {size.cpu:g} vCPU / {size.memory_gib:g} GiB besides DaemonSets, {speed:g} MiB/s and {iops:g} IOPS"
    )
    if not types:
        return f"no type up to 8xlarge has {wanted}"
    kind = types[0]
    others = ", ".join(other.name for other in types[1:4])
    return (
        f"{kind.name} leaves pods {kind.allocatable_cpu:.2f} vCPU and {kind.allocatable_memory_gib:.1f} GiB and "
        f"sustains {kind.throughput:.0f} MiB/s and {kind.iops:.0f} IOPS: the smallest with {wanted}"
        + (f"; also {others}" if others else "")
    )
