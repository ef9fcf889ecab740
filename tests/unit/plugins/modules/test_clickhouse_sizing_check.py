# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module without a ClickHouse; tests/integration has those against real ones."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.langsmith.aws.plugins.modules import clickhouse_sizing_check
from moto.server import ThreadedMotoServer

from tests.unit.plugins.cluster import cluster
from tests.unit.plugins.scripted import make_authority

Run = Callable[..., dict[str, Any]]
PLAN = {
    "topology": "replicated",
    "replicas": 3,
    "cpu": 8,
    "memory_gib": 32,
    "memory_limit_gib": 48,
    "instance_types": ["m6in.4xlarge"],
    "zones": 3,
    "anti_affinity": True,
    "pod_disruption_budget": True,
    "keeper": {"nodes": 3, "zones": 3, "persistence": True},
    "volume": {"type": "gp3", "size_gib": 500, "iops": 7000, "throughput_mib_s": 1000},
    "persistence": True,
    "allow_volume_expansion": True,
    "reclaim_policy": "Retain",
    "version": "25.12",
    "blob_storage": True,
    "max_concurrent_queries": 500,
    "load": {"traces_per_s": 10, "users": 5, "retention_days": 14},
}
LIVE = {"urls": ["http://clickhouse:8123"]}


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str]) -> Run:
    def module(**options: Any) -> dict[str, Any]:
        with patch_module_args({"environment": "production", **options}), pytest.raises(SystemExit):
            clickhouse_sizing_check.main()
        result: dict[str, Any] = json.loads(capfd.readouterr().out)
        return result

    return module


@pytest.fixture(scope="module")
def aws() -> Iterator[dict[str, str]]:
    """The module's options for an account."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield {
        "region": "us-east-1",
        "endpoint_url": f"http://{host}:{port}",
        "access_key": "testing",
        "secret_key": "testing-secret",
    }
    server.stop()


def account(aws: dict[str, str], service: Any) -> Any:
    return boto3.client(
        service,
        region_name=aws["region"],
        endpoint_url=aws["endpoint_url"],
        aws_access_key_id=aws["access_key"],
        aws_secret_access_key=aws["secret_key"],
    )


def statuses(result: dict[str, Any]) -> dict[tuple[str, str], str]:
    return {(f["id"].removeprefix("clickhouse."), f["subject"]): f["status"] for f in result["findings"]}


def test_a_sufficient_plan_needs_neither_server_nor_account(run: Run) -> None:
    result = run(plan=PLAN)
    assert (result["changed"], result["sufficient"], result["replicas"], result["pressure"]) == (False, True, [], None)
    assert {finding["status"] for finding in result["findings"]} == {"pass"}


def test_a_check_without_an_account_does_not_load_botocore() -> None:
    name = clickhouse_sizing_check.__name__
    code = f"import sys, {name}; sys.exit('botocore' in sys.modules or 'kubernetes' in sys.modules)"
    paths = {"PYTHONPATH": ":".join(sys.path)}
    assert subprocess.run([sys.executable, "-c", code], env=paths, check=False).returncode == 0


def test_the_recommendation_for_the_load_comes_along(run: Run) -> None:
    result = run(plan={"topology": "replicated", "load": {"traces_per_s": 1000, "users": 50, "retention_days": 7}})
    advice = result["recommendation"]
    assert (advice["replicas"], advice["cpu"], advice["volume_gib"]) == (3, 14, 6000)
    assert len(advice["arithmetic"]) >= 5
    assert result["notes"] == [{"title": "What the load needs", "lines": advice["arithmetic"]}]
    assert run(plan={**PLAN, "load": None})["recommendation"] is None


def test_the_retention_of_the_plan_is_that_of_the_load_unless_told(run: Run) -> None:
    plan = {**PLAN, "ttl_days": 7, "load": {"traces_per_s": 100, "users": 20}}
    assert run(plan=plan)["recommendation"]["volume_gib"] == 600


def test_an_insufficient_plan_is_a_result_and_no_failure_of_the_module(run: Run) -> None:
    result = run(plan={**PLAN, "topology": "single", "replicas": 1})
    assert result["sufficient"] is False
    assert "failed" not in result


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({}, "plan, live, volumes, backups"),
        ({"live": {"urls": []}}, "live.urls is empty"),
        ({"live": {"urls": ["http://a:1", "http://b:1"], "connect_to": "c:1"}}, "live.connect_to is one place"),
        ({"live": {**LIVE, "connect_to": "c:1"}, "kubeconfig": "/nonexistent/kubeconfig"}, "two ways to the server"),
        (
            {"live": {**LIVE, "password": "pa55-word", "password_secret": {"name": "langsmith/acme"}}},
            "mutually exclusive",
        ),
        ({"live": {"urls": ["clickhouse:8123"]}}, "live: 'clickhouse:8123' is no URL"),
        ({"live": {**LIVE, "connect_to": "nowhere"}}, "live: 'nowhere' is not of the form host:port"),
        (
            {"live": {"urls": ["https://c:8443"], "ca_file": "/nonexistent/ca.crt"}},
            "/nonexistent/ca.crt cannot be read",
        ),
        ({"volumes": {"ids": []}}, "volumes.ids is empty"),
        ({"backups": {"bucket": "b", "rpo_hours": 0}}, "backups.rpo_hours must be above 0"),
        ({"plan": PLAN, "timeout": 0}, "timeout is 0"),
        ({"plan": PLAN, "sample_seconds": -1}, "sample_seconds is -1"),
        ({"plan": {**PLAN, "cpu": "inf"}}, "plan.cpu is inf"),
        ({"plan": {**PLAN, "volume": {"iops": "nan"}}}, "plan.volume.iops is nan"),
        ({"plan": {**PLAN, "load": {"traces_per_s": 0}}}, "plan: load.traces_per_s is 0"),
        ({"plan": {**PLAN, "load": {"traces_per_s": 5000, "retention_days": 400}}}, "plan: 5000 traces/s"),
    ],
)
def test_options_that_cannot_be_meant_are_an_error_that_names_them(
    run: Run, options: dict[str, Any], told: str
) -> None:
    result = run(**options)
    assert result["failed"] is True
    assert told in result["msg"]


def test_a_server_that_is_not_there_is_a_finding(run: Run, closed_port: int) -> None:
    live = {"urls": [f"http://127.0.0.1:{closed_port}"], "password": "pa55-word"}
    result = run(plan=PLAN, live=live, timeout=60, sample_seconds=0.1)
    assert result["sufficient"] is False
    assert statuses(result)["connection", f"127.0.0.1:{closed_port}"] == "fail"
    assert "pa55-word" not in json.dumps(result)


def test_a_server_that_the_kernel_ended_for_its_memory_is_told_by_its_pod(
    run: Run, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    ended = {"reason": "OOMKilled", "finishedAt": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"}
    container = {"name": "clickhouse", "state": {}, "lastState": {"terminated": ended}}
    with cluster(tmp_path, make_authority(tmp_path_factory.mktemp("authority"))) as api:
        ports = [{"port": 8123, "targetPort": 8123}]
        api.put("services", "chi-0", spec={"selector": {"app": "chi"}, "ports": ports})
        api.put("pods", "chi-0-0", spec={"containers": []}, status={"containerStatuses": [container]})
        options = {"live": {"urls": ["http://chi-0:8123"]}, "kubeconfig": str(api.kubeconfig), "timeout": 60}
        killed = run(**options)
        api.refuses["/pods"] = 403
        refused = run(**options)
    assert statuses(killed) == {("connection", "chi-0:8123"): "fail", ("oom_killed", "chi-0:8123"): "fail"}
    assert "container clickhouse of pod chi-0-0 was OOMKilled at" in killed["findings"][1]["observed"]
    assert statuses(refused)["oom_killed", "chi-0:8123"] == "unknown"


def test_a_password_is_read_from_secrets_manager_and_its_absence_is_named(
    run: Run, closed_port: int, aws: dict[str, str]
) -> None:
    account(aws, "secretsmanager").create_secret(
        Name="langsmith/acme/clickhouse", SecretString='{"clickhouse_password": "pa55-word"}'
    )
    live = {"urls": [f"http://127.0.0.1:{closed_port}"], "password_secret": {"name": "langsmith/acme/clickhouse"}}
    there = run(live=live, timeout=60, sample_seconds=0.1, **aws)
    absent = run(live={**live, "password_secret": {"name": "langsmith/nowhere"}}, timeout=60, **aws)
    assert [finding["id"] for finding in there["findings"]] == ["clickhouse.connection"]
    assert "pa55-word" not in json.dumps(there)
    assert "langsmith/nowhere is not in region us-east-1" in absent["msg"]


@pytest.fixture(scope="module")
def attached(aws: dict[str, str]) -> tuple[str, str]:
    """A volume on an instance, whose limit was exceeded in one minute."""
    ec2, cloudwatch = account(aws, "ec2"), account(aws, "cloudwatch")
    instance = ec2.run_instances(ImageId="ami-12c6146b", MinCount=1, MaxCount=1, InstanceType="m6i.2xlarge")[
        "Instances"
    ][0]
    volume = ec2.create_volume(
        AvailabilityZone=instance["Placement"]["AvailabilityZone"],
        Size=500,
        VolumeType="gp3",
        Iops=7000,
        Throughput=1000,
    )
    names = (volume["VolumeId"], instance["InstanceId"])
    ec2.attach_volume(VolumeId=names[0], InstanceId=names[1], Device="/dev/sdf")
    for number, dimension in enumerate(("VolumeId", "InstanceId")):
        namespace, prefix = (("AWS/EBS", "Volume"), ("AWS/EC2", "InstanceEBS"))[number]
        data = [
            {
                "MetricName": f"{prefix}{what}ExceededCheck",
                "Dimensions": [{"Name": dimension, "Value": names[number]}],
                "Value": float(number),
                "Timestamp": datetime.now(UTC) - timedelta(minutes=5),
            }
            for what in ("IOPS", "Throughput")
        ]
        cloudwatch.put_metric_data(Namespace=namespace, MetricData=data)
    return names


def test_volumes_are_judged_with_their_instances_and_what_cloudwatch_has_of_both(
    run: Run, aws: dict[str, str], attached: tuple[str, str]
) -> None:
    volume, instance = attached
    told = statuses(run(volumes={"ids": [volume, "vol-00000000"]}, **aws))
    assert told == {
        ("volume", volume): "pass",
        ("volume_change", volume): "pass",
        ("volume_type", volume): "pass",
        ("iops", volume): "pass",
        ("throughput", volume): "pass",
        ("instance_io", instance): "warn",
        ("io_pressure", volume): "pass",
        ("io_pressure", instance): "fail",
        ("volume", "vol-00000000"): "fail",
    }


def test_an_account_that_does_not_answer_is_unknown_and_not_waited_for(run: Run, closed_port: int) -> None:
    there = {"region": "us-east-1", "endpoint_url": f"http://127.0.0.1:{closed_port}", "access_key": "testing"}
    result = run(volumes={"ids": ["vol-0aa"]}, timeout=60, secret_key="testing-secret", **there)
    assert statuses(result) == {("volume", "volumes.ids"): "unknown"}
    assert "did not reach AWS" in result["findings"][0]["observed"]


def test_the_newest_backup_is_held_against_the_recovery_point_objective(run: Run, aws: dict[str, str]) -> None:
    s3 = account(aws, "s3")
    s3.create_bucket(Bucket="backups")
    place = {"bucket": "backups", "prefix": "clickhouse"}
    missing = run(backups=place, **aws)
    s3.put_object(Bucket="backups", Key="clickhouse/daily/data/a.bin", Body=b"data")
    files = b"<file><name>data/a.bin</name><size>4</size></file>"
    s3.put_object(Bucket="backups", Key="clickhouse/daily/.backup", Body=b"<config>" + files + b"</config>")
    there = run(backups=place, **aws)
    assert statuses(missing) == {("backup", "s3://backups/clickhouse"): "fail"}
    assert statuses(there) == {("backup", "s3://backups/clickhouse"): "pass"}
    assert there["findings"][0]["observed"] == "clickhouse/daily is 0.0 hours old"


def test_a_plan_whose_weakest_instance_type_does_not_do_is_not_sufficient(run: Run) -> None:
    result = run(plan={**PLAN, "instance_types": ["m6in.4xlarge", "m5.2xlarge"]})
    assert result["sufficient"] is False
    assert statuses(result)["instance_io", "plan.instance_types"] == "fail"


def test_traces_that_never_expire_are_recommended_a_volume_until_a_horizon(run: Run) -> None:
    load = {"traces_per_s": 100, "users": 20}
    ever, longer = (
        run(plan={"topology": "managed", "ttl_days": 0, "load": {**load, **more}})["recommendation"]
        for more in ({}, {"horizon_days": 60})
    )
    assert (ever["volume_gib"], longer["volume_gib"]) == (2600, 5150)
    assert any("it is sized for 60 days (load.horizon_days)" in sentence for sentence in longer["arithmetic"])
