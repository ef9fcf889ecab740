#!/usr/bin/python
# Copyright (c) 2026, langsmith.aws maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An add-on of an EKS cluster."""

from __future__ import annotations

DOCUMENTATION = r"""
module: eks_addon
short_description: Keep an add-on of an Amazon EKS cluster
version_added: 0.1.0
author: langsmith.aws maintainers (@langsmith-aws)
description:
  - Creates, changes, upgrades and deletes an EKS add-on. One whose creation failed is made again.
  - An add-on that runs pods becomes active only when there are nodes for them, so node groups come first or
    O(wait=false).

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
    description: Name of the add-on, such as V(vpc-cni).
    type: str
    required: true
  addon_version:
    description: Its version. EKS's default for the cluster at creation when not given, and left alone afterwards.
    type: str
  service_account_role_arn:
    description: ARN of the role that its service account assumes. Left alone when not given.
    type: str
  configuration_values:
    description: Its configuration, all of it, by the schema that C(aws eks describe-addon-configuration) tells.
    type: dict
  resolve_conflicts:
    description: What happens to fields that someone else changed in the cluster.
    type: str
    choices: [OVERWRITE, NONE, PRESERVE]
    default: OVERWRITE
  preserve:
    description: Whether O(state=absent) leaves in the cluster what the add-on installed.
    type: bool
    default: false
  state:
    description: Whether the add-on is to be there.
    type: str
    choices: [present, absent]
    default: present
  wait:
    description:
      - Whether to wait until the add-on is active, or gone.
      - Without it the module ends as soon as AWS has accepted the last change.
      - Run it again with the same options to wait.
    type: bool
    default: true
  wait_timeout:
    description: How long to wait in all, in seconds.
    type: int
    default: 1200
  wait_sleep:
    description: How long to wait between two looks, in seconds.
    type: float
    default: 10
"""

EXAMPLES = r"""
- name: Volumes for pods
  langsmith.aws.eks_addon:
    cluster_name: acme-dev
    name: aws-ebs-csi-driver
    service_account_role_arn: arn:aws:iam::123456789012:role/acme-dev-ebs-csi
    configuration_values:
      controller:
        replicaCount: 2
"""

RETURN = r"""
addon:
  description: The add-on. Null when it is not there. In check mode as it would be.
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
      description: Its version.
      type: str
    service_account_role_arn:
      description: Role of its service account.
      type: str
    configuration_values:
      description: Its configuration.
      type: dict
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
from ansible_collections.langsmith.aws.plugins.module_utils.domain.resources import eks_addon as domain
from ansible_collections.langsmith.aws.plugins.module_utils.domain.tags import tag_change
from ansible_collections.langsmith.aws.plugins.module_utils.shell.aws_options import (
    addon_options,
    state_options,
    wait_options,
)
from ansible_collections.langsmith.aws.plugins.module_utils.shell.state import Resource, Step, run


class AddonResource(Resource):
    """The add-on as the common steps of a state module see it."""

    key = "addon"

    def __init__(self, client: Any, options: dict[str, Any], waiter: Waiter) -> None:
        self.client, self.options, self.waiter = client, options, waiter
        self.cluster, self.name = options["cluster_name"], options["name"]
        self.settings = domain.AddonSettings.from_options(options)
        self.subject = f"add-on {self.name} of EKS cluster {self.cluster}"

    def read(self) -> domain.Addon | None:
        return eks.describe_addon(self.client, self.cluster, self.name)

    def progress(self, actual: domain.Addon) -> Progress:
        return domain.progress(actual)

    def differences(self, actual: domain.Addon) -> list[Difference]:
        return domain.differences(self.settings, actual, self.options["tags"], self.options["purge_tags"])

    def wanted(self) -> dict[str, Any]:
        known = settings_dict(self.settings)
        known["version"] = known.pop("addon_version")
        return {"cluster_name": self.cluster, "name": self.name, **known, "tags": self.options["tags"] or {}}

    def create(self) -> None:
        conflicts = self.options["resolve_conflicts"]
        eks.create_addon(self.client, self.cluster, self.name, self.settings, conflicts, self.options["tags"])

    def updates(self, actual: domain.Addon, differences: list[Difference]) -> list[Step]:
        if actual.status == "CREATE_FAILED":
            return [lambda: self._again(actual)]
        changed = {item.field for item in differences}
        steps: list[Step] = []
        if "tags" in changed:
            steps.append(lambda: self._tag(actual))
        if changed - {"tags"}:
            steps.append(lambda: self._change(actual))
        return steps

    def _again(self, actual: domain.Addon) -> None:
        self.delete(actual)
        self.waiter.until(self.look, self.subject, "absent")
        self.create()

    def _tag(self, actual: domain.Addon) -> None:
        change = tag_change(self.options["tags"], actual.tags, self.options["purge_tags"])
        eks.change_tags(self.client, actual.arn, change)

    def _change(self, actual: domain.Addon) -> Callable[[], Progress] | None:
        # EKS takes away the role and the configuration that an update does not name.
        settings = merged(self.settings, actual.settings, domain.KEPT_FIELDS)
        settings = replace(settings, addon_version=self.settings.addon_version)
        conflicts = self.options["resolve_conflicts"]
        update = eks.update_addon(self.client, self.cluster, self.name, settings, conflicts)
        if not update:
            return None
        return lambda: eks.describe_update(self.client, self.cluster, update, addon=self.name)

    def delete(self, actual: domain.Addon) -> None:
        eks.delete_addon(self.client, self.cluster, self.name, self.options["preserve"])


def argument_spec() -> dict[str, dict[str, Any]]:
    """The options, as documented above."""
    return {**addon_options(), **state_options(), **wait_options(1200, 10)}


def main() -> None:
    """Run the module."""
    module = AnsibleAWSModule(argument_spec=argument_spec(), supports_check_mode=True)
    waiter = Waiter(module.params["wait_timeout"], module.params["wait_sleep"])
    run(module, AddonResource(module.client("eks"), module.params, waiter), waiter)


if __name__ == "__main__":
    main()
