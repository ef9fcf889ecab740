# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Loads against the running services: every figure is held against what ClickHouse holds."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.langsmith.aws.plugins.module_utils.clients import load_settling
from ansible_collections.langsmith.aws.plugins.module_utils.clients.load import Load, run_load
from ansible_collections.langsmith.aws.plugins.module_utils.domain.errors import ProjectError, RefusedError
from ansible_collections.langsmith.aws.plugins.module_utils.domain.langsmith import parse_endpoint
from ansible_collections.langsmith.aws.plugins.module_utils.domain.load import capacity as judging
from ansible_collections.langsmith.aws.plugins.module_utils.domain.load import feed
from ansible_collections.langsmith.aws.plugins.module_utils.domain.load.capacity import capacity
from ansible_collections.langsmith.aws.plugins.module_utils.domain.load.ids import Ids, new_ids
from ansible_collections.langsmith.aws.plugins.module_utils.domain.load.measured import Measured
from ansible_collections.langsmith.aws.plugins.module_utils.domain.load.options import Payload, Settings, Target
from ansible_collections.langsmith.aws.plugins.module_utils.shell import load as shell
from ansible_collections.langsmith.aws.plugins.modules import langsmith_trace_probe

from sandbox.langsmith.clickhouse import ClickHouse, Credentials
from sandbox.langsmith.ingest import state_key
from sandbox.langsmith.queues import INGESTION, Queue
from sandbox.langsmith.resp import Redis
from tests.sandbox.langsmith.installation import Installation, until

Outage = Callable[[], contextlib.AbstractContextManager[None]]


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """However late a busy machine lets a load leave and settle, all of it is wanted."""
    monkeypatch.setattr(feed, "GRACE_SECONDS", 600.0)
    monkeypatch.setattr(load_settling, "HURRY_SECONDS", 600.0)
    monkeypatch.setattr(judging, "LATE_MOST", 600.0)


@pytest.fixture
def target(langsmith: Installation, api_key: str) -> Target:
    return Target(
        parse_endpoint(f"http://127.0.0.1:{langsmith.ports['frontend']}"),
        {"x-api-key": api_key},
        {"timeout": 60.0, "connect_timeout": 60.0},
        f"http://127.0.0.1:{langsmith.ports['platform-backend']}/metrics?format=json",
    )


@pytest.fixture
def store(clickhouse_server: tuple[str, int, str, str]) -> ClickHouse:
    host, port, user, password = clickhouse_server
    return ClickHouse(Credentials(host, port, user, password, "default", False))


@pytest.fixture
def queue(langsmith: Installation, monkeypatch: pytest.MonkeyPatch) -> Queue:
    # The machine's own authorities have not signed this Redis.
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    return Queue(Redis(langsmith.environment["REDIS_DATABASE_URI"]), INGESTION, 21600)


def settings(**options: Any) -> Settings:
    ids = new_ids(int(time.time() * 1000), os.urandom(5))
    return Settings(**{"ids": ids, "drain_timeout": 300.0, "keep": True, **options})


def ids_of(ids: Ids, count: int) -> set[str]:
    return {ids.id(number) for number in range(count)}


def stored_ids(store: ClickHouse, found: Measured) -> set[str]:
    project = found.projects[0]["id"]
    rows = store.rows("SELECT id FROM runs FINAL WHERE session_id = {session:UUID}", {"session": project})
    return {row["id"] for row in rows}


def roots(store: ClickHouse) -> int:
    """How many traces are stored, of all tests."""
    return int(store.rows("SELECT count() AS n FROM runs WHERE is_root")[0]["n"])


@contextlib.contextmanager
def in_background(target: Target, load: Settings) -> Iterator[list[Measured]]:
    """The load while the block runs; the list holds what it measured once the block has been left."""
    found: list[Measured] = []
    thread = threading.Thread(target=lambda: found.append(run_load(target, load)))
    thread.start()
    try:
        yield found
    finally:
        thread.join()


def test_every_run_of_a_load_is_stored_and_accounted_for_by_its_id(target: Target, store: ClickHouse) -> None:
    load = settings(rate=40.0, duration=2.0, ramp=1.0, payload=(Payload(1.0, 3.0), Payload(40.0)), runs_per_trace=3)
    found = run_load(target, load)
    assert (found.traces, found.sent, found.accepted, found.visible, found.lost) == (60, 180, 180, 180, 0)
    assert stored_ids(store, found) == ids_of(load.ids, 180)
    assert found.complete
    assert found.drain is not None
    rows = store.rows(
        "SELECT count() AS runs, countIf(status = 'success') AS ended, uniq(trace_id) AS traces, countIf(is_root) AS"
        " roots, countIf(inputs_s3_urls != '') AS large FROM runs FINAL WHERE session_id = {session:UUID}",
        {"session": found.projects[0]["id"]},
    )
    assert rows[0] == {"runs": 180, "ended": 180, "traces": 60, "roots": 60, "large": rows[0]["large"]}
    assert 30 <= rows[0]["large"] <= 60
    assert all(found.latencies[name].percentile(95) for name in ("accepted", "visible", "stored"))


def test_a_closed_loop_ends_at_its_bound_compresses_and_removes_its_project(
    target: Target, langsmith: Installation
) -> None:
    load = settings(concurrency=3, duration=600.0, traces_max=77, compression="zstd", keep=False)
    found = run_load(target, load)
    assert (found.traces, found.sent, found.visible) == (77, 385, 385)
    assert found.body_bytes < 385 * 2048 * 1.1
    assert found.projects[0]["kept"] is False
    name = found.projects[0]["name"]
    _, projects, _ = langsmith.api(
        "GET", f"/api/v1/sessions?name={name}", **{"x-api-key": target.authorization["x-api-key"]}
    )
    assert projects == []


@contextlib.contextmanager
def killed_workers(langsmith: Installation) -> Iterator[None]:
    """The installation after its worker was killed, until another one is started."""
    worker = langsmith.processes.pop("ingest-queue")
    worker.kill()
    worker.wait()
    try:
        yield
    finally:
        langsmith.start("ingest-queue")


def _expire_some(queue: Queue) -> int:
    """Let Redis forget, as it does after their time, a few runs that wait and one whole task; how many runs that is."""
    redis = queue.redis
    waiting = [word.decode() for word in redis("LRANGE", queue.key("pending"), 0, -1)]
    messages = [json.loads(redis("HGET", queue._task(task), "msg")) for task in waiting]
    first, *rest = messages
    gone = 0
    for message in rest:
        for run in message["run_ids"][:2]:
            gone += redis("PEXPIRE", state_key(message["tenant_id"], run), 0)
    redis("PEXPIRE", queue._task(waiting[0]), 0)
    return gone + len(first["run_ids"])


def test_what_is_lost_when_the_workers_die_and_runs_expire_is_counted_exactly(
    target: Target, langsmith: Installation, store: ClickHouse, queue: Queue
) -> None:
    load, before = settings(rate=30.0, duration=16.0), roots(store)
    with in_background(target, load) as result:
        until(lambda: roots(store) > before + 20, "some are stored")
        with killed_workers(langsmith):
            until(lambda: queue.depth()["pending"] >= 8, "the backlog grows")
            gone = _expire_some(queue)
            # What the dead worker held is taken up by others when its lease ends: now, rather than in half a minute.
            for task in queue.redis("ZRANGE", queue.key("lease"), 0, -1):
                queue.redis("ZADD", queue.key("lease"), 0, task)
    found = result[0]
    stored = stored_ids(store, found)
    assert found.accepted == found.sent == 2400
    assert found.lost == gone > 0
    assert found.visible == len(stored)
    assert found.accepted == found.visible + found.lost
    missing = sorted(ids_of(load.ids, found.sent) - stored)
    assert len(missing) == found.lost
    assert found.lost_ids == missing[: len(found.lost_ids)]
    assert found.certain


def test_a_backlog_is_seen_to_grow_and_to_drain(target: Target, langsmith: Installation) -> None:
    load = settings(rate=30.0, duration=3.0, runs_per_trace=1)
    with contextlib.ExitStack() as outage, Load(target, load) as running:
        outage.enter_context(langsmith.without("ingest-queue"))
        running.send()
        ended = time.monotonic()
        until(lambda: any((one.pending or 0) > 10 for one in running.measured().backlog), "the backlog is sampled")
        away = time.monotonic() - ended
        outage.close()
        running.settle()
        found = running.measured()
    assert (found.accepted, found.visible, found.lost) == (90, 90, 0)
    pending = [sample.pending or 0 for sample in found.backlog]
    assert max(pending) > 10
    assert pending[-1] == 0
    assert found.drain is not None
    assert found.drain > away


def test_a_run_that_two_tables_hold_is_told_as_a_duplicate(target: Target, store: ClickHouse) -> None:
    load = settings(rate=20.0, duration=1.0, runs_per_trace=2)
    with Load(target, load) as running:
        running.send()
        project: dict[str, object] = {"session": running.project_id}
        count = "SELECT count() AS n FROM runs FINAL WHERE session_id = {session:UUID}"
        until(lambda: store.rows(count, project)[0]["n"] == 40, "all are stored")
        # As after a change of shards: one table over two that hold some of the same rows.
        store.command("CREATE TABLE runs_second AS runs")
        store.command("INSERT INTO runs_second SELECT * FROM runs WHERE session_id = {session:UUID} LIMIT 7", project)
        store.command("RENAME TABLE runs TO runs_first")
        try:
            store.command("CREATE TABLE runs AS runs_first ENGINE = Merge(default, '^runs_(first|second)$')")
            running.settle()
        finally:
            store.command("DROP TABLE IF EXISTS runs")
            store.command("RENAME TABLE runs_first TO runs")
        found = running.measured()
        twice = store.rows("SELECT id FROM runs_second")
        store.command("DROP TABLE runs_second")
    assert found.duplicates == len(twice) == 7
    assert set(found.duplicate_ids) == {row["id"] for row in twice}
    assert (found.visible, found.lost) == (40, 0)


def test_refused_runs_are_counted_by_status_and_what_was_accepted_is_still_exact(
    target: Target, langsmith: Installation, store: ClickHouse, without_redis: Outage
) -> None:
    def refusals() -> int:
        return langsmith.log("platform-backend").read_text().count("POST /runs/multipart failed")

    load, before = settings(rate=25.0, duration=16.0, runs_per_trace=1), roots(store)
    with in_background(target, load) as result:
        until(lambda: roots(store) > before + 20, "some are stored")
        told = refusals()
        with without_redis():
            until(lambda: refusals() > told, "a write is refused")
    found = result[0]
    refused = sum(found.refused.values()) + sum(found.unanswered.values())
    assert set(found.refused) == {"500"}
    assert found.sent == 400 == found.accepted + refused
    stored = stored_ids(store, found)
    assert len(stored) == found.visible + found.stored_unaccepted
    assert found.lost == found.accepted - found.visible


def test_a_signal_ends_the_sending_and_the_rest_is_done(target: Target, store: ClickHouse) -> None:
    load, before = settings(rate=50.0, duration=60.0, runs_per_trace=1), roots(store)

    def interrupt() -> None:
        until(lambda: roots(store) > before + 20, "some are stored")
        os.kill(os.getpid(), signal.SIGINT)

    with Load(target, load) as running:
        other = threading.Thread(target=interrupt)
        other.start()
        running.send()
        other.join()
        running.settle()
        found = running.measured()
    found = running.close_books(found)
    assert found.interrupted == "interrupted while sending"
    assert 20 < found.sent < 3000
    refused = sum(found.refused.values()) + sum(found.unanswered.values())
    # What is on its way when the signal comes need not be taken.
    assert found.sent == found.accepted + refused, found
    assert found.visible == found.accepted > 20
    assert len(stored_ids(store, found)) == found.visible + found.stored_unaccepted


def test_an_endpoint_outside_the_inventory_and_a_wrong_key_get_no_load(target: Target, langsmith: Installation) -> None:
    options = {"inventory": ["https://elsewhere.example.org"], "rate": 10.0}
    params = {"endpoint": target.endpoint.url, "load": options, "timeout": 20.0, "connect_timeout": 5.0}
    with pytest.raises(RefusedError, match=r"may not be loaded: load\.inventory lists https://elsewhere"):
        shell.run({**params, "connect_to": None, "ca_file": None}, target.authorization, run_load)
    stranger = Target(target.endpoint, {"x-api-key": "lsv2_pt_wrong"}, target.connection)
    with pytest.raises(ProjectError, match=r"no load was sent, as no project can be made: .*401"):
        run_load(stranger, settings(rate=10.0))


def test_the_module_tells_what_it_would_send_and_then_sends_it(
    target: Target, store: ClickHouse, capfd: pytest.CaptureFixture[str]
) -> None:
    key = target.authorization["x-api-key"]
    load = {"inventory": [target.endpoint.url], "rate": 20.0, "duration": 1.0, "payload": [{"kib": 1}]}
    options = {"endpoint": target.endpoint.url, "api_key": key, "keep": True, "load": load}
    found = []
    for check_mode in (True, False):
        with patch_module_args({**options, "_ansible_check_mode": check_mode}), pytest.raises(SystemExit):
            langsmith_trace_probe.main()
        text = capfd.readouterr().out
        assert key not in text
        found.append(json.loads(text))
    planned, sent = found
    assert list(planned["load"]) == ["plan"]
    assert planned["load"]["plan"]["runs"] == sent["load"]["sent"] == sent["load"]["visible"] == 100
    # Whether the sender was on time is a matter of what else this machine does.
    assert {one["status"] for one in sent["load"]["findings"] if one["id"] != "load.sender"} == {"pass"}
    project = {"session": sent["load"]["projects"][0]["id"]}
    assert store.rows("SELECT count() AS n FROM runs FINAL WHERE session_id = {session:UUID}", project)[0]["n"] == 100


@contextlib.contextmanager
def slow_inserts(store: ClickHouse, seconds_per_row: float) -> Iterator[None]:
    """A ClickHouse that takes so long for every row that comes into the table of runs."""
    store.command("CREATE TABLE nothing (id UUID, s UInt8) ENGINE = Null")
    store.command(
        f"CREATE MATERIALIZED VIEW slow TO nothing AS SELECT id, sleepEachRow({seconds_per_row}) AS s FROM runs"  # noqa: S608
        " SETTINGS function_sleep_max_microseconds_per_block = 0"
    )
    try:
        yield
    finally:
        store.command("DROP VIEW slow")
        store.command("DROP TABLE nothing")


def test_the_capacity_of_a_slow_installation_is_found(target: Target, store: ClickHouse) -> None:
    said: list[str] = []
    search = {"find_capacity": True, "steps_max": 5, "visible_p95": 5.0, "traces_max": 1000}
    # 0.04 s for each row let 25 traces/s through. What comes faster piles up, and twice that shows within the 3 s.
    with slow_inserts(store, 0.04):
        # Where the machine is held up, a rate does not hold that would: then the search comes out too low.
        for _attempt in range(4):
            load = settings(rate=5.0, duration=3.0, runs_per_trace=1, **search)
            found = run_load(target, load, say=said.append)
            best = capacity(found.steps)
            if best is not None and best >= 5:
                break
    assert best is not None, said
    assert 5 <= best < 80, said
    assert not all(step.holds for step in found.steps), said
    assert len(said) >= len(found.steps)
    assert found.accepted == found.visible == len(stored_ids(store, found))
