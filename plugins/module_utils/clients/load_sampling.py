# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Samples a load's progress and the ingestion queue while it runs."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from urllib.parse import urlsplit

from ansible_collections.langsmith.aws.plugins.module_utils.clients.http_client import HttpClient, HttpError
from ansible_collections.langsmith.aws.plugins.module_utils.domain.load.measured import Progress, Sample
from ansible_collections.langsmith.aws.plugins.module_utils.domain.probe.documents import queue_counters

#: Seconds between two samples of queue and progress, and how many are kept: then every second one goes.
SAMPLE_SECONDS = 1.0
SAMPLES_MOST = 600
#: Last samples of the queue that are kept whatever the others are thinned to.
RECENT_MOST = 32


class Sampler:
    """Samples the queue and the progress, in a thread of its own. ``recent`` are the last samples of the queue."""

    def __init__(self, begin: float, progress: Callable[[float], Progress], queue: Queue | None) -> None:
        self._begin = begin
        self._progress = progress
        self._queue = queue
        self._ended = threading.Event()
        self._taken, self._every = 0, 1
        self.recent: deque[Sample] = deque(maxlen=RECENT_MOST)
        self.backlog: list[Sample] = []
        self.progress: list[Progress] = []
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Stop sampling, after a last look that shows how it ended."""
        self._ended.set()
        self._thread.join()
        self._every = 1
        self._take(time.monotonic() - self._begin)

    def _work(self) -> None:
        while True:
            self._take(time.monotonic() - self._begin)
            if self._ended.wait(SAMPLE_SECONDS):
                return

    def _take(self, at: float) -> None:
        sample = self._queue.sample(round(at, 3)) if self._queue is not None else None
        if sample is not None:
            self.recent.append(sample)
        self._taken += 1
        if self._taken % self._every:
            return
        self.progress.append(self._progress(round(at, 3)))
        if sample is not None:
            self.backlog.append(sample)
        if len(self.progress) > SAMPLES_MOST:
            # Half as many from now on, and the past thinned to match: the memory stays what it is.
            del self.progress[1::2], self.backlog[1::2]
            self._every *= 2


class Queue:
    """The ingestion queue's counters under platform-backend's metrics."""

    def __init__(self, url: str, http: HttpClient) -> None:
        parts = urlsplit(url)
        self._http = http
        self._target = f"{parts.path or '/'}?{parts.query}"

    def sample(self, at: float) -> Sample | None:
        """The counters now; ``None`` where they cannot be read."""
        try:
            document = self._http.request("GET", self._target, headers={"Accept": "application/json"}).json()
        except (HttpError, ValueError):
            return None
        counts = queue_counters(document)
        return Sample(at, counts.get("pending"), counts.get("retry"), counts.get("active")) if counts else None
