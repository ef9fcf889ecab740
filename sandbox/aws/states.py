# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stand-in for the time that AWS takes: states change after a delay, and not before the work behind them is done."""

from __future__ import annotations

import contextlib
import contextvars
import threading
import time
import traceback
from collections.abc import Callable, Iterator
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
        with self._lock:
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


Life = dict[str, Any]


class _Call:
    """A call of the API that is being answered: the lives that it has seen, each with its state, and those it began."""

    def __init__(self) -> None:
        # By id, with the life itself, as an id is taken again once its object is gone.
        self.seen: dict[int, tuple[Life, str]] = {}
        self.begun: list[Life] = []


_current: contextvars.ContextVar[_Call | None] = contextvars.ContextVar("call", default=None)
# The ids of the lives that began in calls which are still being answered.
_held: set[int] = set()


@contextlib.contextmanager
def call() -> Iterator[None]:
    """A call of the API: in its answer no state changes by itself, and what it begins goes on when it is over."""
    answered = _Call()
    token = _current.set(answered)
    try:
        yield
    finally:
        _current.reset(token)
        _held.difference_update(id(life) for life in answered.begun)


def begin(life: Life) -> None:
    """Hold a life in the state that it begins with, for everybody, until the call that began it is over."""
    current = _current.get()
    if current is not None:
        current.begun.append(life)
        _held.add(id(life))


def held(life: Life) -> bool:
    """Whether the call in which a life began is still being answered."""
    return id(life) in _held


def steady(life: Life, look: Callable[[], str]) -> str:
    """The state that `look` finds a life in; within one call always the same."""
    current = _current.get()
    if current is None:
        return look()
    if id(life) not in current.seen:
        current.seen[id(life)] = (life, look())
    return current.seen[id(life)][1]


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
        return steady(life, lambda: self._go_on(resource, life))

    def _go_on(self, resource: Any, life: Life) -> str:
        following = self._steps.get(life["state"])
        if following is not None and not held(life) and time.time() >= life["until"]:
            key = self._key(resource)
            if not WORK.pending(key):
                life["state"] = self._failed if WORK.error(key) else following
        return str(life["state"])

    def __set__(self, resource: Any, value: str) -> None:
        new = "_life" not in resource.__dict__
        life = {"state": self._first if new else value, "until": time.time() + delay(self._kind)}
        begin(life)
        resource.__dict__["_life"] = life
