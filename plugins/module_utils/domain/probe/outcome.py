# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a trace probe is told to do, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ansible_collections.langsmith.aws.plugins.module_utils.domain.probe.evidence import Evidence


@dataclass(frozen=True)
class Settings:
    """What to do: ``project`` empty for one of the probe's own; times in seconds.

    ``namespace`` and ``release`` are where the installation is in Kubernetes, for remedies. ``queue_metrics_url`` is
    empty where the ingestion queue's counters are not to be read.
    """

    project: str = ""
    keep: bool = False
    wait_timeout: float = 120.0
    wait_sleep: float = 0.5
    visible_within: float = 60.0
    namespace: str = "langsmith"
    release: str = "langsmith"
    queue_metrics_url: str = ""


@dataclass(frozen=True)
class Outcome:
    """The evidence and where the trace is or was. ``wrote`` says that the installation was written to."""

    evidence: Evidence
    wrote: bool = False
    run_id: str = ""
    trace_url: str = ""
    project: dict[str, Any] = field(default_factory=dict)
    seconds: float = 0.0
