# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stand-in for LangSmith's reading of ingest bodies: multipart parts and JSON batches become operations."""

from __future__ import annotations

import gzip
import json
import re
import uuid
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from email.message import Message
from email.parser import BytesHeaderParser
from typing import Any

from sandbox.langsmith.web import HttpError

PAYLOAD_FIELDS = ("inputs", "outputs", "events", "extra", "error", "serialized")


@dataclass
class Operation:
    """One create ("post") or update ("patch") of a run; `payloads` are JSON, `attachments` (type, bytes) by name."""

    kind: str
    run_id: str
    fields: dict[str, Any] = field(default_factory=dict)
    payloads: dict[str, bytes] = field(default_factory=dict)
    attachments: dict[str, tuple[str, bytes]] = field(default_factory=dict)


@dataclass
class Batch:
    """What one ingest request carries."""

    operations: list[Operation]
    feedback: list[dict[str, Any]] = field(default_factory=list)


def unprocessable(why: str) -> HttpError:
    """The 422 that the real server gives."""
    return HttpError(422, {"error": f"Unprocessable entity: {why}"})


def decoded(body: bytes, encoding: str) -> bytes:
    """A body without its Content-Encoding; HttpError 415 or 422."""
    try:
        if encoding == "gzip":
            return gzip.decompress(body)
        if encoding == "zstd":
            import zstandard

            # The SDK's frames carry no content size, so only a streaming reader can read them.
            return zstandard.ZstdDecompressor().stream_reader(body, read_across_frames=True).read()
    except (OSError, EOFError, zlib.error) as exc:
        raise unprocessable(f"error reading {encoding} body: {exc}") from exc
    except Exception as exc:
        if type(exc).__name__ == "ZstdError":
            raise unprocessable(f"error reading zstd body: {exc}") from exc
        raise
    if encoding not in {"", "identity"}:
        raise HttpError(415, {"error": f"Unsupported media type: content encoding {encoding}"})
    return body


def parts(body: bytes, content_type: str) -> Iterator[tuple[str, Message, bytes]]:
    """Name, headers and bytes of each part; HttpError 422 when the body ends early."""
    match = re.search(r'boundary="?([^";]+)"?', content_type)
    if match is None:
        raise unprocessable("error reading multipart data: no boundary")
    mark = b"--" + match[1].encode()
    position = body.find(mark)
    parser = BytesHeaderParser()
    while position >= 0:
        position += len(mark)
        if body.startswith(b"--", position):
            return
        head_end = body.find(b"\r\n\r\n", position)
        if head_end < 0:
            break
        headers = parser.parsebytes(body[position + 2 : head_end + 2])
        following, data = _part_body(body, head_end + 4, headers, mark)
        name = headers.get_param("name", "", "content-disposition")
        yield str(name), headers, data
        position = following
    raise unprocessable("error reading multipart data: multipart: NextPart: EOF")


def _part_body(body: bytes, start: int, headers: Message, mark: bytes) -> tuple[int, bytes]:
    announced = headers.get("Content-Length") or headers.get_param("length")
    if announced is None:
        raise unprocessable("error reading multipart data: part without a length")
    end = start + int(str(announced))
    if not body.startswith(b"\r\n" + mark, end):
        raise unprocessable("error reading multipart data: multipart: NextPart: EOF")
    return end + 2, body[start:end]


def read_multipart(body: bytes, content_type: str) -> Batch:
    """The operations and feedback of a /runs/multipart body, posts and patches of a run kept in order."""
    found: dict[tuple[str, str], Operation] = {}
    feedback = []
    for name, headers, data in parts(body, content_type):
        words = name.split(".", 2)
        if len(words) < 2:
            raise unprocessable(f"invalid part name {name!r}")
        event, run_id = words[0], _uuid(words[1], name)
        if event == "feedback":
            feedback.append({**_json_object(data, name), "id": run_id})
        elif event == "attachment" and len(words) == 3:
            _attach(found, run_id, words[2], headers, data)
        elif event in {"post", "patch"}:
            operation = found.setdefault((event, run_id), Operation(event, run_id))
            if len(words) == 2:
                operation.fields |= _json_object(data, name)
            elif words[2] in PAYLOAD_FIELDS:
                operation.payloads[words[2]] = data
            else:
                raise unprocessable(f"invalid part name {name!r}")
        else:
            raise unprocessable(f"invalid part name {name!r}")
    return Batch(list(found.values()), feedback)


def _attach(found: dict[tuple[str, str], Operation], run_id: str, name: str, headers: Message, data: bytes) -> None:
    owner = found.get(("post", run_id)) or found.get(("patch", run_id))
    if owner is None:
        raise unprocessable(f"attachment for unknown run {run_id}")
    owner.attachments[name] = (headers.get_content_type(), data)


def read_batch(document: dict[str, Any]) -> Batch:
    """The operations of a /runs/batch document."""
    operations = []
    for kind in ("post", "patch"):
        for number, run in enumerate(document.get(kind) or []):
            operations.append(operation_of(kind, run, f"{kind}.{number}"))
    return Batch(operations)


def operation_of(kind: str, run: dict[str, Any], where: str) -> Operation:
    """One run of a JSON body as an operation."""
    if not isinstance(run, dict):
        raise unprocessable(f"invalid batch JSON: batch schema error {where}: not an object")
    for name in ("id", "trace_id", "session_id", "parent_run_id"):
        if run.get(name) is not None:
            try:
                uuid.UUID(str(run[name]))
            except ValueError as exc:
                problem = f"invalid batch JSON: batch schema error {where}.{name}: not a UUID"
                raise unprocessable(problem) from exc
    if run.get("id") is None:
        raise unprocessable(f"invalid batch JSON: batch schema error {where}.id: missing")
    payloads = {name: json.dumps(run[name]).encode() for name in PAYLOAD_FIELDS if run.get(name) is not None}
    fields = {name: value for name, value in run.items() if name not in PAYLOAD_FIELDS}
    return Operation(kind, str(uuid.UUID(str(run["id"]))), fields, payloads)


def _uuid(text: str, name: str) -> str:
    try:
        return str(uuid.UUID(text))
    except ValueError as exc:
        raise unprocessable(f"invalid part name {name!r}: not a UUID") from exc


def _json_object(data: bytes, name: str) -> dict[str, Any]:
    try:
        found = json.loads(data)
    except ValueError as exc:
        raise unprocessable(f"part {name}: invalid JSON: {exc}") from exc
    if not isinstance(found, dict):
        raise unprocessable(f"part {name}: a JSON object is wanted")
    return found
