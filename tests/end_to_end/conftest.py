# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A sandbox for each file of tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.end_to_end.bench import Bench


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """A sandbox that was started from nothing."""
    made = Bench(tmp_path_factory.mktemp("sandbox"))
    made.sandbox("start")
    try:
        yield made
    finally:
        made.sandbox("reset")
