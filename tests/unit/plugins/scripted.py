# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real HTTP or TLS server on loopback that answers as a test tells it, and certificates for it."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


@dataclass(frozen=True)
class Asked:
    """One request that the server got."""

    method: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Said:
    """One answer. ``raw`` is sent as it is before the connection is cut; ``silent`` says no more until the end."""

    status: int = 200
    body: bytes = b""
    content_type: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)
    raw: tuple[bytes, ...] | None = None
    silent: bool = False


def said(document: Any, status: int = 200) -> Said:
    """A JSON answer."""
    return Said(status, json.dumps(document).encode())


def page(status: int, server: str = "awselb/2.0", **headers: str) -> Said:
    """The page that a load balancer or proxy writes."""
    body = f"<html><head><title>{status}</title></head><body><h1>{status}</h1></body></html>".encode()
    return Said(status, body, "text/html", {"Server": server, **headers})


SILENCE = Said(silent=True)
#: Silence that wakes who waits: an ``impatient`` client takes its time for over, an interrupted one finds that out.
OVERDUE = Said(silent=True, raw=(b"\0 no answer comes \0",))

Script = Callable[[Asked], Said]


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    # Many may connect at the same moment.
    request_queue_size = 128

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Nothing: a client that gives up is what the tests are about."""


@dataclass
class Running:
    """A server that runs: its port, what it was asked, and how many connections it took."""

    port: int
    asked: list[Asked]
    connections: list[Any]

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"


@contextmanager
def serve(script: Script, certificate: tuple[Path, Path] | None = None) -> Iterator[Running]:
    """Serve on a free port until the end of the block; with TLS where a certificate and key are given."""
    asked: list[Asked] = []
    connections: list[Any] = []
    over = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        # Head and body are two packets, and the second must not wait for an acknowledgement of the first.
        disable_nagle_algorithm = True

        def setup(self) -> None:
            connections.append(self.client_address)
            super().setup()

        def answer(self) -> None:
            parts = urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            asked.append(Asked(self.command, parts.path, parse_qs(parts.query), headers, body))
            self.say(script(asked[-1]))

        do_GET = do_POST = do_PATCH = do_DELETE = answer  # noqa: N815

        def say(self, answer: Said) -> None:
            if answer.silent or answer.raw is not None:
                for piece in answer.raw or ():
                    self.wfile.write(piece)
                    self.wfile.flush()
                    over.wait(0.05)
                if answer.silent:
                    over.wait()
                self.close_connection = True
                return
            self.send_response_only(answer.status)
            for name, value in {"Content-Type": answer.content_type, **answer.headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            self.wfile.write(answer.body)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            """Nothing: the test reads ``asked``."""

    server = _Server(("127.0.0.1", 0), Handler)
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield Running(server.server_address[1], asked, connections)
    finally:
        over.set()
        with suppress(OSError):
            server.shutdown()
        server.server_close()
        thread.join()


@dataclass(frozen=True)
class Authority:
    """A certificate authority of a test."""

    ca_file: Path
    folder: Path
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    def issue(self, name: str, *, until: datetime | None = None) -> tuple[Path, Path]:
        """Files of a certificate for the name and its key."""
        key = _key()
        end = until or datetime.now(UTC) + timedelta(days=1)
        certificate = _certificate(name, key, self.key, self.certificate.subject, end, authority=False)
        stem = self.folder / f"{name}-{end:%Y%m%d}"
        paths = (stem.with_suffix(".crt"), stem.with_suffix(".key"))
        paths[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        paths[1].write_bytes(_pem(key))
        return paths


def make_authority(folder: Path) -> Authority:
    """A new authority with its certificate in the folder."""
    key = _key()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Test Authority")])
    certificate = _certificate("Test Authority", key, key, name, datetime.now(UTC) + timedelta(days=2), authority=True)
    ca_file = folder / "ca.crt"
    ca_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    return Authority(ca_file, folder, certificate, key)


def _key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    plain = serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)


def _certificate(
    name: str,
    key: ec.EllipticCurvePrivateKey,
    signer: ec.EllipticCurvePrivateKey,
    issuer: x509.Name,
    until: datetime,
    *,
    authority: bool,
) -> x509.Certificate:
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(min(until, datetime.now(UTC)) - timedelta(days=1))
        .not_valid_after(until)
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
    )
    if authority:
        usage = x509.KeyUsage(True, False, False, False, False, True, True, False, False)
        builder = builder.add_extension(usage, critical=True)
    else:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
    return builder.sign(signer, hashes.SHA256())
