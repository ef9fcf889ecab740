# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import threading
from collections.abc import Iterator

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


@pytest.fixture
def go() -> Iterator[threading.Event]:
    """What work waits for; it is let go at the end in any case."""
    made = threading.Event()
    yield made
    made.set()


def waits(go: threading.Event) -> None:
    """Work that lasts until it is let go."""
    go.wait()


def elsewhere(thing: Thing) -> str:
    """What a call that comes meanwhile is told of a thing's state."""
    told: list[str] = []

    def look() -> None:
        with states.call():
            told.append(thing.status)

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    return told[0]


def test_a_resource_begins_in_its_first_state_and_becomes_active_by_itself() -> None:
    with states.call():
        thing = Thing("alone")
        assert [thing.status, elsewhere(thing)] == ["CREATING", "CREATING"]
    assert thing.status == "ACTIVE"


def test_an_answer_tells_one_state_although_the_work_ends_meanwhile(go: threading.Event) -> None:
    thing = Thing("told")
    states.WORK.start("told", lambda: waits(go))
    with states.call():
        assert thing.status == "CREATING"
        go.set()
        until(lambda: not states.WORK.pending("told"))
        assert [thing.status, elsewhere(thing)] == ["CREATING", "ACTIVE"]
    assert thing.status == "ACTIVE"


def test_a_state_does_not_end_before_its_work(go: threading.Event) -> None:
    thing = Thing("working")
    states.WORK.start("working", lambda: waits(go))
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
    states.change({"eks::cluster": 3600})
    assert Thing("slow").status == "CREATING"


def test_an_unknown_kind_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match="eks::nodegroup"):
        states.change({"eks::klaster": 1})
