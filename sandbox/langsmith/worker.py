# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stand-in for ingest-queue, the worker that carries runs and feedback from Redis to ClickHouse and Postgres (1989)."""

from __future__ import annotations

import json
import threading
import time
from datetime import datetime
from typing import Any

import psycopg

from sandbox.langsmith import environment, log, queues, rows, startup, times, web
from sandbox.langsmith.clickhouse import ClickHouse
from sandbox.langsmith.database import Database
from sandbox.langsmith.ingest import state_key, trace_key
from sandbox.langsmith.queues import Queue, Task
from sandbox.langsmith.resp import Redis, RedisError
from sandbox.langsmith.web import Response

PORT = 1989
PORT_VARIABLE = "QUEUE_PORT"
AT_ONCE = 50
WAIT_SECONDS = 1.0
FORWARD_SECONDS = 0.5
# Upper bounds in seconds of the latency histograms.
BUCKETS = (0.1, 0.5, 1, 5, 10, 30, 60, 300, float("inf"))


class Histogram:
    """Counts of seconds, as Prometheus wants them."""

    def __init__(self, name: str) -> None:
        self.name, self.total, self.counts = name, 0.0, dict.fromkeys(BUCKETS, 0)

    def add(self, seconds: float) -> None:
        """Count one measurement."""
        self.total += seconds
        for bound in BUCKETS:
            self.counts[bound] += seconds <= bound

    def lines(self) -> list[str]:
        """The exposition text."""
        label = 'store="clickhouse"'
        shown = [
            f'{self.name}_bucket{{{label},le="{"+Inf" if bound == float("inf") else bound}"}} {count}'
            for bound, count in self.counts.items()
        ]
        count = self.counts[float("inf")]
        head = f"# TYPE {self.name} histogram"
        return [head, *shown, f"{self.name}_sum{{{label}}} {self.total}", f"{self.name}_count{{{label}}} {count}"]


class Worker:
    """Drains both queues until told to stop."""

    def __init__(self, redis: Redis, database: Database, clickhouse: ClickHouse) -> None:
        expiry = environment.runs_expiry_seconds()
        self.redis, self.database, self.clickhouse = redis, database, clickhouse
        self.runs = Queue(redis, queues.INGESTION, expiry)
        self.feedback = Queue(redis, queues.FEEDBACK, expiry)
        self.retention = environment.retention()
        self.stopping = threading.Event()
        self.waited = Histogram("langsmith_ingestion_api_to_worker_latency_seconds")
        self.stored = Histogram("langsmith_ingestion_worker_to_store_latency_seconds")
        self.whole = Histogram("langsmith_ingestion_e2e_latency_seconds")

    def start(self) -> list[threading.Thread]:
        """A thread for each queue, and one that moves what is due again."""
        loops = [
            threading.Thread(target=self._drain, args=(self.runs, self.store_runs)),
            threading.Thread(target=self._drain, args=(self.feedback, self.store_feedback)),
            threading.Thread(target=self._forward),
        ]
        for loop in loops:
            loop.start()
        return loops

    def _drain(self, queue: Queue, store: Any) -> None:
        while not self.stopping.is_set():
            try:
                tasks = queue.take(AT_ONCE, WAIT_SECONDS)
                if tasks:
                    self._finish(queue, tasks, store)
            except RedisError as exc:
                log.error("queue is not reachable", queue=queue.name, error=str(exc))
                self.stopping.wait(WAIT_SECONDS)

    def _finish(self, queue: Queue, tasks: list[Task], store: Any) -> None:
        try:
            store(tasks)
        except RedisError:
            # The lease ends and another worker takes the tasks up.
            raise
        except Exception as exc:
            log.error(
                "task failed, will be tried again",
                queue=queue.name,
                tasks=len(tasks),
                attempt=max(task.attempt for task in tasks) + 1,
                error=str(exc),
            )
            queue.failed(tasks)
        else:
            queue.done(tasks)

    def _forward(self) -> None:
        while not self.stopping.wait(FORWARD_SECONDS):
            try:
                self.runs.forward()
                self.feedback.forward()
            except RedisError as exc:
                log.warning("cannot look for due tasks", error=str(exc))

    def store_runs(self, tasks: list[Task]) -> None:
        """Write the newest state of every run that the tasks name, as one insert."""
        named = dict.fromkeys((task.message["tenant_id"], run) for task in tasks for run in task.message["run_ids"])
        began, version = times.now(), time.time_ns()
        answers = self.redis.pipeline([("HMGET", state_key(t, run), "post", "patch") for t, run in named])
        written, received = [], []
        for (tenant, run_id), answer in zip(named, answers, strict=True):
            states = [json.loads(found) for found in answer if found is not None]
            if not states:
                log.warning("run expired before it was stored", run_id=run_id)
                continue
            if answer[0] is None:
                states = self._earlier(tenant, run_id) + states
            row = self._row(tenant, run_id, rows.merged(states), version)
            if row is not None:
                written.append(row)
                received.append(times.parse(states[-1]["received"]))
        if written:
            self.clickhouse.insert("runs", written)
        self._measure(received, began, times.now())

    def _earlier(self, tenant: str, run_id: str) -> list[dict[str, Any]]:
        found = self.clickhouse.rows(
            "SELECT * FROM runs FINAL WHERE tenant_id = {tenant:UUID} AND id = {id:UUID}",
            {"tenant": tenant, "id": run_id},
        )
        return [rows.state_of(row) for row in found]

    def _row(self, tenant: str, run_id: str, state: dict[str, Any], version: int) -> dict[str, Any] | None:
        trace_id = state["fields"].get("trace_id") or run_id
        first = self.redis("GET", trace_key(tenant, trace_id))
        received = first.decode() if first else state["received"]
        try:
            return rows.row(tenant, state, received, version, self.retention)
        except (KeyError, ValueError) as exc:
            log.error("run is dropped: it lacks or garbles a field", run_id=run_id, error=repr(exc))
            return None

    def _measure(self, received: list[datetime], began: datetime, ended: datetime) -> None:
        for instant in received:
            self.waited.add((began - instant).total_seconds())
            self.stored.add((ended - began).total_seconds())
            self.whole.add((ended - instant).total_seconds())

    def store_feedback(self, tasks: list[Task]) -> None:
        """Write feedback to Postgres, where it is read, and to ClickHouse, where statistics are made."""
        copies = []
        for task in tasks:
            copy = self._to_postgres(task.message["tenant_id"], task.message["feedback"])
            if copy is not None:
                copies.append(copy)
        if copies:
            self.clickhouse.insert("feedbacks", copies)

    def _to_postgres(self, tenant: str, document: dict[str, Any]) -> dict[str, Any] | None:
        texts = {
            name: None if document.get(name) is None else json.dumps(document[name])
            for name in ("value", "correction", "feedback_source", "extra")
        }
        names = ("session_id", "run_id", "trace_id", "comment", "error")
        parameters = {
            "id": document["id"],
            "tenant": tenant,
            "key": document.get("key"),
            "score": _number(document.get("score")),
            **{name: document.get(name) for name in names},
            **texts,
        }
        try:
            self.database.rows(
                "INSERT INTO feedback (id, tenant_id, session_id, run_id, trace_id, key, score, value, comment,"
                " correction, feedback_source, extra, error) VALUES (%(id)s, %(tenant)s, %(session_id)s, %(run_id)s,"
                " %(trace_id)s, %(key)s, %(score)s, %(value)s, %(comment)s, %(correction)s, %(feedback_source)s,"
                " %(extra)s, %(error)s) ON CONFLICT (id) DO UPDATE SET score = excluded.score, value = excluded.value,"
                " comment = excluded.comment, correction = excluded.correction, modified_at = now()",
                parameters,
            )
        except (psycopg.DataError, psycopg.IntegrityError) as exc:
            log.error("feedback is dropped", feedback_id=document["id"], error=str(exc).splitlines()[0])
            return None
        now = times.zoned(times.now())
        shown = {name: parameters[name] for name in ("id", "session_id", "run_id", "trace_id", "key", "score")}
        written = {name: texts[name] or "" for name in ("value", "correction", "feedback_source")}
        comment = document.get("comment") or ""
        return {
            **shown, **written, "comment": comment, "tenant_id": tenant, "created_at": now, "modified_at": now
        }  # fmt: skip


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None


def main() -> int:
    """Work until told to stop, then finish what is in hand."""
    environment.secrets()
    redis, database, clickhouse = startup.redis(), startup.postgres(), startup.clickhouse()
    worker = Worker(redis, database, clickhouse)
    router = web.Router()
    router.add("GET", "/health", lambda _: Response({"status": "ok"}))
    histograms = (worker.waited, worker.stored, worker.whole)
    router.add("GET", "/metrics", lambda _: web.text("\n".join(x for h in histograms for x in h.lines()) + "\n"))
    server = web.Server(environment.address(PORT_VARIABLE, PORT), router)
    loops = worker.start()

    def stop() -> None:
        worker.stopping.set()
        for loop in loops:
            loop.join()

    return web.run([server], stop)
