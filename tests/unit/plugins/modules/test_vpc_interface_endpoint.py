# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The endpoint module call by call, under botocore's own model of EC2."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.langsmith.aws.plugins.module_utils.clients.waiting import WaitError
from ansible_collections.langsmith.aws.plugins.module_utils.domain.errors import ProjectError, RefusedError
from ansible_collections.langsmith.aws.plugins.module_utils.shell.state import bring
from ansible_collections.langsmith.aws.plugins.modules import vpc_interface_endpoint
from botocore.stub import Stubber

from tests.unit.plugins.aws_support import options_of, stubbed, waiter

SERVICE = "com.amazonaws.vpce.us-east-1.vpce-svc-0123456789abcdef0"
PLACE: dict[str, Any] = {"subnet_ids": ["subnet-1"], "security_group_ids": ["sg-1"]}


def sees(stub: Stubber, state: str | None, **changes: Any) -> None:
    known = {
        "VpcEndpointId": "vpce-1",
        "VpcEndpointType": "Interface",
        "VpcId": "vpc-1",
        "ServiceName": SERVICE,
        "State": state,
        "SubnetIds": ["subnet-1"],
        "Groups": [{"GroupId": "sg-1", "GroupName": "acme-clickhouse"}],
        "PrivateDnsEnabled": False,
        "DnsEntries": [{"DnsName": "vpce-1.vpce-svc-1.us-east-1.vpce.amazonaws.com"}],
    }
    filters = [{"Name": "vpc-id", "Values": ["vpc-1"]}, {"Name": "service-name", "Values": [SERVICE]}]
    found = [{**known, **changes}] if state else []
    stub.add_response("describe_vpc_endpoints", {"VpcEndpoints": found}, {"Filters": filters})


def bring_endpoint(client: Any, check: bool = False, wait: bool = True, **given: Any) -> dict[str, Any]:
    options = options_of(vpc_interface_endpoint, vpc_id="vpc-1", service_name=SERVICE, **given)
    made = vpc_interface_endpoint.EndpointResource(client, options)
    return bring(made, options["state"] == "present", check, wait, waiter(60, 10))


def test_an_endpoint_is_asked_for_without_private_names_and_shown_with_its_id() -> None:
    with stubbed("ec2") as (client, stub):
        sees(stub, None)
        asked = {
            "VpcEndpointType": "Interface",
            "VpcId": "vpc-1",
            "ServiceName": SERVICE,
            "SubnetIds": ["subnet-1"],
            "SecurityGroupIds": ["sg-1"],
            "PrivateDnsEnabled": False,
            "TagSpecifications": [{"ResourceType": "vpc-endpoint", "Tags": [{"Key": "a", "Value": "b"}]}],
        }
        stub.add_response("create_vpc_endpoint", {"VpcEndpoint": {"VpcEndpointId": "vpce-1"}}, asked)
        sees(stub, "pendingAcceptance")
        result = bring_endpoint(client, wait=False, private_dns=True, tags={"a": "b"}, **PLACE)
    assert result["changed"]
    assert (result["endpoint"]["id"], result["endpoint"]["state"]) == ("vpce-1", "pendingacceptance")


def test_it_is_waited_for_until_its_owner_has_accepted_it() -> None:
    with stubbed("ec2") as (client, stub):
        for state in ("pendingAcceptance", "pendingAcceptance", "pending", "available", "available"):
            sees(stub, state)
        result = bring_endpoint(client, **PLACE)
    assert (result["changed"], result["endpoint"]["state"], result["waited_seconds"]) == (False, "available", 20.0)


def test_a_wait_that_ends_too_early_says_who_has_to_act() -> None:
    with stubbed("ec2") as (client, stub):
        for _time in range(8):
            sees(stub, "pendingAcceptance")
        with pytest.raises(WaitError, match=r"vpce-1 to .* is still pendingacceptance \(the owner of the service has"):
            bring_endpoint(client, **PLACE)


def test_an_endpoint_that_was_turned_down_is_not_waited_for() -> None:
    with stubbed("ec2") as (client, stub):
        sees(stub, "rejected")
        sees(stub, "rejected")
        with pytest.raises(WaitError, match="turned it down"):
            bring_endpoint(client, **PLACE)


def test_private_names_are_turned_on_for_an_accepted_one() -> None:
    with stubbed("ec2") as (client, stub):
        sees(stub, "available")
        stub.add_response(
            "modify_vpc_endpoint", {"Return": True}, {"VpcEndpointId": "vpce-1", "PrivateDnsEnabled": True}
        )
        for _time in range(3):
            sees(stub, "available", PrivateDnsEnabled=True)
        result = bring_endpoint(client, private_dns=True)
    assert [item["field"] for item in result["differences"]] == ["private_dns"]
    assert result["endpoint"]["private_dns"] is True


def test_subnets_and_groups_are_added_and_taken_away() -> None:
    with stubbed("ec2") as (client, stub):
        sees(stub, "available")
        changes = {
            "VpcEndpointId": "vpce-1",
            "AddSubnetIds": ["subnet-2"],
            "AddSecurityGroupIds": ["sg-2"],
            "RemoveSecurityGroupIds": ["sg-1"],
        }
        stub.add_response("modify_vpc_endpoint", {"Return": True}, changes)
        sees(stub, "available")
        result = bring_endpoint(client, wait=False, subnet_ids=["subnet-1", "subnet-2"], security_group_ids=["sg-2"])
    assert result["changed"]


def test_without_a_place_there_is_nothing_to_create() -> None:
    with stubbed("ec2") as (client, stub):
        sees(stub, None)
        with pytest.raises(RefusedError, match="subnet_ids, security_group_ids"):
            bring_endpoint(client)


def test_check_mode_makes_nothing() -> None:
    with stubbed("ec2") as (client, stub):
        sees(stub, None)
        result = bring_endpoint(client, check=True, **PLACE)
    assert (result["changed"], result["endpoint"]["private_dns"]) == (True, False)


def test_a_deletion_is_waited_for_and_one_that_aws_turns_down_in_its_answer_is_an_error() -> None:
    with stubbed("ec2") as (client, stub):
        sees(stub, "available")
        stub.add_response("delete_vpc_endpoints", {"Unsuccessful": []}, {"VpcEndpointIds": ["vpce-1"]})
        sees(stub, "deleting")
        sees(stub, None)
        sees(stub, None)
        assert bring_endpoint(client, state="absent")["endpoint"] is None
        sees(stub, "available")
        refused = {"ResourceId": "vpce-1", "Error": {"Code": "OperationNotPermitted", "Message": "in use"}}
        stub.add_response("delete_vpc_endpoints", {"Unsuccessful": [refused]})
        with pytest.raises(ProjectError, match="OperationNotPermitted: in use"):
            bring_endpoint(client, state="absent")
