# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from pathlib import Path

import pytest

from sandbox import images, state


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(state.FOLDER_VARIABLE, str(tmp_path))
    monkeypatch.delenv(state.SETTINGS_VARIABLE, raising=False)


@pytest.mark.parametrize(
    "image",
    [
        "langsmith-backend",
        "langsmith-backend:0.16.11",
        "docker.io/langchain/langsmith-backend:0.16.11",
        "registry.example.com:5000/mirror/langsmith-backend@sha256:0a",
    ],
)
def test_an_image_is_known_by_the_last_part_of_its_repository(image: str) -> None:
    assert images.repository(image) == "langsmith-backend"
    assert (images.argv(image) or [])[1:] == ["-m", "sandbox.langsmith"]


def test_an_image_that_nothing_stands_for_has_no_program() -> None:
    assert images.argv("nginx:1") is None
    assert not images.missing("nginx:1")


def test_settings_add_programs_and_take_images_away() -> None:
    state.write_json("settings.json", {"images": {"echo": ["/bin/echo"], "langsmith-backend:0.1": None}})
    assert images.argv("r/echo:2") == ["/bin/echo"]
    assert images.missing("langsmith-backend:0.1")
    assert not images.missing("langsmith-backend:0.2")
