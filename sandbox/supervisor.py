# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Starts, watches and stops the processes of a sandbox, by records that outlive whoever started them."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from sandbox import state

PAUSE_SECONDS = 0.05
LOG_LINES = 15
_children: dict[int, subprocess.Popen[bytes]] = {}


class PartFailed(Exception):  # noqa: N818 - it tells what happened, as KeyboardInterrupt does
    """A part ended, or did not get ready in time; the message names it and ends with the last lines of its log."""


@dataclasses.dataclass(frozen=True)
class Part:
    """The record of a process. `ticks` is its start in clock ticks since boot: a reused pid has another one."""

    name: str
    pid: int
    ticks: int
    started_at: float
    port: int | None
    version: str
    argv: list[str]

    @property
    def alive(self) -> bool:
        child = _children.get(self.pid)
        if child is not None and child.poll() is not None:
            return False
        return start_ticks(self.pid) == self.ticks

    @property
    def log(self) -> Path:
        return log_path(self.name)


def start(
    name: str,
    argv: Sequence[str | os.PathLike[str]],
    env: Mapping[str, str] | None = None,
    cwd: str | os.PathLike[str] | None = None,
    port: int | None = None,
    version: str = "",
    ready: Callable[[], bool] | None = None,
    timeout: float = 60,
    inherit: bool = True,
) -> int:
    """Start the part `name` unless it runs already, wait until `ready` says so, and return its pid.

    `env` adds to this process's environment, or is all of it when `inherit` is false. `timeout` is in seconds.
    Raises PartFailed when the process ends or is not ready in time.
    """
    with state.lock(state.root() / "locks" / f"part-{name}"):
        part = find(name) or _launch(name, [os.fspath(word) for word in argv], env, cwd, port, version, inherit)
    _await(part, ready, timeout)
    return part.pid


def _launch(
    name: str,
    argv: list[str],
    env: Mapping[str, str] | None,
    cwd: str | os.PathLike[str] | None,
    port: int | None,
    version: str,
    inherit: bool,
) -> Part:
    log = log_path(name)
    log.parent.mkdir(parents=True, exist_ok=True)
    if log.exists():
        log.replace(log.with_suffix(".previous.log"))
    environment = {**(os.environ if inherit else {}), **(env or {}), state.FOLDER_VARIABLE: str(state.root())}
    with os.fdopen(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "wb") as sink:
        try:
            child = subprocess.Popen(
                argv,
                env=environment,
                cwd=cwd or state.REPOSITORY,
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except OSError as error:
            raise PartFailed(f"{name} cannot be started: {error}") from error
    return record(name, child, argv, port, version)


def record(
    name: str, child: subprocess.Popen[bytes], argv: Sequence[str], port: int | None = None, version: str = ""
) -> Part:
    """Make a process that leads a session of its own a part, so that it is listed and stopped with the others."""
    _children[child.pid] = child
    part = Part(name, child.pid, start_ticks(child.pid) or 0, time.time(), port, version, list(argv))
    state.write_json(f"run/{name}.json", dataclasses.asdict(part))
    return part


def forget(name: str, pid: int) -> None:
    """Drop the record of a process that its owner has seen end."""
    _children.pop(pid, None)
    part = _read(state.root() / "run" / f"{name}.json")
    if part is not None and part.pid == pid:
        (state.root() / "run" / f"{name}.json").unlink(missing_ok=True)


def _await(part: Part, ready: Callable[[], bool] | None, timeout: float) -> None:
    deadline = time.monotonic() + timeout
    while ready is not None and not ready():
        if not part.alive:
            raise PartFailed(f"{part.name} ended before it was ready\n{last_lines(part.name)}")
        if time.monotonic() > deadline:
            raise PartFailed(f"{part.name} is not ready after {timeout:g} s\n{last_lines(part.name)}")
        time.sleep(PAUSE_SECONDS)


def stop(name: str, timeout: float = 10) -> bool:
    """End the part `name`, by force after `timeout` seconds, and forget it; false when there was none."""
    part = _read(state.root() / "run" / f"{name}.json")
    if part is None:
        return False
    was_alive = part.alive
    if was_alive:
        terminate(part.pid, part.ticks, timeout)
    (state.root() / "run" / f"{name}.json").unlink(missing_ok=True)
    _children.pop(part.pid, None)
    return was_alive


def terminate(pid: int, ticks: int, timeout: float) -> None:
    """SIGTERM to the process, then SIGKILL to all of its session that is left; returns when the process is gone."""
    deadline = time.monotonic() + timeout
    _signal(pid, signal.SIGTERM, group=False)
    while _runs(pid, ticks) and time.monotonic() < deadline:
        time.sleep(PAUSE_SECONDS)
    _signal(pid, signal.SIGKILL, group=True)
    while _runs(pid, ticks):
        time.sleep(PAUSE_SECONDS)


def _runs(pid: int, ticks: int) -> bool:
    child = _children.get(pid)
    if child is not None and child.poll() is not None:
        return False
    return start_ticks(pid) == ticks


def _signal(pid: int, number: signal.Signals, group: bool) -> None:
    try:
        os.killpg(pid, number) if group else os.kill(pid, number)
    except ProcessLookupError:
        return


def records() -> list[Part]:
    """The parts that were started and not stopped, oldest first; one that is not alive ended by itself."""
    parts = [_read(path) for path in (state.root() / "run").glob("*.json")]
    return sorted((part for part in parts if part), key=lambda part: part.started_at)


def running() -> list[Part]:
    """The parts that run, oldest first."""
    return [part for part in records() if part.alive]


def find(name: str) -> Part | None:
    """The part `name` if it runs."""
    part = _read(state.root() / "run" / f"{name}.json")
    return part if part and part.alive else None


def _read(path: Path) -> Part | None:
    try:
        return Part(**json.loads(path.read_text()))
    except (FileNotFoundError, TypeError, ValueError):
        return None


def start_ticks(pid: int) -> int | None:
    """When a process began, in clock ticks since boot; None when it is gone or only waits to be reaped."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The name in parentheses may hold blanks; the fields after it are the state (third of proc(5)) and so on.
    fields = text.rpartition(")")[2].split()
    return None if fields[0] in "ZX" else int(fields[19])


def memory_mib(pid: int) -> float:
    """Memory of a part's whole session in MiB, pages shared between processes counted once in all."""
    kib = 0
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            session = int((entry / "stat").read_text().rpartition(")")[2].split()[3])
            if session == pid:
                kib += _proportional_kib(entry)
        except OSError:
            continue
    return kib / 1024


def _proportional_kib(process: Path) -> int:
    for line in (process / "smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1])
    return 0


def log_path(name: str) -> Path:
    """Where the part `name` writes."""
    return state.root() / "logs" / f"{name}.log"


def last_lines(name: str) -> str:
    """The end of a part's log, with its path."""
    path = log_path(name)
    lines = path.read_text(errors="replace").splitlines()[-LOG_LINES:] if path.exists() else []
    return "\n".join([f"the end of {path}:", *(f"  {line}" for line in lines or ["(empty)"])])
