# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the stores' launchers share: children that end with the launcher, an ordinary user for them if we are root."""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

PR_SET_PDEATHSIG = 1
CLONE_NEWUSER = 0x10000000
ORDINARY_USER = 1000


class StoreFailed(Exception):  # noqa: N818 - it tells what happened
    """A server did not start or did not do what it was told."""


def _end_with_parent() -> None:
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _as_ordinary_user() -> None:
    """PostgreSQL refuses root. In a user namespace we stay who we are on disk, and are user 1000 to the program."""
    if os.geteuid() == 0:
        if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWUSER) != 0:
            os.write(2, b"root may not make a user namespace here: run the sandbox as an ordinary user\n")
            os._exit(77)
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{ORDINARY_USER} 0 1")
        Path("/proc/self/gid_map").write_text(f"{ORDINARY_USER} 0 1")
    _end_with_parent()


def spawn(argv: Sequence[str | os.PathLike[str]], ordinary_user: bool = False, **kwargs: Any) -> subprocess.Popen[Any]:
    """A child process that is killed when this one ends. Its environment is bare unless `env` is given."""
    kwargs.setdefault("env", {"PATH": os.environ.get("PATH", ""), "LC_ALL": "C.UTF-8", "TZ": "UTC"})
    # The launchers have one thread when they spawn.
    return subprocess.Popen(argv, preexec_fn=_as_ordinary_user if ordinary_user else _end_with_parent, **kwargs)  # noqa: PLW1509


def run(argv: Sequence[str | os.PathLike[str]], ordinary_user: bool = False, **kwargs: Any) -> str:
    """Run a program to its end and return what it printed. Raises StoreFailed."""
    child = spawn(argv, ordinary_user, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **kwargs)
    output, _ = child.communicate()
    if child.returncode != 0:
        raise StoreFailed(f"{Path(argv[0]).name} ended with {child.returncode}: {output.strip()[-800:]}")
    return str(output)


@contextlib.contextmanager
def socket_folder() -> Iterator[Path]:
    """A private folder with a path short enough for a Unix socket (107 bytes)."""
    folder = Path(tempfile.mkdtemp(prefix="ls-", dir="/tmp"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
