# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stand-in for the TLS of the managed stores, whose servers here are built without: TLS ends in this proxy.

The server behind it listens on a Unix socket only, so nobody gets around the proxy.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import struct
from collections.abc import Awaitable, Callable
from pathlib import Path

from sandbox import pki, state

CHUNK = 1 << 16
# PostgreSQL protocol, "Message Formats": the request codes in place of a protocol version.
SSL_REQUEST, GSS_REQUEST, CANCEL_REQUEST = 80877103, 80877104, 80877102
STARTUP_BYTES = 10_000
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Opening = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[bytes | None]]


def context(folder: Path, name: str) -> ssl.SSLContext:
    """A server context with a certificate of the sandbox CA for `name` and the loopback address, made when missing."""
    certificate, key = folder / "server.crt", folder / "server.key"
    if not certificate.exists():
        text, secret = pki.issue(name, [name, "localhost", "127.0.0.1"])
        state.write_text(key, secret)
        state.write_text(certificate, text, mode=0o644)
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    made.load_cert_chain(certificate, key)
    return made


async def serve(socket: Path, port: int, tls: ssl.SSLContext | None, opening: Opening | None = None) -> asyncio.Server:
    """Relay 127.0.0.1:port to a Unix socket.

    With `opening` a connection begins in plain text and the function decides what is sent on first (None ends it);
    without it the connection is TLS from its first byte, or plain when `tls` is None.
    """

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, ssl.SSLError):
            first = await opening(reader, writer) if opening else b""
            if first is not None:
                inner_reader, inner_writer = await asyncio.open_unix_connection(str(socket))
                inner_writer.write(first)
                await asyncio.gather(pipe(reader, inner_writer), pipe(inner_reader, writer))
        writer.close()

    return await asyncio.start_server(handle, "127.0.0.1", port, ssl=None if opening else tls, backlog=256)


async def pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Carry one direction of a connection until it ends."""
    with contextlib.suppress(OSError, ssl.SSLError):
        while data := await reader.read(CHUNK):
            writer.write(data)
            await writer.drain()
    with contextlib.suppress(OSError):
        writer.close()


def postgres_opening(tls: ssl.SSLContext) -> Opening:
    """How a PostgreSQL client begins: it asks for TLS in plain text, or is refused, as by rds.force_ssl=1."""

    async def opening(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes | None:
        while True:
            length, code = struct.unpack("!II", await reader.readexactly(8))
            if not 8 <= length <= STARTUP_BYTES:
                return None
            rest = await reader.readexactly(length - 8)
            message = struct.pack("!II", length, code) + rest
            if code == CANCEL_REQUEST or writer.get_extra_info("sslcontext"):
                return message
            if code == SSL_REQUEST:
                writer.write(b"S")
                await writer.drain()
                await writer.start_tls(tls)
            elif code == GSS_REQUEST:
                writer.write(b"N")
                await writer.drain()
            else:
                writer.write(_refusal(rest))
                await writer.drain()
                return None

    return opening


def _refusal(startup: bytes) -> bytes:
    words = [word.decode(errors="replace") for word in startup.split(b"\0")]
    given = dict(zip(words[::2], words[1::2], strict=False))
    user, database = given.get("user", ""), given.get("database", given.get("user", ""))
    text = f'no pg_hba.conf entry for host "127.0.0.1", user "{user}", database "{database}", no encryption'
    fields = b"".join(
        kind + value.encode() + b"\0"
        for kind, value in ((b"S", "FATAL"), (b"V", "FATAL"), (b"C", "28000"), (b"M", text))
    )
    return b"E" + struct.pack("!I", len(fields) + 5) + fields + b"\0"
