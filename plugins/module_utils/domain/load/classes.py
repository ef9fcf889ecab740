# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The load classes by which LangSmith's scale guide sizes an installation."""

from __future__ import annotations

#: Traces per second of each class of writes, from the scale guide (self-host-scale, valid from LangSmith 0.13 on).
WRITES = {"low": 10.0, "medium": 100.0, "high": 1000.0}
ABOVE = "above"
BELOW = "below"
SOURCE = "LangSmith's scale guide (self-host-scale)"


def needed_class(rate: float) -> str:
    """The smallest class whose writes include a rate that was sent; ``above`` the largest."""
    return next((name for name, most in WRITES.items() if rate <= most), ABOVE)


def carried_class(rate: float) -> str:
    """The largest class whose writes an installation with this capacity takes in; ``below`` the smallest."""
    return next((name for name, most in reversed(WRITES.items()) if rate >= most), BELOW)
