# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options of the sizing check to a plan and a server, and the findings to a result."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ansible_collections.langsmith.aws.plugins.module_utils.clients.clickhouse import Login, UnreachableError, ask_all
from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse import facts, sizing
from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.facts import Live, Plan, Refused, Volume
from ansible_collections.langsmith.aws.plugins.module_utils.domain.errors import ProjectError
from ansible_collections.langsmith.aws.plugins.module_utils.shell.connection import http_client


def check(params: Mapping[str, Any], read_secret: Callable[[str, str], str]) -> dict[str, Any]:
    """The module's result. Raises ProjectError for options that cannot be used."""
    plan = None if params["plan"] is None else plan_from(params["plan"])
    live = None if params["live"] is None else live_from(params, read_secret)
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


def live_from(params: Mapping[str, Any], read_secret: Callable[[str, str], str]) -> Live:
    """What the server of the options ``live`` answers; a server that cannot be reached is told of, not raised."""
    live = params["live"]
    password, place = live["password"] or "", live["password_secret"]
    if place is not None:
        password = read_secret(place["name"], place["key"])
    connection = {**live, "timeout": params["timeout"], "connect_timeout": params["timeout"]}
    try:
        http = http_client(live["url"], connection)
    except ValueError as error:
        raise ProjectError(f"live: {error}") from error
    subject = f"{http.host}:{http.port}"
    login = Login(live["user"], password, live["database"])
    try:
        answers = ask_all(lambda: http_client(live["url"], connection), login, facts.QUERIES)
    except UnreachableError as error:
        return Live(subject, login.user, live["cluster"], unreachable=str(error))
    return Live(subject, login.user, live["cluster"], answers)


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
