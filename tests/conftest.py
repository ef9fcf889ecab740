# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every test may rely on."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest


def pytest_configure() -> None:
    """Make every run the same, whoever starts it."""
    # What a shell starts in the background ignores it, and so would all that the tests interrupt.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    # Workers of one run start sandboxes at the same moment, each with ports and addresses of its own.
    worker, workers = os.environ.get("PYTEST_XDIST_WORKER"), os.environ.get("PYTEST_XDIST_WORKER_COUNT")
    if worker and workers:
        os.environ["SANDBOX_SHARE"] = f"{worker.removeprefix('gw')}/{workers}"


@pytest.fixture(scope="session", autouse=True)
def nobodys_account() -> Iterator[None]:
    """No test, and no program that one starts, meets the profile, keys or endpoint of whoever runs it."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            patch.delenv(name)
        yield


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long stories first, the longest before all: begun last, two of them could end up one after the other."""
    items.sort(key=lambda item: -_minutes(item))


def _minutes(item: pytest.Item) -> float:
    story = item.get_closest_marker("story")
    return float(story.kwargs["minutes"]) if story else 0.0
