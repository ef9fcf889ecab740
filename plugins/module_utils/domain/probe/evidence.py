# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a trace probe observed: answers, the runs it sent, how the queue went. Rules read this and nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal

from ansible_collections.langsmith.aws.plugins.module_utils.domain.answers import Observed
from ansible_collections.langsmith.aws.plugins.module_utils.domain.endpoint import Place
from ansible_collections.langsmith.aws.plugins.module_utils.domain.probe.thresholds import LIMITS

Role = Literal["root", "child", "large"]

#: The questions of the probe in their order, with what each needs to have been answered.
STAGES: dict[str, str] = {
    "front_door": "the frontend's health page",
    "info": "platform-backend's /info",
    "backend": "backend's /ok",
    "auth": "the API key",
    "project": "making a project",
    "control_read": "a control read",
    "post_small": "sending the trace",
    "read": "reading the trace back",
}


@dataclass(frozen=True)
class SentRun:
    """A run that was sent and what came back of it. ``accepted_at`` is seconds since the first request.

    ``visible_after`` and ``complete_after`` are seconds from the acceptance of its trace's posts to the poll that first
    showed it at all and with status success, ``None`` where that never came. ``visible_gap`` and ``complete_gap`` are
    the seconds right before that poll in which none told, and of the latter also those until the run's patch was
    accepted (``patched_at``, seconds since the first request). ``received`` and ``inserted`` are the servers' own times
    (ISO 8601, UTC where they name no zone) or empty, the latter as it was first told; ``inserted_by`` (seconds from the
    acceptance) is the poll that did. Hashes are SHA-256 (hex); a ``found_`` one is ``None`` where the payload could not
    be read and empty where the run had none.
    """

    role: Role
    run_id: str
    inputs_hash: str
    outputs_hash: str
    attachment_hash: str = ""
    accepted_at: float = 0.0
    patched_at: float = 0.0
    visible_after: float | None = None
    complete_after: float | None = None
    visible_gap: float = 0.0
    complete_gap: float = 0.0
    status: str = ""
    received: str = ""
    inserted: str = ""
    inserted_by: float = 0.0
    found_inputs: str | None = None
    found_outputs: str | None = None
    found_attachment: str | None = None

    @property
    def visible_least(self) -> float | None:
        """Seconds that it took at least to be readable; ``None`` where it never was."""
        return None if self.visible_after is None else self.visible_after - self.visible_gap

    @property
    def complete_least(self) -> float | None:
        """Seconds that it took at least to be complete; ``None`` where it never was."""
        return None if self.complete_after is None else self.complete_after - self.complete_gap

    @property
    def is_awaited(self) -> bool:
        """Whether it, or a patch of it that was accepted, has not been seen."""
        return self.visible_after is None or (self.patched_at > 0 and self.complete_after is None)

    @property
    def told_delay(self) -> float | None:
        """Seconds from received to inserted as the servers tell it, true or not; ``None`` where they do not."""
        return seconds_between(self.received, self.inserted)


@dataclass(frozen=True)
class Latency:
    """A histogram's sum (seconds) and count since the process that keeps it began."""

    seconds: float = 0.0
    count: float = 0.0


@dataclass(frozen=True)
class QueueSample:
    """The ingestion queue at one moment (``at``: seconds since the first request); ``None`` where it was not told.

    ``waited`` and ``stored`` are what the workers measured of all runs so far: API to worker, and worker to store.
    """

    at: float
    pending: int | None = None
    active: int | None = None
    retry: int | None = None
    waited: Latency | None = None
    stored: Latency | None = None
    reason: str = ""


@dataclass(frozen=True)
class Workload:
    """A Deployment or StatefulSet of the installation: pods that are ready, and pods that it wants."""

    ready: int
    wanted: int

    @property
    def is_down(self) -> bool:
        """Whether no pod of it is ready."""
        return self.ready == 0

    def describe(self, name: str) -> str:
        """Its pods in a sentence."""
        return f"{self.ready} of {self.wanted} pods of {name} are ready"


@dataclass(frozen=True)
class Evidence:
    """All that one probe observed.

    ``children`` are the numbers of children that the last queries found. ``encoding`` is how bodies were compressed in
    the end; ``blob_enabled`` and ``zstd_enabled`` are ``None`` where the server does not tell. ``waited`` (seconds) is
    how long the probe polled, ``polls`` how long each poll took (seconds), ``missing_until`` (seconds) when a run that
    had been read was last missing, from its acceptance on, 0 where none ever was. ``thresholds`` are the limits of the
    stages in seconds. ``workloads`` are the pods by component, empty where no cluster was asked or ``cluster_reason``
    says why it told nothing. ``free_disk_pct`` is ClickHouse's, as the installation told it last; ``feedback_after``
    (seconds) is when a feedback was listed. ``failed_polls`` counts the polls that failed, the first of which are among
    the answers. ``unused_proxy`` (host:port) is one that the environment names for an installation that could not be
    reached without. ``unsettled`` are the traces that were removed from a project that stays before all of them had
    come.
    """

    place: Place
    answers: tuple[Observed, ...] = ()
    runs: tuple[SentRun, ...] = ()
    queue: tuple[QueueSample, ...] = ()
    children: tuple[int, ...] = ()
    version: str = ""
    blob_enabled: bool | None = None
    zstd_enabled: bool | None = None
    encoding: str = ""
    feedback_after: float | None = None
    waited: float = 0.0
    polls: tuple[float, ...] = ()
    missing_until: float = 0.0
    free_disk_pct: float | None = None
    workloads: Mapping[str, Workload] = field(default_factory=dict)
    cluster_reason: str = ""
    failed_polls: int = 0
    unused_proxy: str = ""
    unsettled: tuple[str, ...] = ()
    thresholds: Mapping[str, float] = field(default_factory=lambda: dict(LIMITS))

    def get(self, stage: str) -> Observed | None:
        """The last answer to a question, ``None`` where it was not asked."""
        return next((answer for answer in reversed(self.answers) if answer.stage == stage), None)

    def ok(self, stage: str) -> bool:
        """Whether the last answer to a question was a success."""
        answer = self.get(stage)
        return answer is not None and stage_passed(answer)

    def run(self, role: Role) -> SentRun | None:
        """The run of that role, ``None`` where it was not sent."""
        return next((run for run in self.runs if run.role == role), None)

    def measured_delay(self, run: SentRun) -> float | None:
        """Seconds from received to inserted by the servers' clocks; ``None`` where they tell none that can be true.

        Each time may be of another machine's clock, and the probe's own clock bounds what lies between them: the run
        was received after it was sent, and inserted before it was seen.
        """
        told, post = run.told_delay, self.get("post_large" if run.role == "large" else "post_small")
        sending = post.seconds if post is not None else 0.0
        return told if told is not None and 0 <= told <= sending + run.inserted_by else None

    def pods(self, component: str) -> str:
        """How many pods of a component are ready, as a sentence; empty where it is not known."""
        found = self.workloads.get(component)
        return found.describe(f"{self.place.fullname}-{component}") if found else ""

    def is_down(self, component: str) -> bool | None:
        """Whether no pod of a component is ready; ``None`` where it is not known."""
        found = self.workloads.get(component)
        return found.is_down if found else None


#: Stages whose success is a JSON value of this shape, since a page for people answers 200 too.
_SHAPES = {
    "info": "object",
    "auth": "array",
    "project": "object",
    "control_read": "object",
    "redis_read": "object",
    "me": "object",
    "store_health": "object",
    "read": "object",
    "feedback_listed": "array",
}


def stage_passed(answer: Observed) -> bool:
    """Whether an answer is the one that the probe needs to go on."""
    stage = answer.stage.removesuffix("_after")
    if stage == "repeat":
        return answer.status == 409
    wanted = _SHAPES.get(stage)
    return answer.succeeded and (wanted is None or answer.shape == wanted)


def is_lost(answer: Observed) -> bool:
    """Whether the application, or the want of an answer from it, says that it could not do what was asked."""
    if answer.status is None:
        return answer.phase == "http"
    return answer.is_server_error and not answer.is_html


def seconds_between(earlier: str, later: str) -> float | None:
    """Seconds between two of the server's times; ``None`` where one is missing or no time."""
    try:
        first, second = (datetime.fromisoformat(text.replace("Z", "+00:00")) for text in (earlier, later))
    except ValueError:
        return None
    return (_aware(second) - _aware(first)).total_seconds()


def _aware(moment: datetime) -> datetime:
    # LangSmith's v1 answers leave the zone out and mean UTC.
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def all_complete(runs: Iterable[SentRun]) -> bool:
    """Whether there is nothing left to wait for: every run was seen with success."""
    return all(run.complete_after is not None for run in runs)
