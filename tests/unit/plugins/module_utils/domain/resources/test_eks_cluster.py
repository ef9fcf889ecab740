# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an EKS cluster's update would change."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.langsmith.aws.plugins.module_utils.domain.errors import RefusedError
from ansible_collections.langsmith.aws.plugins.module_utils.domain.resources.eks_cluster import (
    Cluster,
    ClusterSettings,
    authentication_path,
    deletion_refusal,
    differences,
    progress,
)

SETTINGS = ClusterSettings(
    version="1.34",
    role_arn="arn:aws:iam::123456789012:role/acme-eks-cluster",
    subnet_ids=("subnet-1", "subnet-2"),
    security_group_ids=(),
    endpoint_public_access=True,
    endpoint_private_access=True,
    public_access_cidrs=("0.0.0.0/0",),
    authentication_mode="API",
    log_types=("api", "audit"),
    deletion_protection=False,
    support_type="STANDARD",
)
CLUSTER = Cluster("acme", "arn:aws:eks:us-east-1:123456789012:cluster/acme", "ACTIVE", SETTINGS, tags={"a": "1"})


def wanted(**options: Any) -> ClusterSettings:
    return ClusterSettings.from_options(options)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"version": "1.34"},
        {"subnet_ids": ["subnet-2", "subnet-1"]},
        {"subnet_ids": [], "security_group_ids": []},
        {"log_types": ["audit", "api"]},
        {"endpoint_public_access": True, "public_access_cidrs": ["0.0.0.0/0"]},
    ],
)
def test_what_is_as_wanted_in_another_order_or_not_said_is_no_difference(options: dict[str, Any]) -> None:
    assert differences(wanted(**options), CLUSTER) == []


@pytest.mark.parametrize(
    ("options", "fields"),
    [
        ({"version": "1.35"}, ["version"]),
        ({"log_types": []}, ["log_types"]),
        ({"endpoint_public_access": False, "public_access_cidrs": ["10.0.0.0/8"]}, ["endpoint_public_access"]),
        ({"public_access_cidrs": ["10.0.0.0/8"]}, ["public_access_cidrs"]),
        ({"deletion_protection": True, "support_type": "EXTENDED"}, ["deletion_protection", "support_type"]),
        ({"kms_key_arn": "arn:aws:kms:us-east-1:123456789012:key/1"}, ["kms_key_arn"]),
    ],
)
def test_what_is_not_as_wanted_is_a_difference_that_can_be_made(options: dict[str, Any], fields: list[str]) -> None:
    found = differences(wanted(**options), CLUSTER)
    assert [item.field for item in found] == fields
    assert not any(item.blocked for item in found)


@pytest.mark.parametrize(
    ("version", "reason"),
    [("1.36", "one minor version at a time; go to 1.35 first"), ("1.33", "does not go back"), ("2.0", "at a time")],
)
def test_a_version_that_eks_would_refuse_is_blocked(version: str, reason: str) -> None:
    (found,) = differences(wanted(version=version), CLUSTER)
    assert reason in found.blocked


def test_a_version_that_yaml_made_a_number_is_refused() -> None:
    with pytest.raises(RefusedError, match="quote it"):
        differences(wanted(version="1"), CLUSTER)


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"role_arn": "arn:aws:iam::123456789012:role/other"}, "role"),
        ({"service_ipv4_cidr": "172.20.0.0/16"}, "service network"),
        ({"authentication_mode": "CONFIG_MAP"}, "never back"),
    ],
)
def test_what_eks_fixes_is_blocked_with_a_reason(options: dict[str, Any], word: str) -> None:
    (found,) = differences(wanted(**options), CLUSTER)
    assert word in found.blocked


def test_another_key_than_the_one_in_use_is_blocked() -> None:
    encrypted = replace(CLUSTER, settings=replace(SETTINGS, kms_key_arn="arn:aws:kms:us-east-1:123456789012:key/1"))
    (found,) = differences(wanted(kms_key_arn="arn:aws:kms:us-east-1:123456789012:key/2"), encrypted)
    assert "set once" in found.blocked


@pytest.mark.parametrize(
    ("mode", "actual", "path"),
    [
        ("API", "CONFIG_MAP", ("API_AND_CONFIG_MAP", "API")),
        ("API", "API_AND_CONFIG_MAP", ("API",)),
        ("API_AND_CONFIG_MAP", None, ("API_AND_CONFIG_MAP",)),
    ],
)
def test_authentication_moves_step_by_step(mode: str, actual: str | None, path: tuple[str, ...]) -> None:
    assert authentication_path(mode, actual) == path


@pytest.mark.parametrize(
    ("tags", "purge", "result"),
    [
        (None, True, None),
        ({"a": "1"}, True, None),
        ({"b": "2"}, False, {"a": "1", "b": "2"}),
        ({"b": "2"}, True, {"b": "2"}),
    ],
)
def test_tags_are_added_and_taken_away_only_when_asked(
    tags: dict[str, str] | None, purge: bool, result: dict[str, str] | None
) -> None:
    found = differences(wanted(), CLUSTER, tags, purge)
    assert [item.wanted for item in found] == ([result] if result else [])


def test_a_failed_cluster_is_blocked_with_what_aws_says() -> None:
    failed = replace(CLUSTER, status="FAILED", issues=("Ec2SubnetNotFound: subnet-1",))
    (found,) = differences(wanted(), failed)
    assert found.field == "status"
    assert "Ec2SubnetNotFound" in found.blocked


@pytest.mark.parametrize(
    ("status", "phase"),
    [("CREATING", "changing"), ("ACTIVE", "ready"), ("DELETING", "leaving"), ("NEW_WORD", "changing")],
)
def test_each_status_has_a_phase_and_an_unknown_one_is_waited_for(status: str, phase: str) -> None:
    assert progress(replace(CLUSTER, status=status)).phase == phase


def test_a_protected_cluster_names_the_option_that_protects_it() -> None:
    protected = replace(CLUSTER, settings=replace(SETTINGS, deletion_protection=True))
    assert "deletion_protection=false" in deletion_refusal(protected)
    assert deletion_refusal(CLUSTER) == ""
