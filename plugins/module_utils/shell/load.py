# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options of a load to what is sent, and what was measured to a result."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from ansible_collections.langsmith.aws.plugins.module_utils.domain.langsmith import Endpoint, parse_endpoint
from ansible_collections.langsmith.aws.plugins.module_utils.domain.load import plan as plans
from ansible_collections.langsmith.aws.plugins.module_utils.domain.load import report
from ansible_collections.langsmith.aws.plugins.module_utils.domain.load.capacity import refuse_without_room
from ansible_collections.langsmith.aws.plugins.module_utils.domain.load.ids import new_ids
from ansible_collections.langsmith.aws.plugins.module_utils.domain.load.measured import Measured
from ansible_collections.langsmith.aws.plugins.module_utils.domain.load.options import (
    Settings,
    Target,
    refuse_unlisted,
    settings,
)
from ansible_collections.langsmith.aws.plugins.module_utils.shell.connection import connection_options

#: The suboptions of ``load``; documented by the fragment ``langsmith.aws.load``.
LOAD_OPTIONS: dict[str, dict[str, Any]] = {
    "inventory": {"type": "list", "elements": "str", "required": True},
    "rate": {"type": "float"},
    "concurrency": {"type": "int"},
    "duration": {"type": "float", "default": 60},
    "ramp": {"type": "float", "default": 0},
    "traces_max": {"type": "int", "default": 100000},
    "payload": {
        "type": "list",
        "elements": "dict",
        "options": {"kib": {"type": "float", "required": True}, "weight": {"type": "float", "default": 1}},
    },
    "runs_per_trace": {"type": "int", "default": 5},
    "connections": {"type": "int", "default": 16},
    "compression": {"type": "str", "choices": ["none", "zstd"], "default": "none"},
    "find_capacity": {"type": "bool", "default": False},
    "steps_max": {"type": "int", "default": 10},
    "visible_p95": {"type": "float", "default": 60},
    "drain_timeout": {"type": "float", "default": 300},
    "index": {"type": "int", "default": 0},
    "of": {"type": "int", "default": 1},
    "seed": {"type": "str", "no_log": False},
}

LOAD_ARG_SPEC: dict[str, Any] = {
    "type": "dict",
    "options": LOAD_OPTIONS,
    "mutually_exclusive": [("rate", "concurrency"), ("find_capacity", "concurrency")],
}


class Send(Protocol):
    """Sends a load. Raises ProjectError when nothing was written, ``ValueError`` for the connection's options."""

    def __call__(self, target: Target, load: Settings, *, say: Callable[[str], None] | None) -> Measured: ...


def prepare(params: Mapping[str, Any]) -> tuple[Endpoint, Settings]:
    """Where a load goes and what it is. Raises ``ValueError`` for the options, RefusedError for the endpoint."""
    endpoint = parse_endpoint(params["endpoint"])
    options = params["load"]
    refuse_unlisted(endpoint, options.get("inventory") or [])
    ids = new_ids(int(time.time() * 1000), os.urandom(5))
    load = settings(options, ids, keep=bool(params.get("keep")))
    refuse_without_room(load)
    return endpoint, load


def plan(params: Mapping[str, Any]) -> dict[str, Any]:
    """What would be sent. Raises as ``prepare`` does."""
    endpoint, load = prepare(params)
    return plans.plan(load, endpoint.url, params["timeout"])


def run(
    params: Mapping[str, Any],
    authorization: Mapping[str, str],
    send: Send,
    *,
    queue_url: str = "",
    say: Callable[[str], None] | None = None,
) -> dict[str, Any]:
    """The module's result of one load, told to ``say`` before it is sent. Raises as ``prepare`` and ``send`` do."""
    endpoint, load = prepare(params)
    if say is not None:
        for sentence in plans.plan(load, endpoint.url, params["timeout"])["says"]:
            say(sentence)
    target = Target(endpoint, authorization, connection_options(params), queue_url)
    found = send(target, load, say=say)
    result = report.result(found, load, endpoint.url, params["timeout"])
    return {"changed": bool(found.sent or found.projects), "load": result}
