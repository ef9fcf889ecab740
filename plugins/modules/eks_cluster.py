#!/usr/bin/python
# Copyright (c) 2026, langsmith.aws maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An EKS cluster, from its creation through its upgrades."""

from __future__ import annotations

DOCUMENTATION = r"""
module: eks_cluster
short_description: Keep an Amazon EKS cluster
version_added: 0.1.0
author: langsmith.aws maintainers (@langsmith-aws)
description:
  - Creates, changes and deletes an EKS control plane. EKS takes one change at a time, so several are made one
    after another.
  - What EKS cannot change in place is turned down before the first call, with the reason.

extends_documentation_fragment:
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
  - langsmith.aws.tags
  - langsmith.aws.state_attributes
options:
  name:
    description: Name of the cluster.
    type: str
    required: true
  version:
    description:
      - Kubernetes version, such as V("1.35"). Quote it. EKS goes up one minor version at a time and never down.
      - Without it, EKS's newest at creation, and left alone afterwards.
    type: str
  role_arn:
    description: ARN of the role of the control plane. Needed at creation.
    type: str
  subnet_ids:
    description: Subnets in which the control plane puts its interfaces, of two zones at least. Needed at creation.
    type: list
    elements: str
  security_group_ids:
    description: Further security groups of those interfaces.
    type: list
    elements: str
  endpoint_public_access:
    description: Whether the API server can be reached from the internet.
    type: bool
  endpoint_private_access:
    description: Whether nodes reach the API server inside the VPC.
    type: bool
  public_access_cidrs:
    description: Who may reach the public endpoint. Not looked at when O(endpoint_public_access=false).
    type: list
    elements: str
  authentication_mode:
    description: Where permissions in the cluster come from. EKS goes from V(CONFIG_MAP) to V(API) and never back.
    type: str
    choices: [CONFIG_MAP, API_AND_CONFIG_MAP, API]
    default: API
  bootstrap_cluster_creator_admin_permissions:
    description: Whether who creates the cluster becomes its administrator. Only at creation.
    type: bool
    default: true
  log_types:
    description: Logs of the control plane that go to CloudWatch. An empty list turns all off.
    type: list
    elements: str
    choices: [api, audit, authenticator, controllerManager, scheduler]
  deletion_protection:
    description: Whether EKS refuses to delete the cluster, and so does this module.
    type: bool
  kms_key_arn:
    description: ARN of the KMS key that encrypts Kubernetes secrets. Can be added later, never changed.
    type: str
  service_ipv4_cidr:
    description: Addresses of Kubernetes services. Only at creation.
    type: str
  support_type:
    description: What happens at the end of standard support, V(STANDARD) upgrades by itself, V(EXTENDED) costs more.
    type: str
    choices: [STANDARD, EXTENDED]
  state:
    description: Whether the cluster is to be there.
    type: str
    choices: [present, absent]
    default: present
  wait:
    description:
      - Whether to wait until the cluster is active, or gone.
      - Without it the module ends as soon as AWS has accepted the last change.
      - Run it again with the same options to wait.
    type: bool
    default: true
  wait_timeout:
    description: How long to wait in all, in seconds.
    type: int
    default: 2400
  wait_sleep:
    description: How long to wait between two looks, in seconds.
    type: float
    default: 15
"""

EXAMPLES = r"""
- name: Start the control plane, and do other things meanwhile
  langsmith.aws.eks_cluster:
    name: acme-dev
    version: "1.35"
    role_arn: arn:aws:iam::123456789012:role/acme-dev-eks-cluster
    subnet_ids: [subnet-0a1, subnet-0b2]
    endpoint_private_access: true
    endpoint_public_access: true
    public_access_cidrs: [203.0.113.0/24]
    log_types: [api, audit]
    tags:
      "langsmith:installation": acme-dev
    wait: false
"""

RETURN = r"""
cluster:
  description: The cluster. Null when it is not there. In check mode as it would be.
  returned: always
  type: dict
  contains:
    name:
      description: Its name.
      type: str
    arn:
      description: Its ARN.
      type: str
    status:
      description: EKS's word for where it stands.
      type: str
    version:
      description: Kubernetes version.
      type: str
    endpoint:
      description: URL of the API server.
      type: str
    certificate_authority:
      description: Certificate of the API server's authority, PEM in base64.
      type: str
    oidc_issuer:
      description: URL of the issuer of service account tokens.
      type: str
    security_group_id:
      description: The security group that EKS made for nodes and control plane.
      type: str
    vpc_id:
      description: Its VPC.
      type: str
    issues:
      description: What EKS says is wrong.
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
    - field: version
      wanted: "1.35"
      actual: "1.34"
waited_seconds:
  description: How long the module waited.
  returned: always
  type: float
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.langsmith.aws.plugins.module_utils.clients import eks
from ansible_collections.langsmith.aws.plugins.module_utils.clients.waiting import Waiter
from ansible_collections.langsmith.aws.plugins.module_utils.domain.difference import Difference, merged, settings_dict
from ansible_collections.langsmith.aws.plugins.module_utils.domain.progress import Progress
from ansible_collections.langsmith.aws.plugins.module_utils.domain.resources import eks_cluster as domain
from ansible_collections.langsmith.aws.plugins.module_utils.domain.tags import tag_change
from ansible_collections.langsmith.aws.plugins.module_utils.shell.aws_options import (
    cluster_options,
    state_options,
    wait_options,
)
from ansible_collections.langsmith.aws.plugins.module_utils.shell.state import Resource, Step, required, run


class ClusterResource(Resource):
    """The cluster as the common steps of a state module see it."""

    key = "cluster"

    def __init__(self, client: Any, options: dict[str, Any]) -> None:
        self.client, self.options, self.name = client, options, options["name"]
        self.settings = domain.ClusterSettings.from_options(options)
        self.subject = f"EKS cluster {self.name}"

    def read(self) -> domain.Cluster | None:
        return eks.describe_cluster(self.client, self.name)

    def progress(self, actual: domain.Cluster) -> Progress:
        return domain.progress(actual)

    def differences(self, actual: domain.Cluster) -> list[Difference]:
        return domain.differences(self.settings, actual, self.options["tags"], self.options["purge_tags"])

    def wanted(self) -> dict[str, Any]:
        required(self.options, ("role_arn", "subnet_ids"), self.subject)
        return {"name": self.name, **settings_dict(self.settings), "tags": self.options["tags"] or {}}

    def create(self) -> None:
        bootstrap = self.options["bootstrap_cluster_creator_admin_permissions"]
        eks.create_cluster(self.client, self.name, self.settings, bootstrap, self.options["tags"])

    def updates(self, actual: domain.Cluster, differences: list[Difference]) -> list[Step]:
        changed = {item.field for item in differences}
        steps: list[Step] = []
        if "tags" in changed:
            steps.append(lambda: self._tag(actual))
        for group in domain.UPDATE_GROUPS:
            if changed.isdisjoint(group):
                continue
            settings = merged(self.settings, actual.settings, group)
            if group == ("authentication_mode",):
                modes = domain.authentication_path(
                    str(settings.authentication_mode), actual.settings.authentication_mode
                )
                steps += [self._step(replace(settings, authentication_mode=mode)) for mode in modes]
            else:
                steps.append(self._step(settings))
        return steps

    def _tag(self, actual: domain.Cluster) -> None:
        change = tag_change(self.options["tags"], actual.tags, self.options["purge_tags"])
        eks.change_tags(self.client, actual.arn, change)

    def _step(self, settings: domain.ClusterSettings) -> Step:
        def start() -> Callable[[], Progress] | None:
            update = eks.update_cluster(self.client, self.name, settings)
            return (lambda: eks.describe_update(self.client, self.name, update)) if update else None

        return start

    def delete(self, actual: domain.Cluster) -> None:
        eks.delete_cluster(self.client, self.name)

    def deletion_refusal(self, actual: domain.Cluster) -> str:
        return domain.deletion_refusal(actual)


def argument_spec() -> dict[str, dict[str, Any]]:
    """The options, as documented above."""
    return {**cluster_options(), **state_options(), **wait_options(2400, 15)}


def main() -> None:
    """Run the module."""
    module = AnsibleAWSModule(argument_spec=argument_spec(), supports_check_mode=True)
    waiter = Waiter(module.params["wait_timeout"], module.params["wait_sleep"])
    run(module, ClusterResource(module.client("eks"), module.params), waiter)


if __name__ == "__main__":
    main()
