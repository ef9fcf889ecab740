# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A container's process, its log in the format of a container runtime, and the stand-in for one without a program."""

from __future__ import annotations

import datetime
import os
import signal
import subprocess
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Protocol

from sandbox import supervisor

# A process that left the session may keep the output open for ever.
OUTPUT_SECONDS = 5.0


class Running(Protocol):
    """What a container runs."""

    def poll(self) -> int | None: ...

    def terminate(self) -> None: ...

    def kill(self) -> None: ...

    def memory_bytes(self) -> int: ...


class Process:
    """A process in a session of its own; its output goes to `log`, line by line with a time."""

    def __init__(self, name: str, argv: Sequence[str], env: Mapping[str, str], cwd: Path, log: Path) -> None:
        self._name = name
        self._child = subprocess.Popen(
            argv,
            env=env,
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        supervisor.record(name, self._child, argv[:3])
        assert self._child.stdout is not None  # noqa: S101 - asked for above
        self._pump = threading.Thread(target=_pump, args=(self._child.stdout, log), daemon=True)
        self._pump.start()
        self._code: int | None = None

    def poll(self) -> int | None:
        """The exit status as a shell gives it, 128 + N after signal N; None while it runs or its output is written."""
        code = self._child.poll()
        if code is None or self._code is not None:
            return self._code
        self._signal(signal.SIGKILL)
        self._pump.join(OUTPUT_SECONDS)
        supervisor.forget(self._name, self._child.pid)
        self._code = 128 - code if code < 0 else code
        return self._code

    def terminate(self) -> None:
        if self._child.poll() is None:
            self._child.terminate()

    def kill(self) -> None:
        self._signal(signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        try:
            os.killpg(self._child.pid, number)
        except ProcessLookupError:
            return

    def memory_bytes(self) -> int:
        try:
            pages = int(Path(f"/proc/{self._child.pid}/statm").read_text().split()[1])
        except (OSError, IndexError):
            return 0
        return pages * os.sysconf("SC_PAGE_SIZE")


class Nothing:
    """Stand-in for a program that the sandbox does not have: it runs until told to end, or ends well at once."""

    def __init__(self, ends: bool) -> None:
        self._code = 0 if ends else None

    def poll(self) -> int | None:
        return self._code

    def terminate(self) -> None:
        self._code = 0

    def kill(self) -> None:
        self._code = 137

    def memory_bytes(self) -> int:
        return 0


def _pump(source: IO[bytes], log: Path) -> None:
    with source, os.fdopen(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "wb", buffering=0) as sink:
        for line in source:
            moment = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
            sink.write(f"{moment} stdout F ".encode() + line.rstrip(b"\n") + b"\n")
