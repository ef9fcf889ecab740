# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stand-in for platform-backend, the Go service that takes in runs (port 1986)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from sandbox.langsmith import blobs, environment, multipart, queues, startup, times, tokens, web
from sandbox.langsmith.access import Access
from sandbox.langsmith.ingest import Ingest
from sandbox.langsmith.reads import Reads
from sandbox.langsmith.web import HttpError, Request, Response

PORT = 1986
LICENSE_DAYS = 365
# Version 2 of the API looks back this far unless told otherwise.
LOOK_BACK = timedelta(hours=24)
BATCH_CONFIG = {
    "use_multipart_endpoint": True,
    "scale_up_qsize_trigger": 1000,
    "scale_up_nthreads_limit": 16,
    "scale_down_nempty_trigger": 4,
    "size_limit": 100,
    "size_limit_bytes": 20971520,
}
GAUGES = ("pending", "active", "retry", "archived")


class PlatformBackend:
    """The routes, over the stores."""

    def __init__(self) -> None:
        self.secrets = environment.secrets()
        expiry = environment.runs_expiry_seconds()
        database, redis = startup.postgres(), startup.redis()
        clickhouse = startup.clickhouse()
        self.queues = {name: queues.Queue(redis, name, expiry) for name in ("ingestion", "feedback", "adhoc")}
        self.bucket = blobs.Bucket.from_environment() if blobs.enabled() else None
        self.access = Access(database, self.secrets)
        self.ingest = Ingest(
            database,
            redis,
            self.queues[queues.INGESTION],
            self.queues[queues.FEEDBACK],
            self.bucket,
            environment.retention(),
        )
        self.reads = Reads(database, clickhouse, self.bucket, self.secrets.api_key_salt)

    def router(self) -> web.Router:
        """Paths as nginx hands them over, without /api/v1."""
        router = web.Router()
        router.add("GET", "/ok", lambda _: Response({"status": "ok"}))
        router.add("GET", "/info", self.info)
        router.add("GET", "/metrics", self.metrics)
        router.add("POST", "/runs/multipart", self.multipart)
        router.add("POST", "/runs/batch", self.batch)
        router.add("POST", "/runs", self.create)
        router.add("PATCH", "/runs/{run_id}", self.update)
        router.add("GET", "/me", self.me)
        router.add("GET", "/public/download", self.download)
        router.add("POST", "/v2/runs/query", self.query_v2)
        router.add("GET", "/v2/runs/{run_id}", self.read_v2)
        router.add("POST", "/v1/metadata/submit", lambda _: Response({}, 200))
        return router

    def info(self, request: Request) -> Response:
        """What the SDK asks once: version, batch limits, what the server can do."""
        if environment.flag("FF_INFO_ENDPOINT_AUTH_REQUIRED"):
            self.access(request)
        stored = self.bucket is not None
        expires = times.now() + timedelta(days=LICENSE_DAYS)
        return Response(
            {
                "version": environment.version(),
                "license_expiration_time": times.naive(expires),
                "batch_ingest_config": BATCH_CONFIG,
                "instance_flags": {
                    "blob_storage_enabled": stored,
                    "s3_storage_enabled": stored,
                    "zstd_compression_enabled": True,
                    "gzip_body_enabled": True,
                    "examples_multipart_enabled": False,
                    "dataset_examples_multipart_enabled": False,
                    "search_enabled": environment.flag("FF_CH_SEARCH_ENABLED"),
                    "org_creation_disabled": environment.flag("FF_ORG_CREATION_DISABLED"),
                },
                "customer_info": {"customer_id": "sandbox", "customer_name": "sandbox"},
            }
        )

    def metrics(self, request: Request) -> Response:
        """Queue depths, as KEDA reads them in JSON and Prometheus as text."""
        depths = {f"{name}_queue": queue.depth() for name, queue in self.queues.items()}
        if request.first("format") == "json":
            return Response(depths)
        lines = []
        for name, depth in depths.items():
            for gauge in GAUGES:
                lines += [
                    f"# TYPE langsmith_asynq_{name}_{gauge} gauge",
                    f"langsmith_asynq_{name}_{gauge} {depth[gauge]}",
                ]
        return web.text("\n".join(lines) + "\n")

    def multipart(self, request: Request) -> Response:
        """Runs and feedback as multipart parts; 202 means queued in Redis."""
        caller = self.access(request)
        body = multipart.decoded(request.body, request.headers.get("Content-Encoding", ""))
        self.ingest(caller, multipart.read_multipart(body, request.headers.get("Content-Type", "")))
        return Response({"message": "Runs batch ingested"}, 202)

    def batch(self, request: Request) -> Response:
        """Runs as one JSON document."""
        caller = self.access(request)
        request.body = multipart.decoded(request.body, request.headers.get("Content-Encoding", ""))
        self.ingest(caller, multipart.read_batch(request.json()))
        return Response({"message": "Runs batch ingested"}, 202)

    def create(self, request: Request) -> Response:
        """One run."""
        operation = multipart.operation_of("post", request.json(), "run")
        self.ingest(self.access(request), multipart.Batch([operation]))
        return Response({"message": "Run created"}, 202)

    def update(self, request: Request) -> Response:
        """One run's update, by platform-backend's own route."""
        operation = multipart.operation_of("patch", {**request.json(), "id": request.arguments["run_id"]}, "run")
        self.ingest(self.access(request), multipart.Batch([operation]))
        return Response({"message": "Run updated"}, 202)

    def me(self, request: Request) -> Response:
        """Who the credentials are."""
        caller = self.access(request)
        return Response(
            {"user_id": caller.user_id, "organization_id": caller.organization_id, "tenant_id": caller.tenant_id}
        )

    def download(self, request: Request) -> Response:
        """An object of the bucket, for whoever holds the link."""
        try:
            claims = tokens.verify(self.secrets.api_key_salt, request.first("jwt"))
        except tokens.TokenError as exc:
            raise HttpError(403, {"error": "Forbidden"}) from exc
        if self.bucket is None:
            raise HttpError(404, {"error": "Not found"})
        return Response(self.bucket.get(str(claims["key"])), 200, str(claims["mime_type"]))

    def query_v2(self, request: Request) -> Response:
        """Runs by version 2 of the API."""
        body = request.json()
        try:
            found = self.reads.query(self.access(request).tenant, _version_1(body))
        except HttpError as exc:
            raise _problem(exc) from exc
        selects = [str(name).lower() for name in _list(body.get("selects"))]
        following = found["cursors"]["next"]
        items = [_version_2(run, selects) for run in found["runs"]]
        return Response({"items": items, "next_cursor": following, "has_more": following is not None})

    def read_v2(self, request: Request) -> Response:
        """One run by version 2 of the API."""
        try:
            run = self.reads.one(self.access(request).tenant, request.arguments["run_id"])
        except HttpError as exc:
            raise _problem(exc) from exc
        return Response(_version_2(run, [name.lower() for name in request.query.get("selects", [])]))


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _version_1(body: dict[str, Any]) -> dict[str, Any]:
    since = body.get("min_start_time") or times.zoned(times.now() - LOOK_BACK)
    return {
        "session": body.get("project_ids"),
        "id": body.get("ids"),
        "trace": body.get("trace_id"),
        "is_root": body.get("is_root"),
        "run_type": str(body["run_type"]).lower() if body.get("run_type") else None,
        "error": body.get("has_error"),
        "filter": body.get("filter"),
        "start_time": since,
        "end_time": body.get("max_start_time"),
        "limit": body.get("page_size"),
        "cursor": body.get("cursor"),
    }


def _version_2(run: dict[str, Any], selects: list[str]) -> dict[str, Any]:
    shown = {name: value for name, value in run.items() if name in {"id", *selects}}
    for name in ("status", "run_type"):
        if name in shown:
            shown[name] = str(shown[name]).upper()
    return shown


def _problem(exc: HttpError) -> HttpError:
    """An error as RFC 7807 has it."""
    detail = exc.body.get("detail") or exc.body.get("error") if isinstance(exc.body, dict) else exc.body
    return HttpError(exc.status, {"type": "about:blank", "title": detail, "status": exc.status, "detail": detail})


def main() -> int:
    """Serve until told to stop."""
    router = PlatformBackend().router()
    return web.run([web.Server(environment.address(default=PORT), router)])
