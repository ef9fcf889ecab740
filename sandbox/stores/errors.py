# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What goes wrong on one connection of a ClickHouse engine ends that connection, and not the server.

`clickhouse local` and the server open the same listeners, and have an ErrorHandler each for what the threads behind
them throw: that of the server logs, KillingErrorHandler of the other ends the process. Any client of the native
protocol could then end the server by a reset of its connection, which is what the kernel makes of going away while an
answer is under way.
"""

from __future__ import annotations

from pathlib import Path

from sandbox.stores import native

#: Of Poco::ErrorHandler: its two destructors come first, then exception() for each kind of what is thrown.
_EXCEPTION = (2, 3, 4)


def survive(library: Path) -> None:
    """Let the handler of the library, which this process has loaded, end no process. Raises OSError."""
    with native.Image.of(library) as image:
        # Any function will do that takes nothing, does nothing, and may be called in every thread.
        native.replace(library, image.virtual("KillingErrorHandler", _EXCEPTION), native.C.getpid)
