# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options of the sizing check to what is planned and what is there, and the findings to a result."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse import measures, sizing
from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.backup_rules import (
    Backups,
    judge_backups,
)
from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.facts import (
    Keeper,
    Live,
    Load,
    Login,
    Plan,
    Volume,
)
from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.live import grants, judge_live
from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.pressure import pressure
from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.recommendation import (
    planned_load,
    recommend,
)
from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.rules.pods import Pods, judge_pods
from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.rules.rights import grants_of_writer
from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.storage import Storage, Unread
from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.volume_rules import judge_volumes
from ansible_collections.langsmith.aws.plugins.module_utils.domain.errors import ProjectError
from ansible_collections.langsmith.aws.plugins.module_utils.domain.finding import Finding
from ansible_collections.langsmith.aws.plugins.module_utils.shell.connection import connection_options


class Observe(Protocol):
    """Asks servers, by connection options. Raises ValueError for options that it cannot use."""

    def __call__(
        self,
        connection: dict[str, Any],
        *,
        urls: tuple[str, ...],
        login: Login,
        cluster: str | None,
        discover: bool,
        sample_seconds: float,
        writer: Login | None,
    ) -> Live: ...


@dataclass(frozen=True)
class Sources:
    """Where the check gets its facts from: a secret's value by name and key (raises ProjectError), servers, volumes by
    id at a time, backups by bucket and prefix, pods by servers (host:port), which are known of a cluster only."""

    read_secret: Callable[[str, str], str]
    observe: Observe
    volumes: Callable[[list[str], datetime], Storage]
    backups: Callable[[str, str], Backups | Unread]
    pods: Callable[[Sequence[str]], Pods] | None = None


def services(params: Mapping[str, Any]) -> list[str]:
    """The AWS services that the options need clients of, often none."""
    live = params["live"] or {"password_secret": None, "writer": None}
    secret = any(who["password_secret"] is not None for who in (live, live["writer"]) if who)
    return [
        *(["secretsmanager"] if secret else []),
        *(["ec2", "cloudwatch"] if params["volumes"] is not None else []),
        *(["s3"] if params["backups"] is not None else []),
    ]


def check(params: Mapping[str, Any], sources: Sources, now: datetime) -> dict[str, Any]:
    """The module's result, for options without contradictions. Raises ProjectError where one cannot be used."""
    environment = params["environment"]
    plan = None if params["plan"] is None else plan_from(params["plan"])
    advice = _recommendation(plan, environment)
    live, storage, backups = _facts(params, sources, now)
    running = [] if live is None else judge_live(live, environment, plan)
    findings = sizing.judge(environment, plan, running)
    if live is not None and sources.pods is not None:
        findings += judge_pods(sources.pods([replica.subject for replica in live.replicas]), now)
    volumes = [] if storage is None else judge_volumes(storage, environment, plan)
    findings += volumes
    if backups is not None:
        findings += _on_backups(backups, params, now)
    if live is not None and environment != "production":
        # Pressure is told by the rules for production.
        running = judge_live(live, "production", plan)
        volumes = [] if storage is None else judge_volumes(storage, "production", plan)
    pressed = None if live is None else pressure(running, len(live.replicas), volumes)
    return {
        "changed": False,
        "sufficient": sizing.sufficient(findings),
        "findings": [finding.to_dict() for finding in findings],
        "recommendation": advice,
        **_grants(params["live"]),
        "pressure": pressed,
        **_measured(live),
        "notes": _notes(pressed, advice),
    }


def _grants(live: Mapping[str, Any] | None) -> dict[str, list[str]]:
    """The statements for who asks, and those for LangSmith's user."""
    if live is None:
        return {"grants": [], "writer_grants": []}
    writer = live["writer"]
    of_writer = grants_of_writer(writer["user"], live["database"], live["cluster"]) if writer else []
    return {"grants": grants(live["user"], live["database"]), "writer_grants": of_writer}


def _facts(
    params: Mapping[str, Any], sources: Sources, now: datetime
) -> tuple[Live | None, Storage | None, Backups | Unread | None]:
    """Servers, volumes and backups, all asked at the same time."""
    volumes, backups = params["volumes"], params["backups"]
    observing = None if params["live"] is None else _observing(params, sources)
    with ThreadPoolExecutor(max_workers=3) as pool:
        live = observing and pool.submit(observing)
        storage = volumes and pool.submit(sources.volumes, volumes["ids"], now)
        stored = backups and pool.submit(sources.backups, backups["bucket"], backups["prefix"])
        return _result(live), _result(storage), _result(stored)


def _result(future: Future[Any] | None) -> Any:
    return future.result() if future else None


def _observing(params: Mapping[str, Any], sources: Sources) -> Callable[[], Live]:
    """A call that asks the servers of ``live``; what cannot be reached is told of, not raised."""
    live = params["live"]
    connection = connection_options({**live, "timeout": params["timeout"], "connect_timeout": params["timeout"]})
    login = _login(live, live["database"], sources)
    writer = _login(live["writer"], live["database"], sources) if live["writer"] else None

    def observing() -> Live:
        try:
            return sources.observe(
                connection,
                urls=tuple(live["urls"]),
                login=login,
                cluster=live["cluster"],
                discover=not live["connect_to"] if live["discover"] is None else live["discover"],
                sample_seconds=params["sample_seconds"],
                writer=writer,
            )
        except ValueError as error:
            raise ProjectError(f"live: {error}") from error

    return observing


def _login(who: Mapping[str, Any], database: str, sources: Sources) -> Login:
    password, place = who["password"] or "", who["password_secret"]
    if place is not None:
        password = sources.read_secret(place["name"], place["key"])
    return Login(who["user"], password, database)


def _measured(live: Live | None) -> dict[str, Any]:
    replicas = [] if live is None else measures.measures(live)
    return {"replicas": replicas, "charts": measures.charts(replicas)}


def _notes(pressed: Mapping[str, Any] | None, advice: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    """What the report says besides the findings."""
    notes = []
    if pressed is not None:
        sides = f"Reads: {pressed['read']}. Writes: {pressed['write']}."
        notes.append({"title": "Pressure", "lines": [sides, *pressed["because"], pressed["advice"]]})
    if advice is not None:
        notes.append({"title": "What the load needs", "lines": advice["arithmetic"]})
    return notes


def _recommendation(plan: Plan | None, environment: Any) -> dict[str, Any] | None:
    load = None if plan is None else planned_load(plan)
    if load is None:
        return None
    try:
        return recommend(load, environment).to_dict()
    except ValueError as error:
        raise ProjectError(f"plan: {error}") from error


def _on_backups(backups: Backups | Unread, params: Mapping[str, Any], now: datetime) -> list[Finding]:
    options = params["backups"]
    place = f"s3://{options['bucket']}/{options['prefix'].strip('/')}"
    return judge_backups(backups, params["environment"], place, options["rpo_hours"], now)


def plan_from(options: Mapping[str, Any]) -> Plan:
    """The options of ``plan``. Raises ProjectError for a number that is none."""
    _finite("plan", options)
    parts = {
        "instance_types": tuple(options.get("instance_types") or ()),
        "volume": Volume(**(options["volume"] or {})),
        "keeper": options["keeper"] and Keeper(**options["keeper"]),
        "load": options["load"] and Load(**options["load"]),
    }
    return Plan(**{**options, **parts})


def _finite(name: str, options: Mapping[str, Any]) -> None:
    for key, value in options.items():
        if isinstance(value, Mapping):
            _finite(f"{name}.{key}", value)
        elif isinstance(value, float) and not math.isfinite(value):
            raise ProjectError(f"{name}.{key} is {value}; give a number")


def refuse_contradictions(params: Mapping[str, Any]) -> None:
    """Raises ProjectError for options that cannot be meant together, or not at all."""
    live = params["live"] or {"urls": ["-"], "connect_to": None}
    for option, least in (("timeout", 0.0), ("sample_seconds", 0.0)):
        if not (math.isfinite(params[option]) and params[option] > least):
            raise ProjectError(f"{option} is {params[option]:g}; give seconds above {least:g}")
    if not live["urls"]:
        raise ProjectError("live.urls is empty; give the address of one server at least, or leave live out")
    if live["connect_to"] and len(live["urls"]) > 1:
        raise ProjectError("live.connect_to is one place and live.urls are several; give one URL, or no connect_to")
    if live["connect_to"] and params["kubeconfig"]:
        raise ProjectError("live.connect_to and kubeconfig are two ways to the server; give one of them")
    if params["volumes"] is not None and not params["volumes"]["ids"]:
        raise ProjectError("volumes.ids is empty; give the id of one volume at least, or leave volumes out")
    if params["backups"] is not None and not params["backups"]["rpo_hours"] > 0:
        raise ProjectError("backups.rpo_hours must be above 0")
