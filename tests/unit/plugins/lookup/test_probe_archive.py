# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import base64
import io
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.langsmith.aws.plugins.lookup.probe_archive import (
    ENTRY,
    LIMIT,
    PACKAGE,
    LookupModule,
    archive,
    closure,
)

from tests.unit.plugins import scripted_langsmith
from tests.unit.plugins.scripted import serve
from tests.unit.plugins.scripted_langsmith import ScriptedLangSmith

KEY = "lsv2_sk_0123456789"


@pytest.fixture(scope="module")
def made() -> bytes:
    return archive(ENTRY)


@pytest.fixture(scope="module")
def program(made: bytes, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("archive") / "probe.pyz"
    path.write_bytes(made)
    return path


@pytest.fixture
def nobody(closed_port: int) -> str:
    """A URL at which nothing listens."""
    return f"http://127.0.0.1:{closed_port}"


def run(program: Path, settings: dict[str, Any], folder: Path, **environment: str) -> tuple[int, dict[str, Any], str]:
    """Exit status, the result and all output of a Python that has its standard library and nothing else."""
    file = folder / "settings.json"
    file.write_text(json.dumps(settings), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-I", "-S", str(program), str(file)],
        env={"PATH": os.environ["PATH"], **environment},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.stderr == ""
    return done.returncode, json.loads(done.stdout.splitlines()[-1]), done.stdout


def test_the_same_collection_gives_the_same_bytes(made: bytes) -> None:
    assert archive(ENTRY) == made


def test_the_archive_fits_a_config_map(made: bytes) -> None:
    assert len(made) < LIMIT
    assert base64.b64decode(LookupModule().run([])[0]) == made


def test_the_archive_holds_what_its_entry_imports_and_nothing_else(made: bytes) -> None:
    with zipfile.ZipFile(io.BytesIO(made)) as opened:
        names = {name for name in opened.namelist() if not name.endswith("__init__.py")}
    assert names == {f"{module.replace('.', '/')}.py" for module in closure(ENTRY)} | {"__main__.py"}
    layers = {module.removeprefix(f"{PACKAGE}.").split(".")[0] for module in closure(ENTRY)}
    assert layers == {"clients", "domain"}


def test_a_probe_in_a_bare_python_tells_what_it_found_and_fails(program: Path, tmp_path: Path, nobody: str) -> None:
    settings = {"mode": "probe", "endpoint": nobody, "connection": {"timeout": 60}, "probe": {"wait_timeout": 1}}
    status, result, output = run(program, settings, tmp_path, LANGSMITH_API_KEY=KEY)
    assert status == 1
    assert result["healthy"] is False
    assert any("nothing listens there" in finding["observed"] for finding in result["findings"])
    assert KEY not in output


def test_a_load_that_reaches_nothing_says_so(program: Path, tmp_path: Path, nobody: str) -> None:
    load = {"rate": 1, "duration": 0.1, "drain_timeout": 0.1, "of": 2, "seed": "01a1feca8bbd-386b8eb00"}
    settings = {"mode": "load", "endpoint": nobody, "connection": {"timeout": 60}, "load": load}
    status, result, output = run(program, settings, tmp_path, LANGSMITH_API_KEY=KEY, JOB_COMPLETION_INDEX="1")
    assert status == 2
    assert "nothing listens there" in result["error"]
    assert KEY not in output


@pytest.mark.parametrize(
    ("settings", "environment", "words"),
    [
        ({"mode": "probe"}, {}, "the API key is empty"),
        ({"mode": "other"}, {"LANGSMITH_API_KEY": KEY}, "other"),
        ({"mode": "probe"}, {"LANGSMITH_API_KEY": KEY}, "endpoint"),
        (
            {"mode": "load", "endpoint": "http://x", "connection": {}, "load": {"seed": "0-0", "rate": 1, "of": 2}},
            {"LANGSMITH_API_KEY": KEY, "JOB_COMPLETION_INDEX": "2"},
            "0-0",
        ),
    ],
)
def test_settings_that_cannot_be_used_end_with_status_two_and_a_reason(
    program: Path, tmp_path: Path, settings: dict[str, Any], environment: dict[str, str], words: str
) -> None:
    status, result, _output = run(program, settings, tmp_path, **environment)
    assert status == 2
    assert words in result["error"]


def test_a_probe_that_finds_nothing_wrong_ends_well(program: Path, tmp_path: Path) -> None:
    with serve(ScriptedLangSmith()) as server:
        settings = {
            "mode": "probe",
            "endpoint": "http://langsmith.test",
            "connection": {"connect_to": server.address, "timeout": 60},
            "probe": {"wait_timeout": 60, "wait_sleep": 0.05},
        }
        status, result, output = run(program, settings, tmp_path, LANGSMITH_API_KEY=scripted_langsmith.KEY)
    assert (status, result["healthy"]) == (0, True)
    assert scripted_langsmith.KEY not in output
