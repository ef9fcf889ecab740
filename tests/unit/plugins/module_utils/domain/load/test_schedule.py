# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import itertools

import pytest
from ansible_collections.langsmith.aws.plugins.module_utils.domain.load.schedule import Arrivals


@pytest.mark.parametrize(
    ("arrivals", "total"),
    [
        (Arrivals(10, 60), 600),
        (Arrivals(0.5, 60), 30),
        (Arrivals(10, 60, ramp=20), 500),
        (Arrivals(10, 20, ramp=20), 100),
        (Arrivals(10, 60, most=77), 77),
        (Arrivals(1 / 3, 10), 4),
    ],
)
def test_so_many_traces_come_in_all(arrivals: Arrivals, total: int) -> None:
    assert arrivals.total == total
    assert arrivals.due_by(1e9) == total


def test_traces_are_due_at_even_distances() -> None:
    assert [Arrivals(4, 10).due(position) for position in (0, 1, 2, 10)] == [0, 0.25, 0.5, 2.5]


def test_during_a_ramp_traces_come_closer_and_closer() -> None:
    arrivals = Arrivals(10, 30, ramp=10)
    due = [arrivals.due(position) for position in range(arrivals.total)]
    gaps = [later - earlier for earlier, later in itertools.pairwise(due)]
    assert due[0] == 0
    assert due[49] < 10 <= due[50]
    assert gaps[:40] == sorted(gaps[:40], reverse=True)
    assert gaps[60] == pytest.approx(0.1)
    assert due[-1] < 30


@pytest.mark.parametrize("arrivals", [Arrivals(7, 9), Arrivals(7, 9, ramp=4), Arrivals(7, 9, ramp=4, index=1, of=3)])
def test_what_is_due_by_a_moment_agrees_with_when_each_is_due(arrivals: Arrivals) -> None:
    due = [arrivals.due(position) for position in range(arrivals.total)]
    for tenth in range(1, 90):
        moment = tenth / 10 + 0.003
        assert arrivals.due_by(moment) == sum(one < moment for one in due)


def test_shares_send_together_what_one_would() -> None:
    whole = Arrivals(9, 10, ramp=3, most=70)
    shares = [Arrivals(9, 10, ramp=3, most=70, index=index, of=4) for index in range(4)]
    together = sorted(share.due(position) for share in shares for position in range(share.total))
    assert together == [whole.due(position) for position in range(whole.total)]


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"rate": 0, "seconds": 1}, "above 0"),
        ({"rate": 1, "seconds": 0}, "above 0"),
        ({"rate": 1, "seconds": 5, "ramp": 6}, "no longer than the duration"),
        ({"rate": 1, "seconds": 5, "index": 2, "of": 2}, "share 2 of 2"),
    ],
)
def test_arrivals_that_cannot_be_are_refused(wrong: dict[str, float], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Arrivals(**wrong)  # type: ignore[arg-type]
