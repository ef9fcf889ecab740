# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a part of the sandbox learns that it is to end."""

from __future__ import annotations

import select
import signal
import socket


class Ending:
    """Told by SIGTERM or SIGINT, and waited for in the main thread.

    A handler runs in the middle of whatever the main thread does, also of its wait. The lock of an Event or a queue
    would then be taken twice, and the process would never end; a byte that can be read wakes whoever waits for it,
    whenever it came.
    """

    def __init__(self) -> None:
        self._told, self._tell = socket.socketpair()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda _number, _frame: self._tell.send(b"."))

    def wait(self, seconds: float | None = None) -> bool:
        """Whether it was told to end, within so many seconds if any are given."""
        return bool(select.select([self._told], [], [], seconds)[0])
