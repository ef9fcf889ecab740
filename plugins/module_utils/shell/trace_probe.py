# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options of the trace probe to what it is told to do, and its outcome to a result."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ansible_collections.langsmith.aws.plugins.module_utils.domain.endpoint import ClickHouse
from ansible_collections.langsmith.aws.plugins.module_utils.domain.langsmith import (
    Endpoint,
    key_headers,
    parse_endpoint,
)
from ansible_collections.langsmith.aws.plugins.module_utils.domain.probe.inside import counters_url
from ansible_collections.langsmith.aws.plugins.module_utils.domain.probe.outcome import Outcome, Settings
from ansible_collections.langsmith.aws.plugins.module_utils.domain.probe.thresholds import LIMITS, limits
from ansible_collections.langsmith.aws.plugins.module_utils.domain.probe.verdict import plan, summary
from ansible_collections.langsmith.aws.plugins.module_utils.shell import load
from ansible_collections.langsmith.aws.plugins.module_utils.shell.cluster_reach import CLUSTER_REACH_ARG_SPEC
from ansible_collections.langsmith.aws.plugins.module_utils.shell.connection import (
    CONNECTION_ARG_SPEC,
    connection_options,
)

#: Probes the installation at an endpoint, with these headers, by connection options, with a view from inside or None.
#: Raises ``ValueError`` for them and ProjectError for a package that is missing.
Probe = Callable[[Endpoint, "dict[str, str]", Mapping[str, Any], Settings, Any], Outcome]

#: The options, beside those of AWS and the API key.
PROBE_ARG_SPEC: dict[str, dict[str, Any]] = {
    "endpoint": {"type": "str", "required": True},
    "workspace_id": {"type": "str"},
    "project": {"type": "str"},
    "keep": {"type": "bool", "default": False},
    "feedback": {"type": "bool", "default": False},
    "compression": {"type": "str", "choices": ["none", "zstd"], "default": "none"},
    "wait_timeout": {"type": "float", "default": 120},
    "wait_sleep": {"type": "float", "default": 0.5},
    "thresholds": {"type": "dict", "options": {name: {"type": "float"} for name in LIMITS}},
    "release": {"type": "str", "default": "langsmith"},
    "clickhouse": {
        "type": "dict",
        # The name of a Secret, and none of what it holds.
        "options": {"service": {"type": "str"}, "cluster": {"type": "str"}, "secret": {"type": "str", "no_log": False}},
    },
    **CONNECTION_ARG_SPEC,
    **CLUSTER_REACH_ARG_SPEC,
}


def check(
    params: Mapping[str, Any],
    check_mode: bool,
    read_secret: Callable[[str, str], str],
    probe: Probe,
    open_cluster: Callable[[str, str, str], Any],
) -> dict[str, Any]:
    """The module's result. ``open_cluster`` is called with kubeconfig, namespace and release where there is one.

    Raises ``ValueError`` for an option that cannot be used, ProjectError for a secret, cluster or package.
    """
    endpoint = parse_endpoint(params["endpoint"])
    settings = _settings(params)
    if check_mode:
        steps = plan(endpoint.url, settings.project, settings.keep, settings.compression, settings.feedback)
        return {"changed": True, "would_send": steps}
    headers = key_headers(api_key(params, read_secret), params["workspace_id"])
    names = (params["namespace"], params["release"])
    cluster = open_cluster(params["kubeconfig"], *names) if params["kubeconfig"] else None
    outcome = probe(endpoint, headers, connection_options(params), settings, cluster)
    return {
        "changed": outcome.wrote,
        "run_id": outcome.run_id,
        "trace_url": outcome.trace_url,
        "project": outcome.project,
        **summary(outcome.evidence, outcome.seconds),
    }


def check_load(
    params: Mapping[str, Any],
    check_mode: bool,
    read_secret: Callable[[str, str], str],
    send: load.Send,
    say: Callable[[str], None],
) -> dict[str, Any]:
    """The module's result of a load. Raises ``ValueError`` for an option, ProjectError where nothing was sent."""
    _refuse_options_of_a_probe(params)
    if check_mode:
        plan_of_load = load.plan(params)
        return {"changed": True, "would_send": plan_of_load["says"], "load": {"plan": plan_of_load}}
    queue = counters_url(params["release"], params["namespace"]) if params["kubeconfig"] else ""
    headers = key_headers(api_key(params, read_secret), params["workspace_id"])
    return load.run(params, headers, send, queue_url=queue, say=say)


def _refuse_options_of_a_probe(params: Mapping[str, Any]) -> None:
    """Raises ``ValueError`` for an option that a load would take no notice of."""
    told = {**params, "thresholds": [limit for limit in (params["thresholds"] or {}).values() if limit is not None]}
    given = [name for name in ("project", "feedback", "thresholds") if told[name]]
    if given:
        raise ValueError(f"{', '.join(given)}: a load has no such option; leave it away")
    if params["compression"] != "none":
        raise ValueError("compression: a load is compressed by load.compression; leave the other away")


def api_key(params: Mapping[str, Any], read_secret: Callable[[str, str], str]) -> str:
    """The key, from its secret or as it was given."""
    secret = params["api_key_secret"]
    return read_secret(secret["name"], secret["key"]) if secret else params["api_key"] or ""


def _settings(params: Mapping[str, Any]) -> Settings:
    return Settings(
        project=params["project"] or "",
        keep=params["keep"],
        feedback=params["feedback"],
        compression=params["compression"],
        wait_timeout=params["wait_timeout"],
        wait_sleep=params["wait_sleep"],
        thresholds=limits(params["thresholds"]),
        namespace=params["namespace"],
        release=params["release"],
        clickhouse=ClickHouse.of(params["release"], params["clickhouse"]),
    )
