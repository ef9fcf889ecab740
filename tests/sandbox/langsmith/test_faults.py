# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is seen from outside when a part of the installation is taken away: symptoms follow from causes."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from tests.sandbox.langsmith.installation import Installation, call, until
from tests.sandbox.langsmith.test_api import query, run, send

Outage = Callable[[], AbstractContextManager[None]]


def depth(langsmith: Installation) -> dict[str, int]:
    """The ingestion queue's state."""
    found: dict[str, int] = call(langsmith.ports["platform-backend"], "GET", "/metrics?format=json")[1][
        "ingestion_queue"
    ]
    return found


def stored(langsmith: Installation, api_key: str, sent: dict[str, Any]) -> bool:
    """Whether a run can be read."""
    return langsmith.api("GET", f"/api/v1/runs/{sent['id']}", x_api_key=api_key)[0] == 200


def test_without_platform_backend_nginx_answers_502_and_reads_go_on(langsmith: Installation, api_key: str) -> None:
    with langsmith.without("platform-backend"):
        status, body, headers = send(langsmith, api_key, run())
        assert (status, headers["content-type"]) == (502, "text/html")
        assert b"Bad Gateway" in body
        assert langsmith.api("GET", "/health")[0] == 200
        assert query(langsmith, api_key, limit=1) is not None
    assert send(langsmith, api_key, run())[0] == 202


def test_without_a_worker_runs_wait_in_redis_and_are_stored_later(langsmith: Installation, api_key: str) -> None:
    sent = run()
    with langsmith.without("ingest-queue"):
        before = depth(langsmith)["pending"]
        assert send(langsmith, api_key, sent)[0] == 202
        assert depth(langsmith)["pending"] == before + 1
        assert langsmith.api("GET", f"/api/v1/runs/{sent['id']}", x_api_key=api_key)[0] == 404
    assert until(lambda: stored(langsmith, api_key, sent), "run is stored")


def test_without_clickhouse_reads_fail_and_writes_are_tried_again(
    langsmith: Installation, api_key: str, without_clickhouse: Outage
) -> None:
    sent = run()
    with without_clickhouse():
        assert langsmith.api("POST", "/api/v1/runs/query", {"limit": 1}, x_api_key=api_key)[0] == 500
        assert langsmith.api("GET", "/api/v1/sessions?include_stats=False", x_api_key=api_key)[0] == 200
        assert send(langsmith, api_key, sent)[0] == 202
        assert until(lambda: depth(langsmith)["retry"], "the task waits for another try")
    assert until(lambda: stored(langsmith, api_key, sent), "run is stored after all")


def test_without_redis_ingest_fails_and_projects_are_still_read(
    langsmith: Installation, api_key: str, without_redis: Outage
) -> None:
    with without_redis():
        assert send(langsmith, api_key, run())[0] == 500
        assert langsmith.api("GET", "/api/v1/sessions", x_api_key=api_key)[0] == 200
    assert until(lambda: send(langsmith, api_key, run())[0] == 202, "ingest works again")


def test_a_run_that_redis_lost_is_never_seen_and_leaves_no_task(langsmith: Installation, api_key: str) -> None:
    sent = run()
    langsmith.stop("platform-backend")
    langsmith.start("platform-backend", REDIS_RUNS_EXPIRY_SECONDS="1")
    try:
        with langsmith.without("ingest-queue"):
            assert send(langsmith, api_key, sent)[0] == 202
            # The same answer as long as Redis remembers, another one when it has forgotten.
            assert until(lambda: send(langsmith, api_key, sent)[0] == 202, "Redis has forgotten the run")
        assert until(lambda: depth(langsmith)["pending"] == 0, "the queue is empty")
    finally:
        langsmith.stop("platform-backend")
        langsmith.start("platform-backend")


def test_a_bucket_that_is_not_there_fails_large_runs_only(langsmith: Installation, api_key: str) -> None:
    langsmith.stop("platform-backend")
    langsmith.start("platform-backend", S3_BUCKET_NAME="no-such-bucket")
    try:
        assert send(langsmith, api_key, run(inputs={"text": "x" * 30_000}))[0] == 500
        assert send(langsmith, api_key, run())[0] == 202
    finally:
        langsmith.stop("platform-backend")
        langsmith.start("platform-backend")


def test_the_liveness_check_of_queue_needs_a_worker_that_reports(langsmith: Installation) -> None:
    words = ("saq", "app.workers.queues.single_queue_worker.settings", "--check")
    assert until(lambda: langsmith.job(*words).returncode == 0, "the worker has reported")
    failed = langsmith.job(*words, REDIS_DATABASE_URI="redis://127.0.0.1:1/0")
    assert failed.returncode == 1
    assert "cannot connect to Redis at 127.0.0.1:1" in failed.stdout
