# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The commands of the sandbox: start, stop, status, reset, env."""

from __future__ import annotations

import argparse
import concurrent.futures
import dataclasses
import http.client
import importlib.metadata
import shlex
import shutil
import sys
import time
from collections.abc import Callable, Sequence

from sandbox import pki, state, supervisor
from sandbox.controlplane import build, launch
from sandbox.stores import clickhouse

PROFILE = "sandbox"
ACCOUNT_ID = "123456789012"
START_SECONDS = 60
STOP_SECONDS = 15


@dataclasses.dataclass(frozen=True)
class Program:
    """A part that is a Python program of the sandbox; `path` answers 200 when it is ready, if it has one."""

    name: str
    module: str
    port: str | None = None
    path: str | None = None
    distribution: str | None = None


AWS = Program("aws", "sandbox.aws", "aws", "/sandbox/health", "moto")
# What needs the control plane; none of them needs another one to be ready.
CLUSTER_PROGRAMS = (
    Program("pods", "sandbox.pods"),
    Program("controllers", "sandbox.controllers"),
    Program("load-balancer", "sandbox.loadbalancer", "load-balancer-http"),
)
# Other parts' ports; a health check of theirs is that they take connections.
TCP_PARTS = ("etcd", "controller-manager", "scheduler", "kwok")


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; the exit status is 1 when it could not do what it says, or status found a part unhealthy."""
    commands: dict[str, Callable[[], int]] = {
        "build": provide,
        "start": start,
        "stop": stop,
        "status": status,
        "reset": reset,
        "env": env,
    }
    parser = argparse.ArgumentParser(prog="python -m sandbox", description=__doc__)
    subparsers = parser.add_subparsers(dest="command", required=True)
    for name, function in commands.items():
        subparsers.add_parser(name, help=function.__doc__)
    command = parser.parse_args(argv).command
    try:
        return commands[command]()
    except (supervisor.PartFailed, build.BuildFailed, clickhouse.FetchFailed, state.StateError) as error:
        print(f"sandbox {command}: {error}", file=sys.stderr)
        return 1


def start() -> int:
    """Start every part that does not run, and wait until all are ready."""
    began = time.monotonic()
    provide()
    with state.lock(state.root() / "locks" / "start"):
        write_files()
        _start_parts()
    say(f"The sandbox is ready after {time.monotonic() - began:.1f} s; its state is in {state.root()}.")
    return 0


def provide() -> int:
    """Build and fetch what is not in the cache yet; after that, nothing is downloaded when the sandbox runs."""
    with concurrent.futures.ThreadPoolExecutor() as pool:
        built = pool.submit(build.build, say)
        if not clickhouse.library_path().exists():
            say(f"Fetching ClickHouse {clickhouse.ENGINE_VERSION}: about 20 seconds, once.")
            clickhouse.fetch()
        built.result()
    return 0


def _start_parts() -> None:
    with concurrent.futures.ThreadPoolExecutor() as pool:
        aws = pool.submit(start_program, AWS)
        launch.start()
        futures = [aws, *(pool.submit(start_program, program) for program in CLUSTER_PROGRAMS)]
        for future in futures:
            future.result()


def start_program(program: Program) -> None:
    """Start a Python part. Raises PartFailed."""
    supervisor.start(
        program.name,
        [sys.executable, "-m", program.module],
        {"PYTHONUNBUFFERED": "1"},
        port=_port(program),
        version=importlib.metadata.version(program.distribution) if program.distribution else "",
        ready=lambda: healthy(program),
        timeout=START_SECONDS,
    )


def _port(program: Program) -> int | None:
    return state.port(program.port) if program.port else None


def healthy(program: Program) -> bool:
    """Whether a Python part answers; one without a port is healthy when it has written that it is ready."""
    port = _port(program)
    if port is None:
        return (state.root() / "run" / f"{program.name}.ready").exists()
    if program.path is None:
        return launch.listens(port)
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", program.path)
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def stop() -> int:
    """Stop every part, the last started first; state and data stay."""
    # The pods go with their kubelet, which would start them again.
    supervisor.stop("pods", STOP_SECONDS)
    for part in reversed(supervisor.running()):
        supervisor.stop(part.name, STOP_SECONDS)
    shutil.rmtree(state.root() / "run", ignore_errors=True)
    return 0


def reset() -> int:
    """Stop every part and delete the state; what was built stays."""
    stop()
    shutil.rmtree(state.root())
    return 0


def status() -> int:
    """Print the parts that were started, with port, version, memory and health."""
    parts = supervisor.records()
    if not parts:
        print("nothing runs; start it with: python -m sandbox start")
        return 1
    containers = [part for part in parts if part.name.startswith("pod-")]
    rows = [_row(part) for part in parts if part not in containers]
    well = all(row[-1] == "ok" for row in rows)
    if containers:
        alive = [part.pid for part in containers if part.alive]
        memory = sum(supervisor.memory_mib(pid) for pid in alive)
        rows.append((f"containers ({len(alive)})", "-", "-", f"{memory:.0f}", "ok"))
    total = sum(int(row[3]) for row in rows)
    rows = [("PART", "PORT", "VERSION", "MEMORY MIB", "HEALTH"), *rows, ("total", "", "", str(total), "")]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        print("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip())
    return 0 if well else 1


def _row(part: supervisor.Part) -> tuple[str, str, str, str, str]:
    memory = f"{supervisor.memory_mib(part.pid):.0f}" if part.alive else "0"
    return part.name, str(part.port or "-"), part.version or "-", memory, part_health(part)


def part_health(part: supervisor.Part) -> str:
    """`ok`, or what is wrong with a part."""
    if not part.alive:
        return f"ended, see {part.log}"
    programs = {program.name: program for program in (AWS, *CLUSTER_PROGRAMS)}
    if part.name in programs:
        return "ok" if healthy(programs[part.name]) else "not ready"
    if part.name == "apiserver":
        return "ok" if launch.apiserver_ready() else "not ready"
    if part.name in TCP_PARTS and part.port and not launch.listens(part.port):
        return "not listening"
    return "ok"


def env() -> int:
    """Print what a shell needs for the aws, kubectl and helm commands to reach the sandbox: eval "$(... env)"."""
    variables = {**aws_environment(), "KUBECONFIG": str(launch.folder() / "admin.kubeconfig")}
    for name, value in variables.items():
        print(f"export {name}={shlex.quote(value)}")
    print(f"export PATH={shlex.quote(str(build.folder()))}:$PATH")
    return 0


def aws_environment() -> dict[str, str]:
    """The variables that make AWS tools use the sandbox's profile; no key is among them."""
    folder = state.root() / "aws"
    return {
        "AWS_CONFIG_FILE": str(folder / "config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(folder / "credentials"),
        "AWS_PROFILE": PROFILE,
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def write_files() -> None:
    """Write endpoints.json, which tells inventories where everything is; the profile is the AWS part's own."""
    folder, endpoint = state.root() / "aws", f"http://127.0.0.1:{state.port('aws')}"
    ca_file = str(pki.authority().certificate_file)
    charts = sorted((state.REPOSITORY / "sandbox" / "charts").glob("*/Chart.yaml"))
    endpoints = {
        "aws": {
            "endpoint_url": endpoint,
            "config_file": str(folder / "config"),
            "credentials_file": str(folder / "credentials"),
            "profile": PROFILE,
            "region": state.REGION,
            "account_id": ACCOUNT_ID,
        },
        "kubernetes": {
            "server": launch.server(),
            "ca_file": str(launch.folder() / "ca.crt"),
            "admin_kubeconfig": str(launch.folder() / "admin.kubeconfig"),
        },
        "bin": str(build.folder()),
        "ca_file": ca_file,
        "load_balancer": {
            "http_port": state.port("load-balancer-http"),
            "https_port": state.port("load-balancer-https"),
        },
        "charts": {chart.parent.name.replace("-", "_"): str(chart.parent) for chart in charts},
    }
    state.write_json("endpoints.json", endpoints)


def say(text: str) -> None:
    """Tell the person who waits, at once."""
    print(text, flush=True)
