# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one shape in which every check of this collection reports."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Literal

Status = Literal["pass", "warn", "fail", "unknown"]

#: Worst last. ``unknown`` is worse than ``warn``: nobody looked, so nobody may call it good.
SEVERITY: tuple[Status, ...] = ("pass", "warn", "unknown", "fail")


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    ``id`` names the rule (``clickhouse.replicas``), ``component`` the part of the installation (``clickhouse``),
    ``subject`` the very thing (``host:port``, a variable, an ARN). ``observed`` and ``expected`` are sentences or
    figures with their units, never a secret. ``remedy`` says what to do and is required wherever the status is not
    ``pass``.
    ``source`` names where the threshold or rule comes from.
    """

    id: str
    status: Status
    component: str
    subject: str
    observed: str
    expected: str
    remedy: str = ""
    source: str = ""

    def __post_init__(self) -> None:
        if self.status not in SEVERITY:
            raise ValueError(f"finding {self.id}: status {self.status!r} is none of {', '.join(SEVERITY)}")
        if self.status != "pass" and not self.remedy:
            raise ValueError(f"finding {self.id}: a {self.status} needs a remedy")

    def to_dict(self) -> dict[str, str]:
        """The finding as modules return it."""
        return asdict(self)


def worst(findings: Iterable[Finding]) -> Status:
    """The worst status among the findings; ``unknown`` where there are none, since nothing was looked at."""
    statuses = [finding.status for finding in findings]
    return max(statuses, key=SEVERITY.index) if statuses else "unknown"
