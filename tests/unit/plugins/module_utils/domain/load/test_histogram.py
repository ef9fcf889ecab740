# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.langsmith.aws.plugins.module_utils.domain.load.histogram import (
    LONGEST,
    RELATIVE_ERROR,
    Histogram,
)


def filled(values: list[float]) -> Histogram:
    found = Histogram()
    for value in values:
        found.add(value)
    return found


@pytest.mark.parametrize("scale", [0.0001, 0.01, 1.0, 60.0, 2900.0])
@pytest.mark.parametrize("percent", [1, 50, 95, 99, 100])
def test_a_percentile_is_never_too_low_and_at_most_one_part_in_128_too_high(scale: float, percent: float) -> None:
    values = sorted(round((0.2 + number * 7919 % 1000 / 800) * scale, 6) for number in range(1000))
    exact = values[max(int(len(values) * percent / 100), 1) - 1]
    found = filled(values).percentile(percent)
    assert found is not None
    assert exact <= found + 1e-6
    assert found <= exact * (1 + RELATIVE_ERROR) + 1e-6


def test_latencies_that_never_came_count_as_longer_than_all() -> None:
    found = filled([1.0] * 94)
    found.missing = 6
    assert found.percentile(50) == 1.0
    assert found.percentile(95) is None


def test_without_values_there_is_no_percentile() -> None:
    assert Histogram().percentile(50) is None


@pytest.mark.parametrize("seconds", [-0.5, 0.0, 0.000001, 0.000255, 0.000256, 1.0, LONGEST, LONGEST * 50])
def test_every_latency_has_a_bucket_around_it(seconds: float) -> None:
    found = filled([seconds])
    ((begin, end, count),) = found.buckets()
    assert count == 1
    assert begin <= min(max(seconds, 0.0), LONGEST - 1e-6) < end + 1e-9


def test_histograms_add_up_to_that_of_all_values() -> None:
    values = [(number * 7919 % 1000 / 100) ** 3 for number in range(500)]
    whole, first, second = filled(values), filled(values[:200]), filled(values[200:])
    second.missing = 3
    first.merge(second)
    assert list(first.buckets()) == list(whole.buckets())
    assert (first.count, first.missing, first.longest) == (500, 3, whole.longest)


def test_a_histogram_comes_back_from_its_document() -> None:
    found = filled([0.1, 0.1, 7.5])
    found.missing = 2
    again = Histogram.from_dict(found.to_dict())
    assert list(again.buckets()) == list(found.buckets())
    assert (again.count, again.missing, again.longest) == (3, 2, 7.5)


def test_a_document_with_a_bucket_that_is_not_there_is_refused() -> None:
    with pytest.raises(ValueError, match="there is no bucket"):
        Histogram.from_dict({"counts": {"99999": 1}, "missing": 0, "longest": 1.0})
