# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stand-in for the images' Postgres access: a small pool on the URL that the chart's secret gives without a scheme."""

from __future__ import annotations

import os
import queue
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import dict_row

from sandbox.langsmith.environment import SettingsError, flag, required

POOL_SIZE = 8
CONNECT_SECONDS = 15
EXAMPLE = "USER:PASSWORD@HOST:PORT/DATABASE?sslmode=require"


class Database:
    """A few connections, lent one at a time; each statement is its own transaction unless asked otherwise."""

    def __init__(self, options: dict[str, Any]) -> None:
        self.options = options
        self._idle: queue.LifoQueue[psycopg.Connection[dict[str, Any]]] = queue.LifoQueue(POOL_SIZE)

    @classmethod
    def from_environment(cls) -> Database:
        """The Postgres that the chart names; SettingsError when the URL cannot be read."""
        url = required("POSTGRES_DATABASE_URI")
        if "://" in url:
            raise SettingsError(f"POSTGRES_DATABASE_URI must have no scheme: {EXAMPLE}")
        try:
            options: dict[str, Any] = dict(conninfo_to_dict("postgres://" + url))
        except psycopg.ProgrammingError as exc:
            # libpq quotes the URL in its message, password and all.
            raise SettingsError(f"POSTGRES_DATABASE_URI must look like {EXAMPLE}") from exc
        schema = os.environ.get("POSTGRES_SCHEMA") or "public"
        if schema != "public":
            options["options"] = f"-c search_path={schema}"
        bundle = os.environ.get("SSL_CERT_FILE")
        if flag("POSTGRES_TLS") and bundle:
            options |= {"sslmode": "verify-full", "sslrootcert": bundle}
        return cls(options)

    def __str__(self) -> str:
        return f"{self.options.get('host')}:{self.options.get('port') or 5432}/{self.options.get('dbname')}"

    def _open(self) -> psycopg.Connection[dict[str, Any]]:
        options = dict(self.options)
        host = str(options.get("host") or "")
        if host and not host.startswith("/"):
            # Resolved here because libpq asks the C library, which does not know the names of a cluster.
            try:
                options["hostaddr"] = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)[0][4][0]
            except OSError as exc:
                raise psycopg.OperationalError(f"could not translate host name {host!r} to address: {exc}") from exc
        return psycopg.connect(
            **options, autocommit=True, row_factory=dict_row, connect_timeout=CONNECT_SECONDS, prepare_threshold=None
        )

    @contextmanager
    def connection(self) -> Iterator[psycopg.Connection[dict[str, Any]]]:
        """A connection; one that broke is not given back."""
        try:
            found = self._idle.get_nowait()
        except queue.Empty:
            found = self._open()
        try:
            yield found
        finally:
            if found.closed or found.broken or self._idle.full():
                found.close()
            else:
                self._idle.put(found)

    def rows(self, statement: str, parameters: dict[str, Any] | None = None) -> list[dict[str, Any]]:
        """What one statement returns; tried once more when a kept connection turns out to be gone."""
        for attempt in (1, 2):
            kept = not self._idle.empty()
            try:
                with self.connection() as found:
                    cursor = found.execute(statement.encode(), parameters)
                    return cursor.fetchall() if cursor.description else []
            except psycopg.OperationalError:
                if attempt == 2 or not kept:
                    raise
                self._forget()
        return []

    def row(self, statement: str, parameters: dict[str, Any] | None = None) -> dict[str, Any] | None:
        """The first row of one statement."""
        found = self.rows(statement, parameters)
        return found[0] if found else None

    def _forget(self) -> None:
        while not self._idle.empty():
            self._idle.get_nowait().close()
