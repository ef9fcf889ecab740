# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a load says of an installation: findings, figures and charts."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ansible_collections.langsmith.aws.plugins.module_utils.domain import load_class
from ansible_collections.langsmith.aws.plugins.module_utils.domain.finding import Finding, Status
from ansible_collections.langsmith.aws.plugins.module_utils.domain.load import capacity
from ansible_collections.langsmith.aws.plugins.module_utils.domain.load.measured import Measured
from ansible_collections.langsmith.aws.plugins.module_utils.domain.load.options import Settings

_ALARM = "PROD_CHECKLIST: p95 from received to inserted above 60 s"
_COARSE = "reading was too slow to tell: see why queries for runs take so long, and run the load again"


class _Case:
    """A measurement beside what was to be sent, as the rules read it."""

    def __init__(self, load: Settings, measured: Measured, url: str) -> None:
        self.load = load
        self.measured = measured
        self.url = url
        # Each rate of a search is judged for itself, and what was cut off says so by a finding of its own.
        judged = not load.find_capacity and not measured.interrupted
        #: Why the load did not leave as it was to; what is well is no pass then.
        self.short = capacity.shortfall(measured) if judged else ""
        #: Whether the installation is the reason.
        self.is_slow = bool(self.short) and not capacity.is_apart(measured) and not capacity.is_busy(measured)

    def finding(
        self, rule: str, status: Status, observed: str, expected: str, remedy: str = "", source: str = ""
    ) -> Finding:
        return Finding(f"load.{rule}", status, "langsmith", self.url, observed, expected, remedy, source)


def judge(load: Settings, measured: Measured, url: str) -> list[Finding]:
    """A finding for each rule that has something to say."""
    case = _Case(load, measured, url)
    return [finding for rule in _RULES for finding in rule(case)]


def _accepted(case: _Case) -> list[Finding]:
    found = case.measured
    expected = "every run is accepted by status 2xx"
    counts = [f"{count} by status {status}" for status, count in found.refused.items()]
    counts += [f"{count} without an answer ({reason})" for reason, count in found.unanswered.items()]
    if not counts and found.sent:
        return [_accepted_all(case, expected)]
    if case.load.find_capacity and found.steps:
        # The finding on the capacity tells which rates were refused: to look for it is to go beyond it.
        return []
    if not found.sent:
        remedy = "see load.interrupted and the other findings for why, then run it again"
        return [case.finding("accepted", "unknown", "nothing was sent", expected, remedy)]
    observed = f"of {found.sent} runs {found.accepted} were accepted, refused: {', '.join(counts)}"
    if found.problems:
        observed += f". First: {found.problems[0]}"
    return [case.finding("accepted", "fail", observed, expected, _refusal_remedy(found))]


def _accepted_all(case: _Case, expected: str) -> Finding:
    found, due = case.measured, case.measured.traces + case.measured.unsent_traces
    observed = f"{found.accepted} of {found.sent} runs"
    if not case.short:
        return case.finding("accepted", "pass", observed, expected)
    observed += f", {found.traces} of the {due} traces that were due: {case.short}"
    status: Status = "fail" if case.is_slow else "unknown"
    return case.finding("accepted", status, observed, expected, "see the findings on the sender and its shares")


def _refusal_remedy(found: Measured) -> str:
    statuses = set(found.refused)
    if "429" in statuses:
        return "a quota or a rate limit turned runs away: raise it, or send less"
    if "413" in statuses:
        return "a proxy refuses requests of this size: raise its body limit to 25 MB or load with smaller payloads"
    if statuses & {"401", "403"}:
        return "the key, or a firewall for this many requests, turned runs away: see the answer's text"
    if any(status.startswith("5") for status in statuses) or found.unanswered:
        return (
            "platform-backend, or Redis behind it, did not keep up: raise the replicas of frontend and platformBackend,"
            " look at Redis' memory, and look for the highest rate that holds by find_capacity"
        )
    return "see the answer's text in problems"


def _accounted(case: _Case) -> list[Finding]:
    found = case.measured
    expected = f"accepted = visible within {case.load.drain_timeout:g} s after the last one was sent, by id"
    sums = f"{found.accepted} accepted = {found.visible} visible + {found.lost} missing"
    if not found.complete:
        observed = f"not every id could be looked up: {sums}"
        remedy = (
            "the books are not closed: see load.interrupted, then run it again"
            if found.interrupted
            else "reading had no answer for some ids until twice drain_timeout was over: see the answers of reading in"
            " problems, raise drain_timeout where they only come too slowly, and run it again"
        )
        return [case.finding("lost", "unknown", observed, expected, remedy)]
    if not found.lost:
        return [case.finding("lost", "pass", f"{sums}, each looked up by its id", expected)]
    if found.certain:
        observed = f"{sums}; nothing is queued any more, so they are lost. First: {', '.join(found.lost_ids[:3])}"
        remedy = (
            "runs that were accepted are gone: look at the log of ingest-queue for runs that expired or were dropped,"
            " at evictions in Redis (maxmemory-policy noeviction) and at REDIS_RUNS_EXPIRY_SECONDS against the backlog"
        )
    else:
        observed = f"{sums} when the time was over; whether they are lost or late is not known"
        remedy = (
            "raise drain_timeout, and let the queue be looked at (kubeconfig): one that still holds tasks is a backlog,"
            " an empty one means that they are lost"
        )
    return [case.finding("lost", "fail", observed, expected, remedy)]


def _duplicates(case: _Case) -> list[Finding]:
    found = case.measured
    expected = "every id is there once"
    if not found.complete:
        return []
    if not found.duplicates:
        return [case.finding("duplicates", "pass", f"no id of {found.visible} came twice", expected)]
    observed = f"{found.duplicates} rows too many. First: {', '.join(found.duplicate_ids[:3])}"
    remedy = "the same run lies in several shards or tables: look at how inserts reach ClickHouse's shards"
    return [case.finding("duplicates", "fail", observed, expected, remedy)]


def _stored_unaccepted(case: _Case) -> list[Finding]:
    found = case.measured
    if not found.stored_unaccepted:
        return []
    observed = f"{found.stored_unaccepted} runs can be read though their request was refused or had no answer"
    remedy = "requests time out or are cut after they were taken in: raise the load balancer's idle timeout"
    return [case.finding("unaccepted", "warn", observed, "what was not accepted is not stored", remedy)]


def _visible(case: _Case) -> list[Finding]:
    found, most = case.measured.latencies["visible"], case.load.visible_p95
    expected = f"p95 from due to visible is at most {most:g} s"
    p95, gone = found.percentile(95), capacity.missing(case.measured)
    if case.load.find_capacity or not case.measured.accepted:
        return []
    if not found.count and not gone:
        remedy = "send more traces, so that some can be watched"
        return [case.finding("visible", "unknown", "too few traces were watched", expected, remedy, _ALARM)]
    observed = _told(case.measured, p95, gone)
    if gone if p95 is None else capacity.is_late(case.measured, most):
        if p95 is not None and not capacity.is_late(case.measured, most, certain=True):
            return [case.finding("visible", "unknown", observed, expected, _COARSE, _ALARM)]
        remedy = (
            "traces are stored later than they come: see load.backlog; ClickHouse that inserts slowly, or too few"
            " replicas of ingestQueue, are the usual causes. clickhouse_sizing_check tells which"
        )
        return [case.finding("visible", "fail", observed, expected, remedy, _ALARM)]
    if p95 is None or case.short:
        observed = "; ".join(filter(None, (observed, case.short)))
        remedy = "see the findings on the sender and its shares: this holds for less than was to be sent"
        return [case.finding("visible", "unknown", observed, expected, remedy, _ALARM)]
    return [case.finding("visible", "pass", observed, expected, source=_ALARM)]


def _told(measured: Measured, p95: float | None, gone: int) -> str:
    """Percentiles of what was due, and of how many traces they are known."""
    known = {"p50": measured.latencies["visible"].percentile(50), "p95": p95}
    told = [f"{name} unknown" if value is None else f"{name} {value:.2f} s" for name, value in known.items()]
    if measured.resolution:
        told.append(f"at most {measured.resolution:.2f} s too high")
    told.append(f"{measured.watched} of {measured.accepted // measured.runs_per_trace} traces watched")
    if gone:
        told.append(f"about {gone} did not become visible")
    if measured.unsent_traces:
        told.append(f"{measured.unsent_traces} were not sent")
    return ", ".join(told)


def _backlog(case: _Case) -> list[Finding]:
    found, load = case.measured, case.load
    growth = capacity.growth_if_watched(found)
    if load.find_capacity or load.rate is None or growth is None:
        return []
    expected = f"the way to visible grows by at most {capacity.GROWTH_MOST:g} s per second of sending"
    pending = [sample.pending for sample in found.backlog if sample.pending is not None]
    most = f", at most {max(pending)} tasks were queued" if pending else ""
    drain = f", drained {found.drain:.1f} s after the end" if found.drain is not None else ""
    observed = f"it grew by {growth:.3f} s per second{most}{drain}"
    if growth <= capacity.GROWTH_MOST:
        return [] if case.short else [case.finding("backlog", "pass", observed, expected)]
    if not capacity.grows(found, certain=True):
        observed += f", of which reading may have added {found.growth_resolution:.3f} s"
        return [case.finding("backlog", "unknown", observed, expected, _COARSE)]
    stored = found.accepted / found.runs_per_trace / max(found.sending, 1e-9) / (1 + growth)
    remedy = (
        f"more came in than was stored, about {stored:.0f} traces/s: for longer than this load the backlog would grow "
        "without end. Raise ingestQueue's replicas unless ClickHouse is what is slow"
    )
    return [case.finding("backlog", "warn", observed, expected, remedy)]


def _sender(case: _Case) -> list[Finding]:
    found = case.measured
    late = found.latencies["late"]
    if (case.load.rate is None and not case.load.find_capacity) or not late.count:
        return []
    expected = f"the load leaves on time: p95 behind the schedule at most {capacity.LATE_MOST:g} s, nothing unsent"
    p95 = late.percentile(95)
    behind = "p95 unknown" if p95 is None else f"p95 {p95:.2f} s behind"
    used = f"{capacity.core(found):.0%} of a core used for sending"
    observed = f"{behind}, {found.unsent_traces} traces unsent, {used}"
    if p95 is not None and p95 <= capacity.LATE_MOST and not found.unsent_traces:
        return [case.finding("sender", "pass", observed, expected)]
    remedy = (
        "the sender is at its limit: share the load between machines (the Job of role verify)"
        if capacity.is_busy(found)
        else "all connections wait for answers: the installation accepts more slowly than is sent; raise"
        " load.connections to see whether it is the number of them"
    )
    status: Status = "warn"
    if case.short and not capacity.is_apart(found):
        status = "fail" if case.is_slow else "unknown"
    return [case.finding("sender", status, observed, expected, remedy)]


def _capacity(case: _Case) -> list[Finding]:
    if not case.load.find_capacity:
        return []
    steps = case.measured.steps
    rate, limit = capacity.capacity(steps), capacity.limit(steps)
    expected = f"the highest rate with visible p95 at most {case.load.visible_p95:g} s is found"
    tried = "; ".join(f"{step.rate:g}/s {'holds' if step.holds else 'does not'}: {step.reason}" for step in steps)
    if rate is None:
        remedy = "no rate held: probe the installation without a load first, or begin at a lower rate"
        return [case.finding("capacity", "unknown", tried or "no step was made", expected, remedy)]
    observed = f"{rate:g} traces/s ({load_class.carried_class(rate)} load). {tried}"
    if capacity.is_found(steps):
        return [case.finding("capacity", "pass", observed, expected, source=load_class.SOURCE)]
    more = "raise traces_max or steps_max, or begin with a rate near to it, to go on"
    if limit is not None:
        remedy = f"it lies between {rate:g} and {limit.rate:g} traces/s: {more}"
    elif any(step.sender for step in steps):
        remedy = "it is at least this, as the sender came to its limit: share the load between pods (role verify)"
    elif any(step.unsure for step in steps):
        remedy = f"it is at least this. Of a higher rate {_COARSE}"
    else:
        remedy = f"it is at least this: {more}"
    return [case.finding("capacity", "warn", observed, expected, remedy, load_class.SOURCE)]


def _shares(case: _Case) -> list[Finding]:
    found, of = case.measured, case.load.of
    if not found.merged:
        return []
    if found.shares != of:
        remedy = "what the others sent is in no figure: look at the logs of their pods, and run the load again"
        observed = f"{found.shares} of {of} shares reported"
        return [case.finding("shares", "fail", observed, "every share reports", remedy)]
    if case.load.find_capacity or not capacity.is_apart(found):
        return []
    expected = f"all begin within {capacity.APART_MOST:.0%} of the load's {found.duration:g} s"
    remedy = "see why some pods began later, an image that had to be pulled say, and run the load again, or for longer"
    return [case.finding("shares", "fail", capacity.shortfall(found), expected, remedy)]


def _ended(case: _Case) -> list[Finding]:
    found = case.measured
    findings = []
    if found.interrupted:
        remedy = "run it again; what had been sent is accounted for"
        findings.append(case.finding("interrupted", "unknown", found.interrupted, "the load runs to its end", remedy))
    left = [one["name"] for one in found.projects if one["kept"]]
    if left and not case.load.keep:
        remedy = "delete the projects by hand in the web page"
        findings.append(case.finding("cleanup", "warn", f"left: {', '.join(left)}", "the project is removed", remedy))
    removed = [one["name"] for one in found.projects if not one["kept"]]
    if removed and found.sent and not found.certain:
        observed = f"removed: {', '.join(removed)}, while runs may have been queued"
        expected = "nothing is queued when the project is removed"
        remedy = "traces may still arrive in a project by this name: look for it once the queue is empty, and delete it"
        findings.append(case.finding("cleanup", "warn", observed, expected, remedy))
    return findings


_RULES: Sequence[Callable[[_Case], list[Finding]]] = (
    _accepted,
    _accounted,
    _duplicates,
    _stored_unaccepted,
    _visible,
    _backlog,
    _sender,
    _capacity,
    _shares,
    _ended,
)
