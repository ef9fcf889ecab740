# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse import instances
from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.facts import (
    Environment,
    Load,
    Plan,
    Volume,
)
from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.plan_rules import PLAN_RULES, judge_plan
from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.recommendation import (
    load_from,
    needed,
    recommend,
)

from tests.unit.plugins.module_utils.domain.clickhouse.plans import HEALTHY

READS, WRITES = (5, 20, 50, 80), (10.0, 100.0, 1000.0, 3000.0)


def planned(load: Load) -> Plan:
    """The production plan that takes a recommendation at its word."""
    advice = recommend(load)
    assert advice.instance_type is not None
    return replace(
        HEALTHY,
        replicas=advice.replicas,
        cpu=advice.cpu,
        memory_gib=advice.memory_gib,
        cpu_limit=advice.cpu,
        memory_limit_gib=advice.memory_gib,
        instance_types=(advice.instance_type,),
        volume=Volume("gp3", advice.volume_gib, advice.iops, advice.throughput_mib_s),
        load=load,
        ttl_days=load.retention_days,
    )


@pytest.mark.parametrize("users", READS)
@pytest.mark.parametrize("traces_per_s", WRITES)
def test_what_is_recommended_for_a_load_passes_every_rule_on_plans(users: int, traces_per_s: float) -> None:
    findings = judge_plan(planned(Load(traces_per_s, users, 7)), "production")
    assert [finding for finding in findings if finding.status != "pass"] == []
    assert len(findings) == len(PLAN_RULES)


@pytest.mark.parametrize(
    ("users", "traces_per_s", "size"),
    [
        (5, 10, (3, 8, 32)),  # the reference architecture; the scaling page has 1 x 4/16
        (5, 1000, (3, 10, 32)),
        (50, 10, (3, 8, 32)),
        (20, 100, (3, 16, 32)),
        (50, 1000, (3, 14, 32)),
        (5, 100, (3, 10, 32)),  # no row of its own: that of high writes
        (20, 10, (3, 8, 32)),  # none either: that of high reads
        (20, 1000, (3, 14, 32)),
        (5, 1001, (3, 16, 64)),  # above the scaling page
        (51, 10, (5, 16, 64)),
    ],
)
def test_each_figure_is_the_larger_of_the_reference_and_the_scaling_page(
    users: int, traces_per_s: float, size: tuple[int, float, float]
) -> None:
    advice = recommend(Load(traces_per_s, users, 7))
    assert (advice.replicas, advice.cpu, advice.memory_gib) == size
    assert (advice.iops, advice.throughput_mib_s) == (7000, 1000)


@pytest.mark.parametrize(
    ("environment", "users"),
    # For 20 users the page itself has 16 vCPU on one replica, and 14 on three for more traces.
    [("dev", 5), ("dev", 20), ("dev", 50), ("production", 5), ("production", 50), ("production", 80)],
)
def test_more_traces_never_need_less(environment: Environment, users: int) -> None:
    sizes = [needed(Load(rate, users, 7), environment) for rate in sorted(WRITES)]
    totals = [size.replicas * size.cpu for size in sizes]
    assert totals == sorted(totals)


def test_the_arithmetic_names_the_row_that_was_taken() -> None:
    assert "for high reads and low writes, the least of its rows" in recommend(Load(10, 20, 7)).arithmetic[0]
    assert recommend(Load(100, 20, 7)).arithmetic[0].endswith("for medium reads and medium writes")


def test_the_volume_holds_what_is_kept_below_the_alert_at_70_percent() -> None:
    advice = recommend(Load(100, 20, 7))
    assert advice.volume_gib == 600  # 420 GiB of traces
    assert advice.days_to_full == 10.0
    assert any("420 GiB" in sentence for sentence in advice.arithmetic)


def test_traces_are_kept_for_the_charts_14_days_unless_told() -> None:
    assert recommend(Load(100, 20)) == recommend(Load(100, 20, 14))


def test_a_small_load_still_has_a_volume_of_100_gib() -> None:
    assert recommend(Load(0.1, 1, 7)).volume_gib == 100


def test_users_that_are_not_told_are_few_and_the_arithmetic_says_so() -> None:
    advice = recommend(Load(1000, None, 7))
    assert (advice.replicas, advice.cpu) == (3, 10)
    assert "users not given" in advice.arithmetic[0]


def test_beyond_the_scaling_page_only_a_load_test_tells() -> None:
    assert "only a load test tells" in recommend(Load(2000, 20, 7)).arithmetic[0]


def test_dev_has_the_scaling_pages_size_and_the_volume_that_costs_nothing_more() -> None:
    advice = recommend(Load(5, 2, 7), "dev")
    assert (advice.replicas, advice.cpu, advice.memory_gib) == (1, 4, 16)
    assert (advice.iops, advice.throughput_mib_s) == (3000, 125)
    assert instances.TYPES[str(advice.instance_type)].fits(4, 16)


@pytest.mark.parametrize(
    ("load", "told"),
    [
        (Load(0, 5), "load.traces_per_s is 0"),
        (Load(float("nan"), 5), "load.traces_per_s is nan"),
        (Load(10, -1), "load.users is -1"),
        (Load(10, 5, -1), "load.retention_days is -1"),
        (Load(10, 5, 0, 0), "load.horizon_days is 0"),
        (Load(1000, 5, 0, 400), "shorten load.horizon_days"),
        (Load(10, 5, float("inf")), "load.retention_days is inf"),
        (Load(1000, 5, 400), "a gp3 volume ends at 65536"),
        (Load(1e308, 5, 400), "a gp3 volume ends at 65536"),
    ],
)
def test_a_load_that_is_none_is_refused_with_its_figure(load: Load, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        recommend(load)


@pytest.mark.parametrize(
    "given",
    [
        [],
        "10",
        {},
        {"users": 5},
        {"traces_per_s": "many"},
        {"traces_per_s": 1, "users": 2.5},
        {"traces_per_s": 1, "x": 1},
    ],
)
def test_what_is_no_load_is_refused(given: Any) -> None:
    with pytest.raises(ValueError, match="load"):
        load_from(given)


def test_a_load_may_hold_its_figures_as_text_as_templates_give_them() -> None:
    assert load_from({"traces_per_s": "100", "users": "20"}) == Load(100.0, 20, None)


@pytest.mark.parametrize(("horizon", "days"), [(None, 30), (7, 7)])
def test_a_volume_for_traces_that_never_expire_lasts_until_a_horizon_that_is_named(
    horizon: float | None, days: float
) -> None:
    advice = recommend(Load(100, 20, 0, horizon))
    assert advice.volume_gib == recommend(Load(100, 20, days)).volume_gib
    told = " ".join(advice.arithmetic)
    assert (
        f"never expire (retention 0), so that no volume lasts: it is sized for {days} days (load.horizon_days)" in told
    )
    assert "if nothing were deleted" not in told


def test_a_horizon_says_nothing_where_traces_expire() -> None:
    assert recommend(Load(100, 20, 7, 90)) == recommend(Load(100, 20, 7))
    assert load_from({"traces_per_s": 1, "retention_days": 0, "horizon_days": "90"}) == Load(1.0, None, 0.0, 90.0)
