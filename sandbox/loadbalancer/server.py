# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The two ports, the TLS certificates by server name, and the files that tell what to do and what is healthy."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
import logging
import ssl
from collections.abc import Mapping
from pathlib import Path

from sandbox import state
from sandbox.loadbalancer import http1
from sandbox.loadbalancer.config import HTTP, HTTPS, Certificate, parse
from sandbox.loadbalancer.health import Checker, Health, Key
from sandbox.loadbalancer.proxy import Client, Proxy

LOOK_SECONDS = 0.25
ADDRESS, BACKLOG = "127.0.0.1", 512
log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Settings:
    """Ports, and the files: `config` is read when it changes, `health` is written. Intervals are times `factor`."""

    http_port: int
    https_port: int
    config: Path
    health: Path
    factor: float = 1.0


class Server:
    """The data plane. After start, `http_port` and `https_port` are what it listens on."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._checker = Checker(self._report, settings.factor)
        self._proxy = Proxy(self._checker)
        self._contexts: dict[tuple[str, int], ssl.SSLContext] = {}
        self._seen: tuple[int, int] | None = None
        self._reported = ""
        self._servers: list[asyncio.Server] = []
        self._background: set[asyncio.Task[None]] = set()

    @property
    def ports(self) -> tuple[int, int]:
        """The ports of HTTP and HTTPS."""
        first, second = (server.sockets[0].getsockname()[1] for server in self._servers)
        return first, second

    async def start(self) -> None:
        """Listen, and follow the configuration. Raises OSError when a port is taken."""
        self.load()
        base = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        base.set_alpn_protocols(["http/1.1"])
        base.sni_callback = self._choose
        plain = await asyncio.start_server(
            self._accept_plain, ADDRESS, self._settings.http_port, limit=http1.HEAD_BYTES, backlog=BACKLOG
        )
        secure = await asyncio.start_server(
            self._accept_tls, ADDRESS, self._settings.https_port, limit=http1.HEAD_BYTES, backlog=BACKLOG, ssl=base
        )
        self._servers = [plain, secure]
        self._background.add(asyncio.create_task(self._follow()))

    async def stop(self) -> None:
        """Close the ports; what is under way is cut."""
        for server in self._servers:
            server.close()
        under_way = list(self._background)
        for task in under_way:
            task.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)
        await self._checker.stop()

    async def _follow(self) -> None:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                self.load()
            except (OSError, ValueError, KeyError, TypeError):
                log.exception("%s", self._settings.config)

    def load(self) -> None:
        """Read the configuration if it changed."""
        try:
            found = self._settings.config.stat()
        except FileNotFoundError:
            return
        if (found.st_mtime_ns, found.st_ino) == self._seen:
            return
        config = parse(json.loads(self._settings.config.read_text()))
        self._seen = (found.st_mtime_ns, found.st_ino)
        self._proxy.config = config
        self._checker.follow(config)
        names = ", ".join(balancer.name for balancer in config.balancers) or "none"
        log.info("load balancers: %s; target groups: %d", names, len(config.groups))

    def _report(self, states: Mapping[Key, Health]) -> None:
        found: dict[str, dict[str, dict[str, str]]] = {}
        for (group, address, port), health in states.items():
            found.setdefault(group, {})[f"{address}:{port}"] = health.report()
        text = json.dumps(found, indent=1, sort_keys=True) + "\n"
        if text != self._reported:
            state.write_text(self._settings.health, text)
            self._reported = text

    def _choose(self, connection: ssl.SSLObject | ssl.SSLSocket, name: str | None, _: ssl.SSLContext) -> int | None:
        certificate = self._proxy.config.certificate(name)
        try:
            context = self._context(certificate) if certificate else None
        except (OSError, ssl.SSLError) as error:
            log.warning("certificate for %s: %s", name, error)
            context = None
        if context is None:
            return ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME
        connection.context = context
        connection.sandbox_sni = name  # type: ignore[union-attr]
        return None

    def _context(self, certificate: Certificate) -> ssl.SSLContext:
        path = Path(certificate.certificate_file)
        key = (str(path), path.stat().st_mtime_ns)
        if key not in self._contexts:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.set_alpn_protocols(["http/1.1"])
            context.load_cert_chain(path, certificate.key_file)
            self._contexts = {name: old for name, old in self._contexts.items() if name[0] != key[0]}
            self._contexts[key] = context
        return self._contexts[key]

    async def _accept_plain(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self._serve(Client(reader, writer, HTTP, None, _peer(writer)))

    async def _accept_tls(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        sni = getattr(writer.get_extra_info("ssl_object"), "sandbox_sni", None)
        await self._serve(Client(reader, writer, HTTPS, sni, _peer(writer)))

    async def _serve(self, client: Client) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - asyncio calls this in a task
        self._background.add(task)
        try:
            with contextlib.suppress(asyncio.CancelledError):
                await self._proxy.serve(client)
        finally:
            self._background.discard(task)


def _peer(writer: asyncio.StreamWriter) -> str:
    peer = writer.get_extra_info("peername")
    return str(peer[0]) if peer else "127.0.0.1"
