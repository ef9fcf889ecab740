# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os
import re
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox import network, pki, state
from sandbox.langsmith.clickhouse import ClickHouse, Credentials
from sandbox.stores import clickhouse, external_clickhouse

pytestmark = pytest.mark.skipif(not clickhouse.library_path().exists(), reason="ClickHouse has not been fetched")
REPOSITORY = Path(__file__).parents[3]
NAME = "traces.example.org"
# What the C library says of a name that nobody knows, and where no name server answers.
UNRESOLVED = "Name or service not known|Temporary failure in name resolution|No address associated with hostname"
SERVICE = "com.amazonaws.vpce.us-east-1.vpce-svc-0123456789abcdef0"


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(state.FOLDER_VARIABLE, str(tmp_path_factory.mktemp("state")))
        external_clickhouse.configure("acme", NAME, "langsmith", "a-password", "traces")
        try:
            yield external_clickhouse.start("acme")
        finally:
            external_clickhouse.stop("acme")


def ping(address: str, name: str) -> bytes:
    """What the server answers to a client that knows it by a name."""
    context = ssl.create_default_context(cafile=str(pki.authority().certificate_file))
    with (
        socket.create_connection((address, external_clickhouse.HTTPS_PORT), 60) as plain,
        context.wrap_socket(plain, server_hostname=name) as secure,
    ):
        secure.sendall(f"GET /ping HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n".encode())
        return secure.recv(100)


def migrate(**changed: str) -> subprocess.CompletedProcess[str]:
    """The Job that makes LangSmith's tables, as a pod runs it."""
    own = {name: value for name, value in os.environ.items() if name != "SSL_CERT_FILE"}
    environment = {
        **own,
        "PYTHONPATH": os.pathsep.join([str(REPOSITORY), str(REPOSITORY / "sandbox" / "pods" / "network")]),
        "SANDBOX_NETWORK_PREFIX": str(network.prefix()),
        "SANDBOX_CONNECT_SECONDS": "1",
        "CLICKHOUSE_HOST": NAME,
        "CLICKHOUSE_PORT": "8443",
        "CLICKHOUSE_TLS": "true",
        "CLICKHOUSE_USER": "langsmith",
        "CLICKHOUSE_PASSWORD": "a-password",
        "CLICKHOUSE_DB": "traces",
        **changed,
    }
    argv = [sys.executable, "-m", "sandbox.langsmith", "./ch_migration_entrypoint.sh"]
    return subprocess.run(argv, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False)


def test_it_has_a_certificate_for_its_own_name(address: str) -> None:
    assert ping(address, NAME).startswith(b"HTTP/1.1 200")
    with pytest.raises(ssl.SSLCertVerificationError):
        ping(address, "other.example.org")


def test_langsmith_migrates_it_over_tls_by_its_name(address: str, tmp_path: Path) -> None:
    done = migrate()
    assert done.returncode == 0, done.stdout
    # Its certificate is not for the address, and nobody else's authority vouches for it.
    refused = migrate(CLICKHOUSE_HOST=address)
    assert "certificate verify failed" in refused.stdout
    other = tmp_path / "other.crt"
    other.write_text(pki.Authority(tmp_path / "other", "another CA").certificate)
    assert "certificate verify failed" in migrate(SSL_CERT_FILE=str(other)).stdout


def test_langsmith_reaches_it_without_tls_too(address: str) -> None:
    plain = ClickHouse(Credentials(address, 8123, "langsmith", "a-password", "traces", tls=False))
    assert plain.rows("SELECT currentDatabase() AS name") == [{"name": "traces"}]


def test_a_managed_one_resolves_by_an_endpoint_only(address: str) -> None:
    assert state.read_json("hosts.json") == {NAME: address}
    external_clickhouse.offer("acme", SERVICE, accept=False)
    try:
        assert state.read_json("hosts.json") == {}
        offered = state.settings()["managed_clickhouse"]
        wanted = {"service_name": SERVICE, "private_dns_name": NAME, "address": address, "accept": False}
        assert offered == {**wanted, "zones": []}
        assert re.search(UNRESOLVED, migrate().stdout)
    finally:
        external_clickhouse.configure("acme", NAME, "langsmith", "a-password", "traces")
