# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from sandbox.controllers import ingress_model as model
from sandbox.controllers.kubernetes import Object

CERTIFICATE = "arn:aws:acm:us-east-1:123456789012:certificate/1"
HTTPS = {"listen-ports": '[{"HTTP": 80}, {"HTTPS": 443}]', "certificate-arn": CERTIFICATE, "target-type": "ip"}
SERVICE = {
    "metadata": {"name": "web", "namespace": "app", "uid": "u"},
    "spec": {"ports": [{"name": "http", "port": 80, "targetPort": 8080}]},
}
SLICE = {
    "ports": [{"name": "http", "port": 8080}],
    "endpoints": [
        {"addresses": ["10.0.0.5"], "conditions": {"ready": True}},
        {"addresses": ["10.0.0.6"], "conditions": {"ready": False}},
    ],
}


def ingress(name: str = "web", path: str = "/", kind: str = "Prefix", **annotations: str) -> Object:
    names = {key: key.replace("_", "." if key == "group_name" else "-") for key in annotations}
    settings = {model.PREFIX + names[key]: value for key, value in annotations.items()}
    backend = {"service": {"name": "web", "port": {"number": 80}}}
    rule = {"host": "app.localhost", "http": {"paths": [{"path": path, "pathType": kind, "backend": backend}]}}
    return {
        "metadata": {"name": name, "namespace": "app", "annotations": settings},
        "spec": {"ingressClassName": "alb", "rules": [rule]},
    }


def with_https(name: str = "web", **annotations: str) -> Object:
    return ingress(name, **{**{key.replace("-", "_"): value for key, value in HTTPS.items()}, **annotations})


def none_found(hosts: Sequence[str]) -> list[str]:
    return model.certificates_for(hosts, {})


def build(*members: Object, **world: Any) -> model.LoadBalancer:
    group = model.groups(members, lambda _: True)[0]
    lookups: dict[str, Any] = {
        "cluster": "acme",
        "service": lambda namespace, name: SERVICE if (namespace, name) == ("app", "web") else None,
        "endpoint_slices": lambda *_: [SLICE],
        "class_parameters": lambda _: {},
        **world,
    }
    return model.build(group, model.World(**lookups), none_found)


def test_http_is_redirected_and_https_forwards_by_host_and_path() -> None:
    found = build(with_https(ssl_redirect="443", scheme="internet-facing", healthcheck_path="/health"))
    plain, secure = found.listeners
    assert plain.default == {"type": "redirect", "protocol": "HTTPS", "port": "443", "status": "HTTP_301"}
    assert plain.rules == ()
    assert secure.certificates == (CERTIFICATE,)
    assert secure.rules[0].hosts == ("app.localhost",)
    assert secure.rules[0].paths == ("/*",)
    assert secure.default["status"] == "404"
    assert found.target_groups[0].health_check["HealthCheckPath"] == "/health"


def test_only_ready_endpoints_are_targets() -> None:
    assert build(with_https()).target_groups[0].targets == (("10.0.0.5", 8080),)


def test_names_have_the_controllers_form_and_tags_reach_every_target_group() -> None:
    found = build(with_https(group_name="acme-prod", tags="langsmith:installation=acme, owner=me"))
    assert found.name.startswith("k8s-acmeprod-")
    assert len(found.name) <= 32
    assert found.target_groups[0].name.startswith("k8s-app-web-")
    assert found.target_groups[0].tags == {"langsmith:installation": "acme", "owner": "me"}
    assert found.stack == "acme-prod"
    assert found.target_groups[0].resource == "app/web-web:80"


def test_ingresses_of_one_group_name_share_a_load_balancer() -> None:
    found = build(with_https("one", group_name="g"), with_https("two", group_name="g"))
    assert len(found.listeners[1].rules) == 2
    assert found.listeners[1].certificates == (CERTIFICATE,)


@pytest.mark.parametrize(
    ("annotations", "message"),
    [
        ({"listen_ports": "nonsense"}, "failed to parse listen-ports configuration"),
        ({"listen_ports": "[]"}, "empty listen-ports configuration"),
        ({"scheme": "public"}, "unknown scheme: public"),
        ({"target_type": "instance"}, "target type ip only"),
        ({"ssl_redirect": "8443"}, "listener does not exist for SSLRedirect port: 8443"),
        ({"certificate_arn": ""}, "no certificate found for host: app.localhost"),
        ({"load_balancer_name": "x" * 33}, "cannot be longer than 32 characters"),
        ({"tags": "nonsense"}, "failed to parse stringMap annotation"),
    ],
)
def test_what_cannot_be_built_is_told(annotations: dict[str, str], message: str) -> None:
    with pytest.raises(model.ModelError, match=message):
        build(with_https(**annotations))


def test_a_missing_service_and_a_missing_port_are_told() -> None:
    with pytest.raises(model.ModelError, match='ingress: app/web: Service "web" not found'):
        build(with_https(), service=lambda *_: None)
    other = {**SERVICE, "spec": {"ports": [{"port": 81}]}}
    with pytest.raises(model.ModelError, match="unable to find port 80 on service app/web"):
        build(with_https(), service=lambda *_: other)


def test_members_that_contradict_each_other_are_told() -> None:
    with pytest.raises(model.ModelError, match="conflicting scheme"):
        build(with_https("one", group_name="g", scheme="internal"), with_https("two", group_name="g", scheme="x"))


def test_an_ingress_that_is_deleted_or_of_another_class_leaves_its_group() -> None:
    gone = with_https(group_name="g")
    gone["metadata"] |= {"deletionTimestamp": "now", "finalizers": ["group.ingress.k8s.aws/g", "foreign"]}
    other = with_https("other")
    other["metadata"]["finalizers"] = ["ingress.k8s.aws/resources"]
    found = model.groups([gone, other], lambda item: item is not other)
    assert [(str(group.id), group.members, len(group.inactive)) for group in found] == [
        ("app/other", [], 1),
        ("g", [], 1),
    ]


@pytest.mark.parametrize(
    ("path", "kind", "expected"),
    [
        ("/", "Prefix", ("/*",)),
        ("/api", "Prefix", ("/api", "/api/*")),
        ("/api/", "Prefix", ("/api", "/api/*")),
        ("/", "ImplementationSpecific", ("/",)),
        ("/*", "ImplementationSpecific", ("/*",)),
        ("/x", "Exact", ("/x",)),
    ],
)
def test_paths_become_patterns_as_the_controller_makes_them(path: str, kind: str, expected: tuple[str, ...]) -> None:
    assert model.path_patterns({"path": path, "pathType": kind}) == expected


def test_exact_paths_come_first_then_longer_prefixes() -> None:
    paths = [
        {"path": "/", "pathType": "Prefix"},
        {"path": "/*", "pathType": "ImplementationSpecific"},
        {"path": "/a/b", "pathType": "Prefix"},
        {"path": "/x", "pathType": "Exact"},
    ]
    assert [item["path"] for item in model.sorted_paths(paths)] == ["/x", "/a/b", "/", "/*"]


def test_a_wildcard_certificate_covers_one_label() -> None:
    domains = {"wild": ["*.example.com"], "exact": ["a.example.com"]}
    assert model.certificates_for(["a.example.com"], domains) == ["exact", "wild"]
    with pytest.raises(model.ModelError, match=r"no certificate found for host: a\.b\.example\.com"):
        model.certificates_for(["a.b.example.com"], domains)
