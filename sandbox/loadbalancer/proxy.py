# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes clients' connections and answers each request by its load balancer's rules."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import logging
import secrets
import time
from urllib.parse import urlsplit

from sandbox.loadbalancer import http1
from sandbox.loadbalancer.config import Action, Config, LoadBalancer, TargetGroup
from sandbox.loadbalancer.health import Checker
from sandbox.loadbalancer.http1 import BadMessageError, Head
from sandbox.loadbalancer.targets import Connection, Pool, close, connect

# What an ALB waits for the next request of a client, and for a load balancer without an idle timeout, in seconds.
IDLE_SECONDS = 60.0
# As long as nginx lingers.
LINGER_SECONDS = 5.0
log = logging.getLogger(__name__)


class TargetFailedError(Exception):
    """No answer from a target; `status` is what the client gets."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclasses.dataclass
class Client:
    """A client's connection. `sni` is the TLS server name."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    protocol: str
    sni: str | None
    address: str


@dataclasses.dataclass
class Request:
    """A request whose body is still to be read."""

    head: Head
    size: int
    host: str
    path: str
    query: str
    keep: bool

    @property
    def method(self) -> str:
        return self.head.first[0]


class Proxy:
    """The listeners' behaviour. `config` may be replaced at any time; a request sees the one of its beginning."""

    def __init__(self, checker: Checker) -> None:
        self.config = Config()
        self._checker = checker
        self._pool = Pool()
        self._turns: dict[str, int] = {}

    async def serve(self, client: Client) -> None:
        """Answer a client's requests until one of both sides is done."""
        try:
            while await self._one(client):
                pass
        except (OSError, EOFError, TimeoutError) as error:
            log.debug("%s: %s", client.address, error)
        except BadMessageError:
            with contextlib.suppress(OSError):
                await answer(client, 400)
        finally:
            close(client.writer)

    async def _one(self, client: Client) -> bool:
        head = await http1.within(http1.read_head(client.reader), IDLE_SECONDS)
        if head is None:
            return False
        request = parse(head)
        balancer = self.config.choose(client.protocol, request.host, client.sni)
        listener = balancer.listener(client.protocol) if balancer else None
        if balancer is None or listener is None:
            # There is no load balancer, so nobody who would answer.
            return False
        action = listener.action(request.host, request.path)
        if action.type == "forward":
            return await self._forward(client, request, balancer, listener.port, action)
        await discard(client, request)
        await self._answer_itself(client, request, action, listener.port)
        return request.keep

    async def _answer_itself(self, client: Client, request: Request, action: Action, port: int) -> None:
        if action.type == "redirect":
            location = redirection(action, request, client.protocol, port)
            await answer(client, int(action.options["status"]), [("Location", location)])
            return
        content = str(action.options.get("body") or "").encode()
        head = http1.page(int(action.options["status"]))
        replaced = {
            "content-type": str(action.options.get("content_type") or "text/plain"),
            "content-length": str(len(content)),
        }
        head.headers = [(name, replaced.get(name.lower(), value)) for name, value in head.headers]
        client.writer.write(head.encode() + (b"" if request.method == "HEAD" else content))
        await client.writer.drain()

    async def _forward(
        self, client: Client, request: Request, balancer: LoadBalancer, port: int, action: Action
    ) -> bool:
        group, target = self._pick(action)
        if group is None or target is None:
            log.warning("503 for %s%s: no registered target", request.host, request.path)
            await discard(client, request)
            await answer(client, 503)
            return request.keep
        if request.head.get("expect").lower() == "100-continue":
            client.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        outgoing = forwarded(request, client, port)
        try:
            return await self._exchange(client, request, outgoing, group, target, balancer.idle_timeout)
        except TargetFailedError as error:
            log.warning("%d for %s%s: target %s:%d: %s", error.status, request.host, request.path, *target, error)
            await answer(client, error.status, close_after=True)
            return False

    def _pick(self, action: Action) -> tuple[TargetGroup | None, tuple[str, int] | None]:
        """A target in turn: of the healthy ones, or of all when none is healthy, as an ALB fails open."""
        groups = [self.config.groups.get(item["arn"]) for item in action.options["target_groups"] if item["weight"]]
        found = next((group for group in groups if group is not None and group.targets), None)
        if found is None:
            return None, None
        healthy = [item for item in found.targets if self._checker.state(found.arn, *item).state == "healthy"]
        able = healthy or list(found.targets)
        turn = self._turns.get(found.arn, 0)
        self._turns[found.arn] = turn + 1
        return found, able[turn % len(able)]

    async def _exchange(
        self,
        client: Client,
        request: Request,
        outgoing: Head,
        group: TargetGroup,
        target: tuple[str, int],
        idle_timeout: float,
    ) -> bool:
        address, port = target
        waiting = self._pool.take(address, port, group.protocol)
        connection = waiting or await _connected(address, port, group.protocol)
        upload = asyncio.create_task(_send(client, request, outgoing, connection))
        reusable = False
        try:
            try:
                head = await _response(connection[0], idle_timeout)
            except TargetFailedError:
                # A target may close an idle connection just when it is used again.
                if waiting is None or request.size or not upload.done():
                    raise
                close(connection[1])
                connection = await _connected(address, port, group.protocol)
                await _send(client, request, outgoing, connection)
                head = await _response(connection[0], idle_timeout)
            if head.first[1] == "101":
                await _tunnel(client, connection, head)
                return False
            size = http1.response_length(head, request.method)
            # A target may answer before it has read all of the request, or without.
            taken = upload.done() and upload.exception() is None
            keep = request.keep and size != http1.UNTIL_CLOSED and taken
            client.writer.write(backward(head, keep).encode())
            await http1.copy_body(connection[0], client.writer, size, idle_timeout)
            await client.writer.drain()
            reusable = keep and head.keeps_alive(head.first[0])
            if not taken:
                await _ended(upload)
                await linger(client)
            return keep
        finally:
            await _ended(upload)
            if reusable:
                self._pool.give(address, port, group.protocol, connection)
            else:
                close(connection[1])


def parse(head: Head) -> Request:
    """What a request asks for. Raises BadMessageError."""
    method, target, version = head.first
    if not version.startswith("HTTP/1.") or not method.isalpha():
        raise BadMessageError(f"{version!r}")
    parts = urlsplit(target if "://" in target else f"//_{target if target.startswith('/') else '/'}")
    host = head.get("host") or parts.netloc
    if not host:
        raise BadMessageError("no Host")
    name = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() else host
    return Request(head, http1.length(head), name.strip("[]"), parts.path, parts.query, head.keeps_alive(version))


def forwarded(request: Request, client: Client, port: int) -> Head:
    """The head that a target gets: an ALB's headers added, those of the client's connection removed."""
    upgrade = request.head.get("upgrade")
    drop = {*http1.HOP_BY_HOP, "x-forwarded-for", "x-forwarded-proto", "x-forwarded-port", "x-amzn-trace-id"}
    kept = [(name, value) for name, value in request.head.headers if name.lower() not in drop]
    before = request.head.get("x-forwarded-for")
    chain = f"{before}, {client.address}" if before else client.address
    added = [
        ("X-Forwarded-For", chain),
        ("X-Forwarded-Proto", client.protocol.lower()),
        ("X-Forwarded-Port", str(port)),
        ("X-Amzn-Trace-Id", trace(request.head.get("x-amzn-trace-id"))),
        ("Connection", "upgrade" if upgrade else "keep-alive"),
    ]
    return Head((request.method, request.head.first[1], "HTTP/1.1"), [*kept, *added])


def trace(before: str) -> str:
    """The tracing header: a new Root, or what came with a Self of our own where it has a Root."""
    stamp = f"1-{int(time.time()):08x}-{secrets.token_hex(12)}"
    return f"Self={stamp};{before}" if "Root=" in before else f"Root={stamp}"


def backward(head: Head, keep: bool) -> Head:
    """The head that a client gets from a target's."""
    kept = [(name, value) for name, value in head.headers if name.lower() not in http1.HOP_BY_HOP]
    return Head(("HTTP/1.1", *head.first[1:]), [*kept, ("Connection", "keep-alive" if keep else "close")])


def redirection(action: Action, request: Request, protocol: str, port: int) -> str:
    """The Location of a redirect action, its #{...} filled in."""
    values = {
        "#{protocol}": protocol,
        "#{host}": request.host,
        "#{port}": str(port),
        "#{path}": request.path.lstrip("/"),
        "#{query}": request.query,
    }
    defaults = {
        "protocol": "#{protocol}",
        "host": "#{host}",
        "port": "#{port}",
        "path": "/#{path}",
        "query": "#{query}",
    }
    found = {}
    for name, default in defaults.items():
        text = str(action.options.get(name) or default)
        for mark, value in values.items():
            text = text.replace(mark, value)
        found[name] = text
    query = f"?{found['query']}" if found["query"] else ""
    return f"{found['protocol'].lower()}://{found['host']}:{found['port']}{found['path']}{query}"


async def answer(
    client: Client, status: int, headers: list[tuple[str, str]] | None = None, close_after: bool = False
) -> None:
    """An answer of the load balancer's own."""
    head = http1.page(status)
    if close_after or status == 400:
        head.headers = [(name, "close" if name == "Connection" else value) for name, value in head.headers]
    head.headers.extend(headers or [])
    client.writer.write(head.encode() + http1.body(status))
    await client.writer.drain()


async def discard(client: Client, request: Request) -> None:
    """Read a body that nobody wants, so that the connection can be used on."""
    if request.size:
        await http1.copy_body(client.reader, _Nowhere(), request.size, IDLE_SECONDS)  # type: ignore[arg-type]


async def linger(client: Client) -> None:
    """Read on for a while: a connection that is closed over unread data takes the answer with it on its way."""
    with contextlib.suppress(OSError, EOFError, TimeoutError):
        async with asyncio.timeout(LINGER_SECONDS):
            while await client.reader.read(65536):
                pass


async def _ended(upload: asyncio.Task[None]) -> None:
    upload.cancel()
    with contextlib.suppress(asyncio.CancelledError, OSError, EOFError, TimeoutError, BadMessageError):
        await upload


class _Nowhere:
    def write(self, data: bytes) -> None:
        del data

    async def drain(self) -> None:
        return


async def _connected(address: str, port: int, protocol: str) -> Connection:
    try:
        return await connect(address, port, protocol)
    except TimeoutError as error:
        raise TargetFailedError(504, "it did not take the connection in time") from error
    except OSError as error:
        raise TargetFailedError(502, str(error)) from error


async def _send(client: Client, request: Request, outgoing: Head, connection: Connection) -> None:
    connection[1].write(outgoing.encode())
    if request.size:
        await http1.copy_body(client.reader, connection[1], request.size, IDLE_SECONDS)
    await connection[1].drain()


async def _response(reader: asyncio.StreamReader, idle_timeout: float) -> Head:
    while True:
        try:
            head = await http1.within(http1.read_head(reader), idle_timeout)
        except TimeoutError as error:
            raise TargetFailedError(504, f"no answer within {idle_timeout:.0f} s") from error
        except (OSError, EOFError, BadMessageError) as error:
            raise TargetFailedError(502, str(error)) from error
        if head is None:
            raise TargetFailedError(502, "it closed the connection without an answer")
        if not head.first[1].isdigit():
            raise TargetFailedError(502, "its answer is not HTTP")
        if not head.first[1].startswith("1") or head.first[1] == "101":
            return head


async def _tunnel(client: Client, connection: Connection, head: Head) -> None:
    """After 101 Switching Protocols, bytes go both ways as they are."""
    client.writer.write(head.encode())
    ways = [
        asyncio.create_task(http1.copy_body(connection[0], client.writer, http1.UNTIL_CLOSED)),
        asyncio.create_task(http1.copy_body(client.reader, connection[1], http1.UNTIL_CLOSED)),
    ]
    await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
    for way in ways:
        way.cancel()
    await asyncio.gather(*ways, return_exceptions=True)
