# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Collects the evidence of a trace probe: sends a trace, polls until it can be read, fetches it, removes it."""

from __future__ import annotations

import hashlib
import os
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from ansible_collections.langsmith.aws.plugins.module_utils.clients.http_client import HttpClient, HttpError
from ansible_collections.langsmith.aws.plugins.module_utils.clients.langsmith import LangSmith, Reply
from ansible_collections.langsmith.aws.plugins.module_utils.domain import trace
from ansible_collections.langsmith.aws.plugins.module_utils.domain.endpoint import Place
from ansible_collections.langsmith.aws.plugins.module_utils.domain.langsmith import Endpoint
from ansible_collections.langsmith.aws.plugins.module_utils.domain.probe import documents
from ansible_collections.langsmith.aws.plugins.module_utils.domain.probe.evidence import (
    Evidence,
    QueueSample,
    Role,
    SentRun,
    all_complete,
    stage_passed,
)
from ansible_collections.langsmith.aws.plugins.module_utils.domain.probe.outcome import Outcome, Settings

#: A pause grows from the first to this many times it, so that a slow installation is not polled as a quick one.
PAUSE_GROWTH = 6


@dataclass
class _Project:
    id: str = ""
    name: str = ""
    tenant: str = ""
    created: bool = False
    removed: bool = False


class QueueCounters:
    """The ingestion queue's counters under a URL of platform-backend's metrics."""

    def __init__(self, http: HttpClient, target: str) -> None:
        self._http = http
        self._target = target

    def sample(self, at: float) -> QueueSample:
        """The counters now; a reason where they cannot be read."""
        try:
            answer = self._http.request("GET", self._target, headers={"Accept": "application/json"})
            pending, retry = documents.queue_counters(answer.json())
        except HttpError as error:
            return QueueSample(at, reason=f"the queue counters cannot be read: {error}")
        except ValueError:
            return QueueSample(at, reason=f"the queue counters' answer is no JSON (status {answer.status})")
        return QueueSample(
            at, pending, retry, "" if pending is not None else "the answer holds no ingestion_queue.pending"
        )


class TraceProbe:
    """One probe of one installation; ``run`` is called once and does not raise for a sick installation."""

    def __init__(self, api: LangSmith, place: Place, settings: Settings, queue: QueueCounters | None = None) -> None:
        self._api = api
        self._settings = settings
        self._queue = queue
        self._evidence = Evidence(
            place=place, wait_timeout=settings.wait_timeout, visible_within=settings.visible_within
        )
        self._project = _Project()
        self._control_project = ""
        self._sent: dict[str, trace.Run] = {}
        self._runs: dict[str, SentRun] = {}
        self._accepted: dict[str, float] = {}
        self._root_document: Any = None

    def run(self) -> Outcome:
        """All stages as far as they lead, then the cleaning up, whatever happened."""
        try:
            if self._reach() and self._send():
                self._await()
                self._fetch()
        finally:
            self._clean_up()
        root = self._runs.get("root")
        return Outcome(
            evidence=replace(self._evidence, runs=tuple(self._runs.values())),
            wrote=self._project.created or bool(self._accepted),
            run_id=root.run_id if root else "",
            trace_url=self._trace_url(root),
            project={"name": self._project.name, "id": self._project.id, "kept": not self._project.removed}
            if self._project.id
            else {},
            seconds=self._api.clock(),
        )

    def _note(self, reply: Reply) -> Reply:
        self._evidence = replace(self._evidence, answers=(*self._evidence.answers, reply.observed))
        return reply

    def _passes(self, reply: Reply) -> bool:
        return stage_passed(self._note(reply).observed)

    def _reach(self) -> bool:
        if self._note(self._api.front_door()).observed.phase in ("dns", "tcp", "tls"):
            return False
        info = self._note(self._api.info())
        version, blob_enabled = documents.server_facts(info.document)
        self._evidence = replace(self._evidence, version=version, blob_enabled=blob_enabled)
        backend = self._note(self._api.backend())
        if not version or not stage_passed(info.observed) or not stage_passed(backend.observed):
            return False
        projects = self._note(self._api.projects())
        if not stage_passed(projects.observed):
            return False
        self._control_project = documents.first_id(projects.document)
        return self._open_project() and self._control_read("control_read")

    def _open_project(self) -> bool:
        name = self._settings.project or f"probe-{uuid.uuid4().hex[:12]}"
        wanted = str(uuid.uuid4())
        reply = self._note(self._api.create_project(wanted, name))
        if reply.observed.succeeded:
            tenant = documents.text(reply.document, "tenant_id")
            self._project = _Project(documents.text(reply.document, "id") or wanted, name, tenant, created=True)
            return True
        if reply.observed.status != 409:
            return False
        found = self._note(self._api.projects("project_lookup", name=name))
        self._project = _Project(documents.first_id(found.document), name)
        return bool(self._project.id)

    def _control_read(self, stage: str) -> bool:
        reply = self._note(self._api.query_runs(stage, self._control_project or self._project.id))
        if stage_passed(reply.observed):
            return True
        self._note(self._api.store_health())
        if stage.endswith("_after"):
            self._note(self._api.projects("auth_after"))
        return False

    def _send(self) -> bool:
        self._sample_queue()
        now = datetime.now(UTC)
        root, child = trace.small_trace(now, os.urandom(36))
        if not self._ingest("post_small", [root, child]):
            return False
        self._register("root", root)
        self._register("child", child)
        if self._evidence.blob_enabled:
            large = trace.large_trace(now, os.urandom(10 + trace.LARGE_INPUT_BYTES))
            if self._ingest("post_large", [large]):
                self._register("large", large)
        self._note(self._post("repeat", "post", [root, child]))
        self._ingest("patch_small", [root, child])
        if "large" in self._sent:
            self._ingest("patch_large", [self._sent["large"]])
        return True

    def _ingest(self, stage: str, runs: list[trace.Run]) -> bool:
        if self._passes(self._post(stage, "post" if stage.startswith("post") else "patch", runs)):
            return True
        self._note(self._api.info("info_after"))
        return False

    def _post(self, stage: str, operation: trace.Operation, runs: list[trace.Run]) -> Reply:
        content_type, body = trace.encode_multipart(runs, operation, self._project.id, uuid.uuid4().hex)
        return self._api.ingest(stage, content_type, body)

    def _register(self, role: Role, run: trace.Run) -> None:
        self._sent[role] = run
        self._accepted[role] = self._api.clock()
        self._runs[role] = SentRun(
            role=role,
            run_id=run.id,
            inputs_hash=trace.payload_hash(run.inputs),
            outputs_hash=trace.payload_hash(run.outputs),
            attachment_hash=hashlib.sha256(run.attachments[0].content).hexdigest() if run.attachments else "",
        )

    def _await(self) -> None:
        started = self._api.clock()
        pause = self._settings.wait_sleep
        sampled = 0.0
        while True:
            reply = self._poll()
            waited = self._api.clock() - started
            if self._nothing_left() or waited >= self._settings.wait_timeout:
                break
            if waited - sampled >= self._settings.wait_timeout / 4:
                self._sample_queue()
                sampled = waited
            time.sleep(min(pause, max(self._settings.wait_timeout - waited, 0.01)))
            pause = min(pause * 1.25, self._settings.wait_sleep * PAUSE_GROWTH)
        self._note(reply)
        self._evidence = replace(self._evidence, waited=waited)
        if not all_complete(self._runs.values()):
            self._sample_queue()
            self._control_read("control_read_after")
        self._count_children()

    def _nothing_left(self) -> bool:
        patched = self._evidence.ok("patch_small") and ("large" not in self._runs or self._evidence.ok("patch_large"))
        if patched:
            return all_complete(self._runs.values())
        return all(run.visible_after is not None for run in self._runs.values())

    def _poll(self) -> Reply:
        reply = self._api.query_runs("read", self._project.id, ids=[run.run_id for run in self._runs.values()])
        found = documents.runs_by_id(reply.document)
        root = self._runs["root"]
        if root.run_id not in found:
            # The second door: a run that a query misses may be readable by its id.
            single = self._api.run("read_single", root.run_id)
            if single.observed.succeeded and documents.text(single.document, "id") == root.run_id:
                found[root.run_id] = single.document
        for role, run in self._runs.items():
            if run.run_id in found:
                self._see(role, run, found[run.run_id])
        return reply

    def _see(self, role: str, run: SentRun, document: dict[str, Any]) -> None:
        since = self._api.clock() - self._accepted[role]
        status = documents.text(document, "status")
        complete = run.complete_after
        if complete is None and status == "success":
            complete = since
        self._runs[role] = replace(
            run,
            visible_after=since if run.visible_after is None else run.visible_after,
            complete_after=complete,
            status=status,
            received=documents.text(document, "trace_first_received_at") or run.received,
            inserted=documents.text(document, "inserted_at") or run.inserted,
        )

    def _count_children(self) -> None:
        if self._runs["root"].visible_after is None:
            return
        root, child = self._runs["root"].run_id, self._runs["child"].run_id
        counts = []
        for _attempt in range(3):
            reply = self._api.query_runs("children", self._project.id, ids=[root, child], is_root=False)
            counts.append(len(documents.runs_by_id(reply.document)))
        self._evidence = replace(self._evidence, children=tuple(counts))

    def _fetch(self) -> None:
        for role, run in self._runs.items():
            if run.visible_after is None:
                continue
            reply = self._note(self._api.run(f"fetch_{role}", run.run_id))
            if not reply.observed.succeeded or not isinstance(reply.document, dict):
                continue
            if role == "root":
                self._root_document = reply.document
            self._runs[role] = replace(
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
        reply = self._note(self._api.download(f"download_{name}", address))
        return trace.payload_hash(reply.document) if reply.observed.succeeded and reply.document is not None else None

    def _attachment(self, document: dict[str, Any]) -> str | None:
        address = documents.blob_address(document, "attachment.probe")
        if not address:
            return ""
        reply = self._note(self._api.download("download_attachment", address))
        return hashlib.sha256(reply.body).hexdigest() if reply.observed.succeeded else None

    def _sample_queue(self) -> None:
        if self._queue is not None:
            sample = self._queue.sample(self._api.clock())
            self._evidence = replace(self._evidence, queue=(*self._evidence.queue, sample))

    def _clean_up(self) -> None:
        if self._settings.keep or not self._project.id:
            return
        if self._project.created:
            self._project.removed = self._note(self._api.delete_project(self._project.id)).observed.succeeded
        elif self._accepted:
            traces = [run.run_id for role, run in self._runs.items() if role != "child"]
            self._note(self._api.delete_traces(self._project.id, traces))

    def _trace_url(self, root: SentRun | None) -> str:
        if root is None:
            return ""
        path = documents.text(self._root_document, "app_path")
        if not path and self._project.tenant:
            path = f"/o/{self._project.tenant}/projects/p/{self._project.id}/r/{root.run_id}"
        return f"{self._api.endpoint.url}{path}" if path else ""


def probe(
    endpoint: Endpoint, authorization: dict[str, str], connection: Mapping[str, Any], settings: Settings
) -> Outcome:
    """One probe of the installation at ``endpoint``.

    ``authorization`` are the headers that say who calls, ``connection`` keywords of ``HttpClient``, which raises
    ValueError for what it cannot use.
    """
    http = HttpClient(endpoint.origin, **connection)
    place = Place(endpoint.url, "{}:{}".format(*http.address), settings.namespace, settings.release)
    queue = _queue(settings.queue_metrics_url, connection) if settings.queue_metrics_url else None
    try:
        return TraceProbe(LangSmith(http, endpoint, authorization), place, settings, queue).run()
    finally:
        http.close()


def _queue(url: str, connection: Mapping[str, Any]) -> QueueCounters:
    # The counters are on an address of their own, so neither the other's connect_to nor its certificates hold there.
    times = {name: connection[name] for name in ("connect_timeout", "timeout")}
    parts = urlsplit(url)
    return QueueCounters(HttpClient(url, **times), f"{parts.path or '/'}?{parts.query}")
