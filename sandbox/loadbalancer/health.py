# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Health checks of targets, with the states and reasons that DescribeTargetHealth reports."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable, Mapping

from sandbox.loadbalancer import http1
from sandbox.loadbalancer.config import Config, HealthCheck, TargetGroup
from sandbox.loadbalancer.targets import close, connect

Key = tuple[str, str, int]


@dataclasses.dataclass(frozen=True)
class Health:
    """A target's state (initial, healthy, unhealthy), with reason and description where it is not healthy."""

    state: str
    reason: str = ""
    description: str = ""

    def report(self) -> dict[str, str]:
        """As DescribeTargetHealth has it."""
        found = {"State": self.state, "Reason": self.reason, "Description": self.description}
        return {key: value for key, value in found.items() if value}


INITIAL = Health("initial", "Elb.InitialHealthChecking", "Initial health checks in progress")
HEALTHY = Health("healthy")
TIMEOUT = Health("unhealthy", "Target.Timeout", "Request timed out")
FAILED = Health("unhealthy", "Target.FailedHealthChecks", "Health checks failed")


class Checker:
    """Checks every target of the target groups in use. `changed` is called with all states after each change."""

    def __init__(self, changed: Callable[[Mapping[Key, Health]], None], factor: float) -> None:
        self._changed = changed
        self._factor = factor
        self._states: dict[Key, Health] = {}
        self._tasks: dict[Key, tuple[TargetGroup, asyncio.Task[None]]] = {}

    def state(self, group: str, address: str, port: int) -> Health:
        """A target's state; one that was never checked is initial."""
        return self._states.get((group, address, port), INITIAL)

    def follow(self, config: Config) -> None:
        """Check the targets of `config` from now on, and no others."""
        wanted = {
            (group.arn, address, port): group
            for group in config.groups.values()
            if group.used
            for address, port in group.targets
        }
        for key in [key for key in self._tasks if key not in wanted or wanted[key].check != self._tasks[key][0].check]:
            self._tasks.pop(key)[1].cancel()
            if key not in wanted:
                self._states.pop(key, None)
        for key, group in wanted.items():
            if key not in self._tasks:
                self._states.setdefault(key, INITIAL)
                self._tasks[key] = (group, asyncio.create_task(self._watch(key, group.check)))
        self._changed(self._states)

    async def stop(self) -> None:
        """Check nothing any more."""
        tasks = [task for _, task in self._tasks.values()]
        self._tasks = {}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _watch(self, key: Key, check: HealthCheck) -> None:
        good = bad = 0
        while True:
            found = await probe(key[1], key[2], check)
            good, bad = (good + 1, 0) if found == HEALTHY else (0, bad + 1)
            before = self._states.get(key, INITIAL)
            # A target that was never healthy needs one good answer only.
            needed = 1 if before.state == "initial" else check.healthy_threshold
            if good >= needed or bad >= check.unhealthy_threshold or (bad and before.state == "unhealthy"):
                self._states[key] = found
            if self._states.get(key) != before:
                self._changed(self._states)
            await asyncio.sleep(check.interval * self._factor)


async def probe(address: str, port: int, check: HealthCheck) -> Health:
    """One health check."""
    try:
        status = await http1.within(_status(address, check.port or port, check), check.timeout)
    except TimeoutError:
        return TIMEOUT
    except (OSError, EOFError, ValueError, http1.BadMessageError):
        return FAILED
    if check.accepts(status):
        return HEALTHY
    return Health("unhealthy", "Target.ResponseCodeMismatch", f"Health checks failed with these codes: [{status}]")


async def _status(address: str, port: int, check: HealthCheck) -> int:
    reader, writer = await connect(address, port, check.protocol)
    try:
        headers = [("Host", f"{address}:{port}"), ("Connection", "close"), ("User-Agent", "ELB-HealthChecker/2.0")]
        headers.append(("Accept-Encoding", "gzip, compressed"))
        writer.write(http1.Head(("GET", check.path, "HTTP/1.1"), headers).encode())
        head = await http1.read_head(reader)
        if head is None:
            raise EOFError
        return int(head.first[1])
    finally:
        close(writer)
