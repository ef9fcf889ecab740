# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Amazon EC2 and CloudWatch: the volumes under ClickHouse, their instances, and whether either was held back."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any, TypeVar

from ansible_collections.langsmith.aws.plugins.module_utils.clients.aws import AwsCallError, none_on, pages
from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse import instances
from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.storage import (
    BALANCES,
    CLAIM_TAGS,
    INSTANCE_CHECKS,
    INSTANCE_NAMESPACE,
    MINUTES,
    VOLUME_CHECKS,
    VOLUME_NAMESPACE,
    Modification,
    RealVolume,
    Storage,
    Unread,
)

T = TypeVar("T")
#: CloudWatch takes so many queries in one call.
_QUERIES = 500


def read(ec2: Any, cloudwatch: Any, ids: Sequence[str], now: datetime) -> Storage:
    """Everything about the volumes; what AWS does not tell is :class:`Unread`. Three rounds, each asked at once."""
    asked = tuple(dict.fromkeys(ids))
    with ThreadPoolExecutor(max_workers=2) as pool:
        changes = pool.submit(tried, lambda: modifications(ec2, asked))
        found = tried(lambda: volumes(ec2, asked))
        if isinstance(found, Unread):
            return Storage(asked, found, changes.result())
        held = sorted({volume.instance_id for volume in found if volume.instance_id})
        attached = [(volume.id, volume.instance_id) for volume in found if volume.instance_id]
        values = pool.submit(tried, lambda: metrics(cloudwatch, attached, now))
        types = tried(lambda: instance_types(ec2, held))
        figures: dict[str, instances.InstanceType] | Unread = {}
        if not isinstance(types, Unread):
            names = sorted(set(types.values()))
            figures = tried(lambda: type_figures(ec2, names))
        return Storage(asked, found, changes.result(), types, figures, values.result())


def tried(question: Callable[[], T]) -> T | Unread:
    """The answer, or why there is none."""
    try:
        return question()
    except AwsCallError as error:
        return Unread(str(error), error.action if error.denied else "")


def _filter(name: str, values: Sequence[str]) -> list[dict[str, Any]]:
    # A filter leaves out what is not there, where the argument for ids would refuse all of them.
    return [{"Name": name, "Values": list(values)}]


def volumes(ec2: Any, ids: Sequence[str]) -> tuple[RealVolume, ...]:
    """The volumes of these ids that there are."""
    return tuple(
        RealVolume(
            item["VolumeId"],
            item.get("VolumeType") or "",
            item.get("Size") or 0,
            item.get("Iops"),
            item.get("Throughput"),
            item.get("State") or "",
            next((to["InstanceId"] for to in item.get("Attachments") or () if to.get("InstanceId")), ""),
            item.get("AvailabilityZone") or "",
            _claim(item),
        )
        for item in pages(ec2, "describe_volumes", "Volumes", Filters=_filter("volume-id", ids))
    )


def _claim(item: dict[str, Any]) -> str:
    tags = {tag["Key"]: tag["Value"] for tag in item.get("Tags") or ()}
    return "/".join(tags[key] for key in CLAIM_TAGS if tags.get(key))


def modifications(ec2: Any, ids: Sequence[str]) -> dict[str, Modification]:
    """The newest change of each volume that was ever changed."""
    ordered = sorted(_changes(ec2, ids) or (), key=lambda item: str(item.get("StartTime") or ""))
    return {
        item["VolumeId"]: Modification(
            item.get("ModificationState") or "", item.get("Progress") or 0, item.get("StatusMessage") or ""
        )
        for item in ordered
    }


@none_on("InvalidVolumeModification.NotFound")
def _changes(ec2: Any, ids: Sequence[str]) -> list[dict[str, Any]]:
    return pages(ec2, "describe_volumes_modifications", "VolumesModifications", Filters=_filter("volume-id", ids))


def instance_types(ec2: Any, ids: Sequence[str]) -> dict[str, str]:
    """The name of the type of each instance."""
    if not ids:
        return {}
    found = pages(ec2, "describe_instances", "Reservations", Filters=_filter("instance-id", ids))
    return {item["InstanceId"]: item["InstanceType"] for group in found for item in group.get("Instances") or ()}


def type_figures(ec2: Any, names: Sequence[str]) -> dict[str, instances.InstanceType]:
    """The types with what they give to EBS; one without such figures is left out."""
    if not names:
        return {}
    found = pages(ec2, "describe_instance_types", "InstanceTypes", InstanceTypes=list(names))
    return {
        item["InstanceType"]: _figures(item) for item in found if (item.get("EbsInfo") or {}).get("EbsOptimizedInfo")
    }


def _figures(item: dict[str, Any]) -> instances.InstanceType:
    ebs, network = item["EbsInfo"]["EbsOptimizedInfo"], item.get("NetworkInfo") or {}
    addresses = network.get("MaximumNetworkInterfaces", 0) * (network.get("Ipv4AddressesPerInterface", 1) - 1) + 2
    return instances.from_figures(
        item["InstanceType"],
        item["VCpuInfo"]["DefaultVCpus"],
        item["MemoryInfo"]["SizeInMiB"] / 1024,
        (ebs["BaselineThroughputInMBps"], ebs["BaselineIops"]),
        (ebs["MaximumThroughputInMBps"], ebs["MaximumIops"]),
        addresses,
    )


def metrics(cloudwatch: Any, attached: Iterable[tuple[str, str]], now: datetime) -> dict[tuple[str, str], list[float]]:
    """The values of the last hour by (volume or instance, metric's name), of ``attached`` (volume, instance) pairs."""
    wanted = _wanted(list(attached))
    if not wanted:
        return {}
    queries = [{"Id": f"m{number}", "MetricStat": query} for number, (subject, query) in enumerate(wanted)]
    values: dict[str, list[float]] = {}
    for start in range(0, len(queries), _QUERIES):
        results = pages(
            cloudwatch,
            "get_metric_data",
            "MetricDataResults",
            MetricDataQueries=queries[start : start + _QUERIES],
            StartTime=now - timedelta(minutes=MINUTES),
            EndTime=now,
        )
        for result in results:
            values.setdefault(result["Id"], []).extend(result.get("Values") or ())
    found: dict[tuple[str, str], list[float]] = {}
    for number, (subject, query) in enumerate(wanted):
        series, key = values.get(f"m{number}", []), (subject, query["Metric"]["MetricName"])
        # The same metric under other dimensions tells of the same minutes.
        found[key] = max(found.get(key, []), series, key=lambda told: (sum(told), len(told)))
    return {key: series for key, series in found.items() if series}


def _wanted(attached: list[tuple[str, str]]) -> list[tuple[str, dict[str, Any]]]:
    """Subject and MetricStat of each series."""
    made = []
    for volume, instance in attached:
        # Depending on the metric CloudWatch has it by volume, or by volume and instance.
        for dimensions in ({"VolumeId": volume}, {"VolumeId": volume, "InstanceId": instance}):
            made += [(volume, _stat(VOLUME_NAMESPACE, name, dimensions, "Maximum", 60)) for name in VOLUME_CHECKS]
    for instance in sorted({instance for volume, instance in attached}):
        dimensions = {"InstanceId": instance}
        made += [(instance, _stat(INSTANCE_NAMESPACE, name, dimensions, "Maximum", 60)) for name in INSTANCE_CHECKS]
        made += [(instance, _stat(INSTANCE_NAMESPACE, name, dimensions, "Minimum", 300)) for name in BALANCES]
    return made


def _stat(namespace: str, name: str, dimensions: dict[str, str], statistic: str, seconds: int) -> dict[str, Any]:
    return {
        "Metric": {
            "Namespace": namespace,
            "MetricName": name,
            "Dimensions": [{"Name": key, "Value": value} for key, value in dimensions.items()],
        },
        "Period": seconds,
        "Stat": statistic,
    }
