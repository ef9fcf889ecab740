# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import threading

import pytest

from sandbox.aws import states
from tests.sandbox.aws.account import until


class Thing:
    status = states.Lifecycle(
        "eks::cluster", "CREATING", {"CREATING": "ACTIVE", "UPDATING": "ACTIVE"}, "FAILED", lambda thing: thing.name
    )

    def __init__(self, name: str) -> None:
        self.name = name
        self.status = "ACTIVE"


@pytest.fixture(autouse=True)
def _no_delay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(states, "_changed", dict.fromkeys(states.KINDS, 0.0))


def test_a_resource_begins_in_its_first_state_and_becomes_active_by_itself() -> None:
    thing = Thing("alone")
    assert thing.status == "CREATING"
    until(lambda: thing.status == "ACTIVE")


def test_a_state_does_not_end_before_its_work() -> None:
    thing, go = Thing("working"), threading.Event()

    def wait() -> None:
        go.wait(10)

    states.WORK.start("working", wait)
    threading.Event().wait(0.05)
    assert thing.status == "CREATING"
    go.set()
    until(lambda: thing.status == "ACTIVE")


def test_work_that_fails_leads_to_the_failed_state_with_its_reason() -> None:
    def fail() -> None:
        raise RuntimeError("no room")

    thing = Thing("failing")
    states.WORK.start("failing", fail)
    until(lambda: thing.status == "FAILED")
    assert states.WORK.error("failing") == "no room"


def test_a_state_lasts_as_long_as_its_kind_is_delayed() -> None:
    states.change({"eks::cluster": 60})
    assert Thing("slow").status == "CREATING"


def test_an_unknown_kind_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match="eks::nodegroup"):
        states.change({"eks::klaster": 1})
