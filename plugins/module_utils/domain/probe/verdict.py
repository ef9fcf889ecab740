# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The verdict of a trace probe: every rule over the evidence, in the order of the stages.

A layer is named only by two witnesses, the stage that failed and a neighbour that passed. Where the neighbour is
missing the layer is ``unknown``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from ansible_collections.langsmith.aws.plugins.module_utils.domain.finding import Finding, worst
from ansible_collections.langsmith.aws.plugins.module_utils.domain.probe import (
    arrival,
    ingest,
    picture,
    reach,
    readback,
    timing,
)
from ansible_collections.langsmith.aws.plugins.module_utils.domain.probe.evidence import STAGES, Evidence
from ansible_collections.langsmith.aws.plugins.module_utils.domain.probe.layers import UNKNOWN, Blame, Judged, wrong

RULES: tuple[Callable[[Evidence], list[Judged]], ...] = (
    reach.transport,
    reach.front_door,
    reach.info,
    reach.backend,
    reach.inside,
    reach.auth,
    reach.project,
    reach.control_read,
    ingest.compression,
    ingest.accepted,
    ingest.repeated,
    ingest.patched,
    arrival.polls,
    arrival.stored,
    arrival.child,
    arrival.queue_delay,
    readback.payload,
    readback.blob,
    ingest.feedback,
    readback.cleanup,
    timing.slow,
)


#: Warnings that say that a trace came late, to one reader or to every one, or only now and then.
_LATE = ("probe.read", "probe.visible", "probe.visible_large", "probe.child")


def judge(evidence: Evidence) -> list[Judged]:
    """Judgements stage by stage, and one that names the stages which were not reached."""
    judged = [entry for rule in RULES for entry in rule(evidence)]
    missed = [text for stage, text in STAGES.items() if evidence.get(stage) is None]
    if missed:
        nobody = Blame(UNKNOWN, advice="mend what failed before them and run the probe again")
        place, observed = evidence.place, "not looked at: " + ", ".join(missed)
        expected = "every stage is reached"
        judged.append(wrong("not_reached", nobody, place, place.url, observed, expected, status="unknown"))
    return judged


def fault(judged: Iterable[Judged]) -> dict[str, Any]:
    """``layer``, its two ``witnesses`` and the ``next_command``; all empty where nothing failed and nothing was late.

    The layer is that of the first failure that names one, as the stages stand in the order in which they need each
    other; ``unknown`` where failures name none. Without a failure it is the layer that made the trace late.
    """
    entries = list(judged)
    failed = [entry for entry in entries if entry.finding.status == "fail"]
    late = [entry for entry in entries if entry.finding.status == "warn" and entry.finding.id in _LATE]
    unknown = [entry for entry in entries if entry.finding.status == "unknown"]
    bad = failed or unknown or late
    named = next((entry for entry in bad if entry.finding.component != UNKNOWN), None)
    chosen = named or next(iter(bad), None)
    if chosen is None:
        return {"layer": "", "witnesses": [], "next_command": ""}
    found = chosen.finding
    witnesses = [{"status": found.status, "stage": found.id.removeprefix("probe."), "observed": found.observed}]
    if chosen.witness:
        witnesses.append({"status": "pass", "stage": "neighbour", "observed": chosen.witness})
    layer = found.component if named else UNKNOWN
    return {"layer": layer, "witnesses": witnesses, "next_command": chosen.command}


def plan(url: str, project: str | None, keep: bool, compression: str = "none", feedback: bool = False) -> list[str]:
    """What a probe would send, one sentence per write."""
    name = f"project {project}, where it is missing" if project else "a project of its own, probe-<id>"
    how = ", compressed by zstd" if compression == "zstd" else ""
    ingestion = f"POST {url}/api/v1/runs/multipart{how}"
    steps = [
        f"POST {url}/api/v1/sessions: {name}",
        f"{ingestion}: a trace of a root and a child run, its posts twice, then its patches; where that fails, the"
        f" root's patch by PATCH {url}/api/v1/runs/ID too",
        f"{ingestion}: a trace with a large input and an attachment, where blob storage is on",
    ]
    if feedback:
        steps.append(f"POST {url}/api/v1/feedback: a score of the root run")
    if not keep:
        traces = "the feedback and the traces" if feedback else "the traces"
        removed = f"{traces} from project {project}, which stays" if project else "the project"
        steps.append(f"remove {removed}")
    return steps


def summary(evidence: Evidence, total: float) -> dict[str, Any]:
    """Verdict, findings, timings, charts and the answers that they rest on, as a result holds them."""
    judged = judge(evidence)
    findings = [entry.finding for entry in judged]
    return {
        "healthy": is_healthy(findings),
        **fault(judged),
        "findings": [entry.to_dict() for entry in findings],
        "timings": timing.timings(evidence, total),
        "stages": timing.stages(evidence),
        "charts": picture.charts(evidence),
        "answers": [answer.to_dict() for answer in evidence.answers],
    }


def is_healthy(findings: Iterable[Finding]) -> bool:
    """Whether nothing failed and nothing is unknown; without findings nothing is known."""
    return worst(findings) in ("pass", "warn")
