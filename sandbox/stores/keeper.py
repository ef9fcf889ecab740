# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stand-in for clickhouse-keeper that coordinates nothing: it answers `ruok` (2181) and /ready (9182), and no more."""

from __future__ import annotations

import http.server
import os
import signal
import socketserver
import sys
import threading
import types
from http import HTTPStatus

CLIENT_PORT, RAFT_PORT, READY_PORT = 2181, 9444, 9182
ANSWERS = {b"ruok": b"imok"}


class FourLetters(socketserver.BaseRequestHandler):
    """Answers the four letter word that probes send; a client of Keeper finds the connection closed."""

    def handle(self) -> None:
        """Read a word, answer it, close."""
        self.request.settimeout(5)
        try:
            self.request.sendall(ANSWERS.get(self.request.recv(4), b""))
        except OSError:
            return


class Server(socketserver.ThreadingTCPServer):
    """A listener of ours."""

    allow_reuse_address = True
    daemon_threads = True


class Ready(http.server.BaseHTTPRequestHandler):
    """What a readiness probe asks."""

    def do_GET(self) -> None:
        """Say that it is ready."""
        content = b'{"status":"ok"}'
        self.send_response(HTTPStatus.OK if self.path == "/ready" else HTTPStatus.NOT_FOUND)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Say nothing: probes ask every few seconds."""


def main() -> int:
    """Answer until SIGTERM."""
    host = os.environ.get("SANDBOX_POD_IP", "127.0.0.1")
    servers: list[socketserver.BaseServer] = [
        Server((host, CLIENT_PORT), FourLetters),
        Server((host, RAFT_PORT), FourLetters),
        http.server.ThreadingHTTPServer((host, READY_PORT), Ready),
    ]
    done = threading.Event()

    def end(_number: int, _frame: types.FrameType | None) -> None:
        done.set()

    signal.signal(signal.SIGTERM, end)
    for server in servers:
        threading.Thread(target=server.serve_forever, daemon=True).start()
    print(f"stand-in for a Keeper node on {host}: it coordinates nothing", flush=True)
    done.wait()
    return 0


if __name__ == "__main__":
    sys.exit(main())
