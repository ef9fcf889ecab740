#!/usr/bin/python
# Copyright (c) 2026, langsmith.aws maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Findings of checks as a file and as a table."""

from __future__ import annotations

DOCUMENTATION = r"""
module: report
short_description: Write findings of checks as JSON, JUnit, HTML or text
version_added: 0.1.0
author: langsmith.aws maintainers (@langsmith-aws)
description:
  - Renders the findings of this collection's checks, with the seconds of their stages and with their charts.
  - The page is one file that needs nothing else, readable in light and in dark.
  - The file holds no time of writing, so the same findings do not change it.
attributes:
  check_mode:
    description: Can run in check mode and tell the change without making it.
    support: full
  diff_mode:
    description: Tells what changes.
    support: full
  idempotent:
    description: A second run with the same options changes nothing.
    support: full
options:
  findings:
    description: Findings as the checks return them.
    type: list
    elements: dict
    required: true
  title:
    description: What was checked.
    type: str
    default: LangSmith on AWS
  subject:
    description: The installation.
    type: str
    required: true
  path:
    description: File to write, with mode 0640. Its folder has to be there. Without it only the result is returned.
    type: path
  format:
    description: What to write to O(path).
    type: str
    choices: [json, junit, html, text]
    default: json
  timings:
    description: Seconds of a check's stages by their names, as RV(langsmith.aws.langsmith_trace_probe#module:timings).
    type: dict
    default: {}
  charts:
    description: Charts as the checks return them. V(html) draws them and V(json) holds them.
    type: list
    elements: dict
    default: []
  notes:
    description: What a check says besides its findings, as RV(langsmith.aws.clickhouse_sizing_check#module:notes).
    type: list
    elements: dict
    default: []
    suboptions:
      title:
        description: What it is about.
        type: str
        required: true
      lines:
        description: Sentences.
        type: list
        elements: str
        required: true
  stages:
    description: Stages of the run in their order.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: The stage's name.
        type: str
        required: true
      seconds:
        description: How long it took, in seconds.
        type: float
        required: true
"""

EXAMPLES = r"""
- name: Write a page about the probe
  langsmith.aws.report:
    title: Verification
    subject: acme-prod
    findings: "{{ probe.findings }}"
    timings: "{{ probe.timings }}"
    charts: "{{ probe.charts }}"
    path: /var/lib/langsmith/acme-prod.html
    format: html
"""

RETURN = r"""
path:
  description: The file.
  returned: when O(path) was given
  type: str
text:
  description: The findings as a table for the terminal.
  returned: always
  type: str
counts:
  description: How many findings have each status.
  returned: always
  type: dict
  sample: {pass: 12, warn: 1, unknown: 0, fail: 0}
worst:
  description: The worst status; V(unknown) where there are no findings.
  returned: always
  type: str
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.langsmith.aws.plugins.module_utils.domain.charts import parse_charts
from ansible_collections.langsmith.aws.plugins.module_utils.domain.report import (
    Report,
    as_text,
    parse_findings,
    parse_times,
    render,
)
from ansible_collections.langsmith.aws.plugins.module_utils.shell.text_file import write_file


def argument_spec() -> dict[str, dict[str, Any]]:
    """The options, as documented above."""
    stage = {"name": {"type": "str", "required": True}, "seconds": {"type": "float", "required": True}}
    note = {
        "title": {"type": "str", "required": True},
        "lines": {"type": "list", "elements": "str", "required": True},
    }
    return {
        "findings": {"type": "list", "elements": "dict", "required": True},
        "title": {"type": "str", "default": "LangSmith on AWS"},
        "subject": {"type": "str", "required": True},
        "path": {"type": "path"},
        "format": {"type": "str", "choices": ["json", "junit", "html", "text"], "default": "json"},
        "timings": {"type": "dict", "default": {}},
        "charts": {"type": "list", "elements": "dict", "default": []},
        "notes": {"type": "list", "elements": "dict", "default": [], "options": note},
        "stages": {"type": "list", "elements": "dict", "default": [], "options": stage},
    }


def write(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    """Render and write. Raises ``ValueError`` for what is no finding, ``OSError`` where no file can be written."""
    report = Report(
        title=params["title"],
        subject=params["subject"],
        findings=parse_findings(params["findings"]),
        timings=parse_times(params["timings"]),
        stages=tuple((stage["name"], stage["seconds"]) for stage in params["stages"]),
        charts=parse_charts(params["charts"]),
        notes=tuple((note["title"], tuple(note["lines"])) for note in params["notes"]),
    )
    result = {"changed": False, "text": as_text(report), "counts": report.counts, "worst": report.worst}
    if not params["path"]:
        return result
    changed, diff = write_file(params["path"], render(report, params["format"]), 0o640, check_mode)
    return {**result, "changed": changed, "diff": diff, "path": params["path"]}


def main() -> None:
    """Run the module."""
    module = AnsibleModule(argument_spec=argument_spec(), supports_check_mode=True)
    try:
        result = write(module.params, module.check_mode)
    except ValueError as error:
        module.fail_json(msg=f"report: {error}")
    except OSError as error:
        module.fail_json(
            msg=f"report: {module.params['path']} cannot be written: {error.strerror}; make its folder first"
        )
    module.exit_json(**result)


if __name__ == "__main__":
    main()
