# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stand-in for the chart's hook Jobs: both migrations, the first administrator, the backfill gate, the trace test."""

from __future__ import annotations

import http.client
import json
import os
import time
import uuid
from typing import Any
from urllib.parse import urlsplit

import psycopg

from sandbox.langsmith import environment, log, order, schema, startup, times, tokens
from sandbox.langsmith.environment import required

TRACE_SECONDS = 90.0
PAUSE_SECONDS = 0.5


def migrate_postgres() -> int:
    """The Job backend-migrations."""
    database = startup.postgres()
    log.info("postgres is migrated", version=schema.migrate_postgres(database))
    return 0


def migrate_clickhouse() -> int:
    """The Job backend-ch-migrations."""
    clickhouse = startup.clickhouse()
    log.info("clickhouse is migrated", version=schema.migrate_clickhouse(clickhouse))
    return 0


def bootstrap() -> int:
    """The Job backend-auth-bootstrap: organization, workspace and administrator, once."""
    environment.secrets()
    database = startup.postgres()
    email = required("INITIAL_ORG_ADMIN_EMAIL").lower()
    row = database.row("SELECT id FROM organizations ORDER BY created_at LIMIT 1")
    if row is None:
        name = os.environ.get("INITIAL_ORG_NAME") or "Default"
        row = database.row(
            "INSERT INTO organizations (id, display_name) VALUES (%(id)s, %(name)s) RETURNING id",
            {"id": uuid.uuid4(), "name": name},
        )
        log.info("organization made", name=name)
    organization = (row or {})["id"]
    if database.row("SELECT id FROM tenants LIMIT 1") is None:
        name = os.environ.get("DEFAULT_WORKSPACE_NAME") or "Workspace 1"
        database.rows(
            "INSERT INTO tenants (id, organization_id, display_name) VALUES (%(id)s, %(organization)s, %(name)s)",
            {"id": uuid.uuid4(), "organization": organization, "name": name},
        )
        log.info("workspace made", name=name)
    if environment.flag("BASIC_AUTH_ENABLED"):
        _administrator(database, organization, email)
    return 0


def _administrator(database: Any, organization: object, email: str) -> None:
    # An administrator who changed the password must not get the initial one back.
    made = database.row(
        "INSERT INTO users (id, email, hashed_password, organization_id, is_admin) VALUES (%(id)s, %(email)s,"
        " %(password)s, %(organization)s, true) ON CONFLICT (email) DO NOTHING RETURNING id",
        {
            "id": uuid.uuid4(),
            "email": email,
            "password": tokens.hashed_password(required("INITIAL_ORG_ADMIN_PASSWORD")),
            "organization": organization,
        },
    )
    log.info("administrator made" if made else "administrator is there", email=email)


def check_backfills() -> int:
    """The Job backend-backfill-check: refuses an upgrade while data is still being moved."""
    database = startup.postgres()
    try:
        rows = database.rows("SELECT name, status FROM backfills WHERE status <> 'completed' ORDER BY name")
    except psycopg.errors.UndefinedTable:
        rows = []
    for row in rows:
        log.error("backfill is not complete", backfill=row["name"], status=row["status"])
    if not rows:
        log.info("no backfill blocks the upgrade", version=os.environ.get("LANGSMITH_APP_VERSION", ""))
    return 1 if rows else 0


def test_trace() -> int:
    """The Job e2e-test: a trace in by platform-backend and out by backend."""
    secrets = environment.secrets()
    row = startup.postgres().row("SELECT id, organization_id FROM tenants ORDER BY created_at LIMIT 1")
    if row is None:
        log.error("there is no workspace; has auth-bootstrap run?")
        return 1
    claims = {"tenant_id": str(row["id"]), "organization_id": str(row["organization_id"]), "sub": "e2e-test"}
    headers = {
        "X-Service-Key": tokens.issue(secrets.service_secret, claims, 600),
        "Content-Type": "application/json",
    }
    run_id, now = str(uuid.uuid4()), times.now()
    run = {
        "id": run_id,
        "trace_id": run_id,
        "dotted_order": order.segment(now, run_id),
        "name": "e2e-test",
        "run_type": "chain",
        "session_name": "e2e-test",
        "start_time": times.zoned(now),
        "end_time": times.zoned(times.now()),
        "inputs": {"question": "ping"},
        "outputs": {"answer": "pong"},
    }
    deadline = time.monotonic() + TRACE_SECONDS
    body = json.dumps({"post": [run], "patch": []}).encode()
    sent = f"{required('GO_ENDPOINT')}/runs/batch"
    read = f"{required('SMITH_BACKEND_ENDPOINT')}/api/v1/runs/{run_id}"
    # 409: an earlier attempt got through although its answer was lost.
    if not _until(deadline, "POST", sent, headers, body, {202, 409}) or not _until(
        deadline, "GET", read, headers, b"", {200}
    ):
        return 1
    log.info("trace was stored and read back", run_id=run_id)
    return 0


def _until(deadline: float, method: str, url: str, headers: dict[str, str], body: bytes, wanted: set[int]) -> bool:
    parts = urlsplit(url)
    seen = ""
    while time.monotonic() < deadline:
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=10)
        try:
            connection.request(method, parts.path, body, headers)
            answer = connection.getresponse()
            seen = f"{answer.status} {answer.read()[:200].decode(errors='replace')}"
            if answer.status in wanted:
                return True
        except (OSError, http.client.HTTPException) as exc:
            seen = str(exc) or type(exc).__name__
        finally:
            connection.close()
        time.sleep(PAUSE_SECONDS)
    log.error("trace test failed", request=f"{method} {url}", seen=seen)
    return False
