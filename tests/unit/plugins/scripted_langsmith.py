# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A script of LangSmith's answers in memory, enough for a trace probe, with faults that a test switches on.

It stands in for an installation where a test is about the probe; it stores nothing and speaks no SDK.
"""

from __future__ import annotations

import base64
import email.parser
import email.policy
import json
import uuid
from collections.abc import Callable
from typing import Any

import zstandard

from tests.unit.plugins.scripted import Asked, Said, said

KEY = "lsv2_sk_" + "5" * 32
EMAIL = "admin@example.com"
PASSWORD = "correct horse battery staple"
TENANT = "11111111-1111-4111-8111-111111111111"

Fault = Callable[[Asked], Said | None]

NOT_FOUND = said({"detail": "Run not found"}, 404)


class ScriptedLangSmith:
    """Called with a request, gives the answer. ``faults`` are asked first; the first that answers wins.

    ``visible`` decides which posted runs can be read, ``stored`` may change a run's document before it is read.
    """

    def __init__(self, *faults: Fault, blob_storage: bool = True) -> None:
        self.faults = list(faults)
        self.blob_storage = blob_storage
        self.keys = {KEY}
        self.projects: dict[str, str] = {}
        self.runs: dict[str, dict[str, Any]] = {}
        self.files: dict[str, bytes] = {}
        self.operations: set[tuple[str, ...]] = set()
        self.visible: Callable[[dict[str, Any]], bool] = lambda run: True
        self.stored: Callable[[dict[str, Any]], dict[str, Any]] = lambda run: run
        self.workspaces = [{"id": TENANT, "display_name": "Workspace 1"}]
        self.deleted: list[str] = []
        self.feedback: list[dict[str, Any]] = []
        self.encodings: list[str] = []

    def __call__(self, asked: Asked) -> Said:
        for fault in self.faults:
            answer = fault(asked)
            if answer is not None:
                return answer
        if asked.path == "/health":
            return Said(body=b"ok", content_type="text/plain")
        route = asked.path.removeprefix("/api/v1/").split("/")
        name = f"{asked.method.lower()}_{'_'.join(route[:2])}".replace("-", "_")
        handler = getattr(self, name, None) or getattr(self, f"{asked.method.lower()}_{route[0]}_by_id", None)
        if handler is None:
            return Said(404, b"<html>page</html>", "text/html")
        if route[0] not in ("info", "ok", "login", "public", "metrics") and not self._knows(asked):
            return said({"detail": "Invalid token"}, 401)
        return handler(asked)

    def _knows(self, asked: Asked) -> bool:
        bearer = asked.headers.get("authorization", "") == "Bearer token-of-admin"
        return bearer or asked.headers.get("x-api-key") in self.keys

    def get_info(self, _asked: Asked) -> Said:
        return said({"version": "0.12.44", "instance_flags": {"blob_storage_enabled": self.blob_storage}})

    def get_info_health(self, _asked: Asked) -> Said:
        return said({"clickhouse_disk_free_pct": 71.5})

    def get_metrics_queue(self, _asked: Asked) -> Said:
        return said({"queued": 0, "active": 0, "scheduled": 0})

    def get_me(self, _asked: Asked) -> Said:
        return said({"tenant_id": TENANT})

    def patch_runs_by_id(self, asked: Asked) -> Said:
        run = self.runs.setdefault(asked.path.rpartition("/")[2], {})
        run.update({**asked.json, "status": "success"})
        return said({"message": "Run updated"})

    def get_ok(self, _asked: Asked) -> Said:
        return said({"ok": True})

    def get_sessions(self, asked: Asked) -> Said:
        wanted = asked.query.get("name", [None])[0]
        found = [{"id": key, "name": name} for key, name in self.projects.items() if wanted in (None, name)]
        return said(found[:1])

    def post_sessions(self, asked: Asked) -> Said:
        if asked.json["name"] in self.projects.values():
            return said({"detail": "Session already exists."}, 409)
        self.projects[asked.json["id"]] = asked.json["name"]
        return said({"id": asked.json["id"], "tenant_id": TENANT, "name": asked.json["name"]})

    def delete_sessions_by_id(self, asked: Asked) -> Said:
        self.projects.pop(asked.path.rpartition("/")[2], None)
        self.deleted.append(asked.path)
        return said({})

    def post_runs_delete(self, asked: Asked) -> Said:
        self.deleted += asked.json["trace_ids"]
        return said({})

    def post_feedback(self, asked: Asked) -> Said:
        self.feedback.append(asked.json)
        return said(asked.json)

    def get_feedback(self, asked: Asked) -> Said:
        return said([entry for entry in self.feedback if entry["run_id"] in asked.query["run"]])

    def delete_feedback_by_id(self, asked: Asked) -> Said:
        wanted = asked.path.rpartition("/")[2]
        known = [entry for entry in self.feedback if entry["id"] == wanted]
        self.feedback = [entry for entry in self.feedback if entry["id"] != wanted]
        return said({}) if known else said({"detail": "Feedback not found"}, 404)

    def post_runs_multipart(self, asked: Asked) -> Said:
        self.encodings.append(asked.headers.get("content-encoding", ""))
        parts = _parts(asked)
        wanted = {tuple(name.split(".")[:2]) for name in parts if not name.startswith("attachment.")}
        if wanted & self.operations:
            return said({"error": "Conflict: payload already received: payloads already received"}, 409)
        self.operations |= wanted
        for name, content in parts.items():
            self._take(name.split("."), content)
        return said({"message": "Runs batch ingested"}, 202)

    def _take(self, name: list[str], content: bytes) -> None:
        run = self.runs.setdefault(name[1], {"status": "pending"})
        if name[0] == "attachment":
            token = uuid.uuid4().hex
            self.files[token] = content
            run.setdefault("s3_urls", {})[f"attachment.{name[2]}"] = {
                "presigned_url": f"/api/v1/public/download?jwt={token}"
            }
        elif len(name) == 3:
            run[name[2]] = json.loads(content)
        else:
            run.update(json.loads(content))
            run["status"] = "success" if name[0] == "patch" else "pending"

    def post_runs_query(self, asked: Asked) -> Said:
        wanted = asked.json.get("id") or []
        found = [self._shown(run) for key, run in self.runs.items() if key in wanted and self.visible(run)]
        if "is_root" in asked.json:
            found = [run for run in found if (run.get("parent_run_id") is None) is asked.json["is_root"]]
        return said({"runs": [{**run, "inputs": None, "outputs": None} for run in found], "cursors": {"next": None}})

    def get_runs_by_id(self, asked: Asked) -> Said:
        run = self.runs.get(asked.path.rpartition("/")[2])
        return said(self._shown(run)) if run is not None and self.visible(run) else NOT_FOUND

    def _shown(self, run: dict[str, Any]) -> dict[str, Any]:
        times = {"trace_first_received_at": "2026-11-21T10:00:00.000000", "inserted_at": "2026-11-21T10:00:00.000100"}
        path = {"app_path": f"/o/{TENANT}/projects/p/{run.get('session_id')}/r/{run.get('id')}"}
        return self.stored({**times, **path, **run})

    def get_public_download(self, asked: Asked) -> Said:
        content = self.files.get(asked.query["jwt"][0])
        return Said(404) if content is None else Said(body=content, content_type="application/octet-stream")

    def post_login(self, asked: Asked) -> Said:
        wanted = "Basic " + base64.b64encode(f"{EMAIL}:{PASSWORD}".encode()).decode()
        if asked.headers.get("authorization") != wanted:
            return said({"detail": "Invalid email or password"}, 401)
        return said({"access_token": "token-of-admin"})

    def get_workspaces(self, _asked: Asked) -> Said:
        return said(self.workspaces)

    def post_api_key(self, asked: Asked) -> Said:
        if asked.headers.get("x-tenant-id") != TENANT:
            return said({"error": "org_scoped_key_requires_workspace"}, 403)
        self.keys.add(key := f"lsv2_sk_{uuid.uuid4().hex}")
        return said({"id": str(uuid.uuid4()), "short_key": f"{key[:6]}...", "key": key, **asked.json})


def on(method: str, path: str, answer: Said | Callable[[Asked], Said | None]) -> Fault:
    """A fault for one call; an ending ``*`` in the path stands for anything."""

    def fault(asked: Asked) -> Said | None:
        fits = asked.path.startswith(path[:-1]) if path.endswith("*") else asked.path == path
        if asked.method != method or not fits:
            return None
        return answer if isinstance(answer, Said) else answer(asked)

    return fault


def ingests(asked: Asked, operation: str, *, large: bool) -> bool:
    """Whether a request is that kind of ingestion: of the small trace or the one with a large payload."""
    if asked.path != "/api/v1/runs/multipart":
        return False
    parts = _parts(asked)
    names = [name for name in parts if name.startswith(f"{operation}.") and name.count(".") == 1]
    return bool(names) and (len(names) == 1) is large


def _parts(asked: Asked) -> dict[str, bytes]:
    head = f"Content-Type: {asked.headers['content-type']}\r\n\r\n".encode()
    body = asked.body
    if asked.headers.get("content-encoding") == "zstd":
        body = zstandard.ZstdDecompressor().decompressobj().decompress(body)
    message = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(head + body)
    parts = {}
    for part in message.iter_parts():
        name = part.get_param("name", header="content-disposition")
        content = part.get_payload(decode=True)
        assert isinstance(name, str)
        assert isinstance(content, bytes)
        parts[name] = content
    return parts
