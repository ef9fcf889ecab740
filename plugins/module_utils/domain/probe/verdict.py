# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The verdict of a trace probe: every rule over the evidence, in the order of the stages.

A layer is named only by two witnesses, the stage that failed and a neighbour that passed. Where the neighbour is
missing the component is ``unknown`` or says that the layer is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from ansible_collections.langsmith.aws.plugins.module_utils.domain.finding import Finding, worst
from ansible_collections.langsmith.aws.plugins.module_utils.domain.probe import ingest, reach, readback
from ansible_collections.langsmith.aws.plugins.module_utils.domain.probe.evidence import (
    STAGES,
    Evidence,
    finding,
    seconds_between,
)

RULES: tuple[Callable[[Evidence], list[Finding]], ...] = (
    reach.transport,
    reach.front_door,
    reach.info,
    reach.backend,
    reach.auth,
    reach.project,
    reach.control_read,
    ingest.accepted,
    ingest.repeated,
    ingest.patched,
    ingest.stored,
    ingest.queue_delay,
    readback.payload,
    readback.blob,
    readback.cleanup,
)


def judge(evidence: Evidence) -> list[Finding]:
    """Findings stage by stage, and one that names the stages which were not reached."""
    findings = [entry for rule in RULES for entry in rule(evidence)]
    missed = [text for stage, text in STAGES.items() if evidence.get(stage) is None]
    if missed:
        remedy = "mend what failed before them and run the probe again"
        observed = "not looked at: " + ", ".join(missed)
        findings.append(
            finding(
                "not_reached", "unknown", "langsmith", evidence.place.url, observed, "every stage is reached", remedy
            )
        )
    return findings


def plan(url: str, project: str | None, keep: bool) -> list[str]:
    """What a probe would send, one sentence per write."""
    name = f"project {project}" if project else "a project of its own, probe-<id>"
    steps = [
        f"POST {url}/api/v1/sessions: {name}",
        f"POST {url}/api/v1/runs/multipart: a trace of a root and a child run, its posts twice, then its patches",
        f"POST {url}/api/v1/runs/multipart: a trace with a large input and an attachment, where blob storage is on",
    ]
    if not keep:
        removed = f"the traces from project {project}" if project else "the project"
        steps.append(f"remove {removed}")
    return steps


def timings(evidence: Evidence, total: float) -> dict[str, float]:
    """Seconds per stage as far as the probe came."""
    root = evidence.run("root")
    first = evidence.get("front_door")
    values: dict[str, float | None] = {"connect": first.connecting if first else None}
    for name, stage in (("info", "info"), ("auth", "auth"), ("project", "project"), ("accept", "post_small")):
        values[name] = _seconds(evidence, stage)
    if root is not None:
        values["visible"] = root.visible_after
        values["complete"] = root.complete_after
        values["queue_delay"] = seconds_between(root.received, root.inserted)
    values["read"] = _seconds(evidence, "read")
    fetches = [_seconds(evidence, stage) for stage in ("fetch_large", "download_inputs", "download_attachment")]
    values["blob"] = sum(value for value in fetches if value is not None) if fetches[0] is not None else None
    values["total"] = total
    return {name: round(value, 4) for name, value in values.items() if value is not None}


def summary(evidence: Evidence, total: float) -> dict[str, Any]:
    """Verdict, findings, timings and the answers that they rest on, as a result holds them."""
    findings = judge(evidence)
    return {
        "healthy": is_healthy(findings),
        "findings": [entry.to_dict() for entry in findings],
        "timings": timings(evidence, total),
        "answers": [answer.to_dict() for answer in evidence.answers],
    }


def _seconds(evidence: Evidence, stage: str) -> float | None:
    answer = evidence.get(stage)
    return answer.seconds if answer is not None else None


def is_healthy(findings: Iterable[Finding]) -> bool:
    """Whether nothing failed and nothing is unknown; without findings nothing is known."""
    return worst(findings) in ("pass", "warn")
