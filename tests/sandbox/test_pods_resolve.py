# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sandbox.pods import resolve

POD: dict[str, Any] = {
    "metadata": {"name": "web-1", "namespace": "langsmith", "uid": "u1", "labels": {"app": "web"}},
    "spec": {"nodeName": "node-1", "serviceAccountName": "web"},
    "status": {"podIP": "10.0.1.9", "hostIP": "10.0.1.5"},
}


class Known:
    """Secrets and ConfigMaps that the test names."""

    def __init__(self, secrets: dict[str, dict[str, bytes]], config_maps: dict[str, dict[str, bytes]]) -> None:
        self._secrets, self._config_maps = secrets, config_maps

    def secret(self, namespace: str, name: str) -> dict[str, bytes] | None:
        return self._secrets.get(name)

    def config_map(self, namespace: str, name: str) -> dict[str, bytes] | None:
        return self._config_maps.get(name)


SOURCES = Known({"redis": {"url": b"rediss://:p@h"}}, {"config": {"LOG": b"info", "PORT": b"1984"}})


def environment(**container: Any) -> dict[str, str]:
    return resolve.environment({"name": "c", **container}, POD, SOURCES)


def test_later_sources_win_and_references_see_what_came_before() -> None:
    found = environment(
        envFrom=[{"configMapRef": {"name": "config"}}, {"prefix": "R_", "secretRef": {"name": "redis"}}],
        env=[
            {"name": "LOG", "value": "debug"},
            {"name": "URL", "value": "http://$(POD_IP):$(PORT)/"},
            {"name": "POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
            {"name": "LATER", "value": "$(POD_IP) $$(POD_IP) $(NOBODY)"},
        ],
    )
    assert found["R_url"] == "rediss://:p@h"
    assert found["LOG"] == "debug"
    # POD_IP is defined after URL, so the reference stays as it stands.
    assert found["URL"] == "http://$(POD_IP):1984/"
    assert found["LATER"] == "10.0.1.9 $(POD_IP) $(NOBODY)"


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ({"secretKeyRef": {"name": "absent", "key": "url"}}, 'secret "absent" not found'),
        ({"configMapKeyRef": {"name": "absent", "key": "x"}}, 'configmap "absent" not found'),
        ({"secretKeyRef": {"name": "redis", "key": "host"}}, "couldn't find key host in Secret langsmith/redis"),
        ({"configMapKeyRef": {"name": "config", "key": "X"}}, "couldn't find key X in ConfigMap langsmith/config"),
    ],
)
def test_what_is_missing_is_told_as_the_kubelet_tells_it(source: dict[str, Any], problem: str) -> None:
    with pytest.raises(resolve.MissingError) as caught:
        environment(env=[{"name": "X", "valueFrom": source}])
    assert str(caught.value) == problem


def test_what_is_missing_and_optional_is_left_out() -> None:
    absent = {"secretKeyRef": {"name": "absent", "key": "x", "optional": True}}
    no_key = {"secretKeyRef": {"name": "redis", "key": "x", "optional": True}}
    assert environment(env=[{"name": "A", "valueFrom": absent}, {"name": "B", "valueFrom": no_key}]) == {}


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("metadata.name", "web-1"),
        ("metadata.labels['app']", "web"),
        ("metadata.labels", 'app="web"'),
        ("metadata.annotations['none']", ""),
        ("spec.nodeName", "node-1"),
        ("status.hostIP", "10.0.1.5"),
        ("status.podIPs", "10.0.1.9"),
    ],
)
def test_fields_of_the_downward_api(path: str, expected: str) -> None:
    assert resolve.field(POD, path) == expected


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        ({"resource": "limits.cpu"}, "2"),
        ({"resource": "limits.cpu", "divisor": "1m"}, "1500"),
        ({"resource": "limits.memory", "divisor": "1Mi"}, "2048"),
        ({"resource": "requests.memory"}, "0"),
    ],
)
def test_resources_of_the_downward_api_are_rounded_up(reference: dict[str, str], expected: str) -> None:
    container = {"name": "c", "resources": {"limits": {"cpu": "1500m", "memory": "2Gi"}}}
    assert resolve.resource(container, POD, reference) == expected


def test_a_path_below_a_mount_is_the_path_that_holds_it() -> None:
    mounts = {"/etc/app": Path("/state/a"), "/etc/app/keys": Path("/state/k")}
    assert resolve.relocate("/etc/app/config.yml", mounts) == "/state/a/config.yml"
    assert resolve.relocate("/etc/app/keys/ca.crt", mounts) == "/state/k/ca.crt"
    assert resolve.relocate("/etc/app", mounts) == "/state/a"
    assert resolve.relocate("/etc/application", mounts) == "/etc/application"


def test_command_and_args_are_expanded_and_joined() -> None:
    container = {"command": ["run", "$(MODE)"], "args": ["--port=$(PORT)"]}
    assert resolve.command(container, {"MODE": "fast", "PORT": "80"}) == ["run", "fast", "--port=80"]
