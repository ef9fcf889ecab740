# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.langsmith.aws.plugins.filter.clickhouse_recommendation import FilterModule

recommendation = FilterModule().filters()["clickhouse_recommendation"]


def test_a_load_becomes_the_figures_of_an_inventory() -> None:
    advice = recommendation({"traces_per_s": 100, "users": 20, "retention_days": 14})
    assert {
        key: advice[key] for key in ("replicas", "cpu", "memory_gib", "volume_gib", "iops", "throughput_mib_s")
    } == {
        "replicas": 3,
        "cpu": 16,
        "memory_gib": 32,
        "volume_gib": 1200,
        "iops": 7000,
        "throughput_mib_s": 1000,
    }
    assert set(advice) - {"replicas", "cpu", "memory_gib", "volume_gib", "iops", "throughput_mib_s"} == {
        "instance_type",
        "days_to_full",
        "arithmetic",
    }


def test_dev_has_no_baseline_of_three_replicas() -> None:
    assert recommendation({"traces_per_s": 1}, "dev")["replicas"] == 1


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (({"users": 5},), "traces_per_s at least"),
        (({"traces_per_s": -1},), "load.traces_per_s is -1"),
        (({"traces_per_s": 1}, "staging"), "neither dev nor production"),
    ],
)
def test_what_is_no_load_is_an_error_of_the_template(arguments: tuple[object, ...], told: str) -> None:
    with pytest.raises(AnsibleFilterError, match=told):
        recommendation(*arguments)
