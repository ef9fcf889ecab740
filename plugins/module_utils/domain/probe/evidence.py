# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a trace probe observed: answers, the runs it sent, how the queue went. Rules read this and nothing else."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from ansible_collections.langsmith.aws.plugins.module_utils.domain.answers import Observed
from ansible_collections.langsmith.aws.plugins.module_utils.domain.endpoint import Place
from ansible_collections.langsmith.aws.plugins.module_utils.domain.finding import Finding, Status

Role = Literal["root", "child", "large"]

#: From here on an installation's ingestion delay is an alarm: the 95th percentile of received to inserted, seconds.
DELAY_LIMIT_S = 60.0
DELAY_SOURCE = "P0 production checklist: ingestion delay (received_at to inserted_at), p95 over 60 s"

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
    """A run that was sent and what came back of it.

    ``visible_after`` and ``complete_after`` are seconds from the acceptance of its trace's posts to the poll that first
    showed it at all and with status success, ``None`` where that never came. ``received`` and ``inserted`` are the
    server's own times (ISO 8601, UTC where they name no zone) or empty. Hashes are SHA-256 (hex); a ``found_`` one is
    ``None`` where the payload could not be read and empty where the run had none.
    """

    role: Role
    run_id: str
    inputs_hash: str
    outputs_hash: str
    attachment_hash: str = ""
    visible_after: float | None = None
    complete_after: float | None = None
    status: str = ""
    received: str = ""
    inserted: str = ""
    found_inputs: str | None = None
    found_outputs: str | None = None
    found_attachment: str | None = None


@dataclass(frozen=True)
class QueueSample:
    """The ingestion queue at one moment (``at``: seconds since the first request); ``None`` where it was not told."""

    at: float
    pending: int | None = None
    retry: int | None = None
    reason: str = ""


@dataclass(frozen=True)
class Evidence:
    """All that one probe observed. ``children`` are the numbers of children that repeated queries found.

    ``blob_enabled`` is ``None`` where the server does not tell. ``waited`` (seconds) is how long the probe polled,
    ``wait_timeout`` how long it would have, ``visible_within`` what the operator expects.
    """

    place: Place
    answers: tuple[Observed, ...] = ()
    runs: tuple[SentRun, ...] = ()
    queue: tuple[QueueSample, ...] = ()
    children: tuple[int, ...] = ()
    version: str = ""
    blob_enabled: bool | None = None
    wait_timeout: float = 120.0
    visible_within: float = DELAY_LIMIT_S
    waited: float = 0.0

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


#: Stages whose success is a JSON value of this shape, since a page for people answers 200 too.
_SHAPES = {"info": "object", "auth": "array", "auth_after": "array", "control_read": "object", "read": "object"}


def stage_passed(answer: Observed) -> bool:
    """Whether an answer is the one that the probe needs to go on."""
    wanted = _SHAPES.get(answer.stage.removesuffix("_after"))
    return answer.succeeded and (wanted is None or answer.shape == wanted)


def finding(
    rule: str,
    status: Status,
    component: str,
    subject: str,
    observed: str,
    expected: str,
    remedy: str = "",
    source: str = "",
) -> Finding:
    """A finding of the probe; ``rule`` without the probe's own prefix."""
    return Finding(f"probe.{rule}", status, component, subject, observed, expected, remedy, source)


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
