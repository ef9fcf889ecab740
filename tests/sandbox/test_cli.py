# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox import cli, state, supervisor
from sandbox.controlplane import build

SLEEP = ["/bin/sh", "-c", "exec sleep 600"]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv(state.FOLDER_VARIABLE, str(tmp_path / "state"))
    yield tmp_path / "state"
    cli.stop()


def test_status_says_how_to_start_when_nothing_runs(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["status"]) == 1
    assert "python -m sandbox start" in capsys.readouterr().out


def test_status_shows_a_part_that_ended_by_itself(capsys: pytest.CaptureFixture[str]) -> None:
    supervisor.start("redis-demo", SLEEP, port=6379, version="6.2")
    assert cli.main(["status"]) == 0
    assert "redis-demo" in capsys.readouterr().out
    pid = supervisor.start("redis-demo", SLEEP)
    os.kill(pid, signal.SIGKILL)
    deadline = time.monotonic() + 60
    while supervisor.find("redis-demo"):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert cli.main(["status"]) == 1
    assert "ended, see" in capsys.readouterr().out


def test_stop_ends_every_part_and_keeps_the_state(folder: Path) -> None:
    state.port("aws")
    pids = [supervisor.start(name, SLEEP) for name in ("one", "two")]
    assert cli.main(["stop"]) == 0
    assert [supervisor.start_ticks(pid) for pid in pids] == [None, None]
    assert (folder / "ports.json").exists()


def test_reset_deletes_the_state(folder: Path) -> None:
    pid = supervisor.start("one", SLEEP)
    assert cli.main(["reset"]) == 0
    assert supervisor.start_ticks(pid) is None
    assert not folder.exists()


def test_env_names_files_and_no_key(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    assert cli.main(["env"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert f"export AWS_CONFIG_FILE={folder}/aws/config" in lines
    assert not any("KEY" in line or "TOKEN" in line for line in lines)


def test_endpoints_say_where_everything_is(folder: Path) -> None:
    cli.write_files()
    found = json.loads((folder / "endpoints.json").read_text())
    assert found["aws"]["endpoint_url"] == f"http://127.0.0.1:{state.port('aws')}"
    assert found["kubernetes"]["server"].startswith("https://127.0.0.1:")
    assert Path(found["ca_file"]).read_text().startswith("-----BEGIN CERTIFICATE-----")
    assert "external_secrets" in found["charts"]


def test_the_programs_are_named_by_what_they_are_built_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "SOURCE", tmp_path)
    versions = {"k8s.io/kubernetes": "v1.36.3", "go.etcd.io/etcd/server/v3": "v3.6.8", "sigs.k8s.io/kwok": "v0.8.0"}
    helm = next(package for package in build.PACKAGES if "helm" in package).removesuffix("/cmd/helm")
    lines = [f"\t{module} {version}" for module, version in {**versions, helm: "v3.21.4"}.items()]
    (tmp_path / "go.mod").write_text("\n".join(["require (", *lines, ")"]))
    (tmp_path / "go.sum").write_text("")
    before = build.folder()
    assert build.versions()["kubernetes"] == "v1.36.3"
    assert build.folder() == before
    (tmp_path / "main.go").write_text("package main")
    assert build.folder() != before
