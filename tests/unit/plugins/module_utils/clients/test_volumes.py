# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from ansible_collections.langsmith.aws.plugins.module_utils.clients import volumes
from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.storage import (
    Modification,
    RealVolume,
    Unread,
)
from botocore.stub import Stubber

from tests.unit.plugins.aws_support import stubbed

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
VOLUME, INSTANCE = "vol-0aa", "i-0bb"
DESCRIBED = {
    "VolumeId": VOLUME,
    "VolumeType": "gp3",
    "Size": 500,
    "Iops": 7000,
    "Throughput": 1000,
    "State": "in-use",
    "AvailabilityZone": "us-east-1a",
    "Attachments": [{"InstanceId": INSTANCE, "State": "attached"}],
}
KIND = {
    "InstanceType": "m6in.4xlarge",
    "VCpuInfo": {"DefaultVCpus": 16},
    "MemoryInfo": {"SizeInMiB": 65536},
    "NetworkInfo": {"MaximumNetworkInterfaces": 8, "Ipv4AddressesPerInterface": 30},
    "EbsInfo": {
        "EbsOptimizedInfo": {
            "BaselineThroughputInMBps": 1562.5,
            "BaselineIops": 50000,
            "MaximumThroughputInMBps": 3125.0,
            "MaximumIops": 100000,
        }
    },
}


@pytest.fixture
def ec2() -> Iterator[tuple[Any, Stubber]]:
    with stubbed("ec2") as pair:
        yield pair


@pytest.fixture
def cloudwatch() -> Iterator[tuple[Any, Stubber]]:
    with stubbed("cloudwatch") as pair:
        yield pair


def by(name: str, *values: str) -> dict[str, Any]:
    return {"Filters": [{"Name": name, "Values": list(values)}]}


def test_a_volume_is_what_ec2_describes(ec2: tuple[Any, Stubber]) -> None:
    client, stub = ec2
    stub.add_response("describe_volumes", {"Volumes": [DESCRIBED]}, by("volume-id", VOLUME))
    assert volumes.volumes(client, [VOLUME]) == (
        RealVolume(VOLUME, "gp3", 500, 7000, 1000, "in-use", INSTANCE, "us-east-1a"),
    )


def test_the_claim_that_a_volume_was_made_for_comes_from_the_tags_of_the_driver(ec2: tuple[Any, Stubber]) -> None:
    client, stub = ec2
    made_for = {"namespace": "langsmith", "name": "data-chi-0"}
    tags = [{"Key": f"kubernetes.io/created-for/pvc/{key}", "Value": value} for key, value in made_for.items()]
    stub.add_response("describe_volumes", {"Volumes": [{**DESCRIBED, "Tags": tags}]}, by("volume-id", VOLUME))
    (found,) = volumes.volumes(client, [VOLUME])
    assert found.claim == "langsmith/data-chi-0"


def test_a_volume_that_is_attached_to_nothing_has_no_instance(ec2: tuple[Any, Stubber]) -> None:
    client, stub = ec2
    bare = {"VolumeId": VOLUME, "VolumeType": "gp3", "Size": 10, "State": "available"}
    stub.add_response("describe_volumes", {"Volumes": [bare]}, by("volume-id", VOLUME))
    (found,) = volumes.volumes(client, [VOLUME])
    assert (found.instance_id, found.iops, found.throughput_mib_s) == ("", None, None)


def test_of_several_changes_the_newest_counts(ec2: tuple[Any, Stubber]) -> None:
    client, stub = ec2
    changes = [
        {"VolumeId": VOLUME, "ModificationState": "optimizing", "Progress": 40, "StartTime": NOW},
        {"VolumeId": VOLUME, "ModificationState": "completed", "Progress": 100, "StartTime": NOW - timedelta(days=1)},
    ]
    stub.add_response("describe_volumes_modifications", {"VolumesModifications": changes}, by("volume-id", VOLUME))
    assert volumes.modifications(client, [VOLUME]) == {VOLUME: Modification("optimizing", 40)}


def test_volumes_that_were_never_changed_have_no_change(ec2: tuple[Any, Stubber]) -> None:
    client, stub = ec2
    stub.add_response("describe_volumes_modifications", {"VolumesModifications": []}, by("volume-id", VOLUME))
    stub.add_client_error("describe_volumes_modifications", "InvalidVolumeModification.NotFound", "none")
    assert volumes.modifications(client, [VOLUME]) == volumes.modifications(client, [VOLUME]) == {}


def test_the_type_of_an_instance_is_read_with_its_ebs_figures(ec2: tuple[Any, Stubber]) -> None:
    client, stub = ec2
    group = {"Instances": [{"InstanceId": INSTANCE, "InstanceType": "m6in.4xlarge"}]}
    stub.add_response("describe_instances", {"Reservations": [group]}, by("instance-id", INSTANCE))
    without = {"InstanceType": "m1.small", "VCpuInfo": {"DefaultVCpus": 1}, "MemoryInfo": {"SizeInMiB": 1740}}
    stub.add_response(
        "describe_instance_types",
        {"InstanceTypes": [KIND, without]},
        {"InstanceTypes": ["m6in.4xlarge"]},
    )
    assert volumes.instance_types(client, [INSTANCE]) == {INSTANCE: "m6in.4xlarge"}
    found = volumes.type_figures(client, ["m6in.4xlarge"])
    assert set(found) == {"m6in.4xlarge"}
    assert round(found["m6in.4xlarge"].throughput) == 1490
    assert round(found["m6in.4xlarge"].allocatable_memory_gib * 1024) == 62607


def asked(name: str, statistic: str, seconds: int, namespace: str, **dimensions: str) -> dict[str, Any]:
    return {
        "Metric": {
            "Namespace": namespace,
            "MetricName": name,
            "Dimensions": [{"Name": key, "Value": value} for key, value in dimensions.items()],
        },
        "Period": seconds,
        "Stat": statistic,
    }


EBS, EC2 = "AWS/EBS", "AWS/EC2"
SERIES = [
    asked("VolumeIOPSExceededCheck", "Maximum", 60, EBS, VolumeId=VOLUME),
    asked("VolumeThroughputExceededCheck", "Maximum", 60, EBS, VolumeId=VOLUME),
    asked("VolumeIOPSExceededCheck", "Maximum", 60, EBS, VolumeId=VOLUME, InstanceId=INSTANCE),
    asked("VolumeThroughputExceededCheck", "Maximum", 60, EBS, VolumeId=VOLUME, InstanceId=INSTANCE),
    asked("InstanceEBSIOPSExceededCheck", "Maximum", 60, EC2, InstanceId=INSTANCE),
    asked("InstanceEBSThroughputExceededCheck", "Maximum", 60, EC2, InstanceId=INSTANCE),
    asked("EBSIOBalance%", "Minimum", 300, EC2, InstanceId=INSTANCE),
    asked("EBSByteBalance%", "Minimum", 300, EC2, InstanceId=INSTANCE),
]
REQUEST = {
    "MetricDataQueries": [{"Id": f"m{number}", "MetricStat": series} for number, series in enumerate(SERIES)],
    "StartTime": NOW - timedelta(hours=1),
    "EndTime": NOW,
}


def results(**values: list[float]) -> dict[str, Any]:
    return {"MetricDataResults": [{"Id": key, "Values": series} for key, series in values.items()]}


def test_cloudwatch_is_asked_for_the_last_hour_in_one_call_and_no_minute_counts_twice(
    cloudwatch: tuple[Any, Stubber],
) -> None:
    client, stub = cloudwatch
    stub.add_response("get_metric_data", results(m0=[0.0, 1.0], m2=[0.0, 1.0, 1.0], m4=[0.0], m7=[55.0]), REQUEST)
    found = volumes.metrics(client, [(VOLUME, INSTANCE)], NOW)
    assert found == {
        (VOLUME, "VolumeIOPSExceededCheck"): [0.0, 1.0, 1.0],
        (INSTANCE, "InstanceEBSIOPSExceededCheck"): [0.0],
        (INSTANCE, "EBSByteBalance%"): [55.0],
    }


def test_series_that_come_in_pages_are_one(cloudwatch: tuple[Any, Stubber]) -> None:
    client, stub = cloudwatch
    stub.add_response("get_metric_data", {**results(m0=[0.0]), "NextToken": "next"}, REQUEST)
    stub.add_response("get_metric_data", results(m0=[1.0]), {**REQUEST, "NextToken": "next"})
    assert volumes.metrics(client, [(VOLUME, INSTANCE)], NOW) == {(VOLUME, "VolumeIOPSExceededCheck"): [0.0, 1.0]}


def test_nothing_is_asked_of_cloudwatch_where_nothing_is_attached(cloudwatch: tuple[Any, Stubber]) -> None:
    assert volumes.metrics(cloudwatch[0], [], NOW) == {}


def test_a_missing_right_is_told_with_its_action_and_the_rest_is_read(
    ec2: tuple[Any, Stubber], cloudwatch: tuple[Any, Stubber], monkeypatch: pytest.MonkeyPatch
) -> None:
    client, stub = ec2
    # A stub gives its answers in order, so what is asked at the same time is asked by a client of its own here.
    with stubbed("ec2") as (other, changes):
        changes.add_client_error("describe_volumes_modifications", "UnauthorizedOperation", "You are not authorized")
        modifications = volumes.modifications
        monkeypatch.setattr(volumes, "modifications", lambda ignored, ids: modifications(other, ids))
        stub.add_response("describe_volumes", {"Volumes": [DESCRIBED]}, by("volume-id", VOLUME))
        stub.add_client_error("describe_instances", "UnauthorizedOperation", "You are not authorized")
        cloudwatch[1].add_client_error("get_metric_data", "AccessDenied", "is not authorized to perform")
        found = volumes.read(client, cloudwatch[0], [VOLUME, VOLUME], NOW)
    assert found.asked == (VOLUME,)
    assert not isinstance(found.volumes, Unread)
    unread = [found.modifications, found.instances, found.metrics]
    assert [answer.action if isinstance(answer, Unread) else "read" for answer in unread] == [
        "ec2:DescribeVolumesModifications",
        "ec2:DescribeInstances",
        "cloudwatch:GetMetricData",
    ]


def test_an_error_that_is_no_missing_right_names_no_action(ec2: tuple[Any, Stubber]) -> None:
    client, stub = ec2
    stub.add_client_error("describe_volumes", "InternalError", "try again")
    answer = volumes.tried(lambda: volumes.volumes(client, [VOLUME]))
    assert isinstance(answer, Unread)
    assert answer.action == ""
    assert "InternalError" in answer.message
