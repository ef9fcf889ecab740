#!/usr/bin/python
# Copyright (c) 2026, langsmith.aws maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Everything that can be known to fail before the first write."""

from __future__ import annotations

DOCUMENTATION = r"""
module: preflight_check
short_description: Tell everything that would fail, before anything is written
version_added: 0.1.0
author: langsmith.aws maintainers (@langsmith-aws)
description:
  - Looks at the inputs of an installation, at the AWS account and at the tools of this machine, all at the same time,
    and tells all problems at once, each with the variable to change.
  - Reports and succeeds, whatever it finds. Assert RV(ready) in the playbook. Only options of this module that cannot
    be used make it fail.
  - What could not be looked at is V(unknown), never V(pass).
extends_documentation_fragment:
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
  - langsmith.aws.check_attributes
options:
  environment:
    description:
      - What the installation is for, V(dev) or V(production). Anything else is a finding.
      - A ClickHouse of one node, payloads outside of S3 or a small cluster fail for V(production) and are warnings for
        V(dev).
    type: str
  environment_variable:
    description: Name of the variable that O(environment) comes from, for its finding.
    type: str
    default: langsmith_environment
  inputs:
    description: The variables to look at, in the order in which they are told of.
    type: list
    elements: dict
    default: []
    suboptions:
      variable:
        description: Name of the variable, which findings and remedies use.
        type: str
        required: true
      value:
        description: Its value. Never a secret, for which V(true) under the rule V(present) says enough.
        type: raw
      rule:
        description:
          - What the value is held against.
          - V(present) is any value, which is not shown. V(region), V(installation_name), V(hostname), V(email),
            V(chart_version) and V(kubernetes_version) are what their names say.
          - V(cidrs) are IPv4 ranges, V(vpc_cidr) the one of the VPC and V(subnet_cidrs) those of subnets (strings, or
            dictionaries with C(cidr_block)), which lie in it and do not overlap.
          - V(zones) are availability zones, V(instance_types) types of instances offered in them, V(node_count) the
            number of nodes, whose capacity is held against 16 vCPU and 64 GiB. V(other_instance_types) are types of
            other nodes.
          - V(hosted_zone) is the name or id of a public zone in the account. V(license_secret) is a secret's name, or a
            dictionary of C(name) and C(key), which must be there.
          - V(blob_storage) is whether payloads go to S3 and V(clickhouse_topology) is V(single), V(replicated),
            V(external) or V(managed).
          - V(trace_ttl) is a dictionary of C(enabled) and C(ttl_period_seconds) of the chart's C(config.ttl), and of
            C(datastores_ttl_short_days) and C(datastores_ttl_long_days), after which the bucket drops payloads. Periods
            that are not there are right.
          - V(clickhouse) is a dictionary of C(topology) and what that one needs, C(replicas) and C(zones), or C(host),
            C(password_secret), C(endpoint_service) and C(blob_storage). Findings have the variable as their prefix.
        type: str
        required: true
      required:
        description: Whether leaving it empty is a problem.
        type: bool
        default: true
      remedy:
        description: What to tell the operator instead of the rule's own remedy.
        type: str
  tools:
    description: Programs that must be on the PATH of the module.
    type: list
    elements: dict
    default:
      - name: aws
        minimum_version: 1.16.156
      - name: helm
        minimum_version: 3.12.0
        below_version: 4.0.0
      - name: kubectl
        required: false
    suboptions:
      name:
        description: Name of the program.
        type: str
        required: true
      minimum_version:
        description: Oldest version that does. Empty for any.
        type: str
        default: ""
      below_version:
        description:
          - Oldest version that does no longer. Empty for none.
          - Helm 4 has dropped C(helm list --all), which the modules of kubernetes.core 6 call.
        type: str
        default: ""
      required:
        description: Whether its absence is a problem. If not, it is a warning.
        type: bool
        default: true
  quotas:
    description: Whether to hold the account's quotas of vCPU, VPCs and Elastic IP addresses against what is wanted.
    type: bool
    default: true
  timeout:
    description: Seconds to wait for each answer of AWS and of each program.
    type: float
    default: 20
"""

EXAMPLES = r"""
- name: Look at everything before the first write
  langsmith.aws.preflight_check:
    region: us-east-1
    environment: production
    inputs:
      - variable: langsmith_region
        value: us-east-1
        rule: region
      - variable: network_vpc_cidr
        value: 10.0.0.0/16
        rule: vpc_cidr
      - variable: eks_node_instance_types
        value: [m6i.4xlarge]
        rule: instance_types
      - variable: eks_node_count
        value: 3
        rule: node_count
      - variable: langsmith_license_secret
        value:
          name: langsmith/license
          key: license_key
        rule: license_secret
  register: preflight

- name: Stop with all reasons at once
  ansible.builtin.assert:
    that: preflight.ready
    fail_msg: "{{ preflight.findings | selectattr('status', 'eq', 'fail') | map(attribute='remedy') | list }}"
"""

RETURN = r"""
ready:
  description: Whether nothing fails. Look at RV(counts) for what is unknown.
  returned: always
  type: bool
findings:
  description: One entry for each thing that was looked at.
  returned: always
  type: list
  elements: dict
  contains:
    id:
      description: The rule, as V(preflight.vpc_cidr). C(component) is always V(preflight).
      type: str
    status:
      description: V(pass), V(warn), V(unknown) or V(fail).
      type: str
    subject:
      description: The variable, or the thing.
      type: str
    observed:
      description: What was seen.
      type: str
    expected:
      description: What is wanted.
      type: str
    remedy:
      description: What to do. Empty where the status is V(pass).
      type: str
    source:
      description: Where the rule comes from.
      type: str
counts:
  description: The number of findings of each status.
  returned: always
  type: dict
  sample:
    pass: 12
    warn: 1
    unknown: 0
    fail: 0
account_id:
  description: The AWS account of the credentials. V(null) where AWS does not accept them.
  returned: always
  type: str
region:
  description: The region that was looked at. V(null) where none is named.
  returned: always
  type: str
"""

from functools import partial
from typing import Any

from ansible_collections.amazon.aws.plugins.module_utils.botocore import get_aws_connection_info
from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.langsmith.aws.plugins.module_utils.clients.preflight import gather
from ansible_collections.langsmith.aws.plugins.module_utils.domain.errors import ProjectError
from ansible_collections.langsmith.aws.plugins.module_utils.shell.aws_connection import connector
from ansible_collections.langsmith.aws.plugins.module_utils.shell.preflight import check

_INPUT = {
    "variable": {"type": "str", "required": True},
    "value": {"type": "raw"},
    "rule": {"type": "str", "required": True},
    "required": {"type": "bool", "default": True},
    "remedy": {"type": "str"},
}
_TOOL = {
    "name": {"type": "str", "required": True},
    "minimum_version": {"type": "str", "default": ""},
    "below_version": {"type": "str", "default": ""},
    "required": {"type": "bool", "default": True},
}
_TOOLS: list[dict[str, Any]] = [
    {"name": "aws", "minimum_version": "1.16.156"},
    {"name": "helm", "minimum_version": "3.12.0", "below_version": "4.0.0"},
    {"name": "kubectl", "required": False},
]


def argument_spec() -> dict[str, dict[str, Any]]:
    """The options, as documented above."""
    return {
        "environment": {"type": "str"},
        "environment_variable": {"type": "str", "default": "langsmith_environment"},
        "inputs": {"type": "list", "elements": "dict", "options": _INPUT, "default": []},
        "tools": {"type": "list", "elements": "dict", "options": _TOOL, "default": _TOOLS},
        "quotas": {"type": "bool", "default": True},
        "timeout": {"type": "float", "default": 20},
    }


def main() -> None:
    """Run the module."""
    module = AnsibleAWSModule(argument_spec=argument_spec(), supports_check_mode=True)
    region, endpoint, options = get_aws_connection_info(module)
    connect = connector(endpoint, options, module.params["timeout"])
    try:
        result = check(module.params, region, partial(gather, connect))
    except ProjectError as error:
        module.fail_json(msg=str(error))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
