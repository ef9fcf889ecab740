# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""EC2 instance types that ClickHouse may run on: what they sustain towards EBS and what a pod can get of them.

Figures of DescribeInstanceTypes (VCpuInfo, MemoryInfo, EbsInfo.EbsOptimizedInfo, NetworkInfo). Throughput is in MB/s of
10^6 bytes there and in MiB/s here. Most types below 8xlarge burst for 30 minutes a day and sustain their baseline, so
the baseline is what they are judged by.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

SOURCE = "Amazon EC2 DescribeInstanceTypes; Amazon EBS-optimized instance types"
RESERVATION = "Amazon EKS AMI (nodeadm): kube-reserved by vCPU and by pods, 100 MiB eviction threshold"

#: 1 MB/s as EC2 gives it, in MiB/s.
_MIB_PER_MB = 1e6 / 2**20

#: Kept from a node for the DaemonSets of an installation: network, proxy, EBS driver, logs and metrics. Own estimate.
DAEMONSETS_CPU, DAEMONSETS_MEMORY_GIB = 0.5, 1.0


@dataclass(frozen=True)
class InstanceType:
    """One type. Memory in GiB, throughput in MiB/s; ``pods`` is what its network interfaces have addresses for."""

    name: str
    cpu: int
    memory_gib: float
    throughput: float
    iops: float
    burst_throughput: float
    burst_iops: float
    pods: int

    @property
    def arm(self) -> bool:
        """Whether it is a Graviton."""
        return re.match(r"[a-z]+\d+g", self.name) is not None

    @property
    def local_disks(self) -> bool:
        """Whether it comes with disks of its own, which an installation on EBS pays for and does not use."""
        return re.match(r"i|[a-z]+\d+[a-z]*d", self.name.partition(".")[0]) is not None

    @property
    def allocatable_cpu(self) -> float:
        """vCPU that EKS leaves to pods: it keeps 6 % of the first core, 1 % of the second, 0.5 % of the next two
        and 0.25 % of the others."""
        kept = 0.06 + 0.01 * (self.cpu > 1) + 0.005 * min(2, max(0, self.cpu - 2)) + 0.0025 * max(0, self.cpu - 4)
        return self.cpu - kept

    @property
    def allocatable_memory_gib(self) -> float:
        """GiB that EKS leaves to pods: it keeps 255 MiB, 11 MiB for each possible pod and 100 MiB before eviction.

        What the kernel keeps for itself is not known before the node runs and comes off too.
        """
        return self.memory_gib - (255 + 11 * self.pods + 100) / 1024

    def fits(self, cpu: float, memory_gib: float) -> bool:
        """Whether a pod that requests this has room besides the DaemonSets."""
        return (
            cpu <= self.allocatable_cpu - DAEMONSETS_CPU
            and memory_gib <= self.allocatable_memory_gib - DAEMONSETS_MEMORY_GIB
        )

    def sustains(self, throughput: float, iops: float) -> bool:
        """Whether it gives this all day, in MiB/s and operations per second."""
        return self.throughput >= throughput and self.iops >= iops


#: Families of equal figures, then for xlarge, 2xlarge, 4xlarge and 8xlarge ("-": not made) baseline MB/s and IOPS, the
#: same in a burst, and pods. tests/unit/plugins/module_utils/domain/clickhouse/instance_table.py prints it.
_TABLE = """
c5 c5d c5n
143.75/6000/593.75/20000/58 287.5/10000/593.75/20000/58 593.75/20000/593.75/20000/234 -
c5a c5ad
50/1600/396.25/13300/58 100/3200/396.25/13300/58 197.5/6600/396.25/13300/234 396.25/13300/396.25/13300/234
c6a c6i c6id c7a c7g c7gd c7i c8g c8gd m6a m6i m6id m7a m7g m7gd m7i m8g m8gd r6a r6i r6id r7a r7g r7gd r7i
r8g r8gd
156.25/6000/1250/40000/58 312.5/12000/1250/40000/58 625/20000/1250/40000/234 1250/40000/1250/40000/234
c6g c6gd m6g m6gd r6g r6gd
148.5/6000/593.75/20000/58 296.875/12000/593.75/20000/58 593.75/20000/593.75/20000/234 1187.5/40000/1187.5/40000/234
c6gn
296.88/10000/1187.5/40000/58 593.75/20000/1187.5/40000/58 1187.5/40000/1187.5/40000/234 2375/80000/2375/80000/234
c6in m6idn m6in r6idn r6in
390.625/12500/3125/100000/58 781.25/25000/3125/100000/58 1562.5/50000/3125/100000/234 3125/100000/3125/100000/234
c7gn
260.375/8333/1250/40000/58 520.875/16667/1250/40000/58 1041.62/33333/1250/40000/234 2083.38/66667/2500/80000/234
c7i-flex m7i-flex
78.125/3600/1250/40000/58 156.25/6000/1250/40000/58 312.5/12000/1250/40000/234 625/20000/1250/40000/234
c8a m8a r8a
156.25/6000/1250/40000/78 312.5/12000/1250/40000/158 625/20000/1250/40000/314 1250/40000/1250/40000/392
c8gb m8gb r8gb
781.25/30000/3125/120000/58 1562.5/60000/3125/120000/58 3125/120000/3125/120000/234 6250/240000/6250/240000/292
c8gn m8gn r8gn
312.5/10000/1250/40000/58 625/20000/1250/40000/58 1250/40000/1250/40000/234 2500/80000/2500/80000/292
c8i c8id m8i m8id r8i r8id
156.25/6000/1250/40000/118 312.5/12000/1250/40000/118 625/20000/1250/40000/394 1250/40000/1250/40000/492
c8i-flex m8i-flex r8i-flex
78.75/3600/1250/40000/118 156.25/6000/1250/40000/118 312.5/12000/1250/40000/394 625/20000/1250/40000/492
c8ib m8ib m8idb r8ib r8idb
390.625/15000/3125/120000/118 781.25/30000/3125/120000/118 1562.5/60000/3125/120000/394 3125/120000/3125/120000/394
c8in c8ine m8idn m8in m8ine r8idn r8in
156.25/6000/1250/40000/118 312.5/12000/1250/40000/118 625/20000/1250/40000/394 1250/40000/1250/40000/394
c9g c9gd m9g m9gd r9g r9gd
187.5/6000/1500/48000/118 375/12000/1500/48000/118 750/24000/1500/48000/394 1500/48000/1500/48000/492
i3
106.25/6000/106.25/6000/58 212.5/12000/212.5/12000/58 437.5/16000/437.5/16000/234 875/32500/875/32500/234
i3en
144.2/6000/593.75/20000/58 288.387/12000/593.75/20000/58 - -
i4g i4i i7i i8g
156.25/5000/1250/40000/58 312.5/10000/1250/40000/58 625/20000/1250/40000/234 1250/40000/1250/40000/234
i7ie i8ge
156.25/5000/1250/40000/58 312.5/10000/1250/40000/58 - -
im4gn is4gen
312.5/10000/1250/40000/58 625/20000/1250/40000/58 1250/40000/1250/40000/234 2500/80000/2500/80000/234
m5 m5d m5dn m5n r5 r5d r5dn r5n
143.75/6000/593.75/18750/58 287.5/12000/593.75/18750/58 593.75/18750/593.75/18750/234 850/30000/850/30000/234
m5a m5ad r5a r5ad
135.625/6000/360/16000/58 197.5/8333/360/16000/58 360/16000/360/16000/234 593.75/20000/593.75/20000/234
m5zn
195.5/6667/396.25/13333/58 396.25/13333/396.25/13333/58 - -
m8azn
312.5/10000/1875/60000/78 - - -
r5b
312.5/10833/1250/43333/58 625/21667/1250/43333/58 1250/43333/1250/43333/234 2500/86667/2500/86667/234
r7iz
198/6667/1250/40000/58 396/13333/1250/40000/58 625/20000/1250/40000/234 1250/40000/1250/40000/234
"""

_VCPU = {"xlarge": 4, "2xlarge": 8, "4xlarge": 16, "8xlarge": 32}
#: GiB of memory to each vCPU, by the family's first letter; first of all by the family where it is another.
_GIB_PER_VCPU = {"c": 2.0, "m": 4.0, "r": 8.0, "i": 8.0, "c5n": 2.625, "i3": 7.625, "im4gn": 4.0, "is4gen": 6.0}


def from_figures(
    name: str, cpu: int, memory_gib: float, baseline: tuple[float, float], burst: tuple[float, float], pods: int
) -> InstanceType:
    """A type out of DescribeInstanceTypes' figures: ``baseline`` and ``burst`` in MB/s (10^6 bytes) and IOPS."""
    return InstanceType(
        name, cpu, memory_gib, baseline[0] * _MIB_PER_MB, baseline[1], burst[0] * _MIB_PER_MB, burst[1], pods
    )


def _parsed() -> Iterator[InstanceType]:
    for entry in re.findall(r"((?:[a-z]\S*\s+)+)((?:[\d-]\S*\s+)+)", _TABLE):
        families, told = entry[0].split(), entry[1].split()
        for family in families:
            for (size, cpu), figures in zip(_VCPU.items(), told, strict=True):
                if figures != "-":
                    low, low_iops, high, high_iops, pods = map(float, figures.split("/"))
                    memory = cpu * _GIB_PER_VCPU.get(family, _GIB_PER_VCPU[family[0]])
                    yield from_figures(f"{family}.{size}", cpu, memory, (low, low_iops), (high, high_iops), int(pods))


TYPES: dict[str, InstanceType] = {kind.name: kind for kind in _parsed()}


def known(names: Iterable[str]) -> list[InstanceType]:
    """Those of the types whose figures are in the table."""
    return [TYPES[name] for name in names if name in TYPES]


def suitable(cpu: float, memory_gib: float, throughput: float, iops: float) -> list[InstanceType]:
    """The types that a pod of this size fits on and that sustain this I/O (MiB/s, IOPS), the smallest first.

    Among equals x86 comes before Graviton, since LangSmith's chart names no architecture, and types without disks of
    their own come before those with.
    """
    found = [kind for kind in TYPES.values() if kind.fits(cpu, memory_gib) and kind.sustains(throughput, iops)]
    return sorted(found, key=lambda kind: (kind.cpu, kind.memory_gib, kind.arm, kind.local_disks, kind.name))
