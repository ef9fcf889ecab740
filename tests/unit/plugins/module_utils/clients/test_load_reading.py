# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The watcher beside an installation that stores every trace after the same time, on a clock of their own."""

from __future__ import annotations

import threading
from types import SimpleNamespace

import pytest
from ansible_collections.langsmith.aws.plugins.module_utils.clients import load_reading
from ansible_collections.langsmith.aws.plugins.module_utils.clients.load_books import Books
from ansible_collections.langsmith.aws.plugins.module_utils.clients.load_reading import Watched, Watcher
from ansible_collections.langsmith.aws.plugins.module_utils.domain.errors import ProjectError
from ansible_collections.langsmith.aws.plugins.module_utils.domain.load import capacity, watching
from ansible_collections.langsmith.aws.plugins.module_utils.domain.load.measured import Measured, latencies

from tests.unit.plugins.leaping import Leaping

RUNS_PER_TRACE = 5


class Installation(Leaping):
    """Gets ``rate`` traces per second, each readable ``visible`` seconds later, and answers a query after ``query``.

    ``late`` are queries that take longer, ``refused`` those without an answer, by their numbers.

    It is the watcher's clock, its reader and the event that it waits for, so that all goes on in the watcher's thread.
    """

    def __init__(self, rate: float, duration: float, limit: float, query: float, visible: float) -> None:
        super().__init__()
        self.rate, self.duration, self.limit, self.query, self.visible = rate, duration, limit, query, visible
        self.late: dict[int, float] = {}
        self.refused: set[int] = set()
        self.queries = 0
        self._sent = 0
        self.latencies = latencies()
        self.watcher: Watcher

    def monotonic(self) -> float:
        return self.ahead

    def sleep(self, seconds: float) -> None:
        until = self.ahead + seconds
        while self._sent < self.rate * self.duration and self._sent / self.rate <= until:
            self.ahead = max(self.ahead, self._sent / self.rate)
            due, number = self._sent / self.rate, self._sent * RUNS_PER_TRACE
            quarter = {0: "first_quarter", 3: "last_quarter"}.get(int(4 * due / self.duration), "")
            self._sent += 1
            self.watcher.watch(Watched(number, due, quarter))
        self.ahead = until

    def wait(self, seconds: float) -> bool:
        self.sleep(seconds)
        return (self.ahead > self.duration and not self.watcher.open) or self.ahead > self.duration + 600

    def set(self) -> None:
        """Nothing: the watcher ends when it has seen everything."""

    def look(self, numbers: list[int]) -> tuple[list[int], list[float]]:
        self.queries += 1
        self.sleep(self.late.get(self.queries, self.query))
        if self.queries in self.refused:
            raise ProjectError("no answer")
        readable = (self.ahead - self.visible) * self.rate * RUNS_PER_TRACE
        return [number for number in numbers if number <= readable], []

    def measured(self, monkeypatch: pytest.MonkeyPatch) -> Measured:
        monkeypatch.setattr(load_reading, "time", self)
        started = threading.Event()
        # It begins to wait when it is known here who does.
        first = SimpleNamespace(wait=lambda seconds: started.wait() and self.wait(seconds), set=self.set)
        parts = SimpleNamespace(Lock=threading.Lock, Thread=threading.Thread, Event=lambda: first)
        monkeypatch.setattr(load_reading, "threading", parts)
        self.watcher = Watcher(self, Books(), self.limit)  # type: ignore[arg-type]
        self.watcher.begin(self.latencies, watching.stride(self.rate, self.limit, self.duration))
        started.set()
        self.watcher.end()
        traces = int(self.rate * self.duration)
        return Measured(
            began=0.0,
            offered_rate=self.rate,
            runs_per_trace=RUNS_PER_TRACE,
            duration=self.duration,
            traces=traces,
            accepted=traces * RUNS_PER_TRACE,
            sending=self.duration,
            watched=self.watcher.watched,
            one_in=self.watcher.one_in,
            resolution=self.watcher.resolution,
            latencies=self.latencies,
        )


def percentile(found: Measured, percent: float) -> float:
    value = found.latencies["visible"].percentile(percent)
    assert value is not None
    return value


@pytest.mark.parametrize(
    ("rate", "duration", "limit", "query", "visible"),
    [
        (100.0, 60.0, 60.0, 1.8, 1.0),
        (200.0, 20.0, 5.0, 0.3, 0.5),
        (100.0, 60.0, 60.0, 0.02, 1.0),
        (1000.0, 60.0, 60.0, 0.3, 30.0),
    ],
)
def test_an_installation_that_reads_slowly_is_not_told_to_store_slowly(
    rate: float, duration: float, limit: float, query: float, visible: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = Installation(rate, duration, limit, query, visible).measured(monkeypatch)
    # A query and the rest after it, twice where as many as one query holds are watched for, and the next query.
    cycle = query + watching.pause(query)
    assert found.resolution <= max(2 * cycle, watching.PASS_MOST * limit + cycle, watching.LOOK_SECONDS + cycle) + query
    for percent in (1, 50, 95, 99):
        assert visible <= percentile(found, percent) <= (visible + found.resolution) * 1.01
    assert capacity.breach(found, limit) == ""
    assert found.watched >= 100


def test_a_sample_that_is_thinned_still_counts_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    found = Installation(200.0, 60.0, 60.0, 1.8, 1.0).measured(monkeypatch)
    assert found.one_in > watching.stride(200.0, 60.0, 60.0)
    assert found.latencies["visible"].count == pytest.approx(found.traces, rel=0.25)


def test_an_installation_that_answers_quickly_keeps_its_sample_through_a_single_slow_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    installation = Installation(50.0, 60.0, 60.0, 0.02, 5.0)
    installation.late[40] = 10.0
    found = installation.measured(monkeypatch)
    assert found.one_in == watching.stride(50.0, 60.0, 60.0)
    assert found.resolution > 40.0


def test_a_query_without_an_answer_is_no_look(monkeypatch: pytest.MonkeyPatch) -> None:
    installation = Installation(10.0, 20.0, 5.0, 0.1, 0.5)
    installation.refused = set(range(10, 20))
    found = installation.measured(monkeypatch)
    assert found.resolution > 10 * 0.4
    assert percentile(found, 99) <= (0.5 + found.resolution) * 1.01
