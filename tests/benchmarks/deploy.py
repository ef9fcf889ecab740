#!/usr/bin/env python
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Times a deployment on a sandbox from nothing and the run after it, role by role.

Run it from the root of the project: ``.venv/bin/python -m tests.benchmarks.deploy``. The baseline of the second run
is the first one in the same process: what comparing first saves is their ratio. It prints a table in Markdown and
fails when a run fails or the second one changes anything.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from tests.end_to_end.bench import Bench, Run


def table(started: float, first: Run, second: Run) -> str:
    """Seconds and share of each role in both runs."""
    rows = ["| stage | first run s | share | second run s | share |", "| --- | ---: | ---: | ---: | ---: |"]
    for stage in first.stages:
        seconds = (first.stages[stage], second.stages.get(stage, 0.0))
        shares = (seconds[0] / first.seconds, seconds[1] / second.seconds)
        rows.append(f"| {stage} | {seconds[0]:.1f} | {shares[0]:.0%} | {seconds[1]:.1f} | {shares[1]:.0%} |")
    rows.append(f"| whole | {first.seconds:.1f} | | {second.seconds:.1f} | |")
    rows.append("")
    rows.append(
        f"Sandbox started from nothing in {started:.1f} s. "
        f"Second run / first run: {second.seconds / first.seconds:.2f}."
    )
    return "\n".join(rows)


def main() -> int:
    """Start, deploy, deploy again, and print."""
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder))
        began = time.monotonic()
        bench.sandbox("start")
        started = time.monotonic() - began
        try:
            first = bench.play("playbooks/site.yml")
            second = bench.play("playbooks/site.yml")
        finally:
            bench.sandbox("reset")
    for run in (first, second):
        if run.code != 0:
            sys.stderr.write(run.output)
            return 1
    sys.stdout.write(table(started, first, second) + "\n")
    return 1 if second.changed else 0


if __name__ == "__main__":
    sys.exit(main())
