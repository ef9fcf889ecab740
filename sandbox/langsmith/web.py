# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stand-in for the images' HTTP servers: HTTP/1.1 with keep-alive, a thread for each connection, routes by pattern."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from email.message import Message
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

from sandbox.ending import Ending
from sandbox.langsmith import log

NO_BODY = {204, 304}
IDLE_SECONDS = 75
LINGER_SECONDS = 5


class HttpError(Exception):
    """An answer other than success: a status and a JSON body."""

    def __init__(self, status: int, body: object) -> None:
        super().__init__(f"HTTP {status}")
        self.status = status
        self.body = body


@dataclass
class Request:
    """One request with its whole body; `path` is still percent-encoded, `arguments` are the groups of the route."""

    method: str
    path: str
    query_text: str
    headers: Message
    body: bytes
    client: str = ""
    arguments: dict[str, str] = field(default_factory=dict)

    @property
    def query(self) -> dict[str, list[str]]:
        """The query string, every value of every name."""
        return parse_qs(self.query_text, keep_blank_values=True)

    def first(self, name: str, default: str = "") -> str:
        """The first value of a name in the query string."""
        return self.query.get(name, [default])[0]

    def json(self) -> dict[str, object]:
        """The body as a JSON object; HttpError 422 when it is none."""
        try:
            found = json.loads(self.body or b"{}")
        except ValueError as exc:
            raise HttpError(422, {"error": f"Unprocessable entity: invalid JSON: {exc}"}) from exc
        if not isinstance(found, dict):
            raise HttpError(422, {"error": "Unprocessable entity: a JSON object is wanted"})
        return found


@dataclass
class Response:
    """An answer; anything but bytes in `body` is sent as JSON, None as no body."""

    body: object = None
    status: int = 200
    content_type: str = "application/json"
    headers: list[tuple[str, str]] = field(default_factory=list)

    def payload(self) -> bytes:
        """The bytes to send."""
        if self.body is None:
            return b""
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body, default=str).encode()


Handler = Callable[[Request], Response]


class Router:
    """Methods and path patterns, first match wins; `{name}` in a pattern is one path segment."""

    def __init__(self) -> None:
        self.routes: list[tuple[str, re.Pattern[str], Handler]] = []

    def add(self, method: str, pattern: str, handler: Handler) -> None:
        """Answer `method` on `pattern` by `handler`."""
        expression = re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", pattern)
        self.routes.append((method, re.compile(expression + "/?"), handler))

    def __call__(self, request: Request) -> Response:
        known_path = False
        for method, pattern, handler in self.routes:
            match = pattern.fullmatch(request.path)
            if match is None:
                continue
            known_path = True
            if method == request.method:
                request.arguments = {name: unquote(value) for name, value in match.groupdict().items()}
                return handler(request)
        if known_path:
            raise HttpError(405, {"detail": "Method Not Allowed"})
        raise HttpError(404, {"detail": "Not Found"})


def answer(handler: Handler, request: Request) -> Response:
    """What `handler` says, with errors turned into answers; a failing store is a 500 and a line in the log."""
    try:
        return handler(request)
    except HttpError as exc:
        return Response(exc.body, exc.status)
    except Exception as exc:
        log.error(f"{request.method} {request.path} failed: {exc}", error_type=type(exc).__name__)
        return Response({"detail": "Internal server error", "error": "Internal server error"}, 500)


class _Connection(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    timeout = IDLE_SECONDS
    server: Server

    def setup(self) -> None:
        # Here and not at accept, where a slow TLS client would hold up all others.
        if self.server.tls is not None:
            self.request = self.server.tls.wrap_socket(self.request, server_side=True)
        super().setup()

    def _too_large(self) -> bool:
        limit = self.server.body_limit
        return bool(limit) and int(self.headers.get("Content-Length") or 0) > limit

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = []
        while size := int(self.rfile.readline().split(b";")[0].strip() or b"0", 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass
        return b"".join(parts)

    def _linger(self) -> None:
        """Take what the client still sends, as nginx's lingering_close does: a reset would take the answer from it."""
        self.connection.settimeout(LINGER_SECONDS)
        left = int(self.headers.get("Content-Length") or 0)
        with contextlib.suppress(OSError):
            while left > 0 and (data := self.rfile.read1(min(left, 65536))):
                left -= len(data)

    def _serve(self) -> None:
        # nginx refuses by the announced length and closes, without waiting for the body.
        if self._too_large() and self.server.refusal is not None:
            self.close_connection = True
            self._send(self.server.refusal)
            self._linger()
            return
        parts = urlsplit(self.path)
        request = Request(
            self.command, parts.path, parts.query, self.headers, self._body(), str(self.client_address[0])
        )
        self._send(answer(self.server.handler, request))

    def _send(self, response: Response) -> None:
        payload = response.payload()
        self.send_response_only(response.status, _reason(response.status))
        for name, value in response.headers:
            self.send_header(name, value)
        if response.status not in NO_BODY:
            self.send_header("Content-Type", response.content_type)
            self.send_header("Content-Length", str(len(payload)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD" and response.status not in NO_BODY:
            self.wfile.write(payload)
        self.wfile.flush()

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = _serve  # noqa: N815  (the base class looks for these names)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  (the base class names it so)
        """Stay silent; who wants an access log writes one."""


def _reason(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"


class Server(ThreadingHTTPServer):
    """Listens on one address; `body_limit` in bytes (0 = none) is answered by `refusal`."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(
        self,
        address: tuple[str, int],
        handler: Handler,
        tls: ssl.SSLContext | None = None,
        body_limit: int = 0,
        refusal: Response | None = None,
    ) -> None:
        super().__init__(address, _Connection)
        self.handler = handler
        self.tls = tls
        self.body_limit = body_limit
        self.refusal = refusal

    def server_bind(self) -> None:
        # HTTPServer's own asks the resolver for the host's name, which costs seconds where there is no DNS.
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away is no error of ours."""


def run(servers: list[Server], stop: Callable[[], None] | None = None) -> int:
    """Serve until SIGTERM or SIGINT; returns the exit code."""
    ending = Ending()
    for server in servers:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.5}, daemon=True).start()
        log.info("listening", address=f"{server.server_name}:{server.server_port}")
    ending.wait()
    log.info("terminating")
    if stop is not None:
        stop()
    for server in servers:
        with contextlib.suppress(OSError):
            server.shutdown()
            server.server_close()
    return 0


def text(body: str, status: int = 200, content_type: str = "text/plain; charset=utf-8") -> Response:
    """A plain text answer."""
    return Response(body.encode(), status, content_type)
