# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules on what was read back: payloads, blob storage, cleaning up."""

from __future__ import annotations

from ansible_collections.langsmith.aws.plugins.module_utils.domain.finding import Finding
from ansible_collections.langsmith.aws.plugins.module_utils.domain.probe.evidence import Evidence, SentRun, finding

BLOB_SOURCE = "P0 reference architecture: blob storage is required for production"


def payload(evidence: Evidence) -> list[Finding]:
    """Whether the small payloads came back as they were sent."""
    findings = []
    for role in ("root", "child"):
        run = evidence.run(role)
        if run is None or run.complete_after is None:
            continue
        wrong = [name for name, sent, found in _payloads(run) if found != sent]
        expected = "inputs and outputs as they were sent"
        if not wrong:
            observed = "inputs and outputs are equal by SHA-256"
            findings.append(finding(f"payload_{role}", "pass", "clickhouse", run.run_id, observed, expected))
            continue
        answer = evidence.get(f"fetch_{role}")
        seen = answer.describe() if answer is not None and not answer.succeeded else _differences(run)
        remedy = f"the run is listed but its content is not what was sent: {evidence.place.logs('backend')}"
        findings.append(finding(f"payload_{role}", "fail", "read path", run.run_id, seen, expected, remedy))
    return findings


def blob(evidence: Evidence) -> list[Finding]:
    """Whether a large input and an attachment came back, which travel through blob storage."""
    if not evidence.ok("info"):
        return []
    run = evidence.run("large")
    if run is None:
        return _untested(evidence)
    if run.complete_after is None:
        return []
    expected = "large input and attachment as they were sent"
    if all(found == sent for _name, sent, found in _payloads(run)):
        observed = "large input, outputs and attachment are equal by SHA-256"
        return [finding("blob", "pass", "blob-storage", run.run_id, observed, expected)]
    component = "blob-storage" if _small_arrived(evidence) else "unknown"
    for stage in ("download_attachment", "download_inputs", "fetch_large"):
        answer = evidence.get(stage)
        if answer is not None and not answer.succeeded:
            remedy = (
                "the object is recorded but cannot be read: see the read permission of platform-backend's role on "
                f"bucket and KMS key: {evidence.place.logs('platform-backend')}"
            )
            return [finding("blob", "fail", component, run.run_id, answer.describe(), expected, remedy)]
    remedy = (
        "the run is there and its large payload is not: see the write permission of the roles of platform-backend and "
        f"ingest-queue on bucket and KMS key: {evidence.place.logs('ingest-queue')}"
    )
    return [finding("blob", "fail", component, run.run_id, _differences(run), expected, remedy)]


def cleanup(evidence: Evidence) -> list[Finding]:
    """Whether what the probe wrote was taken away."""
    answer = evidence.get("cleanup")
    if answer is None:
        return []
    expected = "status 200"
    if answer.succeeded:
        return [finding("cleanup", "pass", "langsmith", answer.request, answer.describe(), expected)]
    remedy = "delete the probe's project or trace by hand in the web page"
    return [finding("cleanup", "warn", "langsmith", answer.request, answer.describe(), expected, remedy)]


def _untested(evidence: Evidence) -> list[Finding]:
    if evidence.blob_enabled or not evidence.ok("post_small"):
        return []
    told = (
        "does not say whether blob storage is on" if evidence.blob_enabled is None else "says that blob storage is off"
    )
    remedy = "set config.blobStorage.enabled=true with an S3 bucket; only short-lived development does without"
    observed = f"/info {told}, so no large payload was sent"
    expected = "blob_storage_enabled"
    return [finding("blob", "warn", "blob-storage", evidence.place.url, observed, expected, remedy, BLOB_SOURCE)]


def _small_arrived(evidence: Evidence) -> bool:
    root = evidence.run("root")
    return root is not None and all(found == sent for _name, sent, found in _payloads(root))


def _payloads(run: SentRun) -> list[tuple[str, str, str | None]]:
    pairs = [("inputs", run.inputs_hash, run.found_inputs), ("outputs", run.outputs_hash, run.found_outputs)]
    if run.attachment_hash:
        pairs.append(("attachment", run.attachment_hash, run.found_attachment))
    return pairs


def _differences(run: SentRun) -> str:
    words = {None: "could not be read", "": "missing"}
    wrong = [f"{name} {words.get(found, 'differ')}" for name, sent, found in _payloads(run) if found != sent]
    return "; ".join(wrong)
