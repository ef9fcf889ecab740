# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a topology of ClickHouse needs is known before the first write."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.langsmith.aws.plugins.module_utils.domain.finding import Finding
from ansible_collections.langsmith.aws.plugins.module_utils.domain.preflight.clickhouse_rules import clickhouse
from ansible_collections.langsmith.aws.plugins.module_utils.domain.preflight.facts import Context, Facts, Input
from ansible_collections.langsmith.aws.plugins.module_utils.domain.preflight.input_rules import clickhouse_topology

PREFIX = "datastores_clickhouse_"
OUTSIDE = {"host": "ch.acme.example", "password_secret": {"name": "acme/clickhouse", "key": "password"}}
MANAGED = OUTSIDE | {
    "endpoint_service": "com.amazonaws.vpce.us-east-1.vpce-svc-0123456789abcdef0",
    "blob_storage": True,
    "hybrid": True,
}


def judged(topology: str, **values: Any) -> dict[str, Finding]:
    given = Input(PREFIX, {"topology": topology, **values}, "clickhouse")
    found = clickhouse(given, Context("production", [given], Facts()))
    return {item.subject.removeprefix(PREFIX): item for item in found if item.status == "fail"}


@pytest.mark.parametrize(
    ("topology", "values"),
    [
        ("single", {}),
        ("replicated", {"replicas": 3, "zones": ["a", "b", "c"]}),
        ("replicated", {"replicas": "5", "zones": []}),
        ("external", OUTSIDE),
        ("managed", MANAGED),
    ],
)
def test_what_is_complete_passes(topology: str, values: dict[str, Any]) -> None:
    assert judged(topology, **values) == {}


@pytest.mark.parametrize("replicas", [2, 6, "many", ""])
def test_replicas_are_three_to_five(replicas: Any) -> None:
    assert "set datastores_clickhouse_replicas to 3 to 5" in judged("replicated", replicas=replicas)["replicas"].remedy


def test_replicas_and_keeper_need_three_zones() -> None:
    found = judged("replicated", replicas=3, zones=["a", "b"])
    assert "name three zones" in found["network_availability_zones"].remedy


@pytest.mark.parametrize("topology", ["single", "replicated"])
def test_servers_that_are_made_have_no_database_of_another_name(topology: str) -> None:
    found = judged(topology, replicas=3, database="traces")
    assert "leave datastores_clickhouse_database at default" in found["database"].remedy
    assert judged("external", **OUTSIDE, database="traces") == {}


@pytest.mark.parametrize("topology", ["external", "managed"])
def test_a_server_outside_needs_its_host_and_its_password(topology: str) -> None:
    assert {"host", "password_secret"} <= set(judged(topology))
    assert "password_secret" in judged(topology, **{**MANAGED, "password_secret": {"name": "acme/clickhouse"}})


@pytest.mark.parametrize("service", ["", "vpce-svc-1", "com.amazonaws.us-east-1.s3"])
def test_a_managed_one_needs_the_name_of_its_endpoint_service(service: str) -> None:
    found = judged("managed", **{**MANAGED, "endpoint_service": service})
    assert "com.amazonaws.vpce.REGION.vpce-svc-ID" in found["endpoint_service"].remedy


@pytest.mark.parametrize(
    ("value", "chart_value"),
    [("blob_storage", "config.blobStorage.enabled"), ("hybrid", "clickhouse.external.hybrid")],
)
def test_a_managed_one_is_refused_where_payloads_would_leave_the_account(value: str, chart_value: str) -> None:
    found = judged("managed", **{**MANAGED, value: False})
    assert "stay in your bucket" in found[f"langsmith_values.{chart_value}"].remedy


def test_one_pod_is_refused_for_production_with_the_reason() -> None:
    given = Input("datastores_clickhouse_topology", "single", "clickhouse_topology")
    (found,) = clickhouse_topology(given, Context("production", [given], Facts()))
    assert found.status == "fail"
    assert "can never become a replicated one" in found.observed
    assert "before the first migration" in found.remedy


@pytest.mark.parametrize("name", ["", "langsmith-production", "langsmithproduction", "Traces", "1st", "lang-smith"])
def test_servers_are_named_after_a_cluster_that_the_operator_and_sql_take(name: str) -> None:
    found = judged("replicated", replicas=3, cluster=name)["cluster"]
    assert found.status == "fail"
    assert "set datastores_clickhouse_cluster to" in found.remedy


@pytest.mark.parametrize("name", ["default", "langsmith_checks", "clickhouse_operator", "", "two words", "a/b"])
def test_langsmiths_user_is_none_of_those_that_the_servers_have_anyway(name: str) -> None:
    found = judged("replicated", replicas=3, user=name)["user"]
    assert found.status == "fail"
    assert "set datastores_clickhouse_user to another name" in found.remedy


def test_names_of_a_cluster_and_a_user_that_can_be_made_fail_nothing() -> None:
    assert judged("replicated", replicas=3, cluster="traces2", user="lang-smith_1") == {}
