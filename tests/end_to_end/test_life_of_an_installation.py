# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One installation from its first minute to its last. The order is the story, so it is one test."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest
from ansible_collections.langsmith.aws.plugins.module_utils.domain.endpoint import Place
from ansible_collections.langsmith.aws.plugins.module_utils.domain.probe import commands

from tests.end_to_end.bench import INSTALLATION, ROOT, Bench, left

pytestmark = [pytest.mark.sandbox, pytest.mark.story(minutes=10)]

#: A point while the cluster is made, one while values are made, one while the release comes up.
KILLED_AT = (
    "TASK [langsmith.aws.eks : start_apply |",
    "TASK [langsmith.aws.secrets : Make the values",
    "TASK [langsmith.aws.langsmith : install | Release",
)


def secret_values(bench: Bench) -> dict[str, str]:
    """Every value in Secrets Manager that must never be seen, and the keys of the account."""
    manager = bench.client("secretsmanager")
    values: dict[str, str] = {}
    for page in manager.get_paginator("list_secrets").paginate():
        for secret in page["SecretList"]:
            content = json.loads(manager.get_secret_value(SecretId=secret["ARN"])["SecretString"])
            values |= {f"{secret['Name']}:{key}": str(value) for key, value in content.items()}
    plain = (
        "username",
        "dbname",
        "host",
        "port",
        "clickhouse_host",
        "clickhouse_port",
        "clickhouse_native_port",
        "clickhouse_user",
        "clickhouse_db",
        "clickhouse_tls",
    )
    account = json.loads((bench.state / "endpoints.json").read_text())["aws"]["credentials_file"]
    keys = [
        line.partition("=")[2].strip()
        for line in Path(account).read_text().splitlines()
        if line.startswith("aws_secret_access_key")
    ]
    return {name: value for name, value in values.items() if name.partition(":")[2] not in plain} | {"account": keys[0]}


def leaks(secrets: dict[str, str], where: str, text: str) -> list[str]:
    """The names of the secrets that ``text`` holds. Their values are not told here either."""
    return [f"{name} is in {where}" for name, value in secrets.items() if value in text]


def test_a_killed_deployment_converges_stays_as_it_is_hides_its_secrets_and_leaves_nothing(bench: Bench) -> None:
    planned = bench.play("playbooks/site.yml", "--check")
    assert planned.code == 0, planned.output
    assert planned.changed > 0

    for point in KILLED_AT:
        assert bench.play("playbooks/site.yml", kill_at=point).code != 0

    # What Helm was killed at may be somebody's work for as long as Helm may take.
    deployed = bench.play("playbooks/site.yml", verbose=True, variables={"langsmith_wait_timeout": 150})
    assert deployed.code == 0, deployed.output[-6000:]
    assert "LangSmith is ready" in deployed.output

    the_commands_of_the_probe_decide(bench)

    again = bench.play("playbooks/site.yml", verbose=True)
    assert (again.code, again.changed) == (0, 0), again.output[-6000:]

    # One drift, and nothing else in all of it.
    drifted = bench.play("playbooks/site.yml", "--check", "--diff", variables={"eks_node_count_max": 7})
    assert (drifted.code, drifted.changed) == (0, 1), drifted.output[-6000:]
    assert "max_size: 7" in drifted.output

    alone = bench.play("tests/end_to_end/langsmith_alone.yml")
    assert (alone.code, alone.changed) == (0, 0), alone.output[-6000:]

    by_name = bench.play("langsmith.aws.verify")
    assert by_name.code == 0, by_name.output[-6000:]

    # The key's ExternalSecret, and the CronJob with its files.
    scheduled = bench.play("langsmith.aws.verify", "--check", variables={"verify_schedule_minutes": 5})
    assert (scheduled.code, scheduled.changed) == (0, 2), scheduled.output[-6000:]
    assert "What would be sent" in scheduled.output

    # The pods may begin a fifth of the duration apart, and a busy machine does not start both in one second.
    load = {"verify_load_workers": 2, "verify_load": {"rate": 2, "duration": 40, "drain_timeout": 180}}
    loaded = bench.play("playbooks/load.yml", variables=load)
    assert loaded.code == 0, loaded.output[-6000:]
    assert "+ 0 missing, each looked up by its id" in " ".join(loaded.output.split())

    no_duplicates(bench)
    secrets = secret_values(bench)
    found = [
        leak
        for number, output in enumerate(bench.outputs)
        for leak in leaks(secrets, f"the output of run {number}", output)
    ]
    for line in bench.command_lines:
        found += leaks(secrets, "a command line", line.decode(errors="replace"))
    found += leaks(secrets, "the values of the release", helm_values(bench))
    for path in project_files(bench):
        found += leaks(secrets, str(path), path.read_text(encoding="utf-8", errors="replace"))
    assert found == []

    refused = bench.play("playbooks/teardown.yml")
    assert refused.code != 0
    assert "teardown_confirm=sandbox" in refused.output
    gone = bench.play("playbooks/teardown.yml", variables={"teardown_confirm": INSTALLATION})
    assert gone.code == 0, gone.output[-6000:]
    assert left(bench) == []


def the_commands_of_the_probe_decide(bench: Bench) -> None:
    """What a failed probe says to run, beside the chart's own ClickHouse."""
    place, nobody = Place("https://langsmith", "langsmith:443"), "00000000-0000-0000-0000-000000000000"
    assert '"pending"' in bench.ask(commands.queue(place))
    assert "latency_seconds" in bench.ask(commands.worker_times(place))
    answer = bench.ask(commands.stored(place, nobody))
    assert not re.search("Exception|error|curl:", answer), answer
    assert "UNKNOWN_TABLE" in bench.ask(commands.stored(place, nobody).replace(" runs ", " nothing "))


def no_duplicates(bench: Bench) -> None:
    """After three killed runs there is one of each."""
    ec2 = bench.client("ec2")
    ours = [{"Name": "tag:langsmith:installation", "Values": [INSTALLATION]}]
    assert len(ec2.describe_vpcs(Filters=ours)["Vpcs"]) == 1
    assert len(ec2.describe_subnets(Filters=ours)["Subnets"]) == 6
    assert (
        len([one for one in ec2.describe_nat_gateways(Filter=ours)["NatGateways"] if one["State"] == "available"]) == 1
    )
    assert len(ec2.describe_addresses(Filters=ours)["Addresses"]) == 1
    assert len(bench.client("eks").list_clusters()["clusters"]) == 1
    assert len(bench.client("rds").describe_db_instances()["DBInstances"]) == 1
    assert len(bench.client("elasticache").describe_replication_groups()["ReplicationGroups"]) == 1
    assert len(bench.client("acm").list_certificates()["CertificateSummaryList"]) == 1


def helm_values(bench: Bench) -> str:
    """The values that Helm keeps for the release."""
    endpoints = json.loads((bench.state / "endpoints.json").read_text())
    return subprocess.run(
        [
            f"{endpoints['bin']}/helm",
            "get",
            "values",
            "langsmith",
            "--namespace",
            "langsmith",
            "--all",
            "--kubeconfig",
            endpoints["kubernetes"]["admin_kubeconfig"],
        ],
        capture_output=True,
        text=True,
        check=True,
    ).stdout


def project_files(bench: Bench) -> list[Path]:
    """What a run may have written: the project, reports, and the kubeconfig."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    written = [bench.state / "kubeconfig", *(bench.state / "reports").rglob("*")]
    return [path for path in [*(ROOT / name for name in listed), *written] if path.is_file()]
