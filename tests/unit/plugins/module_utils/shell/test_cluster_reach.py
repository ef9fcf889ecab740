# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import socket

import pytest
import yaml
from ansible_collections.langsmith.aws.plugins.doc_fragments.cluster_reach import ModuleDocFragment
from ansible_collections.langsmith.aws.plugins.module_utils.shell.cluster_reach import (
    CLUSTER_REACH_ARG_SPEC,
    reaching,
)


class Way:
    """Leads to one end of a socket pair, and counts how often it was opened and closed."""

    made: list[Way]

    def __init__(self, kubeconfig: str, namespace: str) -> None:
        self.told, self.closed = (kubeconfig, namespace), False
        Way.made.append(self)

    def dial(self, host: str, port: int, timeout: float) -> socket.socket:
        near, far = socket.socketpair()
        with far:
            far.sendall(f"{host}:{port}".encode())
        return near

    def close(self) -> None:
        self.closed = True


@pytest.fixture(autouse=True)
def none_made() -> None:
    Way.made = []


def test_without_a_kubeconfig_there_is_no_dial_and_nothing_is_opened() -> None:
    with reaching({"kubeconfig": None, "namespace": "langsmith"}, Way) as dial:
        assert dial is None
    assert not Way.made


def test_the_way_is_open_within_the_block_and_closed_after_it() -> None:
    with reaching({"kubeconfig": "/k", "namespace": "n"}, Way) as dial:
        assert dial is not None
        with dial("web", 80, 1) as sock:
            assert sock.recv(100) == b"web:80"
        assert not Way.made[0].closed
    assert [(way.told, way.closed) for way in Way.made] == [(("/k", "n"), True)]


def test_an_error_in_the_block_closes_the_way_too() -> None:
    def fail() -> None:
        with reaching({"kubeconfig": "/k", "namespace": "n"}, Way):
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert Way.made[0].closed


def test_the_fragment_documents_the_options_with_their_defaults() -> None:
    documented = yaml.safe_load(ModuleDocFragment.DOCUMENTATION)["options"]
    told = {
        name: {key: value[key] for key in ("type", "default") if key in value} for name, value in documented.items()
    }
    assert told == CLUSTER_REACH_ARG_SPEC
