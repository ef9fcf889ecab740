# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import concurrent.futures
import json
import socket
from pathlib import Path

import pytest

from sandbox import state


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(state.FOLDER_VARIABLE, str(tmp_path / "state"))
    monkeypatch.delenv(state.SETTINGS_VARIABLE, raising=False)
    return tmp_path / "state"


def test_a_port_stays_the_same(folder: Path) -> None:
    chosen = state.port("aws")
    assert chosen in state.PORTS
    assert state.port("aws") == chosen
    assert json.loads((folder / "ports.json").read_text()) == {"aws": chosen}


@pytest.mark.parametrize("address", ["127.0.0.1", "127.9.9.9"])
def test_a_port_that_somebody_has_at_any_address_is_not_chosen(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    monkeypatch.delenv(state.SHARE_VARIABLE, raising=False)
    with socket.socket() as taken:
        taken.bind((address, 0))
        number = taken.getsockname()[1]
        monkeypatch.setattr(state, "PORTS", range(number, number + 1))
        with pytest.raises(state.StateError, match="no free TCP port"):
            state.port("aws")


def test_parts_that_ask_at_once_get_different_ports() -> None:
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        ports = list(pool.map(state.port, [f"part-{number}" for number in range(24)]))
    assert len(set(ports)) == 24


def test_sandboxes_that_start_side_by_side_choose_from_numbers_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(state.SHARE_VARIABLE, raising=False)
    assert sorted(state.share(range(5))) == [0, 1, 2, 3, 4]
    shares = []
    for number in range(2):
        monkeypatch.setenv(state.SHARE_VARIABLE, f"{number}/2")
        shares.append(sorted(state.share(range(5))))
    assert shares == [[0, 2, 4], [1, 3]]


def test_the_issuer_has_the_form_of_eks_and_is_kept() -> None:
    first = state.issuer()
    prefix, _, identifier = first.rpartition("/")
    assert prefix == "https://oidc.eks.us-east-1.amazonaws.com/id"
    assert len(identifier) == 32
    assert identifier == identifier.upper()
    assert state.issuer() == first


def test_settings_of_the_environment_win_over_the_file_and_both_over_the_defaults(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    state.write_json("settings.json", {"delays": {"eks::cluster": 5, "rds::db": 2}, "workers": 1})
    monkeypatch.setenv(state.SETTINGS_VARIABLE, '{"delays": {"eks::cluster": 0}}')
    found = state.settings()
    assert found["delays"] == {"eks::cluster": 0, "rds::db": 2}
    assert found["workers"] == 1
    assert found["images"] == {}


def test_a_settings_variable_that_is_no_json_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(state.SETTINGS_VARIABLE, "{delays")
    with pytest.raises(state.StateError, match=state.SETTINGS_VARIABLE):
        state.settings()


def test_a_file_that_is_no_json_is_named_with_the_way_out(folder: Path) -> None:
    state.root()
    (folder / "ports.json").write_text("{")
    with pytest.raises(state.StateError, match=r"ports\.json is not JSON.*sandbox reset"):
        state.port("aws")


def test_files_of_the_state_are_for_their_owner_only(folder: Path) -> None:
    state.write_json("secret.json", {"key": 1})
    assert (folder / "secret.json").stat().st_mode & 0o077 == 0
    assert folder.stat().st_mode & 0o077 == 0


def test_changes_by_many_at_once_are_all_kept() -> None:
    def add(number: int) -> None:
        with state.update_json("hosts.json", {}) as hosts:
            hosts[f"name-{number}"] = "127.0.0.1"

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(add, range(20)))
    assert len(state.read_json("hosts.json")) == 20
