# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What modifications of database and cache would change."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.langsmith.aws.plugins.module_utils.domain.resources import (
    elasticache_replication_group,
    rds_instance,
    subnet_group,
)
from ansible_collections.langsmith.aws.plugins.module_utils.domain.resources.elasticache_replication_group import (
    Cache,
    CacheSettings,
)
from ansible_collections.langsmith.aws.plugins.module_utils.domain.resources.rds_instance import (
    Database,
    DatabaseSettings,
)

DATABASE = Database(
    "acme-postgres",
    "arn:aws:rds:us-east-1:123456789012:db:acme-postgres",
    "available",
    DatabaseSettings(
        engine="postgres",
        engine_version="16.9",
        instance_class="db.m7g.large",
        allocated_storage_gib=100,
        max_allocated_storage_gib=500,
        storage_type="gp3",
        storage_encrypted=True,
        kms_key_id="arn:aws:kms:us-east-1:123456789012:key/1234",
        master_username="langsmith",
        database_name="langsmith",
        port=5432,
        security_group_ids=("sg-1",),
        multi_az=False,
        maintenance_window="sun:05:00-sun:06:00",
        deletion_protection=True,
        enabled_log_exports=(),
    ),
)


def database(**options: Any) -> DatabaseSettings:
    return DatabaseSettings.from_options(options)


@pytest.mark.parametrize(
    "options",
    [
        {"engine_version": "16"},
        {"engine_version": "16.9"},
        {"allocated_storage_gib": 50},
        {"kms_key_id": "alias/acme"},
        {"kms_key_id": "1234"},
        {"maintenance_window": "Sun:05:00-Sun:06:00"},
        {"enabled_log_exports": []},
        {"security_group_ids": []},
    ],
)
def test_the_same_said_otherwise_is_no_difference_of_a_database(options: dict[str, Any]) -> None:
    assert rds_instance.differences(database(**options), DATABASE) == []


@pytest.mark.parametrize(
    ("options", "blocked"),
    [
        ({"engine_version": "16.10"}, False),
        ({"engine_version": "17.6"}, False),
        ({"engine_version": "16.1"}, True),
        ({"engine_version": "15"}, True),
        ({"allocated_storage_gib": 200}, False),
        ({"instance_class": "db.m7g.xlarge"}, False),
        ({"storage_encrypted": False}, True),
        ({"port": 5433}, True),
        ({"master_username": "other"}, True),
        ({"database_name": "other"}, True),
        ({"deletion_protection": False}, False),
    ],
)
def test_what_rds_changes_is_a_difference_and_what_it_fixes_is_blocked(options: dict[str, Any], blocked: bool) -> None:
    (found,) = rds_instance.differences(database(**options), DATABASE)
    assert bool(found.blocked) is blocked


@pytest.mark.parametrize(("version", "major"), [("16.10", False), ("17", True), (None, False)])
def test_another_major_version_is_told_from_a_minor(version: str | None, major: bool) -> None:
    assert rds_instance.major_upgrade(database(engine_version=version), DATABASE.settings) is major


@pytest.mark.parametrize(
    ("status", "phase"),
    [
        ("available", "ready"),
        ("backing-up", "changing"),
        ("storage-full", "degraded"),
        ("incompatible-network", "broken"),
        ("stopped", "broken"),
        ("deleting", "leaving"),
    ],
)
def test_each_status_of_a_database_has_a_phase(status: str, phase: str) -> None:
    assert rds_instance.progress(replace(DATABASE, status=status)).phase == phase


def test_a_database_with_accepted_changes_is_not_settled() -> None:
    seen = rds_instance.settled(replace(DATABASE, pending=("DBInstanceClass",)))
    assert (seen.phase, seen.status) == ("changing", "available, pending DBInstanceClass")


CACHE = Cache(
    "acme-redis",
    "arn:aws:elasticache:us-east-1:123456789012:replicationgroup:acme-redis",
    "available",
    CacheSettings(
        description="queues",
        engine="redis",
        engine_version="7.1.0",
        node_type="cache.m7g.large",
        replicas=0,
        automatic_failover=False,
        multi_az=False,
        port=6379,
        auth_token_enabled=True,
    ),
)


def cache(**options: Any) -> CacheSettings:
    return CacheSettings.from_options(options)


@pytest.mark.parametrize("version", ["7.1", "7.x", "7.1.0"])
def test_a_version_of_the_cache_said_shortly_is_no_difference(version: str) -> None:
    assert elasticache_replication_group.differences(cache(engine_version=version), CACHE) == []


@pytest.mark.parametrize(
    ("options", "blocked"),
    [
        ({"engine_version": "7.2"}, False),
        ({"engine_version": "6.2"}, True),
        ({"engine": "valkey"}, False),
        ({"replicas": 1}, False),
        ({"port": 6380}, True),
        ({"node_type": "cache.m7g.xlarge"}, False),
    ],
)
def test_what_elasticache_changes_is_a_difference_and_what_it_fixes_is_blocked(
    options: dict[str, Any], blocked: bool
) -> None:
    (found,) = elasticache_replication_group.differences(cache(**options), CACHE)
    assert bool(found.blocked) is blocked


def test_a_cache_without_tls_is_blocked_whatever_else_is_wanted() -> None:
    plain = replace(CACHE, settings=replace(CACHE.settings, transit_encryption=False))
    (found,) = elasticache_replication_group.differences(cache(), plain)
    assert "TLS" in found.blocked


def test_what_only_nodes_know_is_no_difference_while_they_are_being_made() -> None:
    young = replace(CACHE, status="creating", settings=replace(CACHE.settings, engine_version=None, port=None))
    want = cache(engine_version="7.1", security_group_ids=["sg-1"], subnet_group_name="acme-redis", port=6379)
    assert elasticache_replication_group.differences(want, young) == []


def test_subnets_of_a_group_are_compared_as_a_set_and_only_when_said() -> None:
    have = subnet_group.SubnetGroup("acme", "arn", "LangSmith", ("subnet-1", "subnet-2"))
    assert subnet_group.differences(subnet_group.WantedSubnetGroup("acme"), have) == []
    assert subnet_group.differences(subnet_group.WantedSubnetGroup("acme", ("subnet-1", "subnet-2")), have) == []
    assert subnet_group.differences(subnet_group.WantedSubnetGroup("acme", ("subnet-1",)), have)
