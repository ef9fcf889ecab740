# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stand-in for the way a run takes into LangSmith: checked, payloads to the bucket, the rest to Redis for the worker.

Nothing here touches ClickHouse: 202 means queued.
"""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from typing import Any

from sandbox.langsmith import blobs, order, times
from sandbox.langsmith.access import Caller
from sandbox.langsmith.database import Database
from sandbox.langsmith.environment import Retention
from sandbox.langsmith.multipart import Batch, Operation
from sandbox.langsmith.queues import Queue
from sandbox.langsmith.resp import Redis, Word
from sandbox.langsmith.web import HttpError

CONFLICT = {"error": "Conflict: payload already received: payloads already received"}
DEFAULT_PROJECT = "default"


def state_key(tenant_id: str, run_id: str) -> str:
    """Where Redis keeps what has been received of a run."""
    return f"smith:runs:{{{tenant_id}}}:{run_id}"


@dataclass
class Ingest:
    """The stores that ingest writes to."""

    database: Database
    redis: Redis
    runs: Queue
    feedback: Queue
    bucket: blobs.Bucket | None
    retention: Retention

    def __call__(self, caller: Caller, batch: Batch) -> None:
        """Queue a batch, all or nothing; HttpError 400, 404, 409 or 422 when it may not be queued."""
        tenant = caller.writing().tenant
        received = times.zoned(times.now())
        for operation in batch.operations:
            operation.fields["id"] = operation.run_id
            order.complete(operation.fields)
        fresh = self._fresh(tenant, batch.operations)
        if batch.operations and not fresh and not batch.feedback:
            raise HttpError(409, CONFLICT)
        sessions: dict[str, str] = {}
        for operation, _ in fresh:
            self._place(tenant, operation, sessions)
        states = [(op, self._state(tenant, op, known, received)) for op, known in fresh]
        self._queue_runs(tenant, states)
        for document in batch.feedback:
            self.queue_feedback(tenant, document)

    def queue_feedback(self, tenant: str, document: dict[str, Any]) -> None:
        """Queue one feedback for the worker."""
        message = {"tenant_id": tenant, "feedback": document}
        self.redis.transaction(self.feedback.put_commands(message))

    def _fresh(self, tenant: str, operations: list[Operation]) -> list[tuple[Operation, dict[str, Any]]]:
        """What has not been received before, with what is known of the same kind; a patch with outputs is final."""
        if not operations:
            return []
        answers = self.redis.pipeline(
            [("HGET", state_key(tenant, operation.run_id), operation.kind) for operation in operations]
        )
        found = []
        for operation, answer in zip(operations, answers, strict=True):
            known = json.loads(answer) if answer else {}
            done = (
                operation.kind == "post" or "outputs" in known.get("payloads", {}) or "outputs" in known.get("s3", {})
            )
            if not (known and done):
                found.append((operation, known))
        return found

    def _place(self, tenant: str, operation: Operation, sessions: dict[str, str]) -> None:
        """Give a run its project; one named for the first time is made."""
        fields = operation.fields
        if fields.get("session_id"):
            if operation.kind == "post":
                self._check_session(tenant, str(fields["session_id"]), sessions)
            return
        name = fields.get("session_name")
        if not name and operation.kind == "patch":
            return
        name = str(name or DEFAULT_PROJECT)
        if name not in sessions:
            row = self.database.row(
                "INSERT INTO tracer_session (id, tenant_id, name, trace_tier) VALUES (%(id)s, %(tenant)s, %(name)s,"
                " %(tier)s) ON CONFLICT (tenant_id, name) DO UPDATE SET name = excluded.name RETURNING id",
                {"id": uuid.uuid4(), "tenant": tenant, "name": name, "tier": self.retention.tier},
            )
            sessions[name] = str(row["id"]) if row else ""
        fields["session_id"] = sessions[name]

    def _check_session(self, tenant: str, session_id: str, sessions: dict[str, str]) -> None:
        if session_id in sessions.values():
            return
        row = self.database.row(
            "SELECT id FROM tracer_session WHERE id = %(id)s AND tenant_id = %(tenant)s",
            {"id": session_id, "tenant": tenant},
        )
        if row is None:
            raise HttpError(404, {"error": f"Not found: session {session_id}"})
        sessions[f"id:{session_id}"] = session_id

    def _state(self, tenant: str, operation: Operation, known: dict[str, Any], received: str) -> dict[str, Any]:
        """What the worker is to know of an operation: fields, small payloads as they came, keys of the large ones."""
        payloads: dict[str, str] = dict(known.get("payloads", {}))
        pointers: dict[str, dict[str, str]] = dict(known.get("s3", {}))
        for name, data in operation.payloads.items():
            if self.bucket is not None and len(data) >= blobs.threshold_bytes():
                pointers[name] = self._store(tenant, operation, name, "application/json", data)
                payloads.pop(name, None)
            else:
                payloads[name] = data.decode()
                pointers.pop(name, None)
        for name, (content_type, data) in operation.attachments.items():
            if self.bucket is not None:
                pointers[f"attachment.{name}"] = self._store(
                    tenant, operation, f"attachment.{name}", content_type, data
                )
        fields = {k: v for k, v in operation.fields.items() if v is not None}
        received = known.get("received", received)
        return {
            "fields": {**known.get("fields", {}), **fields},
            "payloads": payloads,
            "s3": pointers,
            "received": received,
        }

    def _store(self, tenant: str, operation: Operation, name: str, content_type: str, data: bytes) -> dict[str, str]:
        assert self.bucket is not None  # noqa: S101  (callers check; this tells mypy)
        # An update may carry a payload again, and objects are never written twice under one name.
        key = f"{self.retention.prefix}{tenant}/runs/{operation.run_id}/{operation.kind}/{name}/{uuid.uuid4()}"
        self.bucket.put(key, data, content_type)
        return {"key": key, "mime_type": content_type}

    def _queue_runs(self, tenant: str, states: list[tuple[Operation, dict[str, Any]]]) -> None:
        if not states:
            return
        commands: list[tuple[Word, ...]] = []
        expiry = self.runs.expiry_seconds
        for operation, state in states:
            key = state_key(tenant, operation.run_id)
            commands += [("HSET", key, operation.kind, json.dumps(state)), ("EXPIRE", key, expiry)]
            trace_id = state["fields"].get("trace_id") or operation.run_id
            commands.append(("SET", trace_key(tenant, trace_id), state["received"], "NX", "EX", expiry))
        run_ids = sorted({operation.run_id for operation, _ in states})
        self.redis.transaction([*commands, *self.runs.put_commands({"tenant_id": tenant, "run_ids": run_ids})])


def trace_key(tenant_id: str, trace_id: str) -> str:
    """Where Redis keeps when the first run of a trace was received."""
    return f"smith:traces:{{{tenant_id}}}:{trace_id}:received"
