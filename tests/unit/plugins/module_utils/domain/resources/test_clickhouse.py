# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What of a ClickHouse may change, and where its nodes are."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.langsmith.aws.plugins.module_utils.domain.resources.clickhouse import (
    CLUSTER_TAG,
    TOPOLOGY_TAG,
    USER_TAG,
    ClickHouse,
    differences,
    node_groups,
    read,
)
from ansible_collections.langsmith.aws.plugins.module_utils.domain.resources.network import Volume


def volume(number: int, size: int = 100, iops: int = 3000, throughput: int = 125) -> Volume:
    claim = f"data-chi-langsmith-langsmith-0-{number}-0"
    return Volume(f"vol-{number}", "us-east-1a", size, "gp3", iops, throughput, "in-use", claim)


def servers(count: int = 3, topology: str = "replicated", **figures: int) -> ClickHouse:
    return ClickHouse(topology, "langsmith", "langsmith", tuple(volume(number, **figures) for number in range(count)))


def wanted(**changes: Any) -> dict[str, Any]:
    figures = {"size_gib": 100, "iops": 3000, "throughput_mib_s": 125}
    return {"topology": "replicated", "cluster": "langsmith", "replicas": 3, "volume": figures} | changes


def test_what_was_decided_is_read_from_the_tags_of_the_secret_and_replicas_are_counted_by_their_volumes() -> None:
    keeper = Volume("vol-k", "us-east-1a", 20, "gp3", 3000, 125, "in-use", "data-chk-langsmith-keeper-0-0-0")
    found = read(
        {TOPOLOGY_TAG: "replicated", CLUSTER_TAG: "traces", USER_TAG: "writer"}, [volume(1), keeper, volume(0)]
    )
    assert (found.topology, found.cluster, found.user, found.replicas) == ("replicated", "traces", "writer", 2)
    assert [item["id"] for item in found.to_dict()["volumes"]] == ["vol-0", "vol-1"]


def test_a_volume_that_was_kept_when_its_claim_was_made_anew_is_none_of_the_servers() -> None:
    kept = replace(volume(0, size=50), id="vol-old", state="available")
    lost = replace(volume(1), state="available")
    assert [item.id for item in read({}, [kept, volume(0), lost]).volumes] == ["vol-0", "vol-1"]


def test_a_secret_without_the_tag_is_that_of_the_charts_own_server() -> None:
    assert read({}, []).topology == "single"


def test_the_same_is_no_difference() -> None:
    assert differences(wanted(), servers()) == []


@pytest.mark.parametrize("topology", ["single", "external", "managed"])
def test_another_topology_is_blocked_with_the_reason_and_a_way(topology: str) -> None:
    (only,) = differences(wanted(topology=topology), servers())
    assert (only.field, only.wanted, only.actual) == ("topology", topology, "replicated")
    assert "first migration" in only.blocked
    assert "second installation" in only.blocked


def test_another_name_of_the_cluster_is_blocked() -> None:
    (only,) = differences(wanted(cluster="other"), servers())
    assert "Keep the name" in only.blocked


def test_another_user_of_servers_that_know_one_is_blocked() -> None:
    (only,) = differences(wanted(user="other"), servers())
    assert (only.field, only.wanted, only.actual) == ("user", "other", "langsmith")
    assert "Keep the user" in only.blocked
    assert differences(wanted(user="langsmith"), servers()) == []


def test_a_user_that_was_never_written_down_or_is_known_elsewhere_may_be_any() -> None:
    assert differences(wanted(user="other"), replace(servers(), user="")) == []
    assert differences(wanted(topology="external", user="other"), servers(topology="external")) == []


def test_other_types_of_nodes_are_blocked_as_the_groups_keep_theirs() -> None:
    there = replace(servers(), instance_types=(("m6i.8xlarge",),))
    (only,) = differences(wanted(instance_types=["m6i.4xlarge"]), there)
    assert (only.field, only.wanted, only.actual) == ("instance_types", ["m6i.4xlarge"], ["m6i.8xlarge"])
    assert "Keep the types" in only.blocked
    assert differences(wanted(instance_types=["m6i.8xlarge"]), there) == []
    assert differences(wanted(instance_types=["m6i.4xlarge"]), servers()) == []


@pytest.mark.parametrize(("replicas", "blocked"), [(5, False), (2, True)])
def test_replicas_grow_and_never_shrink(replicas: int, blocked: bool) -> None:
    (only,) = differences(wanted(replicas=replicas), servers())
    assert (only.field, only.wanted, only.actual) == ("replicas", replicas, 3)
    assert bool(only.blocked) is blocked


def test_volumes_grow_and_never_shrink_and_may_have_any_speed() -> None:
    larger = differences(wanted(volume={"size_gib": 200, "iops": 7000, "throughput_mib_s": 125}), servers(1))
    assert [item.field.rpartition(".")[2] for item in larger if item.field != "replicas"] == ["size_gib", "iops"]
    smaller = differences(wanted(replicas=1, volume={"size_gib": 50, "iops": 3000}), servers(1, iops=7000))
    assert {item.field.rpartition(".")[2]: bool(item.blocked) for item in smaller} == {"size_gib": True, "iops": False}


@pytest.mark.parametrize(
    ("figure", "blocked"),
    [
        ({"throughput_mib_s": 1000, "iops": 16000}, []),
        ({"throughput_mib_s": 1001}, ["throughput"]),
        ({"throughput_mib_s": 2000, "iops": 16001}, ["iops", "throughput"]),
    ],
)
def test_a_change_that_the_module_cannot_make_is_blocked_with_the_way_to_make_it(
    figure: dict[str, int], blocked: list[str]
) -> None:
    found = differences(wanted(volume={"size_gib": 120, "iops": 3000, "throughput_mib_s": 125} | figure), servers(1))
    reasons = [item.blocked for item in found if item.blocked]
    assert [name for name, reason in zip(blocked, reasons, strict=True) if f"vol-0 --{name}" in reason] == blocked


def test_volumes_that_are_as_fast_already_may_grow() -> None:
    figures = {"size_gib": 120, "iops": 20000, "throughput_mib_s": 2000}
    found = differences(wanted(replicas=1, volume=figures), servers(1, iops=20000, throughput=2000))
    assert [(item.field.rpartition(".")[2], item.blocked) for item in found] == [("size_gib", "")]


def test_before_the_first_volume_nothing_is_compared_but_what_was_decided() -> None:
    assert differences(wanted(replicas=5), ClickHouse("replicated", "langsmith")) == []


SUBNETS = [{"id": f"subnet-{letter}", "availability_zone": f"us-east-1{letter}"} for letter in "cab"]


@pytest.mark.parametrize(
    ("replicas", "sizes"), [(3, [1, 1, 1]), (4, [2, 1, 1]), (5, [2, 2, 1])], ids=["three", "four", "five"]
)
def test_there_is_a_node_group_in_each_zone_with_a_node_for_each_replica(replicas: int, sizes: list[int]) -> None:
    groups = node_groups(SUBNETS, "acme", replicas)
    assert [group["name"] for group in groups] == [f"acme-clickhouse-us-east-1{letter}" for letter in "abc"]
    assert [group["subnet_ids"] for group in groups] == [["subnet-a"], ["subnet-b"], ["subnet-c"]]
    assert [group["min_size"] for group in groups] == sizes
    assert all(group["max_size"] == group["min_size"] + 1 for group in groups)


def test_two_zones_share_the_replicas() -> None:
    assert [group["min_size"] for group in node_groups(SUBNETS[:2], "acme", 3)] == [2, 1]
