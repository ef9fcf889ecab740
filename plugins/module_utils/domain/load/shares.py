# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Loads that pods send together: what they are to send next, and the result out of their logs.

A load is sent in steps, of which each is as many pods as there are shares. A plain load is one step, a search for the
capacity one for each rate that is tried. ``logs`` are those of the pods of each step, whose last line is a share;
``load`` are the options of the load with its ``seed`` and the number of shares ``of``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from ansible_collections.langsmith.aws.plugins.module_utils.domain.errors import ProjectError
from ansible_collections.langsmith.aws.plugins.module_utils.domain.load import capacity, measured, options, report
from ansible_collections.langsmith.aws.plugins.module_utils.domain.load.ids import parse_seed
from ansible_collections.langsmith.aws.plugins.module_utils.domain.load.measured import Measured, Step
from ansible_collections.langsmith.aws.plugins.module_utils.domain.load.plan import plan

Logs = Sequence[Sequence[str]]


class _Search:
    """The steps of a search so far. ``steps``, at the places ``counted``, are those whose pods sent together."""

    def __init__(self, logs: Logs, load: options.Settings) -> None:
        self.all: list[Measured] = []
        self.counted: list[int] = []
        self.steps: list[Step] = []
        for place, step in enumerate(logs):
            whole = _together(step)
            self.all.append(whole)
            rate = whole.offered_rate or 0.0
            if capacity.is_apart(whole):
                whole.problems.append(f"at {rate:g} traces/s {capacity.shortfall(whole)}")
                continue
            self.counted.append(place)
            self.steps.append(capacity.judge_step(rate, whole, load.visible_p95))

    def result(self) -> Measured:
        """All of it as one measurement."""
        found = measured.in_turn(self.all, self.counted[capacity.telling(self.steps)] if self.steps else -1)
        found.steps = self.steps
        return found


def following(logs: Logs, url: str, load: Mapping[str, Any], timeout: float) -> dict[str, Any] | None:
    """The options of the ``load`` that comes next and ``seconds_max`` that it takes; None when all is sent.

    Raises ProjectError for a log without a share, ``ValueError`` for a search that has no room for its first step.
    """
    wanted = options.settings(load, parse_seed(load["seed"]))
    if not wanted.find_capacity:
        return None if logs else _step(load, wanted, url, timeout)
    capacity.refuse_without_room(wanted)
    found = _Search(logs, wanted)
    # What a step left behind, or how it was cut off, would be in the figures of the next one.
    if any(step.drain is None or step.interrupted for step in found.all):
        return None
    traces = sum(step.traces + step.unsent_traces for step in found.all)
    rate, _bound = capacity.step_after(wanted, found.steps, len(logs), traces)
    if rate is None:
        return None
    # Each step is a load of its own, whose ids are no other's.
    ids = replace(wanted.ids, milliseconds=wanted.ids.milliseconds + len(logs))
    options_of_step = {**load, "find_capacity": False, "rate": rate, "seed": ids.seed}
    return _step(options_of_step, replace(wanted, find_capacity=False, rate=rate, ids=ids), url, timeout)


def _step(load: Mapping[str, Any], settings: options.Settings, url: str, timeout: float) -> dict[str, Any]:
    return {"load": dict(load), "seconds_max": plan(settings, url, timeout)["seconds_max"]}


def merged(logs: Logs, url: str, load: Mapping[str, Any], timeout: float) -> dict[str, Any]:
    """The result. ``timeout`` is that of a request, in seconds. Raises ProjectError for a log without a share."""
    wanted = options.settings(load, parse_seed(load["seed"]))
    found = _Search(logs, wanted).result() if wanted.find_capacity else _together(logs[0])
    return report.result(found, wanted, url, timeout=timeout)


def _together(logs: Sequence[str]) -> Measured:
    shares = [_share(log) for log in logs]
    names = [project["name"] for share in shares for project in share.projects]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ProjectError(f"two pods told the same share of the load, {', '.join(twice)}: look at their logs")
    return measured.merge(shares)


def _share(log: str) -> Measured:
    last = (log.rstrip().splitlines() or [""])[-1]
    try:
        return Measured.from_dict(json.loads(last)["share"])
    except (KeyError, TypeError, ValueError) as error:
        raise ProjectError(
            f"a pod of the load ended without telling what it measured; its last words are {last[:300]!r}"
        ) from error
