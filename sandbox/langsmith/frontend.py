# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stand-in for frontend, nginx with the UI's files (port 8080): its routes come from the chart's nginx.conf."""

from __future__ import annotations

import contextlib
import http.client
import json
import queue
import socket
import ssl
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

from sandbox.langsmith import environment, nginx, web
from sandbox.langsmith.environment import SettingsError
from sandbox.langsmith.web import Request, Response

CONFIGURATION = "/etc/nginx/conf.d/default.conf"
KEPT_CONNECTIONS = 32
HOP_HEADERS = {"connection", "keep-alive", "transfer-encoding", "content-length", "host", "expect", "upgrade"}
UI = b'<!doctype html><html lang="en"><head><title>LangSmith</title></head><body><div id="root"></div></body></html>\n'


def page(status: int, reason: str) -> Response:
    """nginx's own error page."""
    text = f"<html>\r\n<head><title>{status} {reason}</title></head>\r\n<body>\r\n<center><h1>{status} {reason}</h1>"
    return Response(
        f"{text}</center>\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n".encode(), status, "text/html"
    )


class Upstream:
    """A server that requests are passed to, with connections kept between them."""

    def __init__(self, url: str, connect_seconds: float, read_seconds: float) -> None:
        parts = urlsplit(url)
        self.host, self.port = parts.hostname or "", parts.port or 80
        self.prefix = parts.path.rstrip("/")
        self.connect_seconds, self.read_seconds = connect_seconds, read_seconds
        self._idle: queue.LifoQueue[http.client.HTTPConnection] = queue.LifoQueue(KEPT_CONNECTIONS)

    def send(self, request: Request, uri: str) -> Response:
        """Pass a request on: 502 when nobody is there, 504 when no answer comes."""
        headers = {name: value for name, value in request.headers.items() if name.lower() not in HOP_HEADERS}
        headers["Host"] = f"{self.host}:{self.port}"
        headers["Content-Length"] = str(len(request.body))
        target = self.prefix + uri + (f"?{request.query_text}" if request.query_text else "")
        while True:
            connection, kept = self._connection()
            try:
                connection.request(request.method, target, request.body, headers)
                answer = connection.getresponse()
                data = answer.read()
            except TimeoutError:
                connection.close()
                return page(504, "Gateway Time-out")
            except (OSError, http.client.HTTPException):
                connection.close()
                if kept:
                    continue
                return page(502, "Bad Gateway")
            self._keep(connection, answer)
            return _passed_back(answer, data)

    def _connection(self) -> tuple[http.client.HTTPConnection, bool]:
        with contextlib.suppress(queue.Empty):
            return self._idle.get_nowait(), True
        connection = http.client.HTTPConnection(self.host, self.port, timeout=self.connect_seconds)
        with contextlib.suppress(OSError):
            connection.connect()
            connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.sock.settimeout(self.read_seconds)
        return connection, False

    def _keep(self, connection: http.client.HTTPConnection, answer: http.client.HTTPResponse) -> None:
        if answer.will_close:
            connection.close()
            return
        try:
            self._idle.put_nowait(connection)
        except queue.Full:
            connection.close()


def _passed_back(answer: http.client.HTTPResponse, data: bytes) -> Response:
    dropped = HOP_HEADERS | {"content-type", "date", "server"}
    headers = [(name, value) for name, value in answer.getheaders() if name.lower() not in dropped]
    return Response(data, answer.status, answer.getheader("Content-Type") or "application/octet-stream", headers)


class Frontend:
    """One server block of the configuration."""

    def __init__(self, server: nginx.Directive) -> None:
        self.server = server
        connect = float(server.value("proxy_connect_timeout", "60"))
        read = float(server.value("proxy_read_timeout", "60"))
        self.upstreams = {url: Upstream(url, connect, read) for url, _ in nginx.upstreams([server])}
        self.headers = [
            (header.arguments[0], header.arguments[1])
            for header in server.all("add_header")
            if len(header.arguments) > 1
        ]
        self.body_limit = nginx.size(server.value("client_max_body_size", "1m"))

    def __call__(self, request: Request) -> Response:
        """Answer a request by the configuration and write the access log."""
        host = (request.headers.get("Host") or "localhost").partition(":")[0]
        outcome = nginx.route(self.server, request.method, request.path, request.query_text, host)
        response = self._answered(request, outcome)
        response.headers = [*response.headers, *self.headers, ("Server", "nginx")]
        if outcome.logged:
            _access_log(request, response)
        return response

    def _answered(self, request: Request, outcome: nginx.Outcome) -> Response:
        if outcome.kind == "proxy":
            return self.upstreams[outcome.upstream].send(request, outcome.uri)
        if outcome.kind == "answer":
            if outcome.status in {301, 302, 307, 308}:
                moved = page(outcome.status, "Moved Permanently")
                moved.headers = [("Location", outcome.text)]
                return moved
            return Response(outcome.text.encode(), outcome.status, "text/plain")
        if request.method not in {"GET", "HEAD"}:
            return page(405, "Not Allowed")
        return Response(UI, 200, "text/html")


def _access_log(request: Request, response: Response) -> None:
    target = request.path + (f"?{request.query_text}" if request.query_text else "")
    line = {
        "remote_addr": request.client,
        "remote_user": "",
        "time_local": datetime.now(UTC).strftime("%d/%b/%Y:%H:%M:%S %z"),
        # A download link holds a token.
        "request": f"{request.method} {target.partition('jwt=')[0]} HTTP/1.1",
        "status": response.status,
        "body_bytes_sent": len(response.payload()),
        "http_referer": request.headers.get("Referer", ""),
        "http_user_agent": request.headers.get("User-Agent", ""),
        "cache_status": "",
    }
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


def _resolve(directives: list[nginx.Directive]) -> None:
    # nginx asks the resolver once, at its start; services that are made together with it may get their names later.
    deadline = time.monotonic() + environment.patience_seconds()
    for url, line in nginx.upstreams(directives):
        host = urlsplit(url).hostname or ""
        while True:
            try:
                socket.getaddrinfo(host, None)
                break
            except OSError as exc:
                if time.monotonic() > deadline:
                    message = f'[emerg] host not found in upstream "{host}" in {CONFIGURATION}:{line}'
                    raise SettingsError(message) from exc
                time.sleep(0.2)


def _configuration() -> Path:
    path = environment.container_path(CONFIGURATION)
    return path / "nginx.conf" if path.is_dir() else path


def _tls(server: nginx.Directive) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    paths = [environment.container_path(server.value(n, "")) for n in ("ssl_certificate", "ssl_certificate_key")]
    context.load_cert_chain(paths[0], paths[1])
    return context


def main() -> int:
    """Serve every server block until told to stop."""
    try:
        directives = nginx.parse(_configuration().read_text())
    except (OSError, nginx.ConfigurationError) as exc:
        raise SettingsError(f"[emerg] {exc} in {CONFIGURATION}") from exc
    _resolve(directives)
    servers = []
    for block in directives:
        if block.name != "server":
            continue
        frontend = Frontend(block)
        # The IPv6 twin of a port has no loopback address of its own.
        for listen in (found.arguments for found in block.all("listen") if not found.arguments[0].startswith("[")):
            port = int(listen[0].rpartition(":")[2])
            tls = _tls(block) if "ssl" in listen else None
            too_large = page(413, "Request Entity Too Large")
            too_large.headers = [("Server", "nginx")]
            host = environment.address()[0]
            servers.append(web.Server((host, port), frontend, tls, frontend.body_limit, too_large))
    if not servers:
        raise SettingsError(f"[emerg] no server in {CONFIGURATION}")
    return web.run(servers)
