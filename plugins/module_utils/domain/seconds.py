# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which numbers can be a time to wait."""

from __future__ import annotations

#: Eleven days: more fits no system call, and no one waits for it.
MOST_SECONDS = 1e6
#: What to say of a number that is none.
GIVE_SECONDS = f"give seconds above 0, {MOST_SECONDS:.0f} at most"


def is_time(value: float, *, zero: bool = False) -> bool:
    """Whether a number of seconds can be waited for; 0 only where that is said. What is no number can not."""
    return 0 < value <= MOST_SECONDS or (zero and value == 0)
