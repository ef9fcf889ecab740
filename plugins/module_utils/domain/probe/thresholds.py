# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long each stage of a probe may take, and who says so."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ansible_collections.langsmith.aws.plugins.module_utils.domain.seconds import GIVE_SECONDS, is_time

_SDK_CONNECT = "LangSmith's SDK gives up connecting for ingestion after 3 s"
_SDK_READ = "LangSmith's SDK gives up an ingestion request after 10 s"
_CHECKLIST_DELAY = "P0 production checklist: ingestion delay (received_at to inserted_at), p95 over 60 s"
_CHECKLIST_QUERY = "P0 production checklist: query latency, p95 over 2 s"
_OWN = "a proposal of this collection"


@dataclass(frozen=True)
class Threshold:
    """The most that a stage may take (seconds), the layer to look at first, and where the figure comes from."""

    seconds: float
    layer: str
    source: str


#: In the order in which a report shows the stages.
THRESHOLDS: dict[str, Threshold] = {
    "connect": Threshold(3, "load-balancer", _SDK_CONNECT),
    "tls": Threshold(3, "certificate", _SDK_CONNECT),
    "info": Threshold(2, "platform-backend", _OWN),
    "auth": Threshold(2, "postgres", _OWN),
    "project": Threshold(2, "postgres", _OWN),
    "accepted": Threshold(10, "platform-backend", _SDK_READ),
    "visible": Threshold(60, "ingest-workers", _CHECKLIST_DELAY),
    "complete": Threshold(60, "ingest-workers", _CHECKLIST_DELAY),
    "queue_delay": Threshold(60, "ingest-workers", _CHECKLIST_DELAY),
    "read": Threshold(2, "clickhouse-read", _CHECKLIST_QUERY),
    "blob": Threshold(10, "blob-read", _OWN),
    "feedback": Threshold(60, "ingest-workers", _OWN),
}

#: The defaults in seconds by stage.
LIMITS: dict[str, float] = {name: threshold.seconds for name, threshold in THRESHOLDS.items()}


def limits(given: Mapping[str, float | None] | None) -> dict[str, float]:
    """The defaults with those of an operator in their place. Raises ``ValueError`` for what is no time."""
    chosen = {name: value for name, value in (given or {}).items() if value is not None}
    bad = [f"{name}: {value:g}" for name, value in chosen.items() if not is_time(value)]
    if bad:
        raise ValueError(f"thresholds {', '.join(bad)}: {GIVE_SECONDS}")
    return {**LIMITS, **chosen}


def source(name: str, limit: float) -> str:
    """Where a limit comes from."""
    return THRESHOLDS[name].source if limit == THRESHOLDS[name].seconds else "option thresholds"
