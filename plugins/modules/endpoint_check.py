#!/usr/bin/python
# Copyright (c) 2026, langsmith.aws maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a URL answers, and which layer is at fault when it does not."""

from __future__ import annotations

DOCUMENTATION = r"""
module: endpoint_check
short_description: Check that a URL answers and name the layer that does not
version_added: 0.1.0
author: langsmith.aws maintainers (@langsmith-aws)
description:
  - Asks for a URL once, or until it answers as expected, and reports name, connection, certificate and answer.
  - An endpoint that is not healthy is a result, not a failure of the module.
  - No redirect is followed.
extends_documentation_fragment:
  - langsmith.aws.connection
attributes:
  check_mode:
    description: Can run in check mode and tell the change without making it.
    support: full
    details:
      - The module changes nothing and asks in check mode too.
  diff_mode:
    description: Tells what changes.
    support: none
  idempotent:
    description: A second run with the same options changes nothing.
    support: full
options:
  url:
    description: What to ask for, with V(http) or V(https).
    type: str
    required: true
  expect_status:
    description: Status codes that are healthy.
    type: list
    elements: int
    default: [200]
  wait:
    description: Whether to ask again until the answer is as expected.
    type: bool
    default: false
  wait_timeout:
    description: Seconds to go on asking with O(wait).
    type: float
    default: 300
  wait_sleep:
    description: Seconds between two questions.
    type: float
    default: 5
seealso:
  - module: langsmith.aws.langsmith_trace_probe
"""

EXAMPLES = r"""
- name: Wait until the front door answers
  langsmith.aws.endpoint_check:
    url: https://langsmith.example.com/health
    wait: true
  register: front_door

- name: Look at a load balancer before its record is there
  langsmith.aws.endpoint_check:
    url: https://langsmith.example.com/health
    connect_to: k8s-langsmith-1234.us-east-1.elb.amazonaws.com:443
"""

RETURN = r"""
healthy:
  description: Whether the last answer was as expected.
  returned: always
  type: bool
findings:
  description: A finding per layer (dns, tcp, tls, http) up to the one at fault.
  returned: always
  type: list
  elements: dict
status:
  description: The last answer's status code; none where no answer came.
  returned: always
  type: int
timings:
  description: Seconds of the last attempt, V(dns), V(connect), V(tls), V(first_byte) and V(total), as far as it came.
  returned: always
  type: dict
attempts:
  description: How often the URL was asked for.
  returned: always
  type: int
duration:
  description: Seconds that all attempts took.
  returned: always
  type: float
"""

from typing import Any
from urllib.parse import urlsplit

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.langsmith.aws.plugins.module_utils.clients.http_client import HttpClient
from ansible_collections.langsmith.aws.plugins.module_utils.clients.observing import watch
from ansible_collections.langsmith.aws.plugins.module_utils.domain.endpoint import Place, judge_endpoint
from ansible_collections.langsmith.aws.plugins.module_utils.shell.connection import (
    CONNECTION_ARG_SPEC,
    connection_options,
)


def argument_spec() -> dict[str, dict[str, Any]]:
    """The options, as documented above."""
    return {
        "url": {"type": "str", "required": True},
        "expect_status": {"type": "list", "elements": "int", "default": [200]},
        "wait": {"type": "bool", "default": False},
        "wait_timeout": {"type": "float", "default": 300},
        "wait_sleep": {"type": "float", "default": 5},
        **CONNECTION_ARG_SPEC,
    }


def check(params: dict[str, Any]) -> dict[str, Any]:
    """Verdict, findings and timings. Raises ``ValueError`` for an option that cannot be used."""
    parts = urlsplit(params["url"])
    http = HttpClient(params["url"], **connection_options(params))
    target = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
    watched = watch(
        http,
        target,
        lambda observed: observed.status in params["expect_status"],
        wait_timeout=params["wait_timeout"] if params["wait"] else 0,
        wait_sleep=params["wait_sleep"],
    )
    http.close()
    place = Place(params["url"], "{}:{}".format(*http.address))
    findings = judge_endpoint(watched.observed, place, params["expect_status"])
    return {
        "healthy": all(finding.status == "pass" for finding in findings),
        "findings": [finding.to_dict() for finding in findings],
        "status": watched.observed.status,
        "timings": watched.timings,
        "attempts": watched.attempts,
        "duration": round(watched.seconds, 3),
    }


def main() -> None:
    """Run the module."""
    module = AnsibleModule(argument_spec=argument_spec(), supports_check_mode=True)
    try:
        result = check(module.params)
    except ValueError as error:
        module.fail_json(msg=f"endpoint_check: {error}")
    module.exit_json(changed=False, **result)


if __name__ == "__main__":
    main()
