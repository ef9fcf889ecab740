# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from ansible_collections.langsmith.aws.plugins.module_utils.domain.load.ledger import SHOWN, Bits, Ledger


def test_bits_hold_exactly_what_was_put_in() -> None:
    found, expected = Bits(), set()
    for number in range(300):
        first, count = number * 7919 % 5000, number * 31 % 129 + 1
        found.add(first, count)
        expected |= set(range(first, first + count))
    assert {number for number in range(6000) if number in found} == expected
    assert len(found) == len(expected)


def test_every_run_of_a_load_is_accepted_refused_or_unanswered() -> None:
    ledger = Ledger()
    ledger.answer(0, 100, 202)
    ledger.answer(100, 50, 429)
    ledger.answer(150, 25, 503)
    ledger.answer(175, 25, 429)
    ledger.answer(200, 10, None, "http timeout")
    account = ledger.account()
    assert (account.sent, account.accepted) == (210, 100)
    assert account.refused == {"429": 75, "503": 25}
    assert account.unanswered == {"http timeout": 10}


def test_accepted_runs_are_visible_or_lost_by_their_numbers() -> None:
    ledger = Ledger()
    ledger.answer(0, 100, 202)
    ledger.sight(range(100), [number for number in range(100) if number % 9])
    account = ledger.account()
    assert (account.visible, account.lost) == (88, 12)
    assert account.lost_numbers == tuple(range(0, 100, 9))
    assert ledger.missing == 12


def test_only_the_first_lost_numbers_are_named() -> None:
    ledger = Ledger()
    ledger.answer(0, 100, 200)
    assert ledger.account().lost_numbers == tuple(range(SHOWN))


def test_rows_beyond_a_runs_first_are_duplicates_however_often_they_are_read() -> None:
    ledger = Ledger()
    ledger.answer(0, 10, 202)
    ledger.sight(range(10), [0, 1, 2, 2, 2, 5, 5])
    ledger.sight(range(10), [0, 1, 2, 2, 2, 5, 5])
    account = ledger.account()
    assert (account.duplicates, account.duplicate_numbers, account.visible) == (3, (2, 5), 4)


def test_a_run_that_is_stored_though_nothing_accepted_it_is_told_apart() -> None:
    ledger = Ledger()
    ledger.answer(0, 5, 202)
    ledger.answer(5, 5, None, "http timeout")
    ledger.sight(range(10), [0, 1, 2, 3, 4, 6, 7])
    account = ledger.account()
    assert (account.visible, account.lost, account.stored_unaccepted) == (5, 0, 2)


def test_what_no_reading_told_of_and_what_is_missing_is_looked_for_in_blocks() -> None:
    ledger = Ledger()
    ledger.answer(0, 4, 202)
    ledger.answer(4, 4, 500)
    assert list(ledger.blocks(3)) == [[0, 1, 2], [3, 4, 5], [6, 7]]
    ledger.sight([0, 1, 2], [0, 2])
    ledger.sight([6, 7], [])
    # 1 was accepted and is not there, and of 3 to 5 nothing is known yet.
    assert list(ledger.blocks(3)) == [[1, 3, 4], [5]]
    assert (ledger.missing, ledger.unasked) == (2, 3)
    ledger.sight([1, 3, 4], [1, 3])
    ledger.sight([5], [5])
    assert list(ledger.blocks(3)) == []
    assert (ledger.unasked, ledger.account().stored_unaccepted) == (0, 1)


def test_a_hundred_thousand_runs_take_a_few_bits_each() -> None:
    ledger = Ledger()
    for first in range(0, 100_000, 100):
        ledger.answer(first, 100, 202)
        ledger.sight(range(first, first + 100), range(first, first + 100))
    assert sum(len(bits._bytes) for bits in (ledger.accepted, ledger.seen, ledger.looked_up)) < 100_000
    assert ledger.account().visible == 100_000
