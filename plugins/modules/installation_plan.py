#!/usr/bin/python
# Copyright (c) 2026, langsmith.aws maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an installation lacks, told before anything is written."""

from __future__ import annotations

DOCUMENTATION = r"""
module: installation_plan
short_description: Compare a whole LangSmith installation with what is wanted
version_added: 0.1.0
author: langsmith.aws maintainers (@langsmith-aws)
description:
  - Reads an installation as M(langsmith.aws.installation_info) does and compares it, part by part, with a wish.
  - A role runs a task that writes only for the parts in RV(drift), so that a run with nothing to do takes seconds.
  - It never writes. In check mode it is C(changed) when there is drift, since a run would change something then.
extends_documentation_fragment:
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
attributes:
  check_mode:
    description: Can run in check mode.
    support: full
    details:
      - Only reads. In check mode it tells by C(changed) that the modules after it would change something.
  diff_mode:
    description: Tells what is and what is wanted of each part that differs.
    support: full
  idempotent:
    description: A second run changes nothing.
    support: full
options:
  name:
    description: Name of the installation.
    type: str
    required: true
  tags:
    description: Tags that every part should carry, beside C(langsmith:installation). Further tags are no difference.
    type: dict
    default: {}
  wanted:
    description:
      - The parts to compare. A part that is not given is not compared, nor is an option of it that is not given.
      - V(vpc) takes C(cidr_block), C(name), C(dns_support), C(dns_hostnames), C(tags).
      - V(subnets) is a list, each with C(cidr_block), C(availability_zone), C(public), C(name), C(map_public), C(tags).
      - V(nat_gateways) is V(none), V(single) or V(per_zone). V(s3_endpoint) and V(oidc_provider) are true or false.
      - V(cluster), V(nodegroup), V(nodegroups), V(addons), V(database), V(cache) and V(certificate) take the options of
        M(langsmith.aws.eks_cluster), M(langsmith.aws.eks_nodegroup), M(langsmith.aws.eks_addon),
        M(langsmith.aws.rds_instance), M(langsmith.aws.elasticache_replication_group) and
        M(langsmith.aws.acm_certificate_request). Names default to those that follow from O(name).
      - V(roles) is a list, each with C(name), C(managed_policies), C(assume_role_policy), C(inline_policies), C(tags).
      - V(security_groups) is a list, each with C(name) and, as M(amazon.aws.ec2_security_group) takes them, C(rules)
        and C(rules_egress).
      - V(database_subnet_group) and V(cache_subnet_group) take C(name), C(description), C(subnet_ids). They are
        compared with the private subnets whenever V(database) or V(cache) is.
      - V(bucket) takes C(name), C(versioning), C(encryption), C(encryption_key_id), C(public_access_blocked),
        C(object_ownership), C(policy), C(lifecycle_rules) (each C(rule_id), C(prefix), C(expiration_days)),
        C(tags).
      - V(secrets) is a list, each with C(name) and C(keys) that must have a value. Values stay inside the module.
      - V(interface_endpoints) is a list of the options of M(langsmith.aws.vpc_interface_endpoint).
      - V(clickhouse) takes C(topology), C(cluster), C(user), C(instance_types), C(replicas) and C(volume)
        (C(size_gib), C(iops), C(throughput_mib_s)). What LangSmith, EKS or EBS does not let change is a difference with
        C(blocked).
      - An option that is not known is refused.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: See what is to be done
  langsmith.aws.installation_plan:
    name: acme-dev
    wanted:
      vpc:
        cidr_block: 10.0.0.0/16
      nat_gateways: single
      cluster:
        version: "1.35"
  register: plan

- name: Keep the VPC
  amazon.aws.ec2_vpc_net:
    name: acme-dev
    cidr_block: 10.0.0.0/16
    purge_tags: false
    tags:
      "langsmith:installation": acme-dev
  when: "'vpc' in plan.drift"
"""

RETURN = r"""
drift:
  description:
    - What differs, by part. Keys are C(vpc), C(internet_gateway), C(subnets), C(nat_gateways), C(route_tables),
      C(s3_endpoint), C(interface_endpoint:SERVICE), C(security_group:NAME), C(role:NAME), C(cluster),
      C(oidc_provider), C(nodegroup), C(nodegroup:NAME), C(addon:NAME), C(database_subnet_group), C(database),
      C(cache_subnet_group), C(cache), C(bucket), C(secret:NAME), C(clickhouse) and C(certificate).
    - C(action) is V(create) or V(update). A difference with C(blocked) is one that AWS does not
      change in place; it says why.
  returned: always
  type: dict
  sample:
    cluster:
      action: update
      differences:
        - field: version
          wanted: "1.35"
          actual: "1.34"
installation:
  description: The installation as M(langsmith.aws.installation_info) returns it.
  returned: always
  type: dict
"""

from typing import Any

from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.langsmith.aws.plugins.module_utils.clients.installation import SERVICES, Look, read
from ansible_collections.langsmith.aws.plugins.module_utils.domain.errors import ProjectError
from ansible_collections.langsmith.aws.plugins.module_utils.domain.plan import Plan
from ansible_collections.langsmith.aws.plugins.module_utils.domain.tags import INSTALLATION_TAG
from ansible_collections.langsmith.aws.plugins.module_utils.shell.aws_connection import connected
from ansible_collections.langsmith.aws.plugins.module_utils.shell.plan_options import names_of, wish


def argument_spec() -> dict[str, dict[str, Any]]:
    """The options, as documented above."""
    return {
        "name": {"type": "str", "required": True},
        "tags": {"type": "dict", "default": {}},
        "wanted": {"type": "dict", "required": True},
    }


def compare(clients: dict[str, Any], options: dict[str, Any]) -> dict[str, Any]:
    """Read and compare; the result of the module without ``changed``. Raises :class:`ProjectError`."""
    name, wanted = options["name"], wish(options["wanted"])
    look = Look(
        settings=True,
        roles=tuple(role["name"] for role in wanted.get("roles") or ()),
        secret_keys=tuple(secret["name"] for secret in wanted.get("secrets") or () if secret.get("keys")),
        certificate_domain=(wanted.get("certificate") or {}).get("domain_name"),
    )
    installation = read(clients, name, names_of(name, wanted), look)
    tags = {**{key: str(value) for key, value in options["tags"].items()}, INSTALLATION_TAG: name}
    drift = {key: item.to_dict() for key, item in Plan(installation, wanted, tags).drift().items()}
    before, after = ({key: told(item, side) for key, item in drift.items()} for side in ("actual", "wanted"))
    return {"drift": drift, "installation": installation.to_dict(), "diff": {"before": before, "after": after}}


def told(drift: dict[str, Any], side: str) -> dict[str, Any]:
    """One side of the differences, by field."""
    return {item["field"]: item[side] for item in drift["differences"]}


def main() -> None:
    """Run the module."""
    module = AnsibleAWSModule(argument_spec=argument_spec(), supports_check_mode=True)
    try:
        result = compare(connected(module, SERVICES), module.params)
    except ProjectError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=module.check_mode and bool(result["drift"]), **result)


if __name__ == "__main__":
    main()
