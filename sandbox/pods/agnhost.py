# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stand-in for the image agnhost of Kubernetes' tests, as far as `netexec --http-port=N` answers HTTP."""

from __future__ import annotations

import http.server
import os
import signal
import sys
import types
from http import HTTPStatus

DEFAULT_PORT = 8080


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers /, /healthz and /hostname."""

    def do_GET(self) -> None:
        answers = {"/": "NOW: ready", "/healthz": "ok", "/hostname": os.environ.get("HOSTNAME", "")}
        text = answers.get(self.path.partition("?")[0])
        content = (text or "not found").encode()
        self.send_response(HTTPStatus.NOT_FOUND if text is None else HTTPStatus.OK)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


def main(argv: list[str]) -> None:
    """Serve until SIGTERM."""
    ports = [int(word.partition("=")[2]) for word in argv if word.startswith("--http-port=")]
    address = os.environ.get("SANDBOX_POD_IP", "127.0.0.1")
    server = http.server.ThreadingHTTPServer((address, ports[0] if ports else DEFAULT_PORT), Handler)

    def end(_number: int, _frame: types.FrameType | None) -> None:
        raise SystemExit(0)

    signal.signal(signal.SIGTERM, end)
    print(f"serving on {server.server_address}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main(sys.argv[1:])
