# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Waiting on a clock that does not wait."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from ansible_collections.langsmith.aws.plugins.module_utils.clients.waiting import WaitError
from ansible_collections.langsmith.aws.plugins.module_utils.domain.progress import ABSENT, Progress

from tests.unit.plugins.aws_support import Time, waiter

CREATING = Progress("changing", "CREATING")
ACTIVE = Progress("ready", "ACTIVE")


def looks(*seen: Progress) -> Callable[[], Progress]:
    """Each look sees the next; the last stays."""
    script: Iterator[Progress] = iter(seen)
    last = [seen[-1]]
    return lambda: next(script, last[0])


def test_what_is_ready_is_not_waited_for() -> None:
    time = Time()
    assert waiter(time=time).until(looks(ACTIVE), "cluster acme", "ready") == ACTIVE
    assert time.slept == []


def test_it_looks_again_every_interval_until_ready() -> None:
    time = Time()
    wait = waiter(interval_s=15, time=time)
    wait.until(looks(CREATING, CREATING, ACTIVE), "cluster acme", "ready")
    assert time.slept == [15, 15]
    assert wait.waited_s == 30


def test_a_timeout_tells_the_last_status_the_seconds_and_what_aws_says_is_wrong() -> None:
    stuck = Progress("changing", "CREATING", ("NodeCreationFailure: Instances failed to join the cluster",))
    with pytest.raises(WaitError) as error:
        waiter(timeout_s=30, interval_s=10).until(looks(stuck), "node group acme-default", "ready")
    assert str(error.value) == (
        "node group acme-default is still CREATING (NodeCreationFailure: Instances failed to join the cluster) after "
        "30 s. Run again to go on waiting, or give wait_timeout more than 30 seconds."
    )


def test_all_waits_of_a_module_share_one_budget() -> None:
    wait = waiter(timeout_s=30, interval_s=10)
    wait.until(looks(CREATING, CREATING, ACTIVE), "cluster acme", "ready")
    with pytest.raises(WaitError, match="after 30 s"):
        wait.until(looks(CREATING), "cluster acme", "ready")


def test_what_is_broken_is_not_waited_for() -> None:
    broken = Progress("broken", "CREATE_FAILED", ("AccessDenied: no",))
    time = Time()
    with pytest.raises(WaitError, match=r"CREATE_FAILED \(AccessDenied: no\)"):
        waiter(time=time).until(looks(broken), "add-on vpc-cni", "ready")
    assert time.slept == []


def test_what_vanishes_while_it_should_become_ready_is_an_error() -> None:
    with pytest.raises(WaitError, match="absent"):
        waiter().until(looks(CREATING, ABSENT), "cluster acme", "ready")


def test_a_deletion_is_done_when_the_thing_is_absent() -> None:
    gone = waiter().until(looks(Progress("leaving", "DELETING"), ABSENT), "cluster acme", "absent")
    assert gone == ABSENT
