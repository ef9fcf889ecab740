#!/usr/bin/python
# Copyright (c) 2026, langsmith.aws maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A private way into a service of another account."""

from __future__ import annotations

DOCUMENTATION = r"""
module: vpc_interface_endpoint
short_description: Keep an interface endpoint to a service whose owner has to accept it
version_added: 0.1.0
author: langsmith.aws maintainers (@langsmith-aws)
description:
  - Makes an interface endpoint (AWS PrivateLink) and waits until the owner of the service has accepted it.
  - Private names are turned on afterwards, since AWS takes them only for an endpoint that was accepted. Run it once
    more with O(private_dns=true) after it became available.
  - An endpoint is found by its VPC and its service.
extends_documentation_fragment:
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
  - langsmith.aws.tags
  - langsmith.aws.state_attributes
options:
  vpc_id:
    description: The VPC.
    type: str
    required: true
  service_name:
    description: Name of the service, as its owner tells it.
    type: str
    required: true
  subnet_ids:
    description: Subnets in which the endpoint has addresses, one in each zone. Needed at creation.
    type: list
    elements: str
  security_group_ids:
    description: Its security groups. Needed at creation.
    type: list
    elements: str
  private_dns:
    description:
      - Whether the service's own names lead to the endpoint inside of the VPC.
      - Not looked at before the endpoint is available.
    type: bool
  state:
    description: Whether the endpoint is to be there.
    type: str
    choices: [present, absent]
    default: present
  wait:
    description: Whether to wait until the endpoint is available or gone.
    type: bool
    default: true
  wait_timeout:
    description: Seconds to wait.
    type: int
    default: 3600
  wait_sleep:
    description: Seconds between two looks while waiting.
    type: float
    default: 15
"""

EXAMPLES = r"""
- name: Ask for a way to ClickHouse
  langsmith.aws.vpc_interface_endpoint:
    vpc_id: vpc-0123456789abcdef0
    service_name: com.amazonaws.vpce.us-east-1.vpce-svc-0123456789abcdef0
    subnet_ids: [subnet-0123456789abcdef0]
    security_group_ids: [sg-0123456789abcdef0]
    tags:
      "langsmith:installation": acme-prod
    wait: false
"""

RETURN = r"""
endpoint:
  description: The endpoint. Null when it is not there. In check mode as it would be.
  returned: always
  type: dict
  contains:
    id:
      description: Its id, which the owner of the service is told.
      type: str
    vpc_id:
      description: The VPC.
      type: str
    service_name:
      description: Name of the service.
      type: str
    state:
      description: V(pendingacceptance), V(pending), V(available), V(rejected), V(failed) or another word of AWS.
      type: str
    subnet_ids:
      description: Its subnets.
      type: list
      elements: str
    security_group_ids:
      description: Its security groups.
      type: list
      elements: str
    private_dns:
      description: Whether the service's names lead to it.
      type: bool
    dns_names:
      description: Its own names.
      type: list
      elements: str
    tags:
      description: Its tags.
      type: dict
differences:
  description: What was not as wanted, field by field; empty at creation and deletion.
  returned: always
  type: list
  elements: dict
  sample:
    - field: private_dns
      wanted: true
      actual: false
waited_seconds:
  description: How long the module waited.
  returned: always
  type: float
"""

from collections.abc import Iterable
from typing import Any

from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.langsmith.aws.plugins.module_utils.clients import ec2
from ansible_collections.langsmith.aws.plugins.module_utils.clients.waiting import Waiter
from ansible_collections.langsmith.aws.plugins.module_utils.domain.difference import Difference, settings_dict
from ansible_collections.langsmith.aws.plugins.module_utils.domain.progress import Progress
from ansible_collections.langsmith.aws.plugins.module_utils.domain.resources import vpc_interface_endpoint as domain
from ansible_collections.langsmith.aws.plugins.module_utils.domain.tags import tag_change
from ansible_collections.langsmith.aws.plugins.module_utils.shell.aws_options import (
    interface_endpoint_options,
    state_options,
    wait_options,
)
from ansible_collections.langsmith.aws.plugins.module_utils.shell.state import Resource, Step, required, run


class EndpointResource(Resource):
    """The endpoint as the common steps of a state module see it."""

    key = "endpoint"

    def __init__(self, client: Any, options: dict[str, Any]) -> None:
        self.client, self.options = client, options
        self.vpc_id, self.service = options["vpc_id"], options["service_name"]
        self.settings = domain.EndpointSettings.from_options(options)
        self.subject = f"VPC endpoint to {self.service}"

    def read(self) -> domain.InterfaceEndpoint | None:
        found = ec2.interface_endpoint(self.client, self.vpc_id, self.service)
        self.subject = f"VPC endpoint {found.id} to {self.service}" if found else self.subject
        return found

    def progress(self, actual: domain.InterfaceEndpoint) -> Progress:
        return domain.progress(actual)

    def differences(self, actual: domain.InterfaceEndpoint) -> list[Difference]:
        return domain.differences(self.settings, actual, self.options["tags"], self.options["purge_tags"])

    def wanted(self) -> dict[str, Any]:
        required(self.options, ("subnet_ids", "security_group_ids"), self.subject)
        known = {"vpc_id": self.vpc_id, "service_name": self.service, **settings_dict(self.settings)}
        return {**known, "private_dns": False, "tags": self.options["tags"] or {}}

    def create(self) -> None:
        tags = self.options["tags"]
        ec2.create_interface_endpoint(self.client, self.vpc_id, self.service, self.settings, tags)

    def updates(self, actual: domain.InterfaceEndpoint, differences: list[Difference]) -> list[Step]:
        changed = {item.field for item in differences}
        steps: list[Step] = []
        if "tags" in changed:
            steps.append(lambda: self._tag(actual))
        if changes := self._changes(actual, changed):
            steps.append(lambda: ec2.modify_endpoint(self.client, actual.id, **changes))
        return steps

    def _changes(self, actual: domain.InterfaceEndpoint, changed: set[str]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for field, name in (("subnet_ids", "SubnetIds"), ("security_group_ids", "SecurityGroupIds")):
            if field in changed:
                found |= _moves(name, getattr(self.settings, field), getattr(actual, field))
        if "private_dns" in changed:
            found["PrivateDnsEnabled"] = self.settings.private_dns
        return found

    def _tag(self, actual: domain.InterfaceEndpoint) -> None:
        change = tag_change(self.options["tags"], actual.tags, self.options["purge_tags"])
        ec2.change_tags(self.client, actual.id, change)

    def delete(self, actual: domain.InterfaceEndpoint) -> None:
        ec2.delete_endpoint(self.client, actual.id)


def _moves(name: str, wanted: Iterable[str], actual: Iterable[str]) -> dict[str, list[str]]:
    added, removed = sorted(set(wanted) - set(actual)), sorted(set(actual) - set(wanted))
    return {key: ids for key, ids in ((f"Add{name}", added), (f"Remove{name}", removed)) if ids}


def argument_spec() -> dict[str, dict[str, Any]]:
    """The options, as documented above."""
    return {**interface_endpoint_options(), **state_options(), **wait_options(3600, 15)}


def main() -> None:
    """Run the module."""
    module = AnsibleAWSModule(argument_spec=argument_spec(), supports_check_mode=True)
    waiter = Waiter(module.params["wait_timeout"], module.params["wait_sleep"])
    run(module, EndpointResource(module.client("ec2"), module.params), waiter)


if __name__ == "__main__":
    main()
