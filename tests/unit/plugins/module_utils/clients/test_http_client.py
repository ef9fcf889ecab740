# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import select
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.langsmith.aws.plugins.module_utils.clients import http_client
from ansible_collections.langsmith.aws.plugins.module_utils.clients.http_client import (
    HttpClient,
    HttpError,
    join_address,
    split_address,
)
from ansible_collections.langsmith.aws.plugins.module_utils.domain.forwarding import DialError

from tests.unit.plugins.leaping import Leaping
from tests.unit.plugins.scripted import (
    OVERDUE,
    SILENCE,
    Asked,
    Authority,
    Running,
    Said,
    Script,
    page,
    said,
    serve,
)


@contextmanager
def tls(authority: Authority, script: Script, name: str = "langsmith.test") -> Iterator[tuple[Running, HttpClient]]:
    with serve(script, authority.issue(name)) as server:
        client = HttpClient("https://langsmith.test", connect_to=server.address, ca_file=str(authority.ca_file))
        yield server, client
        client.close()


def dialled(to: Running | socket.socket, **options: Any) -> HttpClient:
    """A client that dials, so that its limits hold for what comes after the connection and for nothing else."""
    port = to.port if isinstance(to, Running) else to.getsockname()[1]
    return HttpClient(dial=lambda *_: socket.create_connection(("127.0.0.1", port)), **options)


def lost(client: HttpClient, target: str = "/") -> HttpError:
    with pytest.raises(HttpError) as caught:
        client.request("GET", target)
    return caught.value


def test_an_answer_over_tls_holds_status_headers_body_and_the_seconds_of_every_phase(authority: Authority) -> None:
    with tls(authority, lambda _asked: said({"ok": True}, 201)) as (_server, client):
        answer = client.request("GET", "/x")
    assert (answer.status, answer.json(), answer.content_type) == (201, {"ok": True}, "application/json")
    assert set(answer.timings.to_dict()) == {"dns", "connect", "tls", "first_byte", "total"}
    assert answer.timings.total is not None
    assert answer.timings.total >= answer.timings.connecting > 0
    assert answer.tls["names"] == "langsmith.test"


def test_connect_to_changes_where_is_connected_and_nothing_else(authority: Authority) -> None:
    with tls(authority, lambda _asked: said(None)) as (server, client):
        client.request("GET", "/x")
    assert server.asked[0].headers["host"] == "langsmith.test"


def test_one_connection_serves_all_requests_and_only_the_first_pays_for_it(authority: Authority) -> None:
    with tls(authority, lambda _asked: said(None)) as (server, client):
        answers = [client.request("POST", "/x", body=b"{}") for _time in range(3)]
    assert len(server.connections) == 1
    assert answers[0].timings.tls is not None
    assert [answer.timings.tls for answer in answers[1:]] == [None, None]


def test_a_kept_connection_that_the_server_closed_is_opened_anew() -> None:
    kept: list[socket.socket] = []

    def dial(_host: str, _port: int, _seconds: float) -> socket.socket:
        kept.append(socket.create_connection(("127.0.0.1", server.port)))
        return kept[-1]

    with serve(lambda _asked: Said(raw=(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",))) as server:
        client = HttpClient("http://inside", dial=dial)
        assert client.request("GET", "/").body == b"ok"
        assert select.select(kept, [], [], 60)[0], "the server closes"
        assert client.request("GET", "/").body == b"ok"
        client.close()
    assert len(server.asked) == len(kept) == 2


def test_an_answer_that_ends_the_connection_is_read_to_its_end() -> None:
    with serve(lambda _asked: Said(raw=(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", b"one ", b"two"))) as server:
        assert HttpClient(f"http://{server.address}").request("GET", "/").body == b"one two"


def test_a_redirect_is_an_answer_and_is_not_followed() -> None:
    with serve(lambda _asked: page(301, Location="https://elsewhere.test/")) as server:
        answer = HttpClient(f"http://{server.address}").request("GET", "/")
    assert (answer.status, answer.headers["location"]) == (301, "https://elsewhere.test/")
    assert len(server.asked) == 1


def test_a_body_beyond_the_bound_is_cut_and_says_so() -> None:
    with serve(lambda _asked: Said(body=b"x" * 5000)) as server:
        answer = HttpClient(f"http://{server.address}").request("GET", "/", max_bytes=1000)
    assert (len(answer.body), answer.truncated) == (1000, True)


@pytest.mark.usefixtures("unresolved")
def test_a_name_that_does_not_resolve_is_a_dns_error() -> None:
    error = lost(HttpClient("http://nowhere.invalid"))
    assert error.phase == "dns"
    assert "nowhere.invalid does not resolve" in error.reason


def test_a_port_where_nothing_listens_is_a_tcp_error_that_names_it(closed_port: int) -> None:
    error = lost(HttpClient(f"http://127.0.0.1:{closed_port}"))
    assert error.phase == "tcp"
    assert error.reason == f"127.0.0.1 port {closed_port} refused the connection; nothing listens there"


def test_a_certificate_for_another_name_is_told_with_the_names_it_has(authority: Authority) -> None:
    with tls(authority, lambda _asked: said(None), name="other.test") as (_server, client):
        error = lost(client)
    assert error.phase == "tls"
    assert "does not hold for langsmith.test" in error.reason
    assert "the certificate is for other.test, by Test Authority, valid " in error.reason


def test_an_expired_certificate_is_told_with_its_dates(authority: Authority) -> None:
    past = datetime.now(UTC) - timedelta(days=400)
    with serve(lambda _asked: said(None), authority.issue("langsmith.test", until=past)) as server:
        error = lost(HttpClient("https://langsmith.test", connect_to=server.address, ca_file=str(authority.ca_file)))
    assert error.phase == "tls"
    assert "has expired" in error.reason
    assert f"{past:%Y} GMT" in error.reason


def test_a_certificate_of_an_unknown_authority_is_told_with_its_issuer(authority: Authority) -> None:
    with serve(lambda _asked: said(None), authority.issue("langsmith.test")) as server:
        error = lost(HttpClient("https://langsmith.test", connect_to=server.address))
    assert error.phase == "tls"
    assert "unable to get local issuer certificate" in error.reason
    assert "by Test Authority" in error.reason


def test_a_port_without_tls_is_a_tls_error() -> None:
    with serve(lambda _asked: said(None)) as server:
        error = lost(HttpClient("https://langsmith.test", connect_to=server.address))
    assert error.phase == "tls"


def test_silence_ends_at_the_timeout() -> None:
    with serve(lambda _asked: SILENCE) as server:
        client = dialled(server, origin="http://inside", timeout=0.3)
        started = time.monotonic()
        error = lost(client)
        assert time.monotonic() - started >= 0.3
    assert (error.phase, error.reason, error.timed_out) == ("http", "no answer within 0.3 s", True)


def test_a_server_that_takes_the_connection_and_shakes_no_hands_is_a_tls_timeout() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        error = lost(dialled(listener, origin="https://langsmith.test", connect_timeout=0.3))
    assert (error.phase, error.timed_out) == ("tls", True)


class Dripping:
    """A socket whose answer comes byte by byte, one a second, on a clock of its own."""

    def __init__(self, answer: bytes) -> None:
        self.seconds = 0.0
        self._answer = iter(answer)
        self._patience = 0.0

    def monotonic(self) -> float:
        return self.seconds

    def settimeout(self, seconds: float) -> None:
        self._patience = seconds

    def send(self, data: bytes) -> int:
        return len(data)

    def recv_into(self, buffer: memoryview) -> int:
        if self._patience < 1:
            self.seconds += self._patience
            raise TimeoutError
        self.seconds += 1
        drop = next(self._answer, None)
        buffer[:1] = b"" if drop is None else bytes([drop])
        return drop is not None

    def close(self) -> None:
        """Nothing is held."""


HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (HEAD + b"x" * 1000, "the answer did not end within 60 s"),
        (HEAD[:17] + b"X-A: 1\r\n" * 90 + HEAD[17:] + b"x" * 1000, "no answer within 60 s"),
    ],
    ids=["body", "headers"],
)
def test_an_answer_that_drips_is_bounded_by_the_total_timeout(
    monkeypatch: pytest.MonkeyPatch, answer: bytes, reason: str
) -> None:
    dripping = Dripping(answer)
    monkeypatch.setattr(http_client, "time", dripping)
    dial: Any = lambda *_: dripping  # noqa: E731
    error = lost(HttpClient("http://inside", dial=dial, timeout=60))
    assert (error.timed_out, error.reason) == (True, reason)
    assert dripping.seconds == 60


@pytest.mark.parametrize(
    ("pieces", "reason"),
    [
        (
            (b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{",),
            "the answer was cut off after 1 bytes, 49 more were announced",
        ),
        (
            (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n9\r\nab",),
            "the answer was cut off",
        ),
        ((b"SSH-2.0-OpenSSH_9.6\r\n",), "the answer is no HTTP"),
        ((), "the connection was closed without an answer"),
    ],
)
def test_a_broken_answer_is_one_http_error(pieces: tuple[bytes, ...], reason: str) -> None:
    with serve(lambda _asked: Said(raw=pieces)) as server:
        error = lost(HttpClient(f"http://{server.address}"))
    assert error.phase == "http"
    assert error.reason.startswith(reason)
    assert not error.timed_out


def test_a_request_that_is_cut_off_from_here_leaves_a_client_that_asks_anew() -> None:
    def interrupt(_asked: Asked) -> Said:
        if len(server.asked) > 1:
            return said("again")
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
        return OVERDUE

    with serve(interrupt) as server, closing(HttpClient(f"http://{server.address}")) as client:
        with pytest.raises(KeyboardInterrupt):
            client.request("GET", "/")
        assert client.request("GET", "/").json() == "again"


def test_what_tells_of_a_broken_answer_leaves_out_the_key_that_it_repeats() -> None:
    line = b"y" * 40 + b"lsv2_sk_" + b"5" * 60
    with serve(lambda _asked: Said(raw=(line, b"\r\n"))) as server, pytest.raises(HttpError) as caught:
        HttpClient(f"http://{server.address}").request("GET", "/", headers={"X-Api-Key": line[40:].decode()})
    assert "'" + "y" * 40 + "********" in caught.value.reason
    assert "lsv2" not in caught.value.reason


def test_a_client_for_another_origin_trusts_the_same_ca_file(authority: Authority) -> None:
    client = HttpClient("https://langsmith.test", connect_to="127.0.0.1:1", ca_file=str(authority.ca_file))
    with serve(lambda _asked: said(None), authority.issue("localhost")) as server:
        assert client.for_origin(f"https://localhost:{server.port}").request("GET", "/").status == 200


@pytest.mark.parametrize(
    ("origin", "same"),
    [
        ("https://langsmith.test", True),
        ("https://LangSmith.test:443/path", True),
        ("http://langsmith.test:443", False),
        ("https://langsmith.test:8443", False),
        ("https://s3.test", False),
    ],
)
def test_an_origin_is_the_same_with_its_port_written_out_or_not(origin: str, same: bool) -> None:
    assert HttpClient("https://langsmith.test").is_for(origin) is same


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"origin": "langsmith.test"}, "no URL of the form"),
        ({"origin": "ftp://langsmith.test"}, "no URL of the form"),
        ({"origin": "https://langsmith.test/a b"}, "has to escape"),
        ({"origin": "https://lang\u00efsmith.test"}, "has to escape"),
        ({"origin": "https://langsmith.test", "connect_to": "127.0.0.1"}, "host:port"),
        ({"origin": "https://langsmith.test", "timeout": 0.0}, "above 0"),
        ({"origin": "https://langsmith.test", "ca_file": "/nowhere/ca.crt"}, "ca_file /nowhere/ca.crt cannot be read"),
    ],
)
def test_an_address_that_cannot_be_used_is_refused_with_what_is_wrong(options: dict[str, str], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        HttpClient(**options)  # type: ignore[arg-type]


def test_a_ca_file_without_certificates_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "ca.crt"
    file.write_text("nothing")
    with pytest.raises(ValueError, match="cannot be read as PEM certificates"):
        HttpClient("https://langsmith.test", ca_file=str(file))


def test_addresses_are_split_at_the_last_colon() -> None:
    assert split_address("[::1]:8443") == ("::1", 8443)
    assert split_address("lb.test:443") == ("lb.test", 443)


def test_a_twin_asks_the_same_server_on_a_connection_of_its_own(authority: Authority) -> None:
    with tls(authority, lambda _asked: said(None)) as (server, client):
        client.request("GET", "/one")
        twin = client.twin()
        client.close()
        assert twin.request("GET", "/two").tls["names"] == "langsmith.test"
        twin.close()
    assert [asked.path for asked in server.asked] == ["/one", "/two"]
    assert len(server.connections) == 2


def test_a_dial_connects_in_place_of_the_resolver_and_is_told_name_port_and_seconds() -> None:
    told: list[tuple[str, int, float]] = []

    def dial(host: str, port: int, seconds: float) -> socket.socket:
        told.append((host, port, seconds))
        return socket.create_connection(("127.0.0.1", server.port))

    with serve(lambda _asked: said(None)) as server:
        client = HttpClient("http://nowhere.invalid:8123", dial=dial, connect_timeout=4)
        answers = [client.request("GET", "/") for _time in range(2)]
        client.close()
    assert [(host, port) for host, port, _seconds in told] == [("nowhere.invalid", 8123)]
    assert told[0][2] == 4
    assert server.asked[0].headers["host"] == "nowhere.invalid:8123"
    assert answers[0].timings.dns is None
    assert answers[0].timings.connect is not None


@pytest.mark.parametrize(
    ("error", "reason", "timed_out"),
    [
        (DialError("no way to it"), "no way to it", False),
        (DialError("too late", timed_out=True), "too late", True),
        (ConnectionRefusedError(), "inside port 80 refused the connection; nothing listens there", False),
    ],
)
def test_what_a_dial_cannot_reach_is_a_failure_of_phase_tcp(error: Exception, reason: str, timed_out: bool) -> None:
    def dial(_host: str, _port: int, _seconds: float) -> socket.socket:
        raise error

    failed = lost(HttpClient("http://inside", dial=dial))
    assert (failed.phase, failed.reason, failed.timed_out) == ("tcp", reason, timed_out)


def test_what_a_dial_needs_before_it_can_connect_does_not_count_as_the_request(
    leaping: Callable[..., Leaping],
) -> None:
    clock = leaping(http_client)

    def dial(_host: str, _port: int, seconds: float) -> socket.socket:
        clock.sleep(seconds * 2)
        return socket.create_connection(("127.0.0.1", server.port))

    with serve(lambda _asked: said(None)) as server:
        client = HttpClient("http://inside", dial=dial, timeout=60, connect_timeout=60)
        assert client.request("GET", "/").status == 200
        client.close()


def test_another_origin_is_not_dialled() -> None:
    def dial(_host: str, _port: int, _seconds: float) -> socket.socket:
        raise DialError("not there")

    with serve(lambda _asked: said(None)) as server:
        other = HttpClient("http://inside", dial=dial).for_origin(f"http://{server.address}")
        assert other.request("GET", "/").status == 200
        other.close()


@pytest.mark.parametrize("ways", [("none", "refused"), ("refused", "none"), ("refused", "unsupported"), ("none",)])
def test_what_one_address_answers_tells_more_than_that_there_is_no_way_to_another(
    monkeypatch: pytest.MonkeyPatch, closed_port: int, ways: tuple[str, ...]
) -> None:
    found = {
        # No TCP connection is made to a broadcast address; Linux says that the network cannot be reached.
        "none": (socket.AF_INET, ("255.255.255.255", 80)),
        "refused": (socket.AF_INET, ("127.0.0.1", closed_port)),
        "unsupported": (65_000, ("10.0.0.1", 80)),
    }
    entries = [(family, socket.SOCK_STREAM, 6, "", address) for family, address in (found[way] for way in ways)]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: entries)
    error = lost(HttpClient("http://several.test"))
    assert error.phase == "tcp"
    wanted = "refused the connection" if "refused" in ways else "this machine has no way to 255.255.255.255 port 80"
    assert wanted in error.reason


def test_a_resolver_that_does_not_answer_knows_of_no_missing_name(monkeypatch: pytest.MonkeyPatch) -> None:
    def getaddrinfo(*_: Any, **__: Any) -> Any:
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    error = lost(HttpClient("http://somewhere.test"))
    assert (error.phase, error.reason) == (
        "dns",
        "no resolver answered for somewhere.test: Temporary failure in name resolution",
    )


def test_json_that_is_nested_without_an_end_is_none() -> None:
    with serve(lambda _asked: Said(body=b"[" * 200_000)) as server:
        answer = HttpClient(f"http://{server.address}").request("GET", "/")
    with pytest.raises(ValueError, match="nested too deeply"):
        answer.json()


@pytest.mark.parametrize("address", ["127.0.0.1:443", "[2001:db8::1]:443", "langsmith.test:8443"])
def test_an_address_is_taken_apart_and_put_together_again(address: str) -> None:
    assert join_address(*split_address(address)) == address


def test_every_request_says_what_it_is_as_firewalls_block_who_does_not() -> None:
    with serve(lambda _asked: said(None)) as server, closing(HttpClient(f"http://{server.address}")) as client:
        client.request("GET", "/")
        client.for_origin(client.origin).request("GET", "/", headers={"X-Api-Key": "k"})
        client.request("GET", "/", headers={"User-Agent": "another"})
    assert [asked.headers.get("user-agent") for asked in server.asked] == ["langsmith.aws", "langsmith.aws", "another"]


@pytest.mark.parametrize(
    ("named", "url", "connect_to", "proxy"),
    [
        ({}, "https://langsmith.test", None, ""),
        ({"https_proxy": "http://user:w/o:rd@proxy.test:3128/"}, "https://langsmith.test", None, "proxy.test:3128"),
        ({"https_proxy": "proxy.test:3128"}, "https://langsmith.test", None, "proxy.test:3128"),
        ({"https_proxy": "http://proxy.test:3128"}, "http://langsmith.test", None, ""),
        ({"ALL_PROXY": "http://proxy.test:3128"}, "http://langsmith.test", None, "proxy.test:3128"),
        ({"https_proxy": "http://proxy.test:3128", "no_proxy": ".test"}, "https://langsmith.test", None, ""),
        (
            {"https_proxy": "http://proxy.test:3128", "no_proxy": "10.0.0.1"},
            "https://langsmith.test",
            "10.0.0.1:443",
            "",
        ),
    ],
)
def test_a_proxy_that_the_environment_names_is_told_without_its_password(
    monkeypatch: pytest.MonkeyPatch,
    unproxied: None,
    named: dict[str, str],
    url: str,
    connect_to: str | None,
    proxy: str,
) -> None:
    for name, value in named.items():
        monkeypatch.setenv(name, value)
    assert HttpClient(url, connect_to=connect_to).unused_proxy() == proxy
