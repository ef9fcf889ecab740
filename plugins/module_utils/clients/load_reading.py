# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Looks a load's runs up by their ids, and watches some of its traces until they can be read."""

from __future__ import annotations

import json
import threading
import time
from collections import deque
from dataclasses import dataclass
from typing import Any

from ansible_collections.langsmith.aws.plugins.module_utils.clients.http_client import HttpClient, HttpError
from ansible_collections.langsmith.aws.plugins.module_utils.clients.load_books import Books
from ansible_collections.langsmith.aws.plugins.module_utils.domain.errors import ProjectError
from ansible_collections.langsmith.aws.plugins.module_utils.domain.load import watching
from ansible_collections.langsmith.aws.plugins.module_utils.domain.load.histogram import Histogram
from ansible_collections.langsmith.aws.plugins.module_utils.domain.load.ids import RunIds
from ansible_collections.langsmith.aws.plugins.module_utils.domain.load.measured import latencies
from ansible_collections.langsmith.aws.plugins.module_utils.domain.probe.documents import text
from ansible_collections.langsmith.aws.plugins.module_utils.domain.probe.evidence import seconds_between

#: Pages of one query that are followed; more would be copies of the same runs over and over.
PAGES_MOST = 20


@dataclass
class Watched:
    """A trace that is looked for: its root's number, since when its latency counts, and when it was last looked at."""

    number: int
    since: float
    quarter: str
    looked: float = 0.0


class Reader:
    """Looks runs up by their ids."""

    def __init__(self, http: HttpClient, api: str, headers: dict[str, str], project_id: str, runs: RunIds) -> None:
        self._http = http
        self._path = f"{api}/runs/query"
        self._headers = {**headers, "Accept": "application/json", "Content-Type": "application/json"}
        self._project = project_id
        self._runs = runs

    def look(self, numbers: list[int]) -> tuple[list[int], list[float]]:
        """Those of the runs that can be read, each as often as it came, and how long they waited to be stored.

        Raises HttpError without an answer, ProjectError for one that holds no runs.
        """
        query: dict[str, Any] = {
            "session": [self._project],
            "id": [self._runs.id(number) for number in numbers],
            "select": ["id", "trace_first_received_at", "inserted_at"],
            "limit": watching.IDS_PER_QUERY,
        }
        found: list[int] = []
        waits: list[float] = []
        for _page in range(PAGES_MOST):
            document = self._page(query)
            for run in document["runs"]:
                local = self._runs.local(str(run.get("id")))
                if local is not None:
                    found.append(local)
                    waits += _waits(run)
            following = (document.get("cursors") or {}).get("next")
            if not following or not document["runs"]:
                break
            query["cursor"] = following
        return found, waits

    def _page(self, query: dict[str, Any]) -> dict[str, Any]:
        answer = self._http.request("POST", self._path, headers=self._headers, body=json.dumps(query).encode())
        try:
            document = answer.json()
        except ValueError:
            document = None
        if answer.status != 200 or not _is_page(document):
            raise ProjectError(f"reading back: status {answer.status}: {answer.head(160)}")
        found: dict[str, Any] = document
        return found


def _is_page(document: Any) -> bool:
    """Whether an answer has the form of one that holds runs."""
    return (
        isinstance(document, dict)
        and isinstance(document.get("runs"), list)
        and all(isinstance(run, dict) for run in document["runs"])
        and isinstance(document.get("cursors") or {}, dict)
    )


def _waits(run: dict[str, Any]) -> list[float]:
    """Seconds from received to inserted by the server's clocks; none where the answer does not tell them."""
    waited = seconds_between(text(run, "trace_first_received_at"), text(run, "inserted_at"))
    return [] if waited is None else [max(waited, 0.0)]


class Watcher:
    """Looks for some of the accepted traces until they can be read, in a thread of its own."""

    def __init__(self, reader: Reader, books: Books) -> None:
        self._reader = reader
        self._books = books
        self._waiting: deque[Watched] = deque()
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._latencies = latencies()
        self.watched = 0
        self.seen = 0
        self.open = 0
        self.last_sighting = 0.0
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def begin(self, counted: dict[str, Histogram]) -> None:
        """From now on latencies are counted here. Nothing may be open."""
        self._latencies = counted

    def watch(self, one: Watched, *, always: bool = False) -> None:
        """Look for a trace, if there is room."""
        with self._lock:
            if always or self.open < watching.WATCHED_MOST:
                self.watched += 1
                self.open += 1
                self._waiting.append(one)

    def forget(self) -> int:
        """Give up on what is still looked for; how many that are. They count as missing in the latencies."""
        with self._lock:
            left = self.open
            self._waiting.clear()
            self.open = 0
            self._latencies["visible"].missing += left
            self._latencies = latencies()
        return left

    def end(self) -> None:
        """Stop looking."""
        self._ended.set()
        self._thread.join()

    def _work(self) -> None:
        try:
            self._watch()
        except Exception as error:
            # Whatever it is, the load ends in order: what was sent is accounted for and removed.
            self._books.fail("the watcher", error)

    def _watch(self) -> None:
        took = 0.0
        while not self._ended.wait(watching.pause(took)):
            now = time.monotonic()
            block: list[Watched] = []
            with self._lock:
                while self._waiting and len(block) < watching.IDS_PER_QUERY:
                    if now - self._waiting[0].looked < watching.LOOK_SECONDS:
                        break
                    block.append(self._waiting.popleft())
                counted = self._latencies
            if block:
                self._look(block, counted)
            took = time.monotonic() - now

    def _look(self, block: list[Watched], counted: dict[str, Histogram]) -> None:
        try:
            found = set(self._reader.look([one.number for one in block])[0])
        except (HttpError, ProjectError) as error:
            self._books.problem(str(error))
            found = set()
        now = time.monotonic()
        with self._lock:
            if counted is not self._latencies:
                # Given up on meanwhile.
                return
            for one in block:
                if one.number in found:
                    self._see(one, now)
                else:
                    one.looked = now
                    self._waiting.append(one)

    def _see(self, one: Watched, now: float) -> None:
        self.seen += 1
        self.open -= 1
        self.last_sighting = now
        self._latencies["visible"].add(now - one.since)
        if one.quarter:
            self._latencies[one.quarter].add(now - one.since)
