# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sandbox import state, supervisor

SLEEP = ["/bin/sh", "-c", "exec sleep 600"]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv(state.FOLDER_VARIABLE, str(tmp_path))
    yield tmp_path
    for part in supervisor.running():
        supervisor.stop(part.name, timeout=1)


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_part_is_started_once_and_found_by_a_later_caller() -> None:
    pid = supervisor.start("one", SLEEP, port=1234, version="v1")
    assert supervisor.start("one", SLEEP) == pid
    found = supervisor.running()
    assert [(part.name, part.pid, part.port, part.version) for part in found] == [("one", pid, 1234, "v1")]


def test_a_stopped_part_and_its_children_are_gone(folder: Path) -> None:
    children = folder / "children"
    pid = supervisor.start("parent", ["/bin/sh", "-c", f"sleep 600 & echo $! > {children}; wait"])
    wait_for(lambda: children.exists() and children.read_text().strip() != "")
    assert supervisor.stop("parent")
    child = int(children.read_text())
    wait_for(lambda: supervisor.start_ticks(child) is None)
    assert supervisor.start_ticks(pid) is None
    assert supervisor.running() == []
    assert not supervisor.stop("parent")


def test_a_part_that_ignores_sigterm_is_ended_by_force() -> None:
    ready = state.root() / "ready"
    script = f"trap '' TERM; touch {ready}; while :; do sleep 0.05; done"
    pid = supervisor.start("deaf", ["/bin/sh", "-c", script], ready=ready.exists)
    supervisor.stop("deaf", timeout=0.3)
    assert supervisor.start_ticks(pid) is None


def test_a_part_that_ends_before_it_is_ready_is_named_with_its_last_lines() -> None:
    argv = [sys.executable, "-c", "print('no database at all'); raise SystemExit(3)"]
    with pytest.raises(supervisor.PartFailed, match=r"broken ended before it was ready(.|\n)*no database at all"):
        supervisor.start("broken", argv, ready=lambda: False)


def test_a_part_that_does_not_get_ready_is_named_with_the_time() -> None:
    with pytest.raises(supervisor.PartFailed, match=r"slow is not ready after 0\.2 s"):
        supervisor.start("slow", SLEEP, ready=lambda: False, timeout=0.2)


def test_a_program_that_is_not_there_is_named() -> None:
    with pytest.raises(supervisor.PartFailed, match="absent cannot be started"):
        supervisor.start("absent", ["/nonexistent/program"])


def test_a_pid_that_another_process_has_now_is_not_taken_for_the_part() -> None:
    supervisor.start("one", SLEEP)
    record = state.read_json("run/one.json")
    mine = {**record, "name": "two", "pid": os.getpid(), "ticks": record["ticks"] - 1}
    state.write_json("run/two.json", mine)
    assert supervisor.find("two") is None
    assert not supervisor.stop("two")


def test_a_killed_part_is_started_again() -> None:
    pid = supervisor.start("one", SLEEP)
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: supervisor.find("one") is None)
    assert supervisor.start("one", SLEEP) != pid


def test_the_environment_is_added_to_or_replaced_as_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OF_THE_CALLER", "here")
    for name, inherit in (("adds", True), ("replaces", False)):
        supervisor.start(name, ["/usr/bin/env"], {"OF_THE_PART": "there"}, inherit=inherit)
        wait_for(lambda name=name: supervisor.find(name) is None)  # type: ignore[misc]
    added, replaced = (supervisor.log_path(name).read_text() for name in ("adds", "replaces"))
    assert "OF_THE_PART=there" in added
    assert "OF_THE_CALLER=here" in added
    assert "OF_THE_PART=there" in replaced
    assert "OF_THE_CALLER" not in replaced


def test_the_memory_of_a_part_is_that_of_its_processes() -> None:
    script = "import time; filler = bytearray(64 << 20); print('full', flush=True); time.sleep(600)"
    pid = supervisor.start("big", [sys.executable, "-c", script], ready=lambda: "full" in supervisor.last_lines("big"))
    assert 64 < supervisor.memory_mib(pid) < 128
