# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An API server on loopback that knows some objects and forwards ports of pods, and real programs behind those."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import ssl
import struct
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import yaml

from tests.unit.plugins.scripted import Authority

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[Any, Any, None]]
_WEBSOCKET_ID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


@dataclass
class Cluster:
    """``objects`` by path; ``pods`` are real ports by pod and port; ``refuses`` are statuses by the end of a path."""

    kubeconfig: Path
    objects: dict[str, Any] = field(default_factory=dict)
    pods: dict[tuple[str, int], int] = field(default_factory=dict)
    refuses: dict[str, int] = field(default_factory=dict)
    silent: bool = False
    asked: list[str] = field(default_factory=list)
    tokens: set[str] = field(default_factory=set)

    def put(self, kind: str, name: str, namespace: str = "langsmith", **body: Any) -> None:
        """An object, and the list of its kind with it."""
        group = "apis/discovery.k8s.io" if kind == "endpointslices" else "api"
        path = f"/{group}/v1/namespaces/{namespace}/{kind}"
        whole = {"metadata": {"name": name, "namespace": namespace}, **body}
        self.objects[f"{path}/{name}"] = whole
        self.objects.setdefault(path, {"items": []})["items"].append(whole)


@contextmanager
def cluster(folder: Path, authority: Authority) -> Iterator[Cluster]:
    """A cluster whose API server runs until the end of the block; the kubeconfig's user has the token ``secret``."""
    found = Cluster(folder / "kubeconfig")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.issue("localhost"))
    with listening(lambda reader, writer: _serve(found, reader, writer), context) as port:
        entry = {"server": f"https://localhost:{port}", "certificate-authority": str(authority.ca_file)}
        document = {
            "clusters": [{"name": "c", "cluster": entry}],
            "users": [{"name": "u", "user": {"token": "secret"}}],
            "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
            "current-context": "c",
        }
        found.kubeconfig.write_text(yaml.safe_dump(document), encoding="utf-8")
        yield found


@contextmanager
def listening(handler: Handler, context: ssl.SSLContext | None = None) -> Iterator[int]:
    """The loopback port of a server that answers each connection by ``handler``, until the end of the block."""
    loop = asyncio.new_event_loop()
    server = loop.run_until_complete(asyncio.start_server(_quietly(handler), "127.0.0.1", 0, ssl=context))
    thread = threading.Thread(target=loop.run_forever, name="server of a test")
    thread.start()
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        asyncio.run_coroutine_threadsafe(_end(server), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def _quietly(handler: Handler) -> Handler:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            await handler(reader, writer)
        writer.close()

    return serve


async def _end(server: asyncio.Server) -> None:
    server.close()
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


async def _serve(known: Cluster, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while True:
        lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        parts = urlsplit(lines[0].split()[1])
        headers = {name.lower(): value.strip() for name, _colon, value in (line.partition(":") for line in lines[1:])}
        known.asked.append(parts.path)
        known.tokens.add(headers.get("authorization", ""))
        if known.silent:
            await asyncio.Event().wait()
        status = next((code for end, code in known.refuses.items() if parts.path.endswith(end)), 200)
        if parts.path.endswith("/portforward") and status == 200:
            await _forward(known, parts.path.split("/")[-2], parts.query, headers, reader, writer)
            return
        document = known.objects.get(parts.path) if status == 200 else {"message": f"user may not ask {parts.path}"}
        status, document = (404, {"message": "not found"}) if document is None else (status, document)
        body = json.dumps(document).encode()
        head = f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + body)
        await writer.drain()


async def _forward(
    known: Cluster,
    pod: str,
    query: str,
    headers: dict[str, str],
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
) -> None:
    port = int(parse_qs(query)["ports"][0])
    accept = base64.b64encode(hashlib.sha1((headers["sec-websocket-key"] + _WEBSOCKET_ID).encode()).digest()).decode()  # noqa: S324
    protocol = headers["sec-websocket-protocol"]
    writer.write(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Accept: {accept}\r\nSec-WebSocket-Protocol: {protocol}\r\n\r\n".encode()
    )
    for channel in (0, 1):
        writer.write(_frame(bytes([channel]) + struct.pack("<H", port)))
    real = known.pods.get((pod, port))
    if real is None:
        writer.write(_frame(b"\x01" + f"port {port} of {pod}: connection refused".encode()))
        await writer.drain()
        return
    from_pod, to_pod = await asyncio.open_connection("127.0.0.1", real)
    outward = asyncio.create_task(_to_pod(reader, to_pod))
    try:
        while data := await from_pod.read(32768):
            # A ping in between, as a proxy may send.
            writer.write(_frame(b"?", 0x89) + _frame(b"\x00" + data))
            await writer.drain()
        writer.write(_frame(b"", 0x88))
        await writer.drain()
        # Until the caller has gone: a close with bytes unread would take back what is on its way.
        await outward
    finally:
        outward.cancel()
        to_pod.close()


async def _to_pod(reader: asyncio.StreamReader, to_pod: asyncio.StreamWriter) -> None:
    with suppress(OSError, asyncio.IncompleteReadError):
        while True:
            first, second = await reader.readexactly(2)
            length = second & 0x7F
            if length >= 126:
                length = int.from_bytes(await reader.readexactly(2 if length == 126 else 8), "big")
            mask = await reader.readexactly(4)
            masked = await reader.readexactly(length)
            whole = (mask * (length // 4 + 1))[:length]
            data = (int.from_bytes(masked, "big") ^ int.from_bytes(whole, "big")).to_bytes(length, "big")
            if first & 0x0F == 2:
                assert data[0] == 0, "only the data channel is written to"
                to_pod.write(data[1:])
                await to_pod.drain()
    to_pod.close()


def _frame(data: bytes, first: int = 0x82) -> bytes:
    if len(data) < 126:
        return bytes([first, len(data)]) + data
    if len(data) < 65536:
        return bytes([first, 126]) + struct.pack(">H", len(data)) + data
    return bytes([first, 127]) + struct.pack(">Q", len(data)) + data
