# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules on the inputs of a ClickHouse, by its topology."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ansible_collections.langsmith.aws.plugins.module_utils.domain.finding import Finding
from ansible_collections.langsmith.aws.plugins.module_utils.domain.preflight.facts import (
    Context,
    Input,
    secret_place,
)
from ansible_collections.langsmith.aws.plugins.module_utils.domain.preflight.input_rules import P0, finding, missing

OPERATOR = "Altinity operator for ClickHouse: ClickHouseInstallation, clusters.name"
MANAGED = "LangSmith self-hosted documentation: LangSmith-managed ClickHouse"
#: How AWS names a service that others offer by PrivateLink.
SERVICE = re.compile(r"com\.amazonaws\.vpce\.[a-z]{2}(?:-[a-z]+)+-\d+\.vpce-svc-[0-9a-f]+")
#: More replicas are a load by themselves, for each takes every insert; fewer do not bear the loss of one.
REPLICAS = range(3, 6)
ZONES = 3
#: It is part of the servers' names in the cluster, where the operator takes 15 characters, and an identifier of SQL.
CLUSTER = re.compile(r"[a-z][a-z0-9]{0,14}")
USER = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,62}")
#: The servers have no default user, and the others are those of the checks and of the operator.
TAKEN = ("default", "langsmith_checks", "clickhouse_operator")
#: The one that every server of ClickHouse has.
DATABASE = "default"
#: What keeps payloads out of a managed ClickHouse, and the value of the chart that turns it on.
PAYLOADS_STAY = {"blob_storage": "config.blobStorage.enabled", "hybrid": "clickhouse.external.hybrid"}


def clickhouse(given: Input, context: Context) -> list[Finding]:
    """What the topology needs. The value is a mapping of the role's variables without their prefix."""
    values: Mapping[str, Any] = given.value
    rules = {"single": _single, "replicated": _replicated, "external": _outside, "managed": _managed}
    judge = rules.get(str(values.get("topology")))
    return judge(given, values) if judge else []


def _named(given: Input, name: str, values: Mapping[str, Any]) -> Input:
    return Input(given.variable + name, values.get(name), given.rule)


def _single(given: Input, values: Mapping[str, Any]) -> list[Finding]:
    database = _named(given, "database", values)
    if database.value in (None, DATABASE):
        return []
    remedy = f"leave {database.variable} at {DATABASE}: LangSmith makes its tables, and nobody makes it a database"
    return [finding(database, "fail", str(database.value), DATABASE, remedy, P0)]


def _replicated(given: Input, values: Mapping[str, Any]) -> list[Finding]:
    replicas, zones = _named(given, "replicas", values), values.get("zones")
    expected = f"{REPLICAS[0]} to {REPLICAS[-1]}"
    found = [finding(replicas, "pass", str(replicas.value), expected, "", P0)]
    if not str(replicas.value).isdecimal() or int(str(replicas.value)) not in REPLICAS:
        remedy = f"set {replicas.variable} to {expected}"
        found = [finding(replicas, "fail", str(replicas.value), expected, remedy, P0)]
    if isinstance(zones, list) and 0 < len(set(zones)) < ZONES:
        told = Input("network_availability_zones", zones, given.rule)
        remedy = "name three zones: replicas and Keeper are spread over them, and two of three Keepers must be left"
        found.append(finding(told, "fail", ", ".join(map(str, zones)), "three availability zones", remedy, P0))
    return [*found, *_names(given, values), *_single(given, values)]


def _names(given: Input, values: Mapping[str, Any]) -> list[Finding]:
    """Of the servers' cluster and of LangSmith's user, which both are for good."""
    cluster, user = _named(given, "cluster", values), _named(given, "user", values)
    found = []
    if cluster.value is not None and not CLUSTER.fullmatch(str(cluster.value)):
        expected = "a letter and up to 14 letters and digits, all in lower case"
        remedy = f"set {cluster.variable} to {expected}: servers are named after it"
        found.append(finding(cluster, "fail", repr(cluster.value), expected, remedy, OPERATOR))
    if user.value is not None and (not USER.fullmatch(str(user.value)) or user.value in TAKEN):
        expected = f"letters, digits, _ and -, and none of {', '.join(TAKEN)}"
        remedy = f"set {user.variable} to another name: the servers are made with this user, beside those"
        found.append(finding(user, "fail", repr(user.value), expected, remedy))
    return found


def _outside(given: Input, values: Mapping[str, Any]) -> list[Finding]:
    host, password = _named(given, "host", values), _named(given, "password_secret", values)
    found = [missing(host, "the host of the ClickHouse")] if host.empty else []
    place = None if password.empty else secret_place(password.value)
    if place is None or not place[1]:
        found.append(missing(password, "name and key of the secret that holds the user's password"))
    return found or [finding(host, "pass", str(host.value), "the host of the ClickHouse", "")]


def _managed(given: Input, values: Mapping[str, Any]) -> list[Finding]:
    found, service = _outside(given, values), _named(given, "endpoint_service", values)
    expected = "com.amazonaws.vpce.REGION.vpce-svc-ID, as LangChain tells it"
    if not SERVICE.fullmatch(str(service.value or "")):
        told = repr(service.value) if service.value else "not set"
        found.append(finding(service, "fail", told, expected, f"set {service.variable} to {expected}", MANAGED))
    else:
        found.append(finding(service, "pass", str(service.value), expected, "", MANAGED))
    for name, chart_value in PAYLOADS_STAY.items():
        if values.get(name) is not True:
            value = Input(f"langsmith_values.{chart_value}", values.get(name), given.rule)
            remedy = "leave it on: with it inputs, outputs and errors stay in your bucket, without it they leave it"
            found.append(finding(value, "fail", str(value.value), "true", remedy, MANAGED))
    return found
