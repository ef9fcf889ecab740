# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import botocore
import pytest
import requests
from botocore.exceptions import ClientError

from tests.sandbox.aws.kubernetes_stand_in import ApiServer

REPOSITORY = Path(__file__).parents[3]
ISSUER = "https://oidc.eks.us-east-1.amazonaws.com/id/0123456789ABCDEF0123456789ABCDEF"


def until(condition: Callable[[], Any], seconds: float = 120) -> Any:
    """What `condition` returns once it is true."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, "the condition did not come true"
        time.sleep(0.05)
    return value


def code_of(call: Callable[..., Any], **kwargs: Any) -> str:
    """The error code that a call is refused with."""
    with pytest.raises(ClientError) as refusal:
        call(**kwargs)
    return str(refusal.value.response["Error"]["Code"])


@dataclasses.dataclass
class Account:
    """A running AWS part with a state folder of its own, and the cluster stand-in that it talks to."""

    state: Path
    kubernetes: ApiServer
    process: subprocess.Popen[bytes] | None = None
    url: str = ""
    clients: dict[str, Any] = dataclasses.field(default_factory=dict)

    def start(self) -> None:
        environment = {**os.environ, "LANGSMITH_SANDBOX_STATE": str(self.state)}
        with (self.state / "aws.log").open("ab") as log:
            argv = [sys.executable, "-m", "sandbox.aws"]
            self.process = subprocess.Popen(argv, cwd=REPOSITORY, env=environment, stdout=log, stderr=log)
        self.url = until(self._answering)

    def _answering(self) -> str:
        assert self.process is not None
        assert self.process.poll() is None, (self.state / "aws.log").read_text()
        try:
            port = json.loads((self.state / "ports.json").read_text())["aws"]
            url = f"http://127.0.0.1:{port}"
            requests.get(f"{url}/sandbox/health", timeout=5)
        except (OSError, KeyError):
            return ""
        return url

    def stop(self) -> None:
        assert self.process is not None
        self.process.terminate()
        self.process.wait(60)

    def session(self) -> Any:
        words = (self.state / "aws" / "credentials").read_text().split()
        values = dict(zip(words[1::3], words[3::3], strict=False))
        return boto3.Session(values["aws_access_key_id"], values["aws_secret_access_key"], region_name="us-east-1")

    def client(self, service: str, session: Any = None, **config: Any) -> Any:
        if session is None:
            if service not in self.clients:
                self.clients[service] = self.session().client(service, endpoint_url=self.url)
            return self.clients[service]
        return session.client(service, endpoint_url=self.url, config=botocore.config.Config(**config))

    def post(self, path: str, value: Any) -> Any:
        answer = requests.post(self.url + path, json=value, timeout=60)
        answer.raise_for_status()
        return answer.json()

    def role(self, service: str = "", document: dict[str, Any] | None = None) -> str:
        trust = document or {
            "Version": "2012-10-17",
            "Statement": [{"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}],
        }
        name = f"role-{uuid.uuid4().hex[:8]}"
        made = self.client("iam").create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust))
        return str(made["Role"]["Arn"])

    def network(self) -> tuple[str, list[str]]:
        """A VPC and a subnet in each of two zones."""
        ec2 = self.client("ec2")
        vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        blocks = [("10.0.1.0/24", "us-east-1a"), ("10.0.2.0/24", "us-east-1b")]
        made = [ec2.create_subnet(VpcId=vpc, CidrBlock=cidr, AvailabilityZone=zone) for cidr, zone in blocks]
        return vpc, [subnet["Subnet"]["SubnetId"] for subnet in made]
