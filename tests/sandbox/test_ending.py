# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
#: Looks again and again, as a part does, and is told at any moment of it.
TOLD = """
import signal, sys
from sandbox.ending import Ending
signal.signal(signal.SIGALRM, lambda *_: signal.raise_signal(signal.SIGTERM))
for number in range(2000):
    ending = Ending()
    signal.setitimer(signal.ITIMER_REAL, 0.00002 + number % 50 * 0.000002)
    while not ending.wait(0.000001):
        pass
print("ended")
"""


def test_a_part_ends_at_whatever_moment_it_is_told() -> None:
    done = subprocess.run(
        [sys.executable, "-c", TOLD], cwd=REPOSITORY, capture_output=True, text=True, timeout=120, check=False
    )
    assert (done.stdout, done.stderr) == ("ended\n", "")


def test_a_part_that_nobody_tells_looks_again() -> None:
    script = "from sandbox.ending import Ending; print(Ending().wait(0.01))"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=REPOSITORY, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.stdout == "False\n"
