# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A cluster of ClickHouse servers from its first minute to its last. The order is the story, so it is one test."""

from __future__ import annotations

import json
import re
import subprocess
from typing import Any

import pytest
from ansible_collections.langsmith.aws.plugins.module_utils.domain.endpoint import ClickHouse, Place
from ansible_collections.langsmith.aws.plugins.module_utils.domain.probe import commands

from tests.end_to_end.bench import INSTALLATION, Bench, left

pytestmark = [pytest.mark.sandbox, pytest.mark.story(minutes=9)]

REPLICATED: dict[str, Any] = {"datastores_clickhouse_topology": "replicated"}
LARGER: dict[str, Any] = {
    **REPLICATED,
    "datastores_clickhouse_volume_gib": 2048,
    "datastores_clickhouse_volume_iops": 4000,
    "datastores_clickhouse_replicas": 5,
}
ZONES = {"us-east-1a", "us-east-1b", "us-east-1c"}


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
    deployed = bench.play("playbooks/site.yml", variables=REPLICATED)
    assert deployed.code == 0, deployed.output[-6000:]
    assert "LangSmith is ready" in deployed.output
    it_is_what_was_asked_for(bench)

    the_commands_of_the_probe_decide(bench)

    again = bench.play("playbooks/site.yml", variables=REPLICATED)
    assert (again.code, again.changed) == (0, 0), again.output[-6000:]

    changed = bench.play("playbooks/site.yml", variables={"datastores_clickhouse_topology": "single"})
    assert changed.code != 0
    assert changed.changed == 0, changed.output[-3000:]
    assert "ClickHouse topology is replicated" in changed.output
    assert "first migration" in changed.output

    fourth = "TASK [langsmith.aws.datastores : clickhouse_replica | Replica 4]"
    cut = bench.play("playbooks/site.yml", "--tags", "datastores", variables=LARGER, kill_at=fourth)
    assert fourth in cut.output, cut.output[-6000:]
    grown = bench.play("playbooks/site.yml", "--tags", "datastores", variables=LARGER)
    assert grown.code == 0, grown.output[-6000:]
    it_has_grown(bench)
    again = bench.play("playbooks/site.yml", "--tags", "datastores", variables=LARGER)
    assert (again.code, again.changed) == (0, 0), again.output[-6000:]
    faster = {**LARGER, "datastores_clickhouse_volume_throughput_mib_s": 1500}
    refused = bench.play("playbooks/site.yml", "--tags", "datastores", variables=faster)
    assert (refused.code != 0, refused.changed) == (True, 0), refused.output[-3000:]
    assert "goes up to 1000. Run aws ec2 modify-volume" in refused.output
    shrunk = bench.play("playbooks/preflight.yml", variables={**LARGER, "datastores_clickhouse_volume_gib": 100})
    assert shrunk.code != 0
    assert "EBS makes no volume smaller" in shrunk.output

    # As on a machine that has never seen the installation.
    (bench.state / "kubeconfig").unlink()
    judged = bench.play("playbooks/sizing.yml", variables=LARGER)
    assert judged.code == 0, judged.output[-6000:]
    assert "chi-langsmith-langsmith-0-4" in (bench.state / "reports" / INSTALLATION / "clickhouse.txt").read_text()

    gone = bench.play("playbooks/teardown.yml", variables={"teardown_confirm": INSTALLATION})
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


def the_commands_of_the_probe_decide(bench: Bench) -> None:
    """What a failed probe says to run, on a cluster of replicas."""
    here, elsewhere = (
        Place("https://langsmith", "langsmith:443", clickhouse=ClickHouse("clickhouse-langsmith", cluster))
        for cluster in ("langsmith", "elsewhere")
    )
    nobody = "00000000-0000-0000-0000-000000000000"
    for command in (commands.replicas(here), commands.stored(here, nobody), commands.clickhouse_log(here)):
        answer = bench.ask(command)
        assert not re.search("Exception|error|curl:", answer), f"{command}: {answer}"
    assert "CLUSTER_DOESNT_EXIST" in bench.ask(commands.replicas(elsewhere))


def passwords(bench: Bench) -> dict[str, str]:
    """The values of ClickHouse's secrets that nobody may see."""
    manager = bench.client("secretsmanager")
    found: dict[str, str] = {}
    for name in ("clickhouse", "clickhouse-server", "clickhouse-operator"):
        held = json.loads(manager.get_secret_value(SecretId=f"langsmith/{INSTALLATION}/{name}")["SecretString"])
        found |= {key: value for key, value in held.items() if key.endswith(("password", "secret"))}
    return found


def it_has_grown(bench: Bench) -> None:
    """Every volume, those that were there among them, and two more servers."""
    volumes = data_volumes(bench)
    assert len(volumes) == 5
    assert {(one["Size"], one["Iops"], one["Throughput"]) for one in volumes.values()} == {(2048, 4000, 125)}
    assert len(zones_of(bench, "app.kubernetes.io/name=clickhouse")) == 5
    claims = kubectl(bench, "get", "persistentvolumeclaims", "--namespace", "langsmith")["items"]
    sizes = {one["status"]["capacity"]["storage"] for one in claims if one["metadata"]["name"].startswith("data-chi-")}
    # So Kubernetes writes 2048Gi.
    assert sizes == {"2Ti"}
