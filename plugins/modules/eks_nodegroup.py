#!/usr/bin/python
# Copyright (c) 2026, langsmith.aws maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A managed node group of an EKS cluster."""

from __future__ import annotations

DOCUMENTATION = r"""
module: eks_nodegroup
short_description: Keep a managed node group of an Amazon EKS cluster
version_added: 0.1.0
author: langsmith.aws maintainers (@langsmith-aws)
description:
  - Creates, changes, upgrades and deletes a managed node group.
  - The number of nodes belongs to the autoscaler. It is set at creation only, and moved later
    only as far as new bounds force it.
  - What EKS cannot change in place is turned down before the first call, with the reason.

extends_documentation_fragment:
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
  - langsmith.aws.tags
  - langsmith.aws.state_attributes
options:
  cluster_name:
    description: Name of the cluster.
    type: str
    required: true
  name:
    description: Name of the node group.
    type: str
    required: true
  node_role_arn:
    description: ARN of the role of the nodes. Needed at creation, fixed afterwards.
    type: str
  subnet_ids:
    description: Subnets of the nodes. Needed at creation, fixed afterwards.
    type: list
    elements: str
  instance_types:
    description: Instance types, first choice first. Fixed afterwards.
    type: list
    elements: str
  ami_type:
    description: Image of the nodes. Fixed afterwards, and not compared when O(launch_template) is given.
    type: str
    choices:
      - AL2023_x86_64_STANDARD
      - AL2023_ARM_64_STANDARD
      - AL2023_x86_64_NVIDIA
      - AL2023_ARM_64_NVIDIA
      - AL2023_x86_64_NEURON
      - BOTTLEROCKET_x86_64
      - BOTTLEROCKET_ARM_64
      - BOTTLEROCKET_x86_64_FIPS
      - BOTTLEROCKET_ARM_64_FIPS
    default: AL2023_x86_64_STANDARD
  capacity_type:
    description: How the instances are bought. Fixed afterwards.
    type: str
    choices: [ON_DEMAND, SPOT, CAPACITY_BLOCK]
    default: ON_DEMAND
  disk_size_gib:
    description: Root volume of a node, in GiB. Fixed afterwards; with O(launch_template) it belongs there.
    type: int
  min_size:
    description: Fewest nodes. Needed at creation.
    type: int
  max_size:
    description: Most nodes. Needed at creation.
    type: int
  desired_size:
    description: Nodes at creation. As many as O(min_size) when not given. Never written afterwards.
    type: int
  version:
    description:
      - Kubernetes version of the nodes. The cluster's at creation when not given, and left alone afterwards.
      - Changing it replaces the nodes, a few at a time.
    type: str
  release_version:
    description: Version of the node image, such as V(1.35.0-20261101).
    type: str
  launch_template:
    description: Launch template that says what this module does not, such as tags of volumes.
    type: dict
    suboptions:
      id:
        description: Its id.
        type: str
        required: true
      version:
        description: Its version, a number in quotes.
        type: str
        required: true
  max_unavailable:
    description: How many nodes an upgrade replaces at once.
    type: int
  force_update:
    description: Whether an upgrade goes on when a pod disruption budget keeps a pod from moving.
    type: bool
    default: false
  labels:
    description: Kubernetes labels of the nodes, all of them.
    type: dict
  taints:
    description: Kubernetes taints of the nodes, all of them.
    type: list
    elements: dict
    suboptions:
      key:
        description: Its key.
        type: str
        required: true
      value:
        description: Its value.
        type: str
        default: ""
      effect:
        description: What it does to pods that do not tolerate it.
        type: str
        choices: [NO_SCHEDULE, NO_EXECUTE, PREFER_NO_SCHEDULE]
        required: true
  state:
    description: Whether the node group is to be there.
    type: str
    choices: [present, absent]
    default: present
  wait:
    description:
      - Whether to wait until the node group is active, or gone.
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
- name: Keep the nodes
  langsmith.aws.eks_nodegroup:
    cluster_name: acme-dev
    name: acme-dev-default
    node_role_arn: arn:aws:iam::123456789012:role/acme-dev-eks-node
    subnet_ids: [subnet-0c3, subnet-0d4]
    instance_types: [m6i.2xlarge]
    disk_size_gib: 100
    min_size: 2
    max_size: 6
    desired_size: 3
    labels:
      example.com/pool: default
"""

RETURN = r"""
nodegroup:
  description: The node group. Null when it is not there. In check mode as it would be.
  returned: always
  type: dict
  contains:
    cluster_name:
      description: Its cluster.
      type: str
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
      description: Kubernetes version of its nodes.
      type: str
    release_version:
      description: Version of its node image.
      type: str
    min_size:
      description: Fewest nodes.
      type: int
    max_size:
      description: Most nodes.
      type: int
    desired_size:
      description: Nodes it has or is getting.
      type: int
    autoscaling_group_names:
      description: Names of its auto scaling groups.
      type: list
      elements: str
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
from typing import Any

from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.langsmith.aws.plugins.module_utils.clients import eks
from ansible_collections.langsmith.aws.plugins.module_utils.clients.waiting import Waiter
from ansible_collections.langsmith.aws.plugins.module_utils.domain.difference import Difference, settings_dict
from ansible_collections.langsmith.aws.plugins.module_utils.domain.progress import Progress
from ansible_collections.langsmith.aws.plugins.module_utils.domain.resources import eks_nodegroup as domain
from ansible_collections.langsmith.aws.plugins.module_utils.domain.tags import tag_change
from ansible_collections.langsmith.aws.plugins.module_utils.shell.aws_options import (
    nodegroup_options,
    state_options,
    wait_options,
)
from ansible_collections.langsmith.aws.plugins.module_utils.shell.state import Resource, Step, required, run


class NodegroupResource(Resource):
    """The node group as the common steps of a state module see it."""

    key = "nodegroup"

    def __init__(self, client: Any, options: dict[str, Any]) -> None:
        self.client, self.options = client, options
        self.cluster, self.name = options["cluster_name"], options["name"]
        self.settings = domain.NodegroupSettings.from_options(options)
        self.subject = f"node group {self.name} of EKS cluster {self.cluster}"

    def read(self) -> domain.Nodegroup | None:
        return eks.describe_nodegroup(self.client, self.cluster, self.name)

    def progress(self, actual: domain.Nodegroup) -> Progress:
        return domain.progress(actual)

    def differences(self, actual: domain.Nodegroup) -> list[Difference]:
        return domain.differences(self.settings, actual, self.options["tags"], self.options["purge_tags"])

    def wanted(self) -> dict[str, Any]:
        required(self.options, ("node_role_arn", "subnet_ids", "min_size", "max_size"), self.subject)
        known = settings_dict(self.settings)
        return {"cluster_name": self.cluster, "name": self.name, **known, "tags": self.options["tags"] or {}}

    def create(self) -> None:
        eks.create_nodegroup(self.client, self.cluster, self.name, self.settings, self.options["tags"])

    def updates(self, actual: domain.Nodegroup, differences: list[Difference]) -> list[Step]:
        changed = {item.field for item in differences}
        steps: list[Step] = []
        if "tags" in changed:
            steps.append(lambda: self._tag(actual))
        if not changed.isdisjoint(domain.CONFIG_FIELDS):
            steps.append(lambda: self._configure(actual))
        if not changed.isdisjoint(domain.VERSION_FIELDS):
            steps.append(self._upgrade)
        return steps

    def _tag(self, actual: domain.Nodegroup) -> None:
        change = tag_change(self.options["tags"], actual.tags, self.options["purge_tags"])
        eks.change_tags(self.client, actual.arn, change)

    def _configure(self, actual: domain.Nodegroup) -> Callable[[], Progress] | None:
        size = domain.size_within(self.settings, actual.settings)
        return self._follow(eks.update_nodegroup_config(self.client, self.settings, actual, size))

    def _upgrade(self) -> Callable[[], Progress] | None:
        force = self.options["force_update"]
        update = eks.update_nodegroup_version(self.client, self.cluster, self.name, self.settings, force)
        return self._follow(update)

    def _follow(self, update: str | None) -> Callable[[], Progress] | None:
        if not update:
            return None
        return lambda: eks.describe_update(self.client, self.cluster, update, nodegroup=self.name)

    def delete(self, actual: domain.Nodegroup) -> None:
        eks.delete_nodegroup(self.client, self.cluster, self.name)


def argument_spec() -> dict[str, dict[str, Any]]:
    """The options, as documented above."""
    return {**nodegroup_options(), **state_options(), **wait_options(2400, 15)}


def main() -> None:
    """Run the module."""
    module = AnsibleAWSModule(
        argument_spec=argument_spec(),
        mutually_exclusive=[("launch_template", "disk_size_gib")],
        supports_check_mode=True,
    )
    waiter = Waiter(module.params["wait_timeout"], module.params["wait_sleep"])
    run(module, NodegroupResource(module.client("eks"), module.params), waiter)


if __name__ == "__main__":
    main()
