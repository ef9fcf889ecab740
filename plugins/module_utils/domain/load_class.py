# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The load classes by which LangSmith's scale guide sizes an installation: low, medium, high."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

LoadClass = Literal["low", "medium", "high", "above"]

#: Traces a second, and users at a time, up to which each class reaches, from the scale guide (self-host-scale, valid
#: from LangSmith 0.13 on).
TRACES_PER_S: dict[LoadClass, int] = {"low": 10, "medium": 100, "high": 1000}
USERS: dict[LoadClass, int] = {"low": 5, "medium": 20, "high": 50}
BELOW = "below"
SOURCE = "LangSmith's scale guide (self-host-scale)"


def needed_class(value: float, limits: Mapping[LoadClass, int] | None = None) -> LoadClass:
    """The smallest class that includes a value, traces a second unless other ``limits`` are given; or ``above``."""
    return next((name for name, most in (limits or TRACES_PER_S).items() if value <= most), "above")


def carried_class(rate: float) -> str:
    """The largest class whose writes an installation with this capacity takes in; ``below`` the smallest."""
    return next((name for name, most in reversed(TRACES_PER_S.items()) if rate >= most), BELOW)
