# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import ipaddress
from pathlib import Path

import pytest

from sandbox import network, state


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(state.FOLDER_VARIABLE, str(tmp_path))
    monkeypatch.delenv(network.PREFIX_VARIABLE, raising=False)


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("10.0.17.5", "127.40.17.5"),
        ("10.9.0.1", "127.40.0.1"),
        ("10.100.0.1", "127.41.0.1"),
        ("127.0.0.1", "127.0.0.1"),
        ("192.0.2.7", "192.0.2.7"),
    ],
)
def test_addresses_of_pods_and_services_have_loopback_addresses(
    address: str, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(network.PREFIX_VARIABLE, "40")
    assert network.loopback(address) == expected


def test_the_prefix_is_even_and_kept() -> None:
    chosen = network.prefix()
    assert chosen in range(2, 127, 2)
    assert network.prefix() == chosen
    assert ipaddress.ip_address(network.loopback("10.100.3.4")).is_loopback


def test_high_ports_stand_for_themselves() -> None:
    assert network.real_port(8080) == 8080
    assert network.real_port(80) in {80, 20080}
