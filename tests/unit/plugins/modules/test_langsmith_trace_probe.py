# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.amazon.aws.plugins.module_utils.modules import aws_argument_spec
from ansible_collections.langsmith.aws.plugins.module_utils.clients import langsmith as langsmith_client
from ansible_collections.langsmith.aws.plugins.module_utils.clients import trace_reading
from ansible_collections.langsmith.aws.plugins.module_utils.domain.probe.thresholds import LIMITS
from ansible_collections.langsmith.aws.plugins.modules import langsmith_trace_probe

from tests.unit.plugins.leaping import Leaping
from tests.unit.plugins.scripted import OVERDUE, Asked, Running, Said, make_authority, page, said, serve
from tests.unit.plugins.scripted_langsmith import KEY, NOT_FOUND, ScriptedLangSmith, ingests, on

Probe = Callable[..., dict[str, Any]]
#: What takes as long as the machine of the tests lets it take.
MEASURED_HERE = sorted(LIMITS.keys() - {"queue_delay"})


@pytest.fixture
def langsmith() -> ScriptedLangSmith:
    return ScriptedLangSmith()


@pytest.fixture
def server(langsmith: ScriptedLangSmith) -> Iterator[Running]:
    with serve(langsmith) as running:
        yield running


@pytest.fixture
def probe(
    server: Running,
    capfd: pytest.CaptureFixture[str],
    impatient: None,
    unproxied: None,
    leaping: Callable[..., Leaping],
) -> Probe:
    """Runs the module, with time for everything but ``OVERDUE``; what it waits between two looks takes none."""
    leaping(langsmith_client, trace_reading)

    def run(**options: Any) -> dict[str, Any]:
        patient = {"wait_timeout": 60, "wait_sleep": 1, "timeout": 60, "connect_timeout": 60, "api_key": KEY}
        thresholds = {**dict.fromkeys(MEASURED_HERE, 600.0), **options.pop("thresholds", {})}
        thresholds = {} if "load" in options else thresholds
        given = {"endpoint": f"http://{server.address}", "thresholds": thresholds, **patient, **options}
        arguments = {name: value for name, value in given.items() if value is not None}
        with patch_module_args(arguments), pytest.raises(SystemExit):
            langsmith_trace_probe.main()
        text = capfd.readouterr().out
        assert KEY not in text
        return json.loads(text)

    return run


def findings(result: dict[str, Any], status: str) -> dict[str, str]:
    """Components by the short ids of the findings with that status."""
    return {
        entry["id"].removeprefix("probe."): entry["component"]
        for entry in result["findings"]
        if entry["status"] == status
    }


def test_a_healthy_installation_passes_every_stage_and_keeps_nothing(
    probe: Probe, langsmith: ScriptedLangSmith, server: Running
) -> None:
    result = probe()
    assert result["healthy"]
    assert result["changed"]
    assert {entry["status"] for entry in result["findings"]} == {"pass"}
    assert [entry["id"].removeprefix("probe.") for entry in result["findings"]] == [
        "transport",
        "front_door",
        "info",
        "backend",
        "auth",
        "project",
        "control_read",
        "post_small",
        "post_large",
        "repeat",
        "patch_small",
        "patch_large",
        "visible",
        "complete",
        "complete_child",
        "visible_large",
        "complete_large",
        "child",
        "queue_delay",
        "payload_root",
        "payload_child",
        "blob",
        "cleanup",
    ]
    assert langsmith.projects == {}
    assert set(result["timings"]) == {
        "connect", "info", "auth", "project", "accepted", "visible", "complete", "queue_delay", "read", "blob", "total",
    }  # fmt: skip
    assert result["timings"]["queue_delay"] == 0.0001
    assert result["trace_url"].startswith(f"http://{server.address}/o/")
    assert result["trace_url"].endswith(result["run_id"])
    assert len(server.connections) == 1


def test_the_large_input_is_64_kib_and_the_small_trace_is_a_root_with_a_child(
    probe: Probe, langsmith: ScriptedLangSmith
) -> None:
    result = probe()
    root = langsmith.runs[result["run_id"]]
    child = next(run for run in langsmith.runs.values() if run.get("parent_run_id") == root["id"])
    large = next(run for run in langsmith.runs.values() if "s3_urls" in run)
    assert child["dotted_order"].startswith(root["dotted_order"] + ".")
    assert child["trace_id"] == root["trace_id"] == root["id"]
    assert len(large["inputs"]["content"]) == 64 * 1024


def test_feedback_is_sent_and_listed_where_it_is_wanted(probe: Probe, langsmith: ScriptedLangSmith) -> None:
    result = probe(feedback=True)
    assert result["healthy"]
    assert [entry["run_id"] for entry in langsmith.feedback] == [result["run_id"]]
    assert result["timings"]["feedback"] >= 0


def test_bodies_are_compressed_where_that_is_wanted(probe: Probe, langsmith: ScriptedLangSmith) -> None:
    result = probe(compression="zstd")
    assert result["healthy"]
    assert set(langsmith.encodings) == {"zstd"}
    assert "compression" in findings(result, "pass")


def test_a_refused_encoding_is_named_and_everything_else_is_tried_plain(
    probe: Probe, langsmith: ScriptedLangSmith
) -> None:
    def refuse(asked: Asked) -> Said | None:
        return said({"error": "Unsupported media type"}, 415) if asked.headers.get("content-encoding") else None

    langsmith.faults.append(refuse)
    result = probe(compression="zstd")
    assert findings(result, "fail") == {"compression": "platform-backend"}
    assert "compression to none" in next(
        entry["remedy"] for entry in result["findings"] if entry["id"] == "probe.compression"
    )
    assert set(langsmith.encodings) == {""}


def test_compression_without_its_package_says_what_to_install(
    probe: Probe, server: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "zstandard", None)
    result = probe(compression="zstd")
    assert result["failed"]
    assert "pip install zstandard" in result["msg"]
    assert server.connections == []


def test_a_workspace_that_the_key_is_not_for_is_told_from_a_bad_key(probe: Probe, langsmith: ScriptedLangSmith) -> None:
    def elsewhere(asked: Asked) -> Said | None:
        return said({"detail": "Forbidden"}, 403) if asked.headers.get("x-tenant-id") else None

    langsmith.faults.append(on("GET", "/api/v1/sessions", elsewhere))
    result = probe(workspace_id="33333333-3333-4333-8333-333333333333")
    assert findings(result, "fail") == {"auth": "workspace"}
    assert [witness["status"] for witness in result["witnesses"]] == ["fail", "pass"]


def test_a_result_names_the_layer_its_witnesses_and_the_next_command(
    probe: Probe, langsmith: ScriptedLangSmith
) -> None:
    langsmith.faults.append(on("GET", "/api/v1/ok", page(502, "nginx")))
    result = probe(namespace="tracing", release="acme")
    assert result["layer"] == "backend"
    assert [witness["stage"] for witness in result["witnesses"]] == ["backend", "neighbour"]
    assert result["next_command"] == "kubectl -n tracing describe deployment/acme-langsmith-backend"
    assert result["charts"][0]["kind"] == "timeline"


def test_an_answer_that_repeats_the_key_does_not_tell_it(probe: Probe, langsmith: ScriptedLangSmith) -> None:
    def repeat(asked: Asked) -> Said | None:
        # The second one would be cut within the key.
        told = f"invalid key {asked.headers['x-api-key']}" + "." * 130 + asked.headers["x-api-key"]
        return Said(401, told.encode(), "text/plain", {"Server": asked.headers["x-api-key"]})

    langsmith.faults.append(on("GET", "/api/v1/sessions", repeat))
    result = probe()
    refused = next(answer for answer in result["answers"] if answer["stage"] == "auth")
    assert refused["head"].startswith("invalid key ********...")
    assert refused["server"] == "********"
    assert KEY[:16] not in json.dumps(result)


def test_where_a_redirect_leads_is_told_without_what_its_address_allows(
    probe: Probe, langsmith: ScriptedLangSmith
) -> None:
    where = "https://bucket.example.org/runs/1"
    langsmith.faults.append(on("GET", "/api/v1/sessions", Said(307, headers={"Location": f"{where}?signature=xyz#a"})))
    result = probe()
    assert where in json.dumps(result["answers"])
    assert "xyz" not in json.dumps(result)


def test_check_mode_sends_nothing_and_says_what_it_would_send(probe: Probe, server: Running) -> None:
    result = probe(_ansible_check_mode=True)
    assert result["changed"]
    assert len(result["would_send"]) == 4
    assert server.connections == []


def test_a_named_project_stays_and_only_the_traces_go(probe: Probe, langsmith: ScriptedLangSmith) -> None:
    langsmith.projects["22222222-2222-4222-8222-222222222222"] = "probes"
    result = probe(project="probes")
    assert result["healthy"]
    assert list(langsmith.projects.values()) == ["probes"]
    assert result["run_id"] in langsmith.deleted
    assert result["project"]["kept"]


def test_a_named_project_that_was_missing_stays_too_as_others_may_send_to_it(
    probe: Probe, langsmith: ScriptedLangSmith
) -> None:
    planned = probe(project="my-app", _ansible_check_mode=True)["would_send"]
    assert planned[0].endswith("project my-app, where it is missing")
    assert planned[-1] == "remove the traces from project my-app, which stays"
    result = probe(project="my-app")
    assert result["healthy"]
    assert list(langsmith.projects.values()) == ["my-app"]
    assert set(langsmith.deleted) == {run["trace_id"] for run in langsmith.runs.values()}
    assert result["project"]["kept"]


NO_ANSWER = [OVERDUE, said({"detail": "sick"}, 500), page(504)]


def done_and(langsmith: ScriptedLangSmith, answer: Said) -> Any:
    """A fault of making a project: it is made, and the answer is another or none."""

    def fault(asked: Asked) -> Said:
        langsmith.post_sessions(asked)
        return answer

    return on("POST", "/api/v1/sessions", fault)


@pytest.mark.parametrize("answer", NO_ANSWER)
def test_a_project_that_no_answer_tells_of_is_removed_by_the_id_that_was_wanted(
    probe: Probe, langsmith: ScriptedLangSmith, answer: Said
) -> None:
    langsmith.faults.append(done_and(langsmith, answer))
    result = probe()
    assert not result["healthy"]
    assert result["changed"]
    assert langsmith.projects == {}
    assert len(langsmith.deleted) == 1
    assert not result["project"]["kept"]


def test_a_project_that_was_not_made_needs_no_removing(probe: Probe, langsmith: ScriptedLangSmith) -> None:
    langsmith.faults += [on("POST", "/api/v1/sessions", OVERDUE), on("DELETE", "/api/v1/sessions/*", NOT_FOUND)]
    result = probe()
    assert "cleanup" not in {**findings(result, "warn"), **findings(result, "pass")}
    assert not result["project"]["kept"]


def test_a_named_project_that_no_answer_tells_of_is_left(probe: Probe, langsmith: ScriptedLangSmith) -> None:
    langsmith.faults.append(done_and(langsmith, OVERDUE))
    result = probe(project="my-app")
    assert result["changed"]
    assert list(langsmith.projects.values()) == ["my-app"]
    assert langsmith.deleted == []


def test_a_project_that_is_refused_leaves_nothing_to_remove(probe: Probe, langsmith: ScriptedLangSmith) -> None:
    langsmith.faults.append(on("POST", "/api/v1/sessions", said({"detail": "Forbidden"}, 403)))
    result = probe()
    assert not result["changed"]
    assert result["project"] == {}
    assert langsmith.deleted == []


@pytest.mark.parametrize("answer", NO_ANSWER)
@pytest.mark.parametrize("small", [True, False])
def test_a_trace_that_no_answer_tells_of_is_removed_from_a_named_project(
    probe: Probe, langsmith: ScriptedLangSmith, answer: Said, small: bool
) -> None:
    langsmith.projects["22222222-2222-4222-8222-222222222222"] = "probes"

    def lose(asked: Asked) -> Said | None:
        if not ingests(asked, "post", large=not small):
            return None
        langsmith.post_runs_multipart(asked)
        return answer

    langsmith.faults.append(lose)
    result = probe(project="probes")
    assert result["changed"]
    assert set(langsmith.deleted) == {run["trace_id"] for run in langsmith.runs.values() if "trace_id" in run}
    assert len(langsmith.deleted) == (1 if small else 2)


def test_traces_that_were_refused_are_not_counted_as_written(probe: Probe, langsmith: ScriptedLangSmith) -> None:
    langsmith.projects["22222222-2222-4222-8222-222222222222"] = "probes"
    langsmith.faults.append(on("POST", "/api/v1/runs/multipart", said({"detail": "limit"}, 429)))
    result = probe(project="probes")
    assert not result["changed"]
    assert langsmith.deleted == []


@pytest.mark.parametrize(("method", "path"), [("POST", "/sessions"), ("POST", "/runs/multipart"), ("GET", "/runs/*")])
def test_a_probe_that_is_told_to_end_cleans_up_and_fails_with_a_sentence(
    probe: Probe, langsmith: ScriptedLangSmith, method: str, path: str
) -> None:
    def end(asked: Asked) -> Said:
        langsmith.faults.clear()
        langsmith(asked)
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
        return OVERDUE

    langsmith.faults.append(on(method, f"/api/v1{path}", end))
    result = probe()
    assert result["failed"]
    assert "told to end" in result["msg"]
    assert langsmith.projects == {}
    assert len(langsmith.deleted) == 1


def test_keep_leaves_the_project(probe: Probe, langsmith: ScriptedLangSmith) -> None:
    result = probe(keep=True)
    assert list(langsmith.projects) == [result["project"]["id"]]
    assert result["project"]["kept"]
    assert langsmith.deleted == []


def test_without_blob_storage_no_large_trace_is_sent_and_a_warning_says_so(
    probe: Probe, langsmith: ScriptedLangSmith
) -> None:
    langsmith.blob_storage = False
    result = probe()
    assert result["healthy"]
    assert findings(result, "warn") == {"blob": "blob-write"}
    assert len(langsmith.runs) == 2


SICK_STORE = said({"detail": "Internal server error"}, 500)


@pytest.mark.parametrize(
    ("faults", "failed"),
    [
        ([on("GET", "/api/v1/info", page(200, "nginx"))], {"info": "endpoint"}),
        ([on("GET", "/api/v1/info", said({"detail": "Unauthorized"}, 401))], {"info": "auth"}),
        ([on("GET", "/api/v1/info", page(502, "nginx"))], {"info": "platform-backend"}),
        ([on("GET", "/api/v1/info", OVERDUE)], {"info": "platform-backend"}),
        (
            [on("GET", "/api/v1/info", Said(raw=(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{",)))],
            {"info": "platform-backend"},
        ),
        ([on("GET", "/api/v1/ok", page(502, "nginx"))], {"backend": "backend"}),
        ([on("GET", "/api/v1/sessions", said({"detail": "Invalid token"}, 401))], {"auth": "auth"}),
        ([on("GET", "/api/v1/sessions", page(403))], {"auth": "waf"}),
        ([on("GET", "/api/v1/sessions", SICK_STORE)], {"auth": "postgres"}),
        ([on("POST", "/api/v1/sessions", SICK_STORE)], {"project": "postgres"}),
        ([on("POST", "/api/v1/sessions", said({"detail": "Forbidden"}, 403))], {"project": "auth"}),
        ([on("POST", "/api/v1/runs/query", SICK_STORE)], {"control_read": "clickhouse-read"}),
        ([on("POST", "/api/v1/runs/query", OVERDUE)], {"control_read": "clickhouse-read"}),
        (
            [
                on("POST", "/api/v1/runs/multipart", said({"error": "x"}, 500)),
                on("GET", "/api/v1/metrics/queue/default", said({"error": "x"}, 500)),
            ],
            {"post_small": "redis"},
        ),
        ([on("POST", "/api/v1/runs/multipart", SICK_STORE)], {"post_small": "platform-backend"}),
        (
            [on("POST", "/api/v1/runs/multipart", SICK_STORE), on("PATCH", "/api/v1/runs/*", SICK_STORE)],
            {"post_small": "redis"},
        ),
        (
            [on("POST", "/api/v1/runs/multipart", SICK_STORE), on("PATCH", "/api/v1/runs/*", page(404))],
            {"post_small": "unknown"},
        ),
        ([on("POST", "/api/v1/runs/multipart", page(413, "nginx"))], {"post_small": "frontend"}),
        ([on("POST", "/api/v1/runs/multipart", said({"detail": "limit"}, 429))], {"post_small": "quota"}),
        ([on("POST", "/api/v1/runs/multipart", said({"error": "x"}, 422))], {"post_small": "version"}),
        ([on("POST", "/api/v1/runs/multipart", said({"detail": "Not Found"}, 404))], {"post_small": "version"}),
        ([on("POST", "/api/v1/runs/multipart", page(403))], {"post_small": "waf"}),
    ],
)
def test_a_fault_on_the_way_in_is_one_failure_that_names_the_layer(
    probe: Probe, langsmith: ScriptedLangSmith, faults: list[Any], failed: dict[str, str]
) -> None:
    langsmith.faults += faults
    result = probe()
    assert not result["healthy"]
    assert findings(result, "fail") == failed
    assert findings(result, "unknown") == {"not_reached": "unknown"}
    assert result["layer"] == next(iter(failed.values()))


def test_what_was_written_by_the_other_door_is_removed_too(probe: Probe, langsmith: ScriptedLangSmith) -> None:
    langsmith.faults.append(on("POST", "/api/v1/runs/multipart", SICK_STORE))
    langsmith.projects["22222222-2222-4222-8222-222222222222"] = "probes"
    result = probe(project="probes")
    assert result["changed"]
    assert langsmith.deleted == list(langsmith.runs)
    assert len(langsmith.deleted) == 1


def test_when_the_load_balancer_has_no_target_the_frontend_is_not_there(
    probe: Probe, langsmith: ScriptedLangSmith
) -> None:
    langsmith.faults.append(lambda _asked: page(503))
    result = probe()
    assert set(findings(result, "fail").values()) == {"frontend"}
    assert not result["changed"]


def test_a_redirect_to_https_names_the_url_to_use(probe: Probe, langsmith: ScriptedLangSmith) -> None:
    langsmith.faults.append(lambda asked: page(301, Location=f"https://langsmith.test{asked.path}"))
    result = probe()
    assert set(findings(result, "fail").values()) == {"load-balancer"}
    assert "https://langsmith.test/health" in result["findings"][1]["remedy"]


def test_nothing_listening_is_one_failure_and_nothing_was_written(probe: Probe) -> None:
    result = probe(connect_to="127.0.0.1:1")
    assert findings(result, "fail") == {"tcp": "load-balancer"}
    assert not result["changed"]
    assert result["run_id"] == ""


def test_a_trace_that_never_appears_without_queue_counters_has_no_layer_named(
    probe: Probe, langsmith: ScriptedLangSmith
) -> None:
    langsmith.visible = lambda run: False
    result = probe()
    assert findings(result, "fail") == {
        "visible": "unknown",
        "visible_large": "unknown",
    }
    assert langsmith.projects == {}


def test_a_large_trace_that_never_appears_beside_a_small_one_is_no_layers_while_no_counters_tell(
    probe: Probe, langsmith: ScriptedLangSmith
) -> None:
    langsmith.visible = lambda run: "s3_urls" not in run
    assert findings(probe(), "fail") == {"visible_large": "unknown"}


def test_clickhouse_that_fails_after_the_trace_was_sent_is_told_by_the_control_read(
    probe: Probe, langsmith: ScriptedLangSmith
) -> None:
    langsmith.faults.append(on("POST", "/api/v1/runs/query", lambda _asked: SICK_STORE if langsmith.runs else None))
    langsmith.visible = lambda run: False
    assert set(findings(probe(), "fail").values()) == {"clickhouse-read"}


def test_a_patch_that_is_lost_leaves_the_trace_pending(probe: Probe, langsmith: ScriptedLangSmith) -> None:
    langsmith.faults.append(lambda asked: said({"message": ""}, 202) if ingests(asked, "patch", large=False) else None)
    assert findings(probe(), "fail") == {"complete": "lost-patch", "complete_child": "lost-patch"}


def test_a_patch_that_is_refused_is_one_failure_and_no_waiting(probe: Probe, langsmith: ScriptedLangSmith) -> None:
    langsmith.faults.append(lambda asked: said({"error": "x"}, 500) if ingests(asked, "patch", large=False) else None)
    result = probe(wait_timeout=600)
    assert findings(result, "fail") == {"patch_small": "platform-backend"}
    assert result["timings"]["total"] < 300


def test_a_large_trace_refused_where_the_small_one_passes_is_blob_storage(
    probe: Probe, langsmith: ScriptedLangSmith
) -> None:
    langsmith.faults.append(lambda asked: said({"error": "x"}, 500) if ingests(asked, "post", large=True) else None)
    assert findings(probe(), "fail") == {"post_large": "blob-write"}


def test_a_platform_backend_that_dies_on_the_trace_is_told_from_redis(
    probe: Probe, langsmith: ScriptedLangSmith, server: Running
) -> None:
    def dead(asked: Asked) -> Said | None:
        sent = any(entry.path.endswith("/runs/multipart") for entry in server.asked)
        return page(502, "nginx") if sent and asked.path in ("/api/v1/info", "/api/v1/runs/multipart") else None

    langsmith.faults.append(dead)
    assert findings(probe(), "fail") == {"post_small": "platform-backend"}


def test_a_second_sending_that_is_taken_again_is_a_warning_on_redis(probe: Probe, langsmith: ScriptedLangSmith) -> None:
    langsmith.faults.append(lambda _asked: langsmith.operations.clear())
    result = probe()
    assert result["healthy"]
    assert findings(result, "warn") == {"repeat": "redis"}


def test_a_missing_child_has_no_layer_named(probe: Probe, langsmith: ScriptedLangSmith) -> None:
    langsmith.visible = lambda run: run.get("parent_run_id") is None
    assert findings(probe(), "fail") == {"child": "unknown"}


def test_a_child_that_comes_and_goes_is_replica_lag(probe: Probe, langsmith: ScriptedLangSmith) -> None:
    asked_for_children: list[Asked] = []

    def flapping(asked: Asked) -> Said | None:
        if "is_root" not in asked.json:
            return None
        asked_for_children.append(asked)
        return said({"runs": []}) if len(asked_for_children) % 2 == 0 else None

    langsmith.faults.append(on("POST", "/api/v1/runs/query", flapping))
    assert findings(probe(), "fail") == {"child": "replica-lag"}


def test_a_query_that_fails_is_no_replica_that_lags(probe: Probe, langsmith: ScriptedLangSmith) -> None:
    asked_for_children: list[Asked] = []

    def failing(asked: Asked) -> Said | None:
        if "is_root" not in asked.json:
            return None
        asked_for_children.append(asked)
        return SICK_STORE if len(asked_for_children) < 3 else None

    langsmith.faults.append(on("POST", "/api/v1/runs/query", failing))
    assert findings(probe(), "fail") == {"child": "clickhouse-read"}


def test_a_child_that_is_soon_everywhere_is_no_lag(probe: Probe, langsmith: ScriptedLangSmith) -> None:
    asked_for_children: list[Asked] = []

    def copying(asked: Asked) -> Said | None:
        if "is_root" not in asked.json:
            return None
        asked_for_children.append(asked)
        return said({"runs": []}) if len(asked_for_children) in (2, 5) else None

    langsmith.faults.append(on("POST", "/api/v1/runs/query", copying))
    result = probe()
    assert findings(result, "fail") == findings(result, "warn") == {}
    assert len(asked_for_children) == 9


def test_a_payload_that_came_back_changed_is_a_failure(probe: Probe, langsmith: ScriptedLangSmith) -> None:
    langsmith.stored = lambda run: {**run, "outputs": {"marker": "another"}} if run.get("parent_run_id") else run
    assert findings(probe(), "fail") == {"payload_child": "unknown"}


@pytest.mark.parametrize(
    ("stored", "observed"),
    [
        (lambda run: {**run, "s3_urls": {}}, "attachment missing"),
        (lambda run: {**run, "inputs": None} if "s3_urls" in run else run, "inputs missing"),
    ],
)
def test_a_large_payload_that_is_missing_is_blob_storage(
    probe: Probe, langsmith: ScriptedLangSmith, stored: Any, observed: str
) -> None:
    langsmith.stored = stored
    result = probe()
    assert findings(result, "fail") == {"blob": "blob-write"}
    assert observed in next(entry["observed"] for entry in result["findings"] if entry["id"] == "probe.blob")


def test_an_attachment_that_cannot_be_downloaded_is_blob_storage_and_its_address_is_not_told(
    probe: Probe, langsmith: ScriptedLangSmith
) -> None:
    langsmith.faults.append(on("GET", "/api/v1/public/download", page(403)))
    result = probe()
    assert findings(result, "fail") == {"blob": "blob-read"}
    assert "jwt" not in json.dumps(result)


def test_a_large_input_that_was_moved_to_blob_storage_is_read_from_there(
    probe: Probe, langsmith: ScriptedLangSmith
) -> None:
    def moved(run: dict[str, Any]) -> dict[str, Any]:
        if "s3_urls" not in run:
            return run
        langsmith.files["moved"] = json.dumps(run["inputs"]).encode()
        urls = {**run["s3_urls"], "inputs": {"presigned_url": "public/download?jwt=moved"}}
        return {**run, "inputs": None, "s3_urls": urls}

    langsmith.stored = moved
    assert findings(probe(), "fail") == {}


def test_a_long_queue_delay_fails_even_when_the_trace_was_seen(probe: Probe, langsmith: ScriptedLangSmith) -> None:
    looks: list[Asked] = []
    langsmith.faults.append(on("POST", "/api/v1/runs/query", looks.append))
    langsmith.visible = lambda _run: len(looks) > 4
    langsmith.stored = lambda run: {**run, "inserted_at": "2026-11-21T10:01:30+00:00"}
    result = probe(wait_sleep=60, wait_timeout=600)
    assert findings(result, "fail") == {"queue_delay": "unknown"}
    assert result["timings"]["queue_delay"] == 90.0


def test_without_server_times_the_probes_own_clock_bounds_the_delay(probe: Probe, langsmith: ScriptedLangSmith) -> None:
    langsmith.stored = lambda run: {key: value for key, value in run.items() if key != "inserted_at"}
    result = probe()
    assert result["healthy"]
    assert "queue_delay" not in result["timings"]


def test_visible_later_than_expected_is_a_warning(probe: Probe, langsmith: ScriptedLangSmith) -> None:
    result = probe(thresholds={"visible": 0.000001})
    assert result["healthy"]
    assert set(findings(result, "warn")) == {"visible", "visible_large"}


def is_large(asked: Asked) -> bool:
    return ingests(asked, "post", large=True)


@pytest.mark.parametrize("at_once", [True, False])
def test_the_time_that_sending_takes_makes_no_trace_late(
    probe: Probe, langsmith: ScriptedLangSmith, leaping: Callable[..., Leaping], at_once: bool
) -> None:
    clock, large = leaping(), []

    def slowly(asked: Asked) -> None:
        if is_large(asked):
            large.append(asked)
            clock.sleep(300)

    langsmith.faults.append(slowly)
    langsmith.visible = lambda _run: at_once or bool(large)
    result = probe(thresholds={"visible": 60, "complete": 60})
    assert findings(result, "warn") == {}
    assert {stage["status"] for stage in result["stages"]} == {"pass"}
    observed = {entry["id"]: entry["observed"] for entry in result["findings"]}["probe.visible"]
    assert ("as no poll told in between" in observed) is not at_once
    assert (result["timings"]["visible"] < 200) is at_once


def test_a_trace_is_inserted_when_its_posts_are_and_not_its_patches(probe: Probe, langsmith: ScriptedLangSmith) -> None:
    def patched(run: dict[str, Any]) -> dict[str, Any]:
        return {**run, "inserted_at": "2026-11-21T10:00:50"} if run["status"] == "success" else run

    langsmith.stored = patched
    assert probe(wait_sleep=60)["timings"]["queue_delay"] == 0.0001


def failing_polls(langsmith: ScriptedLangSmith, count: int, answer: Said) -> None:
    """The first polls for the whole trace fail."""
    polls: list[Asked] = []

    def fail(asked: Asked) -> Said | None:
        if len(asked.json.get("id", [])) < 3:
            return None
        polls.append(asked)
        return answer if len(polls) <= count else None

    langsmith.faults.append(on("POST", "/api/v1/runs/query", fail))


def test_polls_that_fail_beside_others_that_are_answered_are_a_warning_with_its_layer(
    probe: Probe, langsmith: ScriptedLangSmith
) -> None:
    failing_polls(langsmith, 7, SICK_STORE)
    result = probe(thresholds={"visible": 2})
    assert result["healthy"]
    assert findings(result, "warn") == {"read": "clickhouse-read"}
    assert result["layer"] == "clickhouse-read"
    assert "7 of 9 polls failed" in result["witnesses"][0]["observed"]
    assert result["witnesses"][1]["observed"] == "2 of 9 polls were answered"
    assert [answer["status"] for answer in result["answers"] if answer["stage"] == "read"] == [500] * 7 + [200]


def test_only_the_first_polls_that_fail_are_kept_and_all_are_counted(
    probe: Probe, langsmith: ScriptedLangSmith
) -> None:
    failing_polls(langsmith, 30, SICK_STORE)
    result = probe(wait_timeout=600)
    assert "30 of 32 polls failed" in result["witnesses"][0]["observed"]
    assert len([answer for answer in result["answers"] if answer["stage"] == "read"]) == 21


def test_a_firewall_that_blocks_who_does_not_say_what_it_is_lets_the_probe_in(
    probe: Probe, langsmith: ScriptedLangSmith
) -> None:
    # NoUserAgent_HEADER of AWSManagedRulesCommonRuleSet.
    langsmith.faults.append(lambda asked: None if asked.headers.get("user-agent") else page(403))
    assert probe()["healthy"]


@pytest.mark.parametrize("visible", ["nothing", "the small trace", "no patch"])
def test_a_trace_that_is_removed_before_all_of_it_came_may_still_arrive(
    probe: Probe, langsmith: ScriptedLangSmith, visible: str
) -> None:
    if visible == "no patch":
        langsmith.stored = lambda run: {**run, "status": "pending"}
    else:
        langsmith.visible = lambda run: visible != "nothing" and "s3_urls" not in run
    result = probe(project="my-app")
    observed = {entry["id"]: entry["observed"] for entry in result["findings"]}["probe.cleanup"]
    assert findings(result, "warn")["cleanup"] == "unknown"
    assert "they may still arrive" in observed
    large = next(run["id"] for run in langsmith.runs.values() if "s3_urls" in run)
    assert large in observed
    assert (result["run_id"] in observed) is (visible != "the small trace")
    assert "cleanup" not in findings(probe(), "warn")


@pytest.mark.parametrize("bypassed", ["", "127.0.0.1"])
@pytest.mark.parametrize(
    ("options", "phase", "layer"),
    [
        ({"connect_to": "127.0.0.1:1"}, "tcp", "load-balancer"),
        ({"endpoint": "http://127.0.0.1", "connect_to": "nowhere.invalid:80"}, "dns", "dns"),
    ],
)
def test_where_only_a_proxy_may_lead_out_no_layer_is_blamed(
    probe: Probe,
    unresolved: None,
    monkeypatch: pytest.MonkeyPatch,
    bypassed: str,
    options: dict[str, Any],
    phase: str,
    layer: str,
) -> None:
    monkeypatch.setenv("http_proxy", "http://user:password@proxy.test:3128")
    monkeypatch.setenv("no_proxy", bypassed)
    result = probe(**options)
    assert findings(result, "fail") == {phase: layer if bypassed else "unknown"}
    assert ("names the proxy proxy.test:3128" in result["findings"][0]["remedy"]) is not bypassed
    assert "user:password" not in json.dumps(result)


def test_a_project_that_cannot_be_removed_is_a_warning(probe: Probe, langsmith: ScriptedLangSmith) -> None:
    langsmith.faults.append(on("DELETE", "/api/v1/sessions/*", SICK_STORE))
    result = probe()
    assert result["healthy"]
    assert findings(result, "warn") == {"cleanup": "backend"}
    assert result["project"]["kept"]


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"endpoint": "https://langsmith.test/a b"}, "has to escape"),
        ({"endpoint": "langsmith.test"}, "is not of the form https://host[/base]"),
        ({"endpoint": "https://user:word@langsmith.test"}, "holds a user name or password"),
        ({"ca_file": "/nowhere.crt", "endpoint": "https://langsmith.test"}, "ca_file /nowhere.crt cannot be read"),
        ({"connect_to": "here"}, "is not of the form host:port"),
        ({"api_key": "two words"}, "the API key is empty or holds a blank"),
        ({"kubeconfig": "/nowhere.yml"}, "/nowhere.yml"),
        ({"thresholds": {"visible": 0}}, "visible: 0"),
        ({"api_key": None}, "one of the following is required: api_key, api_key_secret"),
    ],
)
def test_an_option_that_cannot_be_used_fails_with_its_name(
    probe: Probe, options: dict[str, Any], complaint: str
) -> None:
    result = probe(**options)
    assert result["failed"]
    assert complaint in result["msg"]
    assert "two words" not in json.dumps(result)


def test_the_aws_options_are_those_of_every_other_aws_module() -> None:
    spec = langsmith_trace_probe.argument_spec()
    assert {name: spec.get(name) for name in aws_argument_spec()} == aws_argument_spec()


@pytest.mark.parametrize("suffix", ["", "/", "/api", "/api/v1", "/api/v1/"])
def test_the_endpoint_may_end_in_the_apis_own_path(probe: Probe, server: Running, suffix: str) -> None:
    assert probe(endpoint=f"http://{server.address}{suffix}")["healthy"]


def test_over_tls_the_certificate_is_checked_for_the_urls_name_and_reached_by_connect_to(
    probe: Probe, langsmith: ScriptedLangSmith, tmp_path: Path
) -> None:
    authority = make_authority(tmp_path)
    options = {"endpoint": "https://langsmith.test", "ca_file": str(authority.ca_file)}
    with serve(langsmith, authority.issue("langsmith.test")) as secure:
        result = probe(connect_to=secure.address, **options)
    assert result["healthy"]
    assert result["trace_url"].startswith("https://langsmith.test/o/")
    with serve(langsmith, authority.issue("other.test")) as secure:
        result = probe(connect_to=secure.address, **options)
    assert findings(result, "fail") == {"tls": "certificate"}
    assert "other.test" in result["findings"][0]["observed"]


def test_a_load_is_told_in_check_mode_and_nothing_is_sent(probe: Probe, server: Running) -> None:
    load = {"rate": 2, "duration": 1, "inventory": [f"http://{server.address}"]}
    result = probe(_ansible_check_mode=True, load=load)
    assert result["would_send"] == result["load"]["plan"]["says"]
    assert server.connections == []


def test_a_load_on_an_endpoint_that_is_not_in_the_inventory_is_refused(probe: Probe, server: Running) -> None:
    result = probe(load={"rate": 2, "duration": 1, "inventory": ["https://other.test"]})
    assert result["failed"]
    assert server.connections == []


def test_a_child_whose_end_never_came_is_no_healthy_installation(probe: Probe, langsmith: ScriptedLangSmith) -> None:
    langsmith.stored = lambda run: {**run, "status": "pending", "outputs": None} if run.get("parent_run_id") else run
    result = probe()
    assert not result["healthy"]
    assert findings(result, "fail") == {"complete_child": "lost-patch"}
    assert "complete" not in result["timings"]


def test_a_child_that_only_one_kind_of_query_finds_did_not_come(probe: Probe, langsmith: ScriptedLangSmith) -> None:
    def hide(asked: Asked) -> Said | None:
        if "is_root" in asked.json:
            return None
        runs = json.loads(langsmith.post_runs_query(asked).body)["runs"]
        return said({"runs": [run for run in runs if not run.get("parent_run_id")]})

    langsmith.faults.append(on("POST", "/api/v1/runs/query", hide))
    result = probe()
    assert not result["healthy"]
    assert findings(result, "fail") == {"child": "unknown"}


PRODUCTION = "99999999-9999-4999-8999-999999999999"


@pytest.mark.parametrize("wanted", [None, "probes"])
def test_a_project_of_another_name_is_neither_used_nor_removed(
    probe: Probe, langsmith: ScriptedLangSmith, wanted: str | None
) -> None:
    langsmith.faults += [
        on("POST", "/api/v1/sessions", said({"detail": "Session already exists."}, 409)),
        on("GET", "/api/v1/sessions", said([{"id": PRODUCTION, "name": "production"}])),
    ]
    langsmith.projects[PRODUCTION] = "production"
    result = probe(project=wanted)
    assert not result["healthy"]
    assert langsmith.projects == {PRODUCTION: "production"}
    assert [path for path in langsmith.deleted if PRODUCTION in path] == []
    assert langsmith.runs == {}


def test_an_answer_that_tells_of_another_project_does_not_have_that_one_removed(
    probe: Probe, langsmith: ScriptedLangSmith
) -> None:
    def tell_another(asked: Asked) -> Said:
        langsmith.post_sessions(asked)
        return said({"id": PRODUCTION, "name": "production", "tenant_id": PRODUCTION})

    langsmith.faults.append(on("POST", "/api/v1/sessions", tell_another))
    langsmith.projects[PRODUCTION] = "production"
    assert probe()["healthy"]
    assert langsmith.projects == {PRODUCTION: "production"}


def test_a_feedback_of_another_is_not_the_one_that_was_sent(probe: Probe, langsmith: ScriptedLangSmith) -> None:
    langsmith.faults.append(on("GET", "/api/v1/feedback", said([{"id": PRODUCTION, "run_id": PRODUCTION}])))
    assert findings(probe(feedback=True), "fail") == {"feedback": "unknown"}


@pytest.mark.parametrize("inserted", ["2026-11-21T10:02:00", "2026-11-21T09:55:00"])
def test_clocks_that_differ_from_each_other_make_no_delay(
    probe: Probe, langsmith: ScriptedLangSmith, inserted: str
) -> None:
    langsmith.stored = lambda run: {**run, "inserted_at": inserted}
    result = probe()
    assert result["healthy"]
    assert "queue_delay" not in result["timings"]
    delay = next(entry for entry in result["findings"] if entry["id"] == "probe.queue_delay")
    assert "at most" in delay["observed"]
    assert ("120.0 s" if inserted.endswith("02:00") else "-300.0 s") in delay["observed"]


def test_a_machine_without_a_way_to_the_address_blames_nothing_at_its_end(probe: Probe) -> None:
    # No TCP connection is made to a broadcast address; Linux says that the network cannot be reached.
    result = probe(endpoint="http://255.255.255.255")
    assert findings(result, "fail") == {"tcp": "unknown"}
    assert "this machine" in result["findings"][0]["remedy"]
    assert result["next_command"].startswith("curl")


@pytest.mark.parametrize(
    "address", ["http://[bad/x", "http://a b/x", "https://b:99999/x", "https://b:x/", "/api/v1/public/ä b", "https://"]
)
def test_an_address_of_a_payload_that_is_none_is_a_finding_as_any_other(
    probe: Probe, langsmith: ScriptedLangSmith, address: str
) -> None:
    def misled(run: dict[str, Any]) -> dict[str, Any]:
        urls = {"attachment.probe": {"presigned_url": f"{address}?signature=xyz"}}
        return {**run, "s3_urls": urls} if "s3_urls" in run else run

    langsmith.stored = misled
    result = probe()
    assert findings(result, "fail") == {"blob": "blob-read"}
    assert langsmith.projects == {}
    assert "xyz" not in json.dumps(result)


@pytest.mark.parametrize("refused", [False, True])
def test_a_feedback_is_removed_from_a_project_that_stays(
    probe: Probe, langsmith: ScriptedLangSmith, refused: bool
) -> None:
    langsmith.projects[PRODUCTION] = "probes"
    if refused:
        langsmith.faults.append(on("DELETE", "/api/v1/feedback/*", said({"detail": "sick"}, 500)))
    planned = probe(project="probes", feedback=True, _ansible_check_mode=True)["would_send"]
    assert planned[-1] == "remove the feedback and the traces from project probes, which stays"
    result = probe(project="probes", feedback=True)
    assert result["healthy"]
    assert len(langsmith.feedback) == refused
    assert findings(result, "warn") == ({"cleanup": "backend"} if refused else {})
    assert result["run_id"] in langsmith.deleted


def test_a_feedback_that_was_not_taken_needs_no_removing(probe: Probe, langsmith: ScriptedLangSmith) -> None:
    langsmith.faults.append(on("POST", "/api/v1/feedback", said({"detail": "no"}, 422)))
    result = probe(project="probes", feedback=True)
    assert findings(result, "fail") == {"feedback": "unknown"}
    assert findings(result, "warn") == {}


@pytest.mark.parametrize(
    ("option", "value"),
    [
        *((name, value) for name in ("wait_sleep", "timeout", "connect_timeout") for value in (0, -1, "nan", "inf")),
        *(("wait_timeout", value) for value in (-1, "nan", "inf", 1e300)),
        *(("thresholds", {"visible": value}) for value in ("nan", "inf", -1)),
    ],
)
def test_seconds_that_are_none_are_refused_by_their_name_before_anything_is_sent(
    probe: Probe, server: Running, option: str, value: Any
) -> None:
    result = probe(**{option: value})
    assert result["failed"]
    assert ("visible" if option == "thresholds" else option) in result["msg"]
    assert server.connections == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_probe_that_is_terminated_cleans_up_too(
    probe: Probe, langsmith: ScriptedLangSmith, number: signal.Signals
) -> None:
    def end(asked: Asked) -> Said:
        langsmith.faults.clear()
        langsmith(asked)
        signal.pthread_kill(threading.main_thread().ident or 0, number)
        return OVERDUE

    def nobody(*_: object) -> None:
        """So that nothing but the probe takes the signal for its end."""

    langsmith.faults.append(on("POST", "/api/v1/runs/multipart", end))
    before = signal.signal(number, nobody)
    try:
        result = probe()
        assert signal.getsignal(number) is nobody
    finally:
        signal.signal(number, before)
    assert "told to end" in result["msg"]
    assert langsmith.projects == {}


def test_a_machine_that_is_reached_by_ipv6_is_named_in_brackets(probe: Probe) -> None:
    result = probe(connect_to="[::1]:1")
    assert result["findings"][0]["expected"] == "[::1]:1 takes connections"


#: JSON that is no document of LangSmith's, and at which a reader may stumble.
ODD = {
    "nested": b"[" * 100_000,
    "half a character": b'{"version": "\\ud800", "id": "\\ud800", "status": "\\ud800", "runs": [{"id": "\\ud800"}]}',
    "numbers without end": b'{"version": "1", "clickhouse_disk_free_pct": 1' + b"0" * 400 + b', "runs": [Infinity]}',
}


@pytest.mark.parametrize("case", ODD)
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/info"),
        ("GET", "/info/health"),
        ("GET", "/sessions"),
        ("POST", "/sessions"),
        ("POST", "/runs/query"),
        ("GET", "/runs/*"),
        ("GET", "/public/download"),
    ],
)
def test_an_odd_document_ends_no_probe(
    probe: Probe, langsmith: ScriptedLangSmith, case: str, method: str, path: str
) -> None:
    langsmith.faults.append(on(method, f"/api/v1{path}", Said(200, ODD[case])))
    if path == "/info/health":
        # It is asked only where something else fails.
        langsmith.faults.append(on("POST", "/api/v1/runs/query", SICK_STORE))
    result = probe(wait_timeout=0.3)
    assert "failed" not in result
    assert langsmith.projects == {}


def test_half_a_character_in_a_payload_is_a_difference(probe: Probe, langsmith: ScriptedLangSmith) -> None:
    langsmith.stored = lambda run: {**run, "inputs": {"text": "\ud800"}} if run.get("parent_run_id") else run
    assert findings(probe(), "fail") == {"payload_child": "unknown"}


def test_a_key_is_not_sent_in_clear_where_the_url_redirects(
    probe: Probe, langsmith: ScriptedLangSmith, server: Running
) -> None:
    langsmith.faults.append(lambda asked: page(301, Location=f"https://langsmith.test{asked.path}"))
    result = probe()
    assert result["layer"] == "load-balancer"
    assert [asked.path for asked in server.asked] == ["/health"]
    assert "x-api-key" not in server.asked[0].headers


@pytest.mark.parametrize(
    ("option", "complaint"),
    [
        ({"project": "mine"}, "project: a load has no such option"),
        ({"feedback": True}, "feedback: a load has no such option"),
        ({"compression": "zstd"}, "load.compression"),
    ],
)
@pytest.mark.parametrize("check_mode", [False, True])
def test_a_load_with_an_option_of_a_probe_is_refused(
    probe: Probe, server: Running, option: dict[str, Any], complaint: str, check_mode: bool
) -> None:
    load = {"rate": 2, "duration": 1, "inventory": [f"http://{server.address}"]}
    result = probe(load=load, _ansible_check_mode=check_mode, **option)
    assert result["failed"]
    assert complaint in result["msg"]
    assert server.connections == []
