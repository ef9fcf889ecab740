# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What tests of plugins share."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import pytest
from ansible_collections.langsmith.aws.plugins.module_utils.clients import http_client

from tests.unit.plugins.leaping import Leaping
from tests.unit.plugins.scripted import OVERDUE, Authority, make_authority


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """A certificate authority that nobody trusts by default."""
    return make_authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port of the loopback that nobody listens at, and nobody can until the end."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """HTTP clients take their time for over where the server is ``OVERDUE``, and there alone, however long it is."""
    read = http_client._DeadlineReader.readinto
    assert OVERDUE.raw is not None
    (sign,) = OVERDUE.raw

    def readinto(self: Any, buffer: Any) -> int:
        count = read(self, buffer)
        if bytes(buffer[:count]).endswith(sign):
            raise TimeoutError
        return count

    monkeypatch.setattr(http_client._DeadlineReader, "readinto", readinto)


@pytest.fixture
def unproxied(monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment that names no proxy."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def unresolved(monkeypatch: pytest.MonkeyPatch) -> None:
    """A resolver that knows no name below ``invalid``, whatever the one of this machine makes of it."""
    resolve = socket.getaddrinfo

    def getaddrinfo(host: Any, *more: Any, **options: Any) -> Any:
        if str(host).endswith(".invalid"):
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return resolve(host, *more, **options)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)


@pytest.fixture
def leaping(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Leaping]:
    """Gives modules a clock that leaps, one for all of them."""
    clock = Leaping()

    def give(*modules: ModuleType) -> Leaping:
        for module in modules:
            monkeypatch.setattr(module, "time", clock)
        return clock

    return give
