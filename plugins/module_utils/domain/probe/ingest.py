# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules on the way into the queue: posts and patches are taken, and a second sending is known."""

from __future__ import annotations

from ansible_collections.langsmith.aws.plugins.module_utils.domain.answers import Observed
from ansible_collections.langsmith.aws.plugins.module_utils.domain.probe import commands
from ansible_collections.langsmith.aws.plugins.module_utils.domain.probe.evidence import Evidence, is_lost
from ansible_collections.langsmith.aws.plugins.module_utils.domain.probe.layers import (
    UNKNOWN,
    Blame,
    Judged,
    answered,
    blame,
    passed,
    wrong,
)
from ansible_collections.langsmith.aws.plugins.module_utils.domain.probe.reach import gateway, refused


def compression(evidence: Evidence) -> list[Judged]:
    """Whether a compressed body is taken, where one was sent; the same posts went plain where it was not."""
    expected = "status 202 for Content-Encoding zstd"
    answer = evidence.get("post_compressed")
    if answer is None:
        post = evidence.get("post_small")
        taken = post is not None and post.succeeded and evidence.encoding
        return [answered("compression", "platform-backend", post, expected)] if taken and post else []
    flag = {True: "/info says that it takes zstd", False: "/info says that it takes none", None: "/info does not tell"}
    advice = "Content-Encoding zstd is refused and the same posts are taken plain: set compression to none"
    found = gateway(answer, evidence) or blame(evidence, "platform-backend", "post_small", advice=advice)
    observed = f"{answer.describe()}; {flag[evidence.zstd_enabled]} (zstd_compression_enabled)"
    return [wrong("compression", found, evidence.place, answer.request, observed, expected)]


def accepted(evidence: Evidence) -> list[Judged]:
    """Whether the posts of both traces were taken, which means put into the queue."""
    return _taken(evidence, "post_small", "post_large")


def patched(evidence: Evidence) -> list[Judged]:
    """Whether the patches were taken, the other kind of write."""
    return _taken(evidence, "patch_small", "patch_large")


def repeated(evidence: Evidence) -> list[Judged]:
    """A second sending of the same posts is refused where the first is on record."""
    answer = evidence.get("repeat")
    if answer is None:
        return []
    expected = "status 409, since the first sending is on record"
    if answer.status == 409:
        return [answered("repeat", "redis", answer, expected)]
    forgotten = blame(evidence, "redis", "post_small", advice=_FORGOTTEN)
    found = forgotten if answer.succeeded else _refusal(answer, evidence)
    return [wrong("repeat", found, evidence.place, answer.request, answer.describe(), expected, status="warn")]


_FORGOTTEN = (
    "the record of the first sending is gone: see that Redis evicts nothing (maxmemory-policy noeviction, evicted_keys "
    "0) and that all pods of platform-backend use the same Redis"
)


def _taken(evidence: Evidence, *stages: str) -> list[Judged]:
    judged = []
    expected = "status 202"
    for stage in stages:
        answer = evidence.get(stage)
        if answer is None:
            continue
        if answer.succeeded:
            judged.append(answered(stage, "platform-backend", answer, expected))
            continue
        found = _refusal(answer, evidence)
        after = [evidence.get(name) for name in ("info_after", "redis_read", "me")]
        seen = "; after that ".join(entry.describe() for entry in (answer, *after) if entry is not None)
        judged.append(wrong(stage, found, evidence.place, answer.request, seen, expected))
    return judged


def _refusal(answer: Observed, evidence: Evidence) -> Blame:
    """Who is to blame for an ingestion that was not taken."""
    found = gateway(answer, evidence)
    if found is not None:
        return found
    if answer.status in (401, 403):
        return blame(evidence, "auth", "auth", advice="the key reads and may not send runs: make one that may")
    if answer.status in (400, 404, 405, 415, 422):
        return blame(evidence, "version", "auth")
    found = refused(answer, evidence)
    if found is not None:
        return found
    if answer.is_html and evidence.ok("info_after"):
        return Blame(UNKNOWN, why="a proxy lost the service behind it on this request alone")
    if not answer.is_html and not is_lost(answer):
        return Blame(UNKNOWN, advice="its log says why", command=evidence.place.logs("platform-backend"))
    if answer.stage == "post_large" and answer.status is None and not answer.timed_out:
        return Blame(UNKNOWN, why=_CUT_OFF, command=evidence.place.logs("frontend"), advice="its log says why")
    # Only a large post has more to store than a small one, and only a small write after it shows that the rest works.
    if answer.stage == "post_large" and evidence.ok("patch_small"):
        return blame(evidence, "blob-write", "patch_small")
    if not evidence.ok("info_after"):
        return blame(evidence, "platform-backend", "auth_after")
    return _queue(answer, evidence)


def _queue(answer: Observed, evidence: Evidence) -> Blame:
    """Redis or not, where platform-backend answers and cannot queue."""
    if not evidence.ok("auth_after"):
        return _store(evidence, "postgres", "auth_after", "redis_read", "store_health")
    told, written = evidence.get("redis_read"), evidence.get("backend_write")
    if told is None or not evidence.ok("redis_read"):
        return _store(evidence, "redis", "redis_read", "auth_after", "info_after")
    if evidence.ok("backend_write"):
        return blame(evidence, "platform-backend", "backend_write", advice=_ALONE)
    if written is not None and is_lost(written) and evidence.ok("me"):
        # Both services read what they need, and what both cannot do is to put a run into the queue.
        why = f"backend cannot queue a run either ({written.describe()})"
        return Blame("redis", told.describe(), _NO_WRITES, why=why)
    why = "backend reads Redis: either it takes no writes (memory), or platform-backend alone cannot use it"
    command = evidence.place.logs("platform-backend")
    return Blame(UNKNOWN, told.describe(), "its log names the store that fails", command, why)


def _store(evidence: Evidence, layer: str, asked: str, *neighbours: str) -> Blame:
    """The store that a question is answered from, where the application could not answer it."""
    failed = evidence.get(asked)
    return blame(evidence, layer, *neighbours) if failed is not None and is_lost(failed) else Blame(UNKNOWN)


_CUT_OFF = "the connection was ended under the large body, as a proxy does too that takes no body of its size"
_ALONE = (
    "backend puts runs into the same queue, so Redis takes them: compare platform-backend's own way to Redis with "
    "backend's (secret, user, security group)"
)
_NO_WRITES = (
    "Redis answers reads and takes no writes: see its memory (DatabaseMemoryUsagePercentage, maxmemory), and that the "
    "endpoint is the primary's and not a replica's"
)


def feedback(evidence: Evidence) -> list[Judged]:
    """Whether a feedback on the root run was taken and is listed, where that was asked for."""
    answer = evidence.get("feedback")
    if answer is None:
        return []
    if not answer.succeeded:
        found = refused(answer, evidence) or gateway(answer, evidence) or _backends_own(evidence)
        return [wrong("feedback", found, evidence.place, answer.request, answer.describe(), "status 200")]
    listed = evidence.get("feedback_listed")
    expected = "the feedback is listed"
    if listed is not None and evidence.feedback_after is not None:
        observed = f"listed after {evidence.feedback_after:.1f} s"
        return [passed("feedback", "ingest-workers", listed.request, observed, expected)]
    seen = listed.describe() if listed else answer.describe()
    if listed is not None and not evidence.ok("feedback_listed"):
        return [wrong("feedback", _backends_own(evidence), evidence.place, listed.request, seen, expected)]
    why = "runs arrive and feedback does not: see feedback_queue.pending"
    found = Blame(UNKNOWN, command=commands.queue(evidence.place), why=why)
    return [wrong("feedback", found, evidence.place, answer.request, seen, expected)]


def _backends_own(evidence: Evidence) -> Blame:
    """Nobody: runs went the same ways, so every store has been seen to work."""
    why = "runs are queued, stored and read meanwhile"
    return Blame(UNKNOWN, advice="its log names what fails", command=evidence.place.logs("backend"), why=why)
