#!/usr/bin/env python
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compares the load of ``langsmith_trace_probe`` as a sender with the unmodified LangSmith SDK.

Run it from the root of the project: ``.venv/bin/python -m tests.benchmarks.load``. It starts the stand-in of LangSmith
on real stores, and lets both send the same complete runs (five to a trace, 2 KiB of inputs that do not compress) to
it, one after the other, each in a process of its own, plain and compressed. It prints a table in Markdown and fails
when a run is missing in ClickHouse, or the load is not twice as thrifty as the SDK, or its memory grows.

What an application does to make a run is not counted for the SDK: ids, times and payloads are made beforehand, while
its clock stands still. For the load all is counted, also watching when traces become visible.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import json
import os
import resource
import secrets
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sandbox.langsmith.clickhouse import ClickHouse, Credentials
from sandbox.stores import clickhouse, postgres, redis
from tests.sandbox.langsmith import conftest, installation
from tests.sandbox.langsmith.installation import ADMIN_EMAIL, ADMIN_PASSWORD, Installation

RUNS_PER_TRACE = 5
PAYLOAD_BYTES = 2048
SENDERS = 4
SMALL, LARGE = 10_000, 100_000
#: The SDK drops what its queue of 10,000 does not hold, so it is flushed before that.
CHUNK = 5_000
TWICE = 2.0
#: MiB that the memory may grow from the small load to the large one and still count as flat.
FLAT_MIB = 5.0
#: Seconds that the stand-in may take to store what it accepted.
STORED_SECONDS = 1200.0


@dataclass(frozen=True)
class StandIn:
    """The stand-in: where it is, how to call it and where its rows are."""

    installation: Installation
    key: str
    rows: ClickHouse

    @property
    def url(self) -> str:
        """The frontend's URL."""
        return f"http://127.0.0.1:{self.installation.ports['frontend']}"


@contextlib.contextmanager
def stand_in(folder: Path) -> Iterator[StandIn]:
    """A running installation without blob storage, as no payload is large enough for it."""
    os.environ["LANGSMITH_SANDBOX_STATE"] = str(folder)
    # The machine's own authorities have not signed the store's certificates.
    os.environ.pop("SSL_CERT_FILE", None)
    clickhouse.fetch()
    found: Installation | None = None
    try:
        found, rows = _stores(folder)
        yield StandIn(found, _started(found), rows)
    finally:
        if found is not None:
            found.stop_all()
        for part in reversed(conftest.supervisor.running()):
            conftest.supervisor.stop(part.name)


def _stores(folder: Path) -> tuple[Installation, ClickHouse]:
    """ClickHouse, Postgres and Redis, and an installation on them that does not run yet."""
    host = f"127.{150 + secrets.randbelow(100)}.{secrets.randbelow(256)}.{1 + secrets.randbelow(254)}"
    conftest.start_clickhouse(folder, host)
    store = (host, clickhouse.HTTP_PORT, "default", conftest.CLICKHOUSE_PASSWORD)
    password, token = conftest.DATABASE_PASSWORD, conftest.REDIS_TOKEN
    postgres.configure("bench", "16", "langsmith", password, "langsmith")
    redis.configure("bench", [token], tls=True)
    database = f"langsmith:{quote(password, safe='')}@127.0.0.1:{postgres.start('bench')}/langsmith?sslmode=require"
    queue = f"rediss://127.0.0.1:{redis.start('bench')}/0?password={quote(token, safe='')}"
    environment = installation.environment(database, queue, store, "http://127.0.0.1:1")
    found = Installation(folder, {**environment, "FF_BLOB_STORAGE_ENABLED": "false"})
    return found, ClickHouse(Credentials(*store, "default", False))


def _started(found: Installation) -> str:
    """Migrate, start the services of the write path and of reading, and make a key."""
    found.write_nginx()
    for words in ("./ch_migration_entrypoint.sh", "./pg_migration_entrypoint.sh", "./auth_bootstrap_entrypoint.sh"):
        done = found.job(words)
        if done.returncode:
            raise RuntimeError(done.stdout)
    for name in ("platform-backend", "backend", "ingest-queue", "frontend"):
        found.start(name)
    _code, login, _headers = found.api("POST", "/api/v1/login", {"email": ADMIN_EMAIL, "password": ADMIN_PASSWORD})
    bearer = {"Authorization": f"Bearer {login['access_token']}"}
    _code, workspaces, _headers = found.api("GET", "/api/v1/workspaces", **bearer)
    _code, made, _headers = found.api("POST", "/api/v1/api-key", {}, **bearer, X_Tenant_Id=workspaces[0]["id"])
    return str(made["key"])


# The senders, each in a process of its own


@dataclass
class Meter:
    """Wall and CPU seconds of this process while it runs."""

    wall: float = 0.0
    cpu: float = 0.0

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Count what happens in the block, in every thread."""
        wall, cpu = time.perf_counter(), time.process_time()
        yield
        self.wall += time.perf_counter() - wall
        self.cpu += time.process_time() - cpu


def peak_mib() -> float:
    """The most memory that this process has had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def send_by_load(url: str, key: str, runs: int, compression: str) -> dict[str, Any]:
    """Send by the collection's client, look every run up, and tell what it took."""
    from ansible_collections.langsmith.aws.plugins.module_utils.clients.load import Load
    from ansible_collections.langsmith.aws.plugins.module_utils.domain.langsmith import parse_endpoint
    from ansible_collections.langsmith.aws.plugins.module_utils.domain.load.ids import new_ids
    from ansible_collections.langsmith.aws.plugins.module_utils.domain.load.options import Payload, Settings, Target

    target = Target(parse_endpoint(url), {"x-api-key": key}, {"timeout": 60.0, "connect_timeout": 10.0})
    load = Settings(
        new_ids(int(time.time() * 1000), os.urandom(5)),
        concurrency=SENDERS,
        duration=600.0,
        traces_max=runs // RUNS_PER_TRACE,
        runs_per_trace=RUNS_PER_TRACE,
        payload=(Payload(PAYLOAD_BYTES / 1024),),
        compression=compression,
        drain_timeout=600.0,
        keep=True,
    )
    sending, all_of_it = Meter(), Meter()
    before = peak_mib()
    with Load(target, load) as running:
        with all_of_it.running():
            with sending.running():
                running.send()
            sent_mib = peak_mib()
            running.settle()
        found = running.measured()
    return {
        "project": running.project_id,
        "accepted": found.accepted,
        "wall": sending.wall,
        "cpu": sending.cpu,
        "cpu_senders": found.cpu,
        "cpu_whole": all_of_it.cpu,
        "mib_before": before,
        "mib_sending": sent_mib,
        "mib": peak_mib(),
        "visible": found.visible,
        "lost": found.lost,
        "body_mib": found.body_bytes / 2**20,
    }


def send_by_sdk(url: str, key: str, runs: int, compression: str) -> dict[str, Any]:
    """Send by the unmodified SDK and tell what it took."""
    if compression == "none":
        os.environ["LANGSMITH_DISABLE_RUN_COMPRESSION"] = "true"
    from langsmith import Client

    failures: list[Exception] = []
    client = Client(api_url=f"{url}/api/v1", api_key=key, tracing_error_callback=failures.append)
    project = str(client.create_project(f"sdk-{uuid.uuid4()}").id)
    pool = base64.b64encode(os.urandom(3 * 2**20)).decode()
    _hand_over(client, _complete_runs(project, pool, 0, RUNS_PER_TRACE * 20))
    client.flush()
    meter, before = Meter(), peak_mib()
    for first in range(0, runs, CHUNK):
        made = _complete_runs(project, pool, first, min(CHUNK, runs - first))
        with meter.running():
            _hand_over(client, made)
            client.flush()
    compressed = client.compressed_traces is not None
    client.cleanup()
    return {
        "project": project,
        "accepted": runs if not failures and compressed == (compression == "zstd") else 0,
        "wall": meter.wall,
        "cpu": meter.cpu,
        "mib_before": before,
        "mib": peak_mib(),
        "failures": [str(failure)[:200] for failure in failures[:3]],
    }


def _complete_runs(project: str, pool: str, first: int, count: int) -> list[dict[str, Any]]:
    """What an application would hand to the SDK: runs that have ended."""
    start = datetime.now(UTC)
    end = start + timedelta(milliseconds=1)
    stamp = f"{start:%Y%m%dT%H%M%S%f}Z"
    found = []
    for place in range(count):
        run_id = uuid.uuid4()
        if place % RUNS_PER_TRACE == 0:
            root, path = run_id, f"{stamp}{run_id}"
        begin = (first + place) * 1_000_003 % (len(pool) - PAYLOAD_BYTES)
        child = run_id != root
        found.append(
            {
                "id": run_id,
                "trace_id": root,
                "dotted_order": f"{path}.{stamp}{run_id}" if child else path,
                "parent_run_id": root if child else None,
                "name": "sdk: step" if child else "sdk",
                "run_type": "llm" if child else "chain",
                "inputs": {"content": pool[begin : begin + PAYLOAD_BYTES]},
                "outputs": {"run": str(run_id), "text": "an answer of the usual length, which is short beside what"},
                "start_time": start,
                "end_time": end,
                "tags": ["langsmith.aws", "load"],
                "session_id": project,
            }
        )
    return found


def _hand_over(client: Any, runs: list[dict[str, Any]]) -> None:
    for run in runs:
        client.create_run(**run)


# The comparison


def measure(place: StandIn, sender: str, runs: int, compression: str) -> dict[str, Any]:
    """One sender in a process of its own; RuntimeError when not every run is in ClickHouse at the end."""
    argv = [sys.executable, "-m", "tests.benchmarks.load", sender, "--runs", str(runs), "--compression", compression]
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    paths = os.pathsep.join((str(installation.REPOSITORY), str(installation.REPOSITORY / ".ansible/collections")))
    environment = {**kept, "PYTHONPATH": paths, "BENCH_URL": place.url, "BENCH_KEY": place.key}
    with tempfile.TemporaryDirectory() as home:
        environment |= {"HOME": home, "LANGSMITH_CONFIG_FILE": f"{home}/none.json", "LANGSMITH_TRACING": "true"}
        done = subprocess.run(
            argv, env=environment, cwd=installation.REPOSITORY, capture_output=True, text=True, check=False
        )
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    extra = RUNS_PER_TRACE * 20 if sender == "sdk" else 0
    count = "SELECT uniqExact(id) AS n FROM runs WHERE session_id = {session:UUID}"
    if found["accepted"] != runs:
        raise RuntimeError(f"{sender} sent {found['accepted']} of {runs} runs: {found}")
    stored, deadline = -1, time.monotonic() + STORED_SECONDS
    while stored < runs + extra and time.monotonic() < deadline:
        # Seldom, as counting takes from ClickHouse what storing needs.
        time.sleep(1)
        stored = int(place.rows.rows(count, {"session": found["project"]})[0]["n"])
    if stored != runs + extra:
        raise RuntimeError(f"{sender}: {stored} runs are stored, {runs + extra} were sent")
    sys.stderr.write(f"{sender} {compression} {runs}: {json.dumps(found)}\n")
    return found


def row(name: str, runs: int, found: list[dict[str, Any]]) -> str:
    """One line of the table, by the middle of the repeats."""
    cpu = statistics.median(one["cpu"] for one in found)
    wall = statistics.median(one["wall"] for one in found)
    memory = statistics.median(one["mib"] for one in found)
    before = statistics.median(one["mib_before"] for one in found)
    return (
        f"| {name} | {runs} | {runs / wall:.0f} | {cpu / runs * 1e6:.0f} | {runs / cpu:.0f} "
        f"| {before:.0f} | {memory:.0f} |"
    )


def compare(place: StandIn, small: int, large: int, repeats: int, ways: list[str]) -> tuple[list[str], bool]:
    """The table's lines, and whether the targets are met."""
    lines = [
        "| sender | runs | runs/s accepted | CPU us/run | runs per CPU second | MiB before | peak MiB |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    notes, met = [], True
    for compression in ways:
        found: dict[str, list[dict[str, Any]]] = {"load": [], "sdk": []}
        for _repeat in range(repeats):
            for sender, results in found.items():
                results.append(measure(place, sender, small, compression))
        much = {sender: measure(place, sender, large, compression) for sender in found}
        for sender in found:
            lines.append(row(f"{sender}, {compression}", small, found[sender]))
            lines.append(row(f"{sender}, {compression}", large, [much[sender]]))
        ratio = much["sdk"]["cpu"] / much["load"]["cpu"]
        whole = much["sdk"]["cpu"] / much["load"]["cpu_whole"]
        growth = much["load"]["mib"] - statistics.median(one["mib"] for one in found["load"])
        notes.append(
            f"{compression}: {ratio:.1f} times the SDK's runs per CPU second while sending, {whole:.1f} times with"
            f" looking every run up; memory from {small} to {large} runs: {growth:+.1f} MiB."
        )
        met = met and ratio >= TWICE and growth <= FLAT_MIB
    return [*lines, "", *notes], met


def main() -> int:
    """Send when told which sender to be, else compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sender", nargs="?", choices=["load", "sdk"])
    parser.add_argument("--runs", type=int, default=LARGE)
    parser.add_argument("--small", type=int, default=SMALL)
    parser.add_argument("--compression", choices=["none", "zstd"], help="only this one")
    parser.add_argument("--repeats", type=int, default=3, help="of the small load; the middle one counts")
    options = parser.parse_args()
    if options.sender:
        send = send_by_load if options.sender == "load" else send_by_sdk
        found = send(os.environ["BENCH_URL"], os.environ["BENCH_KEY"], options.runs, options.compression or "none")
        sys.stdout.write(json.dumps(found) + "\n")
        return 0
    with tempfile.TemporaryDirectory() as folder, stand_in(Path(folder)) as place:
        ways = [options.compression] if options.compression else ["none", "zstd"]
        lines, met = compare(place, options.small, options.runs, options.repeats, ways)
    sys.stdout.write("\n".join(lines) + "\n")
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
