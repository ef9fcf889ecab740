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
  - Times each stage and reports a finding for each. A layer is named only by two witnesses, the stage that failed and a
    neighbour of it that passed. Where the neighbour is missing RV(layer) is V(unknown).
  - With O(kubeconfig) the queue's counters, the workers' own times and the readiness of the pods are read too. They are
    trusted in this order, after the answers of the API. The readiness needs C(list) of C(deployments) and
    C(statefulsets) in the API group C(apps) too; what may not be read is left out, and a warning names it.
  - A LangSmith that is not healthy is a result, not a failure of the module.
  - With O(load) it sends a load in place of the one trace. O(project), O(feedback), O(compression) and O(thresholds)
    are of the trace alone and refused then; O(wait_timeout) and O(wait_sleep) mean nothing.
  - An C(http) URL that redirects is left at that, as the key would be sent in clear.
  - The module writes on each run, so its result is changed whenever it wrote. A write without an answer may have been
    done, so it counts as one, and what it may have left is removed too.
extends_documentation_fragment:
  - langsmith.aws.connection
  - langsmith.aws.cluster_reach
  - langsmith.aws.trace_probe
  - langsmith.aws.load
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
attributes:
  check_mode:
    description: Can run in check mode and tell the change without making it.
    support: full
    details:
      - Sends nothing and returns RV(would_send), and RV(load) with its plan alone where O(load) is given.
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
  workspace_id:
    description: Workspace to use, where the key belongs to several.
    type: str
  project:
    description:
      - Project to send to. It is made where it is missing and stays, as others may send to it; only the probe's traces
        are removed from it.
      - Without it the probe makes a project of its own, which is removed with all that is in it.
    type: str
  keep:
    description: Whether to leave project and traces where they are instead of removing them.
    type: bool
    default: false
  feedback:
    description: Whether to score the root run too, and wait for the score to be listed.
    type: bool
    default: false
  compression:
    description:
      - How bodies of ingestion are compressed. V(zstd) is how LangSmith's SDK sends where the server offers it.
      - A body that is refused for it is sent again plain, which tells whether it is the encoding that is refused.
    type: str
    choices: [none, zstd]
    default: none
  wait_timeout:
    description: Seconds to wait for the traces to become readable and complete. With 0 it is looked for once.
    type: float
    default: 120
  wait_sleep:
    description: Seconds before the second poll, above 0; the pauses grow to six times this.
    type: float
    default: 0.5
  release:
    description:
      - Helm release, whose objects are looked at through O(kubeconfig) and named in the commands.
      - Their names begin with it where it contains C(langsmith), else with it and C(-langsmith).
    type: str
    default: langsmith
  clickhouse:
    description: Which ClickHouse the installation uses. Commands of remedies name it; the probe does not ask it.
    type: dict
    suboptions:
      service:
        description:
          - Its Service in the installation's namespace. An empty string says that it is outside of the cluster.
          - The one of the chart, C(<release>-langsmith-clickhouse) or C(<release>-clickhouse), unless it is given.
        type: str
      cluster:
        description: Name of the cluster of replicas, all of which are asked for their delay.
        type: str
      secret:
        description:
          - Secret of the installation's namespace with the way to it, in the keys of LangSmith's chart.
          - The one of the chart, of the same name as its Service, unless it is given.
        type: str
requirements:
  - zstandard, where O(compression=zstd)
notes:
  - Where the environment names a proxy for O(endpoint), and it cannot be reached without one, RV(layer) is V(unknown).
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

- name: Send 20 traces per second for a minute
  langsmith.aws.langsmith_trace_probe:
    endpoint: https://langsmith.example.com
    api_key_secret:
      name: langsmith/acme-dev/api-key
    region: us-east-1
    load:
      inventory: [https://langsmith.example.com]
      rate: 20
  register: sent

- name: Stop where it was not carried
  ansible.builtin.assert:
    that: sent.load.findings | selectattr('status', 'in', ['fail', 'unknown']) | length == 0
"""

RETURN = r"""
healthy:
  description: Whether no finding is V(fail) or V(unknown). What is late or was left behind is a V(warn).
  returned: when not in check mode and without O(load)
  type: bool
findings:
  description:
    - Findings in the order of the stages.
    - Of each, V(component) names the layer and V(remedy) the next step.
  returned: when not in check mode
  type: list
  elements: dict
layer:
  description:
    - The layer at fault, or that made the trace later than its threshold or failed polls for it now and then. Empty
      where none did.
    - One of V(dns), V(security-group), V(load-balancer), V(waf), V(certificate), V(endpoint), V(frontend),
      V(platform-backend), V(backend), V(auth), V(workspace), V(quota), V(version), V(postgres), V(redis),
      V(ingest-workers), V(backlog), V(clickhouse-write), V(clickhouse-read), V(blob-write), V(blob-read),
      V(lost-patch), V(replica-lag) and V(unknown).
  returned: when not in check mode
  type: str
witnesses:
  description: The stage that failed and the neighbour that passed, each with V(status), V(stage) and V(observed).
  returned: when not in check mode
  type: list
  elements: dict
next_command:
  description:
    - The command that shows more of the layer at fault, or that decides where it is V(unknown).
    - Empty where nothing failed.
  returned: when not in check mode
  type: str
timings:
  description:
    - Seconds per stage as far as the probe came, by the names of O(thresholds), and V(total).
    - V(visible) and V(complete) count from the acceptance of the trace to the poll that showed it, the latter until the
      last run is complete. What passed before that poll without one that told is not held against a threshold.
    - V(queue_delay) is by the servers' clocks, and is missing where they tell what cannot be.
  returned: when not in check mode
  type: dict
stages:
  description: Of each timing V(name), V(seconds), V(threshold), V(status) and the threshold's V(source).
  returned: when not in check mode
  type: list
  elements: dict
charts:
  description: The timeline of the stages and their seconds, for O(langsmith.aws.report#module:charts).
  returned: when not in check mode
  type: list
  elements: dict
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
load:
  description:
    - What a load was, and what came of it. There is no RV(healthy) with it, so look at V(findings).
    - Its V(plan), and of what was sent V(traces), V(unsent_traces) and V(seconds).
    - Of its runs V(sent), V(accepted), V(refused) by status, V(unanswered) by reason, V(visible), V(lost),
      V(duplicates), V(stored_unaccepted), and the first V(lost_ids) and V(duplicate_ids).
    - V(rates), V(percentiles) with their V(percentile_error), how many traces were V(watched) for them, V(backlog),
      V(drain_seconds), V(capacity) and V(load_class).
    - V(resolution_seconds) are the most that passed between two looks at one of these traces. By so much percentiles of
      V(visible) may be too high, and what is above a threshold by less than that is unknown.
    - V(findings), V(charts), V(problems), V(interrupted), the V(projects) and what the V(sender) took.
  returned: when O(load) is given, and then none of the values above; in check mode V(plan) alone
  type: dict
would_send:
  description: What would be sent.
  returned: in check mode
  type: list
  elements: str
"""

from collections.abc import Callable
from functools import partial
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.langsmith.aws.plugins.module_utils.clients.cluster_state import connect
from ansible_collections.langsmith.aws.plugins.module_utils.clients.trace_probe import probe
from ansible_collections.langsmith.aws.plugins.module_utils.domain.errors import ProjectError
from ansible_collections.langsmith.aws.plugins.module_utils.shell.aws_connection import AWS_ARG_SPEC, connected
from ansible_collections.langsmith.aws.plugins.module_utils.shell.cluster_reach import reaching
from ansible_collections.langsmith.aws.plugins.module_utils.shell.ending import interruptible
from ansible_collections.langsmith.aws.plugins.module_utils.shell.load import LOAD_ARG_SPEC
from ansible_collections.langsmith.aws.plugins.module_utils.shell.secret_reference import secret_reference
from ansible_collections.langsmith.aws.plugins.module_utils.shell.trace_probe import PROBE_ARG_SPEC, check, check_load


def argument_spec() -> dict[str, dict[str, Any]]:
    """The options, as documented above."""
    keys = {"api_key": {"type": "str", "no_log": True}, "api_key_secret": secret_reference("api_key")}
    return {**AWS_ARG_SPEC, **keys, **PROBE_ARG_SPEC, "load": LOAD_ARG_SPEC}


def send_load(module: AnsibleModule, read_secret: Callable[[str, str], str]) -> dict[str, Any]:
    """The result of a load, told to the log before it is sent. Raises as ``check_load`` does."""
    from ansible_collections.langsmith.aws.plugins.module_utils.clients.load import run_load
    from ansible_collections.langsmith.aws.plugins.module_utils.clients.port_forward import PortForward

    with reaching(module.params, PortForward) as dial:
        return check_load(module.params, module.check_mode, read_secret, partial(run_load, queue_dial=dial), module.log)


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec=argument_spec(),
        mutually_exclusive=[("api_key", "api_key_secret")],
        required_one_of=[("api_key", "api_key_secret")],
        supports_check_mode=True,
    )

    def read_secret(name: str, key: str) -> str:
        # Only a key in Secrets Manager needs AWS, which takes longer to load than the rest of the module.
        from ansible_collections.langsmith.aws.plugins.module_utils.clients.secretsmanager import read_value

        value = read_value(connected(module, ["secretsmanager"])["secretsmanager"], name, key)
        module.no_log_values.add(value)
        return value

    try:
        with interruptible():
            if module.params["load"]:
                result = send_load(module, read_secret)
            else:
                result = check(module.params, module.check_mode, read_secret, probe, connect)
    except KeyboardInterrupt:
        module.fail_json(msg="langsmith_trace_probe: told to end before it had begun, or while it cleaned up")
    except (ValueError, ProjectError) as error:
        module.fail_json(msg=f"langsmith_trace_probe: {error}")
    module.exit_json(**result)


if __name__ == "__main__":
    main()
