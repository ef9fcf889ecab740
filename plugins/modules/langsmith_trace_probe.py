#!/usr/bin/python
# Copyright (c) 2026, langsmith.aws maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sends a trace through the public URL, reads it back and names the layer at fault."""

from __future__ import annotations

DOCUMENTATION = r"""
module: langsmith_trace_probe
short_description: Send a trace to LangSmith and read it back
version_added: 0.1.0
author: langsmith.aws maintainers (@langsmith-aws)
description:
  - Sends a trace of two runs, and one with a large input and an attachment where blob storage is on; waits until they
    can be read and are complete; compares what came back with what was sent; removes it.
  - Times each stage and reports a finding for each. A layer is named only where a neighbouring stage passed, else the
    finding says that the layer is unknown.
  - A LangSmith that is not healthy is a result, not a failure of the module.
  - The module writes on each run, so its result is changed whenever it wrote.
extends_documentation_fragment:
  - langsmith.aws.connection
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
attributes:
  check_mode:
    description: Can run in check mode and tell the change without making it.
    support: full
    details:
      - Sends nothing and returns RV(would_send).
  diff_mode:
    description: Tells what changes.
    support: none
  idempotent:
    description: A second run with the same options changes nothing.
    support: none
    details:
      - Each run sends a trace of its own.
options:
  endpoint:
    description:
      - URL of the installation, as V(https://host) or with its base path. A trailing V(/api) or V(/api/v1) is dropped.
    type: str
    required: true
  api_key:
    description: Key to call with. Exactly one of O(api_key) and O(api_key_secret) is needed.
    type: str
  api_key_secret:
    description: Where in Secrets Manager the key is. AWS options are needed only for this.
    type: dict
    suboptions:
      name:
        description: Name or ARN of the secret.
        type: str
        required: true
      key:
        description: Key of the secret's JSON object.
        type: str
        default: api_key
  workspace_id:
    description: Workspace to use, where the key belongs to several.
    type: str
  project:
    description:
      - Project to send to. It is made where it is missing.
      - Without it the probe makes a project of its own.
    type: str
  keep:
    description: Whether to leave project and traces where they are instead of removing them.
    type: bool
    default: false
  wait_timeout:
    description: Seconds to wait for the traces to become readable and complete.
    type: float
    default: 120
  visible_within:
    description:
      - Seconds within which a trace has to be readable; later is a warning.
      - The default is the alarm threshold of the P0 production checklist for ingestion delay.
    type: float
    default: 60
  wait_sleep:
    description: Seconds before the second poll; the pauses grow to six times this.
    type: float
    default: 0.5
  queue_metrics_url:
    description:
      - Where platform-backend's C(/metrics?format=json) is reached, through a port-forward say.
      - Without it the layer at fault stays unknown when a trace is accepted and never appears.
    type: str
  namespace:
    description: Namespace that the remedies' commands name.
    type: str
    default: langsmith
  release:
    description: Helm release that the remedies' commands name.
    type: str
    default: langsmith
seealso:
  - module: langsmith.aws.endpoint_check
  - module: langsmith.aws.report
"""

EXAMPLES = r"""
- name: Prove that traces arrive
  langsmith.aws.langsmith_trace_probe:
    endpoint: https://langsmith.example.com
    api_key_secret:
      name: langsmith/acme-prod/api-key
    region: us-east-1
  register: probe

- name: Stop where they do not
  ansible.builtin.assert:
    that: probe.healthy
    fail_msg: "{{ probe.findings | rejectattr('status', 'eq', 'pass') }}"
"""

RETURN = r"""
healthy:
  description: Whether no finding is V(fail) or V(unknown).
  returned: when not in check mode
  type: bool
findings:
  description:
    - Findings in the order of the stages.
    - Of each, V(component) names the layer and V(remedy) the next step.
  returned: when not in check mode
  type: list
  elements: dict
timings:
  description:
    - Seconds per stage as far as the probe came, V(connect), V(info), V(auth), V(project), V(accept), V(visible),
      V(complete), V(queue_delay), V(read), V(blob) and V(total).
    - V(visible) and V(complete) count from the acceptance of the trace, V(queue_delay) is by the server's clocks.
  returned: when not in check mode
  type: dict
run_id:
  description: The root run's id, which is the trace's too. Empty where nothing was sent.
  returned: when not in check mode
  type: str
trace_url:
  description: The trace's page, which leads nowhere once the trace is removed. Empty where nothing was sent.
  returned: when not in check mode
  type: str
project:
  description: The project's V(id) and V(name), and whether it was V(kept).
  returned: when not in check mode
  type: dict
answers:
  description: Every answer that the findings rest on, in their order.
  returned: when not in check mode
  type: list
  elements: dict
would_send:
  description: What would be sent.
  returned: in check mode
  type: list
  elements: str
"""

from typing import Any

from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.langsmith.aws.plugins.module_utils.clients.secretsmanager import read_value
from ansible_collections.langsmith.aws.plugins.module_utils.clients.trace_probe import probe
from ansible_collections.langsmith.aws.plugins.module_utils.domain.errors import ProjectError
from ansible_collections.langsmith.aws.plugins.module_utils.shell.connection import CONNECTION_ARG_SPEC
from ansible_collections.langsmith.aws.plugins.module_utils.shell.secret_reference import secret_reference
from ansible_collections.langsmith.aws.plugins.module_utils.shell.trace_probe import check


def argument_spec() -> dict[str, dict[str, Any]]:
    """The options, as documented above."""
    return {
        "endpoint": {"type": "str", "required": True},
        "api_key": {"type": "str", "no_log": True},
        "api_key_secret": secret_reference("api_key"),
        "workspace_id": {"type": "str"},
        "project": {"type": "str"},
        "keep": {"type": "bool", "default": False},
        "wait_timeout": {"type": "float", "default": 120},
        "visible_within": {"type": "float", "default": 60},
        "wait_sleep": {"type": "float", "default": 0.5},
        "queue_metrics_url": {"type": "str"},
        "namespace": {"type": "str", "default": "langsmith"},
        "release": {"type": "str", "default": "langsmith"},
        **CONNECTION_ARG_SPEC,
    }


def main() -> None:
    """Run the module."""
    module = AnsibleAWSModule(
        argument_spec=argument_spec(),
        mutually_exclusive=[("api_key", "api_key_secret")],
        required_one_of=[("api_key", "api_key_secret")],
        supports_check_mode=True,
    )

    def read_secret(name: str, key: str) -> str:
        return read_value(module.client("secretsmanager"), name, key)

    try:
        result = check(module.params, module.check_mode, read_secret, probe)
    except (ValueError, ProjectError) as error:
        module.fail_json(msg=f"langsmith_trace_probe: {error}")
    module.exit_json(**result)


if __name__ == "__main__":
    main()
