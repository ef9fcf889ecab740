# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The modules of database and cache call by call, under botocore's own models of RDS and ElastiCache."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.langsmith.aws.plugins.module_utils.domain.errors import ProjectError, RefusedError
from ansible_collections.langsmith.aws.plugins.module_utils.shell.state import bring
from ansible_collections.langsmith.aws.plugins.modules import elasticache_replication_group, rds_instance
from botocore.stub import Stubber

from tests.unit.plugins.aws_support import options_of, stubbed, waiter

PASSWORD = "correct-horse-battery-staple"


def instance(status: str = "available", **changes: Any) -> dict[str, Any]:
    data = {
        "DBInstanceIdentifier": "acme-postgres",
        "DBInstanceArn": "arn:aws:rds:us-east-1:123456789012:db:acme-postgres",
        "DBInstanceStatus": status,
        "DBInstanceClass": "db.m7g.large",
        "Engine": "postgres",
        "EngineVersion": "16.9",
        "MasterUsername": "langsmith",
        "DBName": "langsmith",
        "AllocatedStorage": 100,
        "StorageType": "gp3",
        "StorageEncrypted": True,
        "AutoMinorVersionUpgrade": False,
        "DeletionProtection": False,
        "Endpoint": {"Address": "acme-postgres.example", "Port": 5432},
        "DBSubnetGroup": {"DBSubnetGroupName": "acme-postgres"},
        "VpcSecurityGroups": [{"VpcSecurityGroupId": "sg-1", "Status": "active"}],
        "TagList": [],
    }
    return {"DBInstances": [{**data, **changes}]}


def sees(stub: Stubber, status: str = "available", **changes: Any) -> None:
    stub.add_response("describe_db_instances", instance(status, **changes), {"DBInstanceIdentifier": "acme-postgres"})


def missing(stub: Stubber) -> None:
    stub.add_client_error("describe_db_instances", "DBInstanceNotFound", "DBInstance acme-postgres not found.", 404)


def bring_database(client: Any, check: bool = False, secrets: Any = None, **given: Any) -> dict[str, Any]:
    options = options_of(rds_instance, id="acme-postgres", **given)
    resource = rds_instance.DatabaseResource(client, options, secrets)
    return bring(resource, options["state"] == "present", check, True, waiter(100, 10))


CREATE: dict[str, Any] = {
    "engine_version": "16.9",
    "instance_class": "db.m7g.large",
    "allocated_storage_gib": 100,
    "master_username": "langsmith",
    "password_secret": {"name": "langsmith/acme/postgres"},
    "database_name": "langsmith",
    "subnet_group_name": "acme-postgres",
    "security_group_ids": ["sg-1"],
    "tags": {"langsmith:installation": "acme"},
}


def test_a_database_is_created_with_the_password_of_the_secret_which_no_result_shows() -> None:
    with stubbed("rds") as (client, stub), stubbed("secretsmanager") as (secrets, held):
        missing(stub)
        value = {"SecretString": json.dumps({"password": PASSWORD})}
        held.add_response("get_secret_value", value, {"SecretId": "langsmith/acme/postgres"})
        stub.add_response(
            "create_db_instance",
            {},
            {
                "DBInstanceIdentifier": "acme-postgres",
                "DBInstanceClass": "db.m7g.large",
                "Engine": "postgres",
                "EngineVersion": "16.9",
                "AllocatedStorage": 100,
                "StorageType": "gp3",
                "StorageEncrypted": True,
                "MasterUsername": "langsmith",
                "MasterUserPassword": PASSWORD,
                "DBName": "langsmith",
                "DBSubnetGroupName": "acme-postgres",
                "VpcSecurityGroupIds": ["sg-1"],
                "AutoMinorVersionUpgrade": False,
                "PubliclyAccessible": False,
                "CopyTagsToSnapshot": True,
                "Tags": [{"Key": "langsmith:installation", "Value": "acme"}],
            },
        )
        sees(stub, "creating", Endpoint={}, DbInstancePort=0)
        sees(stub)
        sees(stub)
        result = bring_database(client, secrets=secrets, **CREATE)
    assert result["changed"] is True
    assert result["database"]["host"] == "acme-postgres.example"
    assert PASSWORD not in json.dumps(result)


def test_check_mode_reads_no_secret() -> None:
    with stubbed("rds") as (client, stub), stubbed("secretsmanager") as (secrets, _held):
        missing(stub)
        result = bring_database(client, check=True, secrets=secrets, **CREATE)
    assert result["changed"] is True


def test_a_secret_without_the_key_is_told_before_anything_is_created() -> None:
    with stubbed("rds") as (client, stub), stubbed("secretsmanager") as (secrets, held):
        missing(stub)
        held.add_response("get_secret_value", {"SecretString": '{"pass": "x"}'})
        with pytest.raises(ProjectError, match="has no key password"):
            bring_database(client, secrets=secrets, **CREATE)


def test_an_instance_that_is_being_created_is_as_wanted_and_awaited() -> None:
    with stubbed("rds") as (client, stub):
        sees(stub, "creating", Endpoint={}, DbInstancePort=0)
        sees(stub, "creating", Endpoint={})
        sees(stub)
        sees(stub)
        result = bring_database(client, port=5432, **{**CREATE, "tags": None})
    assert (result["changed"], result["waited_seconds"]) == (False, 10)


def test_only_what_changed_is_modified_and_awaited_until_rds_has_made_it() -> None:
    with stubbed("rds") as (client, stub):
        sees(stub)
        stub.add_response(
            "modify_db_instance",
            {},
            {"DBInstanceIdentifier": "acme-postgres", "ApplyImmediately": True, "DBInstanceClass": "db.m7g.xlarge"},
        )
        sees(stub, PendingModifiedValues={"DBInstanceClass": "db.m7g.xlarge"})
        sees(stub, "modifying")
        for _time in range(4):
            sees(stub, DBInstanceClass="db.m7g.xlarge")
        result = bring_database(client, instance_class="db.m7g.xlarge", engine_version="16")
    assert result["database"]["class"] == "db.m7g.xlarge"
    assert result["waited_seconds"] == 20


def test_an_accepted_change_is_not_sent_twice() -> None:
    with stubbed("rds") as (client, stub):
        sees(stub, PendingModifiedValues={"DBInstanceClass": "db.m7g.xlarge", "MasterUserPassword": "****"})
        result = bring_database(client, check=True, instance_class="db.m7g.xlarge")
    assert result["changed"] is False


def test_more_throughput_is_sent_with_the_storage_it_belongs_to() -> None:
    with stubbed("rds") as (client, stub):
        sees(stub, AllocatedStorage=500)
        stub.add_response(
            "modify_db_instance",
            {},
            {
                "DBInstanceIdentifier": "acme-postgres",
                "ApplyImmediately": True,
                "AllocatedStorage": 500,
                "StorageType": "gp3",
                "Iops": 12000,
                "StorageThroughput": 500,
            },
        )
        for _time in range(4):
            sees(stub, AllocatedStorage=500, Iops=12000, StorageThroughput=500)
        bring_database(client, allocated_storage_gib=400, iops=12000, storage_throughput_mib_s=500)


def test_a_major_upgrade_asks_to_be_allowed() -> None:
    with stubbed("rds") as (client, stub):
        sees(stub)
        with pytest.raises(RefusedError, match="allow_major_version_upgrade"):
            bring_database(client, engine_version="17")


def test_a_deletion_asks_for_a_last_snapshot_or_to_do_without() -> None:
    with stubbed("rds") as (client, stub):
        sees(stub)
        with pytest.raises(RefusedError, match="final_snapshot_id"):
            bring_database(client, state="absent")


def test_a_protected_database_names_the_option_that_protects_it() -> None:
    with stubbed("rds") as (client, stub):
        sees(stub, DeletionProtection=True)
        with pytest.raises(RefusedError, match="deletion_protection=false"):
            bring_database(client, state="absent", final_snapshot_id="acme-last")


def test_a_database_is_deleted_with_a_last_snapshot() -> None:
    with stubbed("rds") as (client, stub):
        sees(stub)
        stub.add_response(
            "delete_db_instance",
            {},
            {
                "DBInstanceIdentifier": "acme-postgres",
                "SkipFinalSnapshot": False,
                "FinalDBSnapshotIdentifier": "acme-last",
                "DeleteAutomatedBackups": True,
            },
        )
        sees(stub, "deleting")
        missing(stub)
        missing(stub)
        assert bring_database(client, state="absent", final_snapshot_id="acme-last")["database"] is None


CACHE_ARN = "arn:aws:elasticache:us-east-1:123456789012:replicationgroup:acme-redis"


def sees_cache(stub: Stubber, status: str = "available", members: int = 1, **changes: Any) -> None:
    names = [f"acme-redis-00{number}" for number in range(1, members + 1)]
    group = {
        "ReplicationGroupId": "acme-redis",
        "ARN": CACHE_ARN,
        "Status": status,
        "Description": "queues",
        "MemberClusters": names,
        "NodeGroups": [{"PrimaryEndpoint": {"Address": "acme-redis.example", "Port": 6379}}],
        "AutomaticFailover": "disabled",
        "MultiAZ": "disabled",
        "CacheNodeType": "cache.m7g.large",
        "TransitEncryptionEnabled": True,
        "AtRestEncryptionEnabled": True,
        "AuthTokenEnabled": True,
        "Engine": "redis",
        **changes,
    }
    stub.add_response(
        "describe_replication_groups", {"ReplicationGroups": [group]}, {"ReplicationGroupId": "acme-redis"}
    )
    node = {
        "CacheClusterId": names[0],
        "EngineVersion": "7.1.0",
        "CacheSubnetGroupName": "acme-redis",
        "SecurityGroups": [{"SecurityGroupId": "sg-1", "Status": "active"}],
    }
    stub.add_response("describe_cache_clusters", {"CacheClusters": [node]})
    stub.add_response("list_tags_for_resource", {"TagList": []}, {"ResourceName": CACHE_ARN})


def no_cache(stub: Stubber) -> None:
    stub.add_client_error("describe_replication_groups", "ReplicationGroupNotFoundFault", "not found", 404)


def bring_cache(client: Any, check: bool = False, secrets: Any = None, **given: Any) -> dict[str, Any]:
    options = options_of(elasticache_replication_group, id="acme-redis", **given)
    resource = elasticache_replication_group.CacheResource(client, options, secrets)
    return bring(resource, options["state"] == "present", check, True, waiter(100, 10))


def test_a_cache_is_created_encrypted_with_the_token_of_the_secret() -> None:
    with stubbed("elasticache") as (client, stub), stubbed("secretsmanager") as (secrets, held):
        no_cache(stub)
        held.add_response("get_secret_value", {"SecretString": json.dumps({"auth_token": PASSWORD})})
        stub.add_response(
            "create_replication_group",
            {},
            {
                "ReplicationGroupId": "acme-redis",
                "ReplicationGroupDescription": "queues",
                "Engine": "redis",
                "EngineVersion": "7.1",
                "CacheNodeType": "cache.m7g.large",
                "NumCacheClusters": 1,
                "AutomaticFailoverEnabled": False,
                "MultiAZEnabled": False,
                "CacheSubnetGroupName": "acme-redis",
                "AuthToken": PASSWORD,
                "TransitEncryptionEnabled": True,
                "AtRestEncryptionEnabled": True,
            },
        )
        sees_cache(stub)
        sees_cache(stub)
        result = bring_cache(
            client,
            secrets=secrets,
            description="queues",
            engine_version="7.1",
            node_type="cache.m7g.large",
            subnet_group_name="acme-redis",
            auth_token_secret={"name": "langsmith/acme/redis"},
        )
    assert result["cache"]["transit_encryption"] is True
    assert PASSWORD not in json.dumps(result)


def test_a_replica_comes_before_failover_is_turned_on() -> None:
    with stubbed("elasticache") as (client, stub):
        sees_cache(stub)
        stub.add_response(
            "increase_replica_count",
            {},
            {"ReplicationGroupId": "acme-redis", "NewReplicaCount": 1, "ApplyImmediately": True},
        )
        sees_cache(stub, members=2)
        sees_cache(stub, members=2)
        stub.add_response(
            "modify_replication_group",
            {},
            {"ReplicationGroupId": "acme-redis", "ApplyImmediately": True, "AutomaticFailoverEnabled": True},
        )
        for _time in range(4):
            sees_cache(stub, members=2, AutomaticFailover="enabled")
        bring_cache(client, replicas=1, automatic_failover=True)


def test_a_cache_that_asks_for_no_token_is_blocked_where_one_is_wanted() -> None:
    with stubbed("elasticache") as (client, stub):
        sees_cache(stub, AuthTokenEnabled=False)
        with pytest.raises(RefusedError, match="token"):
            bring_cache(client, auth_token_secret={"name": "langsmith/acme/redis"})


def test_a_cache_is_deleted_and_its_end_awaited() -> None:
    with stubbed("elasticache") as (client, stub):
        sees_cache(stub)
        deletion = {"ReplicationGroupId": "acme-redis", "RetainPrimaryCluster": False}
        stub.add_response("delete_replication_group", {}, deletion)
        sees_cache(stub, "deleting")
        no_cache(stub)
        no_cache(stub)
        assert bring_cache(client, state="absent")["cache"] is None
