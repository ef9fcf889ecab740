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
    """A trace that is looked for: its root's number, since when its latency counts, and when it was last looked at.

    One that does not count is looked for to know when all is there. It was not there yet when the look at ``absent``
    began.
    """

    number: int
    since: float
    quarter: str = ""
    counts: bool = True
    looked: float = 0.0
    absent: float = 0.0


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

        The latter is as the servers' clocks tell it, whether or not that can be true.

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
    """Seconds from received to inserted by the servers' clocks; none where the answer does not tell them."""
    waited = seconds_between(text(run, "trace_first_received_at"), text(run, "inserted_at"))
    return [] if waited is None else [waited]


class Watcher:
    """Looks for a sample of the accepted traces until they can be read, in a thread of its own.

    One of ``one_in`` traces is in the sample, and counts for so many in the latencies. Which ones does not depend on
    how long they take: where there is no room for one more, or a pass over them takes too long, half of all that are
    looked for are dropped, and those that stay count twice. ``resolution`` is the most seconds between the last look
    in vain and the sighting of one that counts: by so much a latency may be told too long.
    """

    def __init__(self, reader: Reader, books: Books, visible_p95: float) -> None:
        self._reader = reader
        self._books = books
        self._visible_p95 = visible_p95
        self._took: deque[float] = deque(maxlen=2)
        self._waiting: deque[Watched] = deque()
        self._asked: list[Watched] = []
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._latencies = latencies()
        self._visible = self._given_up = 0
        self.one_in = 1
        self.watched = 0
        self.open = 0
        self.last_sighting = self.resolution = 0.0
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def begin(self, counted: dict[str, Histogram], one_in: int) -> None:
        """From now on latencies are counted here. Nothing may be open."""
        with self._lock:
            self._latencies, self.one_in, self.resolution = counted, one_in, 0.0

    def wants(self, number: int) -> bool:
        """Whether a trace is in the sample."""
        return watching.chosen(number, self.one_in)

    def watch(self, one: Watched) -> None:
        """Look for a trace, if it is in the sample or does not count."""
        with self._lock:
            while self.open >= watching.WATCHED_MOST and self._keeps(one):
                self._thin()
            if self._keeps(one):
                self.watched += one.counts
                self.open += 1
                one.absent = time.monotonic()
                self._waiting.append(one)

    @property
    def part_visible(self) -> float:
        """The part of the accepted traces that is visible, by those that were watched."""
        with self._lock:
            known = self._visible + self._given_up + self.open * self.one_in
            return self._visible / known if known else 0.0

    def forget(self) -> int:
        """Give up on what is still looked for; how many that are. They count as missing in the latencies."""
        with self._lock:
            left = [one for one in (*self._waiting, *self._asked) if one.counts]
            for one in left:
                for name in filter(None, ("visible", one.quarter)):
                    self._latencies[name].missing += self.one_in
            self._given_up += len(left) * self.one_in
            found, self.open = self.open, 0
            self._waiting.clear()
            self._asked = []
            self._latencies = latencies()
        return found

    def end(self) -> None:
        """Stop looking."""
        self._ended.set()
        self._thread.join()

    def _keeps(self, one: Watched) -> bool:
        return not one.counts or self.wants(one.number)

    def _thin(self) -> None:
        self.one_in *= 2
        before = self.open
        self._waiting = deque(filter(self._keeps, self._waiting))
        self._asked = list(filter(self._keeps, self._asked))
        self.open = len(self._waiting) + len(self._asked)
        self.watched -= before - self.open

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
            with self._lock:
                # One slow answer among quick ones says nothing of a pass.
                while watching.is_pass_long(self.open, min(self._took, default=0.0), self._visible_p95):
                    self._thin()
                while self._waiting and len(self._asked) < watching.IDS_PER_QUERY:
                    if now - self._waiting[0].looked < watching.LOOK_SECONDS:
                        break
                    self._asked.append(self._waiting.popleft())
                numbers = [one.number for one in self._asked]
            if numbers:
                self._look(numbers)
                self._took.append(time.monotonic() - now)
            took = time.monotonic() - now

    def _look(self, numbers: list[int]) -> None:
        began = time.monotonic()
        try:
            found = set(self._reader.look(numbers)[0])
        except (HttpError, ProjectError) as error:
            self._books.problem(str(error))
            found, began = set(), 0.0
        now = time.monotonic()
        with self._lock:
            # What was dropped or given up on meanwhile is no longer among them.
            for one in self._asked:
                if one.number in found:
                    self._see(one, now)
                else:
                    one.looked, one.absent = now, max(one.absent, began)
                    self._waiting.append(one)
            self._asked = []

    def _see(self, one: Watched, now: float) -> None:
        self.open -= 1
        self.last_sighting = now
        if not one.counts:
            return
        self._visible += self.one_in
        self.resolution = max(self.resolution, now - one.absent)
        self._latencies["visible"].add(now - one.since, self.one_in)
        if one.quarter:
            self._latencies[one.quarter].add(now - one.since, self.one_in)
