# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A trace probe by the options of a module."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from ansible_collections.langsmith.aws.plugins.module_utils.clients.http_client import HttpClient
from ansible_collections.langsmith.aws.plugins.module_utils.clients.langsmith import LangSmith
from ansible_collections.langsmith.aws.plugins.module_utils.clients.trace_probe import (
    QueueCounters,
    Settings,
    TraceProbe,
)
from ansible_collections.langsmith.aws.plugins.module_utils.domain.endpoint import Place
from ansible_collections.langsmith.aws.plugins.module_utils.domain.langsmith import key_headers, parse_endpoint
from ansible_collections.langsmith.aws.plugins.module_utils.domain.probe.verdict import summary
from ansible_collections.langsmith.aws.plugins.module_utils.shell.connection import http_client


def probe(params: Mapping[str, Any], api_key: str) -> dict[str, Any]:
    """Run the probe and judge it. Raises ``ValueError`` for an option that cannot be used."""
    endpoint = parse_endpoint(params["endpoint"])
    http = http_client(endpoint.origin, params)
    api = LangSmith(http, endpoint, key_headers(api_key, params["workspace_id"]))
    place = Place(endpoint.url, "{}:{}".format(*http.address), params["namespace"], params["release"])
    settings = Settings(
        project=params["project"] or "",
        keep=params["keep"],
        wait_timeout=params["wait_timeout"],
        wait_sleep=params["wait_sleep"],
        visible_within=params["visible_within"],
    )
    outcome = TraceProbe(api, place, settings, _queue(params)).run()
    http.close()
    return {
        "changed": outcome.wrote,
        "run_id": outcome.run_id,
        "trace_url": outcome.trace_url,
        "project": outcome.project,
        **summary(outcome.evidence, outcome.seconds),
    }


def _queue(params: Mapping[str, Any]) -> QueueCounters | None:
    url = params["queue_metrics_url"]
    if not url:
        return None
    parts = urlsplit(url)
    http = HttpClient(url, connect_timeout=params["connect_timeout"], timeout=params["timeout"])
    return QueueCounters(http, f"{parts.path or '/'}?{parts.query}")
