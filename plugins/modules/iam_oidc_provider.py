#!/usr/bin/python
# Copyright (c) 2026, langsmith.aws maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The IAM identity provider of a cluster's service accounts."""

from __future__ import annotations

DOCUMENTATION = r"""
module: iam_oidc_provider
short_description: Keep an IAM OpenID Connect identity provider
version_added: 0.1.0
author: langsmith.aws maintainers (@langsmith-aws)
description:
  - Lets service accounts of a Kubernetes cluster assume IAM roles (IRSA).

extends_documentation_fragment:
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
  - langsmith.aws.tags
  - langsmith.aws.state_attributes
options:
  url:
    description:
      - URL of the issuer, such as RV(langsmith.aws.eks_cluster#module:cluster.oidc_issuer).
      - V(https://) may be left out.
    type: str
    required: true
  client_ids:
    description: Audiences, all of them.
    type: list
    elements: str
    default: [sts.amazonaws.com]
  thumbprints:
    description: SHA-1 thumbprints of the issuer's authority. Not needed for EKS, whose issuers AWS knows.
    type: list
    elements: str
  state:
    description: Whether the provider is to be there.
    type: str
    choices: [present, absent]
    default: present
"""

EXAMPLES = r"""
- name: Let service accounts assume roles
  langsmith.aws.iam_oidc_provider:
    url: https://oidc.eks.us-east-1.amazonaws.com/id/0123456789ABCDEF0123456789ABCDEF
    tags:
      "langsmith:installation": acme-dev
"""

RETURN = r"""
oidc_provider:
  description: The provider. Null when it is not there. In check mode as it would be.
  returned: always
  type: dict
  contains:
    arn:
      description: Its ARN.
      type: str
    url:
      description: URL of the issuer.
      type: str
    client_ids:
      description: Its audiences.
      type: list
      elements: str
    thumbprints:
      description: Thumbprints that IAM holds.
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

from typing import Any

from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.langsmith.aws.plugins.module_utils.clients import iam
from ansible_collections.langsmith.aws.plugins.module_utils.clients.waiting import Waiter
from ansible_collections.langsmith.aws.plugins.module_utils.domain.difference import Difference
from ansible_collections.langsmith.aws.plugins.module_utils.domain.progress import Progress
from ansible_collections.langsmith.aws.plugins.module_utils.domain.resources import iam_oidc_provider as domain
from ansible_collections.langsmith.aws.plugins.module_utils.domain.tags import tag_change
from ansible_collections.langsmith.aws.plugins.module_utils.shell.aws_options import (
    oidc_provider_options,
    state_options,
)
from ansible_collections.langsmith.aws.plugins.module_utils.shell.state import Resource, Step, run


class OidcProviderResource(Resource):
    """The provider as the common steps of a state module see it."""

    key = "oidc_provider"

    def __init__(self, client: Any, options: dict[str, Any]) -> None:
        self.client, self.options = client, options
        self.url = f"https://{domain.host_path(options['url'])}"
        self.settings = domain.OidcProviderSettings.from_options(options)
        self.subject = f"IAM identity provider {self.url}"

    def read(self) -> domain.OidcProvider | None:
        return iam.find_oidc_provider(self.client, self.url)

    def progress(self, actual: domain.OidcProvider) -> Progress:
        return domain.progress(actual)

    def differences(self, actual: domain.OidcProvider) -> list[Difference]:
        return domain.differences(self.settings, actual, self.options["tags"], self.options["purge_tags"])

    def wanted(self) -> dict[str, Any]:
        known = {
            "client_ids": list(self.settings.client_ids or ()),
            "thumbprints": list(self.settings.thumbprints or ()),
        }
        return {"url": self.url, **known, "tags": self.options["tags"] or {}}

    def create(self) -> None:
        iam.create_oidc_provider(self.client, self.url, self.settings, self.options["tags"])

    def updates(self, actual: domain.OidcProvider, differences: list[Difference]) -> list[Step]:
        return [lambda: self._update(actual)]

    def _update(self, actual: domain.OidcProvider) -> None:
        iam.update_oidc_provider(self.client, self.settings, actual)
        change = tag_change(self.options["tags"], actual.tags, self.options["purge_tags"])
        iam.change_oidc_provider_tags(self.client, actual.arn, change)

    def delete(self, actual: domain.OidcProvider) -> None:
        iam.delete_oidc_provider(self.client, actual.arn)


def argument_spec() -> dict[str, dict[str, Any]]:
    """The options, as documented above."""
    return {**oidc_provider_options(), **state_options()}


def main() -> None:
    """Run the module."""
    module = AnsibleAWSModule(argument_spec=argument_spec(), supports_check_mode=True)
    waiter = Waiter(60, 1)
    run(module, OidcProviderResource(module.client("iam"), module.params), waiter)


if __name__ == "__main__":
    main()
