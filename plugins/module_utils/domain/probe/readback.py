# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules on what was read back: payloads, blob storage, cleaning up."""

from __future__ import annotations

from urllib.parse import urlsplit

from ansible_collections.langsmith.aws.plugins.module_utils.domain.answers import Observed
from ansible_collections.langsmith.aws.plugins.module_utils.domain.probe import commands
from ansible_collections.langsmith.aws.plugins.module_utils.domain.probe.arrival import lagging
from ansible_collections.langsmith.aws.plugins.module_utils.domain.probe.evidence import Evidence, SentRun
from ansible_collections.langsmith.aws.plugins.module_utils.domain.probe.layers import (
    UNKNOWN,
    Blame,
    Judged,
    answered,
    blame,
    passed,
    wrong,
)

BLOB_SOURCE = "P0 reference architecture: blob storage is required for production"


def payload(evidence: Evidence) -> list[Judged]:
    """Whether the small payloads came back as they were sent."""
    judged = []
    expected = "inputs and outputs as they were sent"
    for role in ("root", "child"):
        run = evidence.run(role)
        if run is None or run.complete_after is None:
            continue
        rule = f"payload_{role}"
        if _small_equal(run):
            observed = "inputs and outputs are equal by SHA-256"
            judged.append(passed(rule, "clickhouse-read", run.run_id, observed, expected))
            continue
        answer = evidence.get(f"fetch_{role}")
        failed = answer is not None and not answer.succeeded
        seen = answer.describe() if failed and answer is not None else _differences(run)
        found = lagging(evidence) or _fetched_late(answer, run) or _listed(evidence, run)
        judged.append(wrong(rule, found, evidence.place, run.run_id, seen, expected))
    return judged


def _listed(evidence: Evidence, run: SentRun) -> Blame:
    command = commands.stored(evidence.place, run.run_id)
    return Blame(UNKNOWN, command=command, why="the run itself is listed")


def _fetched_late(answer: Observed | None, run: SentRun) -> Blame | None:
    """Replica lag where the run is not there by its id, though a query found it before."""
    if answer is None or answer.status != 404:
        return None
    return Blame("replica-lag", f"a query found it {run.complete_after or 0:.1f} s after it was accepted")


def blob(evidence: Evidence) -> list[Judged]:
    """Whether a large input and an attachment came back, which travel through blob storage."""
    run = evidence.run("large")
    if run is None:
        return _untested(evidence)
    if run.complete_after is None:
        return []
    expected = "large input and attachment as they were sent"
    if all(found == sent for _name, sent, found in _payloads(run)):
        observed = "large input, outputs and attachment are equal by SHA-256"
        return [passed("blob", "blob-read", run.run_id, observed, expected)]
    failed = _failed_read(evidence)
    seen = failed.describe() if failed is not None else _differences(run)
    return [wrong("blob", _blob_fault(evidence, run, failed), evidence.place, run.run_id, seen, expected)]


def _failed_read(evidence: Evidence) -> Observed | None:
    answers = (evidence.get(stage) for stage in ("download_attachment", "download_inputs", "fetch_large"))
    return next((answer for answer in answers if answer is not None and not answer.succeeded), None)


def _blob_fault(evidence: Evidence, run: SentRun, failed: Observed | None) -> Blame:
    """Reading where the run says where the object is and it cannot be had, writing where there is none."""
    small = [found for found in (evidence.run("root"), evidence.run("child")) if found is not None]
    if not small or not all(found.complete_after is not None and _small_equal(found) for found in small):
        return Blame(UNKNOWN, why="the small payloads are not as they were sent either")
    witness = "the small trace came back as it was sent"
    if failed is not None and failed.stage == "fetch_large":
        return lagging(evidence) or _fetched_late(failed, run) or Blame(UNKNOWN)
    if failed is None or failed.status == 404:
        return Blame("blob-write", witness)
    if failed.phase == "address":
        return Blame("blob-read", witness, _NO_ADDRESS)
    if failed.status is None and not _from_here(failed, evidence):
        return Blame(UNKNOWN, witness, _WAY_TO_THE_BUCKET, commands.reaches(_address(failed)))
    return Blame("blob-read", witness, _FORBIDDEN if failed.status == 403 else "")


_WAY_TO_THE_BUCKET = (
    "the trace leads to an address of the bucket that this machine gets no answer from, so nothing is known of the "
    "object: see whether the bucket can be reached from here at all (private endpoint, DNS, proxy)"
)
_NO_ADDRESS = (
    "backend makes the addresses of payloads of the blob storage's own: see config.blobStorage.apiURL and bucketName "
    "in the chart's values"
)
_FORBIDDEN = (
    "either what was stored may not be read (s3:GetObject on the bucket, kms:Decrypt on its key, for the roles of "
    "backend and platform-backend, or a policy of the bucket that lets no one read from here), or it is not there: S3 "
    "says 403 for that too where the role may not list the bucket (s3:ListBucket)"
)


def _address(answer: Observed) -> str:
    return answer.request.partition(" ")[2]


def _from_here(answer: Observed, evidence: Evidence) -> bool:
    """Whether a payload was asked of the installation itself, which then reads it from the bucket."""
    return urlsplit(_address(answer)).hostname == evidence.place.host


def cleanup(evidence: Evidence) -> list[Judged]:
    """Whether what the probe wrote was taken away."""
    answers = [answer for answer in evidence.answers if answer.stage == "cleanup"]
    if not answers:
        return []
    expected = "status 200"
    answer = next((answer for answer in answers if not answer.succeeded), answers[-1])
    if answer.succeeded and evidence.unsettled:
        traces, place = ", ".join(evidence.unsettled), evidence.place
        found = Blame(UNKNOWN, advice=_MAY_ARRIVE, command=commands.stored(place, evidence.unsettled[0]))
        observed = f"{answer.describe()}; not all of these traces had come by then, and they may still arrive: {traces}"
        expected = "every trace has come before it is removed"
        return [wrong("cleanup", found, place, answer.request, observed, expected, status="warn")]
    if answer.succeeded:
        return [answered("cleanup", "backend", answer, expected)]
    advice = "delete what is left, the probe's project, trace or feedback, by hand in the web page"
    found = blame(evidence, "backend", "read", advice=advice)
    return [wrong("cleanup", found, evidence.place, answer.request, answer.describe(), expected, status="warn")]


_MAY_ARRIVE = (
    "what the queue still holds is written after the removal, when the workers come to it: once the fault is mended, "
    "look for these traces in the project and delete them there"
)


def _untested(evidence: Evidence) -> list[Judged]:
    if evidence.blob_enabled or not evidence.ok("post_small"):
        return []
    told = "does not say whether blob storage is on" if evidence.blob_enabled is None else "says that it is off"
    advice = "set config.blobStorage.enabled=true with an S3 bucket; only short-lived development does without"
    found = blame(evidence, "blob-write", "info", advice=advice)
    observed = f"/info {told}, so no large payload was sent"
    place, expected = evidence.place, "blob_storage_enabled"
    return [wrong("blob", found, place, place.url, observed, expected, status="warn", source=BLOB_SOURCE)]


def _small_equal(run: SentRun) -> bool:
    return all(found == sent for _name, sent, found in _payloads(run))


def _payloads(run: SentRun) -> list[tuple[str, str, str | None]]:
    pairs = [("inputs", run.inputs_hash, run.found_inputs), ("outputs", run.outputs_hash, run.found_outputs)]
    if run.attachment_hash:
        pairs.append(("attachment", run.attachment_hash, run.found_attachment))
    return pairs


def _differences(run: SentRun) -> str:
    words = {None: "could not be read", "": "missing"}
    wrong = [f"{name} {words.get(found, 'differ')}" for name, sent, found in _payloads(run) if found != sent]
    return "; ".join(wrong)
