# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a pod does with its settings; that it needs nothing but Python is shown with the archive."""

from __future__ import annotations

import json
import signal
import socket
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.langsmith.aws.plugins.module_utils.clients.load_main import main

from tests.unit.plugins.scripted import said, serve
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
    return services


def test_a_scheduled_probe_reads_the_queue_beside_it_and_names_its_release(
    inside: dict[str, tuple[str, int]], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    langsmith = ScriptedLangSmith(on("GET", "/metrics", COUNTERS))
    langsmith.visible = lambda run: False
    with serve(langsmith) as server:
        inside["acme-platform-backend.tracing.svc"] = ("127.0.0.1", server.port)
        settings = {
            "mode": "probe",
            "endpoint": "http://langsmith.test",
            "inside": {"release": "acme", "namespace": "tracing"},
            "connection": {"connect_to": server.address, "timeout": 5},
            "probe": {"wait_timeout": 0.3, "wait_sleep": 0.05, "thresholds": {"visible": 5}},
        }
        (tmp_path / "settings.json").write_text(json.dumps(settings))
        assert main([str(tmp_path / "settings.json")], {"LANGSMITH_API_KEY": KEY}) == 1
    found = json.loads(capfd.readouterr().out.splitlines()[-1])
    visible = next(one for one in found["findings"] if one["id"] == "probe.visible")
    assert "pending 7" in visible["observed"]
    assert visible["expected"] == "readable within 5 s"
    assert "kubectl -n tracing" in visible["remedy"]
