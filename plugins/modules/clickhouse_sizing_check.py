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
  - Holds a planned topology, a running server or both against the sizing rules of LangSmith's reference architecture on
    AWS. Three to five replicas of 8 vCPU and 32 GB each, on SSD volumes of 7000 IOPS and 1000 MiB/s.
  - Reports and succeeds. A server that cannot be reached is a finding. Assert RV(sufficient) in the playbook.
  - What could not be looked at is V(unknown), which is not sufficient.
extends_documentation_fragment:
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
  - langsmith.aws.check_attributes
options:
  environment:
    description:
      - What the installation is for. A single node, or less than the baseline, fails for V(production) and is a warning
        for V(dev).
    type: str
    choices: [dev, production]
    required: true
  plan:
    description: The planned topology. Figures are those of each replica.
    type: dict
    suboptions:
      topology:
        description: V(single) or V(replicated) in the cluster, V(external) the operator's own, V(managed) LangChain's.
        type: str
        choices: [single, replicated, external, managed]
        required: true
      replicas:
        description: Number of replicas, all in one shard.
        type: int
      cpu:
        description: CPU in vCPU.
        type: float
      memory_gib:
        description: Memory in GiB.
        type: float
      volume:
        description: The data volume.
        type: dict
        suboptions:
          type:
            description: Its EBS type, as V(gp3) or V(io2).
            type: str
          size_gib:
            description: Its size in GiB.
            type: float
          iops:
            description: Its I/O operations per second. V(gp3) has 3000 unless told otherwise.
            type: float
          throughput_mib_s:
            description: Its throughput in MiB/s. V(gp3) has 125 unless told otherwise.
            type: float
      persistence:
        description: Whether the data is on a persistent volume.
        type: bool
      version:
        description: Version of the server, for example that of the image's tag.
        type: str
  live:
    description: A running server, asked over HTTP(S).
    type: dict
    suboptions:
      url:
        description: Address of the HTTP interface, as V(http://clickhouse:8123).
        type: str
        required: true
      user:
        description: User who asks. A finding tells the grant that is missing.
        type: str
        default: default
      password:
        description: The user's password. Instead of O(live.password_secret).
        type: str
      password_secret:
        description: Where in AWS Secrets Manager the password is. Read inside the module.
        type: dict
        suboptions:
          name:
            description: Name or ARN of the secret.
            type: str
            required: true
          key:
            description: Key in the secret.
            type: str
            default: clickhouse_password
      database:
        description: Database to ask in.
        type: str
        default: default
      cluster:
        description: Name of the ClickHouse cluster whose replicas count. Without it the server counts as one replica.
        type: str
      connect_to:
        description:
          - Where to connect instead of what the URL's name resolves to, as V(host:port).
          - The URL's name is still used for the TLS server name, the check of the certificate and the Host header.
        type: str
      ca_file:
        description: File of PEM certificates to trust instead of the system's authorities.
        type: path
  timeout:
    description: Seconds that one query may take, connecting included. All queries run at the same time.
    type: float
    default: 10
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
      volume:
        type: gp3
        size_gib: 500
        iops: 7000
        throughput_mib_s: 1000
      persistence: true
      version: "25.12"

- name: Judge the running server too
  langsmith.aws.clickhouse_sizing_check:
    environment: production
    live:
      url: https://clickhouse.example.org:8443
      user: langsmith
      password_secret:
        name: langsmith/acme-prod/clickhouse
      cluster: replicated
"""

RETURN = r"""
sufficient:
  description: Whether nothing fails and nothing is unknown. Warnings do not count.
  returned: always
  type: bool
findings:
  description: One entry for each thing that was looked at, first those on the plan, then those on the server.
  returned: always
  type: list
  elements: dict
  contains:
    id:
      description: The rule, as V(clickhouse.replicas) or, on the server, V(clickhouse.live_replicas).
      type: str
    status:
      description: V(pass), V(warn), V(unknown) or V(fail).
      type: str
    subject:
      description: The option of the plan, or the server's host and port.
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
live:
  description:
    - What the server told of itself, its version, the cores that it counts and the memory that it may use in GiB.
    - V(null) without O(live) or without an answer.
  returned: always
  type: dict
  sample:
    subject: clickhouse:8123
    version: 25.12.3.1
    cpu: 8
    memory_gib: 28.8
"""

from typing import Any

from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.langsmith.aws.plugins.module_utils.clients.clickhouse import observe
from ansible_collections.langsmith.aws.plugins.module_utils.clients.secretsmanager import read_value
from ansible_collections.langsmith.aws.plugins.module_utils.domain.errors import ProjectError
from ansible_collections.langsmith.aws.plugins.module_utils.shell.clickhouse_sizing import check

_VOLUME = {"type": {"type": "str"}, **{name: {"type": "float"} for name in ("size_gib", "iops", "throughput_mib_s")}}
_PLAN = {
    "topology": {"type": "str", "choices": ["single", "replicated", "external", "managed"], "required": True},
    "replicas": {"type": "int"},
    "cpu": {"type": "float"},
    "memory_gib": {"type": "float"},
    "volume": {"type": "dict", "options": _VOLUME},
    "persistence": {"type": "bool"},
    "version": {"type": "str"},
}
_SECRET = {
    "name": {"type": "str", "required": True},
    "key": {"type": "str", "default": "clickhouse_password", "no_log": False},
}
_LIVE = {
    "url": {"type": "str", "required": True},
    "user": {"type": "str", "default": "default"},
    "password": {"type": "str", "no_log": True},
    "password_secret": {"type": "dict", "options": _SECRET, "no_log": False},
    "database": {"type": "str", "default": "default"},
    "cluster": {"type": "str"},
    "connect_to": {"type": "str"},
    "ca_file": {"type": "path"},
}


def argument_spec() -> dict[str, dict[str, Any]]:
    """The options, as documented above."""
    return {
        "environment": {"type": "str", "choices": ["dev", "production"], "required": True},
        "plan": {"type": "dict", "options": _PLAN},
        "live": {"type": "dict", "options": _LIVE, "mutually_exclusive": [["password", "password_secret"]]},
        "timeout": {"type": "float", "default": 10},
    }


def main() -> None:
    """Run the module."""
    module = AnsibleAWSModule(
        argument_spec=argument_spec(), required_one_of=[["plan", "live"]], supports_check_mode=True
    )
    try:
        result = check(module.params, lambda name, key: read_value(module.client("secretsmanager"), name, key), observe)
    except ProjectError as error:
        module.fail_json(msg=str(error))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
