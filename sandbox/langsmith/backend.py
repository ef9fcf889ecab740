# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stand-in for backend, the Python service that serves reads, projects, feedback, people and keys (port 1984)."""

from __future__ import annotations

import base64
import binascii
import json
import uuid
from typing import Any
from urllib.parse import parse_qs

import psycopg

from sandbox.langsmith import blobs, environment, multipart, queues, saq, startup, times, tokens, web
from sandbox.langsmith.access import Access, Caller, new_key
from sandbox.langsmith.ingest import Ingest
from sandbox.langsmith.reads import Reads
from sandbox.langsmith.web import HttpError, Request, Response

PORT = 1984
MOST = 100
SESSION_NOT_FOUND = {"detail": "Session not found"}
FEEDBACK_NOT_FOUND = {"detail": "Feedback not found"}


class Backend:
    """The routes, over the stores."""

    def __init__(self) -> None:
        self.secrets = environment.secrets()
        self.database, self.redis = startup.postgres(), startup.redis()
        self.clickhouse = startup.clickhouse()
        expiry = environment.runs_expiry_seconds()
        bucket = blobs.Bucket.from_environment() if blobs.enabled() else None
        self.access = Access(self.database, self.secrets)
        self.reads = Reads(self.database, self.clickhouse, bucket, self.secrets.api_key_salt)
        self.ingest = Ingest(
            self.database,
            self.redis,
            queues.Queue(self.redis, queues.INGESTION, expiry),
            queues.Queue(self.redis, queues.FEEDBACK, expiry),
            bucket,
            environment.retention(),
        )

    def router(self) -> web.Router:
        """All paths; what belongs to the API is below /api/v1."""
        router = web.Router()
        for path in ("/ok", "/health", "/api/v1/ok", "/api/v1/health"):
            router.add("GET", path, lambda _: Response({"ok": True}))
        for path in ("/info/health", "/api/v1/info/health"):
            router.add("GET", path, self.store_health)
        for path in ("/metrics/queue/{name}", "/api/v1/metrics/queue/{name}"):
            router.add("GET", path, self.queue_depth)
        router.add("GET", "/metrics", lambda _: web.text("# TYPE langsmith_backend_up gauge\nlangsmith_backend_up 1\n"))
        for method, path, handler in (
            ("POST", "/runs/query", self.query_runs),
            ("POST", "/runs/stats", self.run_stats),
            ("POST", "/runs/delete", self.delete_runs),
            ("GET", "/runs/{run_id}", self.read_run),
            ("PATCH", "/runs/{run_id}", self.update_run),
            ("POST", "/login", self.login),
            ("GET", "/settings", self.settings),
        ):
            router.add(method, "/api/v1" + path, handler)
        Projects(self).routes(router)
        Feedback(self).routes(router)
        People(self).routes(router)
        return router

    def store_health(self, _: Request) -> Response:
        """How much of ClickHouse's disk is free, in percent."""
        found = self.clickhouse.rows(
            "SELECT min(100 * unreserved_space / total_space) AS free FROM system.disks WHERE total_space > 0"
        )
        return Response({"clickhouse_disk_free_pct": found[0]["free"] if found else None})

    def queue_depth(self, request: Request) -> Response:
        """Counts of a queue of background jobs."""
        return Response(saq.depth(self.redis, request.arguments["name"]))

    def query_runs(self, request: Request) -> Response:
        """A page of runs."""
        return Response(self.reads.query(self.access(request).tenant, request.json()))

    def run_stats(self, request: Request) -> Response:
        """Sums over runs."""
        return Response(self.reads.stats(self.access(request).tenant, request.json()))

    def delete_runs(self, request: Request) -> Response:
        """Drop traces."""
        tenant = self.access(request).writing().tenant
        wanted = request.json().get("trace_ids")
        if not isinstance(wanted, list) or not wanted:
            raise HttpError(400, {"detail": "trace_ids is required"})
        self.reads.delete(tenant, "trace_id", [str(value) for value in wanted])
        return Response({"message": "Runs deleted"})

    def read_run(self, request: Request) -> Response:
        """One run; 404 until ClickHouse has it."""
        return Response(self.reads.one(self.access(request).tenant, request.arguments["run_id"]))

    def update_run(self, request: Request) -> Response:
        """One run's update; it goes through the queue as ingest does."""
        operation = multipart.operation_of("patch", {**request.json(), "id": request.arguments["run_id"]}, "run")
        self.ingest(self.access(request), multipart.Batch([operation]))
        return Response({"message": "Run updated"})

    def login(self, request: Request) -> Response:
        """E-mail and password for an access token: HTTP basic, a form, or JSON."""
        if not environment.flag("BASIC_AUTH_ENABLED"):
            raise HttpError(400, {"detail": "Basic auth is not enabled"})
        email, password = _credentials(request)
        return Response({"access_token": self.access.login(email, password), "token_type": "bearer"})

    def settings(self, request: Request) -> Response:
        """The workspace, as prompts ask for it."""
        row = self.database.row("SELECT * FROM tenants WHERE id = %(id)s", {"id": self.access(request).tenant})
        if row is None:
            raise HttpError(404, {"detail": "Tenant not found"})
        return Response({name: row[name] for name in ("id", "display_name", "created_at", "tenant_handle")})


class Projects:
    """Tracing projects, which the API calls sessions."""

    def __init__(self, backend: Backend) -> None:
        self.access, self.database, self.reads = backend.access, backend.database, backend.reads
        self.tier = environment.retention().tier

    def routes(self, router: web.Router) -> None:
        """Add what is below /sessions."""
        router.add("POST", "/api/v1/sessions", self.create)
        router.add("GET", "/api/v1/sessions", self.list)
        router.add("GET", "/api/v1/sessions/{id}", self.read)
        router.add("PATCH", "/api/v1/sessions/{id}", self.update)
        router.add("DELETE", "/api/v1/sessions/{id}", self.delete)

    def create(self, request: Request) -> Response:
        """A project, by the id that the client chose; 409 when the name is taken."""
        tenant = self.access(request).writing().tenant
        body = request.json()
        upsert = request.first("upsert").lower() == "true"
        taken = "UPDATE SET extra = excluded.extra, description = excluded.description" if upsert else "NOTHING"
        row = self.database.row(
            "INSERT INTO tracer_session (id, tenant_id, name, description, extra, start_time, reference_dataset_id,"  # noqa: S608  (column names of ours and placeholders)
            " trace_tier) VALUES (%(id)s, %(tenant)s, %(name)s, %(description)s, %(extra)s,"
            " coalesce(%(start)s::timestamptz, now()), %(dataset)s, %(tier)s)"
            f" ON CONFLICT (tenant_id, name) DO {taken} RETURNING *",
            {
                "id": body.get("id") or uuid.uuid4(),
                "tenant": tenant,
                "name": body.get("name") or "default",
                "description": body.get("description"),
                "extra": _json(body.get("extra")),
                "start": body.get("start_time"),
                "dataset": body.get("reference_dataset_id"),
                "tier": body.get("trace_tier") or self.tier,
            },
        )
        if row is None:
            raise HttpError(409, {"detail": "Session already exists."})
        return Response(_session(row))

    def list(self, request: Request) -> Response:
        """Projects, newest first; statistics come out of ClickHouse unless they are not wanted."""
        tenant = self.access(request).tenant
        conditions, parameters = ["tenant_id = %(tenant)s"], {"tenant": tenant, "limit": MOST, "offset": 0}
        for name, text in (
            ("name", "name = %(name)s"),
            ("name_contains", "name ILIKE '%%' || %(name_contains)s || '%%'"),
        ):
            if request.first(name):
                conditions.append(text)
                parameters[name] = request.first(name)
        for name, column in (("id", "id"), ("reference_dataset", "reference_dataset_id")):
            if request.query.get(name):
                conditions.append(f"{column} = ANY(%({name})s::uuid[])")
                parameters[name] = request.query[name]
        if request.first("reference_free").lower() == "true":
            conditions.append("reference_dataset_id IS NULL")
        for name in ("limit", "offset"):
            if request.first(name).isdigit():
                parameters[name] = int(request.first(name))
        rows = self.database.rows(
            f"SELECT * FROM tracer_session WHERE {' AND '.join(conditions)} ORDER BY start_time DESC, id"  # noqa: S608  (column names of ours and placeholders)
            " LIMIT least(%(limit)s, 100) OFFSET %(offset)s",
            parameters,
        )
        wanted = request.first("include_stats", "false").lower() == "true"
        return Response([self._with_stats(tenant, row) if wanted else _session(row) for row in rows])

    def read(self, request: Request) -> Response:
        """One project."""
        tenant = self.access(request).tenant
        row = self._row("SELECT * FROM tracer_session WHERE id = %(id)s AND tenant_id = %(tenant)s", tenant, request)
        wanted = request.first("include_stats", "false").lower() == "true"
        return Response(self._with_stats(tenant, row) if wanted else _session(row))

    def update(self, request: Request) -> Response:
        """Change a project's name, description, extra or end."""
        body = request.json()
        row = self._row(
            "UPDATE tracer_session SET name = coalesce(%(name)s, name), description = coalesce(%(description)s,"
            " description), extra = coalesce(%(extra)s, extra), end_time = coalesce(%(end)s::timestamptz, end_time)"
            " WHERE id = %(id)s AND tenant_id = %(tenant)s RETURNING *",
            self.access(request).writing().tenant,
            request,
            {
                "name": body.get("name"),
                "description": body.get("description"),
                "extra": _json(body.get("extra")),
                "end": body.get("end_time"),
            },
        )
        return Response(_session(row))

    def delete(self, request: Request) -> Response:
        """Drop a project; its runs go later."""
        tenant = self.access(request).writing().tenant
        row = self._row(
            "DELETE FROM tracer_session WHERE id = %(id)s AND tenant_id = %(tenant)s RETURNING *", tenant, request
        )
        self.reads.delete(tenant, "session_id", [str(row["id"])])
        self.database.rows("DELETE FROM feedback WHERE session_id = %(id)s", {"id": row["id"]})
        return Response({"message": "Session deleted"})

    def _row(self, statement: str, tenant: str, request: Request, more: dict[str, Any] | None = None) -> dict[str, Any]:
        parameters = {"id": _uuid(request.arguments["id"]), "tenant": tenant, **(more or {})}
        row = self.database.row(statement, parameters)
        if row is None:
            raise HttpError(404, SESSION_NOT_FOUND)
        return row

    def _with_stats(self, tenant: str, row: dict[str, Any]) -> dict[str, Any]:
        return {**_session(row), **self.reads.stats(tenant, {"session": [row["id"]], "is_root": True})}


class Feedback:
    """Scores and comments on runs, read from Postgres; new ones arrive through the queue."""

    def __init__(self, backend: Backend) -> None:
        self.access, self.database, self.ingest = backend.access, backend.database, backend.ingest

    def routes(self, router: web.Router) -> None:
        """Add what is below /feedback."""
        router.add("POST", "/api/v1/feedback", self.create)
        router.add("GET", "/api/v1/feedback", self.list)
        router.add("GET", "/api/v1/feedback/{id}", self.read)
        router.add("PATCH", "/api/v1/feedback/{id}", self.update)
        router.add("DELETE", "/api/v1/feedback/{id}", self.delete)

    def create(self, request: Request) -> Response:
        """Queue a feedback; answers what will be stored."""
        tenant = self.access(request).writing().tenant
        body = request.json()
        if not body.get("key"):
            raise HttpError(422, {"detail": "key is required"})
        document = {**body, "id": str(body.get("id") or uuid.uuid4())}
        self.ingest.queue_feedback(tenant, document)
        now = times.naive(times.now())
        return Response({"created_at": now, "modified_at": now, **document})

    def list(self, request: Request) -> Response:
        """Feedback of runs, newest first."""
        conditions = ["tenant_id = %(tenant)s"]
        parameters: dict[str, Any] = {"tenant": self.access(request).tenant, "limit": MOST, "offset": 0}
        for name, text in (
            ("run", "run_id = ANY(%(run)s::uuid[])"),
            ("session", "session_id = ANY(%(session)s::uuid[])"),
            ("key", "key = ANY(%(key)s)"),
            ("source", "feedback_source ->> 'type' = ANY(%(source)s)"),
        ):
            if request.query.get(name):
                conditions.append(text)
                parameters[name] = request.query[name]
        for name in ("limit", "offset"):
            if request.first(name).isdigit():
                parameters[name] = int(request.first(name))
        rows = self.database.rows(
            f"SELECT * FROM feedback WHERE {' AND '.join(conditions)} ORDER BY created_at DESC, id"  # noqa: S608  (column names of ours and placeholders)
            " LIMIT least(%(limit)s, 100) OFFSET %(offset)s",
            parameters,
        )
        return Response([_feedback(row) for row in rows])

    def read(self, request: Request) -> Response:
        """One feedback."""
        return self._one("SELECT * FROM feedback WHERE id = %(id)s AND tenant_id = %(tenant)s", request)

    def update(self, request: Request) -> Response:
        """Change a feedback."""
        body = request.json()
        return self._one(
            "UPDATE feedback SET score = coalesce(%(score)s, score), value = coalesce(%(value)s, value), comment ="
            " coalesce(%(comment)s, comment), correction = coalesce(%(correction)s, correction), modified_at = now()"
            " WHERE id = %(id)s AND tenant_id = %(tenant)s RETURNING *",
            request,
            {
                "score": body.get("score"),
                "value": _json(body.get("value")),
                "comment": body.get("comment"),
                "correction": _json(body.get("correction")),
            },
        )

    def delete(self, request: Request) -> Response:
        """Drop a feedback."""
        self._one("DELETE FROM feedback WHERE id = %(id)s AND tenant_id = %(tenant)s RETURNING *", request)
        return Response({"message": "Feedback deleted"})

    def _one(self, statement: str, request: Request, more: dict[str, Any] | None = None) -> Response:
        caller = self.access(request)
        tenant = caller.tenant if request.method == "GET" else caller.writing().tenant
        row = self.database.row(statement, {"id": _uuid(request.arguments["id"]), "tenant": tenant, **(more or {})})
        if row is None:
            raise HttpError(404, FEEDBACK_NOT_FOUND)
        return Response(_feedback(row))


class People:
    """Organizations, workspaces and API keys."""

    def __init__(self, backend: Backend) -> None:
        self.access, self.database, self.secrets = backend.access, backend.database, backend.secrets

    def routes(self, router: web.Router) -> None:
        """Add what is below /orgs, /workspaces and /api-key."""
        router.add("GET", "/api/v1/orgs", self.organizations)
        router.add("GET", "/api/v1/orgs/current", self.organization)
        router.add("GET", "/api/v1/orgs/current/info", self.organization)
        for path in ("/api/v1/workspaces", "/api/v1/tenants"):
            router.add("GET", path, self.workspaces)
            router.add("POST", path, self.create_workspace)
        for path, kind in (
            ("/api/v1/api-key", tokens.SERVICE),
            ("/api/v1/orgs/current/service-keys", tokens.SERVICE),
            ("/api/v1/orgs/current/personal-access-tokens", tokens.PERSONAL),
        ):
            organization_wide = kind == tokens.SERVICE and path.startswith("/api/v1/orgs")
            router.add("POST", path, lambda r, k=kind, o=organization_wide: self.create_key(r, k, o))  # type: ignore[misc]
            router.add("GET", path, lambda r, k=kind: self.keys(r, k))  # type: ignore[misc]
            router.add("DELETE", path + "/{id}", self.delete_key)

    def organizations(self, request: Request) -> Response:
        """The caller's organization, as a list."""
        return Response([self._organization(self.access(request))])

    def organization(self, request: Request) -> Response:
        """The caller's organization."""
        return Response(self._organization(self.access(request)))

    def _organization(self, caller: Caller) -> dict[str, Any]:
        row = self.database.row("SELECT * FROM organizations WHERE id = %(id)s", {"id": caller.organization_id})
        if row is None:
            raise HttpError(404, {"detail": "Organization not found"})
        return {"id": row["id"], "display_name": row["display_name"], "is_personal": row["is_personal"]}

    def workspaces(self, request: Request) -> Response:
        """The workspaces of the caller's organization, oldest first."""
        rows = self.database.rows(
            "SELECT * FROM tenants WHERE organization_id = %(id)s ORDER BY created_at, id",
            {"id": self.access(request).organization_id},
        )
        return Response([_workspace(row) for row in rows])

    def create_workspace(self, request: Request) -> Response:
        """One more workspace."""
        caller = self.access(request).writing()
        row = self.database.row(
            "INSERT INTO tenants (id, organization_id, display_name) VALUES (%(id)s, %(organization)s, %(name)s)"
            " RETURNING *",
            {
                "id": uuid.uuid4(),
                "organization": caller.organization_id,
                "name": request.json().get("display_name") or "Workspace",
            },
        )
        return Response(_workspace(row or {}))

    def create_key(self, request: Request, kind: str, organization_wide: bool) -> Response:
        """An API key; a person's own key needs the person, an organization's key may name one default workspace."""
        caller, body = self.access(request).writing(), request.json()
        if kind == tokens.PERSONAL and not caller.person:
            raise HttpError(403, {"detail": "Forbidden"})
        tenant: Any = caller.tenant_id
        if organization_wide or kind == tokens.PERSONAL:
            listed = body.get("workspaces")
            tenant = body.get("default_workspace_id") or (listed[0] if isinstance(listed, list) and listed else tenant)
        elif tenant is None:
            tenant = caller.tenant
        return Response(new_key(self.database, self.secrets, caller, kind, body, tenant))

    def keys(self, request: Request, kind: str) -> Response:
        """The keys of a kind, never the keys themselves."""
        caller = self.access(request)
        rows = self.database.rows(
            "SELECT id, short_key, description, created_at, expires_at, last_used_at, read_only FROM api_keys WHERE"
            " organization_id = %(organization)s AND service = %(service)s AND (%(tenant)s::uuid IS NULL OR tenant_id"
            " IS NULL OR tenant_id = %(tenant)s::uuid) ORDER BY created_at, id",
            {
                "organization": caller.organization_id,
                "service": kind == tokens.SERVICE,
                "tenant": caller.tenant_id,
            },
        )
        return Response(rows)

    def delete_key(self, request: Request) -> Response:
        """Void a key."""
        row = self.database.row(
            "DELETE FROM api_keys WHERE id = %(id)s AND organization_id = %(organization)s RETURNING id, short_key,"
            " description, created_at",
            {
                "id": _uuid(request.arguments["id"]),
                "organization": self.access(request).writing().organization_id,
            },
        )
        if row is None:
            raise HttpError(404, {"detail": "API key not found"})
        return Response(row)


def _credentials(request: Request) -> tuple[str, str]:
    header = request.headers.get("Authorization", "")
    if header.lower().startswith("basic "):
        try:
            email, _, password = base64.b64decode(header[6:]).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError) as exc:
            raise HttpError(401, {"detail": "Invalid email or password"}) from exc
        return email, password
    if request.headers.get_content_type() == "application/x-www-form-urlencoded":
        form = parse_qs(request.body.decode())
        return form.get("username", [""])[0], form.get("password", [""])[0]
    body = request.json()
    return str(body.get("email") or body.get("username") or ""), str(body.get("password") or "")


def _uuid(value: str) -> str:
    try:
        return str(uuid.UUID(value))
    except ValueError as exc:
        raise HttpError(422, {"detail": f"{value!r} is not a UUID"}) from exc


def _json(value: object) -> str | None:
    return None if value is None else json.dumps(value)


def _session(row: dict[str, Any]) -> dict[str, Any]:
    shown = {name: row[name] for name in ("id", "tenant_id", "name", "description", "extra", "trace_tier")}
    shown["reference_dataset_id"] = row["reference_dataset_id"]
    return {**shown, "start_time": times.naive(row["start_time"]), "end_time": times.naive(row["end_time"])}


def _feedback(row: dict[str, Any]) -> dict[str, Any]:
    shown = {name: value for name, value in row.items() if name not in {"tenant_id", "extra"}}
    return {**shown, **{name: times.naive(row[name]) for name in ("start_time", "created_at", "modified_at")}}


def _workspace(row: dict[str, Any]) -> dict[str, Any]:
    names = ("id", "organization_id", "display_name", "tenant_handle", "created_at")
    return {**{name: row[name] for name in names}, "is_personal": False}


def main() -> int:
    """Serve until told to stop."""
    router = Backend().router()

    def routed(request: Request) -> Response:
        try:
            return router(request)
        except psycopg.DataError as exc:
            raise HttpError(422, {"detail": str(exc).splitlines()[0]}) from exc

    return web.run([web.Server(environment.address(default=PORT), routed)])
