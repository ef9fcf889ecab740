# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""LangSmith's HTTP API, one function per call, each answer kept as evidence."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

from ansible_collections.langsmith.aws.plugins.module_utils.clients.http_client import HttpClient
from ansible_collections.langsmith.aws.plugins.module_utils.clients.observing import observe
from ansible_collections.langsmith.aws.plugins.module_utils.domain.answers import Observed
from ansible_collections.langsmith.aws.plugins.module_utils.domain.langsmith import Endpoint

#: What a query has to name to get it: the last two tell how long the run waited to be stored.
QUERY_FIELDS = ("id", "status", "parent_run_id", "trace_first_received_at", "inserted_at")


@dataclass(frozen=True)
class Reply:
    """An answer as evidence, with its JSON document (``None`` where there is none) and its bytes."""

    observed: Observed
    document: Any = None
    body: bytes = b""


class LangSmith:
    """Calls of one installation by one caller. ``clock`` starts with it; nothing is repeated and no call raises.

    ``authorization`` are the headers that say who calls, such as ``x-api-key``.
    """

    def __init__(self, http: HttpClient, endpoint: Endpoint, authorization: dict[str, str]) -> None:
        self._http = http
        self.endpoint = endpoint
        self._authorization = authorization
        self._started = time.monotonic()

    def clock(self) -> float:
        """Seconds since this object was made."""
        return time.monotonic() - self._started

    @property
    def names_workspace(self) -> bool:
        """Whether the caller names a workspace."""
        return any(name.lower() == "x-tenant-id" for name in self._authorization)

    def unused_proxy(self) -> str:
        """The proxy that the environment names for this installation, and that is not used."""
        return self._http.unused_proxy()

    def front_door(self) -> Reply:
        """``GET /health``: the frontend's own answer."""
        return self._call("front_door", "GET", f"{self.endpoint.base}/health", anonymous=True)

    def info(self, stage: str = "info") -> Reply:
        """``GET /info``: version and flags, by platform-backend, which an installation may keep to those with a key."""
        return self._call(stage, "GET", f"{self.endpoint.api}/info")

    def me(self) -> Reply:
        """``GET /me``: whose key it is, looked up by platform-backend."""
        return self._call("me", "GET", f"{self.endpoint.api}/me")

    def backend(self) -> Reply:
        """``GET /ok``, by backend."""
        return self._call("backend", "GET", f"{self.endpoint.api}/ok", anonymous=True)

    def store_health(self) -> Reply:
        """``GET /info/health``: free space of ClickHouse, read by backend without a key."""
        return self._call("store_health", "GET", f"{self.endpoint.api}/info/health", anonymous=True)

    def redis_read(self) -> Reply:
        """``GET /metrics/queue/default``: counts of backend's own jobs, which it reads from Redis without a key."""
        return self._call("redis_read", "GET", f"{self.endpoint.api}/metrics/queue/default", anonymous=True)

    def projects(self, stage: str = "auth", **query: str) -> Reply:
        """``GET /sessions``: projects, one at most."""
        return self._call(stage, "GET", f"{self.endpoint.api}/sessions?{urlencode({'limit': 1, **query})}")

    def without_workspace(self, stage: str) -> Reply:
        """``GET /sessions`` in the key's own workspace, whatever workspace the caller names otherwise."""
        headers = {name: value for name, value in self._authorization.items() if name.lower() != "x-tenant-id"}
        return self._call(stage, "GET", f"{self.endpoint.api}/sessions?limit=1", headers=headers, anonymous=True)

    def create_project(self, project_id: str, name: str) -> Reply:
        """``POST /sessions`` with an id of ours."""
        document = {"id": project_id, "name": name, "description": "Written and removed by langsmith.aws", "extra": {}}
        return self._call("project", "POST", f"{self.endpoint.api}/sessions", document=document)

    def query_runs(self, stage: str, project_id: str, *, ids: Sequence[str] = (), is_root: bool | None = None) -> Reply:
        """``POST /runs/query``: by id, or the first one of the project."""
        document: dict[str, Any] = {"session": [project_id], "select": list(QUERY_FIELDS), "limit": max(len(ids), 1)}
        if ids:
            document["id"] = list(ids)
        if is_root is not None:
            document["is_root"] = is_root
        return self._call(stage, "POST", f"{self.endpoint.api}/runs/query", document=document)

    def ingest(self, stage: str, content_type: str, body: bytes, encoding: str = "") -> Reply:
        """``POST /runs/multipart``; ``encoding`` names how the body is compressed."""
        path = f"{self.endpoint.api}/runs/multipart"
        headers = {"Content-Type": content_type, **({"Content-Encoding": encoding} if encoding else {})}
        return self._call(stage, "POST", path, body=body, headers=headers)

    def run(self, stage: str, run_id: str) -> Reply:
        """``GET /runs/{id}``: the run with its payloads."""
        return self._call(stage, "GET", f"{self.endpoint.api}/runs/{run_id}")

    def update_run(self, stage: str, run_id: str, document: dict[str, Any]) -> Reply:
        """``PATCH /runs/{id}``: an update of a run, queued by backend."""
        return self._call(stage, "PATCH", f"{self.endpoint.api}/runs/{run_id}", document=document)

    def create_feedback(self, run_id: str, trace_id: str, feedback_id: str) -> Reply:
        """``POST /feedback``: a score on a run."""
        document = {
            "id": feedback_id,
            "run_id": run_id,
            "trace_id": trace_id,
            "key": "langsmith.aws probe",
            "score": 1.0,
            "feedback_source": {"type": "api"},
        }
        return self._call("feedback", "POST", f"{self.endpoint.api}/feedback", document=document)

    def feedback(self, run_id: str) -> Reply:
        """``GET /feedback``: what was said of a run."""
        return self._call("feedback_listed", "GET", f"{self.endpoint.api}/feedback?{urlencode({'run': run_id})}")

    def delete_feedback(self, feedback_id: str) -> Reply:
        """``DELETE /feedback/{id}``."""
        return self._call("cleanup", "DELETE", f"{self.endpoint.api}/feedback/{feedback_id}")

    def download(self, stage: str, address: str) -> Reply:
        """A payload by the address that a run gave for it, without a key as the address is one itself."""
        try:
            origin, path = self.endpoint.resolve(address)
            elsewhere = None if self._http.is_for(origin) else self._http.for_origin(origin)
        except ValueError as error:
            request, reason = f"GET {address.partition('?')[0][:200]}", f"this is no address: {error}"
            return Reply(Observed(stage, request, phase="address", reason=reason, at=self.clock()))
        if elsewhere is None:
            return self._call(stage, "GET", path, anonymous=True)
        try:
            return self._call(stage, "GET", path, anonymous=True, http=elsewhere)
        finally:
            elsewhere.close()

    def delete_project(self, project_id: str) -> Reply:
        """``DELETE /sessions/{id}``; the runs in it are removed some time later."""
        # The id is a server's.
        return self._call("cleanup", "DELETE", f"{self.endpoint.api}/sessions/{quote(project_id, safe='')}")

    def delete_traces(self, project_id: str, trace_ids: Sequence[str]) -> Reply:
        """``POST /runs/delete``: traces of a project that stays."""
        document = {"session_id": project_id, "trace_ids": list(trace_ids)}
        return self._call("cleanup", "POST", f"{self.endpoint.api}/runs/delete", document=document)

    def login(self, email: str, password: str) -> Reply:
        """``POST /login`` by basic authentication: ``access_token``."""
        token = base64.b64encode(f"{email}:{password}".encode()).decode()
        headers = {"Authorization": f"Basic {token}"}
        return self._call("login", "POST", f"{self.endpoint.api}/login", document={}, headers=headers, anonymous=True)

    def workspaces(self) -> Reply:
        """``GET /workspaces``: those that the caller sees."""
        return self._call("workspaces", "GET", f"{self.endpoint.api}/workspaces")

    def create_key(self, description: str) -> Reply:
        """``POST /api-key``: a service key of the workspace; ``key`` is in this one answer only."""
        document = {"description": description, "read_only": False}
        return self._call("api_key", "POST", f"{self.endpoint.api}/api-key", document=document)

    def _call(
        self,
        stage: str,
        method: str,
        path: str,
        *,
        document: Any = None,
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
        anonymous: bool = False,
        http: HttpClient | None = None,
    ) -> Reply:
        client = http or self._http
        sent = {"Accept": "application/json", **({} if anonymous else self._authorization), **(headers or {})}
        if document is not None:
            body = json.dumps(document).encode()
            sent["Content-Type"] = "application/json"
        observed, answer = observe(client, stage, method, path, headers=sent, body=body, clock=self.clock)
        if answer is None:
            return Reply(observed)
        try:
            return Reply(observed, answer.json(), answer.body)
        except ValueError:
            return Reply(observed, None, answer.body)


def connect(endpoint: Endpoint, authorization: dict[str, str], connection: Mapping[str, Any]) -> LangSmith:
    """The installation at ``endpoint``; ``connection`` are keywords of ``HttpClient``. Raises ValueError for them."""
    return LangSmith(HttpClient(endpoint.origin, **connection), endpoint, authorization)
