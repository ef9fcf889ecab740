# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import inspect
import textwrap

import pytest
from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse import instances

from tests.unit.plugins.module_utils.domain.clickhouse import instance_table


def test_the_table_is_what_describe_instance_types_says() -> None:
    printed = textwrap.indent("\n".join(instance_table.table()), "")
    assert printed in inspect.getsource(instances)


def test_every_type_has_the_cpu_the_memory_and_the_processor_that_aws_tells() -> None:
    described = instance_table.described()
    told = {
        name: (kind["VCpuInfo"]["DefaultVCpus"], kind["MemoryInfo"]["SizeInMiB"] / 1024, _is_arm(kind))
        for name, kind in described.items()
    }
    assert {name: (kind.cpu, kind.memory_gib, kind.arm) for name, kind in instances.TYPES.items()} == told


def _is_arm(kind: dict[str, dict[str, list[str]]]) -> bool:
    return "arm64" in kind["ProcessorInfo"]["SupportedArchitectures"]


def test_types_with_disks_of_their_own_are_those_that_aws_says_have_some() -> None:
    described = instance_table.described()
    assert {name for name, kind in instances.TYPES.items() if kind.local_disks} == {
        name for name, kind in described.items() if kind["InstanceStorageSupported"]
    }


@pytest.mark.parametrize(
    ("name", "milli_cpu", "mib"),
    [
        ("m6i.2xlarge", 7910, 31775),
        ("m8i.2xlarge", 7910, 31115),
        ("m8a.2xlarge", 7910, 30675),
        ("r6i.2xlarge", 7910, 64543),
        ("m5.4xlarge", 15890, 62607),
        ("m8i.4xlarge", 15890, 60847),
        ("m6i.8xlarge", 31850, 128143),
    ],
)
def test_eks_leaves_pods_less_than_the_node_has(name: str, milli_cpu: int, mib: int) -> None:
    kind = instances.TYPES[name]
    assert round(kind.allocatable_cpu * 1000) == milli_cpu
    assert round(kind.allocatable_memory_gib * 1024) == mib


def test_the_baseline_of_a_2xlarge_is_298_mib_a_second() -> None:
    kind = instances.TYPES["m6i.2xlarge"]
    assert (round(kind.throughput), round(kind.burst_throughput), kind.iops) == (298, 1192, 12000)


def test_the_reference_size_fits_on_no_2xlarge_of_32_gib() -> None:
    small = [kind for kind in instances.TYPES.values() if kind.cpu == 8 and kind.memory_gib == 32]
    assert small
    assert not any(kind.fits(8, 32) for kind in small)


def test_the_smallest_type_that_sustains_the_reference_is_x86_without_disks_of_its_own() -> None:
    found = instances.suitable(8, 32, 1000, 7000)
    assert found[0].name == "m6in.4xlarge"
    assert {kind.name for kind in found if kind.cpu == 16 and kind.memory_gib == 64} == {
        f"{family}.4xlarge" for family in ("m6in", "m6idn", "im4gn", "m8gn", "m8gb", "m8ib", "m8idb")
    }
    assert all(kind.sustains(1000, 7000) and kind.fits(8, 32) for kind in found)


def test_nothing_is_suitable_for_what_no_type_has() -> None:
    assert instances.suitable(200, 32, 1000, 7000) == []
