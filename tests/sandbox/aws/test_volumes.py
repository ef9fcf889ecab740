# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.sandbox.aws.account import Account, code_of, until

ZONE = "us-east-1a"


@pytest.fixture
def volume(account: Account) -> Iterator[str]:
    """A gp3 volume of 100 GiB with nothing said of its IOPS and throughput."""
    ec2 = account.client("ec2")
    made = ec2.create_volume(AvailabilityZone=ZONE, Size=100, VolumeType="gp3")["VolumeId"]
    yield made
    ec2.delete_volume(VolumeId=made)


def described(account: Account, volume: str) -> dict[str, Any]:
    found: dict[str, Any] = account.client("ec2").describe_volumes(VolumeIds=[volume])["Volumes"][0]
    return found


def modification(account: Account, volume: str) -> dict[str, Any]:
    answer = account.client("ec2").describe_volumes_modifications(VolumeIds=[volume])
    assert len(answer["VolumesModifications"]) == 1
    found: dict[str, Any] = answer["VolumesModifications"][0]
    return found


def completed(account: Account, volume: str) -> bool:
    return bool(modification(account, volume)["ModificationState"] == "completed")


def test_a_gp3_volume_has_the_baseline_that_aws_gives(account: Account, volume: str) -> None:
    found = described(account, volume)
    assert (found["Iops"], found["Throughput"]) == (3000, 125)


@pytest.mark.parametrize(
    ("wanted", "code"),
    [
        ({"Size": 100, "Iops": 2999}, "InvalidParameterValue"),
        ({"Size": 1000, "Iops": 80001}, "InvalidParameterValue"),
        ({"Size": 10, "Iops": 5001}, "InvalidParameterValue"),
        ({"Size": 100, "Iops": 3999, "Throughput": 1000}, "InvalidParameterValue"),
        ({"Size": 100, "Throughput": 124}, "InvalidParameterValue"),
        ({"Size": 100, "Iops": 20000, "Throughput": 2001}, "InvalidParameterValue"),
        ({"Size": 65537}, "InvalidParameterValue"),
        ({"Size": 3, "VolumeType": "io2", "Iops": 1000}, "InvalidParameterValue"),
        ({"Size": 100, "VolumeType": "io2", "Iops": 1000, "Throughput": 500}, "InvalidParameterDependency"),
    ],
)
def test_a_volume_beyond_the_limits_of_its_type_is_refused(account: Account, wanted: dict[str, Any], code: str) -> None:
    call = account.client("ec2").create_volume
    found = code_of(call, **{"AvailabilityZone": ZONE, "VolumeType": "gp3", **wanted})
    assert found in {code, "InvalidParameterCombination"}


def test_the_limits_themselves_are_allowed_and_one_client_token_is_one_volume(account: Account) -> None:
    ec2 = account.client("ec2")
    wanted = {"AvailabilityZone": ZONE, "VolumeType": "gp3", "Size": 160, "Iops": 80000, "Throughput": 2000}
    first, second = (ec2.create_volume(**wanted, ClientToken="once")["VolumeId"] for _ in range(2))
    found = described(account, first)
    ec2.delete_volume(VolumeId=first)
    assert (first, found["Iops"], found["Throughput"]) == (second, 80000, 2000)


def test_a_modification_takes_time_and_says_what_was_and_what_will_be(account: Account, volume: str) -> None:
    ec2 = account.client("ec2")
    assert code_of(ec2.describe_volumes_modifications, VolumeIds=[volume]) == "InvalidVolumeModification.NotFound"
    account.post("/sandbox/delays", {"ec2::volumemodification": 3600})
    try:
        begun = ec2.modify_volume(VolumeId=volume, Size=200, Iops=7000, Throughput=1000)["VolumeModification"]
        refused = code_of(ec2.modify_volume, VolumeId=volume, Size=300)
    finally:
        account.post("/sandbox/delays", {"ec2::volumemodification": 0})
    assert (begun["ModificationState"], begun["Progress"], refused) == ("modifying", 0, "IncorrectModificationState")
    assert (begun["OriginalSize"], begun["TargetSize"], begun["OriginalIops"]) == (100, 200, 3000)
    assert (begun["TargetIops"], begun["TargetThroughput"], begun["TargetVolumeType"]) == (7000, 1000, "gp3")
    found = described(account, volume)
    assert (found["Size"], found["Iops"], found["Throughput"]) == (200, 7000, 1000)


def test_a_volume_only_grows_and_four_times_a_day(account: Account, volume: str) -> None:
    ec2 = account.client("ec2")
    assert code_of(ec2.modify_volume, VolumeId=volume, Size=99) == "InvalidParameterValue"
    assert code_of(ec2.modify_volume, VolumeId=volume, Throughput=1000) == "InvalidParameterValue"
    for number in range(4):
        ec2.modify_volume(VolumeId=volume, Size=101 + number)
        until(lambda: completed(account, volume))
        assert modification(account, volume)["Progress"] == 100
    assert code_of(ec2.modify_volume, VolumeId=volume, Size=200) == "VolumeModificationRateExceeded"
    assert described(account, volume)["Size"] == 104


def test_volumes_are_found_by_type_and_tag(account: Account, volume: str) -> None:
    ec2 = account.client("ec2")
    ec2.create_tags(Resources=[volume], Tags=[{"Key": "for", "Value": "clickhouse"}])
    filters = [{"Name": "volume-type", "Values": ["gp3"]}, {"Name": "tag:for", "Values": ["clickhouse"]}]
    assert [item["VolumeId"] for item in ec2.describe_volumes(Filters=filters)["Volumes"]] == [volume]
    filters[0]["Values"] = ["io2"]
    assert ec2.describe_volumes(Filters=filters)["Volumes"] == []
