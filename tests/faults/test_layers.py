# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The probe against an installation that is broken for real, one run of each fault; README.md tells of more."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from ansible_collections.langsmith.aws.plugins.module_utils.domain.probe.thresholds import THRESHOLDS

from tests.faults.catalogue import FAULTS, Fault, run, two_servers
from tests.faults.world import World

#: How quick it is on the machine of the tests says nothing of whether the probe finds a fault where there is none.
PATIENT = dict.fromkeys(THRESHOLDS, 600.0)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    found = World(tmp_path_factory.mktemp("faults"))
    try:
        found.start()
        yield found
    finally:
        found.stop()


def test_a_healthy_installation_passes_everything(world: World) -> None:
    result = world.probe(compression="zstd", feedback=True, thresholds=PATIENT)
    assert {entry["status"] for entry in result["findings"]} == {"pass"}
    assert (result["layer"], result["witnesses"], result["next_command"]) == ("", [], "")
    assert {stage["status"] for stage in result["stages"]} == {"pass"}


def test_servers_that_copy_to_each_other_are_healthy(world: World) -> None:
    with two_servers(world):
        results = [world.probe(thresholds=PATIENT) for _attempt in range(3)]
    assert [entry for result in results for entry in result["findings"] if entry["status"] != "pass"] == []


@pytest.mark.parametrize("fault", FAULTS, ids=[fault.name for fault in FAULTS])
def test_the_layer_at_fault_is_named_by_two_witnesses(world: World, fault: Fault) -> None:
    result = run(world, fault)
    assert result["layer"] == fault.layer, [entry for entry in result["findings"] if entry["status"] != "pass"]
    assert [witness["status"] for witness in result["witnesses"]] in (["fail", "pass"], ["warn", "pass"])
    assert result["next_command"]
    assert world.keys["write"] not in json.dumps(result)


def test_what_only_the_cluster_tells_is_unknown_without_it(world: World) -> None:
    fault = next(fault for fault in FAULTS if fault.outside)
    assert run(world, fault, inside=False)["layer"] == fault.outside == "unknown"
