# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import uuid

import pytest
from ansible_collections.langsmith.aws.plugins.module_utils.domain.load.ids import Ids, RunIds, new_ids, parse_seed

IDS = Ids(0x019AB3C4D5E6, 0x2123456FF)


@pytest.mark.parametrize("number", [0, 1, 99_999, 2**40 - 1])
def test_an_id_is_a_version_7_uuid_of_the_loads_moment_and_leads_back_to_its_number(number: int) -> None:
    run_id = IDS.id(number)
    parsed = uuid.UUID(run_id)
    assert (str(parsed), parsed.version, parsed.variant) == (run_id, 7, uuid.RFC_4122)
    assert parsed.int >> 80 == IDS.milliseconds
    assert IDS.number(run_id) == number


def test_ids_ascend_with_their_numbers() -> None:
    found = [IDS.id(number) for number in range(300)]
    assert found == sorted(found)


@pytest.mark.parametrize("other", [Ids(IDS.milliseconds + 1, IDS.tag), Ids(IDS.milliseconds, IDS.tag ^ 1 << 33)])
def test_an_id_of_another_load_has_no_number(other: Ids) -> None:
    assert IDS.number(other.id(7)) is None


@pytest.mark.parametrize("text", ["", "x" * 36, IDS.prefix + "zzzzzzzzzz", IDS.id(1) + "0"])
def test_a_text_that_is_no_id_has_no_number(text: str) -> None:
    assert IDS.number(text) is None


def test_a_seed_gives_the_same_ids_again() -> None:
    made = new_ids(1795275632319, b"\xff\xff\xff\xff\xff")
    assert parse_seed(made.seed) == made
    assert parse_seed(made.seed).id(5) == made.id(5)


@pytest.mark.parametrize("seed", ["", "019ab3c4d5e6", "019ab3c4d5e6-ffffffffff", "019ab3c4d5e6-fffffffff", "x-y"])
def test_a_text_that_is_no_seed_is_refused(seed: str) -> None:
    with pytest.raises(ValueError, match="is not of the form that a load reports"):
        parse_seed(seed)


@pytest.mark.parametrize(("milliseconds", "tag"), [(-1, 0), (2**48, 0), (0, 2**34)])
def test_numbers_that_do_not_fit_an_id_are_refused(milliseconds: int, tag: int) -> None:
    with pytest.raises(ValueError, match="do not fit"):
        Ids(milliseconds, tag)


def test_the_shares_of_a_load_have_all_its_ids_and_none_twice() -> None:
    shares = [RunIds(IDS, 3, index, 4) for index in range(4)]
    found = [share.id(local) for share in shares for local in range(3 * 5)]
    assert set(found) == {IDS.id(number) for number in range(3 * 5 * 4)}
    assert len(set(found)) == len(found)
    assert [shares[1].local(shares[1].id(local)) for local in range(15)] == list(range(15))
    assert shares[1].local(shares[2].id(0)) is None
    assert shares[1].local("nothing") is None
