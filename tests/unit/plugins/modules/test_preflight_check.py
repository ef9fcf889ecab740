# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module against moto's account over real HTTP, and against no account at all."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.langsmith.aws.plugins.modules import preflight_check
from moto.server import ThreadedMotoServer

LICENSE = "lsv2-license-of-the-operator-0123456789"
Run = Callable[..., dict[str, Any]]

GOOD = {
    "langsmith_region": ("us-east-1", "region"),
    "network_availability_zones": (["us-east-1a", "us-east-1b"], "zones"),
    "eks_node_instance_types": (["m6i.4xlarge"], "instance_types"),
    "eks_node_count": (3, "node_count"),
    "langsmith_hostname": ("langsmith.example.org", "hostname"),
    "langsmith_hosted_zone": ("example.org", "hosted_zone"),
    "langsmith_license_secret": ({"name": "langsmith/license", "key": "license_key"}, "license_secret"),
}


@dataclass(frozen=True)
class Account:
    """An account of moto's of its own, since what other tests leave in theirs would count here."""

    url: str
    id: str
    keys: dict[str, str]

    def options(self, **more: Any) -> dict[str, Any]:
        """The options that lead to it."""
        return {"region": "us-east-1", "endpoint_url": self.url, "quotas": False, **self.keys, **more}


@pytest.fixture(scope="module")
def account() -> Iterator[Account]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    where: dict[str, Any] = {"region_name": "us-east-1", "endpoint_url": f"http://{host}:{port}"}
    account_id = f"{uuid.uuid4().int % 10**12:012}"
    first = boto3.client("sts", **where, aws_access_key_id="AKIATESTING", aws_secret_access_key="testing-secret")
    role = {"RoleArn": f"arn:aws:iam::{account_id}:role/tests", "RoleSessionName": "tests"}
    given = first.assume_role(**role)["Credentials"]
    found = Account(
        where["endpoint_url"],
        account_id,
        {
            "access_key": given["AccessKeyId"],
            "secret_key": given["SecretAccessKey"],
            "session_token": given["SessionToken"],
        },
    )
    connection: dict[str, Any] = {
        **where,
        "aws_access_key_id": given["AccessKeyId"],
        "aws_secret_access_key": given["SecretAccessKey"],
        "aws_session_token": given["SessionToken"],
    }
    boto3.client("route53", **connection).create_hosted_zone(Name="example.org", CallerReference="one")
    secret = json.dumps({"license_key": LICENSE})
    boto3.client("secretsmanager", **connection).create_secret(Name="langsmith/license", SecretString=secret)
    yield found
    server.stop()


@pytest.fixture(autouse=True)
def helm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    program = tmp_path / "bin" / "helm"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\necho v4.2.4+g92fda2a\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in ("AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name, raising=False)
    return program


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str]) -> Run:
    def module(**options: Any) -> dict[str, Any]:
        arguments = {"environment": "production", "tools": [{"name": "helm", "minimum_version": "3.12.0"}], **options}
        with patch_module_args(arguments), pytest.raises(SystemExit):
            preflight_check.main()
        result: dict[str, Any] = json.loads(capfd.readouterr().out)
        return result

    return module


def inputs(**changed: Any) -> list[dict[str, Any]]:
    return [
        {"variable": variable, "value": changed.get(variable, value), "rule": rule}
        for variable, (value, rule) in GOOD.items()
    ]


def failing(result: dict[str, Any]) -> dict[str, str]:
    return {finding["subject"]: finding["remedy"] for finding in result["findings"] if finding["status"] == "fail"}


def test_a_good_account_and_good_inputs_are_ready(run: Run, account: Account) -> None:
    result = run(**account.options(), inputs=inputs())
    assert result["ready"] is True, result["findings"]
    assert result["changed"] is False
    assert result["counts"] == {"pass": len(GOOD) + 3, "warn": 0, "unknown": 0, "fail": 0}
    assert result["account_id"] == account.id
    assert LICENSE not in json.dumps(result)


def test_all_problems_are_told_at_once_each_with_its_variable(run: Run, account: Account) -> None:
    wrong = {
        "network_availability_zones": ["us-east-1a", "eu-west-1b"],
        "eks_node_instance_types": ["m6i.enormous"],
        "langsmith_hostname": "https://langsmith.example.org",
        "langsmith_hosted_zone": "example.net",
        "langsmith_license_secret": "langsmith/nowhere",
    }
    result = run(**account.options(), inputs=inputs(**wrong))
    assert result["ready"] is False
    assert set(failing(result)) == set(wrong)
    assert all(variable in remedy for variable, remedy in failing(result).items())


def test_no_region_is_a_finding_and_what_needs_one_is_unknown(run: Run, account: Account) -> None:
    result = run(**{**account.options(), "region": ""}, inputs=inputs(langsmith_region=""))
    assert set(failing(result)) == {"langsmith_region"}
    assert result["region"] is None
    assert result["counts"]["unknown"] == 5
    assert result["account_id"] == account.id


@pytest.mark.parametrize(("region", "told"), [("us-esat-1", "no region us-esat-1"), ("ap-east-1", "not-opted-in")])
def test_a_region_that_cannot_be_used_is_told_once(run: Run, account: Account, region: str, told: str) -> None:
    result = run(**{**account.options(), "region": region}, inputs=inputs(langsmith_region=region))
    assert set(failing(result)) == {"langsmith_region"}
    assert told in next(f["observed"] for f in result["findings"] if f["id"] == "preflight.region")


def test_no_credentials_are_one_failure_and_no_traceback(run: Run, account: Account) -> None:
    result = run(region="us-east-1", endpoint_url=account.url, inputs=inputs())
    assert set(failing(result)) == {"AWS credentials"}
    assert result["account_id"] is None


def test_a_profile_that_does_not_exist_is_a_finding(run: Run, account: Account) -> None:
    result = run(region="us-east-1", profile="nobody", endpoint_url=account.url, inputs=inputs())
    assert set(failing(result)) == {"AWS credentials"}
    assert "nobody" in next(f["observed"] for f in result["findings"] if f["id"] == "preflight.credentials")


def test_an_endpoint_where_nothing_listens_is_a_finding(run: Run, account: Account, closed_port: int) -> None:
    result = run(**account.options(endpoint_url=f"http://127.0.0.1:{closed_port}", timeout=60), inputs=inputs())
    assert set(failing(result)) == {"AWS credentials"}
    assert result["ready"] is False


def test_an_old_or_absent_tool_is_told(run: Run, account: Account, helm: Path) -> None:
    tools = [{"name": "helm", "minimum_version": "9.0.0"}, {"name": "aws"}, {"name": "kubectl", "required": False}]
    result = run(**account.options(), tools=tools)
    told = {f["subject"]: (f["status"], f["observed"]) for f in result["findings"] if f["id"] == "preflight.tools"}
    assert told == {
        "helm": ("fail", f"4.2.4 ({helm})"),
        "aws": ("fail", "not on PATH"),
        "kubectl": ("warn", "not on PATH"),
    }


def test_a_quota_that_cannot_be_read_is_unknown_and_stops_nothing(run: Run, account: Account) -> None:
    result = run(**account.options(quotas=True), inputs=inputs())
    told = {f["subject"]: f["status"] for f in result["findings"] if f["id"] == "preflight.quotas"}
    assert told == {
        "quota ec2/L-1216C47A": "unknown",
        "quota vpc/L-F678F1CE": "pass",
        "quota ec2/L-0263D0A3": "unknown",
    }
    assert result["ready"] is True


def test_a_rule_that_is_unknown_is_an_error_of_the_options(run: Run, account: Account) -> None:
    result = run(**account.options(), inputs=[{"variable": "v", "value": "x", "rule": "cidr"}])
    assert "v: rule 'cidr' is none of present, region" in result["msg"]
