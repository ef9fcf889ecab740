#!/usr/bin/python
# Copyright (c) 2026, langsmith.aws maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A ClickHouse, planned or running, against what LangSmith needs."""

from __future__ import annotations

DOCUMENTATION = r"""
module: clickhouse_sizing_check
short_description: Judge whether a ClickHouse suffices for LangSmith
version_added: 0.1.0
author: langsmith.aws maintainers (@langsmith-aws)
description:
  - Holds a planned topology, running servers, their EBS volumes and their backups, each or all of them, against the
    sizing rules of LangSmith's reference architecture on AWS. Three to five replicas of 8 vCPU and 32 GB each, on SSD
    volumes of 7000 IOPS and 1000 MiB/s that the instances can drive.
  - Reports and succeeds. A server that cannot be reached is a finding. Assert RV(sufficient) in the playbook.
  - What could not be looked at is V(unknown), which is not sufficient.
  - With O(kubeconfig) the pods of the servers are looked at too. One that was ended for its memory (V(OOMKilled)) in
    the last hour fails.
extends_documentation_fragment:
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
  - langsmith.aws.check_attributes
  - langsmith.aws.clickhouse_sizing
  - langsmith.aws.cluster_reach
"""

EXAMPLES = r"""
- name: Judge the planned ClickHouse
  langsmith.aws.clickhouse_sizing_check:
    environment: production
    plan:
      topology: replicated
      replicas: 3
      cpu: 8
      memory_gib: 32
      memory_limit_gib: 48
      instance_types: [m6in.4xlarge]
      zones: 3
      anti_affinity: true
      pod_disruption_budget: true
      keeper:
        nodes: 3
        zones: 3
        persistence: true
      volume:
        type: gp3
        size_gib: 500
        iops: 7000
        throughput_mib_s: 1000
      persistence: true
      allow_volume_expansion: true
      reclaim_policy: Retain
      version: "25.12"
      blob_storage: true
      max_concurrent_queries: 500
      load:
        traces_per_s: 10
        users: 5
        retention_days: 14

- name: Judge the running servers, their volumes and their backups
  langsmith.aws.clickhouse_sizing_check:
    environment: production
    live:
      urls:
        - https://clickhouse.example.org:8443
      user: checks
      password_secret:
        name: acme/clickhouse-checks
        key: password
      writer:
        user: langsmith
        password_secret:
          name: langsmith/acme-prod/clickhouse
      cluster: langsmith
    volumes:
      ids:
        - vol-0123456789abcdef0
    backups:
      bucket: acme-prod-backups
      prefix: clickhouse
"""

RETURN = r"""
sufficient:
  description: Whether nothing fails and nothing is unknown. Warnings do not count.
  returned: always
  type: bool
findings:
  description:
    - One entry for each thing that was looked at, first those on the plan, then those on the servers, their pods, the
      volumes and the backups.
  returned: always
  type: list
  elements: dict
  contains:
    id:
      description: The rule, as V(clickhouse.replicas). It is the same for what is planned and what is there.
      type: str
    status:
      description: V(pass), V(warn), V(unknown) or V(fail).
      type: str
    subject:
      description: The option of the plan, the server's host and port, the volume, the instance or the bucket.
      type: str
    observed:
      description: What was seen, with its unit.
      type: str
    expected:
      description: What is wanted.
      type: str
    remedy:
      description: What to do. Empty where the status is V(pass).
      type: str
    source:
      description: Where the threshold comes from.
      type: str
recommendation:
  description: The ClickHouse for the load of O(plan.load), V(null) without one.
  returned: always
  type: dict
  contains:
    replicas:
      description: Number of replicas.
      type: int
    cpu:
      description: CPU that each requests, in vCPU.
      type: float
    memory_gib:
      description: Memory that each requests, in GiB.
      type: float
    volume_gib:
      description: Size of each volume in GiB.
      type: int
    iops:
      description: I/O operations per second of each volume.
      type: int
    throughput_mib_s:
      description: Throughput of each volume in MiB/s.
      type: int
    instance_type:
      description: The smallest EC2 type that has room for a replica and can drive its volume, V(null) where none has.
      type: str
    days_to_full:
      description: Days until a volume is full while nothing is deleted.
      type: float
    arithmetic:
      description: How the figures came about, in sentences.
      type: list
      elements: str
grants:
  description:
    - The statements that let O(live.user) ask everything that is asked. Of LangSmith's runs they open times alone, not
      what runs are called and what they say.
  returned: always
  type: list
  elements: str
writer_grants:
  description: The statements that give O(live.writer) what its migrations and its work need. Empty without one.
  returned: always
  type: list
  elements: str
pressure:
  description: Whether reading or writing strains the servers, and what to do. V(null) without O(live).
  returned: always
  type: dict
  contains:
    read:
      description: V(none), V(some), V(high), or V(unknown) where not everything that tells of it was read.
      type: str
    write:
      description: As RV(pressure.read).
      type: str
    because:
      description: What was seen, in sentences.
      type: list
      elements: str
    advice:
      description: What to do.
      type: str
notes:
  description: RV(pressure) and how RV(recommendation) came about, as O(langsmith.aws.report#module:notes) takes them.
  returned: always
  type: list
  elements: dict
replicas:
  description: What was measured on each server that was asked, V(null) where a figure is unknown.
  returned: always
  type: list
  elements: dict
charts:
  description: The measurements as O(langsmith.aws.report#module:charts) draws them.
  returned: always
  type: list
  elements: dict
"""

from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.langsmith.aws.plugins.module_utils.clients import pods
from ansible_collections.langsmith.aws.plugins.module_utils.clients.clickhouse import Target, observe
from ansible_collections.langsmith.aws.plugins.module_utils.clients.port_forward import PortForward
from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.live import QUERIES
from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.rules.rights import queries
from ansible_collections.langsmith.aws.plugins.module_utils.domain.errors import ProjectError
from ansible_collections.langsmith.aws.plugins.module_utils.shell.aws_connection import AWS_ARG_SPEC, connected
from ansible_collections.langsmith.aws.plugins.module_utils.shell.clickhouse_sizing import (
    Sources,
    check,
    refuse_contradictions,
    services,
)
from ansible_collections.langsmith.aws.plugins.module_utils.shell.clickhouse_sizing_options import SIZING_ARG_SPEC
from ansible_collections.langsmith.aws.plugins.module_utils.shell.cluster_reach import CLUSTER_REACH_ARG_SPEC


def argument_spec() -> dict[str, dict[str, Any]]:
    """The options, as documented by the fragments."""
    return {**AWS_ARG_SPEC, **CLUSTER_REACH_ARG_SPEC, **SIZING_ARG_SPEC}


def sources(aws: dict[str, Any], forward: PortForward, params: dict[str, Any]) -> Sources:
    """Where the facts come from; the clients of AWS import botocore, so each is imported where there is one."""
    inside = bool(params["kubeconfig"])

    def read_secret(name: str, key: str) -> str:
        from ansible_collections.langsmith.aws.plugins.module_utils.clients import secretsmanager

        return secretsmanager.read_value(aws["secretsmanager"], name, key)

    def read_volumes(ids: list[str], now: datetime) -> Any:
        from ansible_collections.langsmith.aws.plugins.module_utils.clients import volumes

        return volumes.read(aws["ec2"], aws["cloudwatch"], ids, now)

    def read_backups(bucket: str, prefix: str) -> Any:
        from ansible_collections.langsmith.aws.plugins.module_utils.clients import backups

        return backups.read(aws["s3"], bucket, prefix)

    def read_pods(servers: Sequence[str]) -> Any:
        return pods.behind(forward, servers, params["namespace"], params["timeout"])

    def ask(connection: dict[str, Any], **target: Any) -> Any:
        way = {**connection, **({"dial": forward.dial} if inside else {})}
        of_writer = queries(target["login"].database, target["cluster"])
        return observe(Target(connection=way, **target), QUERIES, of_writer)

    return Sources(read_secret, ask, read_volumes, read_backups, read_pods if inside else None)


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec=argument_spec(),
        required_one_of=[["plan", "live", "volumes", "backups"]],
        supports_check_mode=True,
    )
    try:
        refuse_contradictions(module.params)
        aws = connected(module, services(module.params), module.params["timeout"])
        with closing(PortForward(module.params["kubeconfig"], module.params["namespace"])) as forward:
            result = check(module.params, sources(aws, forward, module.params), datetime.now(UTC))
    except ProjectError as error:
        module.fail_json(msg=str(error))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
