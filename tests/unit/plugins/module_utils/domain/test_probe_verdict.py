# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules over recorded evidence: the healthy one passes each stage, each broken one differs from it in one thing."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.langsmith.aws.plugins.module_utils.domain.answers import Observed
from ansible_collections.langsmith.aws.plugins.module_utils.domain.charts import parse_charts
from ansible_collections.langsmith.aws.plugins.module_utils.domain.endpoint import Place
from ansible_collections.langsmith.aws.plugins.module_utils.domain.finding import Finding
from ansible_collections.langsmith.aws.plugins.module_utils.domain.langsmith import key_headers, parse_endpoint
from ansible_collections.langsmith.aws.plugins.module_utils.domain.probe import documents, verdict
from ansible_collections.langsmith.aws.plugins.module_utils.domain.probe.evidence import (
    Evidence,
    Latency,
    QueueSample,
    SentRun,
    Workload,
    seconds_between,
)
from ansible_collections.langsmith.aws.plugins.module_utils.domain.probe.layers import LAYERS
from ansible_collections.langsmith.aws.plugins.module_utils.domain.probe.queue import queue_trend
from ansible_collections.langsmith.aws.plugins.module_utils.domain.probe.thresholds import limits
from ansible_collections.langsmith.aws.plugins.module_utils.domain.probe.timing import stages, timings
from ansible_collections.langsmith.aws.plugins.module_utils.domain.probe.verdict import is_healthy

PLACE = Place("https://langsmith.test", "10.0.0.1:443", "tracing", "acme")


def json_answer(stage: str, status: int = 200, shape: str = "object", **more: Any) -> Observed:
    return Observed(stage, f"GET {stage}", status, "application/json", "nginx", shape=shape, seconds=0.1, **more)


def html(stage: str, status: int, server: str = "awselb/2.0", **more: Any) -> Observed:
    return Observed(stage, f"GET {stage}", status, "text/html", server, head="<html>", seconds=0.1, **more)


def silence(stage: str) -> Observed:
    return Observed(stage, f"GET {stage}", phase="http", reason="no answer within 30 s", timed_out=True, seconds=30)


def lost(stage: str, phase: str, **more: Any) -> Observed:
    return Observed(stage, f"GET {stage}", **{"phase": phase, "reason": "why", "seconds": 1, **more})


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
        inserted_by=1.0,
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
        Observed("front_door", "GET /health", 200, "text/plain", seconds=0.1, connecting=0.05, handshake=0.01),
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


def with_answers(*answers: Observed, until: str = "", evidence: Evidence = HEALTHY, **facts: Any) -> Evidence:
    """The evidence with other answers for their stages; ``until`` is the last of the usual stages that was reached."""
    kept = list(evidence.answers)
    if until:
        kept = kept[: [entry.stage for entry in kept].index(until) + 1]
    for answer in answers:
        stages = [entry.stage for entry in kept]
        if answer.stage in stages:
            kept[stages.index(answer.stage)] = answer
        else:
            kept.append(answer)
    runs = evidence.runs if any(entry.stage == "read" for entry in kept) else ()
    return replace(evidence, answers=tuple(kept), **{"runs": runs, **facts})


def with_runs(**changed: dict[str, Any]) -> Evidence:
    """The evidence with some runs come back differently."""
    return replace(HEALTHY, runs=tuple(replace(run, **changed.get(run.role, {})) for run in HEALTHY.runs))


READS_WORK = (json_answer("control_read_after"), json_answer("auth_after", shape="array"), json_answer("redis_read"))
#: What stands beside an ingestion that failed: stores that read, platform-backend's own look at the key, and backend's
#: ingestion, which fails too.
OTHER_DOORS = (*READS_WORK[1:], json_answer("me"), json_answer("backend_write", 500))
BUCKET = "https://acme-blobs.s3.eu-central-1.amazonaws.com/runs/attachment"


def with_download(address: str = BUCKET, **answer: Any) -> Evidence:
    """The evidence with an attachment that could not be fetched from where its run says that it is."""
    download = Observed("download_attachment", f"GET {address}", seconds=0.1, **answer)
    return with_answers(download, evidence=with_runs(large={"found_attachment": None}))


ALL_LOST = {"root": LOST, "child": LOST, "large": LOST}
ALL_PENDING = with_runs(root=PENDING, child=PENDING, large=PENDING)


def samples(*pending: int | None, retry: tuple[int, ...] = (), **more: Any) -> tuple[QueueSample, ...]:
    """What the queue did while a probe waited, 40 s apart."""
    return tuple(
        QueueSample(
            at * 40.0,
            count,
            retry=retry[at] if retry else None,
            reason="" if count is not None else "status 401",
            **{name: values[at] for name, values in more.items()},
        )
        for at, count in enumerate(pending)
    )


def with_queue(*pending: int | None, retry: tuple[int, ...] = (), **more: Any) -> Evidence:
    """A trace that never appeared while reads work, and what the queue did meanwhile."""
    evidence = with_answers(*READS_WORK, json_answer("repeat_after", 409), evidence=with_runs(**ALL_LOST))
    return replace(evidence, queue=samples(*pending, retry=retry, **more), children=())


def judge(evidence: Evidence) -> list[Finding]:
    return [entry.finding for entry in verdict.judge(evidence)]


def bad(evidence: Evidence, *statuses: str) -> dict[str, str]:
    wanted = statuses or ("fail",)
    return {entry.id.removeprefix("probe."): entry.component for entry in judge(evidence) if entry.status in wanted}


def layer(evidence: Evidence) -> str:
    return str(verdict.fault(verdict.judge(evidence))["layer"])


def test_healthy_evidence_passes_every_rule() -> None:
    findings = judge(HEALTHY)
    assert {finding.status for finding in findings} == {"pass"}
    assert is_healthy(findings)
    assert len(findings) == 23
    assert verdict.fault(verdict.judge(HEALTHY)) == {"layer": "", "witnesses": [], "next_command": ""}


def both(component: str) -> dict[str, str]:
    return {"visible": component, "visible_large": component}


TIMES: dict[str, dict[str, Any]] = {
    "slow workers": {"waited": (Latency(5, 10), Latency(665, 21)), "stored": (Latency(1, 10), Latency(12, 21))},
    "slow store": {"waited": (Latency(5, 10), Latency(7, 21)), "stored": (Latency(1, 10), Latency(661, 21))},
    "quick, storing": {
        "waited": (Latency(), Latency(9, 9), Latency(2000, 20000)),
        "stored": (Latency(), Latency(9, 9), Latency(1000, 20000)),
    },
    "quick, waiting": {
        "waited": (Latency(), Latency(9, 9), Latency(10000, 20000)),
        "stored": (Latency(), Latency(9, 9), Latency(400, 20000)),
    },
}
EMPTY: dict[str, Any] = {"retry": (0, 0, 0), "active": (0, 0, 0)}
LATE = {"root": {"inserted": "2026-11-21T10:01:01", "inserted_by": 62.0}}
NO_PODS = {"frontend": Workload(0, 2), "ingest-queue": Workload(0, 2)}
ALL_PODS = {"frontend": Workload(2, 2), "ingest-queue": Workload(2, 2)}
ALL_503 = tuple(html(stage, 503) for stage in ("front_door", "info", "backend"))
ALL_504 = tuple(html(stage, 504) for stage in ("front_door", "info", "backend"))

#: Evidence, the components of the findings that fail, and the layer of the whole where it is not that of the first.
CASES: dict[str, tuple[Evidence, dict[str, str]]] = {
    "1 name": (with_answers(lost("front_door", "dns"), until="front_door"), {"dns": "dns"}),
    "1 connection": (with_answers(lost("front_door", "tcp"), until="front_door"), {"tcp": "load-balancer"}),
    "1 no resolver": (
        with_answers(lost("front_door", "dns", reason="no resolver answered for it"), until="front_door"),
        {"dns": "unknown"},
    ),
    "1 no way from here": (
        with_answers(lost("front_door", "tcp", reason="this machine has no way to it"), until="front_door"),
        {"tcp": "unknown"},
    ),
    **{
        f"1 a proxy that alone may know the way ({phase}, {'silence' if timed_out else 'refusal'})": (
            with_answers(
                lost("front_door", phase, timed_out=timed_out), until="front_door", unused_proxy="proxy.test:3128"
            ),
            {phase: "unknown"},
        )
        for phase in ("dns", "tcp")
        for timed_out in (True, False)
    },
    "1 certificate beside a proxy": (
        with_answers(
            lost("front_door", "tls", reason="the certificate has expired"),
            until="front_door",
            unused_proxy="proxy.test:3128",
        ),
        {"tls": "certificate"},
    ),
    "1 packets dropped": (
        with_answers(lost("front_door", "tcp", timed_out=True), until="front_door"),
        {"tcp": "security-group"},
    ),
    "1 certificate": (
        with_answers(lost("front_door", "tls", reason="the certificate has expired"), until="front_door"),
        {"tls": "certificate"},
    ),
    "1 no TLS": (with_answers(lost("front_door", "tls"), until="front_door"), {"tls": "load-balancer"}),
    "1 handshake hangs": (
        with_answers(lost("front_door", "tls", timed_out=True), until="front_door"),
        {"tls": "unknown"},
    ),
    "2 no target": (
        with_answers(*ALL_503, until="backend"),
        {"front_door": "frontend", "info": "frontend", "backend": "frontend"},
    ),
    "2 no target and no pod": (
        with_answers(*ALL_504, until="backend", workloads=NO_PODS),
        {"front_door": "frontend", "info": "frontend", "backend": "frontend"},
    ),
    "2 pods and no target": (
        with_answers(*ALL_503, until="backend", workloads=ALL_PODS),
        {"front_door": "load-balancer", "info": "load-balancer", "backend": "load-balancer"},
    ),
    "2 pods that are not reached": (
        with_answers(*ALL_504, until="backend", workloads=ALL_PODS),
        {"front_door": "security-group", "info": "security-group", "backend": "security-group"},
    ),
    "2 silent targets": (
        with_answers(*ALL_504, until="backend"),
        {"front_door": "unknown", "info": "unknown", "backend": "unknown"},
    ),
    "2 redirect": (
        with_answers(*(html(stage, 301) for stage in ("front_door", "info", "backend")), until="backend"),
        {"front_door": "load-balancer", "info": "load-balancer", "backend": "load-balancer"},
    ),
    "2 redirect by nginx": (
        with_answers(*(html(stage, 301, "nginx") for stage in ("front_door", "info", "backend")), until="backend"),
        {"front_door": "frontend", "info": "frontend", "backend": "frontend"},
    ),
    "2 refused by nginx": (
        with_answers(*(html(stage, 403, "nginx") for stage in ("front_door", "info", "backend")), until="backend"),
        {"front_door": "frontend", "info": "frontend", "backend": "frontend"},
    ),
    "2 refused by who does not sign": (
        with_answers(*(html(stage, 403, "") for stage in ("front_door", "info", "backend")), until="backend"),
        {"front_door": "unknown", "info": "unknown", "backend": "unknown"},
    ),
    "2 firewall before the load balancer": (
        with_answers(*(html(stage, 403, "CloudFront") for stage in ("front_door", "info", "backend")), until="backend"),
        {"front_door": "waf", "info": "waf", "backend": "waf"},
    ),
    "2 firewall": (
        with_answers(*(html(stage, 403) for stage in ("front_door", "info", "backend")), until="backend"),
        {"front_door": "waf", "info": "waf", "backend": "waf"},
    ),
    "3 base path": (with_answers(html("info", 200, "nginx"), until="backend"), {"info": "endpoint"}),
    "3 platform-backend": (with_answers(html("info", 502, "nginx"), until="backend"), {"info": "platform-backend"}),
    "3 platform-backend hangs": (with_answers(silence("info"), until="backend"), {"info": "platform-backend"}),
    "3 info wants a key": (with_answers(json_answer("info", 401), until="backend"), {"info": "auth"}),
    "3 and 4 both": (
        with_answers(html("info", 502, "nginx"), html("backend", 502, "nginx"), until="backend"),
        {"info": "unknown", "backend": "unknown"},
    ),
    "3 and 4 both, and one has no pod": (
        with_answers(
            html("info", 502, "nginx"),
            html("backend", 502, "nginx"),
            until="backend",
            workloads={"platform-backend": Workload(0, 2), "backend": Workload(2, 2)},
        ),
        {"info": "platform-backend", "backend": "unknown"},
    ),
    "4 backend": (with_answers(html("backend", 502, "nginx"), until="backend"), {"backend": "backend"}),
    "4 a path that only the other service has": (
        with_answers(json_answer("backend", 404), until="backend"),
        {"backend": "version"},
    ),
    "4 a path that the load balancer leads nowhere": (
        with_answers(html("backend", 404), until="backend"),
        {"backend": "load-balancer"},
    ),
    "4 a path that the frontend leads nowhere": (
        with_answers(html("backend", 404, "nginx"), until="backend"),
        {"backend": "unknown"},
    ),
    "4 no path of the API": (
        with_answers(html("info", 404, "nginx"), html("backend", 404, "nginx"), until="backend"),
        {"info": "endpoint", "backend": "endpoint"},
    ),
    "5 key 401": (with_answers(json_answer("auth", 401), until="auth"), {"auth": "auth"}),
    "5 key 403": (with_answers(json_answer("auth", 403), until="auth"), {"auth": "auth"}),
    "5 workspace": (
        with_answers(json_answer("auth", 403), json_answer("auth_without_workspace", shape="array"), until="auth"),
        {"auth": "workspace"},
    ),
    "5 workspace is missing": (
        with_answers(json_answer("auth", 403, head='{"error":"org_scoped_key_requires_workspace"}'), until="auth"),
        {"auth": "workspace"},
    ),
    "5 quota": (with_answers(json_answer("auth", 429), until="auth"), {"auth": "quota"}),
    "5 firewall": (with_answers(html("auth", 403), until="auth"), {"auth": "waf"}),
    "5 postgres": (with_answers(json_answer("auth", 500), until="auth"), {"auth": "postgres"}),
    "5 postgres hangs": (with_answers(silence("auth"), until="auth"), {"auth": "postgres"}),
    "5 redis": (
        with_answers(
            json_answer("auth", 500), json_answer("store_health"), json_answer("redis_read", 500), until="auth"
        ),
        {"auth": "redis"},
    ),
    "6 postgres write": (with_answers(json_answer("project", 500), until="project"), {"project": "postgres"}),
    "6 read-only key": (with_answers(json_answer("project", 403), until="project"), {"project": "auth"}),
    "7 clickhouse read": (
        with_answers(json_answer("control_read", 500), json_answer("auth_after", shape="array"), until="control_read"),
        {"control_read": "clickhouse-read"},
    ),
    "7 clickhouse slow": (
        with_answers(silence("control_read"), json_answer("auth_after", shape="array"), until="control_read"),
        {"control_read": "clickhouse-read"},
    ),
    "7 backend since": (
        with_answers(json_answer("control_read", 500), json_answer("auth_after", 500), until="control_read"),
        {"control_read": "unknown"},
    ),
    "8 platform-backend gone": (
        with_answers(json_answer("post_small", 500), html("info_after", 502), READS_WORK[1], until="control_read"),
        {"post_small": "platform-backend"},
    ),
    "8 redis": (
        with_answers(
            json_answer("post_small", 500),
            json_answer("info_after"),
            READS_WORK[1],
            json_answer("redis_read", 500),
            until="control_read",
        ),
        {"post_small": "redis"},
    ),
    "8 redis that backend can read": (
        with_answers(json_answer("post_small", 500), json_answer("info_after"), *READS_WORK[1:], until="control_read"),
        {"post_small": "unknown"},
    ),
    "8 redis that takes no writes": (
        with_answers(json_answer("post_small", 500), json_answer("info_after"), *OTHER_DOORS, until="control_read"),
        {"post_small": "redis"},
    ),
    "8 redis that hangs on writes": (
        with_answers(
            silence("post_small"),
            json_answer("info_after"),
            *OTHER_DOORS[:-1],
            silence("backend_write"),
            until="control_read",
        ),
        {"post_small": "redis"},
    ),
    "8 platform-backend alone": (
        with_answers(
            json_answer("post_small", 500),
            json_answer("info_after"),
            *OTHER_DOORS[:-1],
            json_answer("backend_write"),
            until="control_read",
        ),
        {"post_small": "platform-backend"},
    ),
    "8 platform-backend that cannot look up a key": (
        with_answers(
            json_answer("post_small", 500),
            json_answer("info_after"),
            json_answer("me", 500),
            *OTHER_DOORS[:-2],
            json_answer("backend_write", 500),
            until="control_read",
        ),
        {"post_small": "unknown"},
    ),
    "8 an update that backend refuses says nothing": (
        with_answers(
            json_answer("post_small", 500),
            json_answer("info_after"),
            *OTHER_DOORS[:-1],
            json_answer("backend_write", 422),
            until="control_read",
        ),
        {"post_small": "unknown"},
    ),
    "8 size at nginx": (
        with_answers(html("post_small", 413, "nginx"), until="control_read"),
        {"post_small": "frontend"},
    ),
    "8 size at the load balancer": (with_answers(html("post_large", 413)), {"post_large": "load-balancer"}),
    "8 firewall on large bodies": (with_answers(html("post_large", 403)), {"post_large": "waf"}),
    "8 key": (with_answers(json_answer("post_small", 403), until="control_read"), {"post_small": "auth"}),
    "8 quota": (with_answers(json_answer("post_small", 429), until="control_read"), {"post_small": "quota"}),
    "8 rejected": (with_answers(json_answer("post_small", 422), until="control_read"), {"post_small": "version"}),
    "8 version": (with_answers(json_answer("post_small", 404), until="control_read"), {"post_small": "version"}),
    "8 blob": (with_answers(json_answer("post_large", 500)), {"post_large": "blob-write"}),
    "8 Redis since the large trace": (
        with_answers(
            json_answer("post_large", 500),
            json_answer("patch_small", 500),
            json_answer("info_after"),
            *READS_WORK,
            until="repeat",
        ),
        {"post_large": "unknown", "patch_small": "unknown"},
    ),
    "8 a patch of the large trace": (
        with_answers(json_answer("patch_large", 500), json_answer("info_after"), *READS_WORK),
        {"patch_large": "unknown"},
    ),
    "8 Redis since the patch of the large trace": (
        with_answers(
            json_answer("patch_large", 500), json_answer("info_after"), READS_WORK[1], json_answer("redis_read", 500)
        ),
        {"patch_large": "redis"},
    ),
    "8 a large trace that is refused": (
        with_answers(json_answer("post_large", 402), json_answer("info_after"), *READS_WORK),
        {"post_large": "unknown"},
    ),
    "8 an unknown path of Redis' counters": (
        with_answers(
            json_answer("post_small", 500),
            json_answer("info_after"),
            READS_WORK[1],
            json_answer("redis_read", 404),
            until="control_read",
        ),
        {"post_small": "unknown"},
    ),
    "8 a proxy's page about the key": (
        with_answers(
            json_answer("post_small", 500),
            json_answer("info_after"),
            html("auth_after", 502, "nginx"),
            READS_WORK[2],
            until="control_read",
        ),
        {"post_small": "unknown"},
    ),
    "8 a proxy that loses large bodies": (
        with_answers(html("post_large", 502), json_answer("info_after")),
        {"post_large": "unknown"},
    ),
    "8 compression": (
        with_answers(json_answer("post_compressed", 415), zstd_enabled=False),
        {"compression": "platform-backend"},
    ),
    "11 clickhouse since": (
        with_answers(
            json_answer("control_read_after", 500), READS_WORK[1], evidence=with_runs(**ALL_LOST), children=()
        ),
        both("clickhouse-read"),
    ),
    "11 backend since": (
        with_answers(
            json_answer("control_read_after", 500),
            json_answer("auth_after", 500),
            evidence=with_runs(**ALL_LOST),
            children=(),
        ),
        both("unknown"),
    ),
    "11 disk full": (
        with_answers(*READS_WORK, evidence=with_runs(**ALL_LOST), free_disk_pct=0.4, children=()),
        both("clickhouse-write"),
    ),
    "11a workers": (with_queue(3, 7, 7, active=(0, 0, 0)), both("ingest-workers")),
    "11a workers that died with tasks in hand": (
        replace(with_queue(3, 7, 7, active=(1, 1, 1)), workloads=NO_PODS),
        both("ingest-workers"),
    ),
    "11a a queue that grows, and no more is told": (with_queue(3, 7, 7), both("unknown")),
    "11a a queue that grows in front of workers that work": (
        replace(with_queue(1000, 1100, 1400, active=(30, 30, 30)), workloads=ALL_PODS),
        both("unknown"),
    ),
    "11a a queue that grows in front of few workers": (
        with_queue(5000, 5400, active=(30, 30), **TIMES["slow workers"]),
        both("backlog"),
    ),
    "11a workers by their pods": (replace(with_queue(None, None), workloads=NO_PODS), both("ingest-workers")),
    "11b backlog": (with_queue(90, 60, 30), both("backlog")),
    "11b backlog of slow inserts": (with_queue(90, 30, **TIMES["slow store"]), both("clickhouse-write")),
    "11b backlog of few workers": (with_queue(90, 30, **TIMES["slow workers"]), both("backlog")),
    "11b a queue that grows and is worked on": (with_queue(90, 99, **TIMES["slow workers"]), both("backlog")),
    "11c store": (with_queue(0, 0, 0, retry=(0, 2, 4)), both("clickhouse-write")),
    "11c store that hangs": (
        with_queue(0, 0, 0, retry=(0, 0, 0), active=(0, 1, 1)),
        both("clickhouse-write"),
    ),
    "11c others are at work": (with_queue(0, 0, 0, retry=(0, 0, 0), active=(2, 1, 2)), both("unknown")),
    "11b a busy queue of short storing": (with_queue(2, 7, 4, **TIMES["quick, storing"]), both("unknown")),
    "11b a busy queue of short waiting": (with_queue(2, 7, 4, **TIMES["quick, waiting"]), both("unknown")),
    "11b a busy queue without times": (with_queue(2, 7, 4), both("unknown")),
    "11b a queue whose turn has been": (
        with_queue(2, 4, active=(1, 3), **TIMES["slow store"]),
        both("unknown"),
    ),
    "11c others are at work now and then": (
        with_queue(0, 0, 0, 0, retry=(0, 0, 0, 0), active=(0, 0, 1, 1)),
        both("unknown"),
    ),
    "11c blob": (
        replace(with_runs(large=LOST), queue=samples(0, 0, 0, retry=(0, 1, 1))),
        {"visible_large": "blob-write"},
    ),
    "11c blob that hangs": (
        replace(with_runs(large=LOST), queue=samples(0, 0, 0, retry=(0, 0, 0), active=(0, 1, 1))),
        {"visible_large": "blob-write"},
    ),
    "11a workers that died after the small trace": (
        replace(
            with_answers(*READS_WORK, evidence=with_runs(large=LOST)),
            queue=samples(0, 1, 1, retry=(0, 0, 0), active=(0, 0, 0)),
        ),
        {"visible_large": "ingest-workers"},
    ),
    "11e a large trace, no counters": (with_runs(large=LOST), {"visible_large": "unknown"}),
    "11e a large trace, one sample": (
        replace(with_runs(large=LOST), queue=samples(0, None)),
        {"visible_large": "unknown"},
    ),
    "11e a large trace, and what is tried again is not told": (
        replace(with_runs(large=LOST), queue=samples(0, 0, 0)),
        {"visible_large": "unknown"},
    ),
    "11c a large trace that nobody tries again": (
        replace(with_runs(large=LOST), queue=samples(0, 0, 0, **EMPTY)),
        {"visible_large": "unknown"},
    ),
    "11d lost": (with_queue(0, 0, 0, retry=(0, 0, 0), active=(0, 0, 0)), both("unknown")),
    "11d forgotten by Redis": (
        with_answers(
            json_answer("repeat_after", 202), evidence=with_queue(0, 0, 0, retry=(0, 0, 0)), runs=with_queue().runs
        ),
        both("redis"),
    ),
    "11e no counters": (with_queue(None, None), both("unknown")),
    "11e no counters and pods": (replace(with_queue(None, None), workloads=ALL_PODS), both("unknown")),
    "12 patch lost": (with_runs(root=PENDING), {"complete": "lost-patch"}),
    "12 all patches lost": (
        replace(ALL_PENDING, queue=samples(0, 0, retry=(0, 0))),
        {"complete": "lost-patch", "complete_child": "lost-patch", "complete_large": "lost-patch"},
    ),
    "12 workers died after the posts": (
        with_answers(
            *READS_WORK,
            evidence=replace(ALL_PENDING, queue=samples(0, 2, retry=(0, 0), active=(0, 0))),
        ),
        {"complete": "ingest-workers", "complete_child": "ingest-workers", "complete_large": "ingest-workers"},
    ),
    "12 patches that are tried again": (
        replace(with_runs(root=PENDING, child=PENDING), queue=samples(0, 0, 0, retry=(0, 2, 2), active=(0, 0, 0))),
        {"complete": "clickhouse-write", "complete_child": "clickhouse-write"},
    ),
    "12 workers died before the patch of the root": (
        with_answers(
            *READS_WORK,
            evidence=replace(
                with_runs(root=PENDING), queue=samples(0, 3, 3, retry=(0, 0, 0), active=(0, 0, 0)), workloads=NO_PODS
            ),
        ),
        {"complete": "ingest-workers"},
    ),
    "12 no worker is ready, and no counters": (
        with_answers(*READS_WORK, evidence=replace(with_runs(root=PENDING), workloads=NO_PODS)),
        {"complete": "ingest-workers"},
    ),
    "12 a busy queue": (
        with_answers(*READS_WORK, evidence=replace(with_runs(root=PENDING), queue=samples(5, 5, 5))),
        {"complete": "unknown"},
    ),
    "12 patch lost, and the queue is empty": (
        replace(with_runs(root=PENDING), queue=samples(0, 0, 0, retry=(0, 0, 0), active=(0, 0, 0)), workloads=NO_PODS),
        {"complete": "lost-patch"},
    ),
    "12 nothing is known of the patches": (
        ALL_PENDING,
        {"complete": "unknown", "complete_child": "unknown", "complete_large": "unknown"},
    ),
    "12 patch of the child lost": (with_runs(child=PENDING), {"complete_child": "lost-patch"}),
    "12 patch of the child lost, and another payload": (
        with_runs(child={**PENDING, "found_inputs": "else"}),
        {"complete_child": "lost-patch"},
    ),
    "13 child that no poll saw": (with_runs(child=LOST), {"child": "unknown"}),
    "13 child missing": (replace(HEALTHY, children=(0, 0, 0)), {"child": "unknown"}),
    "13 queries that fail": (
        with_answers(json_answer("children", 500), children=()),
        {"child": "clickhouse-read"},
    ),
    "13 queries that a proxy loses": (with_answers(html("children", 502, "nginx"), children=()), {"child": "unknown"}),
    "13 replica lag": (replace(HEALTHY, children=(1, 0, 1)), {"child": "replica-lag"}),
    "14 payload": (with_runs(root={"found_inputs": "else"}), {"payload_root": "unknown"}),
    "14 listed and not there": (
        with_answers(
            json_answer("fetch_root", 404), evidence=with_runs(root={"found_inputs": None, "found_outputs": None})
        ),
        {"payload_root": "replica-lag"},
    ),
    "14 blob write": (with_runs(large={"found_inputs": ""}), {"blob": "blob-write"}),
    "14 blob read": (with_download(status=403, content_type="application/xml"), {"blob": "blob-read"}),
    "14 a bucket that is not reached from here": (
        with_download(phase="tcp", reason="timed out", timed_out=True),
        {"blob": "unknown"},
    ),
    "14 an installation that does not hand out what it stored": (
        with_download("https://langsmith.test/api/v1/public/download", phase="http", reason="no answer within 30 s"),
        {"blob": "blob-read"},
    ),
    "14 an address of a payload that is none": (
        with_download("http://[bad/x", phase="address", reason="this is no address: Invalid IPv6 URL"),
        {"blob": "blob-read"},
    ),
    "14 blob beside a child that came back changed": (
        with_runs(child={"found_inputs": "else"}, large={"found_inputs": ""}),
        {"payload_child": "unknown", "blob": "unknown"},
    ),
    "14 blob is gone": (
        with_answers(json_answer("download_attachment", 404), evidence=with_runs(large={"found_attachment": None})),
        {"blob": "blob-write"},
    ),
    "14 blob without a witness": (
        with_runs(root={"found_inputs": "else"}, large={"found_inputs": ""}),
        {"payload_root": "unknown", "blob": "unknown"},
    ),
    "15 delay": (with_runs(**LATE), {"queue_delay": "unknown"}),
    "15 delay by workers": (
        replace(with_runs(**LATE), queue=samples(0, 0, **TIMES["slow workers"])),
        {"queue_delay": "backlog"},
    ),
    "15 delay by ClickHouse": (
        replace(with_runs(**LATE), queue=samples(0, 0, **TIMES["slow store"])),
        {"queue_delay": "clickhouse-write"},
    ),
    "15 delay with nothing waiting": (
        replace(with_runs(**LATE), queue=samples(0, 0, 0, active=(0, 1, 0))),
        {"queue_delay": "clickhouse-write"},
    ),
    "15 delay with a queue": (
        replace(with_runs(**LATE), queue=samples(50, 40, 20, 0)),
        {"queue_delay": "backlog"},
    ),
    "16 feedback refused": (with_answers(json_answer("feedback", 500)), {"feedback": "unknown"}),
    "16 feedback never listed": (
        with_answers(json_answer("feedback"), json_answer("feedback_listed", shape="array")),
        {"feedback": "unknown"},
    ),
    "16 feedback cannot be listed": (
        with_answers(json_answer("feedback"), json_answer("feedback_listed", 500)),
        {"feedback": "unknown"},
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_each_fault_is_named_and_nothing_else(case: str) -> None:
    evidence, expected = CASES[case]
    assert bad(evidence) == expected
    assert not is_healthy(judge(evidence))
    assert layer(evidence) == next((name for name in expected.values() if name != "unknown"), "unknown")


@pytest.mark.parametrize("case", CASES)
def test_a_layer_has_two_witnesses_and_a_command_and_no_layer_has_one(case: str) -> None:
    found = verdict.fault(verdict.judge(CASES[case][0]))
    statuses = [witness["status"] for witness in found["witnesses"]]
    assert statuses[:1] == ["fail"]
    assert found["layer"] == "unknown" or statuses == ["fail", "pass"]
    assert all(witness["observed"] for witness in found["witnesses"])
    assert found["next_command"].split()[0] in ("kubectl", "aws", "curl", "dig", "openssl")


@pytest.mark.parametrize("case", CASES)
def test_every_finding_that_does_not_pass_says_what_to_do(case: str) -> None:
    for finding in judge(CASES[case][0]):
        assert finding.status == "pass" or len(finding.remedy) > 20


def test_every_layer_is_the_verdict_of_some_fault() -> None:
    assert {layer(evidence) for evidence, _expected in CASES.values()} == set(LAYERS)


#: What else passes beside a stage on the way in that fails.
STORES_WORK = (json_answer("auth_after", shape="array"), json_answer("store_health"), json_answer("redis_read"))
NO_STORE: dict[str, tuple[dict[str, Any], str]] = {
    **{f"JSON {status}": ({"status": status}, "version") for status in (400, 404, 405, 415, 422)},
    **{f"JSON {status}": ({"status": status}, "unknown") for status in (402, 410, 418)},
    "a page with 200": ({"status": 200, "content_type": "text/html", "shape": ""}, "endpoint"),
    "JSON of another kind": ({"status": 200, "shape": "other"}, "endpoint"),
    **{
        f"a page with {status}": ({"status": status, "content_type": "text/html", "shape": ""}, "unknown")
        for status in (400, 404, 500, 502, 503, 504)
    },
}


@pytest.mark.parametrize("stage", ["auth", "project", "control_read"])
@pytest.mark.parametrize("case", NO_STORE)
def test_an_answer_that_no_store_has_a_part_in_blames_none(stage: str, case: str) -> None:
    changed, expected = NO_STORE[case]
    evidence = with_answers(replace(json_answer(stage), **changed), *STORES_WORK, until=stage)
    assert bad(evidence) == {stage: expected}


@pytest.mark.parametrize("stage", ["auth", "project", "control_read"])
def test_a_page_about_a_backend_whose_pods_are_down_is_the_backend_s(stage: str) -> None:
    down = {"backend": Workload(0, 2)}
    evidence = with_answers(html(stage, 502, "nginx"), *STORES_WORK, until=stage, workloads=down)
    assert bad(evidence) == {stage: "backend"}
    assert verdict.fault(verdict.judge(evidence))["witnesses"][1]["observed"]


@pytest.mark.parametrize("status", [400, 402, 404, 422, 429])
def test_reads_that_are_refused_since_are_no_fault_of_clickhouse(status: int) -> None:
    refusal = json_answer("control_read_after", status)
    evidence = with_answers(refusal, *READS_WORK[1:], evidence=with_runs(**ALL_LOST), children=())
    assert bad(evidence) == both("quota" if status == 429 else "unknown")


def test_a_proxy_that_loses_reads_since_is_no_fault_of_clickhouse() -> None:
    page = html("control_read_after", 502, "nginx")
    evidence = with_answers(page, *READS_WORK[1:], evidence=with_runs(**ALL_LOST), children=())
    assert bad(evidence) == both("unknown")
    assert "fails now" in next(entry.observed for entry in judge(evidence) if entry.id == "probe.visible")


@pytest.mark.parametrize(
    ("times", "layer"), [("slow store", "clickhouse-write"), ("slow workers", "unknown"), ("quick, storing", "unknown")]
)
def test_an_insertion_that_began_at_once_was_slow_where_the_workers_say_so(times: str, layer: str) -> None:
    evidence = replace(with_runs(root={"visible_after": 90.0}), queue=samples(0, 0, **TIMES[times]))
    assert bad(evidence, "warn") == {"visible": layer}
    told = next(entry.observed for entry in judge(evidence) if entry.id == "probe.visible")
    assert ("60.0 s until ClickHouse had a run" if times == "slow store" else "after 0.5 s") in told


@pytest.mark.parametrize("times", ["quick, storing", "quick, waiting"])
def test_times_that_do_not_explain_a_delay_blame_nobody(times: str) -> None:
    assert bad(replace(with_runs(**LATE), queue=samples(2, 7, 4, **TIMES[times]))) == {"queue_delay": "unknown"}


def test_a_slow_stage_says_where_to_look_first_and_blames_nobody() -> None:
    judged = judge(replace(HEALTHY, thresholds=limits({"auth": 0.05, "connect": 0.01})))
    remedies = {entry.id: entry.remedy for entry in judged if entry.status == "warn"}
    assert "logs deployment/acme-langsmith-backend" in remedies["probe.slow_auth"]
    assert "time_namelookup" in remedies["probe.slow_connect"]


def test_a_bucket_that_forbids_a_payload_may_also_not_have_it() -> None:
    found = next(entry for entry in judge(CASES["14 blob read"][0]) if entry.id == "probe.blob")
    assert "s3:GetObject" in found.remedy
    assert "s3:ListBucket" in found.remedy


def test_a_bucket_that_is_not_reached_is_tried_from_here() -> None:
    found = verdict.fault(verdict.judge(CASES["14 a bucket that is not reached from here"][0]))
    assert found["next_command"] == "curl -sv -o /dev/null https://acme-blobs.s3.eu-central-1.amazonaws.com/"


def with_polls(answer: Observed, failed: int = 1, polls: int = 8) -> Evidence:
    """The evidence with polls that failed before the last one, which was answered."""
    return replace(HEALTHY, answers=(answer, *HEALTHY.answers), polls=(0.1,) * polls, failed_polls=failed)


WARNINGS = {
    "10 a poll that failed": (with_polls(json_answer("read", 500), 7), {"read": "clickhouse-read"}),
    "10 a poll without an answer": (with_polls(silence("read")), {"read": "unknown"}),
    "10 a poll that did not connect": (with_polls(lost("read", "tcp", timed_out=True)), {"read": "unknown"}),
    "10 a poll that a proxy lost": (with_polls(html("read", 502, "nginx")), {"read": "unknown"}),
    "10 a poll over the limit": (with_polls(json_answer("read", 429)), {"read": "quota"}),
    "10 a poll that a firewall blocked": (with_polls(html("read", 403)), {"read": "waf"}),
    "10 a poll whose key was not known": (with_polls(json_answer("read", 401)), {"read": "unknown"}),
    "17 traces that may still arrive": (replace(HEALTHY, unsettled=("id-of-large",)), {"cleanup": "unknown"}),
    "2 health page only": (with_answers(html("front_door", 404, "nginx")), {"front_door": "frontend"}),
    "9 record lost": (with_answers(json_answer("repeat", 202)), {"repeat": "redis"}),
    "10 stored late": (
        replace(
            with_runs(root={"visible_after": 61.0, "inserted": "2026-11-21T10:00:50", "inserted_by": 61.0}),
            queue=samples(0, 0, **TIMES["slow store"]),
        ),
        {"visible": "clickhouse-write"},
    ),
    "10 read late": (
        replace(with_runs(root={"visible_after": 61.0}), polls=(3.0, 4.0)),
        {"visible": "clickhouse-read"},
    ),
    "10 late": (with_runs(root={"visible_after": 61.0}), {"visible": "unknown"}),
    "13 a replica that caught up": (replace(HEALTHY, missing_until=61.0), {"child": "replica-lag"}),
    "13 a child that came late": (with_runs(child={"visible_after": 61.0}), {"child": "unknown"}),
    "14 blob off": (replace(HEALTHY, blob_enabled=False, runs=HEALTHY.runs[:2]), {"blob": "blob-write"}),
    "17 one of two cleanups": (
        replace(HEALTHY, answers=(*HEALTHY.answers[:-1], json_answer("cleanup", 500), HEALTHY.answers[-1])),
        {"cleanup": "backend"},
    ),
    "17 cleanup": (with_answers(json_answer("cleanup", 500)), {"cleanup": "backend"}),
    "slow stage": (
        replace(HEALTHY, thresholds=limits({"auth": 0.05, "complete": 1.5})),
        {"slow_auth": "unknown", "slow_complete": "unknown"},
    ),
}


@pytest.mark.parametrize("case", WARNINGS)
def test_what_is_only_a_warning_leaves_the_installation_healthy(case: str) -> None:
    evidence, expected = WARNINGS[case]
    assert bad(evidence, "warn") == expected
    assert is_healthy(judge(evidence))
    assert layer(evidence) == next((expected[rule] for rule in ("read", "visible", "child") if rule in expected), "")


def test_what_no_poll_told_of_is_not_held_against_a_threshold() -> None:
    late = {"visible_after": 90.0, "complete_after": 95.0, "inserted": ""}
    gaps = {"visible_gap": 31.0, "complete_gap": 40.0}
    evidence = with_runs(root={**late, **gaps}, child={**late, **gaps}, large={**late, **gaps})
    assert {entry.status for entry in judge(evidence)} == {"pass"}
    observed = {entry.id: entry.observed for entry in judge(evidence)}
    assert observed["probe.visible"] == "readable after 59.0 to 90.0 s, as no poll told in between"
    assert {stage["status"] for stage in stages(evidence)} == {"pass"}
    spans = verdict.summary(evidence, 99.0)["charts"][0]["spans"]
    assert {span["status"] for span in spans if span["label"].startswith("root")} == {"pass"}
    surely = {**gaps, "visible_gap": 29.0, "complete_gap": 30.0}
    evidence = with_runs(root={**late, **surely}, child={**late, **surely}, large={**late, **surely})
    assert set(bad(evidence, "warn")) == {"visible", "visible_large", "slow_complete"}
    assert set(bad(evidence, "unknown")) == {"queue_delay"}


def test_a_run_that_may_still_arrive_is_named_with_the_command_that_tells() -> None:
    judged = verdict.judge(replace(HEALTHY, unsettled=("id-of-root", "id-of-large")))
    found = next(entry for entry in judged if entry.finding.id == "probe.cleanup")
    assert "id-of-root, id-of-large" in found.finding.observed
    assert "runs where id = 'id-of-root'" in found.command


def test_polls_of_which_none_was_answered_have_no_warning_beside_the_failure() -> None:
    evidence = with_polls(json_answer("read", 500), 8)
    assert "probe.read" not in {entry.id for entry in judge(evidence)}


def test_copies_that_are_there_in_time_are_no_lag() -> None:
    judged = judge(replace(HEALTHY, missing_until=0.4))
    assert {entry.status for entry in judged} == {"pass"}
    assert "until 0.4 s" in next(entry.observed for entry in judged if entry.id == "probe.child")


TIMED: dict[str, Any] = {"waited": (Latency(5, 10), Latency(5, 10), Latency(5, 10))}
STORED_NOTHING: dict[str, Any] = {"stored": (Latency(1, 10), Latency(1, 10), Latency(1, 10))}
STORED_SOME: dict[str, Any] = {"stored": (Latency(1, 10), Latency(1, 10), Latency(2, 13))}
READABLE_LATE = {"visible_after": 61.0, "inserted": "2026-11-21T10:00:01"}

#: Evidence that leaves the layer open, and words of the command that closes it.
OPEN: dict[str, tuple[Evidence, tuple[str, ...]]] = {
    "504": (CASES["2 silent targets"][0], ("kubectl -n tracing get deployment/acme-langsmith-frontend",)),
    "a proxy that is not used": (
        CASES["1 a proxy that alone may know the way (tcp, silence)"][0],
        ("curl -sv -o /dev/null https://langsmith.test/",),
    ),
    "a handshake that hangs": (CASES["1 handshake hangs"][0], ("openssl s_client",)),
    "no counters": (CASES["11e no counters"][0], ("service/acme-langsmith-platform-backend 1986", "format=json")),
    "lost, and something was stored": (with_queue(0, 0, 0, **EMPTY, **STORED_SOME), ("runs where id = 'id-of-root'",)),
    "lost, and nothing was stored": (
        with_queue(0, 0, 0, **EMPTY, **TIMED, **STORED_NOTHING),
        ("logs -l app.kubernetes.io/component=acme-langsmith-ingest-queue", "grep id-of-root"),
    ),
    "lost, and the workers tell no times": (CASES["11d lost"][0], ("runs where id = 'id-of-root'",)),
    "patches, no counters": (CASES["12 nothing is known of the patches"][0], ("format=json",)),
    "a child that never came": (CASES["13 child missing"][0], ("runs where id = 'id-of-child'",)),
    "a large trace, no counters": (
        CASES["11e a large trace, no counters"][0],
        ("-ingest-queue --prefix", "grep id-of-large", "format=json"),
    ),
    "a large trace, and what is tried again is not told": (
        CASES["11e a large trace, and what is tried again is not told"][0],
        ("grep id-of-large", "format=json"),
    ),
    "inserted late": (CASES["15 delay"][0], ("deployment/acme-langsmith-ingest-queue 1989", "latency_seconds")),
    "inserted at once and readable late": (with_runs(root=READABLE_LATE), ("system.replicas",)),
    "read late, no times": (with_runs(root={"visible_after": 70.0, "inserted": ""}), ("runs where id",)),
    "readable late and inserted late": (
        with_runs(root={"visible_after": 70.0, "inserted": "2026-11-21T10:00:58", "inserted_by": 70.0}),
        ("latency_seconds",),
    ),
    "a queue that cannot be written": (
        CASES["8 an update that backend refuses says nothing"][0],
        ("logs deployment/acme-langsmith-platform-backend",),
    ),
    "a queue that grows in front of workers that work": (
        CASES["11a a queue that grows in front of workers that work"][0],
        ("latency_seconds",),
    ),
    "a busy queue whose workers stored more than waited": (
        CASES["11b a busy queue of short storing"][0],
        ("runs where id = 'id-of-root'",),
    ),
    "reads that nobody answers as they were answered": (
        with_answers(json_answer("auth", 402), until="auth"),
        ("logs deployment/acme-langsmith-backend",),
    ),
    "feedback that is refused": (CASES["16 feedback refused"][0], ("logs deployment/acme-langsmith-backend",)),
    "feedback that never came": (CASES["16 feedback never listed"][0], ("format=json",)),
}


@pytest.mark.parametrize("case", OPEN)
def test_what_stays_unknown_names_the_command_that_decides(case: str) -> None:
    evidence, words = OPEN[case]
    found = verdict.fault(verdict.judge(evidence))
    assert found["layer"] == "unknown"
    assert [word for word in words if word not in found["next_command"]] == []


def test_stages_that_were_not_reached_are_unknown_and_never_passed() -> None:
    findings = judge(with_answers(json_answer("auth", 401), until="auth"))
    assert findings[-1].id == "probe.not_reached"
    assert findings[-1].status == "unknown"
    assert "sending the trace" in findings[-1].observed


def test_a_delay_that_cannot_be_known_is_unknown() -> None:
    evidence = with_runs(root={"visible_after": 90.0, "inserted": ""})
    assert bad(evidence, "unknown") == {"queue_delay": "unknown"}
    assert not is_healthy(judge(evidence))


def test_no_evidence_at_all_is_not_healthy() -> None:
    assert not is_healthy(judge(Evidence(place=PLACE)))


def test_remedies_name_the_installations_own_namespace_and_release() -> None:
    finding = next(entry for entry in judge(CASES["11a workers"][0]) if entry.id == "probe.visible")
    assert "kubectl -n tracing describe deployment/acme-langsmith-ingest-queue" in finding.remedy


@pytest.mark.parametrize(
    ("pending", "more", "trend"),
    [
        ((3, 7, 7), {}, "unclear"),
        ((3, 7, 7), {"active": (2, 0, 0)}, "stuck"),
        ((0, 4, 4, 4), {"active": (1, 1, 0, 0)}, "stuck"),
        ((3, 7, 7), {"active": (0, 0, 1)}, "growing"),
        ((0, 4), {"active": (0, 0)}, "stuck"),
        ((3, 90, 40), {}, "draining"),
        ((0, 0), {"retry": (0, 3)}, "retrying"),
        ((0, 2, 0, 1), {"retry": (0, 3, 0, 3)}, "retrying"),
        ((0, 0), {"retry": (5, 5)}, "unclear"),
        ((4, 0), {"retry": (5, 0)}, "empty"),
        ((0, 0), {}, "unclear"),
        ((5, 5, 5), {}, "unclear"),
        ((5,), {}, ""),
    ],
)
def test_the_trend_of_a_queue(pending: tuple[int, ...], more: dict[str, Any], trend: str) -> None:
    assert queue_trend(replace(HEALTHY, queue=samples(*pending, **more))) == trend


def test_a_worker_that_began_anew_tells_no_times() -> None:
    times: dict[str, Any] = {"waited": (Latency(50, 10), Latency(1, 2)), "stored": (Latency(50, 10), Latency(1, 2))}
    assert bad(replace(with_runs(**LATE), queue=samples(0, 0, **times))) == {"queue_delay": "unknown"}


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
        "connect": 0.04,
        "tls": 0.01,
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
    assert documents.server_facts(document) == ("", {})
    assert documents.first_id(document) == documents.id_of(document, "x") == ""
    assert documents.runs_by_id(document) == {}
    assert documents.queue_counters(document) == {}
    assert documents.background_queue(document) == {}
    assert documents.free_disk(document) is None


def test_a_histogram_is_summed_over_its_series_of_clickhouse() -> None:
    text = """# TYPE wait histogram
wait_bucket{store="clickhouse",le="+Inf"} 3
wait_sum{store="clickhouse",queue="a"} 1.5
wait_count{store="clickhouse",queue="a"} 2
wait_sum{store="clickhouse",queue="b"} 4e-1
wait_count{store="clickhouse",queue="b"} 1
wait_sum{store="smithdb"} 90
wait_count{store="smithdb"} 9
"""
    assert documents.histogram(text, "wait") == (1.9, 3.0)
    assert documents.histogram(text, "other") is None


def test_every_stage_is_judged_by_its_threshold_and_says_where_that_comes_from() -> None:
    judged = {stage["name"]: stage for stage in stages(replace(HEALTHY, thresholds=limits({"visible": 0.5})))}
    assert judged["visible"] == {
        "name": "visible", "seconds": 1.0, "threshold": 0.5, "status": "warn", "source": "option thresholds",
    }  # fmt: skip
    assert judged["read"]["status"] == "pass"
    assert "P0 production checklist" in judged["read"]["source"]


def test_charts_show_every_stage_and_a_distribution_only_of_several_polls() -> None:
    few = verdict.summary(HEALTHY, 3.0)["charts"]
    many = verdict.summary(replace(HEALTHY, polls=(0.004, 0.03, 0.04, 0.3, 99.0)), 3.0)["charts"]
    assert [chart["kind"] for chart in few] == ["timeline", "bars"]
    assert [chart["kind"] for chart in many] == ["timeline", "bars", "histogram"]
    assert sum(bucket["count"] for bucket in many[2]["buckets"]) == 5
    assert len(parse_charts(many)) == 3
    labels = {span["label"]: span["status"] for span in few[0]["spans"]}
    assert labels["repeat"] == "pass"
    assert labels["root complete"] == "pass"


def test_a_threshold_of_zero_is_refused_by_its_name() -> None:
    with pytest.raises(ValueError, match="visible: 0"):
        limits({"visible": 0.0, "read": 1.0})


def test_a_cluster_that_was_asked_and_told_nothing_is_a_warning() -> None:
    blind = replace(HEALTHY, cluster_reason="forbidden", queue=(QueueSample(0.0, reason="forbidden"),))
    assert bad(blind, "warn") == {"inside": "unknown"}
    assert next(entry.observed for entry in judge(blind) if entry.id == "probe.inside") == "forbidden"
    assert layer(blind) == ""
    seeing = replace(HEALTHY, workloads=ALL_PODS, queue=(QueueSample(0.0, 1),))
    assert "2 of 2 pods of ingest-queue" in next(
        entry.observed for entry in judge(seeing) if entry.id == "probe.inside"
    )


def test_a_large_trace_that_alone_never_appears_has_both_layers_named_until_the_counters_tell() -> None:
    told = next(entry for entry in verdict.judge(with_runs(large=LOST)) if entry.finding.id == "probe.visible_large")
    assert told.finding.component == "unknown"
    assert "blob-write where the log" in told.finding.remedy
    assert "redis where nothing waits" in told.finding.remedy
    assert told.witness.startswith("the small trace of the same moment is complete")


@pytest.mark.parametrize(
    ("inserted", "by", "seconds"),
    [
        ("2026-11-21T10:00:01", 0.95, 1.0),
        ("2026-11-21T10:00:01", 0.85, None),
        ("2026-11-21T09:59:59.9", 9.0, None),
        ("2026-11-21T10:00:00", 0.0, 0.0),
        ("", 9.0, None),
    ],
)
def test_a_delay_lies_between_sending_and_seeing_or_is_none(inserted: str, by: float, seconds: float | None) -> None:
    evidence = with_runs(root={"inserted": inserted, "inserted_by": by})
    root = evidence.run("root")
    assert root is not None
    assert evidence.measured_delay(root) == seconds
    assert timings(evidence, 1.0).get("queue_delay") == seconds


def test_clocks_that_differ_leave_open_where_a_late_run_was_late() -> None:
    evidence = with_runs(root={"visible_after": 90.0, "inserted": "2026-11-21T10:09:00", "inserted_by": 90.0})
    assert bad(evidence, "unknown") == {"queue_delay": "unknown"}
    observed = {entry.id: entry.observed for entry in judge(evidence)}
    assert "540.0 s, which cannot be" in observed["probe.queue_delay"]
    assert "540.0 s, which cannot be" in observed["probe.visible"]


def test_a_trace_is_complete_when_its_last_run_is() -> None:
    assert timings(with_runs(child={"complete_after": 7.0}), 9.0)["complete"] == 7.0
    assert "complete" not in timings(with_runs(child=PENDING), 9.0)


@pytest.mark.parametrize(
    ("listed", "found"),
    [
        ([{"id": "1", "name": "other"}, {"id": "2", "name": "mine"}], "2"),
        ([{"id": "1", "name": "mine-too"}, {"id": "2", "name": "Mine"}, {"id": "3"}, 4, None], ""),
        ([], ""),
    ],
)
def test_an_id_is_taken_by_its_name_and_not_by_its_place(listed: Any, found: str) -> None:
    assert documents.id_of(listed, "mine") == found


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 10**400, "5", True, None])
def test_numbers_that_are_none_are_not_told(value: Any) -> None:
    assert documents.queue_counters({"ingestion_queue": {"pending": value, "retry": 2.0}}) == {"retry": 2}
    assert documents.free_disk({"clickhouse_disk_free_pct": value}) is None


def test_a_series_without_a_number_is_left_out() -> None:
    text = 'wait_sum 1.2.3\nwait_sum NaN\nwait_sum +-e\nwait_sum{a="b"} 2.5e+1\nwait_count 4\nwait_count 1e999\n'
    assert documents.histogram(text, "wait") == (25.0, 4.0)
