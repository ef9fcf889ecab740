# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import socket
import ssl
import threading
from pathlib import Path

import pytest

from sandbox import pki, state


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(state.FOLDER_VARIABLE, str(tmp_path))
    return tmp_path


def connect(server: ssl.SSLContext, client: ssl.SSLContext, name: str) -> None:
    ours, theirs = socket.socketpair()

    def answer() -> None:
        try:
            server.wrap_socket(theirs, server_side=True).close()
        except (ssl.SSLError, OSError):
            theirs.close()

    thread = threading.Thread(target=answer)
    thread.start()
    try:
        client.wrap_socket(ours, server_hostname=name).close()
    finally:
        ours.close()
        thread.join()


def serving(folder: Path, sans: list[str]) -> ssl.SSLContext:
    certificate, key = pki.issue("server", sans)
    (folder / "server.pem").write_text(certificate + key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem")
    return context


def test_a_certificate_is_accepted_for_its_names_and_no_other(folder: Path) -> None:
    server = serving(folder, ["langsmith.localhost", "127.0.0.1"])
    client = ssl.create_default_context(cafile=str(pki.authority().certificate_file))
    connect(server, client, "langsmith.localhost")
    connect(server, client, "127.0.0.1")
    with pytest.raises(ssl.SSLCertVerificationError):
        connect(server, client, "other.localhost")


def test_a_certificate_of_another_authority_is_refused(folder: Path) -> None:
    server = serving(folder, ["langsmith.localhost"])
    other = pki.Authority(folder / "other", "another CA")
    client = ssl.create_default_context(cafile=str(other.certificate_file))
    with pytest.raises(ssl.SSLCertVerificationError):
        connect(server, client, "langsmith.localhost")


def test_the_authority_is_made_once() -> None:
    assert pki.authority().certificate == pki.authority().certificate
