# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Waiting for something remote, with a clock that tests can hold."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from ansible_collections.langsmith.aws.plugins.module_utils.domain.errors import ProjectError
from ansible_collections.langsmith.aws.plugins.module_utils.domain.progress import Phase, Progress


class WaitError(ProjectError):
    """What was waited for went wrong, or did not come in time."""


@dataclass(frozen=True)
class Clock:
    """Time in seconds, and a way to let it pass."""

    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


@dataclass
class Waiter:
    """One budget of ``timeout_s`` seconds for all that a module waits for; looks every ``interval_s`` seconds."""

    timeout_s: float
    interval_s: float
    clock: Clock = field(default_factory=Clock)
    waited_s: float = 0.0

    def until(self, look: Callable[[], Progress], subject: str, *wanted: Phase) -> Progress:
        """Look until the phase is one of ``wanted``.

        Raises :class:`WaitError` when it is broken and that is not wanted, or when the budget is used up; both name
        the last status and what AWS says is wrong.
        """
        began = self.clock.now() - self.waited_s
        while True:
            seen = look()
            self.waited_s = self.clock.now() - began
            if seen.phase in wanted:
                return seen
            if seen.phase == "broken" or (seen.phase == "absent" and "ready" in wanted):
                raise WaitError(f"{subject} is {seen} after {self.waited_s:.0f} s; {_BROKEN}")
            if self.waited_s + self.interval_s > self.timeout_s:
                raise WaitError(
                    f"{subject} is still {seen} after {self.waited_s:.0f} s. "
                    f"Run again to go on waiting, or give wait_timeout more than {self.timeout_s:.0f} seconds."
                )
            self.clock.sleep(self.interval_s)


_BROKEN = "it does not get well by itself. Mend what it names, delete it where it cannot be mended, and run again."
