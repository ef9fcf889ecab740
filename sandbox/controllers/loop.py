# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the stand-ins share: a thread that reconciles when something changed or fell due, with a pause after failure."""

from __future__ import annotations

import abc
import logging
import threading
import time

from sandbox.controllers.aws import Account
from sandbox.controllers.kubernetes import Cluster, Kind, Watched

# The real controllers wait from a second up to some minutes; here the longest wait is short, as people watch.
FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 20.0
IDLE_SECONDS = 30.0
# Changes come in bursts; one pass serves a burst.
GATHER_SECONDS = 0.1
log = logging.getLogger(__name__)


class Controller(abc.ABC):
    """One stand-in. `reconcile` looks at everything and is called again whenever a watched object changed."""

    name = "controller"

    def __init__(self, cluster: Cluster, account: Account) -> None:
        self.cluster = cluster
        self.account = account
        self._wake = threading.Event()
        self._failures: dict[str, tuple[int, float, str]] = {}
        self._watched: list[Watched] = []

    def watch(self, kind: Kind, labels: str = "") -> Watched:
        """A watched list whose changes make this controller reconcile."""
        found = self.cluster.watched(kind, self._wake.set, labels)
        self._watched.append(found)
        return found

    @abc.abstractmethod
    def reconcile(self) -> float:
        """Bring the world to what is wanted; returns in how many seconds to look again at the latest."""

    def run(self) -> None:
        """Reconcile for ever."""
        for watched in self._watched:
            watched.synced.wait()
        due = 0.0
        while True:
            self._wake.wait(max(0.0, due - time.monotonic()))
            time.sleep(GATHER_SECONDS)
            self._wake.clear()
            try:
                pause = self.reconcile()
            except Exception:
                log.exception("%s", self.name)
                pause = FIRST_PAUSE_SECONDS
            due = time.monotonic() + min(pause, self._next_retry(), IDLE_SECONDS)

    def blocked(self, key: str, version: str) -> bool:
        """Whether `key` failed not long ago and is, by its `version`, still what it was."""
        known = self._failures.get(key)
        return known is not None and known[2] == version and time.monotonic() < known[1]

    def failed(self, key: str, version: str) -> None:
        """Let `key` rest: a second after the first failure, twice as long after each further one."""
        count = self._failures.get(key, (0, 0.0, ""))[0] + 1
        pause = min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2 ** (count - 1))
        self._failures[key] = (count, time.monotonic() + pause, version)

    def succeeded(self, key: str) -> None:
        """Forget that `key` ever failed."""
        self._failures.pop(key, None)

    def _next_retry(self) -> float:
        now = time.monotonic()
        waiting = [until - now for _, until, _ in self._failures.values() if until > now]
        return min(waiting, default=IDLE_SECONDS)
