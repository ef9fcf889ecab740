# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Starts kwok, which keeps Node objects alive and is their kubelet's server: logs, exec, port-forward.

kwok gets no stage for pods, so that it never writes a pod's status: the pods part does.
"""

from __future__ import annotations

import os
import socket

import yaml

from sandbox import state, supervisor
from sandbox.controlplane.client import Client, Object

GROUP = "kwok.x-k8s.io"
MANAGED = {f"{GROUP}/node": "fake"}
# Kinds whose objects tell kwok what to serve for a pod of the same name.
KINDS = {"logs": "Logs", "execs": "Exec", "portforwards": "PortForward"}

# The node's address is in its name, as in the names that EC2 gives; the API server finds the kubelet at the other one.
NODE_STATUS = """
{{ $now := Now }}
{{ $transition := or .metadata.creationTimestamp $now }}
conditions:
{{ range NodeConditions }}
- type: {{ .type | Quote }}
  status: {{ .status | Quote }}
  reason: {{ .reason | Quote }}
  message: {{ .message | Quote }}
  lastHeartbeatTime: {{ $now | Quote }}
  lastTransitionTime: {{ $transition | Quote }}
{{ end }}
addresses:
- type: InternalIP
  address: {{ .metadata.name | regexFind "^ip(-[0-9]+){4}" | trimPrefix "ip-" | replace "-" "." | Quote }}
- type: Hostname
  address: {{ .metadata.name | Quote }}
- type: InternalDNS
  address: {{ .metadata.name | Quote }}
- type: SandboxKubelet
  address: 127.0.0.1
daemonEndpoints:
  kubeletEndpoint:
    Port: {{ NodePort }}
phase: Running
"""


def start(program: str, version: str) -> None:
    """Start kwok unless it runs. Raises PartFailed."""
    client = Client()
    for plural, kind in KINDS.items():
        client.apply(
            f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{plural}.{GROUP}", _definition(plural, kind)
        )
    here, port = state.root() / "kubernetes", state.port("kwok")
    state.write_text(here / "kwok.yaml", yaml.safe_dump_all(_stages()))
    argv: list[str | os.PathLike[str]] = [
        program,
        "--kubeconfig",
        here / "admin.kubeconfig",
        "--config",
        here / "kwok.yaml",
    ]
    argv += ["--manage-nodes-with-annotation-selector", ",".join(f"{key}={value}" for key, value in MANAGED.items())]
    argv += ["--node-ip", "127.0.0.1", "--node-port", str(port), "--server-address", f"127.0.0.1:{port}"]
    argv += ["--tls-cert-file", here / "kubelet.crt", "--tls-private-key-file", here / "kubelet.key"]
    argv += ["--enable-crds", ",".join(KINDS.values()), "--node-lease-duration-seconds", "40"]
    supervisor.start("kwok", argv, {"GOGC": "60"}, port=port, version=version, ready=lambda: _listens(port))


def _stages() -> list[Object]:
    ready = '.status.conditions.[] | select( .type == "Ready" ) | .status'
    address = '.status.addresses.[] | select( .type == "SandboxKubelet" ) | .address'
    unready = {"key": ready, "operator": "NotIn", "values": ["True"]}
    return [
        _stage("node-initialize", [unready], {}),
        _stage("node-address", [{"key": address, "operator": "DoesNotExist"}], {}),
        _stage(
            "node-heartbeat",
            [{"key": ready, "operator": "In", "values": ["True"]}],
            {"durationMilliseconds": 240_000, "jitterDurationMilliseconds": 300_000},
        ),
    ]


def _stage(name: str, expressions: list[Object], delay: Object) -> Object:
    spec = {
        "resourceRef": {"apiGroup": "v1", "kind": "Node"},
        "selector": {"matchExpressions": expressions},
        "delay": delay,
        "next": {"statusTemplate": NODE_STATUS},
    }
    return {"apiVersion": f"{GROUP}/v1alpha1", "kind": "Stage", "metadata": {"name": name}, "spec": spec}


def _definition(plural: str, kind: str) -> Object:
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    version = {"name": "v1alpha1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    names = {"plural": plural, "singular": kind.lower(), "kind": kind, "listKind": f"{kind}List"}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{GROUP}"},
        "spec": {"group": GROUP, "names": names, "scope": "Namespaced", "versions": [version]},
    }


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0
