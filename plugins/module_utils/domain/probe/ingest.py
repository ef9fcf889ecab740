# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules on the write path: accepting a trace, storing it, completing it."""

from __future__ import annotations

from ansible_collections.langsmith.aws.plugins.module_utils.domain.answers import Observed
from ansible_collections.langsmith.aws.plugins.module_utils.domain.endpoint import gateway_fault, transport_finding
from ansible_collections.langsmith.aws.plugins.module_utils.domain.finding import Finding
from ansible_collections.langsmith.aws.plugins.module_utils.domain.probe.evidence import (
    DELAY_LIMIT_S,
    DELAY_SOURCE,
    Evidence,
    QueueSample,
    Role,
    SentRun,
    finding,
    seconds_between,
)
from ansible_collections.langsmith.aws.plugins.module_utils.domain.probe.reach import TRANSPORT_PHASES

UNKNOWN_LAYER = "write path, layer unknown"


def accepted(evidence: Evidence) -> list[Finding]:
    """Whether the posts of both traces were taken, which means put into the queue."""
    return _taken(evidence, ("post_small", "post_large"))


def patched(evidence: Evidence) -> list[Finding]:
    """Whether the patches were taken, the other kind of write."""
    return _taken(evidence, ("patch_small", "patch_large"))


def _taken(evidence: Evidence, stages: tuple[str, ...]) -> list[Finding]:
    findings = []
    for stage in stages:
        answer = evidence.get(stage)
        if answer is None:
            continue
        expected = "status 202"
        if answer.succeeded:
            observed = answer.describe()
            findings.append(finding(stage, "pass", "platform-backend", answer.request, observed, expected))
        else:
            component, remedy = _refused(answer, evidence)
            after = evidence.get("info_after")
            seen = f"{answer.describe()}; after that {after.describe()}" if after else answer.describe()
            findings.append(finding(stage, "fail", component, answer.request, seen, expected, remedy))
    return findings


def repeated(evidence: Evidence) -> list[Finding]:
    """A second sending of the same posts is refused where the first is on record."""
    answer = evidence.get("repeat")
    if answer is None:
        return []
    expected = "status 409, since the first sending is on record"
    if answer.status == 409:
        return [finding("repeat", "pass", "redis", answer.request, answer.describe(), expected)]
    if answer.succeeded:
        remedy = (
            "the record of the first sending is gone: see that Redis evicts nothing (maxmemory-policy noeviction, "
            "evicted_keys 0) and that all pods of platform-backend use the same Redis"
        )
        return [finding("repeat", "warn", "redis", answer.request, answer.describe(), expected, remedy)]
    component, remedy = _refused(answer, evidence)
    return [finding("repeat", "warn", component, answer.request, answer.describe(), expected, remedy)]


def stored(evidence: Evidence) -> list[Finding]:
    """Whether the traces became readable and complete, and how soon."""
    if not evidence.runs or evidence.get("read") is None:
        return []
    findings = []
    for role in ("root", "large"):
        run = evidence.run(role)
        if run is not None:
            findings.append(_visible(evidence, run))
            findings += _complete(evidence, run)
    return findings + _child(evidence)


def queue_delay(evidence: Evidence) -> list[Finding]:
    """Received to inserted by the server's clocks, or the bound that the probe's own clock gives."""
    run = evidence.run("root")
    if run is None or run.visible_after is None:
        return []
    measured = seconds_between(run.received, run.inserted)
    delay = run.visible_after if measured is None else measured
    how = "at most, by the first poll that saw it; the server tells no inserted_at" if measured is None else "measured"
    observed = f"{delay:.1f} s ({how})"
    expected = f"under {DELAY_LIMIT_S:g} s"
    if delay < DELAY_LIMIT_S:
        return [finding("queue_delay", "pass", "ingest-queue", run.run_id, observed, expected, source=DELAY_SOURCE)]
    if measured is None:
        remedy = "read langsmith_ingestion_api_to_worker_latency_seconds and .._worker_to_store_latency_seconds"
        return [finding("queue_delay", "unknown", "ingest-queue", run.run_id, observed, expected, remedy, DELAY_SOURCE)]
    remedy = (
        "compare langsmith_ingestion_api_to_worker_latency_seconds (workers: "
        f"{evidence.place.state('ingest-queue')}) with langsmith_ingestion_worker_to_store_latency_seconds (ClickHouse)"
        "; do not add workers while ClickHouse is the slow part"
    )
    return [finding("queue_delay", "fail", "ingest-queue", run.run_id, observed, expected, remedy, DELAY_SOURCE)]


def _refused(answer: Observed, evidence: Evidence) -> tuple[str, str]:
    place = evidence.place
    if answer.status in _REFUSALS and not (answer.status == 403 and answer.is_html):
        return _REFUSALS[answer.status]
    if answer.status is None and answer.phase in TRANSPORT_PHASES:
        lost = transport_finding("probe.lost", answer, place)
        return lost.component, lost.remedy
    if answer.status is not None and answer.status < 500:
        return gateway_fault(answer, place)
    if answer.stage.endswith("_large") and evidence.ok(answer.stage.replace("large", "small")):
        return "blob-storage", (
            "small payloads pass and large ones do not: see the role, bucket, endpoint and KMS key of "
            f"platform-backend: {place.logs('platform-backend')}"
        )
    if not evidence.ok("info_after"):
        return "platform-backend", f"it stopped answering: {place.state('platform-backend')}"
    if answer.is_html:
        return "unknown", (
            "the frontend lost platform-backend on this request, while /info still answers: "
            + place.logs("platform-backend")
        )
    return "redis", (
        "platform-backend answers but cannot queue, and Postgres works: see that Redis takes writes (memory, "
        f"credentials, security group): {place.logs('platform-backend')}"
    )


_REFUSALS = {
    400: (
        "probe",
        "the server refuses what the probe sent; compare its version with those that the collection supports",
    ),
    401: ("api-key", "the key reads but is refused on ingestion; make a new one in this workspace"),
    403: ("api-key", "the key may not write runs; make one with a role that may"),
    404: ("version", "this LangSmith has no /runs/multipart; upgrade it"),
    413: ("size-limit", "a proxy, firewall or the frontend (25 MB) limits the body; raise its limit"),
    422: (
        "probe",
        "the server refuses what the probe sent; compare its version with those that the collection supports",
    ),
    429: ("quota", "raise the workspace's usage limit, or wait until it is reset"),
}


def _visible(evidence: Evidence, run: SentRun) -> Finding:
    rule = "visible" if run.role == "root" else "visible_large"
    expected = f"readable within {evidence.visible_within:g} s"
    if run.visible_after is None:
        component, why, remedy = _lost(evidence, run.role)
        observed = f"accepted, but not readable {evidence.waited:.0f} s later: {why}"
        return finding(rule, "fail", component, run.run_id, observed, expected, remedy)
    observed = f"readable after {run.visible_after:.1f} s"
    if run.visible_after <= evidence.visible_within:
        return finding(rule, "pass", "ingest-queue", run.run_id, observed, expected)
    component, remedy = _slow(evidence, run)
    source = DELAY_SOURCE if evidence.visible_within == DELAY_LIMIT_S else ""
    return finding(rule, "warn", component, run.run_id, observed, expected, remedy, source)


def _complete(evidence: Evidence, run: SentRun) -> list[Finding]:
    if run.visible_after is None:
        return []
    rule = "complete" if run.role == "root" else "complete_large"
    expected = "status success"
    if run.complete_after is not None:
        observed = f"status success after {run.complete_after:.1f} s"
        return [finding(rule, "pass", "ingest-queue", run.run_id, observed, expected)]
    patch = evidence.get("patch_small" if run.role == "root" else "patch_large")
    if patch is None or not patch.succeeded:
        # The refused patch has its own finding; a second one would blame the queue for what never reached it.
        return []
    component, why, remedy = _lost(evidence, run.role)
    seen = run.status or "none"
    observed = f"status {seen} {evidence.waited:.0f} s after its patch was accepted: {why}"
    return [finding(rule, "fail", component, run.run_id, observed, expected, remedy)]


def _child(evidence: Evidence) -> list[Finding]:
    child, root = evidence.run("child"), evidence.run("root")
    if child is None or root is None or root.visible_after is None or not evidence.children:
        return []
    counts = ", ".join(str(count) for count in evidence.children)
    observed = f"children found by {len(evidence.children)} queries: {counts}"
    expected = "1 each time"
    if set(evidence.children) == {1}:
        return [finding("child", "pass", "clickhouse", child.run_id, observed, expected)]
    if len(set(evidence.children)) > 1:
        remedy = (
            "the answers differ from query to query, as replicas that lag do: "
            "select database, table, absolute_delay, queue_size from system.replicas"
        )
        return [finding("child", "fail", "clickhouse", child.run_id, observed, expected, remedy)]
    remedy = f"the root arrived and its child did not, though sent together: {evidence.place.logs('ingest-queue')}"
    return [finding("child", "fail", UNKNOWN_LAYER, child.run_id, observed, expected, remedy)]


def _slow(evidence: Evidence, run: SentRun) -> tuple[str, str]:
    delay = seconds_between(run.received, run.inserted)
    place = evidence.place
    if delay is None:
        return UNKNOWN_LAYER, f"the server does not tell when it was stored: {place.logs('ingest-queue')}"
    if delay * 2 >= (run.visible_after or 0.0):
        return (
            "ingest-queue",
            f"it waited to be stored: {place.state('ingest-queue')}; then ClickHouse's merges and disk",
        )
    return "clickhouse", "it was stored early but read late: look at replica lag, async inserts and running queries"


def _lost(evidence: Evidence, role: Role) -> tuple[str, str, str]:
    """Component, reason and remedy for a run that was accepted and does not appear."""
    place = evidence.place
    after = evidence.get("control_read_after")
    if after is not None and not evidence.ok("control_read_after"):
        if not evidence.ok("auth_after"):
            return "unknown", f"backend stopped answering meanwhile ({after.describe()})", place.state("backend")
        return (
            "clickhouse",
            f"the control read that worked before fails now ({after.describe()}) while projects are still read",
            "see ClickHouse's memory, disk and running queries: "
            + place.kubectl(f"logs statefulset/{place.release}-clickhouse --tail=100"),
        )
    root = evidence.run("root")
    if role == "large" and root is not None and root.complete_after is not None:
        return (
            "blob-storage",
            "the small trace is there, the large one is not",
            f"see the role, bucket, endpoint and KMS key of the workers: {place.logs('ingest-queue')}",
        )
    return _queue_verdict(evidence)


def _queue_verdict(evidence: Evidence) -> tuple[str, str, str]:
    place = evidence.place
    told = [sample for sample in evidence.queue if sample.pending is not None]
    if len(told) < 2:
        reasons = [sample.reason for sample in evidence.queue if sample.reason]
        why = reasons[-1] if reasons else "no queue counters were read"
        return (
            UNKNOWN_LAYER,
            why,
            f"read the queue: {place.kubectl(f'port-forward service/{place.release}-platform-backend 1986')} and give "
            "queue_metrics_url=http://127.0.0.1:1986/metrics?format=json; meanwhile: " + place.state("ingest-queue"),
        )
    trend = queue_trend(told)
    counters = ", ".join(f"{sample.pending} at {sample.at:.0f} s" for sample in told)
    component, why, remedy = _TRENDS[trend]
    reason = f"{why} (pending {counters})"
    return component, reason, remedy.format(state=place.state("ingest-queue"), logs=place.logs("ingest-queue"))


_TRENDS = {
    "stuck": (
        "ingest-queue",
        "the queue grew by the trace and does not shrink",
        "the queue workers are down or cannot reach Redis: {state}; {logs}",
    ),
    "draining": (
        UNKNOWN_LAYER,
        "the queue shrinks, but too slowly",
        "a backlog: read langsmith_ingestion_worker_to_store_latency_seconds; large means ClickHouse is the slow part, "
        "and only where it is small do more workers help: {state}",
    ),
    "retrying": (
        "clickhouse",
        "the queue is taken, and retries grow: the store refuses the write",
        "read why in the workers' log: {logs}; then ClickHouse's disk, memory and parts, and blob storage",
    ),
    "empty": (
        UNKNOWN_LAYER,
        "the queue is empty and nothing is tried again: lost, rejected by the worker, or in another workspace",
        "look for the run: select count() from runs where id = ...; a row means the read path; {logs}",
    ),
    "unclear": (
        UNKNOWN_LAYER,
        "the queue's counters fit no known pattern",
        "{state}; {logs}",
    ),
}


def queue_trend(told: list[QueueSample]) -> str:
    """``stuck``, ``draining``, ``retrying``, ``empty`` or ``unclear``, from samples with ``pending``.

    The first sample is from before the trace was sent.
    """
    pending = [sample.pending or 0 for sample in told]
    retries = [sample.retry for sample in told if sample.retry is not None]
    start, end, peak = pending[0], pending[-1], max(pending)
    if end == 0 and len(retries) > 1:
        return "retrying" if retries[-1] > retries[0] else "empty" if retries[-1] == 0 else "unclear"
    if end > start and end >= pending[len(pending) // 2]:
        return "stuck"
    if 0 < end < peak:
        return "draining"
    return "unclear"
