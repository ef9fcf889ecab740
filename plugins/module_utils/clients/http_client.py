# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""HTTP and HTTPS for checks: every phase timed, nothing hidden.

No redirect is followed and nothing is repeated, since a check must report the first answer, not the best of several.
"""

from __future__ import annotations

import copy
import http.client
import io
import json
import queue
import select
import socket
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from typing import Any, Literal
from urllib.parse import urlsplit

from ansible_collections.langsmith.aws.plugins.module_utils.domain.forwarding import DialError
from ansible_collections.langsmith.aws.plugins.module_utils.domain.langsmith import blank
from ansible_collections.langsmith.aws.plugins.module_utils.domain.seconds import GIVE_SECONDS, is_time

#: Connects to a host and port within seconds, in place of resolving and connecting. Raises DialError or OSError.
Dial = Callable[[str, int, float], socket.socket]

Phase = Literal["dns", "tcp", "tls", "http"]

#: Firewalls block who does not say what it is; AWS's common rules do (NoUserAgent_HEADER).
USER_AGENT = "langsmith.aws"

#: Bytes of one answer that are kept when the caller names no other bound.
MAX_BODY_BYTES = 8 * 1024 * 1024

_PORTS = {"http": 80, "https": 443}

#: OpenSSL's X509_V_FLAG_NO_CHECK_TIME, which the ssl module does not name.
_NO_CHECK_TIME = 0x200000


@dataclass(frozen=True)
class Timings:
    """Seconds from the start of each phase to its end; ``None`` where the phase did not take place.

    ``first_byte`` runs from sending the request to the end of the answer's headers, ``total`` over everything.
    A request on a connection that was kept has neither ``dns``, ``connect`` nor ``tls``.
    """

    dns: float | None = None
    connect: float | None = None
    tls: float | None = None
    first_byte: float | None = None
    total: float | None = None

    @property
    def connecting(self) -> float:
        """Seconds for name, connection and handshake; 0 on a kept connection."""
        return sum(value for value in (self.dns, self.connect, self.tls) if value is not None)

    def to_dict(self) -> dict[str, float]:
        """The phases that took place, rounded to 0.1 ms."""
        return {name: round(value, 4) for name, value in asdict(self).items() if value is not None}


@dataclass(frozen=True)
class Answer:
    """What came back. ``headers`` have lower-case names; ``truncated`` says that the body went on beyond the bound.

    ``sent`` are the headers of the request, by which the texts for people know what not to tell.
    """

    method: str
    url: str
    status: int
    headers: dict[str, str]
    body: bytes
    truncated: bool
    timings: Timings
    tls: dict[str, str] = field(default_factory=dict)
    sent: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def content_type(self) -> str:
        """The media type in lower case without its parameters; empty where none was sent."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    def text(self) -> str:
        """The body for a message; what it repeats of the caller's key is blanked."""
        return blank(self.body.decode("utf-8", "replace"), self.sent)

    def head(self, characters: int = 200) -> str:
        """The start of its text on one line."""
        return " ".join(self.text()[: characters * 4].split())[:characters]

    def told(self, name: str) -> str:
        """A header for a message, empty where it was not sent; blanked as the body's start is."""
        return blank(self.headers.get(name, ""), self.sent)

    def json(self) -> Any:
        """The body as JSON. Raises ``ValueError`` when it is something else, an HTML page say."""
        try:
            return json.loads(self.body)
        except RecursionError as error:
            raise ValueError("it is nested too deeply to be read") from error


class HttpError(Exception):
    """No answer. ``phase`` names the layer that failed, ``reason`` says why in a sentence without its full stop."""

    def __init__(self, phase: Phase, reason: str, *, url: str, timed_out: bool, timings: Timings) -> None:
        super().__init__(f"{url}: {phase}: {reason}")
        self.phase = phase
        self.reason = reason
        self.url = url
        self.timed_out = timed_out
        self.timings = timings


class _Failure(Exception):  # noqa: N818
    """What went wrong inside a phase, before the request that it belongs to is known."""

    def __init__(self, phase: Phase, reason: str, *, timed_out: bool = False) -> None:
        super().__init__(reason)
        self.phase = phase
        self.reason = reason
        self.timed_out = timed_out


class _DeadlineReader(io.RawIOBase):
    """Reads a socket so that all reads together end at the deadline, however slowly the bytes drip."""

    def __init__(self, owner: _DeadlineSocket) -> None:
        self._owner = owner

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._owner.arm()
        return self._owner.socket.recv_into(buffer)


class _DeadlineSocket:
    """As much of a socket as ``http.client`` asks for, with one deadline for all its calls."""

    def __init__(self, sock: socket.socket, seconds: float) -> None:
        self.socket = sock
        self.extend(seconds)

    def extend(self, seconds: float) -> None:
        self._deadline = time.monotonic() + seconds

    def arm(self) -> None:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self.socket.settimeout(left)

    def sendall(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            self.arm()
            view = view[self.socket.send(view[:65536]) :]

    def makefile(self, mode: str) -> io.BufferedReader:
        return io.BufferedReader(_DeadlineReader(self))

    def close(self) -> None:
        """Nothing: ``http.client`` closes before the body is read and relies on open files keeping a socket alive."""


class HttpClient:
    """Requests to one origin (scheme, name and port), one after another on one kept connection.

    ``origin`` is a URL; what follows its port is ignored. ``connect_to`` (``host:port``) is reached instead of the
    origin's name, which stays in the TLS server name, the certificate check and the Host header. ``ca_file`` (PEM) is
    trusted instead of the system's authorities. ``connect_timeout`` (seconds) bounds DNS, TCP and TLS together,
    ``timeout`` (seconds) one request with its answer. ``dial`` connects instead of the resolver and the network, into a
    cluster say; what it cannot reach is an error of phase tcp. It is told ``connect_timeout`` and counts it itself, as
    it may first have to get credentials; the other times begin when it is done. Raises ``ValueError`` for an address or
    a ``ca_file`` that cannot be used.
    """

    def __init__(
        self,
        origin: str,
        *,
        connect_to: str | None = None,
        ca_file: str | None = None,
        connect_timeout: float = 10,
        timeout: float = 30,
        dial: Dial | None = None,
    ) -> None:
        if not is_time(connect_timeout) or not is_time(timeout):
            raise ValueError(f"timeout {timeout:g} and connect_timeout {connect_timeout:g}: {GIVE_SECONDS}")
        parts = urlsplit(origin)
        if parts.scheme not in _PORTS or not parts.hostname:
            raise ValueError(f"{origin!r} is no URL of the form https://name[:port]/path")
        if not all("!" <= character <= "~" for character in origin):
            raise ValueError(f"{origin!r} holds characters that a URL has to escape (%..) or, in a name, write as xn--")
        self.scheme = parts.scheme
        self.host = parts.hostname
        self.port = parts.port or _PORTS[parts.scheme]
        self.netloc = parts.netloc.rpartition("@")[2]
        self.address = split_address(connect_to) if connect_to else (self.host, self.port)
        self._connect_timeout = connect_timeout
        self._timeout = timeout
        self._ca_file = ca_file
        self._dial = dial
        self._context = _trust(ca_file) if self.scheme == "https" else None
        self._connection: http.client.HTTPConnection | None = None
        self._socket: _DeadlineSocket | None = None
        self._raw: socket.socket | None = None
        self._tls: dict[str, str] = {}

    @property
    def origin(self) -> str:
        """Scheme, name and port as the URL had them."""
        return f"{self.scheme}://{self.netloc}"

    def unused_proxy(self) -> str:
        """The proxy (``host:port``) that the environment names for where this leads; empty where it names none."""
        # Only who cannot connect pays for what reads it.
        from urllib.request import getproxies, proxy_bypass

        if proxy_bypass(self.netloc) or proxy_bypass(self.address[0]):
            return ""
        proxies = getproxies()
        named = proxies.get(self.scheme) or proxies.get("all", "")
        # Before the @ is who calls the proxy, with a password.
        return named.rpartition("@")[2].rpartition("//")[2].strip("/")

    def is_for(self, origin: str) -> bool:
        """Whether a URL is of this client's origin, its port written out or not."""
        parts = urlsplit(origin)
        port = parts.port or _PORTS.get(parts.scheme)
        return (parts.scheme, parts.hostname, port) == (self.scheme, self.host, self.port)

    def twin(self) -> HttpClient:
        """Another client for the same, with a connection of its own; the authorities are not read again."""
        other = copy.copy(self)
        other._connection, other._socket, other._raw, other._tls = None, None, None, {}
        return other

    def for_origin(self, origin: str) -> HttpClient:
        """A client for another origin with the same limits; it connects to where the name really leads.

        Such an origin is an object store behind a presigned address, whose certificate no installation's own authority
        signs: the system's authorities are trusted, and ``ca_file`` beside them.
        """
        other = HttpClient(origin, connect_timeout=self._connect_timeout, timeout=self._timeout)
        if other._context is not None and self._ca_file:
            other._context.load_verify_locations(cafile=self._ca_file)
        return other

    def request(
        self,
        method: str,
        target: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        max_bytes: int = MAX_BODY_BYTES,
    ) -> Answer:
        """One request; ``target`` is a path with its query. Any status is an answer; ``HttpError`` is none."""
        started = time.monotonic()
        url = f"{self.origin}{target}"
        marks: dict[str, float] = {}
        try:
            connection, sock = self._connected(marks)
            spent = time.monotonic() - started if self._dial is None else 0.0
            sock.extend(self._timeout - spent)
            return self._exchange(connection, method, target, dict(headers or {}), body, max_bytes, started, marks)
        except _Failure as found:
            failure = self._further(found)
            self.close()
            marks["total"] = time.monotonic() - started
            raise HttpError(
                failure.phase, failure.reason, url=url, timed_out=failure.timed_out, timings=Timings(**marks)
            ) from failure
        except BaseException:
            # An interrupt say: whoever cleans up after it needs a connection on which no answer is due.
            self.close()
            raise

    def close(self) -> None:
        """Ends the kept connection; the next request opens another."""
        if self._socket is not None:
            with suppress(OSError):
                self._socket.socket.close()
        self._connection = self._socket = self._raw = None

    def _connected(self, marks: dict[str, float]) -> tuple[http.client.HTTPConnection, _DeadlineSocket]:
        if self._connection is not None and self._socket is not None and not _has_ended(self._socket.socket):
            return self._connection, self._socket
        self.close()
        deadline = time.monotonic() + min(self._connect_timeout, self._timeout)
        if self._dial is None:
            raw = self._reach(deadline, marks)
        else:
            raw = self._dialled(self._dial, marks)
            deadline = time.monotonic() + min(self._connect_timeout, self._timeout)
        self._raw = raw
        if self._context is not None:
            raw = self._secure(self._context, raw, deadline, marks)
        self._socket = _DeadlineSocket(raw, self._timeout)
        self._connection = http.client.HTTPConnection(self.host, self.port)
        # http.client asks for a socket's methods only, of which ours has those it calls.
        self._connection.sock = self._socket
        return self._connection, self._socket

    def _reach(self, deadline: float, marks: dict[str, float]) -> socket.socket:
        started = time.monotonic()
        addresses = _resolve(*self.address, seconds=deadline - started)
        resolved = time.monotonic()
        marks["dns"] = resolved - started
        last = _Failure("tcp", "no address to connect to")
        for position, (family, address) in enumerate(addresses):
            left = deadline - time.monotonic()
            if left <= 0:
                break
            try:
                # An address that swallows packets must not use up the time of those after it.
                sock = _open(family, address, left / (len(addresses) - position))
            except OSError as error:
                # What an address answers, or does not, tells more than that there is no way to another.
                if position == 0 or not _is_no_way(error):
                    last = _tcp_failure(error, f"{address[0]} port {address[1]}")
                continue
            marks["connect"] = time.monotonic() - resolved
            return sock
        raise last

    def _dialled(self, dial: Dial, marks: dict[str, float]) -> socket.socket:
        started = time.monotonic()
        try:
            sock = dial(*self.address, min(self._connect_timeout, self._timeout))
        except DialError as error:
            raise _Failure("tcp", str(error), timed_out=error.timed_out) from error
        except OSError as error:
            raise _tcp_failure(error, f"{self.address[0]} port {self.address[1]}") from error
        marks["connect"] = time.monotonic() - started
        return sock

    def _further(self, failure: _Failure) -> _Failure:
        """What the way that was dialled tells of its end, which then explains the failure: a port that refused, say."""
        told = getattr(self._raw, "failure", "")
        return _Failure("tcp", told) if told and not failure.timed_out else failure

    def _secure(
        self, context: ssl.SSLContext, raw: socket.socket, deadline: float, marks: dict[str, float]
    ) -> ssl.SSLSocket:
        started = time.monotonic()
        raw.settimeout(max(deadline - started, 0.001))
        try:
            secured = context.wrap_socket(raw, server_hostname=self.host)
        except ssl.SSLCertVerificationError as error:
            raw.close()
            shown = self._shown_certificate()
            raise _Failure("tls", _certificate_reason(error, self.host, shown)) from error
        except TimeoutError as error:
            raw.close()
            raise _Failure("tls", "the handshake did not end in time", timed_out=True) from error
        except (OSError, ValueError) as error:
            raw.close()
            raise _Failure("tls", _tls_reason(error)) from error
        marks["tls"] = time.monotonic() - started
        self._tls = {"protocol": secured.version() or "", **_certificate_facts(secured.getpeercert())}
        return secured

    def _shown_certificate(self) -> dict[str, str]:
        """The facts of the certificate that was refused; empty where it cannot be read any more.

        The ssl module decodes a certificate only once it has been verified. So the certificate is fetched unverified,
        then trusted by itself in a second handshake, whose connection is dropped without a byte of ours.
        """
        try:
            fetching = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            fetching.check_hostname = False
            fetching.verify_mode = ssl.CERT_NONE
            der = self._peer_certificate(fetching, binary_form=True)
            decoding = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            decoding.check_hostname = False
            decoding.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN | _NO_CHECK_TIME
            decoding.load_verify_locations(cadata=der)
            return _certificate_facts(self._peer_certificate(decoding))
        except (OSError, ValueError, DialError):
            return {}

    def _peer_certificate(self, context: ssl.SSLContext, *, binary_form: bool = False) -> Any:
        with (self._dial or _connect)(*self.address, self._connect_timeout) as raw:
            raw.settimeout(self._connect_timeout)
            with context.wrap_socket(raw, server_hostname=self.host) as secured:
                return secured.getpeercert(binary_form)

    def _exchange(
        self,
        connection: http.client.HTTPConnection,
        method: str,
        target: str,
        headers: dict[str, str],
        body: bytes | None,
        max_bytes: int,
        started: float,
        marks: dict[str, float],
    ) -> Answer:
        sending = time.monotonic()
        try:
            own = {"Host": self.netloc, "User-Agent": USER_AGENT}
            connection.request(method, target, body=body, headers={**own, **headers})
            response = connection.getresponse()
            marks["first_byte"] = time.monotonic() - sending
            content, truncated = _read_body(response, max_bytes)
        except TimeoutError as error:
            raise _Failure("http", self._timeout_reason(marks), timed_out=True) from error
        except http.client.IncompleteRead as error:
            raise _Failure("http", _cut_reason(len(error.partial), error.expected)) from error
        except http.client.HTTPException as error:
            raise _Failure("http", _protocol_reason(error, headers)) from error
        except OSError as error:
            raise _Failure("http", f"the connection broke before the answer: {error.strerror or error}") from error
        if truncated or response.will_close:
            self.close()
        marks["total"] = time.monotonic() - started
        return Answer(
            method=method,
            url=f"{self.origin}{target}",
            status=response.status,
            headers={name.lower(): value for name, value in response.getheaders()},
            body=content,
            truncated=truncated,
            timings=Timings(**marks),
            tls=dict(self._tls),
            sent=headers,
        )

    def _timeout_reason(self, marks: dict[str, float]) -> str:
        stage = "the answer did not end" if "first_byte" in marks else "no answer"
        return f"{stage} within {self._timeout:g} s"


def _trust(ca_file: str | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca_file)
    except OSError as error:
        raise ValueError(f"ca_file {ca_file} cannot be read as PEM certificates: {error}") from error


def split_address(address: str) -> tuple[str, int]:
    """``host:port`` or ``[v6]:port`` as a pair. Raises ``ValueError`` for anything else."""
    host, separator, port = address.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not separator or not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise ValueError(f"{address!r} is not of the form host:port")
    return host, int(port)


def join_address(host: str, port: int) -> str:
    """A pair as ``host:port`` or ``[v6]:port``."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _open(family: int, address: Any, seconds: float) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.settimeout(seconds)
        sock.connect(address)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except BaseException:
        sock.close()
        raise
    return sock


def _connect(host: str, port: int, timeout: float) -> socket.socket:
    return socket.create_connection((host, port), timeout=timeout)


def _has_ended(sock: socket.socket) -> bool:
    """Whether a connection that nothing is expected from is readable: the other side has closed it."""
    if isinstance(sock, ssl.SSLSocket) and sock.pending():
        return True
    try:
        return bool(select.select([sock], [], [], 0)[0])
    except (OSError, ValueError):
        return True


def _resolve(host: str, port: int, seconds: float) -> list[tuple[int, Any]]:
    """Addresses in the resolver's order. A thread, since the resolver itself takes no time limit."""
    outcome: queue.Queue[list[tuple[int, Any]] | OSError | UnicodeError] = queue.Queue()

    def look_up() -> None:
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            outcome.put([(entry[0], entry[4]) for entry in found])
        except (OSError, UnicodeError) as error:
            outcome.put(error)

    threading.Thread(target=look_up, daemon=True).start()
    try:
        found = outcome.get(timeout=max(seconds, 0.001))
    except queue.Empty as error:
        raise _Failure("dns", f"no resolver answered for {host} within {seconds:.1f} s", timed_out=True) from error
    if isinstance(found, list):
        return found
    detail = getattr(found, "strerror", None) or str(found)
    if getattr(found, "errno", None) == socket.EAI_AGAIN:
        raise _Failure("dns", f"no resolver answered for {host}: {detail}") from found
    raise _Failure("dns", f"{host} does not resolve: {detail}") from found


def _tcp_failure(error: OSError, where: str) -> _Failure:
    if isinstance(error, TimeoutError):
        return _Failure("tcp", f"no connection to {where} in time; packets are dropped on the way", timed_out=True)
    if isinstance(error, ConnectionRefusedError):
        return _Failure("tcp", f"{where} refused the connection; nothing listens there")
    if _is_no_way(error):
        return _Failure("tcp", f"this machine has no way to {where}: {error.strerror or error}")
    return _Failure("tcp", f"cannot connect to {where}: {error.strerror or error}")


def _is_no_way(error: OSError) -> bool:
    return not isinstance(error, (TimeoutError, ConnectionError))


def _certificate_reason(error: ssl.SSLCertVerificationError, host: str, shown: dict[str, str]) -> str:
    facts = ""
    if shown:
        validity = f"valid {shown['from']} to {shown['until']}"
        facts = f"; the certificate is for {shown['names']}, by {shown['issuer']}, {validity}"
    return f"the certificate does not hold for {host}: {error.verify_message.rstrip('.')}{facts}"


def _tls_reason(error: Exception) -> str:
    if isinstance(error, ssl.SSLError) and error.reason in ("WRONG_VERSION_NUMBER", "HTTP_REQUEST"):
        return "the port speaks no TLS (plain HTTP?)"
    if isinstance(error, (ssl.SSLEOFError, ConnectionResetError)):
        return "the connection was closed during the handshake"
    reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or str(error)
    return f"the handshake failed: {str(reason).replace('_', ' ').lower()}"


def _certificate_facts(certificate: Any) -> dict[str, str]:
    """Names, issuer and dates (as OpenSSL prints them, GMT) of a decoded certificate; empty without one."""
    if not certificate:
        return {}
    subject = dict(pair for group in certificate.get("subject", ()) for pair in group)
    issuer = dict(pair for group in certificate.get("issuer", ()) for pair in group)
    names = [value for _kind, value in certificate.get("subjectAltName", ())] or [subject.get("commonName", "no name")]
    return {
        "names": ", ".join(names),
        "issuer": issuer.get("commonName") or issuer.get("organizationName") or "an unnamed issuer",
        "from": certificate["notBefore"],
        "until": certificate["notAfter"],
    }


def _read_body(response: http.client.HTTPResponse, max_bytes: int) -> tuple[bytes, bool]:
    expected = response.length
    chunks: list[bytes] = []
    size = 0
    while size <= max_bytes:
        chunk = response.read(min(65536, max_bytes + 1 - size))
        if not chunk:
            break
        chunks.append(chunk)
        size += len(chunk)
    content = b"".join(chunks)
    if size > max_bytes:
        return content[:max_bytes], True
    if expected is not None and size < expected:
        raise http.client.IncompleteRead(content, expected - size)
    return content, False


def _cut_reason(received: int, missing: int | None) -> str:
    rest = f", {missing} more were announced" if missing else ""
    return f"the answer was cut off after {received} bytes{rest}"


def _protocol_reason(error: http.client.HTTPException, sent: Mapping[str, str]) -> str:
    if isinstance(error, http.client.RemoteDisconnected):
        return "the connection was closed without an answer"
    return f"the answer is no HTTP ({type(error).__name__}: {blank(str(error), sent)[:100]!r})"
