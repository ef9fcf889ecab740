# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.langsmith.aws.plugins.module_utils.domain.variables import unknown_variables

SPECS = {"network": {"argument_specs": {"main": {"options": {"network_vpc_cidr": {}}}, "start": {"options": {}}}}}


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("network_vpc_cidr", None),
        ("other_vpc_cdr", None),
        ("network", None),
        ("__network_plan", None),
        ("network_vpc_cdir", "did you mean network_vpc_cidr?"),
        ("network_zzz", "ansible-doc -t role langsmith.aws.network"),
    ],
)
def test_only_a_misspelt_variable_of_a_known_role_is_told(name: str, said: str | None) -> None:
    sentences = unknown_variables([name], SPECS)
    assert (said is None and sentences == []) or (said is not None and said in sentences[0])
