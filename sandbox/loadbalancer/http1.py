# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""HTTP/1.1 on asyncio streams: heads are read whole, bodies are passed on piece by piece."""

from __future__ import annotations

import asyncio
import dataclasses
import email.utils
import http
from collections.abc import Awaitable
from typing import TypeVar

# What an ALB takes: 64 K for the whole head (quotas of Application Load Balancers).
HEAD_BYTES = 65536
PIECE_BYTES = 65536
UNTIL_CLOSED = -1
CHUNKED = -2
HOP_BY_HOP = {"connection", "keep-alive", "proxy-connection", "te", "expect"}
T = TypeVar("T")
REASONS = {502: "Bad Gateway", 503: "Service Temporarily Unavailable", 504: "Gateway Time-out"}


class BadMessageError(Exception):
    """The other side does not speak HTTP/1.1."""


@dataclasses.dataclass
class Head:
    """The first line's three words and the headers as they came."""

    first: tuple[str, str, str]
    headers: list[tuple[str, str]]

    def get(self, name: str, default: str = "") -> str:
        """The first value of a header."""
        return next((value for key, value in self.headers if key.lower() == name), default)

    def keeps_alive(self, version: str) -> bool:
        """Whether the sender, which speaks `version`, leaves the connection open."""
        words = {word.strip().lower() for word in self.get("connection").split(",")}
        return "keep-alive" in words if version == "HTTP/1.0" else "close" not in words

    def encode(self) -> bytes:
        """The head as it goes over the wire."""
        lines = [" ".join(self.first), *(f"{name}: {value}" for name, value in self.headers), "", ""]
        return "\r\n".join(lines).encode("latin-1")


async def within(work: Awaitable[T], seconds: float | None) -> T:
    """What `work` returns. Raises TimeoutError. Unlike asyncio.wait_for it never swallows a cancellation."""
    async with asyncio.timeout(seconds):
        return await work


async def read_head(reader: asyncio.StreamReader) -> Head | None:
    """A request's or response's head, or None when the connection ended before one began. Raises BadMessageError."""
    try:
        raw = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError as error:
        if error.partial.strip():
            raise BadMessageError("the connection ended within a head") from error
        return None
    except asyncio.LimitOverrunError as error:
        raise BadMessageError("the head is too long") from error
    first, *lines = raw[:-4].decode("latin-1").lstrip("\r\n").split("\r\n")
    words = first.split(" ", 2)
    if len(words) == 2:
        words.append("")
    headers = [(name, value.strip()) for name, colon, value in (line.partition(":") for line in lines) if colon]
    if len(words) != 3 or len(headers) != len(lines):
        raise BadMessageError(f"not a head: {first[:80]!r}")
    return Head((words[0], words[1], words[2]), headers)


def length(head: Head) -> int:
    """The length in bytes of a request's body, or CHUNKED. Raises BadMessageError."""
    if "chunked" in head.get("transfer-encoding").lower():
        return CHUNKED
    text = head.get("content-length", "0")
    if not text.isdigit():
        raise BadMessageError(f"Content-Length {text!r}")
    return int(text)


def response_length(head: Head, method: str) -> int:
    """The length in bytes of a response's body, or CHUNKED or UNTIL_CLOSED."""
    status = int(head.first[1])
    if method == "HEAD" or status in {204, 304} or 100 <= status < 200:
        return 0
    if "chunked" in head.get("transfer-encoding").lower() or head.get("content-length"):
        return length(head)
    return UNTIL_CLOSED


async def copy_body(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, size: int, idle_timeout: float | None = None
) -> None:
    """Pass a body on as it comes, never more than a piece in memory. Raises OSError, EOFError, TimeoutError.

    `idle_timeout` is how long in seconds a piece may be waited for.
    """
    if size == CHUNKED:
        await _copy_chunks(reader, writer, idle_timeout)
        return
    while size:
        piece = await within(reader.read(PIECE_BYTES if size == UNTIL_CLOSED else min(size, PIECE_BYTES)), idle_timeout)
        if not piece:
            if size == UNTIL_CLOSED:
                return
            raise asyncio.IncompleteReadError(b"", size)
        writer.write(piece)
        await writer.drain()
        size -= len(piece) if size > 0 else 0


async def _copy_chunks(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, idle_timeout: float | None) -> None:
    while True:
        line = await within(reader.readuntil(b"\r\n"), idle_timeout)
        writer.write(line)
        try:
            size = int(line.split(b";")[0], 16)
        except ValueError as error:
            raise BadMessageError("not a chunk") from error
        if size == 0:
            break
        await copy_body(reader, writer, size + 2, idle_timeout)
    while line != b"\r\n":
        line = await within(reader.readuntil(b"\r\n"), idle_timeout)
        writer.write(line)
    await writer.drain()


def page(status: int) -> Head:
    """The head of an answer that the load balancer gives by itself; `body` has what follows."""
    headers = [
        ("Server", "awselb/2.0"),
        ("Date", email.utils.formatdate(usegmt=True)),
        ("Content-Type", "text/html"),
        ("Content-Length", str(len(body(status)))),
        ("Connection", "keep-alive"),
    ]
    return Head(("HTTP/1.1", str(status), reason(status)), headers)


def body(status: int) -> bytes:
    """The page that an ALB shows for a status."""
    title = f"{status} {reason(status)}"
    lines = [
        "<html>",
        f"<head><title>{title}</title></head>",
        "<body>",
        f"<center><h1>{title}</h1></center>",
        "</body>",
        "</html>",
        "",
    ]
    return "\r\n".join(lines).encode()


def reason(status: int) -> str:
    """The words beside a status; ALB's own differ for some."""
    if status in REASONS:
        return REASONS[status]
    try:
        return http.HTTPStatus(status).phrase
    except ValueError:
        return "Status"
