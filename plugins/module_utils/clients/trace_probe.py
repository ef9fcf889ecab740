# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Collects the evidence of a trace probe: sends a trace, has it read back, removes it."""

from __future__ import annotations

import hashlib
import os
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

from ansible_collections.langsmith.aws.plugins.module_utils.clients.cluster_state import Cluster
from ansible_collections.langsmith.aws.plugins.module_utils.clients.http_client import HttpClient, join_address
from ansible_collections.langsmith.aws.plugins.module_utils.clients.langsmith import LangSmith, Reply
from ansible_collections.langsmith.aws.plugins.module_utils.clients.probe_notebook import Notebook
from ansible_collections.langsmith.aws.plugins.module_utils.clients.trace_reading import Reading
from ansible_collections.langsmith.aws.plugins.module_utils.domain import trace
from ansible_collections.langsmith.aws.plugins.module_utils.domain.endpoint import Place
from ansible_collections.langsmith.aws.plugins.module_utils.domain.errors import ProjectError
from ansible_collections.langsmith.aws.plugins.module_utils.domain.langsmith import Endpoint, may_have_written
from ansible_collections.langsmith.aws.plugins.module_utils.domain.probe import documents
from ansible_collections.langsmith.aws.plugins.module_utils.domain.probe.evidence import (
    Evidence,
    Role,
    SentRun,
    is_lost,
    stage_passed,
)
from ansible_collections.langsmith.aws.plugins.module_utils.domain.probe.outcome import Outcome, Settings

Compressor = Callable[[bytes], bytes]


class ProbeInterruptedError(ProjectError):
    """A probe that was told to end, and has cleaned up. ``outcome`` is what it noted until then."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__("the probe was told to end before it was done; run it again")
        self.outcome = outcome


@dataclass
class _Project:
    """Where runs go. ``created``: it may be of this probe's making; ``confirmed``: an answer said that it is there."""

    id: str = ""
    name: str = ""
    tenant: str = ""
    created: bool = False
    confirmed: bool = False
    removed: bool = False


class TraceProbe:
    """One probe of one installation; ``run`` is called once and does not raise for a sick installation."""

    def __init__(
        self,
        api: LangSmith,
        place: Place,
        settings: Settings,
        cluster: Cluster | None = None,
        compressor: Compressor | None = None,
    ) -> None:
        self._api = api
        self._settings = settings
        self._compressor = compressor
        self._notes = Notebook(api, Evidence(place=place, thresholds=settings.thresholds), cluster)
        self._project = _Project()
        self._control_project = ""
        self._sent: dict[str, trace.Run] = {}
        #: The traces that may be there, whether an answer said so or none came.
        self._traces: set[str] = set()
        #: The feedback that may be there.
        self._feedback = ""
        self._root_document: Any = None

    def run(self) -> Outcome:
        """All stages as far as they lead, then the cleaning up, whatever happened.

        Raises ProbeInterruptedError after the cleaning up where KeyboardInterrupt came.
        """
        interrupted = False
        try:
            self._notes.begin_looking_inside()
            reached = self._reach()
            self._notes.look_inside()
            if reached:
                reading = Reading(self._api, self._notes, self._settings, self._project.id)
                if self._send(reading):
                    self._read_back(reading)
        except KeyboardInterrupt:
            interrupted = True
        finally:
            self._clean_up()
        if interrupted:
            raise ProbeInterruptedError(self._outcome())
        return self._outcome()

    def _outcome(self) -> Outcome:
        root, project = self._notes.runs.get("root"), self._project
        return Outcome(
            evidence=self._notes.evidence,
            wrote=project.created or bool(self._traces),
            run_id=root.run_id if root else "",
            trace_url=self._trace_url(root),
            project={"name": project.name, "id": project.id, "kept": not project.removed} if project.id else {},
            seconds=self._api.clock(),
        )

    def _reach(self) -> bool:
        notes, api = self._notes, self._api
        first = notes.note(api.front_door()).observed
        if first.phase in ("dns", "tcp"):
            notes.add(unused_proxy=api.unused_proxy())
        if first.phase in ("dns", "tcp", "tls") or (first.is_redirect and api.endpoint.is_plain):
            # What comes next has the key with it, which is for TLS where that is where the redirect leads.
            return False
        info = notes.note(api.info())
        version, flags = documents.server_facts(info.document)
        blob, zstd = flags.get("blob_storage_enabled"), flags.get("zstd_compression_enabled")
        notes.add(version=version, blob_enabled=blob, zstd_enabled=zstd)
        backend = notes.passes(api.backend())
        if not version or not stage_passed(info.observed) or not backend:
            self._ask_without_workspace(info)
            return False
        projects = notes.note(api.projects())
        if not stage_passed(projects.observed):
            self._ask_without_workspace(projects)
            if projects.observed.is_server_error or projects.observed.status is None:
                self._notes.note_stores()
            return False
        self._control_project = documents.first_id(projects.document)
        return self._open_project() and self._control_read()

    def _ask_without_workspace(self, refused: Reply) -> None:
        """The neighbour of a key that is not accepted in the workspace: the same key without it."""
        if refused.observed.status in (401, 403) and self._api.names_workspace:
            self._notes.note(self._api.without_workspace("auth_without_workspace"))

    def _open_project(self) -> bool:
        name = self._settings.project or f"probe-{uuid.uuid4().hex[:12]}"
        # The id is the probe's own, so that it can be removed where no answer tells of it.
        self._project = _Project(str(uuid.uuid4()), name, created=True)
        reply = self._notes.note(self._api.create_project(self._project.id, name))
        if reply.observed.succeeded:
            # Whatever is told of a project with another name is not this one, which may be removed in the end.
            self._project.id = documents.id_of([reply.document], name) or self._project.id
            self._project.tenant = documents.text(reply.document, "tenant_id")
            self._project.confirmed = True
        elif reply.observed.status == 409:
            found = self._notes.note(self._api.projects("project_lookup", name=name))
            known = documents.id_of(found.document, name)
            self._project.confirmed = bool(known)
            # A name that nobody else knows is taken by a request that something on the way has repeated.
            self._project.created = not self._settings.project
            self._project.id = known or (self._project.id if self._project.created else "")
        elif not may_have_written(reply.observed):
            self._project = _Project()
        return self._project.confirmed

    def _control_read(self) -> bool:
        self._control_project = self._control_project or self._project.id
        if self._notes.passes(self._api.query_runs("control_read", self._control_project)):
            return True
        self._notes.note_stores()
        self._notes.note(self._api.projects("auth_after"))
        return False

    def _send(self, reading: Reading) -> bool:
        self._notes.sample(times=True)
        now = datetime.now(UTC)
        root, child = trace.small_trace(now, os.urandom(36))
        if not self._ingest("post_small", [root, child]):
            return False
        self._register("root", root)
        self._register("child", child)
        # What is sent next takes its time, in which the trace may appear.
        reading.look()
        if self._notes.evidence.blob_enabled:
            large = trace.large_trace(now, os.urandom(10 + trace.LARGE_INPUT_BYTES))
            if self._ingest("post_large", [large]):
                self._register("large", large)
        self._notes.note(self._post("repeat", "post", [root, child]))
        self._patch("patch_small", "root", "child")
        if "large" in self._sent:
            self._patch("patch_large", "large")
        return True

    def _patch(self, stage: str, *roles: Role) -> None:
        if self._ingest(stage, [self._sent[role] for role in roles]):
            for role in roles:
                self._notes.runs[role] = replace(self._notes.runs[role], patched_at=self._api.clock())

    def _ingest(self, stage: str, runs: list[trace.Run]) -> bool:
        operation: trace.Operation = "post" if stage.startswith("post") else "patch"
        reply = self._post(stage, operation, runs)
        if self._compressor is not None and stage == "post_small" and _is_refusal(reply):
            # The same posts plain tell whether it is the encoding that is refused, and let the probe go on.
            self._notes.note(replace(reply, observed=replace(reply.observed, stage="post_compressed")))
            self._compressor = None
            reply = self._post(stage, operation, runs)
        self._notes.add(encoding="zstd" if self._compressor else "")
        if self._notes.passes(reply):
            return True
        self._notes.note(self._api.info("info_after"))
        self._notes.note(self._api.projects("auth_after"))
        self._notes.note_stores()
        if stage.endswith("_small") and is_lost(reply.observed):
            self._try_the_other_door(runs[0])
        return False

    def _try_the_other_door(self, run: trace.Run) -> None:
        """Neighbours of an ingestion that failed: platform-backend's own look at the key, and backend's ingestion."""
        self._notes.note(self._api.me())
        patch = trace.run_fields(run, "patch", self._project.id)
        # It writes a part of the run, which has to be removed in the end.
        write = partial(self._api.update_run, "backend_write", run.id, patch)
        self._notes.note(self._writing([run], write))

    def _post(self, stage: str, operation: trace.Operation, runs: list[trace.Run]) -> Reply:
        content_type, body = trace.encode_multipart(runs, operation, self._project.id, uuid.uuid4().hex)
        if self._compressor is None:
            return self._writing(runs, partial(self._api.ingest, stage, content_type, body))
        return self._writing(runs, partial(self._api.ingest, stage, content_type, self._compressor(body), "zstd"))

    def _writing(self, runs: list[trace.Run], send: Callable[[], Reply]) -> Reply:
        """The answer to a write of these runs; their traces are noted before it, as it may be the last thing done."""
        new = {run.trace_id for run in runs} - self._traces
        self._traces |= new
        reply = send()
        if not may_have_written(reply.observed):
            self._traces -= new
        return reply

    def _register(self, role: Role, run: trace.Run) -> None:
        self._sent[role] = run
        self._notes.runs[role] = SentRun(
            role=role,
            run_id=run.id,
            inputs_hash=trace.payload_hash(run.inputs),
            outputs_hash=trace.payload_hash(run.outputs),
            attachment_hash=hashlib.sha256(run.attachments[0].content).hexdigest() if run.attachments else "",
            accepted_at=self._api.clock(),
        )

    def _read_back(self, reading: Reading) -> None:
        if not reading.poll():
            small = [self._sent["root"], self._sent["child"]]
            reading.ask_around(self._control_project, lambda: self._post("repeat_after", "post", small))
        reading.fetch()
        self._root_document = reading.root
        root = self._notes.runs["root"]
        if self._settings.feedback and root.visible_after is not None and self._send_feedback(root.run_id):
            reading.await_feedback(self._feedback)

    def _send_feedback(self, run_id: str) -> bool:
        # Noted before it is sent, as that may be the last thing done.
        self._feedback = str(uuid.uuid4())
        reply = self._api.create_feedback(run_id, run_id, self._feedback)
        if not may_have_written(reply.observed):
            self._feedback = ""
        return self._notes.passes(reply)

    def _clean_up(self) -> None:
        project = self._project
        if self._settings.keep or not project.id:
            return
        if not self._settings.project:
            project.removed = self._removed(self._api.delete_project(project.id), project.confirmed)
            return
        # Whoever named it may have others send to it, so it stays even where it is of this probe's making.
        if self._feedback:
            listed = self._notes.evidence.feedback_after is not None
            self._removed(self._api.delete_feedback(self._feedback), listed)
        if self._traces:
            self._notes.add(unsettled=self._unsettled())
            self._notes.note(self._api.delete_traces(project.id, sorted(self._traces)))

    def _unsettled(self) -> tuple[str, ...]:
        """The traces of which something may still wait to be written."""
        runs = self._notes.runs.items()
        settled = {self._sent[role].trace_id for role, _run in runs}
        settled -= {self._sent[role].trace_id for role, run in runs if run.is_awaited}
        return tuple(sorted(self._traces - settled))

    def _removed(self, reply: Reply, confirmed: bool) -> bool:
        """Whether it is gone; what no answer confirmed may never have been there."""
        never_there = reply.observed.status == 404 and not confirmed
        if never_there:
            reply = replace(reply, observed=replace(reply.observed, stage="cleanup_in_vain"))
        self._notes.note(reply)
        return reply.observed.succeeded or never_there

    def _trace_url(self, root: SentRun | None) -> str:
        if root is None:
            return ""
        path = documents.text(self._root_document, "app_path")
        if not path and self._project.tenant:
            path = f"/o/{self._project.tenant}/projects/p/{self._project.id}/r/{root.run_id}"
        return f"{self._api.endpoint.url}{path}" if path else ""


def _is_refusal(reply: Reply) -> bool:
    status = reply.observed.status
    return status is not None and 400 <= status < 500 and status not in (401, 409, 429)


def zstd() -> Compressor:
    """Compresses as LangSmith's SDK does. Raises ProjectError where the package is missing."""
    try:
        from zstandard import ZstdCompressor
    except ImportError as error:
        raise ProjectError(
            "compression zstd needs the Python package zstandard where this module runs: pip install zstandard, or "
            "set compression: none"
        ) from error
    return ZstdCompressor().compress


def probe(
    endpoint: Endpoint,
    authorization: dict[str, str],
    connection: Mapping[str, Any],
    settings: Settings,
    cluster: Cluster | None = None,
) -> Outcome:
    """One probe of the installation at ``endpoint``.

    ``authorization`` are the headers that say who calls, ``connection`` keywords of ``HttpClient``, which raises
    ValueError for what it cannot use. ``cluster`` is where to look from inside, and is closed at the end. Raises
    ProjectError where a package is missing.
    """
    http = HttpClient(endpoint.origin, **connection)
    compressor = zstd() if settings.compression == "zstd" else None
    place = Place(endpoint.url, join_address(*http.address), settings.namespace, settings.release, settings.clickhouse)
    try:
        return TraceProbe(LangSmith(http, endpoint, authorization), place, settings, cluster, compressor).run()
    finally:
        http.close()
        if cluster is not None:
            cluster.close()
