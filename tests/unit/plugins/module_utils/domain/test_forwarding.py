# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.langsmith.aws.plugins.module_utils.domain.forwarding import (
    ClusterHost,
    DialError,
    endpoint,
    parse_host,
    ready_pod,
    selector,
    target_port,
)


def service(*ports: dict[str, Any], **spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": "web"}, "spec": {"ports": list(ports), **spec}}


def pod(name: str, ready: bool = True, **status: Any) -> dict[str, Any]:
    conditions = [{"type": "Ready", "status": str(ready)}]
    ports = [{"name": "http", "containerPort": 8080}]
    containers = [{"name": "proxy"}, {"name": "web", "ports": ports}]
    status = {"phase": "Running", "conditions": conditions, **status}
    return {"metadata": {"name": name}, "spec": {"containers": containers}, "status": status}


@pytest.mark.parametrize(
    ("host", "meaning"),
    [
        ("web", ClusterHost("web", "langsmith")),
        ("web.shop", ClusterHost("web", "shop")),
        ("web.shop.svc", ClusterHost("web", "shop")),
        ("web.shop.svc.cluster.local", ClusterHost("web", "shop")),
        ("web.shop.svc.cluster.local.", ClusterHost("web", "shop")),
        ("web.shop.svc.example.org", ClusterHost("web", "shop")),
        ("web-0.web.shop", ClusterHost("web-0", "shop", pod=True)),
        ("web-0.web.shop.svc.cluster.local", ClusterHost("web-0", "shop", pod=True)),
        ("svc", ClusterHost("svc", "langsmith")),
    ],
)
def test_a_name_means_what_it_means_inside_the_cluster(host: str, meaning: ClusterHost) -> None:
    assert parse_host(host, "langsmith") == meaning


@pytest.mark.parametrize("host", ["", "a.b.c.d", "web.svc", "web..svc", "web.svc.cluster.local", "a.b.c.d.svc"])
def test_any_other_name_is_refused_with_the_forms_there_are(host: str) -> None:
    with pytest.raises(DialError, match=r"give service, service\.namespace or pod\.service\.namespace"):
        parse_host(host, "langsmith")


def test_the_first_ready_pod_by_name_is_taken() -> None:
    pods = [pod("web-2"), pod("web-0", ready=False), pod("web-1")]
    assert ready_pod(service(), pods)["metadata"]["name"] == "web-1"


def test_without_a_ready_pod_the_state_of_each_is_told() -> None:
    leaving = pod("web-3")
    leaving["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    waiting = [{"state": {"waiting": {"reason": "CrashLoopBackOff"}}}]
    pods = [
        pod("web-0", ready=False),
        pod("web-1", ready=False, containerStatuses=waiting),
        pod("web-2", ready=False, phase="Pending"),
        leaving,
    ]
    with pytest.raises(DialError) as caught:
        ready_pod(service(), pods)
    assert str(caught.value) == (
        "Service web has no ready pod: web-0 is running but not ready; web-1 is CrashLoopBackOff; web-2 is Pending;"
        " web-3 is being deleted"
    )


def test_a_selector_that_fits_nothing_is_told() -> None:
    with pytest.raises(DialError, match="no ready pod: its selector fits no pod"):
        ready_pod(service(), [])


@pytest.mark.parametrize(
    ("port", "reached"),
    [
        ({"port": 80, "targetPort": "http"}, 8080),
        ({"port": 80, "targetPort": 9000}, 9000),
        ({"port": 80}, 80),
    ],
)
def test_the_pods_port_is_the_target_port_by_number_or_name(port: dict[str, Any], reached: int) -> None:
    assert target_port(service({"port": 1}, port), 80, pod("web-0")) == reached


def test_a_headless_service_translates_no_port() -> None:
    assert target_port(service({"port": 80, "targetPort": "http"}, clusterIP="None"), 8080, pod("web-0")) == 8080


@pytest.mark.parametrize(
    ("port", "words"),
    [
        ({"port": 81}, "Service web has no port 80; it has 81"),
        ({"port": 80, "targetPort": "https"}, "is 'https', which pod web-0 does not declare"),
    ],
)
def test_a_port_that_is_not_there_is_told(port: dict[str, Any], words: str) -> None:
    with pytest.raises(DialError, match=words):
        target_port(service(port), 80, pod("web-0"))


def test_a_selector_is_written_as_the_api_takes_it() -> None:
    assert selector(service(selector={"b": "2", "a": "1"})) == "a=1,b=2"
    assert selector(service()) is None


def test_an_external_name_is_no_way_into_the_cluster() -> None:
    with pytest.raises(DialError, match=r"Service web is the external name db\.example\.org"):
        selector(service(type="ExternalName", externalName="db.example.org"))


def slices(ready: bool = True, kind: str = "Pod") -> list[dict[str, Any]]:
    found = {"conditions": {"ready": ready}, "targetRef": {"kind": kind, "name": "web-0"}}
    return [{"ports": [{"name": "other", "port": 1}, {"name": "http", "port": 8080}], "endpoints": [found]}]


def test_endpoints_lead_to_a_pod_by_the_name_of_the_port() -> None:
    assert endpoint(service({"port": 80, "name": "http"}), 80, slices()) == ("web-0", 8080)
    assert endpoint(service(clusterIP="None"), 9000, slices()) == ("web-0", 9000)


@pytest.mark.parametrize("found", [[], slices(ready=False), slices(kind="Node")])
def test_endpoints_without_a_ready_pod_lead_nowhere(found: list[dict[str, Any]]) -> None:
    with pytest.raises(DialError, match="selects no pods"):
        endpoint(service({"port": 80, "name": "http"}), 80, found)
