# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The data plane over real sockets: TLS by server name, rules, targets, health."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import http.client
import http.server
import json
import os
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sandbox import pki, state
from sandbox.loadbalancer import proxy
from sandbox.loadbalancer.server import Server, Settings

DEADLINE_SECONDS = 60
GROUP = "arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/app/1"


class Target(http.server.BaseHTTPRequestHandler):
    """Answers /health with what the server is told; echoes the rest."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self.path == "/health":
            self._answer(self.server.health, b"ok")  # type: ignore[attr-defined]
        elif self.path == "/stream":
            self._stream()
        else:
            self._answer(200, json.dumps([self.path, dict(self.headers)]).encode())

    def do_POST(self) -> None:
        digest, left = hashlib.sha256(), int(self.headers.get("Content-Length") or 0)
        for piece in self._chunks() if self.headers.get("Transfer-Encoding") else self._pieces(left):
            digest.update(piece)
        self._answer(200, digest.hexdigest().encode())

    def _pieces(self, left: int) -> Iterator[bytes]:
        while left:
            piece = self.rfile.read(min(left, 65536))
            left -= len(piece)
            yield piece

    def _chunks(self) -> Iterator[bytes]:
        while size := int(self.rfile.readline(), 16):
            yield self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()

    def _stream(self) -> None:
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.wfile.write(b"5\r\nfirst\r\n")
        self.wfile.flush()
        self.server.released.wait(DEADLINE_SECONDS)  # type: ignore[attr-defined]
        self.wfile.write(b"4\r\nlast\r\n0\r\n\r\n")

    def _answer(self, status: int, content: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *args: object) -> None:
        """Tests print nothing."""


class QuietServer(http.server.ThreadingHTTPServer):
    """A client that goes away is no news to a test."""

    daemon_threads = True

    def handle_error(self, *args: object) -> None:
        """Print nothing."""


class App:
    """A target on a port of its own."""

    def __init__(self) -> None:
        self.server = QuietServer(("127.0.0.1", 0), Target)
        self.server.health = 200  # type: ignore[attr-defined]
        self.server.released = threading.Event()  # type: ignore[attr-defined]
        self.port: int = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


class Plane:
    """A running data plane and the files it lives by."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.loop = asyncio.new_event_loop()
        self.server = Server(Settings(0, 0, folder / "load-balancer.json", folder / "health.json", factor=0.004))
        threading.Thread(target=self.loop.run_forever, daemon=True).start()
        self._call(self.server.start())
        self.http_port, self.https_port = self.server.ports

    def _call(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(DEADLINE_SECONDS)

    def close(self) -> None:
        self._call(self.server.stop())
        self.loop.call_soon_threadsafe(self.loop.stop)

    def certificate(self, domain: str) -> dict[str, Any]:
        certificate, key = pki.issue(domain)
        paths = self.folder / f"{domain}.crt", self.folder / f"{domain}.key"
        paths[0].write_text(certificate)
        paths[1].write_text(key)
        return {"domains": [domain], "certificate_file": str(paths[0]), "key_file": str(paths[1])}

    def configure(self, targets: list[tuple[str, int]], **changes: Any) -> None:
        forward = {"type": "forward", "target_groups": [{"arn": GROUP, "weight": 1}]}
        nothing = {"type": "fixed-response", "status": 404, "content_type": "text/plain", "body": ""}
        redirect = {"type": "redirect", "protocol": "HTTPS", "port": "443", "status": 301}
        rules = [{"hosts": ["app.localhost"], "paths": ["/*"], "action": forward}]
        secure: dict[str, Any] = {
            "port": 443,
            "protocol": "HTTPS",
            "certificates": changes.get("certificates") or [self.certificate("app.localhost")],
            "rules": rules,
            "default_action": nothing,
        }
        plain = {"port": 80, "protocol": "HTTP", "certificates": [], "rules": [], "default_action": redirect}
        balancer = {
            "name": "k8s-app",
            "dns_name": "k8s-app.us-east-1.elb.amazonaws.com",
            "idle_timeout_seconds": changes.get("idle_timeout", 60),
            "listeners": [plain, secure],
        }
        group = {
            "protocol": "HTTP",
            "used": True,
            "health_check": {"path": "/health", "timeout": DEADLINE_SECONDS},
            "targets": targets,
        }
        found = {"load_balancers": [balancer], "target_groups": {GROUP: group}}
        state.write_text(self.folder / "load-balancer.json", json.dumps(found))
        until(lambda: self.health().keys() == {f"{address}:{port}" for address, port in targets})
        # With no target at all the health file tells nothing; the certificate in use does.
        until(lambda: self._serves(secure["certificates"][0]["domains"][0]))

    def _serves(self, name: str) -> bool:
        try:
            self.connect(name).close()
        except (OSError, ssl.SSLError):
            return False
        return True

    def health(self) -> dict[str, Any]:
        try:
            return dict(json.loads((self.folder / "health.json").read_text()).get(GROUP, {}))
        except FileNotFoundError:
            return {}

    def connect(self, server_name: str = "app.localhost") -> http.client.HTTPSConnection:
        """A verified connection whose SNI and Host are `server_name`, to the plane's port."""
        context = ssl.create_default_context(cafile=str(pki.authority().certificate_file))
        connection = http.client.HTTPSConnection(server_name, 443, timeout=DEADLINE_SECONDS, context=context)
        plain = socket.create_connection(("127.0.0.1", self.https_port), DEADLINE_SECONDS)
        connection.sock = context.wrap_socket(plain, server_hostname=server_name)
        return connection

    def get(self, path: str) -> http.client.HTTPResponse:
        connection = self.connect()
        connection.request("GET", path)
        return connection.getresponse()


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "the condition was not met in time"
        time.sleep(0.02)


@pytest.fixture
def plane(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Plane]:
    monkeypatch.setenv(state.FOLDER_VARIABLE, str(tmp_path / "state"))
    running = Plane(tmp_path)
    yield running
    running.close()


@pytest.fixture
def app() -> Iterator[App]:
    running = App()
    yield running
    with contextlib.suppress(OSError):
        running.close()


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port that refuses connections, held so that nobody else listens there."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield int(held.getsockname()[1])


def serving(plane: Plane, app: App) -> None:
    plane.configure([("127.0.0.1", app.port)])
    until(lambda: plane.health().get(f"127.0.0.1:{app.port}") == {"State": "healthy"})


def test_a_request_reaches_the_target_with_the_headers_an_alb_adds(plane: Plane, app: App) -> None:
    serving(plane, app)
    path, headers = json.loads(plane.get("/a/b?c=d").read())
    assert path == "/a/b?c=d"
    assert headers["X-Forwarded-For"] == "127.0.0.1"
    assert (headers["X-Forwarded-Proto"], headers["X-Forwarded-Port"]) == ("https", "443")
    assert headers["X-Amzn-Trace-Id"].startswith("Root=1-")
    assert headers["Host"] == "app.localhost"


def test_one_connection_carries_many_requests(plane: Plane, app: App) -> None:
    serving(plane, app)
    connection = plane.connect()
    first = connection.sock
    for number in range(5):
        connection.request("GET", f"/{number}")
        assert json.loads(connection.getresponse().read())[0] == f"/{number}"
    assert connection.sock is first


def test_a_body_of_25_mb_arrives_whole(plane: Plane, app: App) -> None:
    serving(plane, app)
    content = os.urandom(25_000_000)
    connection = plane.connect()
    connection.request("POST", "/runs", body=content)
    assert connection.getresponse().read().decode() == hashlib.sha256(content).hexdigest()


def test_a_chunked_body_of_unknown_length_arrives_whole(plane: Plane, app: App) -> None:
    serving(plane, app)
    pieces = [os.urandom(70_000) for _ in range(20)]
    connection = plane.connect()
    connection.request("POST", "/runs", body=iter(pieces), encode_chunked=True)
    assert connection.getresponse().read().decode() == hashlib.sha256(b"".join(pieces)).hexdigest()


def test_a_response_is_passed_on_while_it_is_made(plane: Plane, app: App) -> None:
    serving(plane, app)
    answer = plane.get("/stream")
    assert answer.read(5) == b"first"
    app.server.released.set()  # type: ignore[attr-defined]
    assert answer.read() == b"last"


def test_http_is_redirected_to_https_with_path_and_query(plane: Plane, app: App) -> None:
    serving(plane, app)
    connection = http.client.HTTPConnection("127.0.0.1", plane.http_port, timeout=DEADLINE_SECONDS)
    connection.request("GET", "/x/y?z=1", headers={"Host": "app.localhost"})
    answer = connection.getresponse()
    assert answer.status == 301
    assert answer.getheader("Location") == "https://app.localhost:443/x/y?z=1"
    assert answer.getheader("Server") == "awselb/2.0"


def test_no_registered_target_is_503_in_html(plane: Plane) -> None:
    plane.configure([])
    until(lambda: plane.get("/").status == 503)
    answer = plane.get("/")
    assert answer.getheader("Content-Type") == "text/html"
    assert b"<h1>503 Service Temporarily Unavailable</h1>" in answer.read()


def test_a_refused_connection_is_502_in_html_and_an_unhealthy_target(plane: Plane, closed_port: int) -> None:
    plane.configure([("127.0.0.1", closed_port)])
    answer = plane.get("/")
    assert answer.status == 502
    assert b"<h1>502 Bad Gateway</h1>" in answer.read()
    until(lambda: plane.health()[f"127.0.0.1:{closed_port}"].get("Reason") == "Target.FailedHealthChecks")


def test_a_wrong_status_makes_a_target_unhealthy_and_a_good_one_healthy_again(plane: Plane, app: App) -> None:
    serving(plane, app)
    key = f"127.0.0.1:{app.port}"
    app.server.health = 404  # type: ignore[attr-defined]
    until(lambda: plane.health()[key]["State"] == "unhealthy")
    assert plane.health()[key]["Reason"] == "Target.ResponseCodeMismatch"
    assert plane.health()[key]["Description"] == "Health checks failed with these codes: [404]"
    app.server.health = 200  # type: ignore[attr-defined]
    until(lambda: plane.health()[key]["State"] == "healthy")


def test_requests_go_to_healthy_targets_only_and_to_all_when_none_is(plane: Plane, app: App, closed_port: int) -> None:
    dead = ("127.0.0.1", closed_port)
    plane.configure([("127.0.0.1", app.port), dead])
    until(lambda: plane.health().get(f"127.0.0.1:{dead[1]}", {}).get("State") == "unhealthy")
    until(lambda: plane.health().get(f"127.0.0.1:{app.port}", {}).get("State") == "healthy")
    assert {plane.get("/").status for _ in range(6)} == {200}
    app.server.health = 500  # type: ignore[attr-defined]
    until(lambda: plane.health()[f"127.0.0.1:{app.port}"]["State"] == "unhealthy")
    assert {plane.get("/").status for _ in range(6)} == {200, 502}


def test_a_certificate_for_another_name_fails_verification(plane: Plane, app: App) -> None:
    plane.configure([("127.0.0.1", app.port)], certificates=[plane.certificate("other.localhost")])
    with pytest.raises(ssl.SSLCertVerificationError, match=r"not valid for 'app\.localhost'"):
        plane.connect()


def test_the_certificate_is_chosen_by_server_name(plane: Plane, app: App) -> None:
    certificates = [plane.certificate("app.localhost"), plane.certificate("two.localhost")]
    plane.configure([("127.0.0.1", app.port)], certificates=certificates)
    connection = plane.connect("two.localhost")
    connection.request("GET", "/")
    assert connection.getresponse().status == 404


def test_without_a_load_balancer_there_is_no_tls(plane: Plane) -> None:
    with pytest.raises((ssl.SSLError, OSError)):
        plane.connect()


def test_a_target_that_does_not_answer_is_504(plane: Plane) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        plane.configure([silent.getsockname()], idle_timeout=1)
        assert plane.get("/").status == 504


def test_a_request_that_is_not_http_gets_400(plane: Plane, app: App) -> None:
    serving(plane, app)
    with socket.create_connection(("127.0.0.1", plane.http_port), DEADLINE_SECONDS) as connection:
        connection.sendall(b"hello\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 400 ")


class HastyTarget(Target):
    """Refuses an upload of which it has seen the head, and reads none of it."""

    def do_PUT(self) -> None:
        self._answer(413, b"too large")
        self.server.answered.set()  # type: ignore[attr-defined]
        self.server.released.wait(DEADLINE_SECONDS)  # type: ignore[attr-defined]
        self.close_connection = True


def test_an_answer_reaches_a_client_that_still_sends(plane: Plane, app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    # Not so long that a client which is held up comes too late for it.
    monkeypatch.setattr(proxy, "LINGER_SECONDS", DEADLINE_SECONDS)
    serving(plane, app)
    app.server.RequestHandlerClass, answered = HastyTarget, threading.Event()
    app.server.answered = answered  # type: ignore[attr-defined]
    # More than the buffers on the way hold, so that sending it ends only where somebody reads it.
    size = 16_000_000
    with contextlib.closing(plane.connect()) as connection:
        connection.putrequest("PUT", "/runs")
        connection.putheader("Content-Length", str(size))
        connection.endheaders()
        assert answered.wait(DEADLINE_SECONDS)
        connection.send(bytes(size))
        answer = connection.getresponse()
        assert (answer.status, answer.read()) == (413, b"too large")
    app.server.released.set()  # type: ignore[attr-defined]
