# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ClickHouse in its topologies: a cluster of its own from its first minute to its last, and a server outside."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.bench import INSTALLATION, Bench, Run
from tests.end_to_end.test_life_of_an_installation import left
from tests.integration.clickhouse_servers import PASSWORD, USER, Setup, running

pytestmark = pytest.mark.sandbox

REPLICATED: dict[str, Any] = {"datastores_clickhouse_topology": "replicated"}
LARGER: dict[str, Any] = {
    "datastores_clickhouse_volume_gib": 120,
    "datastores_clickhouse_volume_iops": 4000,
    "datastores_clickhouse_replicas": 4,
}
SERVICE = "com.amazonaws.vpce.us-east-1.vpce-svc-0123456789abcdef0"
MANAGED: dict[str, Any] = {
    "datastores_clickhouse_topology": "managed",
    "datastores_clickhouse_endpoint_service": SERVICE,
    "datastores_clickhouse_host": "abcdefgh.us-east-1.vpce.aws.clickhouse.cloud",
    "datastores_clickhouse_password_secret": {"name": "acme/clickhouse", "key": "password"},
}
ZONES = {"us-east-1a", "us-east-1b", "us-east-1c"}


def play(bench: Bench, playbook: str, *arguments: str, **variables: Any) -> Run:
    """Run a playbook with variables."""
    return bench.play(f"playbooks/{playbook}.yml", *arguments, "-e", json.dumps(variables))


def kubectl(bench: Bench, *arguments: str) -> Any:
    """What the cluster answers, as JSON."""
    endpoints = json.loads((bench.state / "endpoints.json").read_text())
    command = [f"{endpoints['bin']}/kubectl", "--kubeconfig", endpoints["kubernetes"]["admin_kubeconfig"]]
    done = subprocess.run([*command, *arguments, "-o", "json"], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def data_volumes(bench: Bench) -> dict[str, dict[str, Any]]:
    """The volumes of the servers' data by their claim, found by the handles that Kubernetes has."""
    handles = {
        one["spec"]["csi"]["volumeHandle"]: one["spec"]["claimRef"]["name"]
        for one in kubectl(bench, "get", "persistentvolumes")["items"]
        if one["spec"]["claimRef"]["name"].startswith("data-chi-")
    }
    found = bench.client("ec2").describe_volumes(VolumeIds=list(handles))["Volumes"]
    return {handles[one["VolumeId"]]: one for one in found}


def zones_of(bench: Bench, label: str) -> list[str]:
    """The zones of the pods with a label, a node being allowed once."""
    pods = kubectl(bench, "get", "pods", "--namespace", "langsmith", "--selector", label)["items"]
    nodes = [pod["spec"]["nodeName"] for pod in pods]
    assert len(set(nodes)) == len(nodes)
    zones = {
        node["metadata"]["name"]: node["metadata"]["labels"]["topology.kubernetes.io/zone"]
        for node in kubectl(bench, "get", "nodes")["items"]
    }
    return sorted(zones[node] for node in nodes)


def test_a_cluster_is_made_stays_as_it_is_grows_and_leaves_nothing(bench: Bench) -> None:
    deployed = play(bench, "site", **REPLICATED)
    assert deployed.code == 0, deployed.output[-6000:]
    assert "LangSmith is ready" in deployed.output
    it_is_what_was_asked_for(bench)

    again = play(bench, "site", **REPLICATED)
    assert (again.code, again.changed) == (0, 0), again.output[-6000:]

    changed = play(bench, "site", datastores_clickhouse_topology="single")
    assert changed.code != 0
    assert changed.changed == 0, changed.output[-3000:]
    assert "ClickHouse topology is replicated" in changed.output
    assert "first migration" in changed.output

    grown = play(bench, "site", "--tags", "datastores", **REPLICATED, **LARGER)
    assert grown.code == 0, grown.output[-6000:]
    it_has_grown(bench)
    shrunk = play(bench, "preflight", **{**REPLICATED, **LARGER, "datastores_clickhouse_volume_gib": 100})
    assert shrunk.code != 0
    assert "EBS makes no volume smaller" in shrunk.output

    judged = play(bench, "sizing", **REPLICATED, **LARGER)
    assert judged.code == 0, judged.output[-6000:]
    assert "chi-langsmith-langsmith-0-3" in (bench.state / "reports" / INSTALLATION / "clickhouse.txt").read_text()

    gone = play(bench, "teardown", teardown_confirm=INSTALLATION)
    assert gone.code == 0, gone.output[-6000:]
    assert left(bench) == []


def it_is_what_was_asked_for(bench: Bench) -> None:
    """Looked at through the doors of Kubernetes and EC2."""
    assert set(zones_of(bench, "app.kubernetes.io/name=clickhouse")) == ZONES
    assert set(zones_of(bench, "app.kubernetes.io/name=clickhouse-keeper")) == ZONES
    volumes = data_volumes(bench)
    assert sorted(volumes) == [f"data-chi-langsmith-langsmith-0-{number}-0" for number in range(3)]
    assert {one["AvailabilityZone"] for one in volumes.values()} == ZONES
    assert {(one["VolumeType"], one["Size"], one["Iops"], one["Throughput"]) for one in volumes.values()} == {
        ("gp3", 100, 3000, 125)
    }
    for one in volumes.values():
        assert {"Key": "langsmith:installation", "Value": INSTALLATION} in one["Tags"]
    budgets = kubectl(bench, "get", "poddisruptionbudgets", "--namespace", "langsmith")["items"]
    assert {"chi-langsmith-langsmith", "chk-langsmith-keeper"} <= {one["metadata"]["name"] for one in budgets}
    servers = json.dumps(kubectl(bench, "get", "clickhouseinstallations", "--namespace", "langsmith"))
    assert not [name for name, value in passwords(bench).items() if value in servers]
    claims = kubectl(bench, "get", "statefulsets", "--namespace", "langsmith")["items"]
    assert "langsmith-clickhouse" not in {one["metadata"]["name"] for one in claims}


def passwords(bench: Bench) -> dict[str, str]:
    """The values of ClickHouse's secrets that nobody may see."""
    manager = bench.client("secretsmanager")
    found: dict[str, str] = {}
    for name in ("clickhouse", "clickhouse-server", "clickhouse-operator"):
        held = json.loads(manager.get_secret_value(SecretId=f"langsmith/{INSTALLATION}/{name}")["SecretString"])
        found |= {key: value for key, value in held.items() if key.endswith(("password", "secret"))}
    return found


def it_has_grown(bench: Bench) -> None:
    """Every volume, those that were there among them, and one more server."""
    volumes = data_volumes(bench)
    assert len(volumes) == 4
    assert {(one["Size"], one["Iops"], one["Throughput"]) for one in volumes.values()} == {(120, 4000, 125)}
    assert len(zones_of(bench, "app.kubernetes.io/name=clickhouse")) == 4
    claims = kubectl(bench, "get", "persistentvolumeclaims", "--namespace", "langsmith")["items"]
    sizes = {one["status"]["capacity"]["storage"] for one in claims if one["metadata"]["name"].startswith("data-chi-")}
    assert sizes == {"120Gi"}


@pytest.fixture
def given(bench: Bench) -> Iterator[None]:
    """What the operator of an installation puts into Secrets Manager for a server outside, as long as it is needed."""
    manager = bench.client("secretsmanager")
    manager.create_secret(Name="acme/clickhouse", SecretString=json.dumps({"password": PASSWORD}))
    yield
    manager.delete_secret(SecretId="acme/clickhouse", ForceDeleteWithoutRecovery=True)


@pytest.mark.usefixtures("given")
def test_a_server_outside_is_looked_at_before_anything_is_migrated_into_it(bench: Bench, tmp_path: Path) -> None:
    with running(tmp_path, Setup(nodes=3, cluster="traces")) as servers:
        outside = {
            "datastores_clickhouse_topology": "external",
            "datastores_clickhouse_host": servers[0].address,
            "datastores_clickhouse_port": 8123,
            "datastores_clickhouse_native_port": 9000,
            "datastores_clickhouse_tls": False,
            "datastores_clickhouse_cluster": "traces",
            "datastores_clickhouse_checks": {"user": USER, "name": "acme/clickhouse", "key": "password"},
        }
        good = play(bench, "sizing", **outside)
        assert good.code == 0, good.output[-6000:]
        report = json.loads((bench.state / "reports" / INSTALLATION / "clickhouse.json").read_text())
        asked = {finding["subject"] for finding in report["findings"]}
        assert {server.subject for server in servers} <= asked
        wrong = play(bench, "sizing", **{**outside, "datastores_clickhouse_cluster": "nowhere"})
        assert wrong.code != 0
        assert "nowhere" in wrong.output


@pytest.mark.usefixtures("given")
def test_a_managed_one_is_waited_for_until_it_is_accepted_and_its_endpoint_goes_with_the_installation(
    bench: Bench,
) -> None:
    refused = play(bench, "preflight", **MANAGED, langsmith_values={"config": {"blobStorage": {"enabled": False}}})
    assert refused.code != 0
    assert "stay in your bucket" in refused.output

    offered(bench, accept=False)
    waiting = play(bench, "site", "--tags", "network,datastores", **MANAGED, datastores_wait_timeout=25)
    assert waiting.code != 0
    assert "LangChain has to accept it" in waiting.output, waiting.output[-6000:]
    ec2 = bench.client("ec2")
    (endpoint,) = interface_endpoints(ec2)
    assert endpoint["State"] == "pendingAcceptance"
    assert len(endpoint["SubnetIds"]) == len(ZONES)
    offered(bench, accept=True)

    accepted = play(bench, "site", "--tags", "datastores", **MANAGED)
    assert accepted.code == 0, accepted.output[-6000:]
    (endpoint,) = interface_endpoints(ec2)
    assert (endpoint["State"], endpoint["PrivateDnsEnabled"]) == ("available", True)

    gone = play(bench, "teardown", teardown_confirm=INSTALLATION)
    assert gone.code == 0, gone.output[-6000:]
    assert [one for one in left(bench) if "acme/clickhouse" not in one] == []


def offered(bench: Bench, accept: bool) -> None:
    """What LangChain offers, and whether it accepts who asks."""
    name = MANAGED["datastores_clickhouse_host"]
    offer = {"service_name": SERVICE, "private_dns_name": name, "address": "127.0.0.1", "accept": accept}
    (bench.state / "settings.json").write_text(json.dumps({"managed_clickhouse": offer}))


def interface_endpoints(ec2: Any) -> list[dict[str, Any]]:
    """The interface endpoints of the account."""
    found = ec2.describe_vpc_endpoints()["VpcEndpoints"]
    return [one for one in found if one["VpcEndpointType"] == "Interface" and one["State"] != "deleted"]


def test_the_chart_is_pointed_at_the_clickhouse_that_was_decided_on(bench: Bench) -> None:
    run = bench.play("tests/end_to_end/clickhouse_values.yml")
    assert run.code == 0, run.output[-6000:]
