# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How LangSmith's chart names its objects."""

from __future__ import annotations

_CHART = "langsmith"
_LONGEST = 63


def fullname(release: str) -> str:
    """What the names of a release's objects begin with, before ``-`` and the component."""
    name = release if _CHART in release else f"{release}-{_CHART}"
    return name[:_LONGEST].removesuffix("-")
