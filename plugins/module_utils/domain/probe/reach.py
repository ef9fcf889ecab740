# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules on the way in: name, load balancer, services, key, project and control read."""

from __future__ import annotations

from ansible_collections.langsmith.aws.plugins.module_utils.domain.answers import Observed
from ansible_collections.langsmith.aws.plugins.module_utils.domain.endpoint import (
    Place,
    gateway_fault,
    transport_finding,
)
from ansible_collections.langsmith.aws.plugins.module_utils.domain.finding import Finding, Status
from ansible_collections.langsmith.aws.plugins.module_utils.domain.probe.evidence import (
    Evidence,
    finding,
    stage_passed,
)

TRANSPORT_PHASES = ("dns", "tcp", "tls")


def transport(evidence: Evidence) -> list[Finding]:
    """Name, connection and certificate, by the first request."""
    first = evidence.get("front_door")
    if first is None:
        return []
    if first.phase in TRANSPORT_PHASES:
        return [transport_finding(f"probe.{first.phase}", first, evidence.place)]
    place = evidence.place
    observed = f"connected to {place.address} as {place.host}"
    return [finding("transport", "pass", "load-balancer", place.url, observed, "name, connection and certificate hold")]


def front_door(evidence: Evidence) -> list[Finding]:
    """The frontend's own page, which says nothing about what stands behind it."""
    answer = evidence.get("front_door")
    if answer is None or answer.phase in TRANSPORT_PHASES:
        return []
    expected = "status 200"
    if stage_passed(answer):
        return [finding("front_door", "pass", "frontend", answer.request, answer.describe(), expected)]
    component, remedy = _gateway(answer, evidence.place)
    passed_by_info = evidence.ok("info")
    if passed_by_info:
        # /info came through the same frontend, so at most this one page is missing.
        component = "frontend"
    status: Status = "warn" if passed_by_info else "fail"
    return [finding("front_door", status, component, answer.request, answer.describe(), expected, remedy)]


def info(evidence: Evidence) -> list[Finding]:
    """Version and flags, by platform-backend."""
    answer = evidence.get("info")
    if answer is None:
        return []
    expected = "status 200 and a JSON object that names the version"
    place = evidence.place
    if stage_passed(answer) and evidence.version:
        observed = f"LangSmith {evidence.version}"
        return [finding("info", "pass", "platform-backend", answer.request, observed, expected)]
    if answer.succeeded:
        remedy = "the path leads to the web page: give the URL with its base path (chart value config.basePath)"
        return [finding("info", "fail", "base-path", answer.request, _page(answer), expected, remedy)]
    if answer.status == 401:
        remedy = (
            "this installation asks for a key here (config.infoEndpointAuthRequired) and refuses this one: make another"
        )
        return [finding("info", "fail", "api-key", answer.request, answer.describe(), expected, remedy)]
    component, remedy = _service_fault(
        answer, place, "platform-backend", evidence.ok("front_door"), evidence.ok("backend")
    )
    return [finding("info", "fail", component, answer.request, answer.describe(), expected, remedy)]


def backend(evidence: Evidence) -> list[Finding]:
    """Whether backend, which serves the reads, is there."""
    answer = evidence.get("backend")
    if answer is None:
        return []
    expected = "status 200 and JSON"
    if answer.succeeded and answer.shape:
        return [finding("backend", "pass", "backend", answer.request, answer.describe(), expected)]
    if answer.succeeded:
        remedy = "the path leads to the web page: give the URL with its base path (chart value config.basePath)"
        return [finding("backend", "fail", "base-path", answer.request, _page(answer), expected, remedy)]
    component, remedy = _service_fault(
        answer, evidence.place, "backend", evidence.ok("front_door"), evidence.ok("info")
    )
    return [finding("backend", "fail", component, answer.request, answer.describe(), expected, remedy)]


def auth(evidence: Evidence) -> list[Finding]:
    """Key and workspace, which are looked up in Postgres."""
    answer = evidence.get("auth")
    if answer is None:
        return []
    expected = "status 200 and an array of projects"
    if stage_passed(answer):
        return [finding("auth", "pass", "api-key", answer.request, answer.describe(), expected)]
    component, remedy = store_fault(answer, evidence, "postgres")
    return [finding("auth", "fail", component, answer.request, answer.describe(), expected, remedy)]


def project(evidence: Evidence) -> list[Finding]:
    """Making a project, which is a write to Postgres."""
    answer = evidence.get("project")
    if answer is None:
        return []
    expected = "status 200, or 409 for a project that is there"
    if answer.succeeded or answer.status == 409:
        return [finding("project", "pass", "postgres", answer.request, answer.describe(), expected)]
    component, remedy = store_fault(answer, evidence, "postgres")
    if answer.status == 403 and not answer.is_html:
        component, remedy = "api-key", "the key reads but may not write; make one with a role that may, not read-only"
    return [finding("project", "fail", component, answer.request, answer.describe(), expected, remedy)]


def control_read(evidence: Evidence) -> list[Finding]:
    """A query of runs before anything was sent, which reads ClickHouse."""
    answer = evidence.get("control_read")
    if answer is None:
        return []
    expected = "status 200 and a list of runs, empty or not"
    if stage_passed(answer):
        return [finding("control_read", "pass", "clickhouse", answer.request, answer.describe(), expected)]
    component, remedy = store_fault(answer, evidence, "clickhouse")
    health = evidence.get("store_health")
    seen = f"{answer.describe()}; {health.describe()}" if health else answer.describe()
    return [finding("control_read", "fail", component, answer.request, seen, expected, remedy)]


def store_fault(answer: Observed, evidence: Evidence, store: str) -> tuple[str, str]:
    """Component and remedy for a call of backend that failed; the store only where backend itself answers.

    For ClickHouse the neighbour that must pass is a read of Postgres by the same service and key.
    """
    place = evidence.place
    if answer.status in (401, 403) and not answer.is_html:
        return "api-key", (
            "the key is not accepted: look whether it was made in this installation and workspace, and whether "
            "config.apiKeySalt changed since (that voids every key)"
        )
    if answer.status == 429:
        return "quota", "raise the workspace's usage limit, or wait until it is reset"
    if _is_gateway(answer):
        return _gateway(answer, place)
    if answer.succeeded:
        return "base-path", "the path leads to the web page: give the URL with its base path (config.basePath)"
    witness = evidence.ok("auth") if store == "clickhouse" else evidence.ok("backend") and evidence.ok("info")
    if witness and (answer.is_server_error or answer.timed_out):
        return store, _STORE_REMEDIES[store].format(
            logs=place.logs("backend"),
            clickhouse=place.kubectl(f"logs statefulset/{place.release}-clickhouse --tail=100"),
        )
    return "unknown", f"no passing neighbour tells the layer: read {place.logs('backend')}"


_STORE_REMEDIES = {
    "postgres": "backend runs but cannot use Postgres (or, as cache, Redis): {logs}; then the endpoint, password and "
    "security group of the database",
    "clickhouse": "backend reads Postgres but not ClickHouse: {logs}; then disk, memory and running queries of "
    "ClickHouse: {clickhouse}",
}


def _service_fault(answer: Observed, place: Place, service: str, *neighbours: bool) -> tuple[str, str]:
    """A service is named only where a neighbour came through the same frontend."""
    if answer.status is not None and (300 <= answer.status < 400 or answer.status == 403):
        return gateway_fault(answer, place)
    if answer.status == 404:
        return "base-path", "the path is not there: give the URL with its base path (chart value config.basePath)"
    if any(neighbours):
        return service, f"its pods do not answer while the frontend does: {place.state(service)}; {place.logs(service)}"
    return _gateway(answer, place)


def _is_gateway(answer: Observed) -> bool:
    redirected = answer.status is not None and 300 <= answer.status < 400
    return answer.phase in TRANSPORT_PHASES or redirected or (answer.is_html and not answer.succeeded)


def _gateway(answer: Observed, place: Place) -> tuple[str, str]:
    if answer.status is None:
        lost = transport_finding("probe.lost", answer, place)
        return lost.component, lost.remedy
    return gateway_fault(answer, place)


def _page(answer: Observed) -> str:
    kind = "an HTML page" if answer.is_html else f"no such JSON ({answer.content_type or 'no content type'})"
    return f"{answer.request}: {answer.status}, but {kind}"
