#!/usr/bin/env python
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the trace probe costs beside the time that the server takes.

Run it from the root of the project, with ``PYTHONPATH=.ansible/collections``:
``.venv/bin/python -m tests.benchmarks.probe_overhead``. The baseline, in the same process and taken in turn with it, is
a bare Python that sends the same requests, byte by byte, over one connection. The server answers from memory and
measures how long it takes; what is left of the wall time is the module's own. It fails when that is 0.5 s or more.
"""

from __future__ import annotations

import base64
import json
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.unit.plugins.scripted import Asked, Said, serve
from tests.unit.plugins.scripted_langsmith import KEY, ScriptedLangSmith

RUNS = 9
LIMIT_S = 0.5
MODULE = "ansible_collections.langsmith.aws.plugins.modules.langsmith_trace_probe"
BARE = """
import base64, http.client, json, sys
connection = http.client.HTTPConnection(sys.argv[1])
for method, target, headers, body in json.load(open(sys.argv[2])):
    connection.request(method, target, base64.b64decode(body), headers)
    connection.getresponse().read()
"""


@dataclass
class Server:
    """Answers as a healthy LangSmith, and keeps what it was asked and how long it took, in seconds."""

    script: ScriptedLangSmith
    asked: list[Asked]
    seconds: float = 0.0

    def __call__(self, asked: Asked) -> Said:
        began = time.monotonic()
        self.asked.append(asked)
        try:
            return self.script(asked)
        finally:
            self.seconds += time.monotonic() - began


@dataclass(frozen=True)
class Cost:
    """Seconds of one run: by the wall clock without the server's, and of the processor."""

    own: float
    cpu: float


def run(server: Server, command: list[str]) -> tuple[Cost, str]:
    """One run of a command against the server."""
    server.seconds = 0.0
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.monotonic()
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    wall = time.monotonic() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Cost(wall - server.seconds, cpu), done.stdout


def recorded(asked: list[Asked]) -> list[Any]:
    """The requests as the bare client sends them."""
    return [
        (
            entry.method,
            entry.path
            + ("?" + "&".join(f"{k}={v}" for k, vs in entry.query.items() for v in vs) if entry.query else ""),
            {name: value for name, value in entry.headers.items() if name not in ("host", "content-length")},
            base64.b64encode(entry.body).decode(),
        )
        for entry in asked
    ]


def measure(folder: Path) -> tuple[list[Cost], list[Cost], int]:
    """Costs of the module and of the bare client, in turn, and the number of requests."""
    server = Server(ScriptedLangSmith(), [])
    with serve(server) as running:
        options = {"endpoint": f"http://{running.address}", "api_key": KEY}
        (folder / "arguments.json").write_text(json.dumps({"ANSIBLE_MODULE_ARGS": options}))
        module = [sys.executable, "-m", MODULE, str(folder / "arguments.json")]
        _cost, output = run(server, module)
        assert json.loads(output)["healthy"], output
        (folder / "requests.json").write_text(json.dumps(recorded(server.asked)))
        requests = len(server.asked)
        bare = [sys.executable, "-c", BARE, running.address, str(folder / "requests.json")]
        pairs = [(run(server, module)[0], run(server, bare)[0]) for _attempt in range(RUNS)]
    return [pair[0] for pair in pairs], [pair[1] for pair in pairs], requests


def main() -> int:
    """Print a table in Markdown."""
    with tempfile.TemporaryDirectory() as folder:
        module, bare, requests = measure(Path(folder))
    # The least of several runs: what else runs on the machine only adds.
    own, cpu = min(cost.own for cost in module), min(cost.cpu for cost in module)
    bare_own, bare_cpu = min(cost.own for cost in bare), min(cost.cpu for cost in bare)
    print(f"{requests} requests, the least of {RUNS} runs each\n")
    print("| | wall without the server s | CPU s |\n| --- | ---: | ---: |")
    print(f"| module | {own:.3f} | {cpu:.3f} |\n| bare Python, same requests | {bare_own:.3f} | {bare_cpu:.3f} |")
    print(f"| ratio | {own / bare_own:.1f} | {cpu / bare_cpu:.1f} |")
    return 0 if own < LIMIT_S else 1


if __name__ == "__main__":
    sys.exit(main())
