# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Connections to targets, at the loopback addresses that stand for those of the VPC."""

from __future__ import annotations

import asyncio
import contextlib
import ssl

from sandbox import network
from sandbox.loadbalancer import http1

Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]
# How long an ALB tries to connect to a target, in seconds.
CONNECT_SECONDS = 10
IDLE_CONNECTIONS = 16


async def connect(address: str, port: int, protocol: str) -> Connection:
    """A new connection to a target. Raises OSError; TimeoutError after CONNECT_SECONDS."""
    opening = asyncio.open_connection(
        network.loopback(address), network.real_port(port), limit=http1.HEAD_BYTES, ssl=_tls(protocol)
    )
    return await http1.within(opening, CONNECT_SECONDS)


def _tls(protocol: str) -> ssl.SSLContext | None:
    if protocol != "HTTPS":
        return None
    # An ALB does not check the certificates of its targets.
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


class Pool:
    """Connections to targets that wait for the next request."""

    def __init__(self) -> None:
        self._idle: dict[tuple[str, int, str], list[Connection]] = {}

    def take(self, address: str, port: int, protocol: str) -> Connection | None:
        """An idle connection that the target has not closed, or None."""
        waiting = self._idle.get((address, port, protocol), [])
        while waiting:
            reader, writer = waiting.pop()
            if not reader.at_eof() and not writer.is_closing():
                return reader, writer
            close(writer)
        return None

    def give(self, address: str, port: int, protocol: str, connection: Connection) -> None:
        """Keep a connection whose last response was read to its end."""
        waiting = self._idle.setdefault((address, port, protocol), [])
        if len(waiting) < IDLE_CONNECTIONS:
            waiting.append(connection)
        else:
            close(connection[1])


def close(writer: asyncio.StreamWriter) -> None:
    """Close a connection, whatever state it is in."""
    with contextlib.suppress(OSError, RuntimeError):
        writer.close()
