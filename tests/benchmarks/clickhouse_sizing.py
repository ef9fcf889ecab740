#!/usr/bin/env python
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Times the check of a real ClickHouse cluster of three against the same SQL run one after another.

Run it from the root of the project: ``.venv/bin/python -m tests.benchmarks.clickhouse_sizing``. The servers together
have 10,000 active parts and a million rows of query_log. The baseline runs every query of the check with
clickhouse-connect, server after server, in the same run; what asking side by side saves is their ratio. Both ask what
is sampled twice, without the pause between the samples. It also tells what the module costs by itself: CPU seconds of
its process, with the interpreter and all imports, which is what it does besides waiting for ClickHouse.
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import clickhouse_connect
from ansible_collections.langsmith.aws.plugins.module_utils.clients.clickhouse import Target, observe
from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.facts import Login
from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.live import QUERIES, judge_live

from sandbox.stores.clickhouse import HTTP_PORT
from tests.integration.clickhouse_servers import PASSWORD, REPOSITORY, USER, Server, Setup, running

#: Of each server.
TABLES, PARTITIONS, INSERTS = 17, 100, 2
ROUNDS = 3
CLUSTER = "replicated"

MODULE = """
import json, sys
from ansible.module_utils.testing import patch_module_args
from ansible_collections.langsmith.aws.plugins.modules import clickhouse_sizing_check
with patch_module_args(json.load(sys.stdin)):
    clickhouse_sizing_check.main()
"""
EMPTY = "import ansible.module_utils.testing"


_LOG = """
INSERT INTO system.query_log
    (type, event_date, event_time, query_start_time, query_duration_ms, query_kind, query, user, read_rows,
    written_rows)
SELECT 'QueryFinish', toDate(at), now() - number % 86400 AS at, at, number % 1500, if(number % 5, 'Select', 'Insert'),
    'SELECT 1 FROM runs', 'langsmith', number, number % 9000
FROM numbers(334000)
"""


def fill(server: Server) -> None:
    """Give a server its parts, which are not merged, and its log."""
    tables = [f"default.runs_{number}" for number in range(TABLES)]
    for table in tables:
        server.sql(f"CREATE TABLE {table} (id UInt64) ENGINE = MergeTree PARTITION BY id % {PARTITIONS} ORDER BY id")
    server.sql("SYSTEM STOP MERGES")
    for table in tables * INSERTS:
        # The names are our own.
        server.sql(f"INSERT INTO {table} SELECT number FROM numbers({PARTITIONS})")  # noqa: S608
    server.sql("SYSTEM FLUSH LOGS")
    server.sql(_LOG, timeout=600)


def holdings(servers: Sequence[Server]) -> str:
    """Active parts and rows of the log, as the servers tell."""
    parts = sum(int(server.sql("SELECT count() FROM system.parts WHERE active")) for server in servers)
    rows = sum(int(server.sql("SELECT count() FROM system.query_log")) for server in servers)
    return f"{parts:,} active parts and {rows:,} rows of query_log"


def check(servers: Sequence[Server]) -> None:
    """What the module does: discover, ask, judge."""
    target = Target((servers[0].url,), Login(USER, PASSWORD), CLUSTER, {"timeout": 60}, sample_seconds=0)
    live = observe(target, QUERIES)
    if len(live.reached) != len(servers):
        raise SystemExit(f"reached {len(live.reached)} of {len(servers)} servers")
    judge_live(live, "production")


def one_after_another(servers: Sequence[Server]) -> None:
    """The same questions with the client library."""
    for server in servers:
        client = clickhouse_connect.get_client(
            host=server.address, port=HTTP_PORT, username=USER, password=PASSWORD, query_limit=0
        )
        for query in QUERIES.values():
            for _sample in range(2 if query.sampled else 1):
                try:
                    client.query(query.sql)
                except clickhouse_connect.driver.exceptions.DatabaseError:
                    # A table that this engine lacks; the check asks for it in vain as well.
                    continue
        client.close()


def seconds(work: Callable[[Sequence[Server]], None], servers: Sequence[Server]) -> float:
    """How long one run takes."""
    began = time.perf_counter()
    work(servers)
    return time.perf_counter() - began


def cpu_seconds(script: str, arguments: dict[str, Any]) -> float:
    """CPU seconds of a fresh interpreter that runs the script."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, "-c", script],
        input=json.dumps(arguments),
        env={**os.environ, "PYTHONPATH": f"{REPOSITORY}:{REPOSITORY / '.ansible/collections'}"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise SystemExit(f"the module failed: {done.stdout[-1000:]}{done.stderr[-1000:]}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def compare(servers: Sequence[Server]) -> str:
    """The table of both, run in turn so that both meet the same machine."""
    taken: dict[str, list[float]] = {"check": [], "baseline": [], "module": [], "interpreter": []}
    way = {"urls": [servers[0].url], "user": USER, "password": PASSWORD, "cluster": CLUSTER}
    arguments = {"environment": "production", "live": way, "timeout": 60, "sample_seconds": 0.001}
    for _round in range(ROUNDS):
        taken["check"].append(seconds(check, servers))
        taken["baseline"].append(seconds(one_after_another, servers))
        taken["module"].append(cpu_seconds(MODULE, arguments))
        taken["interpreter"].append(cpu_seconds(EMPTY, {}))
    ratio = statistics.median(taken["baseline"]) / statistics.median(taken["check"])
    names = {
        "check": f"the check: {len(QUERIES)} queries to each of {len(servers)} servers side by side, and the verdict",
        "baseline": "clickhouse-connect, one query after another",
        "module": "CPU of the whole module",
        "interpreter": "of it Python and Ansible's part",
    }
    rows = [f"| {names[key]} | {statistics.median(times):.2f} | {min(times):.2f} |" for key, times in taken.items()]
    return "\n".join(
        ["| | median s | best s |", "| --- | ---: | ---: |", *rows, "", f"One after another / check: {ratio:.1f}."]
    )


def main() -> int:
    """Start, fill, compare and print."""
    with tempfile.TemporaryDirectory() as folder, running(Path(folder), Setup(nodes=3)) as servers:
        with ThreadPoolExecutor(len(servers)) as pool:
            list(pool.map(fill, servers))
        sys.stdout.write(f"{len(servers)} servers with {holdings(servers)}.\n\n")
        sys.stdout.write(compare(servers) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
