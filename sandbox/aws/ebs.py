# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stand-in for EBS behaviour that moto lacks: the limits of volumes, and modifications that take time and are rationed.

Limits are those of the EC2 API's CreateVolume and ModifyVolume: gp3 3,000-80,000 IOPS and 125-2,000 MiB/s, 500 IOPS a
GiB and 0.25 MiB/s an IOPS; four modifications in 24 hours, each after the last one is completed.
"""

from __future__ import annotations

import dataclasses
import datetime
from typing import Any

from moto.core.responses import ActionResult
from moto.core.utils import utcnow
from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models import EC2Backend
from moto.ec2.models.elastic_block_store import Volume, VolumeModification
from moto.ec2.responses import EC2Response
from moto.ec2.utils import generic_filter

from sandbox.aws.states import Lifecycle

MODIFICATIONS_A_DAY = 4
DAY = datetime.timedelta(hours=24)
NOT_GIVEN = "Invalid input: Must specify at least one of size, type, iops, throughput, multi_attach_enabled"


@dataclasses.dataclass(frozen=True)
class Limits:
    """What a volume type may have: GiB, IOPS, IOPS a GiB, MiB/s; None where it cannot be set."""

    size: tuple[int, int]
    iops: tuple[int, int] | None = None
    iops_per_gib: int = 0
    throughput: tuple[int, int] | None = None


LIMITS = {
    "gp3": Limits((1, 65536), (3000, 80000), 500, (125, 2000)),
    "gp2": Limits((1, 16384)),
    "io1": Limits((4, 16384), (100, 64000), 50),
    "io2": Limits((4, 65536), (100, 256000), 1000),
    "st1": Limits((125, 16384)),
    "sc1": Limits((125, 16384)),
    "standard": Limits((1, 1024)),
}
# MiB/s for an IOPS of gp3.
THROUGHPUT_PER_IOPS = 0.25


def check(kind: str, size: int, iops: int | None, throughput: int | None) -> None:
    """Refuse what EC2 refuses of a volume. Raises EC2ClientError."""
    limits = LIMITS.get(kind)
    if limits is None:
        raise EC2ClientError("UnknownVolumeType", f"Unsupported volume type '{kind}' for volume creation.")
    if not limits.size[0] <= size <= limits.size[1]:
        text = f"Volume of {size}GiB is too {'small' if size < limits.size[0] else 'large'} for volume type {kind}"
        raise EC2ClientError("InvalidParameterValue", f"{text}; it is {limits.size[0]} to {limits.size[1]} GiB.")
    _within("iops", iops, limits.iops, kind)
    _within("throughput", throughput, limits.throughput, kind)
    # Less than the baseline cannot be had, so a small volume keeps it.
    if iops and limits.iops and iops > max(limits.iops[0], limits.iops_per_gib * size):
        text = f"Iops to volume size ratio of {iops / size:f} is too high; maximum is {limits.iops_per_gib}."
        raise EC2ClientError("InvalidParameterValue", text)
    if throughput and iops and throughput > iops * THROUGHPUT_PER_IOPS:
        text = f"Throughput (MiBps) to iops ratio of {throughput / iops:f} is too high; maximum is 0.250000."
        raise EC2ClientError("InvalidParameterValue", text)


def _within(name: str, value: int | None, bounds: tuple[int, int] | None, kind: str) -> None:
    if value is None:
        return
    if bounds is None:
        text = f"The parameter {name} is not supported for {kind} volumes."
        raise EC2ClientError("InvalidParameterCombination", text)
    if value < bounds[0]:
        raise EC2ClientError("InvalidParameterValue", f"Volume {name} of {value} is too low; minimum is {bounds[0]}.")
    if value > bounds[1]:
        raise EC2ClientError("InvalidParameterValue", f"Volume {name} of {value} is too high; maximum is {bounds[1]}.")


_create_volume = EC2Backend.create_volume


def create_volume(self: EC2Backend, size: int, zone_name: str, **wanted: Any) -> Any:
    """CreateVolume: within the limits, and with what a gp3 volume has anyway."""
    kind = wanted.get("volume_type") or "gp2"
    if kind == "gp3":
        wanted = {**wanted, "iops": wanted.get("iops") or 3000, "throughput": wanted.get("throughput") or 125}
    if size is not None:
        check(kind, int(size), wanted.get("iops"), wanted.get("throughput"))
    return _create_volume(self, size, zone_name, **wanted)


_create_volume_call = EC2Response.create_volume


def create_volume_call(self: EC2Response) -> Any:
    """CreateVolume: the same client token names the same volume."""
    token = self._get_param("ClientToken")
    for volume in self.ec2_backend.volumes.values() if token else ():
        if volume.__dict__.get("client_token") == token:
            return ActionResult(volume)
    known = set(self.ec2_backend.volumes)
    result = _create_volume_call(self)
    for identifier in set(self.ec2_backend.volumes) - known:
        self.ec2_backend.volumes[identifier].__dict__["client_token"] = token
    return result


def modify(self: Volume, **targets: Any) -> None:
    """ModifyVolume: the volume has what was asked for at once, and is optimizing for a while."""
    given = {name: value for name, value in targets.items() if value is not None}
    if not given:
        raise EC2ClientError("InvalidParameterValue", NOT_GIVEN)
    last = self.modifications[-1] if self.modifications else None
    if last is not None and last.modification_state != "completed":
        state = last.modification_state.upper()
        raise EC2ClientError("IncorrectModificationState", f"Cannot modify volume in modification state {state}")
    if len([item for item in self.modifications if utcnow() - item.start_time < DAY]) >= MODIFICATIONS_A_DAY:
        text = "You've reached the maximum modification rate per volume limit."
        raise EC2ClientError("VolumeModificationRateExceeded", f"{text} A volume can be modified 4 times in 24 hours.")
    wanted = _wanted(self, given)
    check(wanted["volume_type"], wanted["size"], wanted["iops"], wanted["throughput"])
    modification = VolumeModification(self, target_size=wanted["size"])
    for name, value in wanted.items():
        setattr(modification, f"original_{name}", getattr(self, name))
        setattr(modification, f"target_{name}", value)
        setattr(self, name, value)
    modification.modification_state = "modifying"
    self.modifications.append(modification)


def _wanted(volume: Volume, given: dict[str, Any]) -> dict[str, Any]:
    size, kind = int(given.get("target_size", volume.size)), str(given.get("target_volume_type", volume.volume_type))
    if size < volume.size:
        raise EC2ClientError("InvalidParameterValue", "New size cannot be smaller than existing size")
    same, limits = kind == volume.volume_type, LIMITS.get(kind, LIMITS["gp2"])
    iops, throughput = given.get("target_iops"), given.get("target_throughput")
    if iops is None:
        iops = volume.iops if same else limits.iops[0] if limits.iops else None
    if throughput is None:
        throughput = volume.throughput if same else limits.throughput[0] if limits.throughput else None
    attached = given.get("target_multi_attach_enabled", volume.multi_attach_enabled or False)
    return {
        "size": size,
        "volume_type": kind,
        "iops": None if iops is None else int(iops),
        "throughput": None if throughput is None else int(throughput),
        "multi_attach_enabled": attached,
    }


def describe_volumes_modifications(self: EC2Response) -> ActionResult:
    """DescribeVolumesModifications: the last one of each volume."""
    identifiers = self._get_param("VolumeIds", [])
    volumes = self.ec2_backend.describe_volumes(volume_ids=identifiers)
    found = [volume.modifications[-1] for volume in volumes if volume.modifications]
    if identifiers and not found:
        text = f"Modification for volume '{identifiers[0]}' does not exist."
        raise EC2ClientError("InvalidVolumeModification.NotFound", text)
    return ActionResult({"VolumesModifications": generic_filter(self._filters_from_querystring(), found)})


def _progress(self: VolumeModification) -> int:
    return {"modifying": 0, "optimizing": 50}.get(self.modification_state, 100)


class _EndTime:
    """When a modification was completed; nothing before that."""

    def __get__(self, modification: Any, owner: type | None = None) -> Any:
        if modification is None:
            return self
        if modification.modification_state != "completed":
            return None
        return modification.__dict__.setdefault("_ended", utcnow())

    def __set__(self, modification: Any, value: Any) -> None:
        # moto writes the time of the call.
        modification.__dict__.pop("_ended", None)


_filter_value = Volume.get_filter_value


def get_filter_value(self: Volume, filter_name: str, method_name: str | None = None) -> Any:
    """The filters of DescribeVolumes, with one that moto lacks."""
    return self.volume_type if filter_name == "volume-type" else _filter_value(self, filter_name, method_name)


def install() -> None:
    """Put all of this into moto."""
    steps = {"modifying": "optimizing", "optimizing": "completed"}
    VolumeModification.modification_state = Lifecycle(
        "ec2::volumemodification", "modifying", steps, "failed", lambda item: item.volume.id
    )
    VolumeModification.end_time = _EndTime()
    VolumeModification.progress = property(_progress)
    Volume.modify = modify
    Volume.get_filter_value = get_filter_value
    EC2Backend.create_volume = create_volume
    EC2Response.create_volume = create_volume_call
    EC2Response.describe_volumes_modifications = describe_volumes_modifications
