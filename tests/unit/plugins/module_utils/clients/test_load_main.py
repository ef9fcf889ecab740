# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a pod does with its settings; that it needs nothing but Python is shown with the archive."""

from __future__ import annotations

import json
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.langsmith.aws.plugins.module_utils.clients import cluster_state
from ansible_collections.langsmith.aws.plugins.module_utils.clients.load_main import main

from tests.unit.plugins.scripted import OVERDUE, Asked, Running, Said, said, serve
from tests.unit.plugins.scripted_langsmith import KEY, ScriptedLangSmith, on

COUNTERS = said({"ingestion_queue": {"pending": 7, "retry": 0, "active": 0}})


@pytest.fixture
def inside(monkeypatch: pytest.MonkeyPatch) -> dict[str, tuple[str, int]]:
    """Services of a cluster by their names, which resolve nowhere else."""
    services: dict[str, tuple[str, int]] = {}
    connect = socket.create_connection

    def resolving(address: tuple[str, int], *more: Any) -> socket.socket:
        return connect(services[address[0]] if address[0].endswith(".svc") else address, *more)

    monkeypatch.setattr(socket, "create_connection", resolving)
    # The handler is the pod's, and would outlive the test.
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    monkeypatch.setattr(cluster_state, "TIMEOUT_S", 60.0)
    return services


def test_a_scheduled_probe_reads_the_queue_beside_it_and_names_its_release(
    inside: dict[str, tuple[str, int]], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    langsmith = ScriptedLangSmith(on("GET", "/metrics", COUNTERS))
    langsmith.visible = lambda run: False
    with serve(langsmith) as server:
        inside["acme-langsmith-platform-backend.tracing.svc"] = ("127.0.0.1", server.port)
        settings = {
            "mode": "probe",
            "endpoint": "http://langsmith.test",
            "inside": {"release": "acme", "namespace": "tracing"},
            "connection": {"connect_to": server.address, "timeout": 60},
            "probe": {"wait_timeout": 0.3, "wait_sleep": 0.05, "thresholds": {"visible": 5}},
        }
        (tmp_path / "settings.json").write_text(json.dumps(settings))
        assert main([str(tmp_path / "settings.json")], {"LANGSMITH_API_KEY": KEY}) == 1
    found = json.loads(capfd.readouterr().out.splitlines()[-1])
    visible = next(one for one in found["findings"] if one["id"] == "probe.visible")
    assert "pending 7" in visible["observed"]
    assert visible["expected"] == "readable within 5 s"
    assert "kubectl -n tracing" in visible["remedy"]


@pytest.fixture
def terminated() -> Iterator[Callable[[], None]]:
    """Tells this process to end, as Kubernetes tells a pod; the handler is the pod's, and would outlive the test."""
    before = signal.getsignal(signal.SIGTERM)
    yield lambda: signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGTERM)
    signal.signal(signal.SIGTERM, before)


def told(server: Running, folder: Path, capfd: pytest.CaptureFixture[str], **settings: Any) -> tuple[int, Any, str]:
    """Exit status, the last line's object and all output of a run against a server."""
    endpoint = {"endpoint": "http://langsmith.test", "connection": {"connect_to": server.address, "timeout": 60}}
    (folder / "settings.json").write_text(json.dumps({**endpoint, **settings}))
    status = main([str(folder / "settings.json")], {"LANGSMITH_API_KEY": KEY})
    output = capfd.readouterr().out
    return status, json.loads(output.splitlines()[-1]), output


def test_a_probe_that_is_told_to_end_says_what_it_noted_and_leaves_nothing(
    terminated: Callable[[], None], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    langsmith = ScriptedLangSmith()

    def never(_run: dict[str, Any]) -> bool:
        langsmith.visible = lambda run: False
        terminated()
        return False

    langsmith.visible = never
    with serve(langsmith) as server:
        probe = {"wait_timeout": 600, "wait_sleep": 0.05}
        status, found, _output = told(server, tmp_path, capfd, mode="probe", probe=probe)
    assert (status, found["healthy"]) == (1, False)
    assert "told to end" in found["interrupted"]
    assert {"probe.control_read", "probe.not_reached"} <= {one["id"] for one in found["findings"]}
    assert langsmith.projects == {}


def test_a_load_that_is_told_to_end_before_it_sent_says_so(
    terminated: Callable[[], None], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    def interrupts(_asked: Asked) -> Said:
        terminated()
        return OVERDUE

    with serve(ScriptedLangSmith(on("GET", "/api/v1/info", interrupts))) as server:
        load = {"rate": 1, "duration": 1, "of": 1, "seed": "01a1feca8bbd-386b8eb00"}
        status, found, _output = told(server, tmp_path, capfd, mode="load", load=load)
    assert (status, found) == (1, {"error": "told to end before anything was known"})


def test_the_key_is_in_nothing_that_a_pod_says(
    terminated: Callable[[], None], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with serve(ScriptedLangSmith(lambda _asked: said({"detail": f"invalid key {KEY}"}, 401))) as server:
        for mode in ("probe", "load"):
            load = {"rate": 1, "duration": 1, "of": 1, "seed": "01a1feca8bbd-386b8eb00"}
            _status, _found, output = told(server, tmp_path, capfd, mode=mode, load=load, probe={"wait_timeout": 1})
            assert "401" in output
            assert KEY not in output


def test_a_sweep_removes_the_projects_that_are_there_and_names_those_that_stay(
    terminated: Callable[[], None], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    langsmith = ScriptedLangSmith(on("DELETE", "/api/v1/sessions/3", said({"detail": "no"}, 500)))
    langsmith.projects = {"1": "load-a-0", "2": "someone's", "3": "load-a-2"}
    with serve(langsmith) as server:
        names = [f"load-a-{index}" for index in range(3)]
        status, found, _output = told(server, tmp_path, capfd, mode="sweep", sweep=names)
    assert (status, found["removed"]) == (1, ["load-a-0"])
    assert len(found["left"]) == 1
    assert found["left"][0].startswith("load-a-2: DELETE")
    assert langsmith.projects == {"2": "someone's", "3": "load-a-2"}


def test_a_sweep_leaves_what_has_another_name_and_says_what_it_could_not_find(
    terminated: Callable[[], None], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    others = [{"id": "99999999-9999-4999-8999-999999999999", "name": "production"}]
    langsmith = ScriptedLangSmith(on("GET", "/api/v1/sessions", said(others)))
    with serve(langsmith) as server:
        status, found, _output = told(server, tmp_path, capfd, mode="sweep", sweep=["load-a-0"])
    assert langsmith.deleted == []
    assert (status, found["removed"]) == (1, [])
    assert found["left"][0].startswith("load-a-0: not among the projects")


@pytest.mark.usefixtures("terminated")
@pytest.mark.parametrize(
    ("limit", "removal", "warned"),
    [
        (60, None, None),
        (1e-6, None, "probe.visible"),
        (60, said({"detail": "sick"}, 500), "probe.cleanup"),
    ],
    ids=["all well", "late", "left behind"],
)
def test_a_scheduled_probe_fails_where_only_its_status_is_looked_at(
    limit: float, removal: Said | None, warned: str | None, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    langsmith = ScriptedLangSmith()
    if removal:
        langsmith.faults.append(on("DELETE", "/api/v1/sessions/*", removal))
    with serve(langsmith) as server:
        probe = {"wait_timeout": 60, "wait_sleep": 0.05, "thresholds": {"visible": limit}}
        status, found, _output = told(server, tmp_path, capfd, mode="probe", probe=probe)
    assert found["healthy"]
    assert status == (1 if warned else 0)
    assert warned in {None, *(one["id"] for one in found["findings"] if one["status"] == "warn")}
