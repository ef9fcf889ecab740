# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs of a trace as LangSmith's ingestion takes them: ids, order and the multipart encoding."""

from __future__ import annotations

import base64
import hashlib
import json
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

Operation = Literal["post", "patch"]

#: Fields that travel as parts of their own, in the order in which LangSmith's SDK sends them.
SPLIT_FIELDS = ("inputs", "outputs", "events", "extra", "error", "serialized")

#: Bytes of random data in the large input: 64 KiB once encoded, well over the 20 KiB from which payloads go to blob
#: storage (``MIN_BLOB_STORAGE_SIZE_KB`` of LangSmith's chart).
LARGE_INPUT_BYTES = 48 * 1024


@dataclass(frozen=True)
class Attachment:
    """A file of a run. A dot in ``name`` would make the part's name ambiguous and is refused."""

    name: str
    mime_type: str
    content: bytes

    def __post_init__(self) -> None:
        if "." in self.name:
            raise ValueError(f"attachment {self.name!r}: a name holds no dot")


@dataclass(frozen=True)
class Run:
    """One run. Times are UTC; ``end_time`` and ``outputs`` are what its patch brings."""

    id: str
    trace_id: str
    parent_run_id: str | None
    dotted_order: str
    name: str
    start_time: datetime
    end_time: datetime
    inputs: Mapping[str, Any]
    outputs: Mapping[str, Any]
    attachments: tuple[Attachment, ...] = field(default=())


def uuid7(moment: datetime, randomness: bytes) -> str:
    """A version 7 UUID (RFC 9562): the moment's milliseconds, then the last 74 bits of ``randomness`` (10 bytes)."""
    if len(randomness) != 10:
        raise ValueError(f"randomness has {len(randomness)} bytes; 10 are needed")
    milliseconds = int(moment.timestamp() * 1000)
    bits = int.from_bytes(randomness, "big")
    high = milliseconds << 16 | 0x7 << 12 | bits >> 62 & 0xFFF
    low = 0b10 << 62 | bits & (1 << 62) - 1
    return str(uuid.UUID(int=high << 64 | low))


def dotted_order(start_time: datetime, run_id: str, parent: str = "") -> str:
    """The run's place in its trace: the parent's order, then the start in microseconds and the id.

    LangSmith refuses a trace in which a child starts before its parent or the first id is not the trace's.
    """
    segment = f"{start_time.astimezone(UTC):%Y%m%dT%H%M%S%f}Z{run_id}"
    return f"{parent}.{segment}" if parent else segment


def small_trace(moment: datetime, randomness: bytes) -> tuple[Run, Run]:
    """A root and its child with small payloads. ``randomness`` (36 bytes) makes ids and payload unlike any other's."""
    marker = randomness[20:36].hex()
    start = moment.astimezone(UTC)
    root_id = uuid7(start, randomness[:10])
    order = dotted_order(start, root_id)
    root = Run(
        id=root_id,
        trace_id=root_id,
        parent_run_id=None,
        dotted_order=order,
        name="langsmith.aws probe",
        start_time=start,
        end_time=start + timedelta(milliseconds=3),
        inputs={"marker": marker, "text": "Grüße, 世界", "number": 3.5},
        outputs={"marker": marker[::-1]},
    )
    child_start = start + timedelta(milliseconds=1)
    child_id = uuid7(child_start, randomness[10:20])
    child = Run(
        id=child_id,
        trace_id=root_id,
        parent_run_id=root_id,
        dotted_order=dotted_order(child_start, child_id, order),
        name="langsmith.aws probe: step",
        start_time=child_start,
        end_time=start + timedelta(milliseconds=2),
        inputs={"marker": marker, "step": 1},
        outputs={"marker": marker[::-1], "step": 1},
    )
    return root, child


def large_trace(moment: datetime, randomness: bytes) -> Run:
    """One run whose input and attachment go to blob storage. ``randomness``: 10 bytes and ``LARGE_INPUT_BYTES`` more.

    Random bytes in base64 do not shrink below three quarters, so compression cannot keep them out of blob storage.
    """
    start = moment.astimezone(UTC)
    run_id = uuid7(start, randomness[:10])
    content = randomness[10:]
    return Run(
        id=run_id,
        trace_id=run_id,
        parent_run_id=None,
        dotted_order=dotted_order(start, run_id),
        name="langsmith.aws probe: large",
        start_time=start,
        end_time=start + timedelta(milliseconds=1),
        inputs={"content": base64.b64encode(content).decode()},
        outputs={"sha256": hashlib.sha256(content).hexdigest()},
        attachments=(Attachment("probe", "application/octet-stream", content[:1024]),),
    )


def payload_hash(payload: Any) -> str:
    """SHA-256 (hex) of a JSON value whatever the order of its keys."""
    text = json.dumps(payload, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    # What comes back may hold half of a character, as JSON can.
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def run_fields(run: Run, operation: Operation, project_id: str) -> dict[str, Any]:
    """The run as its post (all but the end) or its patch (the end) carries it."""
    fields: dict[str, Any] = {
        "id": run.id,
        "trace_id": run.trace_id,
        "dotted_order": run.dotted_order,
        "session_id": project_id,
        "name": run.name,
        "run_type": "chain",
        "start_time": run.start_time.isoformat(),
        "tags": ["langsmith.aws"],
    }
    if run.parent_run_id is not None:
        fields["parent_run_id"] = run.parent_run_id
    if operation == "post":
        return {**fields, "inputs": dict(run.inputs), "extra": {"metadata": {"probe": "langsmith.aws"}}}
    return {**fields, "end_time": run.end_time.isoformat(), "outputs": dict(run.outputs)}


def encode_multipart(runs: Iterable[Run], operation: Operation, project_id: str, boundary: str) -> tuple[str, bytes]:
    """Content type and body of one ``/runs/multipart`` request; attachments go with the posts."""
    body = bytearray()
    for run in runs:
        fields = run_fields(run, operation, project_id)
        split = {name: fields.pop(name) for name in SPLIT_FIELDS if name in fields}
        _append(body, boundary, f"{operation}.{run.id}", "application/json", _json(fields))
        for name, value in split.items():
            _append(body, boundary, f"{operation}.{run.id}.{name}", "application/json", _json(value))
        for attachment in run.attachments if operation == "post" else ():
            part = f"attachment.{run.id}.{attachment.name}"
            _append(body, boundary, part, attachment.mime_type, attachment.content)
    body += f"--{boundary}--\r\n".encode()
    return f"multipart/form-data; boundary={boundary}", bytes(body)


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()


def _append(body: bytearray, boundary: str, name: str, content_type: str, content: bytes) -> None:
    # Ingestion wants the length of every part, next to its type.
    head = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n'
        f"Content-Type: {content_type}\r\nContent-Length: {len(content)}\r\n\r\n"
    )
    body += head.encode() + content + b"\r\n"
