# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stand-in for the time that AWS takes: states change after a delay, and not before the work behind them is done."""

from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Callable
from typing import Any

from sandbox import state

# Seconds, by "service::kind" as CloudFormation spells the kinds. Zero: as soon as the work behind it is done.
KINDS = (
    "eks::cluster",
    "eks::nodegroup",
    "eks::addon",
    "rds::dbinstance",
    "elasticache::replicationgroup",
    "ec2::natgateway",
    "ec2::volumemodification",
    "ec2::vpcendpoint",
    "acm::certificate",
)
_changed: dict[str, float] = {}


def delay(kind: str) -> float:
    """How long a change of this kind takes, in seconds: what was last posted to /sandbox/delays, else the settings."""
    return float(_changed.get(kind, state.settings()["delays"].get(kind, 0)))


def delays() -> dict[str, float]:
    """All kinds with their seconds."""
    return {kind: delay(kind) for kind in KINDS}


def change(wanted: dict[str, Any]) -> dict[str, float]:
    """Set delays by kind, in seconds, until this process ends. Raises ValueError for an unknown kind."""
    unknown = sorted(set(wanted) - set(KINDS))
    if unknown:
        raise ValueError(f"no such kind: {', '.join(unknown)}; known are {', '.join(KINDS)}")
    _changed.update({kind: float(seconds) for kind, seconds in wanted.items()})
    return delays()


class Work:
    """What goes on behind a state: a function in a thread of its own, by the key of the resource."""

    def __init__(self) -> None:
        self._threads: dict[str, threading.Thread] = {}
        self._errors: dict[str, str] = {}
        self._lock = threading.Lock()
        # Called after each piece of work, as it has changed something.
        self.after: Callable[[], None] = lambda: None

    def start(self, key: str, function: Callable[[], None]) -> None:
        """Run `function` after what already runs for `key`."""
        with self._lock:
            before = self._threads.get(key)
            thread = threading.Thread(target=self._run, args=(key, function, before), name=key, daemon=True)
            self._threads[key] = thread
            self._errors.pop(key, None)
            thread.start()

    def _run(self, key: str, function: Callable[[], None], before: threading.Thread | None) -> None:
        if before is not None:
            before.join()
        try:
            function()
        except Exception as error:
            traceback.print_exc()
            self._errors[key] = str(error) or type(error).__name__
        self.after()

    def pending(self, key: str) -> bool:
        """Whether something still runs for `key`."""
        thread = self._threads.get(key)
        return thread is not None and thread.is_alive()

    def error(self, key: str) -> str | None:
        """Why the last work for `key` failed, or None."""
        return self._errors.get(key)

    def wait(self, timeout: float) -> None:
        """Let everything that runs end, for at most `timeout` seconds."""
        deadline = time.monotonic() + timeout
        for thread in list(self._threads.values()):
            thread.join(max(0.0, deadline - time.monotonic()))


WORK = Work()


class Lifecycle:
    """Attribute of a resource that goes from one state to the next by itself.

    `steps` maps a state to what follows it. The first write begins at `first`, as moto's models write the end state.
    A state ends when the delay of its kind is over and the resource's work is done; work that failed leads to `failed`.
    """

    def __init__(self, kind: str, first: str, steps: dict[str, str], failed: str, key: Callable[[Any], str]) -> None:
        self._kind, self._first, self._steps, self._failed, self._key = kind, first, steps, failed, key

    def __get__(self, resource: Any, owner: type | None = None) -> Any:
        if resource is None:
            return self
        life = resource.__dict__["_life"]
        following = self._steps.get(life["state"])
        if following is None or time.time() < life["until"]:
            return life["state"]
        key = self._key(resource)
        if WORK.pending(key):
            return life["state"]
        life["state"] = self._failed if WORK.error(key) else following
        return life["state"]

    def __set__(self, resource: Any, value: str) -> None:
        new = "_life" not in resource.__dict__
        # A hundredth of a second, so that the answer to the call that began the change shows that it began.
        until = time.time() + max(delay(self._kind), 0.01)
        resource.__dict__["_life"] = {"state": self._first if new else value, "until": until}
