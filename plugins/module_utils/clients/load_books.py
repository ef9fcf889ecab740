# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the parts of a load share: the books all its threads write to, and the timeline of what it did when."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from ansible_collections.langsmith.aws.plugins.module_utils.domain.load.ledger import Ledger

#: Answers that are told in full.
PROBLEMS_MOST = 10


@dataclass
class Books:
    """What all threads of a load write to, under one lock."""

    ledger: Ledger = field(default_factory=Ledger)
    lock: threading.Lock = field(default_factory=threading.Lock)
    stop: threading.Event = field(default_factory=threading.Event)
    problems: list[str] = field(default_factory=list)
    error: str = ""

    def problem(self, text: str) -> None:
        """Note what went wrong, once, until enough is told."""
        with self.lock:
            if text not in self.problems and len(self.problems) < PROBLEMS_MOST:
                self.problems.append(text)

    def fail(self, what: str, error: Exception) -> None:
        """Note the error that ended a thread, and let the others stop."""
        self.error = f"{what} failed: {type(error).__name__}: {error}"
        self.stop.set()


class Timeline:
    """What was done from when to when, in seconds since the load began. ``begin`` is monotonic."""

    def __init__(self) -> None:
        self.begin = time.monotonic()
        self.spans: list[tuple[str, float, float]] = []

    @contextmanager
    def span(self, name: str) -> Iterator[None]:
        """Note when the block began and ended."""
        begin = time.monotonic() - self.begin
        try:
            yield
        finally:
            self.spans.append((name, round(begin, 3), round(time.monotonic() - self.begin, 3)))
