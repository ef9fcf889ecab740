#!/usr/bin/python
# Copyright (c) 2026, langsmith.aws maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A certificate that ACM issues once DNS proves the domain."""

from __future__ import annotations

DOCUMENTATION = r"""
module: acm_certificate_request
short_description: Keep an AWS Certificate Manager certificate that DNS validates
version_added: 0.1.0
author: langsmith.aws maintainers (@langsmith-aws)
description:
  - Requests a certificate and tells the DNS records that prove control of its names.
  - A certificate for the same names that is issued, or waits to be, is taken as it is. Other names make
    another certificate.

extends_documentation_fragment:
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
  - langsmith.aws.tags
  - langsmith.aws.state_attributes
options:
  domain_name:
    description: The first name.
    type: str
    required: true
  subject_alternative_names:
    description: Further names.
    type: list
    elements: str
  key_algorithm:
    description: Sort of key.
    type: str
    choices: [RSA_2048, EC_prime256v1, EC_secp384r1]
    default: RSA_2048
  state:
    description: Whether the certificate is to be there.
    type: str
    choices: [present, absent]
    default: present
  wait:
    description:
      - Whether to wait until the certificate is issued. The validation records are waited for in any case.
      - Without it the module ends as soon as AWS has accepted the last change.
      - Run it again with the same options to wait.
    type: bool
    default: false
  wait_timeout:
    description: How long to wait in all, in seconds.
    type: int
    default: 1800
  wait_sleep:
    description: How long to wait between two looks, in seconds.
    type: float
    default: 5
"""

EXAMPLES = r"""
- name: Ask for a certificate
  langsmith.aws.acm_certificate_request:
    domain_name: langsmith.example.com
    tags:
      "langsmith:installation": acme-dev
  register: requested

- name: Prove the domain
  amazon.aws.route53:
    zone: example.com
    record: "{{ item.name }}"
    type: "{{ item.type }}"
    value: "{{ item.value }}"
    ttl: 300
    state: present
    overwrite: true
  loop: "{{ requested.certificate.validation_records }}"

- name: Wait for it
  langsmith.aws.acm_certificate_request:
    domain_name: langsmith.example.com
    wait: true
"""

RETURN = r"""
certificate:
  description: The certificate. Null when it is not there. In check mode as it would be.
  returned: always
  type: dict
  contains:
    arn:
      description: Its ARN.
      type: str
    domain_name:
      description: The first name.
      type: str
    status:
      description: ACM's word for where it stands.
      type: str
    subject_alternative_names:
      description: All its names.
      type: list
      elements: str
    validation_records:
      description: DNS records to make, each with C(name), C(type) and C(value).
      type: list
      elements: dict
    in_use_by:
      description: ARNs of what uses it.
      type: list
      elements: str
    expires_at:
      description: When it expires, ISO 8601.
      type: str
    failure_reason:
      description: Why it failed.
      type: str
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
from ansible_collections.langsmith.aws.plugins.module_utils.clients import acm
from ansible_collections.langsmith.aws.plugins.module_utils.clients.waiting import Waiter
from ansible_collections.langsmith.aws.plugins.module_utils.domain.difference import Difference
from ansible_collections.langsmith.aws.plugins.module_utils.domain.progress import ABSENT, Progress
from ansible_collections.langsmith.aws.plugins.module_utils.domain.resources import acm_certificate as domain
from ansible_collections.langsmith.aws.plugins.module_utils.domain.tags import tag_change
from ansible_collections.langsmith.aws.plugins.module_utils.shell.aws_options import (
    certificate_options,
    state_options,
    wait_options,
)
from ansible_collections.langsmith.aws.plugins.module_utils.shell.state import Resource, Step, run


class CertificateResource(Resource):
    """The certificate as the common steps of a state module see it."""

    key = "certificate"

    def __init__(self, client: Any, options: dict[str, Any], waiter: Waiter) -> None:
        self.client, self.options, self.waiter = client, options, waiter
        self.settings = domain.CertificateSettings.from_options(options)
        self.subject = f"ACM certificate for {', '.join(self.settings.names)}"
        self.arn: str | None = None

    def read(self) -> domain.Certificate | None:
        if self.arn:
            return acm.describe(self.client, self.arn)
        found = acm.find(self.client, self.settings.domain_name)
        chosen = domain.choose(self.settings, found, self.options["tags"])
        self.arn = chosen.arn if chosen else None
        return chosen

    def progress(self, actual: domain.Certificate) -> Progress:
        return domain.records_known(actual)

    def usable(self, actual: domain.Certificate) -> Progress:
        return domain.progress(actual)

    def differences(self, actual: domain.Certificate) -> list[Difference]:
        return domain.differences(actual, self.options["tags"], self.options["purge_tags"])

    def wanted(self) -> dict[str, Any]:
        return {**domain.wanted_dict(self.settings), "tags": self.options["tags"] or {}}

    def create(self) -> None:
        self.arn = acm.request(self.client, self.settings, self.options["tags"])
        self.waiter.until(self._records, f"the validation records of the {self.subject}", "ready")

    def _records(self) -> Progress:
        return ABSENT if (actual := self.read()) is None else domain.records_known(actual)

    def updates(self, actual: domain.Certificate, differences: list[Difference]) -> list[Step]:
        return [lambda: self._tag(actual)]

    def _tag(self, actual: domain.Certificate) -> None:
        change = tag_change(self.options["tags"], actual.tags, self.options["purge_tags"])
        acm.change_tags(self.client, actual.arn, change)

    def delete(self, actual: domain.Certificate) -> None:
        acm.delete(self.client, actual.arn)

    def deletion_refusal(self, actual: domain.Certificate) -> str:
        if not actual.in_use_by:
            return ""
        return f"{self.subject} is in use by {', '.join(actual.in_use_by)}; delete that first."


def argument_spec() -> dict[str, dict[str, Any]]:
    """The options, as documented above."""
    return {**certificate_options(), **state_options(), **wait_options(1800, 5, wait=False)}


def main() -> None:
    """Run the module."""
    module = AnsibleAWSModule(argument_spec=argument_spec(), supports_check_mode=True)
    waiter = Waiter(module.params["wait_timeout"], module.params["wait_sleep"])
    run(module, CertificateResource(module.client("acm"), module.params, waiter), waiter)


if __name__ == "__main__":
    main()
