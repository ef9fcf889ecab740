# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stand-in for the images' ClickHouse access: its HTTP interface, a connection for each thread."""

from __future__ import annotations

import http.client
import json
import os
import ssl
import threading
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from sandbox.langsmith import log
from sandbox.langsmith.environment import flag, required

TIMEOUT_SECONDS = 30.0


class ClickHouseError(Exception):
    """ClickHouse cannot be reached or refused a statement."""


@dataclass(frozen=True)
class Credentials:
    """Where ClickHouse is and who asks."""

    host: str
    port: int
    user: str
    password: str
    database: str
    tls: bool
    # The cluster whose servers all hold the same rows; empty where there is one server.
    cluster: str = ""


class ClickHouse:
    """Statements for one ClickHouse; safe to share between threads."""

    def __init__(self, credentials: Credentials) -> None:
        self.credentials = credentials
        self._local = threading.local()

    @classmethod
    def from_environment(cls) -> ClickHouse:
        """The ClickHouse that the chart names."""
        return cls(
            Credentials(
                required("CLICKHOUSE_HOST"),
                int(required("CLICKHOUSE_PORT")),
                required("CLICKHOUSE_USER"),
                os.environ.get("CLICKHOUSE_PASSWORD", ""),
                required("CLICKHOUSE_DB"),
                flag("CLICKHOUSE_TLS"),
                os.environ.get("CLICKHOUSE_CLUSTER", ""),
            )
        )

    def __str__(self) -> str:
        return f"{self.credentials.host}:{self.credentials.port}"

    def _connection(self) -> http.client.HTTPConnection:
        found: http.client.HTTPConnection | None = getattr(self._local, "connection", None)
        if found is None:
            known = self.credentials
            if known.tls:
                found = http.client.HTTPSConnection(
                    known.host, known.port, timeout=TIMEOUT_SECONDS, context=_tls_context()
                )
            else:
                found = http.client.HTTPConnection(known.host, known.port, timeout=TIMEOUT_SECONDS)
            self._local.connection = found
        return found

    def _post(self, body: bytes, options: dict[str, str]) -> bytes:
        known = self.credentials
        headers = {
            "X-ClickHouse-User": known.user,
            "X-ClickHouse-Key": known.password,
            "Content-Type": "application/octet-stream",
        }
        target = "/?" + urlencode({"database": known.database, "date_time_output_format": "iso", **options})
        for attempt in (1, 2):
            connection = self._connection()
            kept = connection.sock is not None
            try:
                connection.request("POST", target, body, headers)
                answer = connection.getresponse()
                data = answer.read()
            except (OSError, http.client.HTTPException) as exc:
                connection.close()
                if kept and attempt == 1 and not isinstance(exc, TimeoutError):
                    continue
                raise ClickHouseError(f"cannot reach ClickHouse at {self}: {exc or type(exc).__name__}") from exc
            if answer.status != 200:
                raise ClickHouseError(f"ClickHouse answered {answer.status}: {data.decode(errors='replace')[:400]}")
            return data
        raise ClickHouseError(f"cannot reach ClickHouse at {self}")

    def command(self, statement: str, parameters: dict[str, object] | None = None) -> bytes:
        """Run a statement, with `{name:Type}` placeholders filled by the server."""
        return self._post(statement.encode(), {f"param_{k}": _parameter(v) for k, v in (parameters or {}).items()})

    def rows(self, statement: str, parameters: dict[str, object] | None = None) -> list[dict[str, Any]]:
        """What a SELECT returns."""
        data = self.command(statement + " FORMAT JSONEachRow", parameters)
        return [json.loads(line) for line in data.splitlines() if line]

    def replicas(self) -> list[ClickHouse]:
        """Each server of the cluster on its own, or this one where there is none; ClickHouseError for a wrong name.

        Stands for ON CLUSTER, which needs Keeper.
        """
        known = self.credentials
        if not known.cluster:
            return [self]
        found = self.rows(
            "SELECT DISTINCT host_name AS host FROM system.clusters WHERE cluster = {cluster:String} ORDER BY host",
            {"cluster": known.cluster},
        )
        if not found:
            raise ClickHouseError(f"Requested cluster '{known.cluster}' not found")
        return [ClickHouse(replace(known, host=row["host"])) for row in found]

    def everywhere(self, statement: str, parameters: dict[str, object] | None = None) -> None:
        """Run a statement on each server; one that is away does not hear of it, which is logged."""
        failures = []
        replicas = self.replicas()
        for replica in replicas:
            try:
                replica.command(statement, parameters)
            except ClickHouseError as exc:
                failures.append(exc)
        if len(failures) == len(replicas):
            raise failures[0]
        for failure in failures:
            log.warning("a replica missed a statement", error=str(failure))

    def insert(self, table: str, rows: list[dict[str, Any]]) -> None:
        """Insert rows; returns when ClickHouse has them."""
        body = "\n".join([f"INSERT INTO {table} FORMAT JSONEachRow", *(json.dumps(row, default=str) for row in rows)])
        # A worker that must not wait is asked for by CLICKHOUSE_ASYNC_INSERT_WAIT_PCT_FLOAT=0.
        wait = "0" if os.environ.get("CLICKHOUSE_ASYNC_INSERT_WAIT_PCT_FLOAT", "1") in {"0", "0.0"} else "1"
        self._post(body.encode(), {"date_time_input_format": "best_effort", "wait_for_async_insert": wait})


def _tls_context() -> ssl.SSLContext:
    """What a client trusts: the image's public authorities, among which the sandbox's stands for the public ones."""
    context = ssl.create_default_context()
    ours = Path(os.environ.get("LANGSMITH_SANDBOX_STATE") or "/none") / "ca" / "ca.crt"
    if ours.exists() and not os.environ.get("SSL_CERT_FILE"):
        context.load_verify_locations(ours)
    return context


def _parameter(value: object) -> str:
    """A value as the HTTP interface wants it; lists hold UUIDs or other words without quotes."""
    if isinstance(value, list):
        return "[" + ",".join("'" + str(item).replace("\\", "\\\\").replace("'", "\\'") + "'" for item in value) + "]"
    return str(value).replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n")
