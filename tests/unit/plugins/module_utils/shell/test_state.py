# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The steps that all state modules share, on a thing that lives in memory."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import pytest
from ansible_collections.langsmith.aws.plugins.module_utils.clients.waiting import WaitError
from ansible_collections.langsmith.aws.plugins.module_utils.domain.difference import Difference
from ansible_collections.langsmith.aws.plugins.module_utils.domain.errors import AlreadyThereError, RefusedError
from ansible_collections.langsmith.aws.plugins.module_utils.domain.progress import Phase, Progress
from ansible_collections.langsmith.aws.plugins.module_utils.shell.state import Resource, Step, bring

from tests.unit.plugins.aws_support import Time, waiter

PHASES: dict[str, Phase] = {"making": "changing", "there": "ready", "going": "leaving", "failed": "broken"}


@dataclass(frozen=True)
class Thing:
    """What is there."""

    size: int
    status: str
    protected: bool = False

    def to_dict(self) -> dict[str, Any]:
        return {"size": self.size, "status": self.status}


class Shelf(Resource):
    """Stand-in for a remote service with one thing, which takes ``looks`` looks to change its status."""

    key = "thing"
    subject = "thing on the shelf"

    def __init__(self, size: int, thing: Thing | None = None, looks: int = 2) -> None:
        self.size, self.thing, self.looks, self.left = size, thing, looks, looks
        self.calls: list[str] = []

    def read(self) -> Thing | None:
        seen = self.thing
        if seen is not None and seen.status in ("making", "going"):
            self.left -= 1
            if self.left <= 0:
                self.thing = replace(seen, status="there") if seen.status == "making" else None
        return seen

    def progress(self, actual: Thing) -> Progress:
        return Progress(PHASES[actual.status], actual.status)

    def differences(self, actual: Thing) -> list[Difference]:
        blocked = "it never shrinks" if self.size < actual.size else ""
        return [Difference("size", self.size, actual.size, blocked)] if self.size != actual.size else []

    def wanted(self) -> dict[str, Any]:
        return {"size": self.size}

    def _becomes(self, call: str, thing: Thing) -> None:
        self.calls.append(call)
        self.thing, self.left = thing, self.looks

    def create(self) -> None:
        if self.thing is not None:
            raise AlreadyThereError("it is there")
        self._becomes("create", Thing(self.size, "making"))

    def updates(self, actual: Thing, differences: list[Difference]) -> list[Step]:
        assert self.thing is not None
        assert self.thing.status == "there"
        sizes = range(actual.size + 1, self.size + 1)
        return [partial(self._becomes, f"size {size}", Thing(size, "making")) for size in sizes]

    def delete(self, actual: Thing) -> None:
        self._becomes("delete", replace(actual, status="going"))

    def deletion_refusal(self, actual: Thing) -> str:
        return "it is protected; set protected to false" if actual.protected else ""


def test_check_mode_tells_a_creation_and_makes_none() -> None:
    shelf = Shelf(3)
    result = bring(shelf, True, True, True, waiter())
    assert result["changed"] is True
    assert result["thing"] == {"size": 3}
    assert result["diff"] == {"before": {}, "after": {"size": 3}}
    assert shelf.calls == []


def test_a_creation_is_awaited_and_read_again() -> None:
    result = bring(Shelf(3), True, False, True, waiter())
    assert result["thing"] == {"size": 3, "status": "there"}
    assert result["waited_seconds"] > 0


def test_without_wait_a_creation_returns_while_it_is_under_way() -> None:
    time = Time()
    result = bring(Shelf(3, looks=9), True, False, False, waiter(time=time))
    assert result["thing"]["status"] == "making"
    assert time.slept == []


def test_a_second_run_during_a_creation_changes_nothing_and_waits() -> None:
    shelf = Shelf(3, Thing(3, "making"), looks=3)
    result = bring(shelf, True, False, True, waiter())
    assert result["changed"] is False
    assert result["thing"]["status"] == "there"
    assert shelf.calls == []


def test_updates_go_one_after_another_even_without_wait() -> None:
    shelf = Shelf(3, Thing(1, "there"))
    result = bring(shelf, True, False, False, waiter())
    assert shelf.calls == ["size 2", "size 3"]
    assert result["changed"] is True


def test_an_update_waits_for_a_change_that_is_under_way() -> None:
    shelf = Shelf(2, Thing(1, "making"), looks=3)
    bring(shelf, True, False, True, waiter())
    assert shelf.calls == ["size 2"]


@pytest.mark.parametrize("check", [True, False])
def test_what_cannot_be_changed_in_place_is_refused_before_any_call(check: bool) -> None:
    shelf = Shelf(1, Thing(2, "there"))
    with pytest.raises(RefusedError, match=r"thing on the shelf cannot be .* size is 2, wanted 1: it never shrinks"):
        bring(shelf, True, check, True, waiter())
    assert shelf.calls == []


@pytest.mark.parametrize("check", [True, False])
def test_a_protected_thing_is_not_deleted(check: bool) -> None:
    shelf = Shelf(1, Thing(1, "there", protected=True))
    with pytest.raises(RefusedError, match="set protected to false"):
        bring(shelf, False, check, True, waiter())
    assert shelf.calls == []


def test_a_deletion_is_awaited() -> None:
    result = bring(Shelf(1, Thing(1, "there")), False, False, True, waiter())
    assert result["changed"] is True
    assert result["thing"] is None
    assert result["diff"]["after"] == {}


def test_a_thing_that_is_going_counts_as_deleted() -> None:
    shelf = Shelf(1, Thing(1, "going"))
    result = bring(shelf, False, False, True, waiter())
    assert (result["changed"], result["thing"], shelf.calls) == (False, None, [])


def test_a_thing_that_is_going_is_made_again_once_it_is_gone() -> None:
    shelf = Shelf(1, Thing(1, "going"))
    result = bring(shelf, True, False, True, waiter())
    assert result["changed"] is True
    assert shelf.calls == ["create"]


def test_a_deletion_waits_for_a_change_that_is_under_way() -> None:
    shelf = Shelf(1, Thing(1, "making"))
    bring(shelf, False, False, True, waiter())
    assert shelf.thing is None


class Racing(Shelf):
    """Stand-in for a service in which someone else creates the thing between reading and writing."""

    def create(self) -> None:
        if self.thing is None:
            self.thing = Thing(self.size, "making")
            raise AlreadyThereError("it is there")


def test_a_creation_that_another_run_made_first_is_as_good() -> None:
    result = bring(Racing(3), True, False, True, waiter())
    assert result["thing"] == {"size": 3, "status": "there"}


class Confused(Shelf):
    """Stand-in for a service that uses its word for "is there" for another conflict."""

    def create(self) -> None:
        raise AlreadyThereError("the cluster is being updated")


def test_a_conflict_that_leaves_nothing_there_is_an_error() -> None:
    with pytest.raises(AlreadyThereError, match="being updated"):
        bring(Confused(3), True, False, False, waiter())


def test_a_broken_thing_ends_the_wait() -> None:
    with pytest.raises(WaitError, match="failed"):
        bring(Shelf(1, Thing(1, "failed")), True, False, True, waiter())
