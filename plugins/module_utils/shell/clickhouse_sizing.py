# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options of the sizing check to a plan and a server, and the findings to a result."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse import facts, sizing
from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.facts import (
    Live,
    Login,
    Plan,
    Refused,
    Volume,
)
from ansible_collections.langsmith.aws.plugins.module_utils.domain.errors import ProjectError
from ansible_collections.langsmith.aws.plugins.module_utils.shell.connection import connection_options

#: Reads a secret's value by name and key. Raises ProjectError.
ReadSecret = Callable[[str, str], str]
#: Asks the server at a URL, by connection options, as somebody, about a cluster. Raises ValueError for the options.
Observe = Callable[[str, Mapping[str, Any], Login, "str | None"], Live]


def check(params: Mapping[str, Any], read_secret: ReadSecret, observe: Observe) -> dict[str, Any]:
    """The module's result. Raises ProjectError for options that cannot be used."""
    plan = None if params["plan"] is None else plan_from(params["plan"])
    live = None if params["live"] is None else live_from(params, read_secret, observe)
    findings = sizing.judge(params["environment"], plan, live)
    return {
        "changed": False,
        "sufficient": sizing.sufficient(findings),
        "findings": [finding.to_dict() for finding in findings],
        "live": None if live is None else shown(live),
    }


def plan_from(options: Mapping[str, Any]) -> Plan:
    """The options of ``plan``."""
    volume = Volume(**(options["volume"] or {}))
    return Plan(**{**options, "volume": volume})


def live_from(params: Mapping[str, Any], read_secret: ReadSecret, observe: Observe) -> Live:
    """What the server of the options ``live`` answers; a server that cannot be reached is told of, not raised."""
    live = params["live"]
    password, place = live["password"] or "", live["password_secret"]
    if place is not None:
        password = read_secret(place["name"], place["key"])
    connection = connection_options({**live, "timeout": params["timeout"], "connect_timeout": params["timeout"]})
    try:
        return observe(live["url"], connection, Login(live["user"], password, live["database"]), live["cluster"])
    except ValueError as error:
        raise ProjectError(f"live: {error}") from error


def shown(live: Live) -> dict[str, Any] | None:
    """What the server told of itself, for a report; None where there was no answer."""
    version = live.answers.get("version")
    if isinstance(version, Refused) or not version:
        return None
    memory = facts.memory_gib(live)
    return {
        "subject": live.subject,
        "version": str(version[0]["version"]),
        "cpu": facts.cores(live),
        "memory_gib": None if memory is None else round(memory, 2),
    }
