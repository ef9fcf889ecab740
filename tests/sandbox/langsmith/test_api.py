# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the services answer to requests that the SDK does not make, or makes when something is wrong."""

from __future__ import annotations

import gzip
import json
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.sandbox.langsmith.installation import (
    ADMIN_EMAIL,
    ADMIN_PASSWORD,
    DEADLINE_SECONDS,
    Installation,
    call,
    until,
)


def run(**changed: Any) -> dict[str, Any]:
    """A finished root run."""
    run_id, now = str(uuid.uuid4()), datetime.now(UTC)
    return {
        "id": run_id,
        "trace_id": run_id,
        "dotted_order": now.strftime("%Y%m%dT%H%M%S%fZ") + run_id,
        "name": "probe",
        "run_type": "chain",
        "session_name": "probe",
        "start_time": now.isoformat(),
        "end_time": now.isoformat(),
        "inputs": {"question": "ping"},
        "outputs": {"answer": "pong"},
        **changed,
    }


def send(langsmith: Installation, api_key: str, *runs: dict[str, Any]) -> tuple[int, Any, dict[str, str]]:
    """Post runs as one JSON batch."""
    return langsmith.api("POST", "/api/v1/runs/batch", {"post": list(runs), "patch": []}, x_api_key=api_key)


def query(langsmith: Installation, api_key: str, **body: Any) -> list[dict[str, Any]]:
    """The runs that a query finds."""
    status, found, _ = langsmith.api("POST", "/api/v1/runs/query", body, x_api_key=api_key)
    assert status == 200
    runs: list[dict[str, Any]] = found["runs"]
    return runs


@pytest.mark.parametrize("path", ["/health", "/api/v1/info", "/api/v1/ok", "/api/v1/health", "/api/v1/info/health"])
def test_health_and_info_need_no_key(langsmith: Installation, path: str) -> None:
    assert langsmith.api("GET", path)[0] == 200


def test_info_has_all_six_batch_settings(langsmith: Installation) -> None:
    _, info, _ = langsmith.api("GET", "/api/v1/info")
    assert set(info["batch_ingest_config"]) == {
        "use_multipart_endpoint",
        "size_limit",
        "size_limit_bytes",
        "scale_up_qsize_trigger",
        "scale_up_nthreads_limit",
        "scale_down_nempty_trigger",
    }
    assert info["instance_flags"]["zstd_compression_enabled"] is True
    assert info["instance_flags"]["blob_storage_enabled"] is True


def test_the_root_is_the_page_of_the_ui(langsmith: Installation) -> None:
    status, body, headers = langsmith.api("GET", "/projects/p/1")
    assert (status, headers["content-type"]) == (200, "text/html")
    assert b"LangSmith" in body


def test_a_batch_is_stored_once(langsmith: Installation, api_key: str) -> None:
    sent = run()
    assert send(langsmith, api_key, sent)[0] == 202
    status, body, _ = send(langsmith, api_key, sent)
    assert status == 409
    assert "payload already received" in body["error"]


def test_both_times_of_a_run_are_read_when_asked_for(langsmith: Installation, api_key: str) -> None:
    sent = run()
    send(langsmith, api_key, sent)
    select = ["trace_first_received_at", "inserted_at"]
    found = until(lambda: query(langsmith, api_key, id=[sent["id"]], select=select), "run is stored")[0]
    received, inserted = (datetime.fromisoformat(found[name]) for name in select)
    assert timedelta(0) <= inserted - received < timedelta(seconds=DEADLINE_SECONDS)
    assert "inserted_at" not in query(langsmith, api_key, id=[sent["id"]])[0]


def test_a_run_without_an_end_is_pending_until_it_is_patched(langsmith: Installation, api_key: str) -> None:
    sent = run(end_time=None, outputs=None, extra={"metadata": {"a": 1}})
    send(langsmith, api_key, sent)
    found = until(lambda: query(langsmith, api_key, id=[sent["id"]]), "run is stored")[0]
    assert found["status"] == "pending"
    patch = {"end_time": sent["start_time"], "outputs": {"answer": 1}, "extra": {"metadata": {"b": 2}}, "tags": None}
    assert langsmith.api("PATCH", f"/api/v1/runs/{sent['id']}", patch, x_api_key=api_key)[0] == 200
    status, again, _ = langsmith.api("PATCH", f"/api/v1/runs/{sent['id']}", patch, x_api_key=api_key)
    assert (status, "Conflict" in again["error"]) == (409, True)

    def ended() -> Any:
        runs = query(langsmith, api_key, id=[sent["id"]])
        return runs[0] if runs[0]["status"] == "success" else None

    found = until(ended, "update is stored")
    assert (found["inputs"], found["outputs"]) == (sent["inputs"], {"answer": 1})
    assert found["extra"] == {"metadata": {"a": 1, "b": 2}}


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"trace_id": str(uuid.uuid4())}, "trace_id does not match first part"),
        ({"dotted_order": "yesterday"}, "invalid part"),
        ({"parent_run_id": str(uuid.uuid4())}, "parent_run_id"),
    ],
)
def test_a_wrong_dotted_order_refuses_the_whole_batch(
    langsmith: Installation, api_key: str, changed: dict[str, Any], why: str
) -> None:
    good, bad = run(), run(**changed)
    status, body, _ = send(langsmith, api_key, good, bad)
    assert status == 400
    assert "invalid 'dotted_order'" in body["error"]
    assert why in body["error"]
    assert send(langsmith, api_key, good)[0] == 202


def test_a_session_id_that_is_no_uuid_is_refused_by_its_place(langsmith: Installation, api_key: str) -> None:
    status, body, _ = send(langsmith, api_key, run(session_id="mine"))
    assert status == 422
    assert "batch schema error post.0.session_id" in body["error"]


def _multipart(sent: dict[str, Any]) -> bytes:
    data = json.dumps(sent).encode()
    head = f'--b\r\nContent-Disposition: form-data; name="post.{sent["id"]}"\r\nContent-Type: application/json; '
    return head.encode() + b"length=%d\r\n\r\n" % len(data) + data + b"\r\n--b--\r\n"


@pytest.mark.parametrize("encoding", ["", "gzip"])
def test_a_multipart_body_is_taken_plain_and_gzipped(langsmith: Installation, api_key: str, encoding: str) -> None:
    sent = {name: value for name, value in run().items() if name not in {"inputs", "outputs"}}
    body = _multipart(sent)
    headers = {"x-api-key": api_key, "Content-Type": "multipart/form-data; boundary=b"}
    if encoding:
        body, headers = gzip.compress(body), {**headers, "Content-Encoding": encoding}
    assert call(langsmith.ports["frontend"], "POST", "/api/v1/runs/multipart", body, headers)[0] == 202
    assert until(lambda: query(langsmith, api_key, id=[sent["id"]]), "run is stored")


def test_a_truncated_multipart_body_is_unprocessable(langsmith: Installation, api_key: str) -> None:
    headers = {"x-api-key": api_key, "Content-Type": "multipart/form-data; boundary=b"}
    status, body, _ = call(
        langsmith.ports["frontend"], "POST", "/api/v1/runs/multipart", _multipart(run())[:-20], headers
    )
    assert status == 422
    assert "NextPart: EOF" in body["error"]


def test_a_body_over_25_megabytes_is_refused_by_nginx(langsmith: Installation, api_key: str) -> None:
    headers = {"x-api-key": api_key, "Content-Type": "application/json", "Content-Length": str(26 * 1024**2)}
    status, body, found = call(langsmith.ports["frontend"], "POST", "/api/v1/runs/batch", b"", headers)
    assert (status, found["content-type"]) == (413, "text/html")
    assert b"Request Entity Too Large" in body


@pytest.mark.parametrize("path", ["/api/v1/sessions", "/api/v1/runs/batch"])
@pytest.mark.parametrize("headers", [{}, {"x_api_key": "lsv2_pt_wrong"}, {"Authorization": "Bearer x.y.z"}])
def test_nothing_is_told_without_a_valid_key(langsmith: Installation, path: str, headers: dict[str, str]) -> None:
    method = "GET" if path.endswith("sessions") else "POST"
    status, body, _ = langsmith.api(method, path, {} if method == "POST" else None, **headers)
    assert (status, body["detail"]) == (401, "Invalid token")


def test_a_legacy_key_is_told_so(langsmith: Installation) -> None:
    status, body, _ = langsmith.api("GET", "/api/v1/sessions", x_api_key="ls__old")
    assert (status, "legacy" in body["detail"]) == (401, True)


def test_a_workspace_that_is_not_the_key_s_is_forbidden(langsmith: Installation, api_key: str) -> None:
    status, _, _ = langsmith.api("GET", "/api/v1/sessions", x_api_key=api_key, X_Tenant_Id=str(uuid.uuid4()))
    assert status == 403


def test_an_administrator_logs_in_and_makes_keys_that_end_when_they_are_deleted(langsmith: Installation) -> None:
    status, _, _ = langsmith.api("POST", "/api/v1/login", {"email": ADMIN_EMAIL, "password": "wrong"})
    assert status == 401
    _, login, _ = langsmith.api("POST", "/api/v1/login", {"email": ADMIN_EMAIL, "password": ADMIN_PASSWORD})
    bearer = f"Bearer {login['access_token']}"
    tenant = langsmith.api("GET", "/api/v1/workspaces", Authorization=bearer)[1][0]["id"]
    path = "/api/v1/orgs/current/service-keys"
    _, made, _ = langsmith.api("POST", path, {"description": "probe", "read_only": True}, Authorization=bearer)
    assert made["key"].startswith("lsv2_sk_")
    listed = langsmith.api("GET", path, Authorization=bearer)[1]
    assert made["id"] in {key["id"] for key in listed}
    assert all("key" not in key for key in listed)
    status, body, _ = langsmith.api("GET", "/api/v1/sessions", x_api_key=made["key"])
    assert (status, body["error"]) == (403, "org_scoped_key_requires_workspace")
    assert langsmith.api("GET", "/api/v1/sessions", x_api_key=made["key"], X_Tenant_Id=tenant)[0] == 200
    assert langsmith.api("POST", "/api/v1/sessions", {}, x_api_key=made["key"], X_Tenant_Id=tenant)[0] == 403
    assert langsmith.api("DELETE", f"{path}/{made['id']}", Authorization=bearer)[0] == 200
    assert langsmith.api("GET", "/api/v1/sessions", x_api_key=made["key"], X_Tenant_Id=tenant)[0] == 401


def test_workspaces_do_not_see_each_other_s_runs(langsmith: Installation, api_key: str) -> None:
    _, login, _ = langsmith.api("POST", "/api/v1/login", {"email": ADMIN_EMAIL, "password": ADMIN_PASSWORD})
    bearer = f"Bearer {login['access_token']}"
    other = langsmith.api("POST", "/api/v1/workspaces", {"display_name": "other"}, Authorization=bearer)[1]["id"]
    sent = run()
    send(langsmith, api_key, sent)
    assert until(lambda: query(langsmith, api_key, id=[sent["id"]]), "run is stored")
    status, found, _ = langsmith.api(
        "POST", "/api/v1/runs/query", {"id": [sent["id"]]}, Authorization=bearer, X_Tenant_Id=other
    )
    assert (status, found["runs"]) == (200, [])


def test_runs_of_a_deleted_trace_disappear(langsmith: Installation, api_key: str) -> None:
    sent = run()
    send(langsmith, api_key, sent)
    assert until(lambda: query(langsmith, api_key, id=[sent["id"]]), "run is stored")
    status, _, _ = langsmith.api("POST", "/api/v1/runs/delete", {"trace_ids": [sent["id"]]}, x_api_key=api_key)
    assert status == 200
    assert until(lambda: not query(langsmith, api_key, id=[sent["id"]]), "run is gone")


def test_version_2_answers_in_capitals_with_what_was_selected(langsmith: Installation, api_key: str) -> None:
    sent = run()
    send(langsmith, api_key, sent)
    assert until(lambda: query(langsmith, api_key, id=[sent["id"]]), "run is stored")
    body = {"ids": [sent["id"]], "selects": ["STATUS", "RUN_TYPE"]}
    _, found, _ = langsmith.api("POST", "/api/v2/runs/query", body, x_api_key=api_key)
    assert found["items"] == [{"id": sent["id"], "status": "SUCCESS", "run_type": "CHAIN"}]
    status, problem, _ = langsmith.api("GET", f"/api/v2/runs/{uuid.uuid4()}", x_api_key=api_key)
    assert (status, problem["title"]) == (404, "Run not found")


def test_a_filter_that_is_not_understood_is_a_bad_request(langsmith: Installation, api_key: str) -> None:
    body = {"filter": "eq(name, "}
    assert langsmith.api("POST", "/api/v1/runs/query", body, x_api_key=api_key)[0] == 400
    body = {"filter": 'and(eq(name, "it\'s"), not(has(tags, "x")))'}
    assert langsmith.api("POST", "/api/v1/runs/query", body, x_api_key=api_key)[0] == 200


def test_queue_depths_are_told_in_json_and_as_text(langsmith: Installation) -> None:
    port = langsmith.ports["platform-backend"]
    _, depths, _ = call(port, "GET", "/metrics?format=json")
    assert {"ingestion_queue", "feedback_queue", "adhoc_queue"} == set(depths)
    assert depths["ingestion_queue"]["pending"] >= 0
    _, text, _ = call(port, "GET", "/metrics")
    assert b"langsmith_asynq_ingestion_queue_retry" in text
    _, depth, _ = call(langsmith.ports["backend"], "GET", "/metrics/queue/default")
    assert depth == {"queued": 0, "active": 0, "scheduled": 0}


def test_the_worker_measures_from_receipt_to_storage(langsmith: Installation, api_key: str) -> None:
    sent = run()
    send(langsmith, api_key, sent)
    assert until(lambda: query(langsmith, api_key, id=[sent["id"]]), "run is stored")

    def counted() -> bool:
        _, text, _ = call(langsmith.ports["ingest-queue"], "GET", "/metrics")
        lines = [line for line in text.decode().splitlines() if line.startswith("langsmith_ingestion_e2e_latency")]
        return int(lines[-1].split()[-1]) > 0

    assert until(counted, "the run is counted")
