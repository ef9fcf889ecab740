# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Errors of AWS as sentences."""

from __future__ import annotations

import pytest
from ansible_collections.langsmith.aws.plugins.module_utils.clients.aws import (
    ROLE_INTERVAL_S,
    ROLE_PROPAGATION_S,
    AwsCallError,
    AwsExistsError,
    call,
    call_with_new_role,
    given,
    none_on,
    pages,
)

from tests.unit.plugins.aws_support import Time, stubbed

WHO = "arn:aws:sts::123456789012:assumed-role/deployer/session"


def test_a_denied_call_names_the_call_who_made_it_and_what_to_grant() -> None:
    said = f"User: {WHO} is not authorized to perform: eks:DescribeCluster"
    with stubbed("eks") as (client, stub):
        stub.add_client_error("describe_cluster", "AccessDeniedException", said, 403)
        with pytest.raises(AwsCallError) as error:
            call(client, "describe_cluster", name="acme")
    assert error.value.denied
    text = str(error.value)
    assert "eks:DescribeCluster in us-east-1 for name=acme is not allowed" in text
    assert WHO in text
    assert "Grant eks:DescribeCluster" in text


@pytest.mark.parametrize(
    ("service", "method", "action"),
    [
        ("s3", "head_bucket", "s3:ListBucket"),
        ("elbv2", "describe_load_balancers", "elasticloadbalancing:DescribeLoadBalancers"),
        ("resourcegroupstaggingapi", "get_resources", "tag:GetResources"),
    ],
)
def test_the_permission_is_named_as_iam_names_it(service: str, method: str, action: str) -> None:
    arguments = {"Bucket": "acme"} if service == "s3" else {}
    with stubbed(service) as (client, stub):
        stub.add_client_error(method, "403", "Forbidden", 403)
        with pytest.raises(AwsCallError) as error:
            call(client, method, **arguments)
    assert error.value.action == action


def test_an_error_never_holds_a_password() -> None:
    with stubbed("rds") as (client, stub):
        stub.add_client_error("create_db_instance", "InvalidParameterValue", "no", 400)
        with pytest.raises(AwsCallError) as error:
            call(
                client,
                "create_db_instance",
                DBInstanceIdentifier="acme",
                DBInstanceClass="db.m7g.large",
                Engine="postgres",
                MasterUserPassword="hunter2hunter2",
            )
    assert "hunter2" not in str(error.value)


def test_a_creation_that_was_made_before_is_told_from_other_errors() -> None:
    with stubbed("rds") as (client, stub):
        stub.add_client_error("create_db_instance", "DBInstanceAlreadyExists", "there", 400)
        with pytest.raises(AwsExistsError):
            call(client, "create_db_instance", DBInstanceIdentifier="a", DBInstanceClass="c", Engine="postgres")


def test_a_resource_in_use_at_deletion_is_no_creation_made_before() -> None:
    with stubbed("eks") as (client, stub):
        stub.add_client_error("delete_cluster", "ResourceInUseException", "has nodegroups", 409)
        with pytest.raises(AwsCallError) as error:
            call(client, "delete_cluster", name="acme")
    assert not isinstance(error.value, AwsExistsError)


def test_absence_is_no_error_where_a_function_says_so() -> None:
    with stubbed("eks") as (client, stub):
        stub.add_client_error("describe_cluster", "ResourceNotFoundException", "No cluster found", 404)
        read = none_on("ResourceNotFoundException")(lambda: call(client, "describe_cluster", name="acme"))
        assert read() is None


def test_all_pages_are_read() -> None:
    with stubbed("eks") as (client, stub):
        stub.add_response("list_nodegroups", {"nodegroups": ["a"], "nextToken": "2"}, {"clusterName": "acme"})
        stub.add_response("list_nodegroups", {"nodegroups": ["b"]}, {"clusterName": "acme", "nextToken": "2"})
        assert pages(client, "list_nodegroups", "nodegroups", clusterName="acme") == ["a", "b"]


def test_undecided_arguments_are_not_sent_and_empty_ones_are() -> None:
    assert given(a=None, b=(), c=False, d=("x",)) == {"b": [], "c": False, "d": ["x"]}


ROLE = "arn:aws:iam::123456789012:role/acme-eks-cluster"
UNKNOWN_ROLE = f"Role with arn: {ROLE}, could not be assumed because it does not exist or is not trusted"


def test_a_role_that_iam_has_not_told_everybody_of_yet_is_waited_for() -> None:
    time = Time()
    with stubbed("eks") as (client, stub):
        for _time in range(3):
            stub.add_client_error("create_cluster", "InvalidParameterException", UNKNOWN_ROLE, 400)
        stub.add_response("create_cluster", {"cluster": {"name": "acme"}})
        answer = call_with_new_role(
            client, "create_cluster", time.clock(), name="acme", roleArn=ROLE, resourcesVpcConfig={}
        )
    assert answer["cluster"]["name"] == "acme"
    assert time.seconds == 3 * ROLE_INTERVAL_S


@pytest.mark.parametrize(
    ("message", "asked"),
    [(UNKNOWN_ROLE, int(ROLE_PROPAGATION_S / ROLE_INTERVAL_S) + 2), ("Subnets must be in two zones", 1)],
)
def test_a_role_that_stays_unknown_and_any_other_refusal_end_in_the_error_of_aws(message: str, asked: int) -> None:
    time = Time()
    with stubbed("eks") as (client, stub):
        for _time in range(asked):
            stub.add_client_error("create_cluster", "InvalidParameterException", message, 400)
        with pytest.raises(AwsCallError, match=message[:20]):
            call_with_new_role(client, "create_cluster", time.clock(), name="acme", roleArn=ROLE, resourcesVpcConfig={})
