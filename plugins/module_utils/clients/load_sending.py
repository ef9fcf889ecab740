# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sends a load's traces: one stretch at one rate, its connections side by side, each answer booked once."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime

from ansible_collections.langsmith.aws.plugins.module_utils.clients.http_client import HttpClient, HttpError
from ansible_collections.langsmith.aws.plugins.module_utils.clients.load_books import Books
from ansible_collections.langsmith.aws.plugins.module_utils.clients.load_reading import Watched, Watcher
from ansible_collections.langsmith.aws.plugins.module_utils.domain.errors import ProjectError
from ansible_collections.langsmith.aws.plugins.module_utils.domain.load.feed import Batch, Feed
from ansible_collections.langsmith.aws.plugins.module_utils.domain.load.measured import Measured, latencies
from ansible_collections.langsmith.aws.plugins.module_utils.domain.load.requests import CONTENT_TYPE, Requests, moment

Compress = Callable[[bytes], bytes]


class Phase:
    """One stretch of sending at one rate. ``begin`` is monotonic; one of ``one_in`` traces is watched at least.

    ``resolution`` is the watcher's.
    """

    def __init__(self, source: Feed, rate: float | None, one_in: int) -> None:
        self.feed = source
        self.rate = rate
        self.seconds = source.seconds
        self.one_in = one_in
        self.begin = time.monotonic()
        self.ended = 0.0
        self.latencies = latencies()
        self.refused: Counter[str] = Counter()
        self.unanswered: Counter[str] = Counter()
        self.traces = self.taken_back = self.accepted_traces = self.requests = self.body_bytes = 0
        self.last_accepted = -1
        self.cpu = self.resolution = 0.0

    @property
    def unsent(self) -> int:
        """Traces that should have been sent and were not."""
        return self.feed.unsent + self.taken_back

    def count_unsent(self) -> None:
        """Count what was not sent as later than everything, so that no percentile leaves it out."""
        for name in ("accepted", "visible", "late", "last_quarter"):
            self.latencies[name].missing += self.unsent

    def quarter(self, due: float) -> str:
        """The histogram of the quarter in which a trace was due, if it is the first or the last."""
        if due < self.seconds / 4:
            return "first_quarter"
        return "last_quarter" if due >= self.seconds * 3 / 4 else ""

    def measured(self, began: float, runs_per_trace: int) -> Measured:
        """What this stretch alone came to; ``began`` is when the load did, in seconds since the epoch."""
        return Measured(
            began=began,
            offered_rate=self.rate,
            runs_per_trace=runs_per_trace,
            duration=self.seconds,
            traces=self.traces,
            unsent_traces=self.unsent,
            accepted=self.accepted_traces * runs_per_trace,
            refused=dict(self.refused),
            unanswered=dict(self.unanswered),
            sending=self.ended - self.begin,
            cpu=self.cpu,
            one_in=self.one_in,
            resolution=self.resolution,
            latencies=self.latencies,
        )


class Sender:
    """Sends on behalf of all connections: ``send`` is what the thread of each of them runs.

    ``api`` is the URL below which LangSmith's API lies. ``compress`` is ``None`` for bodies sent as they are.
    """

    def __init__(
        self,
        api: str,
        headers: dict[str, str],
        requests: Requests,
        runs_per_trace: int,
        books: Books,
        watcher: Watcher,
        compress: Compress | None,
    ) -> None:
        self._url = f"{api}/runs/multipart"
        self._headers = headers
        self._requests = requests
        self._runs_per_trace = runs_per_trace
        self._books = books
        self._watcher = watcher
        self._compress = compress

    def send(self, phase: Phase, client: HttpClient, after: float) -> None:
        """One connection: request after request until the phase is over."""
        batch = None
        try:
            self._books.stop.wait(after)
            while not self._books.stop.is_set():
                with self._books.lock:
                    batch = phase.feed.next(time.monotonic() - phase.begin)
                    phase.traces += batch.count if batch else 0
                if batch is None:
                    break
                pause = phase.begin + batch.send_at - time.monotonic()
                if pause > 0 and self._books.stop.wait(pause):
                    self._take_back(phase, batch)
                    break
                self._request(phase, client, batch)
                batch = None
        except Exception as error:
            # Whatever it is, the load ends in order: what was sent is accounted for and removed.
            self._books.fail("a sender", error)
            if batch is not None:
                runs = self._runs_per_trace
                with self._books.lock:
                    self._books.ledger.answer(batch.first * runs, batch.count * runs, None, "sender failed")
        finally:
            with self._books.lock:
                phase.cpu += time.thread_time()

    def _take_back(self, phase: Phase, batch: Batch) -> None:
        """Told to stop before it was due, a batch stays unsent."""
        with self._books.lock:
            phase.traces -= batch.count
            phase.taken_back += batch.count

    def _request(self, phase: Phase, client: HttpClient, batch: Batch) -> None:
        parts = self._requests.parts(batch.first, batch.count, moment(datetime.now(UTC)))
        body, headers = self._encode(b"".join(parts))
        sent = time.monotonic()
        status, reason = None, ""
        try:
            answer = client.request("POST", self._url, headers=headers, body=body)
            status = answer.status
            if not 200 <= status < 300:
                self._books.problem(f"status {status}: {answer.head(160)}")
        except HttpError as error:
            reason = f"{error.phase} timeout" if error.timed_out else error.phase
            self._books.problem(error.reason)
        answered = time.monotonic()
        with self._books.lock:
            phase.requests += 1
            phase.body_bytes += len(body)
            self._book(phase, batch, status, reason, sent, answered)

    def _encode(self, body: bytes) -> tuple[bytes, dict[str, str]]:
        headers = {**self._headers, "Accept": "application/json", "Content-Type": CONTENT_TYPE}
        if self._compress is None:
            return body, headers
        return self._compress(body), {**headers, "Content-Encoding": "zstd"}

    def _book(self, phase: Phase, batch: Batch, status: int | None, reason: str, sent: float, answered: float) -> None:
        runs = self._runs_per_trace
        count = batch.count * runs
        self._books.ledger.answer(batch.first * runs, count, status, reason)
        accepted = status is not None and 200 <= status < 300
        if status is None:
            phase.unanswered[reason] += count
        elif not accepted:
            phase.refused[str(status)] += count
        for position in range(batch.first, batch.first + batch.count):
            due = phase.feed.due(position, sent - phase.begin)
            phase.latencies["late"].add(sent - phase.begin - due)
            if accepted:
                phase.latencies["accepted"].add(answered - phase.begin - due)
                if self._watcher.wants(position * runs):
                    self._watcher.watch(Watched(position * runs, phase.begin + due, phase.quarter(due)))
        if accepted:
            phase.accepted_traces += batch.count
            phase.last_accepted = max(phase.last_accepted, batch.first + batch.count - 1)


def compressor(name: str) -> Compress | None:
    """Compresses one request at the quickest level. Raises ProjectError where this Python has no zstd."""
    if name == "none":
        return None
    try:
        import zstandard
    except ImportError as error:
        raise ProjectError(
            "compression zstd needs the Python package zstandard where the load runs; install it there, or send with"
            " compression none"
        ) from error
    local = threading.local()

    def compress(body: bytes) -> bytes:
        if not hasattr(local, "compressor"):
            local.compressor = zstandard.ZstdCompressor(level=1)
        return bytes(local.compressor.compress(body))

    return compress
