# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A mistake of the operator is one error that names the variable and the remedy, before anything is written."""

from __future__ import annotations

import json

import pytest

from tests.end_to_end.bench import Bench

pytestmark = pytest.mark.sandbox


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("langsmith_region", "", ["langsmith_region"]),
        ("network_vpc_cidr", "10.0.0.0/33", ["network_vpc_cidr", "10.0.0.0/33"]),
        ("network_vpc_cdir", "10.0.0.0/16", ["network_vpc_cdir", "did you mean network_vpc_cidr?"]),
        ("langsmith_hosted_zone", "nowhere.example", ["langsmith_hosted_zone", "nowhere.example"]),
    ],
)
def test_a_bad_value_is_named_with_its_remedy_before_anything_is_written(
    bench: Bench, variable: str, value: str, said: list[str]
) -> None:
    before = len(bench.client("ec2").describe_vpcs()["Vpcs"])
    run = bench.play("playbooks/site.yml", variables={variable: value})
    assert run.code != 0
    assert run.changed == 0, run.output
    assert run.output.count("[ERROR]") == 1, run.output
    assert all(text in run.output for text in said), run.output
    assert len(bench.client("ec2").describe_vpcs()["Vpcs"]) == before


def test_an_unreachable_account_is_one_error(bench: Bench) -> None:
    environment = {"langsmith_task_environment": {"AWS_ENDPOINT_URL": "http://127.0.0.1:9", "AWS_PROFILE": "sandbox"}}
    config = json.loads((bench.state / "endpoints.json").read_text())["aws"]
    environment["langsmith_task_environment"] |= {
        "AWS_CONFIG_FILE": config["config_file"],
        "AWS_SHARED_CREDENTIALS_FILE": config["credentials_file"],
    }
    run = bench.play("playbooks/site.yml", variables=environment)
    assert run.code != 0
    assert run.changed == 0, run.output
    assert run.output.count("[ERROR]") == 1, run.output
    assert "127.0.0.1:9" in run.output


def test_a_wrong_key_is_one_error_that_names_the_credentials(bench: Bench) -> None:
    config = json.loads((bench.state / "endpoints.json").read_text())["aws"]
    wrong = bench.state / "wrong-credentials"
    wrong.write_text("[sandbox]\naws_access_key_id = AKIAIOSFODNN7EXAMPLE\naws_secret_access_key = wrong\n")
    environment = {
        "AWS_CONFIG_FILE": config["config_file"],
        "AWS_SHARED_CREDENTIALS_FILE": str(wrong),
        "AWS_PROFILE": "sandbox",
        "PATH": bench.environment["PATH"],
    }
    run = bench.play("playbooks/site.yml", variables={"langsmith_task_environment": environment})
    assert run.code != 0
    assert run.changed == 0, run.output
    assert run.output.count("[ERROR]") == 1, run.output
    assert "credentials" in run.output
    assert "aws_secret_access_key" not in run.output
