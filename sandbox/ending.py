# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a part of the sandbox learns that it is to end."""

from __future__ import annotations

import contextlib
import queue
import signal


class Ending:
    """Told by SIGTERM or SIGINT, and waited for in the main thread.

    A handler runs in the middle of whatever the main thread does, also of its wait. The lock of an Event would then be
    taken twice, and the process would never end; a SimpleQueue is made for that.
    """

    def __init__(self) -> None:
        self._told: queue.SimpleQueue[int] = queue.SimpleQueue()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda number, _frame: self._told.put(number))

    def wait(self, seconds: float | None = None) -> bool:
        """Whether it was told to end, within so many seconds if any are given; to be asked until it was."""
        with contextlib.suppress(queue.Empty):
            self._told.get(timeout=seconds)
            return True
        return False
