# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What updates of node groups and add-ons would change."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.langsmith.aws.plugins.module_utils.domain.resources import eks_addon, eks_nodegroup
from ansible_collections.langsmith.aws.plugins.module_utils.domain.resources.eks_addon import Addon, AddonSettings
from ansible_collections.langsmith.aws.plugins.module_utils.domain.resources.eks_nodegroup import (
    Nodegroup,
    NodegroupSettings,
    Taint,
    size_within,
)

SETTINGS = NodegroupSettings(
    node_role_arn="arn:aws:iam::123456789012:role/acme-eks-node",
    subnet_ids=("subnet-1", "subnet-2"),
    instance_types=("m6i.2xlarge",),
    ami_type="AL2023_x86_64_STANDARD",
    capacity_type="ON_DEMAND",
    disk_size_gib=100,
    min_size=2,
    max_size=6,
    desired_size=4,
    version="1.34",
    labels={"pool": "default"},
    taints=(),
)
GROUP = Nodegroup("acme", "acme-default", "arn:aws:eks:us-east-1:123456789012:nodegroup/acme/x/y", "ACTIVE", SETTINGS)


def wanted(**options: Any) -> NodegroupSettings:
    return NodegroupSettings.from_options(options)


def test_the_number_of_nodes_that_an_autoscaler_chose_is_no_difference() -> None:
    assert eks_nodegroup.differences(wanted(desired_size=2, min_size=2, max_size=6), GROUP) == []


@pytest.mark.parametrize(
    ("options", "fields"),
    [
        ({"labels": {"pool": "other"}}, ["labels"]),
        ({"labels": {}}, ["labels"]),
        ({"taints": [{"key": "a", "value": "b", "effect": "NO_SCHEDULE"}]}, ["taints"]),
        ({"min_size": 3, "max_size": 9}, ["min_size", "max_size"]),
        ({"version": "1.35"}, ["version"]),
    ],
)
def test_what_a_node_group_takes_is_a_difference_that_can_be_made(options: dict[str, Any], fields: list[str]) -> None:
    found = eks_nodegroup.differences(wanted(**options), GROUP)
    assert [item.field for item in found] == fields
    assert not any(item.blocked for item in found)


@pytest.mark.parametrize(
    "options",
    [
        {"instance_types": ["m7i.2xlarge"]},
        {"subnet_ids": ["subnet-3"]},
        {"disk_size_gib": 50},
        {"capacity_type": "SPOT"},
        {"node_role_arn": "arn:aws:iam::123456789012:role/other"},
        {"ami_type": "AL2023_ARM_64_STANDARD"},
        {"version": "1.33"},
    ],
)
def test_what_a_node_group_keeps_for_life_is_blocked(options: dict[str, Any]) -> None:
    (found,) = eks_nodegroup.differences(wanted(**options), GROUP)
    assert found.blocked


def test_the_order_of_taints_is_no_difference() -> None:
    taints = (Taint("a", "", "NO_EXECUTE"), Taint("b", "1", "NO_SCHEDULE"))
    have = replace(GROUP, settings=replace(SETTINGS, taints=taints))
    want = [{"key": "b", "value": "1", "effect": "NO_SCHEDULE"}, {"key": "a", "effect": "NO_EXECUTE"}]
    assert eks_nodegroup.differences(wanted(taints=want), have) == []


def test_the_image_that_a_launch_template_names_is_not_compared() -> None:
    own = replace(SETTINGS, ami_type="CUSTOM", launch_template_id="lt-1", launch_template_version="3")
    want = wanted(ami_type="AL2023_x86_64_STANDARD", launch_template={"id": "lt-1", "version": "3"})
    assert eks_nodegroup.differences(want, replace(GROUP, settings=own)) == []


@pytest.mark.parametrize(
    ("options", "size"),
    [({"min_size": 3}, None), ({"min_size": 5}, 5), ({"max_size": 3}, 3), ({"min_size": 2, "max_size": 6}, None)],
)
def test_the_number_of_nodes_moves_only_as_far_as_new_bounds_force_it(
    options: dict[str, Any], size: int | None
) -> None:
    assert size_within(wanted(**options), SETTINGS) == size


def test_a_group_whose_creation_failed_is_blocked_with_what_aws_says() -> None:
    failed = replace(GROUP, status="CREATE_FAILED", issues=("NodeCreationFailure: Instances failed to join",))
    (found,) = eks_nodegroup.differences(wanted(), failed)
    assert "failed to join" in found.blocked


ADDON = Addon(
    "acme",
    "coredns",
    "arn:aws:eks:us-east-1:123456789012:addon/acme/coredns/1",
    "ACTIVE",
    AddonSettings("v1.13.1-eksbuild.1"),
)


@pytest.mark.parametrize("values", [None, {}])
def test_no_configuration_and_an_empty_one_are_the_same(values: dict[str, Any] | None) -> None:
    assert eks_addon.differences(AddonSettings(configuration_values=values), ADDON) == []


def test_the_order_of_configuration_keys_is_no_difference() -> None:
    have = replace(ADDON, settings=AddonSettings("v1", None, {"b": {"c": 1}, "a": 2}))
    assert eks_addon.differences(AddonSettings(configuration_values={"a": 2, "b": {"c": 1}}), have) == []


def test_a_configuration_that_is_no_json_is_written_over() -> None:
    have = replace(ADDON, configuration_text="replicaCount: 2")
    assert [item.field for item in eks_addon.differences(AddonSettings(configuration_values={}), have)] == [
        "configuration_values"
    ]


def test_a_failed_addon_is_a_difference_that_can_be_mended() -> None:
    (found,) = eks_addon.differences(AddonSettings(), replace(ADDON, status="UPDATE_FAILED"))
    assert (found.field, found.blocked) == ("status", "")


def test_an_addon_without_nodes_is_waited_for() -> None:
    assert eks_addon.progress(replace(ADDON, status="DEGRADED")).phase == "degraded"
