# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import hashlib
import xml.etree.ElementTree as ET
from typing import Any

import pytest

from sandbox.controllers import clickhouse_operator_config as config
from sandbox.controllers.clickhouse_operator_model import KEEPERS, SERVERS, Flavor, Installation

GROUP = "clickhouse.altinity.com"


def installation(flavor: Flavor = SERVERS, **spec: Any) -> Installation:
    metadata = {"name": "acme", "namespace": "traces", "uid": "7", "labels": {"team": "a"}}
    return Installation({"kind": flavor.kind, "metadata": metadata, "spec": spec}, ("operator", "word"))


def three(**more: Any) -> Installation:
    clusters = [{"name": "main", "layout": {"replicasCount": 3}, **more.pop("cluster", {})}]
    return installation(configuration={"clusters": clusters, **more.pop("configuration", {})}, **more)


def text(found: Installation, config_map: str, file: str) -> ET.Element:
    data = next(item["data"] for item in found.config_maps() if item["metadata"]["name"] == config_map)
    return ET.fromstring(data[file])  # noqa: S314 - of ours


def test_objects_have_the_names_that_the_operator_gives_them() -> None:
    found = three()
    names = [host.name for host in found.hosts]
    assert names == ["chi-acme-main-0-0", "chi-acme-main-0-1", "chi-acme-main-0-2"]
    assert found.hosts[2].pod == "chi-acme-main-0-2-0"
    assert [item["metadata"]["name"] for item in found.services()] == ["clickhouse-acme", *names]
    assert [item["metadata"]["name"] for item in found.budgets()] == ["chi-acme-main"]
    assert [item["metadata"]["name"] for item in found.config_maps()] == [
        "chi-acme-common-configd",
        "chi-acme-common-usersd",
        *[f"chi-acme-deploy-confd-main-0-{number}" for number in range(3)],
    ]


def test_keeper_nodes_are_called_after_their_own_kind() -> None:
    found = installation(KEEPERS, configuration={"clusters": [{"name": "keeper", "layout": {"replicasCount": 3}}]})
    assert [host.name for host in found.hosts][-1] == "chk-acme-keeper-0-2"
    root, host = found.services()[:2]
    assert root["metadata"]["name"] == "keeper-acme"
    assert {port["name"]: port["port"] for port in host["spec"]["ports"]} == {"zk": 2181, "raft": 9444}
    labels = found.stateful_set(found.hosts[0])["spec"]["template"]["metadata"]["labels"]
    assert labels["clickhouse-keeper.altinity.com/chk"] == "acme"


def test_a_host_is_selected_by_its_shard_and_replica_and_the_service_takes_ready_ones_only() -> None:
    found = three()
    of_host = {"app": "chop", "namespace": "traces", "chi": "acme", "cluster": "main", "shard": "0", "replica": "1"}
    wanted = {f"{GROUP}/{name}": value for name, value in of_host.items()}
    assert found.stateful_set(found.hosts[1])["spec"]["selector"]["matchLabels"] == wanted
    root, *hosts = found.services()
    assert root["spec"]["selector"][f"{GROUP}/ready"] == "yes"
    assert hosts[1]["spec"]["selector"] == wanted
    assert hosts[1]["spec"]["publishNotReadyAddresses"]
    assert root["metadata"]["labels"]["team"] == "a"
    assert root["metadata"]["ownerReferences"][0]["uid"] == "7"


def test_a_service_template_decides_name_type_and_ports() -> None:
    spec = {"type": "ClusterIP", "ports": [{"name": "http", "port": 8123}]}
    templates = {"serviceTemplates": [{"name": "mine", "generateName": "db-{chi}", "spec": spec}]}
    root = three(templates=templates, defaults={"templates": {"serviceTemplate": "mine"}}).services()[0]
    assert (root["metadata"]["name"], root["spec"]["ports"]) == ("db-acme", spec["ports"])
    assert root["spec"]["selector"][f"{GROUP}/chi"] == "acme"


def test_every_host_knows_all_replicas_and_its_own_macros() -> None:
    found = three(cluster={"secret": {"value": "between us"}})
    servers = text(found, "chi-acme-common-configd", "chop-generated-remote_servers.xml")
    hosts = [item.text for item in servers.iterfind("remote_servers/main/shard/replica/host")]
    assert hosts == [host.name for host in found.hosts]
    assert servers.findtext("remote_servers/main/secret") == "between us"
    assert servers.findtext("remote_servers/main/shard/internal_replication") == "true"
    macros = text(found, "chi-acme-deploy-confd-main-0-1", "chop-generated-macros.xml")
    assert [macros.findtext(f"macros/{name}") for name in ("cluster", "shard", "replica")] == [
        "main",
        "0",
        "chi-acme-main-0-1",
    ]


def test_a_password_out_of_a_secret_comes_by_the_environment_and_others_are_hashed() -> None:
    source = {"valueFrom": {"secretKeyRef": {"name": "words", "key": "password"}}}
    given = {"app/password": source, "plain/password": "p", "app/networks/ip": "10.0.0.0/8"}
    found = three(configuration={"users": given})
    users = text(found, "chi-acme-common-usersd", "chop-generated-users.xml").find("users")
    assert users is not None
    variable = "CONFIGURATION_USERS_APP_PASSWORD"
    password = users.find("app/password")
    assert password is not None
    assert (password.attrib, password.text) == ({"from_env": variable}, None)
    env = found.stateful_set(found.hosts[0])["spec"]["template"]["spec"]["containers"][0]["env"]
    reference = {"secretKeyRef": {"name": "words", "key": "password"}}
    assert {"name": variable, "valueFrom": reference} in env
    for name, plain in (("plain", "p"), ("operator", "word")):
        assert users.findtext(f"{name}/password_sha256_hex") == hashlib.sha256(plain.encode()).hexdigest()
    assert users.find("default/password_sha256_hex") is None
    assert [item.text for item in users.iterfind("app/networks/ip")] == ["::1", "127.0.0.1", "10.0.0.0/8"]


def test_settings_by_path_nested_and_repeated_become_xml() -> None:
    settings = config.flat({"a/b": 1, "a": {"c": True, "d": {"e": "<&"}}, "f": ["x", "y"]})
    document = ET.fromstring(config.tree(settings))  # noqa: S314
    assert [document.findtext(path) for path in ("a/b", "a/c", "a/d/e")] == ["1", "1", "<&"]
    assert [item.text for item in document.iterfind("f")] == ["x", "y"]


@pytest.mark.parametrize(
    ("configuration", "restarts"),
    [
        ({"settings": {"background_pool_size": 8}}, True),
        ({"files": {"config.d/more.xml": "<clickhouse/>"}}, True),
        ({"settings": {"max_concurrent_queries": 300, "logger/level": "trace", "macros/zone": "a"}}, False),
        ({"files": {"users.d/more.xml": "<clickhouse/>"}, "users": {"app/password": "p"}}, False),
        ({"profiles": {"default/max_threads": 1}}, False),
    ],
)
def test_only_what_a_server_reads_at_its_start_restarts_it(configuration: dict[str, Any], restarts: bool) -> None:
    before, after = (found.stateful_set(found.hosts[0]) for found in (three(), three(configuration=configuration)))
    label = f"{GROUP}/settings-version"
    versions = [item["spec"]["template"]["metadata"]["labels"][label] for item in (before, after)]
    assert (versions[0] != versions[1]) == restarts


@pytest.mark.parametrize("provisioner", ["Operator", "StatefulSet"])
def test_claims_are_made_by_the_operator_or_by_the_stateful_set(provisioner: str) -> None:
    spec = {"storageClassName": "fast", "resources": {"requests": {"storage": "10Gi"}}}
    found = three(
        templates={"volumeClaimTemplates": [{"name": "data", "reclaimPolicy": "Retain", "spec": spec}]},
        defaults={"templates": {"dataVolumeClaimTemplate": "data"}, "storageManagement": {"provisioner": provisioner}},
    )
    host = found.hosts[0]
    made = found.stateful_set(host)["spec"]
    claimed = [volume for volume in made["template"]["spec"]["volumes"] if "persistentVolumeClaim" in volume]
    assert bool(claimed) == (provisioner == "Operator")
    assert bool(made.get("volumeClaimTemplates")) == (provisioner == "StatefulSet")
    claim = found.claims(host)[0]
    assert claim["metadata"]["name"] == "data-chi-acme-main-0-0-0"
    assert claim["metadata"]["labels"][f"{GROUP}/reclaimPolicy"] == "Retain"
    mounts = made["template"]["spec"]["containers"][0]["volumeMounts"]
    assert {"name": "data", "mountPath": "/var/lib/clickhouse"} in mounts


def test_a_pod_template_is_completed_and_not_overruled() -> None:
    probe = {"httpGet": {"path": "/other", "port": 8123}}
    container = {"name": "clickhouse", "image": "own:1", "readinessProbe": probe, "ports": [{"containerPort": 8123}]}
    template = {"name": "mine", "metadata": {"labels": {"x": "y"}}, "spec": {"containers": [container]}}
    found = three(templates={"podTemplates": [template]}, defaults={"templates": {"podTemplate": "mine"}})
    made = found.stateful_set(found.hosts[0])["spec"]["template"]
    own = made["spec"]["containers"][0]
    assert (own["image"], own["readinessProbe"], own["ports"]) == ("own:1", probe, [{"containerPort": 8123}])
    assert own["livenessProbe"]["httpGet"]["path"] == "/ping"
    assert made["metadata"]["labels"]["x"] == "y"
