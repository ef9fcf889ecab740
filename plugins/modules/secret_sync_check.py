#!/usr/bin/python
# Copyright (c) 2026, langsmith.aws maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the secrets in Kubernetes hold the values of Secrets Manager."""

from __future__ import annotations

DOCUMENTATION = r"""
module: secret_sync_check
short_description: Compare secrets in Kubernetes with AWS Secrets Manager by hash
version_added: 0.1.0
author: langsmith.aws maintainers (@langsmith-aws)
description:
  - Reads each secret on both sides inside the module, compares SHA-256 hashes and reports. No value leaves the module.
  - A difference is a finding, not a failure; assert RV(synced) where it must stop a run.
extends_documentation_fragment:
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
attributes:
  check_mode:
    description: Can run in check mode and tell the change without making it.
    support: full
  diff_mode:
    description: Tells what changes, key by key.
    support: none
  idempotent:
    description: A second run with the same options changes nothing.
    support: full
options:
  kubeconfig:
    description: Kubeconfig of the cluster.
    type: path
    required: true
  namespace:
    description: Namespace of the secrets.
    type: str
    required: true
  prefix:
    description: What precedes the name of each secret in Secrets Manager, such as V(langsmith/acme-prod).
    type: str
    required: true
  name_prefix:
    description: What precedes the name of each secret in Kubernetes.
    type: str
    default: langsmith-
  secrets:
    description: Name of each secret, without either prefix, to the list of its keys.
    type: dict
    required: true
  wait_timeout:
    description: Seconds to wait until all are equal. V(0) looks once.
    type: int
    default: 300
  wait_sleep:
    description: Seconds between two looks.
    type: float
    default: 2
"""

EXAMPLES = r"""
- name: Compare what arrived with what was meant
  langsmith.aws.secret_sync_check:
    kubeconfig: /home/ops/.kube/langsmith-acme-prod
    namespace: langsmith
    prefix: langsmith/acme-prod
    secrets:
      postgres: [connection_url]
      redis: [connection_url]
  register: synced
"""

RETURN = r"""
synced:
  description: Whether every key of every secret is equal.
  returned: always
  type: bool
findings:
  description: One finding for each secret.
  returned: always
  type: list
  elements: dict
waited_seconds:
  description: How long the module waited.
  returned: always
  type: float
"""

import time
from concurrent.futures import ThreadPoolExecutor

from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.langsmith.aws.plugins.module_utils.clients import kubernetes, secretsmanager
from ansible_collections.langsmith.aws.plugins.module_utils.domain import secret_sync
from ansible_collections.langsmith.aws.plugins.module_utils.domain.errors import ProjectError
from ansible_collections.langsmith.aws.plugins.module_utils.domain.finding import Finding, worst


def argument_spec() -> dict[str, dict[str, object]]:
    """The options of the module."""
    return {
        "kubeconfig": {"type": "path", "required": True},
        "namespace": {"type": "str", "required": True},
        "prefix": {"type": "str", "required": True},
        "name_prefix": {"type": "str", "default": "langsmith-"},
        "secrets": {"type": "dict", "required": True, "no_log": False},
        "wait_timeout": {"type": "int", "default": 300},
        "wait_sleep": {"type": "float", "default": 2},
    }


def look(params: dict, aws: object, cluster: object) -> list[Finding]:
    """One look at every secret on both sides, side by side."""

    def one(item: tuple[str, list[str]]) -> Finding:
        name, keys = item
        actual = secretsmanager.read(aws, f"{params['prefix']}/{name}")
        values = (actual.values if actual else None) or {}
        meant = {key: secret_sync.digest(value.encode()) for key, value in values.items()}
        in_kubernetes = params["name_prefix"] + name
        copy = kubernetes.secret_copy(cluster, params["namespace"], in_kubernetes)
        return secret_sync.compare(in_kubernetes, keys, meant, copy)

    with ThreadPoolExecutor(max_workers=8) as pool:
        return list(pool.map(one, params["secrets"].items()))


def main() -> None:
    """Wait, look and report."""
    module = AnsibleAWSModule(argument_spec=argument_spec(), supports_check_mode=True)
    began = time.monotonic()
    try:
        aws, cluster = module.client("secretsmanager"), kubernetes.connect(module.params["kubeconfig"])
        findings = look(module.params, aws, cluster)
        while worst(findings) != "pass" and time.monotonic() - began < module.params["wait_timeout"]:
            time.sleep(module.params["wait_sleep"])
            findings = look(module.params, aws, cluster)
    except ProjectError as error:
        module.fail_json(msg=str(error))
    module.exit_json(
        changed=False,
        synced=worst(findings) == "pass",
        findings=[finding.to_dict() for finding in findings],
        waited_seconds=round(time.monotonic() - began, 1),
    )


if __name__ == "__main__":
    main()
