# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long each stage took, against how long it may take."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ansible_collections.langsmith.aws.plugins.module_utils.domain.probe import commands, thresholds
from ansible_collections.langsmith.aws.plugins.module_utils.domain.probe.evidence import Evidence
from ansible_collections.langsmith.aws.plugins.module_utils.domain.probe.layers import (
    UNKNOWN,
    Blame,
    Judged,
    command_of,
    wrong,
)

#: Stages that are one answer each.
_ANSWERS = {"info": "info", "auth": "auth", "project": "project", "accepted": "post_small", "read": "read"}
#: These have findings of their own, which also say who is slow.
_JUDGED_ELSEWHERE = ("visible", "queue_delay")
#: Of these curl shows the parts, the look-up of the name among them.
_CONNECTING = ("connect", "tls")


def measured(evidence: Evidence) -> dict[str, float]:
    """Seconds by stage as far as the probe came."""
    root, first = evidence.run("root"), evidence.get("front_door")
    values: dict[str, float | None] = {}
    if first is not None and first.connecting:
        values["connect"] = first.connecting - first.handshake
        values["tls"] = first.handshake or None
    for name, stage in _ANSWERS.items():
        values[name] = _seconds(evidence, stage)
    if root is not None:
        values["visible"] = root.visible_after
        values["complete"] = _last(run.complete_after for run in evidence.runs)
        values["queue_delay"] = evidence.measured_delay(root)
    fetches = [_seconds(evidence, stage) for stage in ("fetch_large", "download_inputs", "download_attachment")]
    values["blob"] = sum(value for value in fetches if value is not None) if fetches[0] is not None else None
    values["feedback"] = evidence.feedback_after
    return {name: value for name in thresholds.THRESHOLDS if (value := values.get(name)) is not None}


def timings(evidence: Evidence, total: float) -> dict[str, float]:
    """Seconds per stage and in all, rounded to 0.1 ms."""
    return {name: round(value, 4) for name, value in {**measured(evidence), "total": total}.items()}


def stages(evidence: Evidence) -> list[dict[str, Any]]:
    """Each stage's seconds with its threshold, where that comes from, and whether it was kept."""
    sure = _sure(evidence)
    return [
        {
            "name": name,
            "seconds": round(seconds, 4),
            "threshold": (limit := evidence.thresholds[name]),
            "status": "pass" if (sure.get(name) or seconds) <= limit else "warn",
            "source": thresholds.source(name, limit),
        }
        for name, seconds in measured(evidence).items()
    ]


def slow(evidence: Evidence) -> list[Judged]:
    """A warning for each stage that took longer than it may."""
    return [
        _warning(evidence, stage)
        for stage in stages(evidence)
        if stage["status"] == "warn" and stage["name"] not in _JUDGED_ELSEWHERE
    ]


def _warning(evidence: Evidence, stage: dict[str, Any]) -> Judged:
    # Nothing that passed beside it tells who is slow, so the layer is only where to look first.
    layer, place = thresholds.THRESHOLDS[stage["name"]].layer, evidence.place
    command = commands.connecting(place) if stage["name"] in _CONNECTING else command_of(layer, place)
    return wrong(
        f"slow_{stage['name']}",
        Blame(UNKNOWN, advice="it works and is slow; look here first", command=command),
        place,
        place.url,
        f"{stage['seconds']:.1f} s",
        f"at most {stage['threshold']:g} s",
        status="warn",
        source=stage["source"],
    )


def _sure(evidence: Evidence) -> dict[str, float | None]:
    """Of what polls showed, the seconds that it took for sure."""
    root = evidence.run("root")
    return {
        "visible": root.visible_least if root is not None else None,
        "complete": _last(run.complete_least for run in evidence.runs),
    }


def _last(ends: Iterable[float | None]) -> float | None:
    """The last of these ends; ``None`` where one never came."""
    known = list(ends)
    return None if None in known else max((end for end in known if end is not None), default=None)


def _seconds(evidence: Evidence, stage: str) -> float | None:
    answer = evidence.get(stage)
    return answer.seconds - answer.connecting if answer is not None else None
