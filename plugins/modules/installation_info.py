#!/usr/bin/python
# Copyright (c) 2026, langsmith.aws maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Everything that AWS knows of one installation."""

from __future__ import annotations

DOCUMENTATION = r"""
module: installation_info
short_description: Read a whole LangSmith installation from AWS
version_added: 0.1.0
author: langsmith.aws maintainers (@langsmith-aws)
description:
  - Reads everything that carries the tag C(langsmith:installation) with the installation's name, in two
    concurrent rounds.
  - Cluster, database, cache, their subnet groups and the bucket are found by the names that follow
    from the installation's.
  - What is not there is null or empty. A permission that is missing ends the module with the
    names of all that are missing.
extends_documentation_fragment:
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
attributes:
  check_mode:
    description: Can run in check mode.
    support: full
    details:
      - Only reads.
  diff_mode:
    description: Tells what changes.
    support: none
    details:
      - Changes nothing.
  idempotent:
    description: A second run changes nothing.
    support: full
options:
  name:
    description: Name of the installation.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Read the installation
  langsmith.aws.installation_info:
    name: acme-dev
  register: found

- name: Nothing is left of it
  ansible.builtin.assert:
    that: found.resources | length == 0
"""

RETURN = r"""
installation:
  description: The installation.
  returned: always
  type: dict
  contains:
    name:
      description: Its name.
      type: str
    account_id:
      description: The AWS account.
      type: str
    caller_arn:
      description: Whose credentials were used.
      type: str
    region:
      description: The region.
      type: str
    vpc:
      description: The VPC with C(id), C(cidr_block) and C(state), or null.
      type: dict
    internet_gateway_id:
      description: Id of the internet gateway, or null.
      type: str
    subnets:
      description: The C(public) and C(private) subnets, each with C(id), C(cidr_block) and C(availability_zone).
      type: dict
    nat_gateways:
      description:
        - The NAT gateways with C(id), C(state), C(subnet_id), C(availability_zone), C(public_ip) and C(allocation_id).
      type: list
      elements: dict
    elastic_ips:
      description: The elastic addresses with C(allocation_id), C(public_ip) and C(association_id).
      type: list
      elements: dict
    route_tables:
      description: The route tables with C(id), C(name), C(subnet_ids) and C(routes).
      type: list
      elements: dict
    s3_endpoint_id:
      description: Id of the gateway endpoint to S3, or null.
      type: str
    security_groups:
      description: Id of each security group by its name.
      type: dict
    cluster:
      description: The cluster as M(langsmith.aws.eks_cluster) returns it, or null.
      type: dict
    nodegroups:
      description: The node groups as M(langsmith.aws.eks_nodegroup) returns them.
      type: list
      elements: dict
    addons:
      description: The add-ons by name, as M(langsmith.aws.eks_addon) returns them.
      type: dict
    oidc_provider_arn:
      description: ARN of the identity provider of the cluster's service accounts, or null.
      type: str
    roles:
      description: ARN of each role by its name.
      type: dict
    database:
      description: The database as M(langsmith.aws.rds_instance) returns it, or null.
      type: dict
    database_subnet_group:
      description: Name of its subnet group, or null.
      type: str
    cache:
      description: The cache as M(langsmith.aws.elasticache_replication_group) returns it, or null.
      type: dict
    cache_subnet_group:
      description: Name of its subnet group, or null.
      type: str
    bucket:
      description: The bucket with C(name), C(region) and C(arn), or null.
      type: dict
    secrets:
      description: ARN of each secret by its name.
      type: dict
    secrets_pending_deletion:
      description: ARN of each secret that is scheduled for deletion, by its name.
      type: dict
    certificate:
      description: The certificate as M(langsmith.aws.acm_certificate_request) returns it, or null.
      type: dict
    load_balancers:
      description: The load balancers with C(arn), C(name), C(dns_name), C(hosted_zone_id) and C(scheme).
      type: list
      elements: dict
    instances:
      description: Ids of the instances that carry the tag.
      type: list
      elements: str
    volumes:
      description:
        - The volumes that carry the tag with C(id), C(availability_zone), C(size_gib), C(type), C(iops),
          C(throughput_mib_s), C(state) and C(claim), the name of the PersistentVolumeClaim that each was made for.
      type: list
      elements: dict
    interface_endpoints:
      description: The interface endpoints as M(langsmith.aws.vpc_interface_endpoint) returns them.
      type: list
      elements: dict
    clickhouse:
      description:
        - What was decided for ClickHouse with C(topology), C(cluster), C(replicas) and C(volumes), those of its data.
          Null before its secret was made.
        - Topology and cluster are tags of the secret C(langsmith/NAME/clickhouse). Replicas are counted by their
          volumes.
      type: dict
    resources:
      description: As RV(resources).
      type: list
      elements: str
resources:
  description: The ARN of everything that carries the installation's tag and is still there, sorted.
  returned: always
  type: list
  elements: str
"""

from typing import Any

from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.langsmith.aws.plugins.module_utils.clients.installation import SERVICES, read
from ansible_collections.langsmith.aws.plugins.module_utils.domain.errors import ProjectError
from ansible_collections.langsmith.aws.plugins.module_utils.domain.installation import Names
from ansible_collections.langsmith.aws.plugins.module_utils.shell.aws_connection import connected


def argument_spec() -> dict[str, dict[str, Any]]:
    """The options, as documented above."""
    return {"name": {"type": "str", "required": True}}


def main() -> None:
    """Run the module."""
    module = AnsibleAWSModule(argument_spec=argument_spec(), supports_check_mode=True)
    name = module.params["name"]
    try:
        installation = read(connected(module, SERVICES), name, Names.of(name)).to_dict()
    except ProjectError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=False, installation=installation, resources=installation["resources"])


if __name__ == "__main__":
    main()
