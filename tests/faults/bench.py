#!/usr/bin/env python
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs every fault several times and a healthy installation many times, and prints how often the verdict was right.

Run it from the root of the project, with ``PYTHONPATH=.ansible/collections``:
``.venv/bin/python -m tests.faults.bench --times 5 --healthy 50``. It fails when any verdict is wrong.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from tests.faults.catalogue import FAULTS, Fault, expected, run, two_servers
from tests.faults.world import World


def healthy(world: World, times: int) -> tuple[int, float]:
    """How often a healthy installation was found healthy, and the slowest probe in seconds."""
    right, slowest = 0, 0.0
    for number in range(times):
        began = time.monotonic()
        result = world.probe(inside=number % 2 == 0, compression=("none", "zstd")[number % 2], feedback=True)
        slowest = max(slowest, time.monotonic() - began)
        bad = [entry for entry in result["findings"] if entry["status"] != "pass"]
        right += result["healthy"] and not bad
        for entry in bad:
            sys.stderr.write(f"healthy, run {number}: {entry}\n")
    return right, slowest


def faulty(world: World, fault: Fault, times: int, inside: bool) -> tuple[int, float]:
    """How often a fault got its verdict, and the seconds of the last probe."""
    right, seconds = 0, 0.0
    for _attempt in range(times):
        result = run(world, fault, inside)
        seconds = result["timings"]["total"]
        wanted = expected(fault, inside)
        right += result["layer"] == wanted
        if result["layer"] != wanted:
            found = [entry for entry in result["findings"] if entry["status"] != "pass"]
            sys.stderr.write(f"{fault.name}: {result['layer']} in place of {wanted}: {found}\n")
    return right, seconds


def main() -> int:
    """Print a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=5)
    parser.add_argument("--healthy", type=int, default=50)
    parser.add_argument("--only", default="", help="a part of the names of the faults to run")
    parser.add_argument("--skip", type=int, default=0, help="how many of the faults to leave out at the start")
    parser.add_argument("--take", type=int, default=len(FAULTS), help="how many of the rest to run")
    arguments = parser.parse_args()
    chosen = [fault for fault in FAULTS if arguments.only in fault.name][arguments.skip :][: arguments.take]
    wrong = 0
    with tempfile.TemporaryDirectory() as folder:
        world = World(Path(folder))
        try:
            world.start()
            right, slowest = healthy(world, arguments.healthy)
            wrong += arguments.healthy - right
            print(f"healthy: {right} of {arguments.healthy} right, slowest probe {slowest:.1f} s")
            with two_servers(world):
                right, slowest = healthy(world, arguments.times)
            wrong += arguments.times - right
            print(f"healthy, two servers: {right} of {arguments.times} right, slowest probe {slowest:.1f} s\n")
            print("| fault | layer | right inside | right outside | probe s |\n| --- | --- | ---: | ---: | ---: |")
            for fault in chosen:
                within, seconds = faulty(world, fault, arguments.times, True)
                without, _seconds = faulty(world, fault, arguments.times, False)
                wrong += 2 * arguments.times - within - without
                layers = " / ".join(dict.fromkeys((fault.layer, expected(fault, False))))
                of = arguments.times
                print(f"| {fault.name} | {layers} | {within}/{of} | {without}/{of} | {seconds:.1f} |", flush=True)
        finally:
            world.stop()
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
