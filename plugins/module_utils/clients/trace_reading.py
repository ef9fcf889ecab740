# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads a trace back: polls until it is complete, fetches its payloads, asks around where it stays out."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from ansible_collections.langsmith.aws.plugins.module_utils.clients.langsmith import LangSmith, Reply
from ansible_collections.langsmith.aws.plugins.module_utils.clients.probe_notebook import Notebook
from ansible_collections.langsmith.aws.plugins.module_utils.domain import trace
from ansible_collections.langsmith.aws.plugins.module_utils.domain.probe import documents
from ansible_collections.langsmith.aws.plugins.module_utils.domain.probe.evidence import (
    SentRun,
    all_complete,
    stage_passed,
)
from ansible_collections.langsmith.aws.plugins.module_utils.domain.probe.outcome import Settings

#: So many of the polls that failed are kept as evidence.
MOST_FAILED_POLLS = 20
#: A pause grows from the first to this many times it, so that a slow installation is not polled as a quick one.
PAUSE_GROWTH = 6


class Reading:
    """The reading back of what was sent to one project."""

    def __init__(self, api: LangSmith, notes: Notebook, settings: Settings, project_id: str) -> None:
        self._api = api
        self._notes = notes
        self._settings = settings
        self._project_id = project_id
        self._polls: list[Reply] = []
        #: When the last poll that was answered ended.
        self._told_at = 0.0
        #: The root's document as it was fetched, ``None`` where it was not.
        self.root: Any = None

    def poll(self) -> bool:
        """Poll until every run is complete or ``wait_timeout`` is over; whether every run is."""
        started = self._api.clock()
        for _pause in self._pauses(started):
            self.look()
            if self._nothing_left():
                break
            self._notes.sample_now_and_then(started)
        self._notes.add(waited=self._api.clock() - started)
        self._note_polls()
        self._notes.sample(times=True)
        self._count_children(started)
        return all_complete(self._notes.runs.values())

    def _note_polls(self) -> None:
        """Keep the last poll, and of those before it the ones that failed."""
        failed = [reply for reply in self._polls if not stage_passed(reply.observed)]
        for reply in [reply for reply in failed if reply is not self._polls[-1]][:MOST_FAILED_POLLS]:
            self._notes.note(reply)
        self._notes.note(self._polls[-1])
        seconds = tuple(reply.observed.seconds for reply in self._polls)
        self._notes.add(polls=seconds, failed_polls=len(failed))

    def _pauses(self, started: float) -> Any:
        """Yields for each poll and sleeps between them, until the time is over."""
        pause = self._settings.wait_sleep
        while True:
            yield pause
            left = self._settings.wait_timeout - (self._api.clock() - started)
            if left <= 0:
                return
            time.sleep(min(pause, left))
            pause = min(pause * 1.25, self._settings.wait_sleep * PAUSE_GROWTH)

    def _nothing_left(self) -> bool:
        evidence, runs = self._notes.evidence, self._notes.runs
        if evidence.ok("patch_small") and ("large" not in runs or evidence.ok("patch_large")):
            return all_complete(runs.values())
        # A patch that was refused never arrives, so its run is not waited for to be complete.
        return all(run.visible_after is not None for run in runs.values())

    def look(self) -> None:
        """One poll for every run that was sent until now."""
        runs, began = self._notes.runs, self._api.clock()
        reply = self._api.query_runs("read", self._project_id, ids=[run.run_id for run in runs.values()])
        self._polls.append(reply)
        found = documents.runs_by_id(reply.document)
        if reply.observed.succeeded:
            missed = [run for run in runs.values() if run.visible_after is not None and run.run_id not in found]
            self._note_missing(missed)
        root = runs["root"]
        if root.run_id not in found:
            # The second door: a run that a query misses may be readable by its id.
            single = self._api.run("read_single", root.run_id)
            if single.observed.succeeded and documents.text(single.document, "id") == root.run_id:
                found[root.run_id] = single.document
        for role, run in runs.items():
            if run.run_id in found:
                runs[role] = self._seen(run, found[run.run_id], began)
        if stage_passed(reply.observed):
            self._told_at = self._api.clock()

    def _seen(self, run: SentRun, document: dict[str, Any], began: float) -> SentRun:
        since = self._api.clock() - run.accepted_at
        status = documents.text(document, "status")
        if run.visible_after is None:
            run = replace(run, visible_after=since, visible_gap=began - max(run.accepted_at, self._told_at))
        complete = run.complete_after
        if complete is None and status == "success":
            complete, patched = since, max(run.accepted_at, run.patched_at)
            run = replace(run, complete_gap=patched - run.accepted_at + began - max(patched, self._told_at))
        # A patch writes a row of its own, which is inserted later.
        inserted = run.inserted or documents.text(document, "inserted_at")
        return replace(
            run,
            complete_after=complete,
            # A replica that lags may show an older state than another did.
            status=run.status if complete is not None and status != "success" and run.status else status,
            received=documents.text(document, "trace_first_received_at") or run.received,
            inserted=inserted,
            inserted_by=run.inserted_by if inserted == run.inserted else since,
        )

    def _note_missing(self, runs: list[SentRun]) -> None:
        """Keep when runs that had been read were missing, as a replica that is behind does not have them."""
        if runs:
            since = max(self._api.clock() - run.accepted_at for run in runs)
            self._notes.add(missing_until=max(self._notes.evidence.missing_until, since))

    def _count_children(self, started: float) -> None:
        """Ask for the child until several queries in a row agree: servers copy what one of them has."""
        root, child = self._notes.runs["root"], self._notes.runs["child"]
        if root.visible_after is None:
            return
        for _pause in self._pauses(started):
            told = [self._children(root, child) for _query in range(3)]
            counts = tuple(count for count in told if count is not None)
            if len(set(counts)) < 2:
                break
            self._note_missing([child])
        self._notes.add(children=counts)

    def _children(self, root: SentRun, child: SentRun) -> int | None:
        """How many a query finds; ``None`` where it fails, whose answer is kept."""
        ids = [root.run_id, child.run_id]
        reply = self._api.query_runs("children", self._project_id, ids=ids, is_root=False)
        if not reply.observed.succeeded:
            self._notes.note(reply)
            return None
        return len(documents.runs_by_id(reply.document))

    def ask_around(self, control_project: str, send_again: Callable[[], Reply]) -> None:
        """What tells why a run stays out: the control read again, the stores, the key, the first posts once more."""
        self._notes.note(self._api.query_runs("control_read_after", control_project))
        self._notes.note(self._api.projects("auth_after"))
        self._notes.note_stores()
        self._notes.look_inside()
        if self._notes.runs["root"].visible_after is None:
            self._notes.note(send_again())

    def fetch(self) -> None:
        """The payloads of every run that was seen."""
        for role, run in list(self._notes.runs.items()):
            if run.visible_after is None:
                continue
            reply = self._notes.note(self._api.run(f"fetch_{role}", run.run_id))
            if not reply.observed.succeeded or not isinstance(reply.document, dict):
                continue
            if role == "root":
                self.root = reply.document
            self._notes.runs[role] = replace(
                run,
                found_inputs=self._content(reply.document, "inputs"),
                found_outputs=self._content(reply.document, "outputs"),
                found_attachment=self._attachment(reply.document) if run.attachment_hash else None,
            )

    def _content(self, document: dict[str, Any], name: str) -> str | None:
        """The hash of inputs or outputs, from the run itself or from where it says they are."""
        inline = document.get(name)
        if inline:
            return trace.payload_hash(inline)
        address = documents.blob_address(document, name)
        if not address:
            return ""
        reply = self._notes.note(self._api.download(f"download_{name}", address))
        return trace.payload_hash(reply.document) if reply.observed.succeeded and reply.document is not None else None

    def _attachment(self, document: dict[str, Any]) -> str | None:
        address = documents.blob_address(document, "attachment.probe")
        if not address:
            return ""
        reply = self._notes.note(self._api.download("download_attachment", address))
        return hashlib.sha256(reply.body).hexdigest() if reply.observed.succeeded else None

    def await_feedback(self, feedback_id: str) -> None:
        """Wait until a feedback on the root run is listed."""
        run_id = self._notes.runs["root"].run_id
        started = self._api.clock()
        for _pause in self._pauses(started):
            reply = self._api.feedback(run_id)
            if feedback_id in documents.ids(reply.document):
                self._notes.add(feedback_after=self._api.clock() - started)
                break
        self._notes.note(reply)
