# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest

from sandbox.controllers.ebs_csi import gib, volume_arguments

CLAIM = {"metadata": {"name": "data", "namespace": "app"}}


@pytest.mark.parametrize(
    ("quantity", "expected"), [("20Gi", 20), ("1.5Gi", 2), ("1Ti", 1024), ("500G", 466), ("1073741825", 2), ("1Mi", 1)]
)
def test_sizes_are_whole_gib_rounded_up(quantity: str, expected: int) -> None:
    assert gib(quantity) == expected


def test_a_storage_class_decides_the_volume() -> None:
    parameters = {"type": "gp3", "iops": "6000", "throughput": "500", "encrypted": "true", "tagSpecification_1": "a=b"}
    found = volume_arguments("pvc-1", CLAIM, parameters, 100, "us-east-1a")
    assert (found["VolumeType"], found["Size"], found["Iops"], found["Throughput"]) == ("gp3", 100, 6000, 500)
    assert found["Encrypted"] is True
    tags = {tag["Key"]: tag["Value"] for tag in found["TagSpecifications"][0]["Tags"]}
    assert tags["a"] == "b"
    assert tags["kubernetes.io/created-for/pvc/name"] == "data"


def test_gp3_without_encryption_is_the_default() -> None:
    found = volume_arguments("pvc-1", CLAIM, {}, 1, "us-east-1a")
    assert (found["VolumeType"], found["Encrypted"], "Iops" in found) == ("gp3", False, False)
