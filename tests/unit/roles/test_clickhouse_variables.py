# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the roles make of their variables about ClickHouse, templated as Ansible does it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template
from ansible_collections.langsmith.aws.plugins.module_utils.shell.plan_options import wish

ROLES = Path(__file__).parents[3] / "roles"
#: What every inventory says.
INVENTORY = {"inventory_hostname": "acme", "langsmith_region": "us-east-1", "langsmith_environment": "production"}
DAY = 86400


def value(name: str, /, **given: Any) -> Any:
    """A variable of the role datastores, with others given as an inventory or a task does."""
    return value_of("datastores", name, given)


def value_of(role: str, name: str, given: Mapping[str, Any]) -> Any:
    """The same of any role."""
    loader = DataLoader()
    variables: dict[str, Any] = {}
    for folder in ("defaults", "vars"):
        variables |= loader.load_from_file(str(ROLES / role / folder / "main.yml"), trusted_as_template=True)
    templar = Templar(loader, variables={**variables, **INVENTORY, **given})
    return templar.template(trust_as_template("{{ " + name + " }}"))


def plan(**given: Any) -> dict[str, Any]:
    """The plan that is held against the rules."""
    found: dict[str, Any] = value("__datastores_sizing_plan", **given)
    return found


def chart(**config: Any) -> dict[str, Any]:
    """Values of the chart that an inventory gives."""
    return {"config": config}


@pytest.mark.parametrize("topology", ["replicated", "external"])
def test_payloads_that_the_chart_leaves_in_clickhouse_are_planned_there(topology: str) -> None:
    told = {"datastores_clickhouse_topology": topology}
    assert plan(**told)["blob_storage"] is True
    assert plan(**told, langsmith_values=chart(blobStorage={"enabled": False}))["blob_storage"] is False


@pytest.mark.parametrize(
    ("given", "days"),
    [
        ({}, 14),
        ({"datastores_ttl_short_days": 7}, 7),
        ({"langsmith_values": chart(ttl={"ttl_period_seconds": {"shortlived": "259200"}})}, 3),
        ({"langsmith_values": chart(ttl={"enabled": False})}, 0),
    ],
)
def test_the_planned_days_are_those_of_the_chart(given: dict[str, Any], days: int) -> None:
    assert plan(**given)["ttl_days"] == days


@pytest.mark.parametrize(
    "values",
    [
        {"commonEnv": [{"name": "CLICKHOUSE_ASYNC_INSERT_WAIT_PCT_FLOAT", "value": "0"}]},
        {"queue": {"deployment": {"extraEnv": [{"name": "CLICKHOUSE_ASYNC_INSERT_WAIT_PCT_FLOAT", "value": "0"}]}}},
    ],
)
def test_a_chart_that_does_not_wait_for_inserts_is_planned_so(values: dict[str, Any]) -> None:
    assert plan(langsmith_values=values)["async_insert_wait_pct"] == 0
    other = {"name": "OTHER", "valueFrom": {"secretKeyRef": {"name": "other", "key": "other"}}}
    assert "async_insert_wait_pct" not in plan(langsmith_values={"commonEnv": [other], "backend": {}})


@pytest.mark.parametrize("topology", ["external", "managed"])
def test_of_a_server_outside_nothing_is_planned_that_its_owner_decides(topology: str) -> None:
    assert set(plan(datastores_clickhouse_topology=topology)) == {"topology", "blob_storage", "ttl_days"}


@pytest.mark.parametrize("role", ["langsmith", "datastores"])
@pytest.mark.parametrize("days", [(14, 400), (7, 90)])
def test_the_chart_drops_a_trace_on_the_day_on_which_the_bucket_drops_its_payloads(
    role: str, days: tuple[int, int]
) -> None:
    short, long = days
    given = {} if days == (14, 400) else {"datastores_ttl_short_days": short, "datastores_ttl_long_days": long}
    if role == "datastores":
        rules = value("__datastores_lifecycle", **given)
        assert [rule["expiration_days"] for rule in rules] == [short, long]
    else:
        seconds = value_of(role, "__langsmith_values.config.ttl.ttl_period_seconds", given)
        # Helm writes a number of this size with an exponent, which LangSmith does not read.
        assert seconds == {"shortlived": str(short * DAY), "longlived": str(long * DAY)}


@pytest.mark.parametrize(("tunnel", "each"), [("", True), ("127.0.0.1:8443", False)])
def test_through_a_tunnel_only_the_server_at_its_end_is_asked(tunnel: str, each: bool) -> None:
    told = {"datastores_clickhouse_topology": "external", "datastores_clickhouse_connect_to": tunnel}
    assert value("__datastores_sizing_live.discover", **told) is each
    assert value("__datastores_sizing_live.discover", **told, datastores_clickhouse_discover=not each) is not each


def volume(claim: str | None = "data-chi-langsmith-langsmith-0-0-0", **other: Any) -> dict[str, Any]:
    """A PersistentVolume, by its claim."""
    reference = {"claimRef": {"namespace": "langsmith", "name": claim}} if claim else {}
    spec = {"csi": {"volumeHandle": f"vol-{claim}"}, **reference}
    return {"spec": spec, "status": {"phase": "Bound"}, **other}


def test_the_volumes_that_are_judged_are_those_that_servers_have() -> None:
    there = [
        volume(),
        volume(None, status={"phase": "Available"}),
        volume("data-chi-langsmith-langsmith-0-1-0", status={"phase": "Released"}),
        volume("postgres"),
        {"spec": {"claimRef": {"namespace": "langsmith", "name": "data"}, "nfs": {}}, "status": {"phase": "Bound"}},
    ]
    assert value("__datastores_handles", __datastores_volumes={"resources": there}) == [
        "vol-data-chi-langsmith-langsmith-0-0-0"
    ]
    assert value("__datastores_handles", __datastores_volumes={"skipped": True}) == []


def pod(image: str, image_id: str) -> dict[str, Any]:
    """A pod of a server whose image was there, or was not."""
    return {"spec": {"containers": [{"image": image}]}, "status": {"containerStatuses": [{"imageID": image_id}]}}


def servers(image: str, **metadata: Any) -> dict[str, Any]:
    """The servers as they were asked for."""
    template = {"name": "clickhouse", "spec": {"containers": [{"image": image}]}}
    return {"resources": [{"metadata": metadata, "spec": {"templates": {"podTemplates": [template]}}}]}


@pytest.mark.parametrize(
    ("image", "tag"),
    [
        ("docker.io/clickhouse/clickhouse-server:25.12", "25.12"),
        ("registry.acme.example:5000/clickhouse-server:25.12.3.1-alpine", "25.12.3.1-alpine"),
        ("clickhouse-server:25.12", "25.12"),
    ],
)
def test_the_version_of_an_image_is_its_tag(image: str, tag: str) -> None:
    assert value("__datastores_version_there", __datastores_servers=servers(image)) == tag
    assert value("__datastores_version_there", __datastores_servers={"resources": []}) == ""


def test_a_version_whose_image_was_never_there_has_not_run() -> None:
    pods = [pod("ch:25.12", "ch@sha256:1"), pod("ch:26.99", ""), pod("ch:25.12", "ch@sha256:1"), {"status": {}}]
    told = {"__datastores_servers": servers("ch:26.99"), "__datastores_pods": {"resources": pods}}
    assert value("__datastores_versions_running", **told) == ["25.12"]
    assert value("__datastores_versions_running", **told | {"__datastores_pods": {"resources": []}}) == ["26.99"]


LOOKED: dict[str, Any] = {"__datastores_servers": servers("ch:25.12", uid="a", generation=3, resourceVersion="17")}


def due(**given: Any) -> bool:
    """Whether servers are looked at after a look that was good."""
    mark = {"resources": [{"data": {"look": value("__datastores_look", **LOOKED)}}]}
    found = value("__datastores_look_due", **{"__datastores_looked": mark, **LOOKED, **given})
    return bool(found)


def test_what_was_looked_at_and_found_good_is_not_looked_at_again() -> None:
    assert not due()
    assert not due(__datastores_servers=servers("ch:25.12", uid="a", generation=3, resourceVersion="18"))


@pytest.mark.parametrize(
    "other",
    [
        {"__datastores_looked": {"resources": []}},
        {"__datastores_servers": servers("ch:25.12", uid="a", generation=4)},
        {"__datastores_servers": servers("ch:25.12", uid="b", generation=3)},
        {"__datastores_made": {"changed": True}},
        {"datastores_clickhouse_volume_iops": 8000},
        {"datastores_clickhouse_accepted": {"clickhouse.disk_fill": "grows tomorrow"}},
        {"datastores_clickhouse_load": {"traces_per_s": 100}},
        {"langsmith_environment": "dev"},
    ],
)
def test_what_no_good_look_was_about_is_looked_at(other: dict[str, Any]) -> None:
    assert due(**other)


def finding(rule: str, status: str) -> dict[str, str]:
    """A finding of the check."""
    return {"id": f"clickhouse.{rule}", "status": status}


#: Nothing that a report would be silent about.
ASKED: dict[str, Any] = {"__datastores_unasked": []}


def test_what_fails_or_nobody_could_see_is_not_sufficient() -> None:
    findings = [
        finding("parts", "pass"),
        finding("cpu", "warn"),
        finding("replicas", "fail"),
        finding("keeper", "fail"),
        finding("grants", "unknown"),
        finding("backup", "unknown"),
        finding("disk_forecast", "unknown"),
        finding("io_pressure", "unknown"),
    ]
    told = ASKED | {
        "__datastores_sized": {"findings": findings},
        "datastores_clickhouse_accepted": {"clickhouse.keeper": "it is outside", "clickhouse.backup": "tomorrow"},
    }
    found = value("__datastores_insufficient | map(attribute='id') | list", **told)
    assert found == ["clickhouse.replicas", "clickhouse.grants", "clickhouse.io_pressure"]
    outside = value(
        "__datastores_insufficient | map(attribute='id') | list", **told, datastores_clickhouse_topology="external"
    )
    assert outside == ["clickhouse.replicas", "clickhouse.grants"]


@pytest.mark.parametrize(
    ("given", "enabled", "periods", "days"),
    [
        ({}, True, {}, (14, 400)),
        ({"datastores_ttl_short_days": 7, "datastores_ttl_long_days": 90}, True, {}, (7, 90)),
        ({"langsmith_values": chart(ttl={"ttl_period_seconds": {"longlived": 7}})}, True, {"longlived": 7}, (14, 400)),
        ({"langsmith_values": chart(ttl={"enabled": False})}, False, {}, (14, 400)),
    ],
)
def test_preflight_holds_the_days_of_the_chart_against_those_of_the_bucket(
    given: dict[str, Any], enabled: bool, periods: dict[str, Any], days: tuple[int, int]
) -> None:
    (told,) = [one for one in value_of("preflight", "__preflight_inputs", given) if one["rule"] == "trace_ttl"]
    assert told["value"] == {
        "enabled": enabled,
        "ttl_period_seconds": periods,
        "datastores_ttl_short_days": days[0],
        "datastores_ttl_long_days": days[1],
    }


def test_every_type_of_node_that_eks_may_take_is_planned() -> None:
    types = ["m6in.4xlarge", "m7i.8xlarge"]
    assert plan(datastores_clickhouse_instance_types=types)["instance_types"] == types


@pytest.mark.parametrize(
    ("given", "size"),
    [
        ({}, (4, 16, 100)),
        ({"langsmith_clickhouse_resources": {"requests": {"cpu": "500m", "memory": "512Mi"}}}, (0.5, 0.5, 100)),
        ({"langsmith_clickhouse_resources": {}, "langsmith_clickhouse_volume_gib": 50}, (0, 0, 50)),
        (
            {
                "langsmith_values": {
                    "clickhouse": {
                        "statefulSet": {
                            "resources": {"requests": {"cpu": 2, "memory": "8Gi"}, "limits": {"memory": "8Gi"}},
                            "persistence": {"size": "1Ti"},
                        }
                    }
                }
            },
            (2, 8, 1024),
        ),
    ],
)
def test_the_charts_own_server_is_planned_as_the_chart_makes_it(
    given: dict[str, Any], size: tuple[float, float, float]
) -> None:
    told = plan(datastores_clickhouse_topology="single", **given)
    assert (told["cpu"], told["memory_gib"], told["volume"]["size_gib"]) == size
    # A server without a limit of its own is held to its request. Which version runs is the chart's to say.
    assert told["memory_limit_gib"] == size[1]
    assert "version" not in told


def test_a_volume_that_was_slow_before_this_run_does_not_stop_it_and_is_not_called_sufficient() -> None:
    slow = {"id": "clickhouse.io_pressure", "status": "fail"}
    full = {"id": "clickhouse.disk_space", "status": "fail"}
    told = ASKED | {"__datastores_sized": {"findings": [slow, full]}}
    assert value("__datastores_unbearable", **told) == [full]
    assert value("__datastores_insufficient", **told) == [slow, full]


def test_the_user_of_servers_made_here_is_kept_as_it_was_decided() -> None:
    wanted = value("__datastores_clickhouse_wanted", datastores_clickhouse_topology="replicated")
    assert wish({"clickhouse": wanted})["clickhouse"]["user"] == "langsmith"
    outside = value("__datastores_clickhouse_wanted", datastores_clickhouse_topology="external")
    assert wish({"clickhouse": outside})["clickhouse"]["user"] is None
    tags = value("__datastores_clickhouse_tags", datastores_clickhouse_topology="replicated")
    assert tags["langsmith:clickhouse-user"] == "langsmith"


def test_a_report_is_not_silent_about_servers_volumes_and_backups_that_nobody_asked() -> None:
    servers_off = {"datastores_clickhouse_live": "false", "__datastores_volumes": {"resources": []}}
    silent = [item["id"] for item in value("__datastores_unasked", **servers_off)]
    assert silent == ["clickhouse.connection", "clickhouse.volume", "clickhouse.backup"]
    volumes = [volume(f"data-chi-langsmith-langsmith-0-{number}-0") for number in range(3)]
    told = {
        "__datastores_volumes": {"resources": volumes},
        "datastores_clickhouse_backups": {"bucket": "acme", "prefix": "clickhouse"},
    }
    assert value("__datastores_unasked", **told) == []
    (fewer,) = value("__datastores_unasked", **told | {"__datastores_volumes": {"resources": volumes[:2]}})
    assert fewer["observed"] == "2 volumes of 3 replicas are bound"


def test_tables_that_are_still_to_be_made_do_not_count() -> None:
    findings = [finding("schema", "unknown"), finding("replicated_tables", "unknown"), finding("disk_space", "unknown")]
    told = ASKED | {"__datastores_sized": {"findings": findings}}
    assert value("__datastores_insufficient | map(attribute='id') | list", **told) == ["clickhouse.disk_space"]


def claim(storage: str) -> dict[str, Any]:
    """A claim of a server that asks for a size and has it, as Kubernetes writes it."""
    return {
        "metadata": {"name": "data-chi-langsmith-langsmith-0-0-0"},
        "spec": {"resources": {"requests": {"storage": storage}}},
        "status": {"capacity": {"storage": storage}},
    }


@pytest.mark.parametrize(
    ("storage", "size"), [("100Gi", 100), ("2Ti", 2048), ("1536Gi", 1536), ("64Ti", 65536), ("107374182400", 100)]
)
def test_a_claim_has_its_size_however_kubernetes_writes_it(storage: str, size: int) -> None:
    told = {
        "__datastores_volume": {"claim": "data-chi-langsmith-langsmith-0-0-0"},
        "__datastores_claims": {"resources": [claim(storage)]},
        "__datastores_claim": {"resources": [claim(storage)]},
    }
    for gib in (size, size + 1):
        wanted = told | {"datastores_clickhouse_volume_gib": gib}
        assert value("__datastores_claim_differs", **wanted) is (gib != size)
        assert value("__datastores_claim_grown", **wanted) is (gib == size)
    nothing = told | {"__datastores_claims": {"resources": []}, "__datastores_claim": {"resources": []}}
    assert value("__datastores_claim_differs", **nothing) is True
    assert value("__datastores_claim_grown", **nothing) is False


def test_of_a_volume_only_the_figures_that_differ_are_sent() -> None:
    there = {"id": "vol-0", "claim": "data", "type": "gp3", "size_gib": 1000, "iops": 7000, "throughput_mib_s": 2000}
    wanted: dict[str, Any] = {"datastores_clickhouse_volume_throughput_mib_s": 2000, "__datastores_volume": there}
    assert value("__datastores_volume_changes", **wanted) == {}
    assert value("__datastores_volume_changes", **wanted, datastores_clickhouse_volume_gib=1200) == {"size_gib": 1200}


def test_an_endpoint_is_in_the_private_subnets_whose_zones_its_service_is_in() -> None:
    subnets = [{"id": f"subnet-{zone}", "availability_zone": f"us-east-1{zone}"} for zone in "abc"]
    told = {
        "__datastores_plan": {"installation": {"subnets": {"private": subnets}}},
        "__datastores_service": {
            "service_details": [{"availability_zones": ["us-east-1c", "us-east-1a", "us-east-1f"]}]
        },
    }
    assert value("__datastores_endpoint.subnet_ids", **told) == ["subnet-a", "subnet-c"]


def reconciled(status: str, asked: str | None, begun: str) -> dict[str, Any]:
    """Servers or Keeper, with the task that was asked for and the one that the operator has begun."""
    spec = {"taskID": asked} if asked else {}
    return {"resources": [{"spec": spec, "status": {"status": status, "taskID": begun, "error": "no node"}}]}


def task(**found: Any) -> Any:
    """The task that a run asks the operator for, of its own."""
    return value("__datastores_task_again", **found)


def test_what_the_operator_gave_up_is_asked_for_again_and_nothing_else_is() -> None:
    for status in ("Completed", "InProgress"):
        assert task(__datastores_reconciled=reconciled(status, None, "auto-1")) == ""
        assert task(__datastores_reconciled=reconciled(status, "again-1", "again-1")) == ""
    assert task(__datastores_reconciled={"resources": []}) == ""
    assert task(__datastores_reconciled={"resources": [{"spec": {}}]}) == ""
    first = task(__datastores_reconciled=reconciled("Aborted", None, "auto-1"))
    # The operator passes over a task whose name begins as those that it makes up.
    assert first.startswith("again-")
    # Until the operator has seen it, it is the same; given up again, it is another.
    assert task(__datastores_reconciled=reconciled("Aborted", first, "auto-1")) == first
    assert task(__datastores_reconciled=reconciled("Aborted", first, first)) not in ("", first)


def test_a_wait_ends_with_what_the_operator_gave_up_on() -> None:
    def gave_up(found: dict[str, Any]) -> Any:
        return value("__datastores_gave_up", __datastores_reconciled=found)

    assert gave_up(reconciled("Aborted", None, "auto-1")) is True
    assert gave_up(reconciled("Aborted", "again-1", "again-1")) is True
    # It has not seen yet that it is asked again.
    assert gave_up(reconciled("Aborted", "again-1", "auto-1")) is False
    assert gave_up(reconciled("Completed", None, "auto-1")) is False
    assert gave_up({"resources": []}) is False
    assert gave_up({"resources": [{"spec": {}}]}) is False


def test_the_operator_waits_for_a_server_as_long_as_the_run_does() -> None:
    name = "__datastores_clickhouse_operator_values.configs.files['config.yaml'].reconcile"
    reconcile = value(name, datastores_wait_timeout="1200")
    assert reconcile["statefulSet"] == {"update": {"timeout": 1200}}
    assert reconcile["host"] == {"wait": {"replicas": {"new": True, "delay": 10}}}
