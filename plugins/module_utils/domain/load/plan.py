# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a load will send, told before the first byte."""

from __future__ import annotations

from typing import Any

from ansible_collections.langsmith.aws.plugins.module_utils.domain.load.feed import GRACE_SECONDS
from ansible_collections.langsmith.aws.plugins.module_utils.domain.load.options import Settings
from ansible_collections.langsmith.aws.plugins.module_utils.domain.load.schedule import Arrivals


def plan(load: Settings, url: str, timeout: float) -> dict[str, Any]:
    """Traces, runs, MiB and seconds at most, and sentences that tell the rest. ``timeout`` is a request's, in seconds.

    Of a shared load the figures are those of all shares, but the connections are each share's.
    """
    traces, bounded = _traces(load)
    seconds = _seconds(load, timeout)
    mib = traces * load.mean_trace_bytes / 2**20
    sent = f"{traces} traces at most" if load.rate is None or load.find_capacity else f"{traces} traces"
    sentences = [
        f"POST {url}/api/v1/sessions: project {load.project}",
        f"POST {url}/api/v1/runs/multipart: {sent} of {load.runs_per_trace} runs, {mib:.1f} MiB before compression,"
        f" {_manner(load)}, over {load.senders} connections",
        f"POST {url}/api/v1/runs/query: every id until it is visible, for {load.drain_timeout:g} s at most",
        "the project stays" if load.keep else f"DELETE {url}/api/v1/sessions: the project",
    ]
    if bounded:
        sentences.append(f"traces_max ends the load before its time: {load.traces_max} traces in all")
    return {
        "url": url,
        "project": load.project,
        "seed": load.ids.seed,
        "traces": traces,
        "runs": traces * load.runs_per_trace,
        "mib": round(mib, 2),
        "seconds_max": round(seconds, 1),
        "connections": load.senders,
        "says": sentences,
    }


def _traces(load: Settings) -> tuple[int, bool]:
    """Traces of the whole load at most, and whether their bound is met before the time."""
    if load.rate is None or load.find_capacity:
        return load.traces_max, False
    wanted = Arrivals(load.rate, load.duration, load.ramp).total
    return min(wanted, load.traces_max), wanted > load.traces_max


def _seconds(load: Settings, timeout: float) -> float:
    phase = load.duration + GRACE_SECONDS + timeout
    if load.find_capacity:
        return load.steps_max * (phase + load.drain_timeout) + load.drain_timeout + timeout
    return phase + 2 * load.drain_timeout + timeout


def _manner(load: Settings) -> str:
    if load.find_capacity:
        return f"at rates that are looked for in {load.steps_max} steps of {load.duration:g} s at most"
    ramp = f" after a ramp of {load.ramp:g} s" if load.ramp else ""
    if load.rate is None:
        return f"as quickly as they are accepted for {load.duration:g} s{ramp}"
    return f"at {load.rate:g} traces/s{ramp}, for {load.duration:g} s in all"
