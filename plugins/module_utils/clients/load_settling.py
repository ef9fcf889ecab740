# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Closes the books of a load: waits until it can be read and looks every id up."""

from __future__ import annotations

import time

from ansible_collections.langsmith.aws.plugins.module_utils.clients.http_client import HttpError
from ansible_collections.langsmith.aws.plugins.module_utils.clients.load_books import Books, Timeline
from ansible_collections.langsmith.aws.plugins.module_utils.clients.load_reading import Reader, Watcher
from ansible_collections.langsmith.aws.plugins.module_utils.clients.load_sampling import Sampler
from ansible_collections.langsmith.aws.plugins.module_utils.clients.load_sending import Phase
from ansible_collections.langsmith.aws.plugins.module_utils.domain.errors import ProjectError
from ansible_collections.langsmith.aws.plugins.module_utils.domain.load import watching
from ansible_collections.langsmith.aws.plugins.module_utils.domain.load.measured import latencies


class Settling:
    """What comes after the sending.

    ``phases`` is the load's own list, which grows. ``complete`` tells whether every id was looked up, ``certain``
    that what is missing can come no more, ``drain`` the seconds until all was visible, ``stored`` how long runs waited
    to be stored.
    """

    def __init__(
        self,
        drain_timeout: float,
        books: Books,
        timeline: Timeline,
        phases: list[Phase],
        reader: Reader,
        watcher: Watcher,
        sampler: Sampler,
    ) -> None:
        self._drain_timeout = drain_timeout
        self._books = books
        self._timeline = timeline
        self._phases = phases
        self._reader = reader
        self._watcher = watcher
        self._sampler = sampler
        self.complete = self.certain = False
        self.drain: float | None = None
        self.stored = latencies()["stored"]

    def await_watched(self) -> bool:
        """Wait until every watched trace is visible; whether that came to pass in time."""
        begin = time.monotonic()
        with self._timeline.span("drain"):
            while self._watcher.open and time.monotonic() - begin < self._drain_timeout:
                if self._is_settled():
                    break
                time.sleep(watching.QUERY_SECONDS)
        return self._watcher.forget() == 0

    def _is_settled(self) -> bool:
        now = time.monotonic() - self._timeline.begin
        return watching.settled(self._sampler.backlog, self._last_sighting - self._timeline.begin, now)

    @property
    def _last_sighting(self) -> float:
        return max(self._watcher.last_sighting, self._phases[-1].ended if self._phases else self._timeline.begin)

    def settle(self) -> None:
        """Drain, then look every id up, then those that are missing again until they are there or the time is over."""
        ended = self._phases[-1].ended if self._phases else time.monotonic()
        self.await_watched()
        last = self._last_sighting
        with self._timeline.span("account"):
            self.complete = self._look_up(everything=True, until=ended + 2 * self._drain_timeout)
            while self._books.ledger.missing:
                before = self._books.ledger.missing
                asked = self._look_up(everything=False, until=ended + 2 * self._drain_timeout)
                self.complete = self.complete and asked
                if self._books.ledger.missing < before:
                    last = time.monotonic()
                    continue
                now = time.monotonic()
                self.certain = watching.settled(
                    self._sampler.backlog, last - self._timeline.begin, now - self._timeline.begin
                )
                if self.certain or now - ended > self._drain_timeout:
                    break
                time.sleep(watching.LOOK_SECONDS)
        if self.complete and not self._books.ledger.missing:
            self.certain = True
            self.drain = round(max(last - ended, 0.0), 3)

    def _look_up(self, *, everything: bool, until: float) -> bool:
        """Ask for ids in blocks; whether every block was answered. After the moment ``until`` none is asked for."""
        answered = True
        for block in self._books.ledger.blocks(watching.IDS_PER_QUERY, everything=everything):
            if time.monotonic() > until:
                return False
            try:
                found, waits = self._reader.look(block)
            except (HttpError, ProjectError) as error:
                self._books.problem(str(error))
                answered = False
                continue
            self._books.ledger.sight(found)
            if everything:
                for wait in waits:
                    self.stored.add(wait)
        return answered
