# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules over recorded evidence: the healthy one passes each stage, each broken one differs from it in one thing."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.langsmith.aws.plugins.module_utils.domain.answers import Observed
from ansible_collections.langsmith.aws.plugins.module_utils.domain.endpoint import Place
from ansible_collections.langsmith.aws.plugins.module_utils.domain.langsmith import key_headers, parse_endpoint
from ansible_collections.langsmith.aws.plugins.module_utils.domain.probe import documents
from ansible_collections.langsmith.aws.plugins.module_utils.domain.probe.evidence import (
    Evidence,
    QueueSample,
    SentRun,
    seconds_between,
)
from ansible_collections.langsmith.aws.plugins.module_utils.domain.probe.ingest import queue_trend
from ansible_collections.langsmith.aws.plugins.module_utils.domain.probe.verdict import is_healthy, judge, timings

PLACE = Place("https://langsmith.test", "10.0.0.1:443", "tracing", "acme")
UNKNOWN_LAYER = "write path, layer unknown"


def json_answer(stage: str, status: int = 200, shape: str = "object", **more: Any) -> Observed:
    return Observed(stage, f"GET {stage}", status, "application/json", "nginx", shape=shape, seconds=0.1, **more)


def html(stage: str, status: int, server: str = "awselb/2.0", **more: Any) -> Observed:
    return Observed(stage, f"GET {stage}", status, "text/html", server, head="<html>", seconds=0.1, **more)


def silence(stage: str) -> Observed:
    return Observed(stage, f"GET {stage}", phase="http", reason="no answer within 30 s", timed_out=True, seconds=30)


def lost(stage: str, phase: str) -> Observed:
    return Observed(stage, f"GET {stage}", phase=phase, reason="why", seconds=1)


def sent(role: Any, **changed: Any) -> SentRun:
    run = SentRun(
        role=role,
        run_id=f"id-of-{role}",
        inputs_hash="in",
        outputs_hash="out",
        attachment_hash="file" if role == "large" else "",
        visible_after=1.0,
        complete_after=2.0,
        status="success",
        received="2026-11-21T10:00:00",
        inserted="2026-11-21T10:00:00.500000",
        found_inputs="in",
        found_outputs="out",
        found_attachment="file" if role == "large" else None,
    )
    return replace(run, **changed)


LOST = {"visible_after": None, "complete_after": None, "found_inputs": None, "found_outputs": None}
PENDING = {"complete_after": None, "status": "pending", "found_outputs": ""}

HEALTHY = Evidence(
    place=PLACE,
    answers=(
        Observed("front_door", "GET /health", 200, "text/plain", seconds=0.1, connecting=0.05),
        json_answer("info"),
        json_answer("backend"),
        json_answer("auth", shape="array"),
        json_answer("project"),
        json_answer("control_read"),
        json_answer("post_small", 202),
        json_answer("post_large", 202),
        json_answer("repeat", 409),
        json_answer("patch_small", 202),
        json_answer("patch_large", 202),
        json_answer("read"),
        json_answer("fetch_root"),
        json_answer("fetch_child"),
        json_answer("fetch_large"),
        json_answer("download_attachment"),
        json_answer("cleanup"),
    ),
    runs=(sent("root"), sent("child"), sent("large")),
    children=(1, 1, 1),
    version="0.12.44",
    blob_enabled=True,
    waited=120.0,
)


def with_answers(*answers: Observed, until: str = "", evidence: Evidence = HEALTHY) -> Evidence:
    """The evidence with other answers for their stages; ``until`` is the last stage that was reached."""
    kept = list(evidence.answers)
    for answer in answers:
        stages = [entry.stage for entry in kept]
        if answer.stage in stages:
            kept[stages.index(answer.stage)] = answer
        else:
            kept.append(answer)
    if until:
        kept = kept[: [entry.stage for entry in kept].index(until) + 1]
    runs = evidence.runs if any(entry.stage == "read" for entry in kept) else ()
    return replace(evidence, answers=tuple(kept), runs=runs)


def with_runs(**changed: dict[str, Any]) -> Evidence:
    """The evidence with some runs come back differently."""
    return replace(HEALTHY, runs=tuple(replace(run, **changed.get(run.role, {})) for run in HEALTHY.runs))


def with_queue(*pending: int | None, retry: tuple[int, ...] = ()) -> Evidence:
    """A trace that never appeared, and what the queue did meanwhile."""
    samples = tuple(
        QueueSample(at * 40.0, count, retry[at] if retry else None, "" if count is not None else "status 401")
        for at, count in enumerate(pending)
    )
    return replace(with_runs(root=LOST, child=LOST, large=LOST), queue=samples, children=())


def bad(evidence: Evidence, *statuses: str) -> dict[str, str]:
    wanted = statuses or ("fail",)
    return {entry.id.removeprefix("probe."): entry.component for entry in judge(evidence) if entry.status in wanted}


def test_healthy_evidence_passes_every_rule() -> None:
    findings = judge(HEALTHY)
    assert {finding.status for finding in findings} == {"pass"}
    assert is_healthy(findings)
    assert len(findings) == 22


CASES: dict[str, tuple[Evidence, dict[str, str]]] = {
    "1 name": (with_answers(lost("front_door", "dns"), until="front_door"), {"dns": "dns"}),
    "1 connection": (with_answers(lost("front_door", "tcp"), until="front_door"), {"tcp": "load-balancer"}),
    "1 certificate": (with_answers(lost("front_door", "tls"), until="front_door"), {"tls": "certificate"}),
    "2 no target": (
        with_answers(html("front_door", 503), html("info", 503), html("backend", 503), until="backend"),
        {"front_door": "load-balancer", "info": "load-balancer", "backend": "load-balancer"},
    ),
    "2 redirect": (
        with_answers(*(html(stage, 301) for stage in ("front_door", "info", "backend")), until="backend"),
        {"front_door": "load-balancer", "info": "load-balancer", "backend": "load-balancer"},
    ),
    "3 base path": (with_answers(html("info", 200, "nginx"), until="backend"), {"info": "base-path"}),
    "3 platform-backend": (with_answers(html("info", 502, "nginx"), until="backend"), {"info": "platform-backend"}),
    "3 platform-backend hangs": (with_answers(silence("info"), until="backend"), {"info": "platform-backend"}),
    "3 info wants a key": (with_answers(json_answer("info", 401), until="backend"), {"info": "api-key"}),
    "4 backend": (with_answers(html("backend", 502, "nginx"), until="backend"), {"backend": "backend"}),
    "5 key 401": (with_answers(json_answer("auth", 401), until="auth"), {"auth": "api-key"}),
    "5 key 403": (with_answers(json_answer("auth", 403), until="auth"), {"auth": "api-key"}),
    "5 firewall": (with_answers(html("auth", 403), until="auth"), {"auth": "firewall"}),
    "5 postgres": (with_answers(json_answer("auth", 500), until="auth"), {"auth": "postgres"}),
    "5 postgres hangs": (with_answers(silence("auth"), until="auth"), {"auth": "postgres"}),
    "6 postgres write": (with_answers(json_answer("project", 500), until="project"), {"project": "postgres"}),
    "6 read-only key": (with_answers(json_answer("project", 403), until="project"), {"project": "api-key"}),
    "7 clickhouse read": (
        with_answers(json_answer("control_read", 500), until="control_read"),
        {"control_read": "clickhouse"},
    ),
    "7 clickhouse slow": (with_answers(silence("control_read"), until="control_read"), {"control_read": "clickhouse"}),
    "8 platform-backend gone": (
        with_answers(json_answer("info_after"), json_answer("post_small", 500), until="post_small"),
        {"post_small": "platform-backend"},
    ),
    "8 size": (with_answers(html("post_small", 413, "nginx"), until="post_small"), {"post_small": "size-limit"}),
    "8 quota": (with_answers(json_answer("post_small", 429), until="post_small"), {"post_small": "quota"}),
    "8 probe": (with_answers(json_answer("post_small", 422), until="post_small"), {"post_small": "probe"}),
    "8 version": (with_answers(json_answer("post_small", 404), until="post_small"), {"post_small": "version"}),
    "8 blob": (with_answers(json_answer("post_large", 500)), {"post_large": "blob-storage"}),
    "11 clickhouse since": (
        with_answers(
            json_answer("control_read_after", 500),
            json_answer("auth_after", shape="array"),
            evidence=with_runs(root=LOST, child=LOST, large=LOST),
        ),
        {"visible": "clickhouse", "visible_large": "clickhouse"},
    ),
    "11 backend since": (
        with_answers(
            json_answer("control_read_after", 500),
            json_answer("auth_after", 500),
            evidence=with_runs(root=LOST, child=LOST, large=LOST),
        ),
        {"visible": "unknown", "visible_large": "unknown"},
    ),
    "11a workers": (with_queue(3, 7, 7), {"visible": "ingest-queue", "visible_large": "ingest-queue"}),
    "11b backlog": (with_queue(90, 60, 30), {"visible": UNKNOWN_LAYER, "visible_large": UNKNOWN_LAYER}),
    "11c store": (
        with_queue(0, 0, 0, retry=(0, 2, 4)),
        {"visible": "clickhouse", "visible_large": "clickhouse"},
    ),
    "11c blob": (with_runs(large=LOST), {"visible_large": "blob-storage"}),
    "11d lost": (
        with_queue(0, 0, 0, retry=(0, 0, 0)),
        {"visible": UNKNOWN_LAYER, "visible_large": UNKNOWN_LAYER},
    ),
    "11e no counters": (with_queue(None, None), {"visible": UNKNOWN_LAYER, "visible_large": UNKNOWN_LAYER}),
    "12 patch lost": (with_runs(root=PENDING), {"complete": UNKNOWN_LAYER}),
    "13 child missing": (replace(HEALTHY, children=(0, 0, 0)), {"child": UNKNOWN_LAYER}),
    "13 replica lag": (replace(HEALTHY, children=(1, 0, 1)), {"child": "clickhouse"}),
    "14 payload": (with_runs(root={"found_inputs": "else"}), {"payload_root": "read path"}),
    "14 blob write": (with_runs(large={"found_inputs": ""}), {"blob": "blob-storage"}),
    "14 blob read": (
        with_answers(html("download_attachment", 403), evidence=with_runs(large={"found_attachment": None})),
        {"blob": "blob-storage"},
    ),
    "14 blob without a witness": (
        with_runs(root={"found_inputs": "else"}, large={"found_inputs": ""}),
        {"payload_root": "read path", "blob": "unknown"},
    ),
    "15 delay": (with_runs(root={"inserted": "2026-11-21T10:01:01"}), {"queue_delay": "ingest-queue"}),
}


@pytest.mark.parametrize("case", CASES)
def test_each_fault_is_named_and_nothing_else(case: str) -> None:
    evidence, expected = CASES[case]
    assert bad(evidence) == expected
    assert not is_healthy(judge(evidence))


@pytest.mark.parametrize("case", CASES)
def test_every_finding_that_does_not_pass_says_what_to_do(case: str) -> None:
    for finding in judge(CASES[case][0]):
        assert finding.status == "pass" or len(finding.remedy) > 20


def test_redis_is_named_when_platform_backend_still_answers() -> None:
    answers = (*with_answers(json_answer("post_small", 500), until="post_small").answers, json_answer("info_after"))
    assert bad(replace(HEALTHY, answers=answers, runs=())) == {"post_small": "redis"}


WARNINGS = {
    "2 health page only": (with_answers(html("front_door", 404, "nginx")), {"front_door": "frontend"}),
    "9 record lost": (with_answers(json_answer("repeat", 202)), {"repeat": "redis"}),
    "10 stored late": (
        with_runs(root={"visible_after": 61.0, "inserted": "2026-11-21T10:00:50"}),
        {"visible": "ingest-queue"},
    ),
    "10 read late": (with_runs(root={"visible_after": 61.0}), {"visible": "clickhouse"}),
    "14 blob off": (replace(HEALTHY, blob_enabled=False, runs=HEALTHY.runs[:2]), {"blob": "blob-storage"}),
    "17 cleanup": (with_answers(json_answer("cleanup", 500)), {"cleanup": "langsmith"}),
}


@pytest.mark.parametrize("case", WARNINGS)
def test_what_is_only_a_warning_leaves_the_installation_healthy(case: str) -> None:
    evidence, expected = WARNINGS[case]
    assert bad(evidence, "warn") == expected
    assert is_healthy(judge(evidence))


def test_stages_that_were_not_reached_are_unknown_and_never_passed() -> None:
    findings = judge(with_answers(json_answer("auth", 401), until="auth"))
    assert findings[-1].id == "probe.not_reached"
    assert findings[-1].status == "unknown"
    assert "sending the trace" in findings[-1].observed


def test_a_delay_that_cannot_be_known_is_unknown() -> None:
    evidence = with_runs(root={"visible_after": 90.0, "inserted": ""})
    assert bad(evidence, "unknown") == {"queue_delay": "ingest-queue"}
    assert not is_healthy(judge(evidence))


def test_no_evidence_at_all_is_not_healthy() -> None:
    assert not is_healthy(judge(Evidence(place=PLACE)))


def test_remedies_name_the_installations_own_namespace_and_release() -> None:
    finding = next(entry for entry in judge(CASES["11a workers"][0]) if entry.id == "probe.visible")
    assert "kubectl -n tracing describe deployment/acme-ingest-queue" in finding.remedy


@pytest.mark.parametrize(
    ("pending", "retry", "trend"),
    [
        ((3, 7, 7), (), "stuck"),
        ((0, 4), (), "stuck"),
        ((3, 90, 40), (), "draining"),
        ((0, 0), (0, 3), "retrying"),
        ((0, 0), (5, 5), "unclear"),
        ((4, 0), (5, 0), "empty"),
        ((0, 0), (), "unclear"),
        ((5, 5, 5), (), "unclear"),
    ],
)
def test_the_trend_of_a_queue(pending: tuple[int, ...], retry: tuple[int, ...], trend: str) -> None:
    samples = [QueueSample(float(at), count, retry[at] if retry else None) for at, count in enumerate(pending)]
    assert queue_trend(samples) == trend


@pytest.mark.parametrize(
    ("earlier", "later", "seconds"),
    [
        ("2026-11-21T10:00:00", "2026-11-21T10:00:01.5", 1.5),
        ("2026-11-21T10:00:00Z", "2026-11-21T12:00:01+02:00", 1.0),
        ("2026-11-21T10:00:00", "", None),
        ("yesterday", "2026-11-21T10:00:00", None),
    ],
)
def test_server_times_without_a_zone_are_utc(earlier: str, later: str, seconds: float | None) -> None:
    assert seconds_between(earlier, later) == seconds


def test_timings_leave_out_the_stages_that_were_not_reached() -> None:
    assert timings(with_answers(json_answer("auth", 401), until="auth"), 2.0) == {
        "connect": 0.05,
        "info": 0.1,
        "auth": 0.1,
        "total": 2.0,
    }


@pytest.mark.parametrize(
    ("url", "origin", "api"),
    [
        ("https://h.test", "https://h.test", "/api/v1"),
        ("https://h.test/", "https://h.test", "/api/v1"),
        ("https://h.test:8443/api", "https://h.test:8443", "/api/v1"),
        ("https://h.test/tools/langsmith/api/v1/", "https://h.test", "/tools/langsmith/api/v1"),
    ],
)
def test_an_endpoint_is_read_with_or_without_the_apis_path(url: str, origin: str, api: str) -> None:
    found = parse_endpoint(url)
    assert (found.origin, found.api) == (origin, api)


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("https://s3.test/b/k?sig=1", ("https://s3.test", "/b/k?sig=1")),
        ("/api/v1/public/download?jwt=1", ("https://h.test", "/base/api/v1/public/download?jwt=1")),
        ("public/download?jwt=1", ("https://h.test", "/base/api/v1/public/download?jwt=1")),
    ],
)
def test_addresses_of_payloads_are_resolved_as_the_sdk_resolves_them(address: str, expected: tuple[str, str]) -> None:
    assert parse_endpoint("https://h.test/base").resolve(address) == expected


@pytest.mark.parametrize("key", ["", "two words", "line\nbreak", "schl\u00fcssel"])
def test_a_key_that_fits_no_header_is_refused_without_being_told(key: str) -> None:
    with pytest.raises(ValueError, match="store the bare key") as caught:
        key_headers(key)
    assert not key or key not in str(caught.value)


@pytest.mark.parametrize("document", [None, [], "text", 3, {"runs": 5}, {"instance_flags": []}, [3], {"id": 7}])
def test_documents_of_any_shape_are_read_without_an_error(document: Any) -> None:
    assert documents.server_facts(document) == ("", None)
    assert documents.first_id(document) == ""
    assert documents.runs_by_id(document) == {}
    assert documents.queue_counters(document) == (None, None)
