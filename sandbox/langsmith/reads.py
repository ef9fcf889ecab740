# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stand-in for LangSmith's read path: runs out of ClickHouse, their payloads out of the bucket."""

from __future__ import annotations

import base64
import binascii
import json
import uuid
from dataclasses import dataclass
from typing import Any

from sandbox.langsmith import blobs, filters, log, times, tokens
from sandbox.langsmith.clickhouse import ClickHouse
from sandbox.langsmith.database import Database
from sandbox.langsmith.web import HttpError

MOST = 100
DOWNLOAD_SECONDS = 3600
NOT_FOUND = {"detail": "Run not found"}
# RunSchema demands these whatever `select` names.
ALWAYS = {"id", "name", "run_type", "trace_id", "dotted_order", "status", "session_id", "app_path", "start_time"}
LARGE = ("inputs", "outputs", "events", "extra", "error", "serialized")
# Only answered when asked for by name.
ON_REQUEST = {"inserted_at"}


@dataclass
class Reads:
    """The stores that reads need."""

    database: Database
    clickhouse: ClickHouse
    bucket: blobs.Bucket | None
    salt: str

    def one(self, tenant: str, run_id: str) -> dict[str, Any]:
        """A run with its payloads; HttpError 404 until its row is in ClickHouse."""
        found = self._select(tenant, ["id = {id:UUID}"], {"id": _uuid(run_id)}, "", 1, 0)
        if not found:
            raise HttpError(404, NOT_FOUND)
        children = self.clickhouse.rows(
            "SELECT id, parent_run_id AS parent FROM runs FINAL WHERE tenant_id ="
            " {tenant:UUID} AND trace_id = {trace:UUID} AND id != {id:UUID}"
            " AND startsWith(dotted_order, {order:String})",
            {"tenant": tenant, "trace": found[0]["trace_id"], "order": found[0]["dotted_order"], "id": run_id},
        )
        shown = self._shown(tenant, found, None)[0]
        shown["child_run_ids"] = [child["id"] for child in children]
        shown["direct_child_run_ids"] = [child["id"] for child in children if child["parent"] == shown["id"]]
        return shown

    def query(self, tenant: str, body: dict[str, Any]) -> dict[str, Any]:
        """A page of runs; `limit` over 100 is cut, as the cursor leads on."""
        conditions, parameters = self._conditions(body)
        limit = max(1, min(int(body.get("limit") or MOST), MOST))
        offset = _offset(body.get("cursor"))
        direction = "ASC" if body.get("order") == "asc" else "DESC"
        found = self._select(
            tenant, conditions, parameters, f"ORDER BY start_time {direction}, id {direction}", limit + 1, offset
        )
        following = base64.urlsafe_b64encode(str(offset + limit).encode()).decode() if len(found) > limit else None
        shown = self._shown(tenant, found[:limit], body.get("select"))
        return {"runs": shown, "cursors": {"next": following, "prev": None}, "parsed_query": None}

    def stats(self, tenant: str, body: dict[str, Any]) -> dict[str, Any]:
        """Counts and latencies over the runs that a query would find."""
        conditions, parameters = self._conditions(body)
        where = " AND ".join(["tenant_id = {tenant:UUID}", *conditions])
        found = self.clickhouse.rows(
            "SELECT count() AS run_count, quantile(0.5)(dateDiff('millisecond', start_time, end_time)) / 1000 AS"  # noqa: S608  (column names of ours and placeholders)
            " latency_p50, quantile(0.99)(dateDiff('millisecond', start_time, end_time)) / 1000 AS latency_p99,"
            " sum(total_tokens) AS total_tokens, countIf(status = 'error') / greatest(count(), 1) AS error_rate,"
            f" max(start_time) AS last_run_start_time FROM runs FINAL WHERE {where}",
            {"tenant": tenant, **parameters},
        )[0]
        return {**found, "last_run_start_time": times.naive(found["last_run_start_time"]), "feedback_stats": {}}

    def delete(self, tenant: str, column: str, values: list[str]) -> None:
        """Drop the rows of traces or projects; ClickHouse does it in its own time."""
        self.clickhouse.everywhere(
            f"DELETE FROM runs WHERE tenant_id = {{tenant:UUID}} AND {column} IN {{values:Array(UUID)}}",  # noqa: S608  (column names of ours and placeholders)
            {"tenant": tenant, "values": [_uuid(value) for value in values]},
        )

    def _conditions(self, body: dict[str, Any]) -> tuple[list[str], dict[str, Any]]:
        conditions: list[str] = []
        parameters: dict[str, Any] = {}
        for name, column in (("session", "session_id"), ("id", "id"), ("reference_example", "reference_example_id")):
            if body.get(name):
                conditions.append(f"{column} IN {{{name}:Array(UUID)}}")
                parameters[name] = [_uuid(value) for value in body[name]]
        for name, column in (("trace", "trace_id"), ("parent_run", "parent_run_id")):
            if body.get(name):
                conditions.append(f"{column} = {{{name}:UUID}}")
                parameters[name] = _uuid(body[name])
        for name, sign in (("start_time", ">="), ("end_time", "<=")):
            if body.get(name):
                conditions.append(f"start_time {sign} parseDateTime64BestEffort({{{name}:String}}, 6, 'UTC')")
                parameters[name] = str(body[name])
        _plain_conditions(body, conditions, parameters)
        return conditions, parameters

    def _select(
        self, tenant: str, conditions: list[str], parameters: dict[str, Any], order: str, limit: int, offset: int
    ) -> list[dict[str, Any]]:
        where = " AND ".join(["tenant_id = {tenant:UUID}", *conditions])
        return self.clickhouse.rows(
            f"SELECT * FROM runs FINAL WHERE {where} {order} LIMIT {limit} OFFSET {offset}",  # noqa: S608  (column names of ours and placeholders)
            {"tenant": tenant, **parameters},
        )

    def _shown(self, tenant: str, found: list[dict[str, Any]], select: list[str] | None) -> list[dict[str, Any]]:
        wanted = set(select) if select else None
        stats = self._feedback_stats(tenant, [row["id"] for row in found])
        return [self._run(tenant, row, wanted, stats.get(row["id"], {})) for row in found]

    def _run(self, tenant: str, row: dict[str, Any], wanted: set[str] | None, stats: dict[str, Any]) -> dict[str, Any]:
        pointers: dict[str, dict[str, str]] = json.loads(row["s3_urls"]) if row["s3_urls"] else {}
        shown: dict[str, Any] = {
            **{name: row[name] for name in ("id", "session_id", "trace_id", "parent_run_id", "dotted_order", "name")},
            **{name: row[name] for name in ("run_type", "status", "tags", "reference_example_id", "trace_tier")},
            **{name: row[name] for name in ("prompt_tokens", "completion_tokens", "total_tokens", "ttl_seconds")},
            **{name: times.naive(row[name]) for name in ("start_time", "end_time", "trace_first_received_at")},
            "inserted_at": times.naive(row["inserted_at"]),
            "app_path": f"/o/{tenant}/projects/p/{row['session_id']}/r/{row['id']}",
            "parent_run_ids": [part[-36:] for part in row["dotted_order"].split(".")[:-1]],
            "feedback_stats": stats,
            "s3_urls": self._links(pointers),
            "inputs_s3_urls": self._links({name: p for name, p in pointers.items() if name == "inputs"}),
            "outputs_s3_urls": self._links({name: p for name, p in pointers.items() if name == "outputs"}),
        }
        for name in LARGE:
            if wanted is None or name in wanted:
                shown[name] = self._payload(name, row, pointers)
        if wanted is None:
            return {name: value for name, value in shown.items() if name not in ON_REQUEST}
        return {name: value for name, value in shown.items() if name in wanted | ALWAYS}

    def _payload(self, name: str, row: dict[str, Any], pointers: dict[str, dict[str, str]]) -> Any:
        if name not in pointers:
            text = row[name]
            return text if name == "error" else json.loads(text) if text else None
        if self.bucket is None:
            return None
        try:
            return json.loads(self.bucket.get(pointers[name]["key"]))
        except blobs.BlobError as exc:
            # The run is shown without it: a lost object must not hide the rest of a trace.
            log.error("cannot read payload from blob storage", run_id=row["id"], field=name, error=str(exc))
            return None

    def _links(self, pointers: dict[str, dict[str, str]]) -> dict[str, dict[str, str]] | None:
        links = {}
        for name, pointer in pointers.items():
            claims = {"key": pointer["key"], "mime_type": pointer["mime_type"]}
            token = tokens.issue(self.salt, claims, DOWNLOAD_SECONDS)
            link = f"/api/v1/public/download?jwt={token}"
            links[name] = {"presigned_url": link, "mime_type": pointer["mime_type"]}
        return links or None

    def _feedback_stats(self, tenant: str, run_ids: list[str]) -> dict[str, dict[str, Any]]:
        if not run_ids:
            return {}
        found: dict[str, dict[str, Any]] = {}
        for row in self.database.rows(
            "SELECT run_id::text AS run, key, count(*) AS n, avg(score) AS average FROM feedback WHERE tenant_id ="
            " %(tenant)s AND run_id = ANY(%(runs)s::uuid[]) GROUP BY 1, 2",
            {"tenant": tenant, "runs": run_ids},
        ):
            found.setdefault(row["run"], {})[row["key"]] = {"n": row["n"], "avg": row["average"]}
        return found


def _uuid(value: object) -> str:
    try:
        return str(uuid.UUID(str(value)))
    except ValueError as exc:
        raise HttpError(422, {"detail": f"{value!r} is not a UUID"}) from exc


def _offset(cursor: object) -> int:
    try:
        return int(base64.urlsafe_b64decode(str(cursor))) if cursor else 0
    except (ValueError, binascii.Error) as exc:
        raise HttpError(422, {"detail": "invalid cursor"}) from exc


def _plain_conditions(body: dict[str, Any], conditions: list[str], parameters: dict[str, Any]) -> None:
    if body.get("run_type"):
        conditions.append("run_type = {run_type:String}")
        parameters["run_type"] = body["run_type"]
    for name, column in (("is_root", "is_root"), ("error", "status = 'error'")):
        if body.get(name) is not None:
            conditions.append(f"({column}) = {str(bool(body[name])).lower()}")
    if body.get("filter"):
        found, added = filters.condition(str(body["filter"]))
        conditions.append(found)
        parameters |= added
