# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any

import pytest

from sandbox import network
from sandbox.pods import proxy
from sandbox.pods.addresses import Addresses


@pytest.fixture(autouse=True)
def prefix(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(network.PREFIX_VARIABLE, "40")


def service(name: str, cluster_ip: str = "10.100.1.1", **spec: Any) -> dict[str, Any]:
    ports = [{"name": "http", "port": 1984, "targetPort": "http"}]
    return {"metadata": {"name": name, "namespace": "ns"}, "spec": {"clusterIP": cluster_ip, "ports": ports, **spec}}


def slice_of(name: str, *endpoints: dict[str, Any], port_name: str = "http") -> dict[str, Any]:
    labels = {"kubernetes.io/service-name": name}
    ports = [{"name": port_name, "port": 8080}]
    return {"metadata": {"namespace": "ns", "labels": labels}, "endpoints": list(endpoints), "ports": ports}


def endpoint(address: str, ready: bool = True, **more: Any) -> dict[str, Any]:
    return {"addresses": [address], "conditions": {"ready": ready}, **more}


def test_a_service_leads_to_its_ready_endpoints_only() -> None:
    slices = [slice_of("web", endpoint("10.0.1.4"), endpoint("10.0.1.5", ready=False)), slice_of("other")]
    assert proxy.targets([service("web")], slices) == {("127.41.1.1", 1984): [("127.40.1.4", 8080)]}


def test_a_service_without_ready_endpoints_is_not_listened_for() -> None:
    assert proxy.targets([service("web")], [slice_of("web", endpoint("10.0.1.4", ready=False))]) == {}


def test_ports_are_matched_by_name() -> None:
    assert proxy.targets([service("web")], [slice_of("web", endpoint("10.0.1.4"), port_name="metrics")]) == {}


def test_the_api_server_is_reached_where_it_is() -> None:
    slices = [slice_of("kubernetes", endpoint("10.0.0.10"))]
    assert proxy.targets([service("kubernetes")], slices) == {("127.41.1.1", 1984): [("127.0.0.1", 8080)]}


def test_names_are_those_that_the_cluster_dns_has() -> None:
    services = [
        service("web"),
        service("store", "None"),
        service("alias", "", type="ExternalName", externalName="db.example.com"),
    ]
    slices = [slice_of("store", endpoint("10.0.1.4", hostname="store-0"), endpoint("10.0.1.5", ready=False))]
    assert proxy.names(services, slices) == {
        "web.ns": ["10.100.1.1"],
        "store.ns": ["10.0.1.4"],
        "store-0.store.ns": ["10.0.1.4"],
        "alias.ns": ["=db.example.com"],
    }


def test_pods_get_free_addresses_of_their_nodes_subnet_and_keep_them() -> None:
    addresses = Addresses()
    addresses.claim("node", "10.0.17.4")
    first, second = addresses.give("a", "10.0.17.4"), addresses.give("b", "10.0.17.4")
    assert [first, second] == ["10.0.17.5", "10.0.17.6"]
    assert addresses.give("a", "10.0.17.4") == first
    addresses.free("a")
    assert addresses.give("c", "10.0.17.4") == first


def test_a_full_subnet_is_told() -> None:
    addresses = Addresses()
    for number in range(251):
        addresses.give(f"pod-{number}", "10.0.17.4")
    with pytest.raises(LookupError, match=r"10\.0\.17\.4"):
        addresses.give("one more", "10.0.17.4")
