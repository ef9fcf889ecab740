# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import asyncio
import json
import random
import socket
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import websocket
import yaml
from ansible_collections.langsmith.aws.plugins.module_utils.clients import tunnel
from ansible_collections.langsmith.aws.plugins.module_utils.clients.http_client import HttpClient, HttpError
from ansible_collections.langsmith.aws.plugins.module_utils.clients.port_forward import PortForward
from ansible_collections.langsmith.aws.plugins.module_utils.domain.forwarding import DeniedError, DialError

from tests.unit.plugins.cluster import Cluster, cluster, listening
from tests.unit.plugins.scripted import Authority, Said, said, serve

READY = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
BYTES = random.Random(7).randbytes(8 * 1024 * 1024)  # noqa: S311
#: Seconds that nothing takes here.
PATIENCE = 60.0


@pytest.fixture
def api(tmp_path: Path, authority: Authority) -> Iterator[Cluster]:
    """A cluster with the Service ``web`` (80 to its pod's 8080) and the pod ``web-0``."""
    with cluster(tmp_path, authority) as found:
        found.put("services", "web", spec={"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": "http"}]})
        ports = [{"name": "http", "containerPort": 8080}]
        found.put("pods", "web-0", spec={"containers": [{"name": "web", "ports": ports}]}, status=READY)
        yield found


@pytest.fixture
def forward(api: Cluster) -> Iterator[PortForward]:
    with closing(PortForward(str(api.kubeconfig), "langsmith")) as found:
        yield found
    assert not tunnels()


def tunnels() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("port-forward")]


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()


async def burst(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(BYTES)
    await writer.drain()


def read_all(sock: socket.socket, size: int) -> bytes:
    found = bytearray()
    while len(found) < size and (data := sock.recv(65536)):
        found += data
    return bytes(found)


def test_http_reaches_a_service_and_its_host_header_is_the_one_of_the_url(api: Cluster, forward: PortForward) -> None:
    with (
        serve(lambda _asked: said({"ok": True})) as server,
        closing(HttpClient("http://web.langsmith.svc.cluster.local", dial=forward.dial)) as client,
    ):
        api.pods["web-0", 8080] = server.port
        answers = [client.request("POST", "/x", body=b"{}") for _time in range(3)]
    assert [answer.status for answer in answers] == [200, 200, 200]
    assert server.asked[0].headers["host"] == "web.langsmith.svc.cluster.local"
    assert len(server.connections) == 1
    assert (answers[0].timings.dns, answers[1].timings.connect) == (None, None)
    assert api.tokens == {"Bearer secret"}


def test_tls_of_the_pod_itself_holds_for_the_name_of_the_url(
    api: Cluster, forward: PortForward, authority: Authority
) -> None:
    with serve(lambda _asked: said(None), authority.issue("web")) as server:
        api.pods["web-0", 8080] = server.port
        with closing(HttpClient("https://web:80", ca_file=str(authority.ca_file), dial=forward.dial)) as client:
            assert client.request("GET", "/").tls["names"] == "web"
        with closing(HttpClient("https://web:80", dial=forward.dial)) as client, pytest.raises(HttpError) as caught:
            client.request("GET", "/")
    assert caught.value.phase == "tls"
    assert "the certificate is for web" in caught.value.reason


def test_megabytes_pass_unchanged_both_ways_at_once(api: Cluster, forward: PortForward) -> None:
    with listening(echo) as port:
        api.pods["web-0", 8080] = port
        with forward.dial("web", 80, PATIENCE) as sock:
            sending = threading.Thread(target=sock.sendall, args=(BYTES,))
            sending.start()
            back = read_all(sock, len(BYTES))
            sending.join()
    assert back == BYTES


def test_what_the_pod_sent_before_it_closed_arrives_whole_and_then_the_end(api: Cluster, forward: PortForward) -> None:
    with listening(burst) as port:
        api.pods["web-0", 8080] = port
        with forward.dial("web", 80, PATIENCE) as sock:
            assert read_all(sock, len(BYTES) + 1) == BYTES


def test_what_the_caller_wrote_before_it_closed_arrives_whole(
    api: Cluster, forward: PortForward, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tunnel, "_LINGER_SECONDS", PATIENCE)
    arrived = bytearray()
    ended = threading.Event()

    async def keep(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            arrived.extend(data)
        ended.set()

    with listening(keep) as port:
        api.pods["web-0", 8080] = port
        with forward.dial("web", 80, PATIENCE) as sock:
            sock.sendall(BYTES)
        assert ended.wait(PATIENCE)
    assert bytes(arrived) == BYTES


def test_many_connections_at_once_are_each_their_own(api: Cluster, forward: PortForward) -> None:
    with listening(echo) as port:
        api.pods["web-0", 8080] = port
        with ThreadPoolExecutor(6) as threads:
            socks = list(threads.map(lambda _one: forward.dial("web", 80, PATIENCE), range(12)))
        for number, sock in enumerate(socks):
            sock.sendall(f"{number:4}".encode())
        assert [int(read_all(sock, 4)) for sock in socks] == list(range(12))
        assert len(tunnels()) == 12
        for sock in socks:
            sock.close()


def test_a_caller_that_no_longer_writes_still_reads(api: Cluster, forward: PortForward) -> None:
    with listening(burst) as port:
        api.pods["web-0", 8080] = port
        with forward.dial("web", 80, PATIENCE) as sock:
            sock.shutdown(socket.SHUT_WR)
            assert len(read_all(sock, len(BYTES))) == len(BYTES)


def test_closing_ends_connections_that_nobody_reads(api: Cluster) -> None:
    forward = PortForward(str(api.kubeconfig), "langsmith")
    with listening(burst) as port:
        api.pods["web-0", 8080] = port
        sock = forward.dial("web", 80, PATIENCE)
        assert tunnels()
        forward.close()
        assert not tunnels()
        sock.close()


def test_a_port_that_the_pod_refuses_is_told_in_the_kubelets_words(api: Cluster, forward: PortForward) -> None:
    with closing(HttpClient("http://web", dial=forward.dial)) as client, pytest.raises(HttpError) as caught:
        client.request("GET", "/")
    assert (caught.value.phase, caught.value.reason) == ("tcp", "port 8080 of web-0: connection refused")


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("services/web", "needs get of services"),
        ("pods", "list of pods"),
        ("portforward", "create of pods/portforward"),
    ],
)
def test_a_missing_right_is_told_with_the_rights_that_are_needed(
    api: Cluster, forward: PortForward, path: str, words: str
) -> None:
    api.refuses[path] = 403
    with pytest.raises(DialError, match=words) as caught:
        forward.dial("web", 80, PATIENCE)
    assert f"/{path}; reaching" in str(caught.value)


@pytest.mark.parametrize(("status", "kind"), [(403, DeniedError), (401, DialError), (500, DialError)])
def test_only_a_missing_right_leaves_others_to_be_tried(
    api: Cluster, forward: PortForward, status: int, kind: type[DialError]
) -> None:
    path = "/apis/apps/v1/namespaces/langsmith/deployments"
    api.refuses["deployments"] = status
    with pytest.raises(DialError, match=f"user may not ask {path}$") as caught:
        forward.read(path, PATIENCE)
    assert isinstance(caught.value, kind)
    assert isinstance(caught.value, DeniedError) == (kind is DeniedError)


def test_a_name_that_is_neither_a_service_nor_a_pod_is_said_to_be_neither(api: Cluster, forward: PortForward) -> None:
    api.refuses["portforward"] = 404
    with pytest.raises(DialError, match="there is no Service and no pod nothing in namespace elsewhere"):
        forward.dial("nothing.elsewhere", 80, PATIENCE)


def test_a_service_without_a_selector_leads_to_the_pod_of_its_endpoints(api: Cluster, forward: PortForward) -> None:
    api.put("services", "manual", spec={"ports": [{"name": "http", "port": 80}]})
    target = {"kind": "Pod", "name": "web-0"}
    api.put(
        "endpointslices",
        "manual-1",
        ports=[{"name": "http", "port": 8080}],
        endpoints=[{"addresses": ["10.0.0.1"], "targetRef": target}],
        addressType="IPv4",
    )
    with listening(echo) as port:
        api.pods["web-0", 8080] = port
        with forward.dial("manual", 80, PATIENCE) as sock:
            sock.sendall(b"ok")
            assert read_all(sock, 2) == b"ok"


def test_an_api_server_that_says_nothing_is_given_up_in_time(api: Cluster, forward: PortForward) -> None:
    api.silent = True
    with pytest.raises(DialError) as caught:
        forward.dial("web", 80, 0.3)
    assert caught.value.timed_out


def test_a_port_forward_that_is_not_answered_is_given_up_in_time(
    api: Cluster, forward: PortForward, monkeypatch: pytest.MonkeyPatch
) -> None:
    def brief(sock: socket.socket, *more: Any, **options: Any) -> Any:
        sock.settimeout(0.3)
        return handshake(sock, *more, **options)

    # Only the answer that stays out is not waited for: the connection before it may take its time.
    handshake = websocket._core.handshake
    monkeypatch.setattr(websocket._core, "handshake", brief)
    api.silent = True
    with pytest.raises(DialError, match="port-forward to web-0 in namespace langsmith was not answered") as caught:
        forward.dial("web-0.web.langsmith", 80, PATIENCE)
    assert caught.value.timed_out


def test_an_api_server_that_does_not_answer_the_handshake_is_given_up_in_time(
    api: Cluster, forward: PortForward
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        change(api, "cluster", server=f"https://127.0.0.1:{deaf.getsockname()[1]}")
        with pytest.raises(DialError, match="port-forward to web-0 in namespace langsmith was not answered") as caught:
            forward.dial("web-0.web.langsmith", 80, 0.3)
    assert caught.value.timed_out


def change(api: Cluster, kind: str, **entries: Any) -> None:
    """Change the kubeconfig's ``cluster`` or ``user``; None takes an entry away."""
    document = yaml.safe_load(api.kubeconfig.read_text(encoding="utf-8"))
    changed = {**document[f"{kind}s"][0][kind], **entries}
    document[f"{kind}s"][0][kind] = {name: value for name, value in changed.items() if value is not None}
    api.kubeconfig.write_text(yaml.safe_dump(document), encoding="utf-8")


def test_a_kubeconfig_may_name_the_server_of_the_certificate(api: Cluster, forward: PortForward) -> None:
    server = yaml.safe_load(api.kubeconfig.read_text(encoding="utf-8"))["clusters"][0]["cluster"]["server"]
    change(api, "cluster", server=server.replace("localhost", "127.0.0.1"))
    with (
        closing(PortForward(str(api.kubeconfig), "langsmith")) as other,
        pytest.raises(DialError, match=r"127\.0\.0\.1"),
    ):
        other.dial("web", 80, PATIENCE)
    change(api, "cluster", **{"tls-server-name": "localhost"})
    with listening(echo) as port:
        api.pods["web-0", 8080] = port
        with forward.dial("web", 80, PATIENCE) as sock:
            sock.sendall(b"ok")
            assert read_all(sock, 2) == b"ok"


def test_an_api_server_that_is_not_there_is_named(api: Cluster, forward: PortForward, closed_port: int) -> None:
    change(api, "cluster", server=f"https://localhost:{closed_port}")
    for host in ("web", "web-0.web.langsmith"):
        with pytest.raises(DialError, match="refused"):
            forward.dial(host, 80, PATIENCE)


def test_a_program_that_gives_credentials_runs_once(api: Cluster, forward: PortForward, tmp_path: Path) -> None:
    status = {"token": "given", "expirationTimestamp": "2099-01-01T00:00:00Z"}
    credential = {"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": status}
    runs = tmp_path / "runs"
    source = f"open({str(runs)!r}, 'a').write('x'); print({json.dumps(json.dumps(credential))})"
    program = {"apiVersion": "client.authentication.k8s.io/v1", "command": sys.executable, "args": ["-c", source]}
    change(api, "user", token=None, exec={**program, "interactiveMode": "Never"})
    with listening(echo) as port:
        api.pods["web-0", 8080] = port
        for _time in range(3):
            forward.dial("web", 80, PATIENCE).close()
    assert api.tokens == {"Bearer given"}
    assert runs.read_text(encoding="utf-8") == "x"


def test_a_kubeconfig_that_cannot_be_used_is_an_error_of_the_dial(tmp_path: Path) -> None:
    with pytest.raises(DialError, match=f"kubeconfig {tmp_path / 'none'} cannot be used"):
        PortForward(str(tmp_path / "none"), "langsmith").dial("web", 80, PATIENCE)


def test_nothing_is_read_before_the_first_dial(tmp_path: Path) -> None:
    PortForward(str(tmp_path / "none"), "langsmith").close()


def test_an_answer_that_only_the_end_bounds_is_read_whole(api: Cluster, forward: PortForward) -> None:
    raw = b"HTTP/1.0 200 OK\r\n\r\n" + BYTES[:100_000]
    with serve(lambda _asked: Said(raw=(raw,))) as server:
        api.pods["web-0", 8080] = server.port
        with closing(HttpClient("http://web", dial=forward.dial)) as client:
            assert client.request("GET", "/").body == BYTES[:100_000]
