# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The probe as charts: when each stage ran, how long it took of what it may take, how long the polls took."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from ansible_collections.langsmith.aws.plugins.module_utils.domain.finding import Status
from ansible_collections.langsmith.aws.plugins.module_utils.domain.probe.evidence import (
    Evidence,
    SentRun,
    stage_passed,
)
from ansible_collections.langsmith.aws.plugins.module_utils.domain.probe.timing import stages

#: Fewer polls than this make no distribution.
LEAST_POLLS = 5
#: Upper bounds of the polls' histogram, seconds.
BUCKETS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)


def charts(evidence: Evidence) -> list[dict[str, Any]]:
    """Charts in the form of the module ``report``."""
    if not evidence.answers:
        return []
    bars, polls = _bars(evidence), _polls(evidence)
    return [_timeline(evidence), *([bars] if bars["bars"] else []), *([polls] if polls else [])]


def _timeline(evidence: Evidence) -> dict[str, Any]:
    spans = [
        _span(answer.stage, answer.at - answer.seconds, answer.at, "pass" if stage_passed(answer) else "fail")
        for answer in evidence.answers
    ]
    for run in evidence.runs:
        spans += _waits(run, evidence)
    return {
        "kind": "timeline",
        "title": "Stages of the probe",
        "unit": "s",
        "spans": sorted(spans, key=lambda span: float(span["from"])),
    }


def _waits(run: SentRun, evidence: Evidence) -> list[dict[str, Any]]:
    spans = []
    for name, after, least in (
        ("visible", run.visible_after, run.visible_least),
        ("complete", run.complete_after, run.complete_least),
    ):
        limit = evidence.thresholds[name]
        status: Status = "fail" if least is None else "pass" if least <= limit else "warn"
        ends = evidence.waited if after is None else after
        spans.append(_span(f"{run.role} {name}", run.accepted_at, run.accepted_at + ends, status))
    return spans


def _span(label: str, start: float, end: float, status: Status) -> dict[str, Any]:
    return {"label": label, "from": round(max(start, 0.0), 4), "to": round(end, 4), "status": status}


def _bars(evidence: Evidence) -> dict[str, Any]:
    bars = [
        {
            "label": stage["name"],
            "value": stage["seconds"],
            "limit": stage["threshold"],
            "warn": stage["threshold"],
            "fail": None,
            "note": stage["source"],
        }
        for stage in stages(evidence)
    ]
    return {"kind": "bars", "title": "Seconds of what a stage may take", "unit": "s", "bars": bars}


def _polls(evidence: Evidence) -> dict[str, Any] | None:
    if len(evidence.polls) < LEAST_POLLS:
        return None
    slowest = max(evidence.polls)
    bounds = [0.0, *(bound for bound in BUCKETS if bound < slowest), slowest]
    buckets = [
        {"from": lower, "to": upper, "count": sum(lower < seconds <= upper for seconds in evidence.polls)}
        for lower, upper in pairwise(bounds)
    ]
    return {
        "kind": "histogram",
        "title": "How long the polls took",
        "unit": "s",
        "buckets": buckets,
        "marks": [{"label": "threshold", "at": evidence.thresholds["read"]}],
    }
