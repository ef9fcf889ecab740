# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Passes on the bytes of one connection between a socket and the WebSocket of a Kubernetes port-forward.

The package kubernetes has a port-forward of its own, ``kubernetes.stream.portforward``. It drops what it has not yet
passed on when the far side closes, holds no bound on what it keeps in memory and takes no time limit.
"""

from __future__ import annotations

import select
import socket
import ssl
import threading
from contextlib import suppress
from typing import Any

#: The protocol that every kubelet since 1.5 speaks: one byte of channel, then bytes. 0 is data, 1 is the error.
PROTOCOL = "v4.channel.k8s.io"
_DATA, _ERROR = 0, 1
#: Bytes that one direction of a connection may hold before its source is read no further.
_ROOM = 256 * 1024
#: One frame to the cluster. Go's servers read frames into buffers of 32 KiB.
_CHUNK = 32 * 1024
#: Seconds that the last bytes of a closed connection may take on their way without any progress.
_LINGER_SECONDS = 5.0
_NOT_NOW = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


class ForwardedSocket(socket.socket):
    """The near end of a connection. ``failure`` is what the kubelet said of why it ended, such as a refused port."""

    failure: str = ""


class Tunnel(threading.Thread):
    """Passes on the bytes of one connection, both ways, until either side has ended and all is delivered.

    One thread for both ways, since a TLS connection must not be read and written by two at once; nothing blocks, since
    a side that waits for the other to read could wait for ever.
    """

    def __init__(self, name: str, web: Any, far: socket.socket, caller: ForwardedSocket) -> None:
        super().__init__(name=f"port-forward to {name}", daemon=True)
        self._web, self._far, self._caller = web, far, caller
        self._outgoing, self._incoming = bytearray(), bytearray()
        # The caller writes no more; it has closed altogether; the cluster's side is over; ``abandon`` was called.
        self._caller_ended = self._hung_up = self._cluster_ended = self._abandoned = False
        self._greeted: set[int] = set()

    def abandon(self) -> None:
        """End now, whatever is still on its way."""
        self._abandoned = True
        with suppress(OSError):
            self._far.shutdown(socket.SHUT_RDWR)

    def run(self) -> None:
        self._far.setblocking(False)
        self._web.sock.setblocking(False)
        try:
            while not self._done():
                # No shortcut: each of the four gets its turn.
                if not any([self._receive(), self._deliver(), self._take(), self._send()]) and not self._wait():
                    break
        finally:
            self._web.shutdown()
            self._far.close()

    def _done(self) -> bool:
        if self._abandoned:
            return True
        if self._cluster_ended:
            return not self._incoming or self._hung_up
        return self._hung_up and self._caller_ended and not self._outgoing

    def _receive(self) -> bool:
        """One frame from the cluster."""
        from websocket import ABNF, WebSocketException

        if self._cluster_ended or len(self._incoming) >= _ROOM:
            return False
        try:
            frame = self._web.recv_frame()
        except _NOT_NOW:
            return False
        except (OSError, WebSocketException):
            self._cluster_ended = True
            return True
        if frame.opcode == ABNF.OPCODE_CLOSE:
            self._cluster_ended = True
        elif frame.opcode == ABNF.OPCODE_PING:
            self._outgoing += _frame(frame.data, ABNF.OPCODE_PONG)
        elif frame.opcode == ABNF.OPCODE_BINARY and frame.data:
            self._sort(frame.data[0], frame.data[1:])
        return True

    def _sort(self, channel: int, data: bytes) -> None:
        if channel not in self._greeted:
            # Each channel begins with its port's number.
            self._greeted.add(channel)
        elif channel == _DATA:
            self._incoming += data
        elif channel == _ERROR:
            self._caller.failure += data.decode(errors="replace").strip()
            self._cluster_ended = True

    def _deliver(self) -> bool:
        if not self._incoming or self._hung_up:
            return False
        try:
            del self._incoming[: self._far.send(self._incoming)]
        except BlockingIOError:
            return False
        except OSError:
            self._hung_up = True
        return True

    def _take(self) -> bool:
        """Some bytes of the caller's into a frame."""
        from websocket import ABNF

        if self._caller_ended or len(self._outgoing) >= _ROOM:
            return False
        try:
            data = self._far.recv(_CHUNK)
        except BlockingIOError:
            return False
        except OSError:
            data = b""
        if data:
            self._outgoing += _frame(bytes([_DATA]) + data, ABNF.OPCODE_BINARY)
        else:
            self._caller_ended = True
        return True

    def _send(self) -> bool:
        if not self._outgoing or self._cluster_ended:
            return False
        try:
            del self._outgoing[: self._web.sock.send(bytes(self._outgoing[:_ROOM]))]
        except _NOT_NOW:
            return False
        except OSError:
            # Nobody reads there any more; what was said before that is still to be received.
            self._outgoing.clear()
            self._caller_ended = True
        return True

    def _wait(self) -> bool:
        """Until something can go on; false when the last bytes of a closed connection make no progress."""
        poll = select.poll()
        if not self._cluster_ended:
            reading = select.POLLIN if len(self._incoming) < _ROOM else 0
            poll.register(self._web.sock, reading | (select.POLLOUT if self._outgoing else 0))
        far = self._far.fileno()
        if not self._hung_up:
            reading = select.POLLIN if not self._caller_ended and len(self._outgoing) < _ROOM else 0
            poll.register(far, reading | (select.POLLOUT if self._incoming else 0))
        events = dict(poll.poll(_LINGER_SECONDS * 1000 if self._hung_up else None))
        # What the caller wrote before it closed is still there to be taken.
        self._hung_up = self._hung_up or bool(events.get(far, 0) & (select.POLLHUP | select.POLLERR))
        return bool(events)


def _frame(data: bytes, opcode: int) -> bytes:
    from websocket import ABNF

    framed: bytes = ABNF.create_frame(data, opcode).format()
    return framed
