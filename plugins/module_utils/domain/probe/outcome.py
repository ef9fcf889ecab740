# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a trace probe is told to do, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.langsmith.aws.plugins.module_utils.domain.endpoint import ClickHouse
from ansible_collections.langsmith.aws.plugins.module_utils.domain.probe.evidence import Evidence
from ansible_collections.langsmith.aws.plugins.module_utils.domain.probe.thresholds import LIMITS
from ansible_collections.langsmith.aws.plugins.module_utils.domain.seconds import GIVE_SECONDS, is_time


@dataclass(frozen=True)
class Settings:
    """What to do: ``project`` empty for one of the probe's own; times in seconds, ``thresholds`` by stage.

    ``compression`` is ``none`` or ``zstd``. ``namespace`` and ``release`` are where the installation is in Kubernetes,
    ``clickhouse`` is what its commands ask. Raises ``ValueError`` for a wait that is no time.
    """

    project: str = ""
    keep: bool = False
    feedback: bool = False
    compression: str = "none"
    wait_timeout: float = 120.0
    wait_sleep: float = 0.5
    thresholds: Mapping[str, float] = field(default_factory=lambda: dict(LIMITS))
    namespace: str = "langsmith"
    release: str = "langsmith"
    clickhouse: ClickHouse = field(default_factory=ClickHouse)

    def __post_init__(self) -> None:
        if not is_time(self.wait_sleep) or not is_time(self.wait_timeout, zero=True):
            given = f"wait_sleep {self.wait_sleep:g} and wait_timeout {self.wait_timeout:g}"
            raise ValueError(f"{given}: {GIVE_SECONDS}")


@dataclass(frozen=True)
class Outcome:
    """The evidence and where the trace is or was. ``wrote`` says that the installation was written to."""

    evidence: Evidence
    wrote: bool = False
    run_id: str = ""
    trace_url: str = ""
    project: dict[str, Any] = field(default_factory=dict)
    seconds: float = 0.0
