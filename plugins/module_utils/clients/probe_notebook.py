# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The evidence of a probe while it grows."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import Any

from ansible_collections.langsmith.aws.plugins.module_utils.clients.cluster_state import Cluster
from ansible_collections.langsmith.aws.plugins.module_utils.clients.langsmith import LangSmith, Reply
from ansible_collections.langsmith.aws.plugins.module_utils.domain.probe import documents
from ansible_collections.langsmith.aws.plugins.module_utils.domain.probe.evidence import (
    Evidence,
    SentRun,
    stage_passed,
)

#: Seconds that the first look at the cluster may take; credentials, and each answer, have bounds of their own.
LOOK_SECONDS = 60.0
#: A look at the queue that fails after so many seconds holds up the polls beside it.
HANGING_SECONDS = 1.0


class Notebook:
    """Answers, runs and samples in the order in which they came. ``cluster`` is ``None`` where none is to be asked."""

    def __init__(self, api: LangSmith, evidence: Evidence, cluster: Cluster | None) -> None:
        self.api = api
        self.runs: dict[str, SentRun] = {}
        self._evidence = evidence
        self._cluster = cluster
        self._sampled = 0.0
        self._queue_hangs = False
        self._first_look: threading.Thread | None = None

    @property
    def evidence(self) -> Evidence:
        """All that was noted so far."""
        return replace(self._evidence, runs=tuple(self.runs.values()))

    def add(self, **facts: Any) -> None:
        """Keep facts by the names of the evidence's fields."""
        self._evidence = replace(self._evidence, **facts)

    def note(self, reply: Reply) -> Reply:
        """Keep an answer."""
        self.add(answers=(*self._evidence.answers, reply.observed))
        return reply

    def passes(self, reply: Reply) -> bool:
        """Keep an answer, and tell whether it is the one that the probe needs to go on."""
        return stage_passed(self.note(reply).observed)

    def note_stores(self) -> None:
        """What backend's stores say without a key, as neighbours of a stage that failed: ClickHouse and Redis."""
        health = self.note(self.api.store_health())
        self.add(free_disk_pct=documents.free_disk(health.document))
        self.note(self.api.redis_read())

    def begin_looking_inside(self) -> None:
        """Look at the pods meanwhile: the credentials of a cluster may take seconds to get."""
        if self._cluster is not None:
            self._first_look = threading.Thread(target=self._cluster.look, daemon=True)
            self._first_look.start()

    def look_inside(self) -> None:
        """Keep the pods of the installation, where a cluster is to be asked."""
        if self._cluster is None:
            return
        if self._first_look is not None:
            self._first_look.join(LOOK_SECONDS)
            if self._first_look.is_alive():
                # Whoever asked it again would wait for the same.
                self._cluster = None
                self.add(cluster_reason=f"the cluster did not answer within {LOOK_SECONDS:g} s")
                return
            self._first_look = None
        else:
            self._cluster.look()
        self.add(workloads=self._cluster.workloads, cluster_reason=self._cluster.reason)

    def sample(self, *, times: bool = False) -> None:
        """Keep the queue's counters, with the workers' own times where they are wanted."""
        if self._cluster is not None:
            self._sampled = self.api.clock()
            sample = self._cluster.sample(self._sampled, times=times)
            self._queue_hangs = bool(sample.reason) and self.api.clock() - self._sampled >= HANGING_SECONDS
            self.add(queue=(*self._evidence.queue, sample))

    def sample_now_and_then(self, since: float) -> None:
        """Keep the counters where the last ones are a second old, or a fourth of what has passed since then.

        Not where the last look hung, as the next would too, and the trace would seem to be as late.
        """
        if self._queue_hangs:
            return
        if self.api.clock() - self._sampled >= max(1.0, (self.api.clock() - since) / 4):
            self.sample()
