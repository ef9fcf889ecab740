# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of ``domain/clickhouse/instances.py`` out of DescribeInstanceTypes, as moto carries its answer.

``python -m tests.unit.plugins.module_utils.domain.clickhouse.instance_table`` prints it anew.
"""

from __future__ import annotations

import gzip
import json
import re
import textwrap
from collections import defaultdict
from importlib.resources import files
from typing import Any

SIZES = ("xlarge", "2xlarge", "4xlarge", "8xlarge")
#: General purpose, memory, compute and storage families on Nitro, whose EBS bandwidth is their own.
FAMILY = re.compile(r"[mrc][5-9][a-z-]*|i[3-9][a-z]*|im4gn|is4gen")


def described() -> dict[str, dict[str, Any]]:
    """DescribeInstanceTypes' answer for every type of the families that the table holds."""
    source = files("moto").joinpath("ec2/resources/instance_types.json.gz").read_bytes()
    every: dict[str, dict[str, Any]] = json.loads(gzip.decompress(source))
    return {
        name: kind
        for name, kind in every.items()
        if FAMILY.fullmatch(name.partition(".")[0]) and name.partition(".")[2] in SIZES
    }


def figures(kind: dict[str, Any]) -> tuple[Any, ...]:
    """Baseline MB/s and IOPS, burst MB/s and IOPS, pods by the network interfaces."""
    ebs, network = kind["EbsInfo"]["EbsOptimizedInfo"], kind["NetworkInfo"]
    return (
        ebs["BaselineThroughputInMBps"],
        ebs["BaselineIops"],
        ebs["MaximumThroughputInMBps"],
        ebs["MaximumIops"],
        network["MaximumNetworkInterfaces"] * (network["Ipv4AddressesPerInterface"] - 1) + 2,
    )


def table() -> list[str]:
    """The families of equal figures, then these figures for each size, in lines of at most 110 characters."""
    families: dict[str, dict[str, Any]] = defaultdict(dict)
    for name, kind in described().items():
        family, size = name.split(".")
        families[family][size] = kind
    grouped: dict[str, list[str]] = defaultdict(list)
    for family, kinds in sorted(families.items()):
        told = ["/".join(f"{figure:g}" for figure in figures(kinds[size])) if size in kinds else "-" for size in SIZES]
        grouped[" ".join(told)].append(family)
    entries = sorted((" ".join(names), told) for told, names in grouped.items())
    return [line for names, told in entries for line in (*textwrap.wrap(names, 110), told)]


if __name__ == "__main__":
    print("\n".join(table()))
