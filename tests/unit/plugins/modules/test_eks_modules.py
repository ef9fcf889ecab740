# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The EKS modules call by call, under botocore's own model of EKS."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from ansible_collections.langsmith.aws.plugins.module_utils.clients.waiting import WaitError
from ansible_collections.langsmith.aws.plugins.module_utils.domain.errors import RefusedError
from ansible_collections.langsmith.aws.plugins.module_utils.shell.state import bring
from ansible_collections.langsmith.aws.plugins.modules import eks_addon, eks_cluster, eks_nodegroup
from botocore.stub import Stubber

from tests.unit.plugins.aws_support import Time, options_of, stubbed, waiter

ARN = "arn:aws:eks:us-east-1:123456789012"
ROLE = "arn:aws:iam::123456789012:role/acme-eks-cluster"
WHEN = datetime(2026, 1, 1, tzinfo=UTC)


def cluster_data(status: str = "ACTIVE", **changes: Any) -> dict[str, Any]:
    data = {
        "name": "acme",
        "arn": f"{ARN}:cluster/acme",
        "createdAt": WHEN,
        "version": "1.34",
        "roleArn": ROLE,
        "status": status,
        "resourcesVpcConfig": {
            "subnetIds": ["subnet-2", "subnet-1"],
            "securityGroupIds": [],
            "clusterSecurityGroupId": "sg-1",
            "vpcId": "vpc-1",
            "endpointPublicAccess": True,
            "endpointPrivateAccess": False,
            "publicAccessCidrs": ["0.0.0.0/0"],
        },
        "logging": {"clusterLogging": [{"types": ["api"], "enabled": True}]},
        "identity": {"oidc": {"issuer": "https://oidc.example/id/1"}},
        "accessConfig": {"authenticationMode": "API"},
        "tags": {},
    }
    return {"cluster": {**data, **changes}}


def sees(stub: Stubber, status: str = "ACTIVE", **changes: Any) -> None:
    stub.add_response("describe_cluster", cluster_data(status, **changes), {"name": "acme"})


def missing(stub: Stubber, method: str = "describe_cluster") -> None:
    stub.add_client_error(method, "ResourceNotFoundException", "No cluster found for name: acme.", 404)


def updated(
    stub: Stubber, status: str = "Successful", errors: list[dict[str, Any]] | None = None, **which: str
) -> None:
    update = {"id": "u-1", "status": status, "type": "ConfigUpdate", "errors": errors or []}
    stub.add_response("describe_update", {"update": update}, {"name": "acme", "updateId": "u-1", **which})


STARTED = {"update": {"id": "u-1", "status": "InProgress"}}


def bring_cluster(client: Any, check: bool = False, wait: bool = True, **given: Any) -> dict[str, Any]:
    options = options_of(eks_cluster, name="acme", **given)
    return bring(
        eks_cluster.ClusterResource(client, options), options["state"] == "present", check, wait, waiter(60, 10)
    )


def test_a_cluster_is_created_with_everything_that_is_wanted_and_awaited() -> None:
    with stubbed("eks") as (client, stub):
        missing(stub)
        stub.add_response(
            "create_cluster",
            cluster_data("CREATING"),
            {
                "name": "acme",
                "version": "1.34",
                "roleArn": ROLE,
                "resourcesVpcConfig": {
                    "subnetIds": ["subnet-1", "subnet-2"],
                    "endpointPublicAccess": True,
                    "endpointPrivateAccess": True,
                    "publicAccessCidrs": ["203.0.113.0/24"],
                },
                "logging": {
                    "clusterLogging": [
                        {"types": ["api", "audit"], "enabled": True},
                        {"types": ["authenticator", "controllerManager", "scheduler"], "enabled": False},
                    ]
                },
                "accessConfig": {"authenticationMode": "API", "bootstrapClusterCreatorAdminPermissions": True},
                "deletionProtection": True,
                "tags": {"langsmith:installation": "acme"},
            },
        )
        sees(stub, "CREATING")
        sees(stub)
        sees(stub)
        result = bring_cluster(
            client,
            version="1.34",
            role_arn=ROLE,
            subnet_ids=["subnet-2", "subnet-1"],
            endpoint_public_access=True,
            endpoint_private_access=True,
            public_access_cidrs=["203.0.113.0/24"],
            log_types=["audit", "api"],
            deletion_protection=True,
            tags={"langsmith:installation": "acme"},
        )
    assert result["changed"] is True
    assert result["cluster"]["oidc_issuer"] == "https://oidc.example/id/1"
    assert result["waited_seconds"] == 10


def test_a_cluster_that_cannot_be_created_says_which_options_it_needs() -> None:
    with stubbed("eks") as (client, stub):
        missing(stub)
        with pytest.raises(RefusedError, match="needs role_arn, subnet_ids"):
            bring_cluster(client, check=True, version="1.34")


def test_check_mode_makes_no_call_but_the_reading_one() -> None:
    with stubbed("eks") as (client, stub):
        sees(stub)
        result = bring_cluster(client, check=True, version="1.35")
    assert result["differences"] == [{"field": "version", "wanted": "1.35", "actual": "1.34"}]
    assert result["cluster"]["version"] == "1.35"


def test_changes_of_several_kinds_go_one_after_another_and_the_version_last() -> None:
    with stubbed("eks") as (client, stub):
        sees(stub)
        stub.add_response("tag_resource", {}, {"resourceArn": f"{ARN}:cluster/acme", "tags": {"team": "blue"}})
        sees(stub)
        vpc = {"endpointPublicAccess": True, "endpointPrivateAccess": True, "publicAccessCidrs": ["0.0.0.0/0"]}
        stub.add_response("update_cluster_config", STARTED, {"name": "acme", "resourcesVpcConfig": vpc})
        updated(stub, "InProgress")
        updated(stub)
        sees(stub)
        stub.add_response("update_cluster_config", STARTED, {"name": "acme", "deletionProtection": True})
        updated(stub)
        sees(stub)
        stub.add_response("update_cluster_version", STARTED, {"name": "acme", "version": "1.35"})
        updated(stub)
        sees(stub, version="1.35")
        sees(stub, version="1.35")
        sees(stub, version="1.35")
        result = bring_cluster(
            client, version="1.35", endpoint_private_access=True, deletion_protection=True, tags={"team": "blue"}
        )
    assert result["changed"] is True


def test_the_authentication_mode_goes_through_the_one_between() -> None:
    with stubbed("eks") as (client, stub):
        sees(stub, accessConfig={"authenticationMode": "CONFIG_MAP"})
        for mode in ("API_AND_CONFIG_MAP", "API"):
            access = {"authenticationMode": mode}
            stub.add_response("update_cluster_config", STARTED, {"name": "acme", "accessConfig": access})
            updated(stub)
            sees(stub)
        sees(stub)
        sees(stub)
        bring_cluster(client)


def test_an_update_that_fails_tells_what_eks_says() -> None:
    with stubbed("eks") as (client, stub):
        sees(stub)
        stub.add_response("update_cluster_config", STARTED, {"name": "acme", "deletionProtection": True})
        updated(stub, "Failed", [{"errorCode": "OperationNotPermitted", "errorMessage": "not now"}])
        with pytest.raises(WaitError, match="OperationNotPermitted: not now"):
            bring_cluster(client, deletion_protection=True)


def test_an_upgrade_of_two_minor_versions_is_refused_before_any_call() -> None:
    with stubbed("eks") as (client, stub):
        sees(stub)
        with pytest.raises(RefusedError, match=r"go to 1\.35 first"):
            bring_cluster(client, version="1.36", deletion_protection=True)


def test_a_creation_that_an_earlier_run_began_is_gone_on_with() -> None:
    with stubbed("eks") as (client, stub):
        missing(stub)
        stub.add_client_error("create_cluster", "ResourceInUseException", "Cluster already exists", 409)
        sees(stub, "CREATING")
        sees(stub, "CREATING")
        sees(stub)
        sees(stub)
        result = bring_cluster(client, role_arn=ROLE, subnet_ids=["subnet-1", "subnet-2"])
    assert result["cluster"]["status"] == "ACTIVE"


def test_a_cluster_that_takes_too_long_is_told_with_its_issues() -> None:
    health = {"issues": [{"code": "Ec2SubnetNotFound", "message": "subnet-1 is gone"}]}
    with stubbed("eks") as (client, stub):
        for _time in range(8):
            sees(stub, "CREATING", health=health)
        with pytest.raises(WaitError, match=r"still CREATING \(Ec2SubnetNotFound: subnet-1 is gone\) after 60 s"):
            bring_cluster(client)


def test_a_cluster_is_deleted_and_its_end_awaited() -> None:
    with stubbed("eks") as (client, stub):
        sees(stub)
        stub.add_response("delete_cluster", cluster_data("DELETING"), {"name": "acme"})
        sees(stub, "DELETING")
        missing(stub)
        missing(stub)
        result = bring_cluster(client, state="absent")
    assert (result["changed"], result["cluster"]) == (True, None)


def nodegroup_data(status: str = "ACTIVE", **changes: Any) -> dict[str, Any]:
    data = {
        "clusterName": "acme",
        "nodegroupName": "acme-default",
        "nodegroupArn": f"{ARN}:nodegroup/acme/acme-default/1",
        "status": status,
        "version": "1.34",
        "scalingConfig": {"minSize": 2, "maxSize": 6, "desiredSize": 5},
        "instanceTypes": ["m6i.2xlarge"],
        "subnets": ["subnet-1", "subnet-2"],
        "amiType": "AL2023_x86_64_STANDARD",
        "capacityType": "ON_DEMAND",
        "nodeRole": ROLE,
        "labels": {"pool": "default", "old": "1"},
        "taints": [{"key": "a", "value": "1", "effect": "NO_SCHEDULE"}],
        "diskSize": 100,
        "tags": {},
    }
    return {"nodegroup": {**data, **changes}}


GROUP = {"clusterName": "acme", "nodegroupName": "acme-default"}


def sees_group(stub: Stubber, status: str = "ACTIVE", **changes: Any) -> None:
    stub.add_response("describe_nodegroup", nodegroup_data(status, **changes), GROUP)


def bring_group(client: Any, **given: Any) -> dict[str, Any]:
    options = options_of(eks_nodegroup, cluster_name="acme", name="acme-default", **given)
    resource = eks_nodegroup.NodegroupResource(client, options)
    return bring(resource, options["state"] == "present", False, True, waiter(60, 10))


def test_a_node_group_starts_at_its_smallest_size() -> None:
    with stubbed("eks") as (client, stub):
        missing(stub, "describe_nodegroup")
        stub.add_response(
            "create_nodegroup",
            nodegroup_data("CREATING"),
            {
                **GROUP,
                "nodeRole": ROLE,
                "subnets": ["subnet-1"],
                "scalingConfig": {"minSize": 2, "maxSize": 6, "desiredSize": 2},
                "instanceTypes": ["m6i.2xlarge"],
                "amiType": "AL2023_x86_64_STANDARD",
                "capacityType": "ON_DEMAND",
                "diskSize": 100,
                "taints": [{"key": "a", "effect": "NO_EXECUTE"}],
            },
        )
        sees_group(stub)
        sees_group(stub)
        bring_group(
            client,
            node_role_arn=ROLE,
            subnet_ids=["subnet-1"],
            instance_types=["m6i.2xlarge"],
            disk_size_gib=100,
            min_size=2,
            max_size=6,
            taints=[{"key": "a", "effect": "NO_EXECUTE"}],
        )


def test_new_bounds_labels_and_taints_go_in_one_call_without_the_number_of_nodes() -> None:
    with stubbed("eks") as (client, stub):
        sees_group(stub)
        stub.add_response(
            "update_nodegroup_config",
            STARTED,
            {
                **GROUP,
                "scalingConfig": {"minSize": 3, "maxSize": 8},
                "labels": {"addOrUpdateLabels": {"pool": "other"}, "removeLabels": ["old"]},
                "taints": {"addOrUpdateTaints": [{"key": "a", "value": "2", "effect": "NO_SCHEDULE"}]},
            },
        )
        updated(stub, nodegroupName="acme-default")
        for _time in range(3):
            sees_group(stub)
        taints = [{"key": "a", "value": "2", "effect": "NO_SCHEDULE"}]
        bring_group(client, min_size=3, max_size=8, desired_size=3, labels={"pool": "other"}, taints=taints)


def test_a_least_size_above_the_number_of_nodes_takes_them_along() -> None:
    with stubbed("eks") as (client, stub):
        sees_group(stub)
        scaling = {"minSize": 6, "maxSize": 8, "desiredSize": 6}
        stub.add_response("update_nodegroup_config", STARTED, {**GROUP, "scalingConfig": scaling})
        updated(stub, nodegroupName="acme-default")
        for _time in range(3):
            sees_group(stub)
        bring_group(client, min_size=6, max_size=8)


def test_nodes_are_upgraded_by_the_version_call() -> None:
    with stubbed("eks") as (client, stub):
        sees_group(stub)
        stub.add_response("update_nodegroup_version", STARTED, {**GROUP, "version": "1.35", "force": False})
        updated(stub, nodegroupName="acme-default")
        for _time in range(3):
            sees_group(stub, version="1.35")
        assert bring_group(client, version="1.35")["nodegroup"]["version"] == "1.35"


def test_a_degraded_group_can_be_updated_but_is_waited_for() -> None:
    health = {"issues": [{"code": "InsufficientFreeAddresses", "message": "subnet-1 is full", "resourceIds": []}]}
    with stubbed("eks") as (client, stub):
        for _time in range(8):
            sees_group(stub, "DEGRADED", health=health)
        with pytest.raises(WaitError, match="subnet-1 is full"):
            bring_group(client)


def addon_data(status: str = "ACTIVE", **changes: Any) -> dict[str, Any]:
    data = {
        "clusterName": "acme",
        "addonName": "coredns",
        "addonArn": f"{ARN}:addon/acme/coredns/1",
        "addonVersion": "v1.13.1-eksbuild.1",
        "status": status,
        "serviceAccountRoleArn": ROLE,
        "configurationValues": '{"replicaCount": 2}',
        "tags": {},
    }
    return {"addon": {**data, **changes}}


ADDON = {"clusterName": "acme", "addonName": "coredns"}


def sees_addon(stub: Stubber, status: str = "ACTIVE", **changes: Any) -> None:
    stub.add_response("describe_addon", addon_data(status, **changes), ADDON)


def bring_addon(client: Any, check: bool = False, **given: Any) -> dict[str, Any]:
    options = options_of(eks_addon, cluster_name="acme", name="coredns", **given)
    wait = waiter(60, 10, Time())
    resource = eks_addon.AddonResource(client, options, wait)
    return bring(resource, options["state"] == "present", check, True, wait)


def test_an_addon_is_created_checked_and_found_unchanged() -> None:
    with stubbed("eks") as (client, stub):
        missing(stub, "describe_addon")
        missing(stub, "describe_addon")
        stub.add_response(
            "create_addon",
            addon_data("CREATING"),
            {**ADDON, "configurationValues": '{"replicaCount": 2}', "resolveConflicts": "OVERWRITE"},
        )
        sees_addon(stub, "DEGRADED")
        sees_addon(stub)
        sees_addon(stub)
        sees_addon(stub)
        sees_addon(stub)
        sees_addon(stub)
        sees_addon(stub)
        values = {"configuration_values": {"replicaCount": 2}}
        told = [bring_addon(client, check=check, **values)["changed"] for check in (True, False, True, False)]
    assert told == [True, True, False, False]


def test_an_update_of_an_addon_names_again_what_it_should_keep() -> None:
    with stubbed("eks") as (client, stub):
        sees_addon(stub)
        stub.add_response(
            "update_addon",
            STARTED,
            {
                **ADDON,
                "addonVersion": "v1.14.0-eksbuild.1",
                "serviceAccountRoleArn": ROLE,
                "configurationValues": '{"replicaCount": 2}',
                "resolveConflicts": "PRESERVE",
            },
        )
        updated(stub, addonName="coredns")
        for _time in range(3):
            sees_addon(stub)
        bring_addon(client, addon_version="v1.14.0-eksbuild.1", resolve_conflicts="PRESERVE")


def test_an_addon_whose_creation_failed_is_made_again() -> None:
    with stubbed("eks") as (client, stub):
        sees_addon(stub, "CREATE_FAILED")
        stub.add_response("delete_addon", addon_data("DELETING"), {**ADDON, "preserve": False})
        sees_addon(stub, "DELETING")
        missing(stub, "describe_addon")
        stub.add_response("create_addon", addon_data("CREATING"), {**ADDON, "resolveConflicts": "OVERWRITE"})
        for _time in range(3):
            sees_addon(stub)
        assert bring_addon(client)["changed"] is True
