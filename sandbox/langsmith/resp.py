# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stand-in for the images' Redis clients: RESP over TCP or TLS, a connection for each thread.

Written out because the redis package costs 25 MB in each of a dozen processes.
"""

from __future__ import annotations

import os
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from sandbox.langsmith.environment import SettingsError, flag, required

TIMEOUT_SECONDS = 10.0
Word = str | bytes | int | float


class RedisError(Exception):
    """Redis cannot be reached or refused a command."""


class RedisRefused(RedisError):  # noqa: N818  (it tells what happened)
    """Redis is there and refused: a wrong password, no memory, a wrong type."""


class Redis:
    """Commands for one Redis; safe to share between threads."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in {"redis", "rediss"} or not parts.hostname:
            raise SettingsError("REDIS_DATABASE_URI must look like rediss://HOST:PORT/0?password=...")
        options = parse_qs(parts.query)
        self.host, self.port = parts.hostname, parts.port or 6379
        self.tls = parts.scheme == "rediss"
        self.database = int(parts.path.strip("/") or 0)
        self.username = unquote(parts.username or "") or options.get("username", [""])[0]
        self.password = unquote(parts.password or "") or options.get("password", [""])[0]
        self._local = threading.local()

    @classmethod
    def from_environment(cls) -> Redis:
        """The Redis that the chart names."""
        if flag("REDIS_CLUSTER_ENABLED"):
            raise SettingsError("REDIS_CLUSTER_ENABLED is true; this stand-in knows one node only")
        return cls(required("REDIS_DATABASE_URI"))

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"

    def _context(self) -> ssl.SSLContext:
        context = ssl.create_default_context()
        context.check_hostname = False
        # As the images: a certificate is asked for only where a private CA is configured.
        context.verify_mode = ssl.CERT_REQUIRED if os.environ.get("SSL_CERT_FILE") else ssl.CERT_NONE
        return context

    def _open(self) -> _Wire:
        try:
            plain = socket.create_connection((self.host, self.port), timeout=TIMEOUT_SECONDS)
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            wire = _Wire(self._context().wrap_socket(plain, server_hostname=self.host) if self.tls else plain)
        except OSError as exc:
            raise RedisError(f"cannot connect to Redis at {self}: {exc}") from exc
        greeting: list[tuple[Word, ...]] = []
        if self.password:
            greeting.append(("AUTH", self.username, self.password) if self.username else ("AUTH", self.password))
        if self.database:
            greeting.append(("SELECT", self.database))
        try:
            wire.exchange(greeting)
        except (OSError, RedisError):
            wire.close()
            raise
        return wire

    @contextmanager
    def _wire(self) -> Iterator[_Wire]:
        wire: _Wire | None = getattr(self._local, "wire", None)
        if wire is None:
            wire = self._local.wire = self._open()
        try:
            yield wire
        except RedisRefused:
            raise
        except (OSError, RedisError) as exc:
            wire.close()
            self._local.wire = None
            raise RedisError(f"Redis at {self}: {exc or type(exc).__name__}") from exc

    def __call__(self, *words: Word) -> Any:
        """One command; its answer as bytes, int, list or None."""
        return self.pipeline([words])[0]

    def pipeline(self, commands: list[tuple[Word, ...]]) -> list[Any]:
        """Many commands in one round trip; RedisRefused when any of them is refused."""
        fresh = getattr(self._local, "wire", None) is None
        try:
            with self._wire() as wire:
                return wire.exchange(commands)
        except RedisRefused:
            raise
        except RedisError:
            # A kept connection may have been closed by the server since; once more on a new one.
            if fresh:
                raise
        with self._wire() as wire:
            return wire.exchange(commands)

    def transaction(self, commands: list[tuple[Word, ...]]) -> list[Any]:
        """All commands or none, by MULTI and EXEC."""
        answers: list[Any] = self.pipeline([("MULTI",), *commands, ("EXEC",)])[-1]
        return answers


class _Wire:
    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.reader = connection.makefile("rb")

    def close(self) -> None:
        self.reader.close()
        self.connection.close()

    def exchange(self, commands: list[tuple[Word, ...]]) -> list[Any]:
        if not commands:
            return []
        self.connection.sendall(b"".join(_encode(words) for words in commands))
        answers = [self._read() for _ in commands]
        for found in answers:
            if isinstance(found, RedisRefused):
                raise found
        return answers

    def _read(self) -> Any:
        line = self.reader.readline()
        if not line.endswith(b"\r\n"):
            raise RedisError("connection closed by the server")
        kind, rest = line[:1], line[1:-2]
        if kind == b"-":
            return RedisRefused(rest.decode(errors="replace"))
        if kind == b":":
            return int(rest)
        if kind == b"$":
            return self._bulk(int(rest))
        if kind == b"*":
            return None if int(rest) < 0 else [self._read() for _ in range(int(rest))]
        return rest

    def _bulk(self, size: int) -> bytes | None:
        if size < 0:
            return None
        data = self.reader.read(size + 2)
        if len(data) != size + 2:
            raise RedisError("connection closed by the server")
        return data[:-2]


def _encode(words: tuple[Word, ...]) -> bytes:
    out = [b"*%d\r\n" % len(words)]
    for word in words:
        data = word if isinstance(word, bytes) else str(word).encode()
        out.append(b"$%d\r\n%s\r\n" % (len(data), data))
    return b"".join(out)
