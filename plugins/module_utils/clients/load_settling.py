# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Closes the books of a load: waits until it can be read and looks every id up."""

from __future__ import annotations

import math
import time

from ansible_collections.langsmith.aws.plugins.module_utils.clients.http_client import HttpError
from ansible_collections.langsmith.aws.plugins.module_utils.clients.load_books import Books, Timeline
from ansible_collections.langsmith.aws.plugins.module_utils.clients.load_reading import Reader, Watcher
from ansible_collections.langsmith.aws.plugins.module_utils.clients.load_sampling import Sampler
from ansible_collections.langsmith.aws.plugins.module_utils.clients.load_sending import Phase
from ansible_collections.langsmith.aws.plugins.module_utils.domain.errors import ProjectError
from ansible_collections.langsmith.aws.plugins.module_utils.domain.load import watching
from ansible_collections.langsmith.aws.plugins.module_utils.domain.load.measured import latencies

#: Seconds that are left for the books once the load was told to end: whoever told it soon ends it by force, and then
#: what it wrote would stay.
HURRY_SECONDS = 20.0


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
        self._latest = math.inf
        self.complete = self.certain = False
        self.drain: float | None = None
        self.stored = latencies()["stored"]

    def hurry(self) -> None:
        """From now on take ``HURRY_SECONDS`` at most."""
        self._latest = min(self._latest, time.monotonic() + HURRY_SECONDS)

    def await_watched(self) -> bool:
        """Wait until every watched trace is visible; whether that came to pass in time."""
        until = time.monotonic() + self._drain_timeout
        with self._timeline.span("drain"):
            while self._watcher.open and time.monotonic() < min(until, self._latest):
                if self._is_settled() or self._books.error:
                    break
                time.sleep(watching.QUERY_SECONDS)
        return self._watcher.forget() == 0

    def _is_settled(self) -> bool:
        return self._nothing_comes(self._last_sighting, time.monotonic())

    def _nothing_comes(self, last_sighting: float, now: float) -> bool:
        begin = self._timeline.begin
        return watching.settled(list(self._sampler.recent), last_sighting - begin, now - begin)

    @property
    def _last_sighting(self) -> float:
        return max(self._watcher.last_sighting, self._phases[-1].ended if self._phases else self._timeline.begin)

    def settle(self) -> None:
        """Drain, then look every id up, and those that are missing again until they are there or the time is over."""
        ended = self._phases[-1].ended if self._phases else time.monotonic()
        self.await_watched()
        last = self._last_sighting
        drained_by, until = (min(ended + times * self._drain_timeout, self._latest) for times in (1, 2))
        ledger = self._books.ledger
        with self._timeline.span("account"):
            self._look_up(until)
            while (ledger.missing or ledger.unasked) and time.monotonic() < until:
                before = ledger.missing
                self._look_up(until)
                now = time.monotonic()
                if ledger.missing < before:
                    last = now
                    continue
                self.certain = self._nothing_comes(last, now)
                # An id without an answer is asked for longer: nothing is known of it.
                if not ledger.unasked and (self.certain or now > drained_by):
                    break
                time.sleep(watching.LOOK_SECONDS)
        self.complete = not ledger.unasked
        if self.complete and not ledger.missing:
            self.certain = True
            self.drain = round(max(last - ended, 0.0), 3)

    def _look_up(self, until: float) -> None:
        """Ask for ids in blocks, for none after the moment ``until``. One without an answer stays to be asked for."""
        for block in self._books.ledger.blocks(watching.IDS_PER_QUERY):
            if time.monotonic() > until:
                return
            try:
                found, waits = self._reader.look(block)
            except (HttpError, ProjectError) as error:
                self._books.problem(str(error))
                # An installation that cannot answer is not asked without a pause.
                time.sleep(watching.QUERY_SECONDS)
                continue
            self._books.ledger.sight(block, found)
            since = time.monotonic() - self._timeline.begin
            for wait in waits:
                if 0 <= wait <= since:
                    self.stored.add(wait)
                else:
                    # The clocks of two servers differ, so how long it waited is not known.
                    self.stored.missing += 1
