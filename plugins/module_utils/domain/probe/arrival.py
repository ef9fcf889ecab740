# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules on the way from the queue into ClickHouse: what arrived, how late, and who kept the rest."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from ansible_collections.langsmith.aws.plugins.module_utils.domain.answers import Observed
from ansible_collections.langsmith.aws.plugins.module_utils.domain.probe import commands, thresholds
from ansible_collections.langsmith.aws.plugins.module_utils.domain.probe.evidence import (
    Evidence,
    SentRun,
    is_lost,
    stage_passed,
)
from ansible_collections.langsmith.aws.plugins.module_utils.domain.probe.layers import (
    UNKNOWN,
    Blame,
    Judged,
    blame,
    passed,
    wrong,
)
from ansible_collections.langsmith.aws.plugins.module_utils.domain.probe.queue import (
    counters,
    has_passed,
    queue_trend,
    slow_part,
    slow_storing,
    stored_meanwhile,
)
from ansible_collections.langsmith.aws.plugins.module_utils.domain.probe.reach import dropped, gateway, refused

#: Below this share of free disk ClickHouse refuses new parts, as it reserves their room before it writes them.
FULL_DISK_PCT = 1.0


def stored(evidence: Evidence) -> list[Judged]:
    """Whether the traces became readable, and every run of them complete."""
    if evidence.get("read") is None:
        return []
    judged = []
    for run in evidence.runs:
        # Whether the child came along has a rule of its own.
        judged += [_visible(evidence, run)] if run.role != "child" else []
        judged += _complete(evidence, run)
    return judged


def _visible(evidence: Evidence, run: SentRun) -> Judged:
    rule = "visible" if run.role == "root" else "visible_large"
    limit = evidence.thresholds["visible"]
    expected = f"readable within {limit:g} s"
    if run.visible_after is None:
        observed = f"not readable {evidence.waited:.0f} s after it was accepted"
        return wrong(rule, _kept(evidence, run), evidence.place, run.run_id, observed, expected)
    observed = f"readable {_after(run.visible_after, run.visible_gap)}"
    if run.visible_after - run.visible_gap <= limit:
        return passed(rule, "ingest-workers", run.run_id, observed, expected)
    source = thresholds.source("visible", limit)
    found = _late(evidence, run)
    return wrong(rule, found, evidence.place, run.run_id, observed, expected, status="warn", source=source)


def _after(seconds: float, gap: float) -> str:
    """When a poll showed a run, and since when it may have been there."""
    if gap < 0.05:
        return f"after {seconds:.1f} s"
    return f"after {seconds - gap:.1f} to {seconds:.1f} s, as no poll told in between"


def _complete(evidence: Evidence, run: SentRun) -> list[Judged]:
    patch = evidence.get("patch_large" if run.role == "large" else "patch_small")
    # A patch that was refused has its own finding; a second one would blame the queue for what never reached it.
    if run.visible_after is None or patch is None or not patch.succeeded:
        return []
    rule = "complete" if run.role == "root" else f"complete_{run.role}"
    expected = "status success"
    if run.complete_after is not None:
        observed = f"status success after {run.complete_after:.1f} s"
        return [passed(rule, "ingest-workers", run.run_id, observed, expected)]
    observed = f"status {run.status or 'none'} {evidence.waited:.0f} s after its patch was accepted"
    return [wrong(rule, _unpatched(evidence, run), evidence.place, run.run_id, observed, expected)]


def child(evidence: Evidence) -> list[Judged]:
    """Whether the child came along, and every query says so, in the time that a trace has to become readable."""
    found, root, place = evidence.run("child"), evidence.run("root"), evidence.place
    if found is None or root is None or root.visible_least is None:
        return []
    failed = evidence.get("children")
    if failed is not None:
        return [_failed_query(evidence, failed, found)]
    if not evidence.children:
        return []
    counts, limit = ", ".join(str(count) for count in evidence.children), evidence.thresholds["visible"]
    observed = f"children found by {len(evidence.children)} queries: {counts}"
    if evidence.missing_until:
        observed += f"; until {evidence.missing_until:.1f} s after they were accepted, queries missed runs of before"
    expected = f"1 each time, after {limit:g} s at most"
    if found.visible_after is None:
        observed += "; no poll found it by its id"
    if set(evidence.children) != {1} or found.visible_after is None:
        lost = "the root arrived and its child did not, though sent together"
        lag = lagging(evidence) or Blame(UNKNOWN, command=commands.stored(place, found.run_id), why=lost)
        return [wrong("child", lag, place, found.run_id, observed, expected)]
    source = thresholds.source("visible", limit)
    if evidence.missing_until > limit:
        return [wrong("child", _LAG, place, found.run_id, observed, expected, status="warn", source=source)]
    if root.visible_least <= limit < found.visible_after - found.visible_gap:
        observed += f"; readable {_after(found.visible_after, found.visible_gap)}"
        late = _late(evidence, found)
        return [wrong("child", late, place, found.run_id, observed, expected, status="warn", source=source)]
    return [passed("child", "replica-lag", found.run_id, observed, expected)]


def _failed_query(evidence: Evidence, failed: Observed, found: SentRun) -> Judged:
    # The poll before it was answered, so reads fail now and then, or a pod that serves them was lost.
    reads = is_lost(failed) and failed.status is not None
    who = blame(evidence, "clickhouse-read", "read") if reads else Blame(UNKNOWN)
    return wrong("child", who, evidence.place, found.run_id, failed.describe(), "an answer to every query of children")


_LAG = Blame("replica-lag", "the same run is found by other queries of the same kind")


def lagging(evidence: Evidence) -> Blame | None:
    """Replicas that differ, where one query found what another did not; ``None`` where all said the same."""
    return _LAG if len(set(evidence.children)) > 1 else None


def polls(evidence: Evidence) -> list[Judged]:
    """A warning where some polls failed beside others that were answered."""
    failed = [answer for answer in evidence.answers if answer.stage == "read" and not stage_passed(answer)]
    asked = len(evidence.polls)
    told = asked - evidence.failed_polls
    if not failed or not told:
        # Where none was answered no run was found, which has findings of its own.
        return []
    first, place = failed[0], evidence.place
    found = replace(_now_and_then(first, evidence), witness=f"{told} of {asked} polls were answered")
    observed = f"{evidence.failed_polls} of {asked} polls failed, the first so: {first.describe()}"
    return [wrong("read", found, place, first.request, observed, "an answer to every poll", status="warn")]


def _now_and_then(answer: Observed, evidence: Evidence) -> Blame:
    """Who is to blame for a query that failed beside others of its kind that were answered."""
    nobody = Blame(UNKNOWN, advice="its log may say why", command=evidence.place.logs("backend"))
    if answer.status is None:
        return nobody
    if is_lost(answer):
        return Blame("clickhouse-read")
    # Others had the same key, so only a limit is told by who refuses.
    found = refused(answer, evidence) if answer.status == 429 else gateway(answer, evidence)
    return found or dropped(answer, evidence) or nobody


def queue_delay(evidence: Evidence) -> list[Judged]:
    """Received to inserted by the servers' clocks, or the bound that the probe's own clock gives."""
    run = evidence.run("root")
    if run is None or run.visible_after is None:
        return []
    measured = evidence.measured_delay(run)
    delay = run.visible_after if measured is None else measured
    least = run.visible_after - run.visible_gap if measured is None else measured
    how = f"at most, by the first poll that saw it; {_untold(run)}" if measured is None else "measured"
    limit = evidence.thresholds["queue_delay"]
    observed, expected, source = f"{delay:.1f} s ({how})", f"under {limit:g} s", thresholds.source("queue_delay", limit)
    if least < limit:
        return [passed("queue_delay", "ingest-workers", run.run_id, observed, expected, source)]
    place = evidence.place
    if measured is None:
        why = "whether it was stored late or read late is not told"
        found = Blame(UNKNOWN, command=commands.stored(place, run.run_id), why=why)
        return [wrong("queue_delay", found, place, run.run_id, observed, expected, status="unknown", source=source)]
    found = slow_part(evidence, measured, limit) or _slow_unseen(evidence)
    return [wrong("queue_delay", found, place, run.run_id, observed, expected, source=source)]


def _untold(run: SentRun) -> str:
    """Why the servers' clocks do not measure a delay."""
    told = run.told_delay
    if told is None:
        return "the server tells no inserted_at"
    return f"by the servers' clocks it was {told:.1f} s, which cannot be, so they differ"


def _slow_unseen(evidence: Evidence) -> Blame:
    why = "whether it waited for a worker, or the worker for ClickHouse, only the workers' own times tell"
    return Blame(UNKNOWN, command=commands.worker_times(evidence.place), why=why)


def _late(evidence: Evidence, run: SentRun) -> Blame:
    """Who is slow where a run became readable, but late: the server's own clocks say on which side of ClickHouse."""
    place, delay, late = evidence.place, evidence.measured_delay(run), run.visible_least or 0.0
    if delay is not None and delay > late / 2:
        return slow_part(evidence, delay, evidence.thresholds["visible"]) or _slow_unseen(evidence)
    if evidence.polls and min(evidence.polls) > evidence.thresholds["read"]:
        return blame(evidence, "clickhouse-read", "post_small")
    if delay is None:
        return Blame(UNKNOWN, command=commands.stored(place, run.run_id), why=_untold(run))
    # The time of an insertion is that of its begin.
    slow = slow_storing(evidence, evidence.thresholds["visible"])
    if slow:
        return slow
    why = (
        f"by the server's clocks it was inserted after {delay:.1f} s, so either ClickHouse is slow to write what it "
        "took, or the replica that was asked is behind"
    )
    return Blame(UNKNOWN, command=commands.replicas(place), why=why)


def _kept(evidence: Evidence, run: SentRun) -> Blame:
    """Who kept a run that was accepted and never appeared: the first rule that knows."""
    return next((found for rule in _KEPT if (found := rule(evidence, run))), _nobody(evidence, run))


def _unpatched(evidence: Evidence, run: SentRun) -> Blame:
    """Who kept the patch of a run that appeared."""
    return next((found for rule in _UNPATCHED if (found := rule(evidence, run))), _nobody(evidence, run))


def _nobody(evidence: Evidence, run: SentRun) -> Blame:
    """What is known, and the command that decides what is open."""
    place, told = evidence.place, counters(evidence)
    small = _small(evidence, run)
    if small and queue_trend(evidence) in ("", "unclear"):
        advice = (
            "blob-write where the log tells of the bucket, redis where nothing waits and nothing is tried again: the "
            "workers' log, then the queue's counters"
        )
        command = f"{commands.worker_log(place, run.run_id)}; {commands.queue(place)}"
        return Blame(UNKNOWN, small, advice, command, f"queue: {told}" if told else _unread(evidence))
    if not told:
        return Blame(UNKNOWN, command=commands.queue(place), why=_unread(evidence))
    if queue_trend(evidence) == "growing" and stored_meanwhile(evidence) is None:
        slow = _slow_unseen(evidence)
        return replace(slow, why=f"queue: {told}; {slow.why}")
    if run.visible_after is not None or stored_meanwhile(evidence) == 0:
        return Blame(UNKNOWN, command=commands.worker_log(place, run.run_id), why=f"queue: {told}")
    why = f"queue: {told}; a row in ClickHouse means that reading is at fault, none that it was lost or waits before it"
    return Blame(UNKNOWN, command=commands.stored(place, run.run_id), why=why)


def _unread(evidence: Evidence) -> str:
    reasons = [sample.reason for sample in evidence.queue if sample.reason]
    counted = reasons[-1] if reasons else "the queue's counters were not read"
    return "; ".join(filter(None, [counted, evidence.cluster_reason or evidence.pods("ingest-queue")]))


def _reads_died(evidence: Evidence, _run: SentRun) -> Blame | None:
    after = evidence.get("control_read_after")
    if after is None or evidence.ok("control_read_after"):
        return None
    found = refused(after, evidence) or gateway(after, evidence) or dropped(after, evidence)
    if found is None:
        found = blame(evidence, "clickhouse-read", "auth_after") if is_lost(after) else Blame(UNKNOWN)
    why = f"the control read that worked before fails now ({after.describe()})"
    return replace(found, why="; ".join(filter(None, [why, found.why])))


def _disk_is_full(evidence: Evidence, _run: SentRun) -> Blame | None:
    free = evidence.free_disk_pct
    if free is None or free >= FULL_DISK_PCT:
        return None
    found = blame(evidence, "clickhouse-write", "control_read_after")
    return Blame(found.layer, found.witness, why=f"ClickHouse has {free:.1f} % of its disk free")


def _small(evidence: Evidence, run: SentRun) -> str:
    """What a large run that never appeared has beside it: a small one that is complete. Empty for any other."""
    root = evidence.run("root")
    if run.role != "large" or run.visible_after is not None or root is None or root.complete_after is None:
        return ""
    return f"the small trace of the same moment is complete after {root.complete_after:.1f} s"


def _payload_stuck(evidence: Evidence, run: SentRun) -> Blame | None:
    # What cannot be stored is tried again or not let go; what nobody has in hand was lost, or waits for a worker.
    small = _small(evidence, run)
    if not small or queue_trend(evidence) not in ("retrying", "held"):
        return None
    return Blame("blob-write", small, why=f"queue: {counters(evidence)}")


def _queue_tells(evidence: Evidence, _run: SentRun) -> Blame | None:
    trend = queue_trend(evidence)
    if trend in ("", "growing", "unclear") or (trend == "empty" and not evidence.ok("control_read_after")):
        return None
    told = counters(evidence)
    if trend == "stuck":
        return Blame("ingest-workers", _reads_work(evidence), why=_and_pods(evidence, told))
    if trend == "draining":
        return None if has_passed(evidence) else slow_part(evidence, evidence.waited, evidence.thresholds["visible"])
    if trend in ("retrying", "held"):
        return Blame("clickhouse-write", f"the workers take what waits: {told}")
    return _gone(evidence, told)


def _gone(evidence: Evidence, told: str) -> Blame | None:
    again = evidence.get("repeat_after")
    if again is not None and again.succeeded:
        return Blame("redis", _reads_work(evidence), why=f"its record in Redis is gone, as is the task ({told})")
    return None


def _patch_lost(evidence: Evidence, run: SentRun) -> Blame | None:
    # What waits, is tried again or has nobody to take it up is not lost.
    other = next((one for one in evidence.runs if one.role != run.role and one.complete_after is not None), None)
    arrived, trend = f"the run's posts arrived after {run.visible_after:.1f} s", queue_trend(evidence)
    if trend == "empty":
        return Blame("lost-patch", f"{arrived}, and nothing waits any more: {counters(evidence)}")
    if other is None or trend or evidence.is_down("ingest-queue"):
        return None
    return Blame("lost-patch", f"{arrived}, and the patch of the {other.role} run too")


def _workers_down(evidence: Evidence, _run: SentRun) -> Blame | None:
    if not evidence.is_down("ingest-queue") or not evidence.ok("control_read_after"):
        return None
    return Blame("ingest-workers", _reads_work(evidence), why=evidence.pods("ingest-queue"))


def _reads_work(evidence: Evidence) -> str:
    answer = evidence.get("control_read_after") or evidence.get("control_read")
    return answer.describe() if answer else ""


def _and_pods(evidence: Evidence, told: str) -> str:
    return "; ".join(filter(None, [f"queue: {told}", evidence.pods("ingest-queue")]))


#: In the order of trust: an answer of the API, the queue's counters, the pods.
_KEPT: tuple[Callable[[Evidence, SentRun], Blame | None], ...] = (
    _reads_died,
    _payload_stuck,
    _disk_is_full,
    _queue_tells,
    _workers_down,
)

_UNPATCHED: tuple[Callable[[Evidence, SentRun], Blame | None], ...] = (
    _reads_died,
    _disk_is_full,
    _queue_tells,
    _patch_lost,
    _workers_down,
)
