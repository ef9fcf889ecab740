# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A sandbox of its own, and playbooks run on it as a user would."""

from __future__ import annotations

import fcntl
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3

ROOT = Path(__file__).parents[2]
INSTALLATION = "sandbox"


@dataclass(frozen=True)
class Run:
    """What one run of ansible-playbook left behind."""

    code: int
    output: str
    seconds: float
    stages: Mapping[str, float]

    @property
    def changed(self) -> int:
        """Tasks that changed something; -1 where the run did not reach its recap."""
        found = re.search(r"changed=(\d+)", self.output)
        return int(found[1]) if found else -1


@dataclass
class Bench:
    """A sandbox with an empty account."""

    state: Path
    outputs: list[str] = field(default_factory=list)
    command_lines: set[bytes] = field(default_factory=set)

    @property
    def environment(self) -> dict[str, str]:
        """What the commands of the README run with."""
        kept = {
            key: value for key, value in os.environ.items() if not key.startswith(("AWS_", "LANGSMITH_", "ANSIBLE_"))
        }
        return {
            **kept,
            "LANGSMITH_SANDBOX_STATE": str(self.state),
            "LANGSMITH_STAGE_TIMES": str(self.state / "stages.json"),
            "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        }

    def sandbox(self, *arguments: str) -> str:
        """Run a command of the sandbox and return what it printed."""
        done = subprocess.run(
            [sys.executable, "-m", "sandbox", *arguments],
            cwd=ROOT,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def play(
        self,
        playbook: str,
        *arguments: str,
        kill_at: str | None = None,
        verbose: bool = False,
        variables: Mapping[str, Any] | None = None,
    ) -> Run:
        """Run a playbook; with ``kill_at``, kill it as soon as it prints that, the name of a task when it begins."""
        # Else Ansible prints the name of a task with its first result, when it has ended.
        named = {"ANSIBLE_DISPLAY_SKIPPED_HOSTS": "true"} if kill_at else {}
        command = [
            "ansible-playbook",
            "-i",
            "inventories/sandbox",
            playbook,
            "-e",
            f"langsmith_report_dir={self.state}/reports",
        ]
        began = time.monotonic()
        process = subprocess.Popen(
            [*command, *arguments, *(["-vvv"] if verbose else []), *_given(variables)],
            cwd=ROOT,
            env={**self.environment, **named},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        ended = threading.Event()
        watcher = threading.Thread(target=self._watch_command_lines, args=(ended,), daemon=True)
        watcher.start()
        lines = []
        assert process.stdout is not None
        for line in process.stdout:
            lines.append(line)
            if kill_at is not None and kill_at in line:
                _kill_all(process.pid)
                break
        process.stdout.close()
        code = process.wait()
        ended.set()
        watcher.join()
        output = "".join(lines)
        self.outputs.append(output)
        seconds = time.monotonic() - began
        # Told with a test that fails, and by pytest -s.
        sys.stdout.write(f"{seconds:4.0f} s, exit code {code}: {playbook} {' '.join(arguments)}\n")
        stages = self.state / "stages.json"
        return Run(code, output, seconds, json.loads(stages.read_text()) if stages.exists() else {})

    def _watch_command_lines(self, ended: threading.Event) -> None:
        while not ended.wait(0.2):
            for process in Path("/proc").iterdir():
                if process.name.isdigit():
                    with suppress(OSError):
                        self.command_lines.add((process / "cmdline").read_bytes())

    def ask(self, command: str, **environment: str) -> str:
        """What a command of a remedy prints, run in a shell as somebody who follows the advice would."""
        endpoints = json.loads((self.state / "endpoints.json").read_text())
        environment |= self.environment | {"KUBECONFIG": endpoints["kubernetes"]["admin_kubeconfig"]}
        environment["PATH"] = f"{endpoints['bin']}:{environment['PATH']}"
        # Its ports are fixed, and another sandbox may be asked at the same time.
        with (Path(tempfile.gettempdir()) / "langsmith-aws-ports.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            done = subprocess.run(["bash", "-c", command], env=environment, capture_output=True, text=True, check=False)
        return done.stdout + done.stderr

    def client(self, service: str) -> Any:
        """A client for the account of the sandbox."""
        aws = json.loads((self.state / "endpoints.json").read_text())["aws"]
        os.environ.update(AWS_CONFIG_FILE=aws["config_file"], AWS_SHARED_CREDENTIALS_FILE=aws["credentials_file"])
        session: Any = boto3.Session(profile_name=aws["profile"])
        return session.client(service)


def _kill_all(pid: int) -> None:
    """Kill a process and all that came of it: ansible-core gives each of its workers a session of its own."""
    found = {pid}
    _send(found, signal.SIGSTOP)
    while new := {child for child, parent in _parents().items() if parent in found} - found:
        found |= new
        _send(new, signal.SIGSTOP)
    _send(found, signal.SIGKILL)


def _send(processes: set[int], number: signal.Signals) -> None:
    for one in processes:
        with suppress(ProcessLookupError):
            os.kill(one, number)


def _parents() -> dict[int, int]:
    parents = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(path.parent.name)] = int(path.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
    return parents


def _given(variables: Mapping[str, Any] | None) -> list[str]:
    return ["-e", json.dumps(variables)] if variables else []


def left(bench: Bench) -> list[str]:
    """Everything in the account that an installation makes, listed service by service and not by tag."""
    ec2, iam = bench.client("ec2"), bench.client("iam")
    default = {vpc["VpcId"] for vpc in ec2.describe_vpcs()["Vpcs"] if vpc["IsDefault"]}
    return [
        *(vpc["VpcId"] for vpc in ec2.describe_vpcs()["Vpcs"] if vpc["VpcId"] not in default),
        *(one["SubnetId"] for one in ec2.describe_subnets()["Subnets"] if one["VpcId"] not in default),
        *(one["NatGatewayId"] for one in ec2.describe_nat_gateways()["NatGateways"] if one["State"] != "deleted"),
        *(one["PublicIp"] for one in ec2.describe_addresses()["Addresses"]),
        *(one["VolumeId"] for one in ec2.describe_volumes()["Volumes"]),
        *(
            one["InstanceId"]
            for group in ec2.describe_instances()["Reservations"]
            for one in group["Instances"]
            if one["State"]["Name"] != "terminated"
        ),
        *(one["GroupId"] for one in ec2.describe_security_groups()["SecurityGroups"] if one["VpcId"] not in default),
        *bench.client("eks").list_clusters()["clusters"],
        *(one["DBInstanceIdentifier"] for one in bench.client("rds").describe_db_instances()["DBInstances"]),
        *(one["DBSubnetGroupName"] for one in bench.client("rds").describe_db_subnet_groups()["DBSubnetGroups"]),
        *(
            one["ReplicationGroupId"]
            for one in bench.client("elasticache").describe_replication_groups()["ReplicationGroups"]
        ),
        *(one["Name"] for one in bench.client("s3").list_buckets()["Buckets"]),
        *(
            one["Name"]
            for one in bench.client("secretsmanager").list_secrets()["SecretList"]
            if one["Name"] != "langsmith/license"
        ),
        *(one["CertificateArn"] for one in bench.client("acm").list_certificates()["CertificateSummaryList"]),
        *(one["LoadBalancerArn"] for one in bench.client("elbv2").describe_load_balancers()["LoadBalancers"]),
        *(one["TargetGroupArn"] for one in bench.client("elbv2").describe_target_groups()["TargetGroups"]),
        *(one["Arn"] for one in iam.list_open_id_connect_providers()["OpenIDConnectProviderList"]),
        *(one["RoleName"] for one in iam.list_roles()["Roles"] if one["RoleName"].startswith(INSTALLATION)),
    ]
