# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ClickHouse outside of the cluster: a server of one's own, and one that LangChain runs."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.langsmith.aws.plugins.module_utils.domain.endpoint import ClickHouse, Place
from ansible_collections.langsmith.aws.plugins.module_utils.domain.probe import commands

from sandbox.stores import external_clickhouse
from tests.end_to_end.bench import INSTALLATION, Bench, left
from tests.integration.clickhouse_servers import PASSWORD, USER, Setup, running

pytestmark = [pytest.mark.sandbox, pytest.mark.story(minutes=8)]

SERVICE = "com.amazonaws.vpce.us-east-1.vpce-svc-0123456789abcdef0"
MANAGED: dict[str, Any] = {
    "datastores_clickhouse_topology": "managed",
    "datastores_clickhouse_endpoint_service": SERVICE,
    "datastores_clickhouse_host": "abcdefgh.us-east-1.vpce.aws.clickhouse.cloud",
    "datastores_clickhouse_password_secret": {"name": "acme/clickhouse", "key": "password"},
}
ZONES = ["us-east-1a", "us-east-1b"]
#: What the engine of the tests has not, or has no history of when it was just started.
OF_THE_ENGINE = ("keeper", "memory_limit", "replicated_tables", "batch_size", "query_latency")


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
        outside: dict[str, Any] = {
            "datastores_clickhouse_topology": "external",
            "datastores_clickhouse_host": servers[0].address,
            "datastores_clickhouse_port": 8123,
            "datastores_clickhouse_native_port": 9000,
            "datastores_clickhouse_tls": False,
            "datastores_clickhouse_cluster": "traces",
            "datastores_clickhouse_user": USER,
            "datastores_clickhouse_password_secret": {"name": "acme/clickhouse", "key": "password"},
            "datastores_clickhouse_checks": {"user": USER, "name": "acme/clickhouse", "key": "password"},
        }
        unknown = bench.play("playbooks/sizing.yml", variables=outside)
        assert (unknown.code != 0, "as far as could be seen" in unknown.output) == (True, True)
        accepted = {f"clickhouse.{rule}": "this engine has none to tell of" for rule in OF_THE_ENGINE}
        outside["datastores_clickhouse_accepted"] = accepted
        good = bench.play("playbooks/sizing.yml", variables=outside)
        assert good.code == 0, good.output[-6000:]
        report = json.loads((bench.state / "reports" / INSTALLATION / "clickhouse.json").read_text())
        asked = {finding["subject"] for finding in report["findings"]}
        assert {server.subject for server in servers} <= asked
        rights = {finding["status"] for finding in report["findings"] if finding["id"] == "clickhouse.rights"}
        assert rights == {"pass"}
        wrong = bench.play("playbooks/sizing.yml", variables={**outside, "datastores_clickhouse_cluster": "nowhere"})
        assert wrong.code != 0
        assert "nowhere" in wrong.output


@pytest.fixture
def theirs(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A server that only an endpoint leads to, with TLS; its address."""
    monkeypatch.setenv("LANGSMITH_SANDBOX_STATE", str(bench.state))
    external_clickhouse.configure("theirs", MANAGED["datastores_clickhouse_host"], USER, PASSWORD)
    yield external_clickhouse.start("theirs")
    external_clickhouse.stop("theirs")


@pytest.mark.usefixtures("given")
def test_a_managed_one_is_waited_for_serves_traces_and_its_endpoint_goes_with_the_installation(
    bench: Bench, theirs: str, tmp_path: Path
) -> None:
    without = {**MANAGED, "langsmith_values": {"config": {"blobStorage": {"enabled": False}}}}
    refused = bench.play("playbooks/preflight.yml", variables=without)
    assert refused.code != 0
    assert "stay in your bucket" in refused.output

    external_clickhouse.offer("theirs", SERVICE, accept=False, zones=ZONES)
    # However long it waited, nobody would accept.
    brief = {**MANAGED, "datastores_wait_timeout": 10}
    waiting = bench.play("playbooks/site.yml", "--tags", "network,datastores", variables=brief)
    assert waiting.code != 0
    assert "LangChain has to accept it" in waiting.output, waiting.output[-6000:]
    ec2 = bench.client("ec2")
    (endpoint,) = interface_endpoints(ec2)
    assert endpoint["State"] == "pendingAcceptance"
    subnets = ec2.describe_subnets(SubnetIds=endpoint["SubnetIds"])["Subnets"]
    assert sorted(subnet["AvailabilityZone"] for subnet in subnets) == ZONES
    external_clickhouse.offer("theirs", SERVICE, zones=["us-east-1f"])
    nowhere = bench.play("playbooks/site.yml", "--tags", "datastores", variables=brief)
    assert (nowhere.code != 0, nowhere.changed) == (True, 0)
    assert f"{SERVICE} is in us-east-1f" in nowhere.output, nowhere.output[-6000:]
    external_clickhouse.offer("theirs", SERVICE, zones=ZONES)

    deployed = bench.play("playbooks/site.yml", variables=MANAGED)
    assert deployed.code == 0, deployed.output[-6000:]
    assert "LangSmith is ready" in deployed.output
    (endpoint,) = interface_endpoints(ec2)
    assert (endpoint["State"], endpoint["PrivateDnsEnabled"]) == ("available", True)
    the_commands_of_the_probe_decide(bench, theirs, tmp_path)

    gone = bench.play("playbooks/teardown.yml", variables={"teardown_confirm": INSTALLATION})
    assert gone.code == 0, gone.output[-6000:]
    assert [one for one in left(bench) if "acme/clickhouse" not in one] == []


def the_commands_of_the_probe_decide(bench: Bench, address: str, folder: Path) -> None:
    """What a failed probe says to run, where the endpoint's name resolves and its certificate is trusted."""
    name = MANAGED["datastores_clickhouse_host"]
    authority = json.loads((bench.state / "endpoints.json").read_text())["ca_file"]
    (folder / ".curlrc").write_text(f'resolve = "{name}:8443:{address}"\ncacert = "{authority}"\n')
    place = Place("https://langsmith", "langsmith:443", clickhouse=ClickHouse(service=""))
    answer = bench.ask(commands.stored(place, "00000000-0000-0000-0000-000000000000"), CURL_HOME=str(folder))
    assert not re.search("Exception|error|curl:", answer), answer
    assert "system.processes" in bench.ask(commands.clickhouse_log(place), CURL_HOME=str(folder))


def interface_endpoints(ec2: Any) -> list[dict[str, Any]]:
    """The interface endpoints of the account."""
    found = ec2.describe_vpc_endpoints()["VpcEndpoints"]
    return [one for one in found if one["VpcEndpointType"] == "Interface" and one["State"] != "deleted"]


def test_the_chart_is_pointed_at_the_clickhouse_that_was_decided_on(bench: Bench) -> None:
    run = bench.play("tests/end_to_end/clickhouse_values.yml")
    assert run.code == 0, run.output[-6000:]
