# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options of the trace probe to what it is told to do, and its outcome to a result."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ansible_collections.langsmith.aws.plugins.module_utils.domain.langsmith import (
    Endpoint,
    key_headers,
    parse_endpoint,
)
from ansible_collections.langsmith.aws.plugins.module_utils.domain.probe.outcome import Outcome, Settings
from ansible_collections.langsmith.aws.plugins.module_utils.domain.probe.verdict import plan, summary
from ansible_collections.langsmith.aws.plugins.module_utils.shell.connection import connection_options

#: Probes the installation at an endpoint, with these headers, by connection options. Raises ``ValueError`` for them.
Probe = Callable[[Endpoint, "dict[str, str]", Mapping[str, Any], Settings], Outcome]


def check(
    params: Mapping[str, Any], check_mode: bool, read_secret: Callable[[str, str], str], probe: Probe
) -> dict[str, Any]:
    """The module's result. Raises ``ValueError`` for an option that cannot be used, ProjectError for a secret."""
    endpoint = parse_endpoint(params["endpoint"])
    if check_mode:
        return {"changed": True, "would_send": plan(endpoint.url, params["project"], params["keep"])}
    secret = params["api_key_secret"]
    key = read_secret(secret["name"], secret["key"]) if secret else params["api_key"] or ""
    settings = Settings(
        project=params["project"] or "",
        keep=params["keep"],
        wait_timeout=params["wait_timeout"],
        wait_sleep=params["wait_sleep"],
        visible_within=params["visible_within"],
        namespace=params["namespace"],
        release=params["release"],
        queue_metrics_url=params["queue_metrics_url"] or "",
    )
    outcome = probe(endpoint, key_headers(key, params["workspace_id"]), connection_options(params), settings)
    return {
        "changed": outcome.wrote,
        "run_id": outcome.run_id,
        "trace_url": outcome.trace_url,
        "project": outcome.project,
        **summary(outcome.evidence, outcome.seconds),
    }
