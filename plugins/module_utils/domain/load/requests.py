# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The bodies of a load's requests: templates made once, into which ids, times and payloads are filled."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from ansible_collections.langsmith.aws.plugins.module_utils.domain.load.feed import Sizes
from ansible_collections.langsmith.aws.plugins.module_utils.domain.load.ids import RunIds

BOUNDARY = "langsmith-aws-load"
CONTENT_TYPE = f"multipart/form-data; boundary={BOUNDARY}"
END = f"--{BOUNDARY}--\r\n".encode()

#: Text that payloads are cut from, beyond the length of the largest. Two payloads overlap only over a distance that
#: the compression of ClickHouse and of requests does not look back.
POOL_BYTES = 4 * 1024 * 1024
#: From one payload to the next in the pool; prime and large, so that a load walks through all of it.
STRIDE = 1_000_003

_ID = "00000000-0000-7000-8000-000000000000"
_ISO = "2026-01-01T00:00:00.000000+00:00"
_STAMP = "20260101T000000000000Z"
_RUN_SECONDS = 0.001


@dataclass(frozen=True)
class Moment:
    """Start and end of the runs of one request, in the two spellings that LangSmith wants."""

    start: bytes
    end: bytes
    stamp: bytes


def moment(now: datetime) -> Moment:
    """The times of runs that are sent now."""
    start = now.astimezone(UTC)
    end = start + timedelta(seconds=_RUN_SECONDS)
    return Moment(
        start.isoformat(timespec="microseconds").encode(),
        end.isoformat(timespec="microseconds").encode(),
        f"{start:%Y%m%dT%H%M%S%f}Z".encode(),
    )


def pool_randomness(sizes: Sizes) -> int:
    """Random bytes that ``payload_pool`` needs for these sizes."""
    return (POOL_BYTES + max(sizes.bytes)) * 3 // 4 + 3


def payload_pool(randomness: bytes) -> bytes:
    """Text that does not compress below three quarters and needs no escape in JSON."""
    return base64.b64encode(randomness)


class Requests:
    """Writes requests of complete runs, one ``post`` each with its end and its outputs.

    A trace is a root and its children. ``pool`` is at least as long as the largest payload.
    """

    def __init__(self, runs: RunIds, sizes: Sizes, project_id: str, pool: bytes) -> None:
        self._runs = runs
        self._sizes = sizes
        self._pool = memoryview(pool)
        self._prefix = runs.ids.prefix.encode()
        self._roots = [_template(project_id, size, child=False) for size in sizes.bytes]
        self._children = [_template(project_id, size, child=True) for size in sizes.bytes]

    def parts(self, first: int, count: int, at: Moment) -> list[bytes]:
        """The body, in pieces, of a request with ``count`` traces from position ``first`` on."""
        found: list[bytes] = []
        for position in range(first, first + count):
            self._trace(found, position, at)
        found.append(END)
        return found

    def _trace(self, found: list[bytes], position: int, at: Moment) -> None:
        per_trace = self._runs.runs_per_trace
        number = self._runs.number(position * per_trace)
        size = self._sizes.of(position)
        root = b"%b%010x" % (self._prefix, number)
        order = at.stamp + root
        content = self._content(number, size)
        found.append(self._roots[size] % (root, root, root, order, at.start, at.end, root, content, root, root))
        template = self._children[size]
        for place in range(number + 1, number + per_trace):
            child = b"%b%010x" % (self._prefix, place)
            path = b"%b.%b%b" % (order, at.stamp, child)
            content = self._content(place, size)
            found.append(template % (child, child, root, path, at.start, at.end, root, child, content, child, child))

    def _content(self, number: int, size: int) -> memoryview:
        length = self._sizes.bytes[size]
        begin = number * STRIDE % (len(self._pool) - length + 1)
        return self._pool[begin : begin + length]


def _template(project_id: str, payload_bytes: int, *, child: bool) -> bytes:
    """A run's three parts with ``%b`` where an id, an order, a time or the payload goes."""
    order = f"{_STAMP}{_ID}.{_STAMP}{_ID}" if child else f"{_STAMP}{_ID}"
    slots = {"id": _ID, "trace_id": _ID, "dotted_order": order, "start_time": _ISO, "end_time": _ISO}
    if child:
        slots["parent_run_id"] = _ID
    fixed: dict[str, object] = {
        "session_id": project_id,
        "name": "langsmith.aws load: step" if child else "langsmith.aws load",
        "run_type": "llm" if child else "chain",
        "tags": ["langsmith.aws", "load"],
    }
    main = _object(slots, fixed)
    inputs = '{"content":"%b"}'
    outputs = '{"run":"%b","text":"an answer of the usual length, which is short beside what was asked"}'
    growth = payload_bytes - len("%b")
    return "".join(
        (
            _part("post.%b", main, sum(map(len, slots.values())) - len("%b") * len(slots)),
            _part("post.%b.inputs", inputs, growth),
            _part("post.%b.outputs", outputs, len(_ID) - len("%b")),
        )
    ).encode()


def _object(slots: Iterable[str], fixed: dict[str, object]) -> str:
    filled = ",".join(f'"{name}":"%b"' for name in slots)
    return "{" + filled + "," + json.dumps(fixed, separators=(",", ":"))[1:]


def _part(name: str, body: str, growth: int) -> str:
    """One part; its length is known before it is filled, as all that is filled in has a fixed length."""
    return (
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n'
        f"Content-Type: application/json\r\nContent-Length: {len(body) + growth}\r\n\r\n{body}\r\n"
    )
