# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an EBS volume of a type and size gives, and what EBS refuses."""

from __future__ import annotations

from collections.abc import Sequence

from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse import instances
from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.facts import Environment, Volume
from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.thresholds import IOPS, THROUGHPUT
from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.verdict import finding, serious
from ansible_collections.langsmith.aws.plugins.module_utils.domain.finding import Finding, Status

SOURCE = "Amazon EBS user guide, volume types"

#: Types whose media are no SSD.
HDD = ("st1", "sc1", "standard")
SSD = ("gp3", "io2", "io1", "gp2")

#: What a gp3 volume has when nothing else is asked for: IOPS and MiB/s.
GP3_IOPS, GP3_THROUGHPUT = 3000, 125

LARGEST_GP3_GIB = 65536

#: type: smallest and largest GiB, smallest and largest IOPS, IOPS per GiB at most.
_BOUNDS: dict[str, tuple[int, int, int, int, int]] = {
    "gp3": (1, LARGEST_GP3_GIB, 3000, 80000, 500),
    "io2": (4, 65536, 100, 256000, 1000),
    "io1": (4, 16384, 100, 64000, 50),
}

_KIB_256 = 0.25  # MiB per operation of 256 KiB


def iops(volume: Volume) -> float | None:
    """The IOPS the volume gives; None where the plan does not tell."""
    if volume.iops is not None and volume.type != "gp2":
        return volume.iops
    if volume.type == "gp3":
        return GP3_IOPS
    if volume.type == "gp2" and volume.size_gib is not None:
        return min(16000, max(100, 3 * volume.size_gib))
    return None


def throughput(volume: Volume) -> float | None:
    """The MiB/s the volume gives; None where the plan does not tell."""
    operations = iops(volume)
    if volume.type == "gp2":
        return 250
    if volume.type == "io2":
        return None if operations is None else min(4000, operations * _KIB_256)
    if volume.type == "io1":
        return None if operations is None else _io1_throughput(operations)
    if volume.throughput_mib_s is not None:
        return volume.throughput_mib_s
    return GP3_THROUGHPUT if volume.type == "gp3" else None


def _io1_throughput(operations: float) -> float:
    if operations <= 32000:
        return min(500, operations * _KIB_256)
    return min(1000, operations / 64)  # 16 KiB per operation beyond 32 000


def judge_type(kind: str, environment: Environment) -> tuple[Status, str]:
    """How a type of volume stands, and what to say of it."""
    if kind in HDD:
        return serious(environment), f"{kind} (HDD)"
    if kind == "gp2":
        return ("fail" if environment == "production" else "pass"), "gp2 (SSD, 250 MiB/s at most)"
    if kind not in SSD:
        return "unknown", f"{kind}, no EBS type"
    return "pass", f"{kind} (SSD)"


def judge_instance(
    kind: instances.InstanceType,
    volumes: Sequence[Volume],
    environment: Environment,
    subject: str,
    room: tuple[float, float] = (0, 0),
) -> Finding:
    """The volumes of an instance against what it sustains towards all of them; ``room`` is the pod's vCPU and GiB.

    Of each volume counts what it can do, at most what the reference architecture asks for, and that too where it is not
    known. An instance that reaches their sum in bursts only is warned, one that does not even then fails.
    """
    speeds = [throughput(volume) or THROUGHPUT.production for volume in volumes]
    operations = [iops(volume) or IOPS.production for volume in volumes]
    wanted = sum(min(speed, THROUGHPUT.production) for speed in speeds)
    wanted_iops = sum(min(count, IOPS.production) for count in operations)
    status: Status = "pass"
    if not kind.sustains(wanted, wanted_iops):
        enough = THROUGHPUT.tolerated / THROUGHPUT.production
        bursts = kind.burst_throughput >= wanted * enough and kind.burst_iops >= wanted_iops * enough
        status = "warn" if bursts else serious(environment)
    able = [other.name for other in instances.suitable(*room, wanted, wanted_iops)]
    told = (
        f"the volume{'' if len(volumes) == 1 else 's'} can do {sum(speeds):g} MiB/s and {sum(operations):g} IOPS, "
        f"{kind.name} sustains {kind.throughput:.0f} MiB/s and {kind.iops:.0f} IOPS (in bursts "
        f"{kind.burst_throughput:.0f} and {kind.burst_iops:.0f})"
    )
    expectation = f"an instance that sustains {wanted:g} MiB/s and {wanted_iops:g} IOPS towards EBS"
    remedy = f"take a type that does: {', '.join(able[:8]) or 'none up to 8xlarge that the pod fits on'}"
    return finding("instance_io", status, subject, (told, expectation), remedy, instances.SOURCE)


def refusals(volume: Volume) -> list[str]:
    """Sentences for what EBS cannot make; the CSI driver would cap some of it silently."""
    if volume.type not in _BOUNDS:
        return []
    smallest, largest, least, most, per_gib = _BOUNDS[volume.type]
    wrong = []
    size, operations, speed = volume.size_gib, volume.iops, volume.throughput_mib_s
    if size is not None and not smallest <= size <= largest:
        wrong.append(f"{size:g} GiB is outside {smallest} to {largest} GiB")
    if operations is not None and not least <= operations <= most:
        wrong.append(f"{operations:g} IOPS is outside {least} to {most}")
    if operations is not None and size is not None and operations > max(per_gib * size, least):
        wrong.append(f"{operations:g} IOPS on {size:g} GiB is over {per_gib} per GiB")
    return wrong + _throughput_refusals(volume.type, speed, iops(volume))


def _throughput_refusals(kind: str, speed: float | None, operations: float | None) -> list[str]:
    if speed is None:
        return []
    if kind != "gp3":
        return [f"throughput cannot be set on {kind}; it follows from the IOPS"]
    wrong = []
    if not GP3_THROUGHPUT <= speed <= 2000:
        wrong.append(f"{speed:g} MiB/s is outside {GP3_THROUGHPUT} to 2000")
    if operations is not None and speed > operations * _KIB_256:
        wrong.append(f"{speed:g} MiB/s needs {speed / _KIB_256:g} IOPS")
    return wrong
