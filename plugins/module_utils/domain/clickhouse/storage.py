# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What AWS knows of the volumes under ClickHouse and of the instances that they are attached to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.instances import InstanceType

#: CloudWatch: 1 for each minute in which more was asked for than the volume, or the instance as a whole, may do.
VOLUME_NAMESPACE, INSTANCE_NAMESPACE = "AWS/EBS", "AWS/EC2"
VOLUME_CHECKS = {"VolumeIOPSExceededCheck": "IOPS", "VolumeThroughputExceededCheck": "throughput"}
INSTANCE_CHECKS = {"InstanceEBSIOPSExceededCheck": "IOPS", "InstanceEBSThroughputExceededCheck": "throughput"}
#: CloudWatch: percent left of what an instance may burst with; larger types have none and report none.
BALANCES = {"EBSIOBalance%": "IOPS", "EBSByteBalance%": "throughput"}
#: Tags of a volume with the claim that the EBS driver made it for.
CLAIM_TAGS = ("kubernetes.io/created-for/pvc/namespace", "kubernetes.io/created-for/pvc/name")
#: How far back CloudWatch is asked, in minutes.
MINUTES = 60


@dataclass(frozen=True)
class Unread:
    """What could not be read: a sentence, and the IAM action where that was missing."""

    message: str
    action: str = ""


@dataclass(frozen=True)
class Modification:
    """A change of a volume: EC2's state (modifying, optimizing, completed, failed), percent done, its message."""

    state: str
    progress: int = 0
    message: str = ""


@dataclass(frozen=True)
class RealVolume:
    """A volume as DescribeVolumes tells of it, sizes in GiB, throughput in MiB/s; ``instance_id`` empty: unattached.

    ``claim`` is the namespace and the name of the claim that it was made for, where the driver has tagged it so.
    """

    id: str
    type: str
    size_gib: float
    iops: float | None
    throughput_mib_s: float | None
    state: str
    instance_id: str = ""
    zone: str = ""
    claim: str = ""


@dataclass(frozen=True)
class Storage:
    """The volumes that were asked for.

    ``modifications`` are by volume, ``instances`` the name of the type by instance, ``types`` by name, ``metrics`` the
    values of the last hour by volume or instance and CloudWatch's name.
    """

    asked: tuple[str, ...]
    volumes: Sequence[RealVolume] | Unread
    modifications: Mapping[str, Modification] | Unread = field(default_factory=dict)
    instances: Mapping[str, str] | Unread = field(default_factory=dict)
    types: Mapping[str, InstanceType] | Unread = field(default_factory=dict)
    metrics: Mapping[tuple[str, str], Sequence[float]] | Unread = field(default_factory=dict)
