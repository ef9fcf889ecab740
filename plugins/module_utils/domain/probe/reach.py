# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules on the way in: name, load balancer, services, key, project and control read."""

from __future__ import annotations

from ansible_collections.langsmith.aws.plugins.module_utils.domain.answers import Observed
from ansible_collections.langsmith.aws.plugins.module_utils.domain.probe.commands import reaches
from ansible_collections.langsmith.aws.plugins.module_utils.domain.probe.evidence import (
    Evidence,
    is_lost,
    stage_passed,
)
from ansible_collections.langsmith.aws.plugins.module_utils.domain.probe.layers import (
    UNKNOWN,
    Blame,
    Judged,
    answered,
    blame,
    command_of,
    passed,
    wrong,
)

#: Who signs its own answers by which name.
_PROXIES = {"nginx": "frontend", "awselb": "load-balancer"}
#: How long an Application Load Balancer waits for a connection to a target, by AWS's guide to its 504.
_CONNECT_SECONDS = 10
#: Who answers for a web ACL: the load balancer, or CloudFront before it.
_FIREWALLS = ("awselb", "CloudFront")
#: What the application answers to a request that it does not understand.
_NOT_UNDERSTOOD = (400, 404, 405, 415, 422)
TRANSPORT_PHASES = ("dns", "tcp", "tls")


def transport(evidence: Evidence) -> list[Judged]:
    """Name, connection and certificate, by the first request."""
    first = evidence.get("front_door")
    if first is None:
        return []
    place = evidence.place
    if first.phase not in TRANSPORT_PHASES:
        expected = "name, connection and certificate hold"
        return [passed("transport", "load-balancer", place.url, f"connected to {place.address}", expected)]
    expected = {
        "dns": f"{place.host} resolves",
        "tcp": f"{place.address} takes connections",
        "tls": f"a certificate that is valid for {place.host} and trusted here",
    }[first.phase]
    found = _only_by_proxy(first, evidence) or unreached(first, evidence)
    return [wrong(first.phase, found, place, place.url, first.reason, expected)]


def _only_by_proxy(answer: Observed, evidence: Evidence) -> Blame | None:
    """Nobody where the way from here may be through a proxy, which then alone may know the name and the address."""
    if answer.phase == "tls" or not evidence.unused_proxy:
        return None
    advice = (
        f"the environment names the proxy {evidence.unused_proxy} for this URL, and the probe uses none: run it where "
        "the load balancer is reached without one; curl, which asks the proxy, tells whether it is there"
    )
    return Blame(UNKNOWN, advice=advice, command=reaches(evidence.place.url))


def unreached(answer: Observed, evidence: Evidence) -> Blame:
    """Who is to blame where name, connection or handshake failed; the step before it is the witness."""
    place = evidence.place
    if answer.phase == "dns":
        return _unresolved(answer, evidence)
    if answer.phase == "tcp":
        resolves = f"{place.host} resolves"
        if "no way to" in answer.reason:
            # This machine said so itself, or a router next to it, before a packet came to anybody.
            return Blame(UNKNOWN, resolves, _NO_WAY, reaches(place.url))
        # A refusal comes from a machine that was reached; silence comes from a filter on the way.
        return Blame("security-group" if answer.timed_out else "load-balancer", resolves)
    if "certificate" in answer.reason or "unrecognized name" in answer.reason:
        return Blame("certificate", f"{place.address} takes connections")
    reached = f"{place.address} takes connections"
    if answer.timed_out:
        # A handshake that is refused is a listener's, one that hangs may be anybody's on the way.
        return Blame(UNKNOWN, reached, command=command_of("certificate", place))
    return Blame("load-balancer", reached)


def _unresolved(answer: Observed, evidence: Evidence) -> Blame:
    if "no resolver answered" in answer.reason:
        advice = "nobody says whether the name is there: see the resolver of this machine"
        return Blame(UNKNOWN, advice=advice, command=command_of("dns", evidence.place))
    return Blame("dns", "a resolver answers, and knows no address of this name")


_NO_WAY = (
    "this machine has no way to the address, whatever is there: see its own routes and firewall, and whether the name "
    "leads to an address of a kind (IPv4, IPv6) that it can use"
)


def front_door(evidence: Evidence) -> list[Judged]:
    """The frontend's own page, which says nothing about what stands behind it."""
    answer = evidence.get("front_door")
    if answer is None or answer.phase in TRANSPORT_PHASES:
        return []
    expected = "status 200"
    if stage_passed(answer):
        return [answered("front_door", "frontend", answer, expected)]
    if evidence.ok("info"):
        # /info came through the same frontend, so at most this one page is missing.
        found = blame(evidence, "frontend", "info", advice="only its health page is missing: see what answers there")
        return [wrong("front_door", found, evidence.place, answer.request, answer.describe(), expected, status="warn")]
    found = gateway(answer, evidence) or _behind_load_balancer(answer, evidence)
    return [wrong("front_door", found, evidence.place, answer.request, answer.describe(), expected)]


def info(evidence: Evidence) -> list[Judged]:
    """Version and flags, by platform-backend."""
    answer = evidence.get("info")
    if answer is None:
        return []
    expected = "status 200 and a JSON object that names the version"
    if stage_passed(answer) and evidence.version:
        observed = f"LangSmith {evidence.version}"
        return [passed("info", "platform-backend", answer.request, observed, expected)]
    found = refused(answer, evidence)
    if found is not None:
        # Only an installation with config.infoEndpointAuthRequired asks for a key here.
        return [wrong("info", found, evidence.place, answer.request, answer.describe(), expected)]
    return _service("info", "platform-backend", "backend", answer, evidence, expected)


def backend(evidence: Evidence) -> list[Judged]:
    """Whether backend, which serves the reads, is there."""
    answer = evidence.get("backend")
    if answer is None:
        return []
    expected = "status 200 and JSON"
    if answer.succeeded and answer.shape:
        return [answered("backend", "backend", answer, expected)]
    return _service("backend", "backend", "info", answer, evidence, expected)


def _service(
    rule: str, service: str, sibling: str, answer: Observed, evidence: Evidence, expected: str
) -> list[Judged]:
    place = evidence.place
    found = gateway(answer, evidence)
    if found is None and (answer.succeeded or answer.status == 404):
        kind = "an HTML page" if answer.is_html else f"no such JSON ({answer.content_type or 'no content type'})"
        observed = f"{answer.request}: {answer.status}, but {kind}"
        return [wrong(rule, _no_such_path(answer, evidence, sibling), place, answer.request, observed, expected)]
    if found is None and not evidence.ok("front_door") and not evidence.ok(sibling):
        found = _behind_load_balancer(answer, evidence)
    if found is None:
        found = blame(evidence, service, sibling)
    if found.layer == UNKNOWN and evidence.is_down(service):
        found = blame(evidence, service, "front_door")
    seen = "; ".join(part for part in (answer.describe(), evidence.pods(service)) if part)
    return [wrong(rule, found, place, answer.request, seen, expected)]


def _no_such_path(answer: Observed, evidence: Evidence, sibling: str) -> Blame:
    """Who is to blame where an API's path is a page or not there: the URL, unless another path below it is right."""
    other = evidence.get(sibling)
    if answer.succeeded or other is None or not (other.succeeded and other.shape):
        return blame(evidence, "endpoint", "front_door")
    if not answer.is_html:
        return blame(evidence, "version", sibling)
    why = "a proxy knows no way for this path, and one for its neighbour"
    command = evidence.place.kubectl("describe ingress")
    return Blame(UNKNOWN, other.describe(), "see where the Ingress and the frontend send this path", command, why)


def inside(evidence: Evidence) -> list[Judged]:
    """Whether the cluster tells what it was asked, where it was asked."""
    told = next((sample for sample in reversed(evidence.queue)), None)
    if told is None and not evidence.workloads and not evidence.cluster_reason:
        return []
    place = evidence.place
    subject, expected = f"namespace {place.namespace}, release {place.release}", "the pods and the queue's counters"
    reasons = [evidence.cluster_reason, told.reason if told is not None else ""]
    if any(reasons):
        advice = "without them a layer behind the queue stays unknown"
        command = place.kubectl("auth can-i --list")
        missing = Blame(UNKNOWN, advice=advice, command=command)
        observed = "; ".join(dict.fromkeys(filter(None, reasons)))
        return [wrong("inside", missing, place, subject, observed, expected, status="warn")]
    observed = "; ".join(workload.describe(name) for name, workload in sorted(evidence.workloads.items()))
    return [passed("inside", "ingest-workers", subject, observed or "the queue's counters", expected)]


def auth(evidence: Evidence) -> list[Judged]:
    """Key and workspace, which are looked up in Postgres."""
    answer = evidence.get("auth")
    if answer is None:
        return []
    expected = "status 200 and an array of projects"
    if stage_passed(answer):
        return [answered("auth", "auth", answer, expected)]
    found = _elsewhere(answer, evidence) or _postgres(evidence)
    return [wrong("auth", found, evidence.place, answer.request, answer.describe(), expected)]


def project(evidence: Evidence) -> list[Judged]:
    """Making a project, which is a write to Postgres."""
    answer = evidence.get("project")
    if answer is None:
        return []
    expected = "status 200, or 409 for a project that is there"
    if stage_passed(answer) or answer.status == 409:
        return [answered("project", "postgres", answer, expected)]
    found = gateway(answer, evidence)
    if answer.status in (401, 403) and found is None:
        found = blame(evidence, "auth", "auth", advice="the key reads and may not write: make one that may")
    found = found or _elsewhere(answer, evidence) or blame(evidence, "postgres", "auth")
    return [wrong("project", found, evidence.place, answer.request, answer.describe(), expected)]


def control_read(evidence: Evidence) -> list[Judged]:
    """A query of runs before anything was sent, which reads ClickHouse."""
    answer = evidence.get("control_read")
    if answer is None:
        return []
    expected = "status 200 and a list of runs, empty or not"
    if stage_passed(answer):
        return [answered("control_read", "clickhouse-read", answer, expected)]
    found = _elsewhere(answer, evidence) or blame(evidence, "clickhouse-read", "auth_after")
    health = evidence.get("store_health")
    seen = f"{answer.describe()}; {health.describe()}" if health else answer.describe()
    return [wrong("control_read", found, evidence.place, answer.request, seen, expected)]


def _elsewhere(answer: Observed, evidence: Evidence) -> Blame | None:
    """Who is to blame for an answer that no store has a part in; ``None`` where the application failed or is silent."""
    found = refused(answer, evidence) or gateway(answer, evidence) or dropped(answer, evidence)
    if found is not None or is_lost(answer):
        return found
    if answer.succeeded:
        return blame(evidence, "endpoint", "info", "backend")
    if answer.status in _NOT_UNDERSTOOD and not answer.is_html:
        return blame(evidence, "version", "auth", "info")
    why = "a store that fails is answered by 5xx, or not at all"
    return Blame(UNKNOWN, advice="its log says why", command=evidence.place.logs("backend"), why=why)


def dropped(answer: Observed, evidence: Evidence) -> Blame | None:
    """Who is to blame for a proxy's page that tells of a service behind it; ``None`` for every other answer."""
    if not answer.is_server_error or not answer.is_html:
        return None
    if evidence.is_down("backend"):
        return Blame("backend", f"{answer.server or 'a proxy'} answers in its place", why=evidence.pods("backend"))
    why = "a proxy lost the service behind it, which answers other questions"
    return Blame(UNKNOWN, advice="its log says why", command=evidence.place.logs("backend"), why=why)


def refused(answer: Observed, evidence: Evidence) -> Blame | None:
    """Who refuses the caller, where the answer is such a refusal and comes from the application."""
    if answer.is_html or answer.status not in (401, 403, 429) or answer.server.startswith("awselb"):
        return None
    if answer.status == 429:
        return blame(evidence, "quota", "info", "backend")
    if evidence.ok("auth_without_workspace"):
        return blame(evidence, "workspace", "auth_without_workspace")
    if "org_scoped_key_requires_workspace" in answer.head:
        advice = "the key belongs to the organization: name the workspace by workspace_id"
        return blame(evidence, "workspace", "backend", "info", advice=advice)
    return blame(evidence, "auth", "backend", "info")


def gateway(answer: Observed, evidence: Evidence) -> Blame | None:
    """Who wrote a redirect, a refusal or a limit in front of the application; nobody where it is none of these."""
    if answer.status is None:
        return unreached(answer, evidence) if answer.phase in TRANSPORT_PHASES else None
    proxy = next((layer for name, layer in _PROXIES.items() if answer.server.startswith(name)), UNKNOWN)
    reached = f"{evidence.place.address} takes connections and answers"
    if answer.is_redirect:
        advice = f"use the URL that it redirects to ({answer.location or 'no Location given'})"
        return Blame(proxy, reached, advice, f"curl -I {evidence.place.url}/api/v1/info")
    if answer.status == 403 and (answer.is_html or answer.server.startswith("awselb")):
        return _forbidden(answer, proxy, reached)
    if answer.status == 413:
        advice = "a limit of the body's size is in the way: raise it (the frontend's own is 25 MB)"
        smaller = blame(evidence, proxy, "post_small", "auth", advice=advice)
        return smaller if answer.is_html or not answer.shape else blame(evidence, "platform-backend", "auth")
    if answer.status == 404 and answer.server.startswith("awselb"):
        return Blame("load-balancer", reached, "no rule of it leads here: see the Ingress")
    return None


def _forbidden(answer: Observed, proxy: str, reached: str) -> Blame:
    """The firewall where its load balancer signs; the proxy where another does."""
    if answer.server.startswith(_FIREWALLS):
        return Blame("waf", reached)
    if proxy == UNKNOWN:
        return Blame(UNKNOWN, reached, why="the page is not signed as those of AWS are")
    return Blame(proxy, reached, "its own configuration refuses the request")


def _behind_load_balancer(answer: Observed, evidence: Evidence) -> Blame:
    """What is at fault where nothing behind the load balancer answered; its pods tell more where they are known."""
    down = evidence.is_down("frontend")
    reached = f"{evidence.place.address} takes connections and answers"
    if down:
        return Blame("frontend", evidence.pods("frontend"))
    if answer.status not in (502, 503, 504) or not answer.is_html:
        return Blame(UNKNOWN, why=evidence.pods("frontend"))
    if down is None:
        # 502: a target that refuses; 503: no target at all; 504: a target that is silent, or a filter before it.
        return Blame("frontend", reached) if answer.status != 504 else _silent_target(answer, evidence)
    return Blame("security-group" if answer.status == 504 else "load-balancer", evidence.pods("frontend"))


def _silent_target(answer: Observed, evidence: Evidence) -> Blame:
    """Nobody: from outside a target that hangs and packets that are dropped before it look alike."""
    why = (
        f"the load balancer gave up after {answer.seconds - answer.connecting:.0f} s: it waits {_CONNECT_SECONDS} s for"
        " a connection, which a filter drops or a dead node leaves open, and its idle timeout (60 s unless changed) for"
        " the answer of a target that hangs"
    )
    advice = "pods of frontend that are ready leave the security groups between load balancer and nodes"
    command = evidence.place.kubectl(f"get deployment/{evidence.place.fullname}-frontend")
    return Blame(UNKNOWN, advice=advice, command=command, why=why)


def _postgres(evidence: Evidence) -> Blame:
    """Postgres where backend's other stores answer; Redis where that one fails too, as the key may be cached there."""
    if not evidence.ok("info") or not evidence.ok("backend"):
        return Blame(UNKNOWN)
    redis = evidence.get("redis_read")
    if redis is not None and is_lost(redis):
        return blame(evidence, "redis", "store_health")
    return blame(evidence, "postgres", "redis_read", "store_health", "backend")
