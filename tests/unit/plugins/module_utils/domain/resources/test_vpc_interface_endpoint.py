# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An endpoint that somebody else has to accept."""

from __future__ import annotations

import pytest
from ansible_collections.langsmith.aws.plugins.module_utils.domain.resources.vpc_interface_endpoint import (
    EndpointSettings,
    InterfaceEndpoint,
    differences,
    progress,
)

SERVICE = "com.amazonaws.vpce.us-east-1.vpce-svc-0123456789abcdef0"


def endpoint(state: str = "available", **more: object) -> InterfaceEndpoint:
    return InterfaceEndpoint("vpce-1", "vpc-1", SERVICE, state, ("subnet-1",), ("sg-1",), **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("state", "phase", "said"),
    [
        ("pendingacceptance", "changing", "has to accept"),
        ("available", "ready", ""),
        ("rejected", "broken", "turned it down"),
        ("expired", "broken", "seven days"),
        ("deleting", "leaving", ""),
    ],
)
def test_a_state_says_who_has_to_act(state: str, phase: str, said: str) -> None:
    found = progress(endpoint(state))
    assert found.phase == phase
    assert said in str(found)


def test_what_aws_says_is_wrong_is_told() -> None:
    assert "no such service" in str(progress(endpoint("failed", message="no such service")))


def test_private_names_wait_until_the_endpoint_was_accepted() -> None:
    wish = EndpointSettings(private_dns=True)
    assert differences(wish, endpoint("pendingacceptance")) == []
    assert [item.field for item in differences(wish, endpoint())] == ["private_dns"]


def test_subnets_groups_and_tags_are_compared_in_any_order() -> None:
    wish = EndpointSettings.from_options({"subnet_ids": ["subnet-2", "subnet-1"], "security_group_ids": ["sg-1"]})
    assert [item.field for item in differences(wish, endpoint(), {"a": "b"})] == ["subnet_ids", "tags"]
