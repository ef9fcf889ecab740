# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The result of a load: what it was to send, what it measured, and what that says."""

from __future__ import annotations

from typing import Any

from ansible_collections.langsmith.aws.plugins.module_utils.domain import load_class
from ansible_collections.langsmith.aws.plugins.module_utils.domain.load import capacity, charts
from ansible_collections.langsmith.aws.plugins.module_utils.domain.load.histogram import RELATIVE_ERROR
from ansible_collections.langsmith.aws.plugins.module_utils.domain.load.measured import Measured
from ansible_collections.langsmith.aws.plugins.module_utils.domain.load.options import Settings
from ansible_collections.langsmith.aws.plugins.module_utils.domain.load.plan import plan
from ansible_collections.langsmith.aws.plugins.module_utils.domain.load.verdict import judge

#: Percentiles that are told of every stage.
PERCENTILES = (50, 95, 99)
#: Stages that a result tells percentiles of.
STAGES = ("accepted", "visible", "stored", "late")


def result(measured: Measured, load: Settings, url: str, timeout: float) -> dict[str, Any]:
    """The result as the module returns it, of a whole load or of its shares together.

    ``url`` is the installation's, ``timeout`` (seconds) a request's, which bounds what the plan tells.
    """
    rates = _rates(load, measured)
    best = capacity.capacity(measured.steps)
    figures = ("sent", "accepted", "refused", "unanswered", "visible", "lost", "duplicates", "stored_unaccepted")
    return {
        "plan": plan(load, url, timeout),
        **{name: getattr(measured, name) for name in figures},
        "traces": measured.traces,
        "unsent_traces": measured.unsent_traces,
        "lost_ids": measured.lost_ids,
        "duplicate_ids": measured.duplicate_ids,
        "seconds": measured.whole,
        "rates": rates,
        "percentiles": _percentiles(measured),
        "percentile_error": round(RELATIVE_ERROR, 4),
        "resolution_seconds": round(measured.resolution, 3),
        "watched": measured.watched,
        "backlog": [{"at": one.at, "pending": one.pending, "retry": one.retry} for one in measured.backlog],
        "drain_seconds": measured.drain,
        "capacity": _found_capacity(measured, best) if load.find_capacity else None,
        "load_class": _load_class(load, measured, rates["accepted"], best),
        "problems": measured.problems,
        "interrupted": measured.interrupted,
        "projects": measured.projects,
        "sender": {
            "cpu_seconds": round(measured.cpu, 3),
            "requests": measured.requests,
            "mib": round(measured.body_bytes / 2**20, 2),
            "shares": measured.shares,
        },
        "findings": [finding.to_dict() for finding in judge(load, measured, url)],
        "charts": charts.charts(load, measured),
    }


def _rates(load: Settings, measured: Measured) -> dict[str, float | None]:
    """Traces per second: asked for, accepted while sending, and stored from the first to the last."""
    seconds, per_trace = measured.sending, measured.runs_per_trace
    whole = seconds + (measured.drain or 0.0)
    # Between the steps of a search there are drains, so it stored at no one rate.
    stored = whole > 0 and measured.drain is not None and not load.find_capacity
    return {
        "offered": None if load.find_capacity else measured.offered_rate,
        "accepted": round(measured.accepted / per_trace / seconds, 3) if seconds else None,
        "visible": round(measured.visible / per_trace / whole, 3) if stored else None,
    }


def _percentiles(measured: Measured) -> dict[str, dict[str, float | None]]:
    found: dict[str, dict[str, float | None]] = {}
    for stage in STAGES:
        values = {f"p{percent}": measured.latencies[stage].percentile(percent) for percent in PERCENTILES}
        found[stage] = {name: None if value is None else round(value, 6) for name, value in values.items()}
    return found


def _found_capacity(measured: Measured, best: float | None) -> dict[str, Any]:
    return {
        "rate": best,
        "load_class": load_class.carried_class(best) if best is not None else None,
        "bounded": capacity.limit(measured.steps) is not None,
        "steps": [dict(step.__dict__) for step in measured.steps],
    }


def _load_class(load: Settings, measured: Measured, accepted: float | None, best: float | None) -> str | None:
    """The class of a load that was carried, or after a search the one that is; ``None`` where none was."""
    if load.find_capacity:
        return None if best is None else load_class.carried_class(best)
    if accepted is None or not measured.complete or capacity.breach(measured, load.visible_p95):
        return None
    # The last trace leaves before the time is over, so what was accepted by then is a little more than was asked for.
    return load_class.needed_class(min(accepted, measured.offered_rate or accepted))
