# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What fails twice is broken, what passes with nothing beside it is named; nothing else gets a second try."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "pytest.sh"
SOUND = "def test_sound(): pass\n"
BROKEN = "def test_broken(): assert False\n"
# Fails until it has been there.
ONCE = """from pathlib import Path

def test_once():
    been = Path(__file__).with_suffix(".been")
    there = been.exists()
    been.touch()
    assert there
"""


def run(folder: Path, files: Mapping[str, str]) -> tuple[int, str]:
    (folder / "pytest.ini").write_text("[pytest]\ntestpaths = .\n")
    for name, text in files.items():
        (folder / f"test_{name}.py").write_text(text)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    argv = [str(SCRIPT), "-q", "-n", "2", "--dist", "loadfile"]
    done = subprocess.run(argv, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout


def test_tests_that_pass_run_once(tmp_path: Path) -> None:
    code, told = run(tmp_path, {"sound": SOUND})
    assert code == 0
    assert "Once more" not in told


def test_a_test_that_failed_and_passes_alone_is_named(tmp_path: Path) -> None:
    code, told = run(tmp_path, {"sound": SOUND, "once": ONCE})
    assert code == 0
    assert "Once more, with nothing beside them: test_once.py\n" in told
    assert told.endswith("passed with nothing beside them:\ntest_once.py::test_once\n")


def test_a_test_that_fails_again_fails_the_run(tmp_path: Path) -> None:
    code, told = run(tmp_path, {"sound": SOUND, "once": ONCE, "broken": BROKEN})
    assert code == 1
    assert "Once more, with nothing beside them: test_broken.py test_once.py\n" in told
    assert "passed with nothing beside them" not in told


@pytest.mark.parametrize(
    ("files", "code"),
    [({f"once_{number}": ONCE for number in range(4)}, 1), ({"wrong": "import nothing_like_it\n"}, 2)],
)
def test_many_files_that_fail_and_what_cannot_be_collected_get_no_second_try(
    tmp_path: Path, files: Mapping[str, str], code: int
) -> None:
    assert run(tmp_path, files)[0] == code
