# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Starts etcd, the API server, the controller manager, the scheduler and kwok, with certificates of their own."""

from __future__ import annotations

import concurrent.futures
import json
import socket
from pathlib import Path

import yaml
from cryptography.hazmat.primitives import serialization

from sandbox import network, pki, state, supervisor
from sandbox.controlplane import build, kwok
from sandbox.controlplane.client import ApiError, Client

CLUSTER = "sandbox"
# One address of the VPC, as the network interfaces of an EKS control plane have; loopback ones are refused.
ADVERTISED = str(network.VPC_CIDR[10])
# The kubelet of every node is kwok on loopback, so the API server asks for an address of this made-up type.
KUBELET_ADDRESS = "SandboxKubelet"
# Each of the Go programs would let its heap double before it collects.
GO = {"GOGC": "60"}


def folder() -> Path:
    """Keys, certificates and configuration of the cluster."""
    return state.root() / "kubernetes"


def server() -> str:
    """The API server's URL."""
    return f"https://127.0.0.1:{state.port('apiserver')}"


def start() -> None:
    """Start what does not run; returns when all of it is ready. Raises PartFailed."""
    binaries = build.build()
    versions = build.versions()
    write_credentials()
    program = str(binaries / "controlplane")
    _start_etcd(program, versions["etcd"])
    _start_apiserver(program, versions["kubernetes"])
    with concurrent.futures.ThreadPoolExecutor() as pool:
        started = [
            pool.submit(_start_controller_manager, program, versions["kubernetes"]),
            pool.submit(_start_scheduler, program, versions["kubernetes"]),
            pool.submit(kwok.start, str(binaries / "kwok"), versions["kwok"]),
        ]
        for future in started:
            future.result()


def write_credentials() -> None:
    """The cluster's CA, the certificates from it, the key of service-account tokens and the kubeconfigs; kept."""
    ca = pki.Authority(folder(), "kubernetes")
    names = ["kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local"]
    addresses = ["127.0.0.1", network.KUBERNETES_SERVICE, network.loopback(network.KUBERNETES_SERVICE)]
    certificates = {
        "apiserver": ("kube-apiserver", (), [*names, "localhost", *addresses]),
        "kubelet": ("kubelet", (), ["localhost", "127.0.0.1"]),
        "front-proxy": ("front-proxy", (), []),
        "apiserver-kubelet": ("kube-apiserver-kubelet-client", ("system:masters",), []),
        "admin": ("kubernetes-admin", ("system:masters",), []),
        "controller-manager": ("system:kube-controller-manager", (), []),
        "scheduler": ("system:kube-scheduler", (), []),
    }
    for name, (common_name, organizations, sans) in certificates.items():
        if not (folder() / f"{name}.crt").exists():
            certificate, key = ca.issue(common_name, sans, organizations, days=pki.CA_DAYS)
            state.write_text(folder() / f"{name}.key", key)
            state.write_text(folder() / f"{name}.crt", certificate)
    for name in ("admin", "controller-manager", "scheduler"):
        state.write_text(folder() / f"{name}.kubeconfig", _kubeconfig(ca, name))
    state.write_text(folder() / "authentication.kubeconfig", _authentication())
    if not (folder() / "service-account.pub").exists():
        _write_service_account_key()


def _write_service_account_key() -> None:
    key = pki.new_key(rsa_key=True)
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    public = key.public_key().public_bytes(serialization.Encoding.PEM, form).decode()
    state.write_text(folder() / "service-account.key", pki.private_pem(key))
    state.write_text(folder() / "service-account.pub", public)


def _kubeconfig(ca: pki.Authority, user: str) -> str:
    files = {"client-certificate": str(folder() / f"{user}.crt"), "client-key": str(folder() / f"{user}.key")}
    cluster = {"server": server(), "certificate-authority": str(ca.certificate_file)}
    return _config(cluster, user, files)


def _authentication() -> str:
    """Where the API server asks who sent a token that is not a service account's: the AWS part, as on EKS."""
    url = f"http://127.0.0.1:{state.port('aws')}/sandbox/kubernetes/authenticate"
    return _config({"server": url}, "apiserver", {})


def _config(cluster: dict[str, str], user: str, credentials: dict[str, str]) -> str:
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": CLUSTER, "cluster": cluster}],
        "users": [{"name": user, "user": credentials}],
        "contexts": [{"name": CLUSTER, "context": {"cluster": CLUSTER, "user": user}}],
        "current-context": CLUSTER,
    }
    return yaml.safe_dump(content, sort_keys=False)


def _start_etcd(program: str, version: str) -> None:
    port, peer = state.port("etcd"), state.port("etcd-peer")
    urls = {"client-url": port, "peer-url": peer}
    argv = [program, "etcd", "--data-dir", str(state.root() / "etcd")]
    argv += [f"--{name}=http://127.0.0.1:{number}" for name, number in urls.items()]
    supervisor.start("etcd", argv, GO, port=port, version=version, ready=lambda: listens(port))


def _start_apiserver(program: str, version: str) -> None:
    here, port = folder(), state.port("apiserver")
    options = {
        "etcd-servers": f"http://127.0.0.1:{state.port('etcd')}",
        "bind-address": "127.0.0.1",
        "advertise-address": ADVERTISED,
        "secure-port": port,
        "service-cluster-ip-range": network.SERVICE_CIDR,
        "tls-cert-file": here / "apiserver.crt",
        "tls-private-key-file": here / "apiserver.key",
        "client-ca-file": here / "ca.crt",
        "authorization-mode": "Node,RBAC",
        "allow-privileged": "true",
        "authentication-token-webhook-config-file": here / "authentication.kubeconfig",
        "authentication-token-webhook-version": "v1",
        # A person's access entry changes from one command to the next; EKS takes some seconds too.
        "authentication-token-webhook-cache-ttl": "2s",
        "service-account-issuer": state.issuer(),
        "service-account-jwks-uri": f"{state.issuer()}/keys",
        "service-account-key-file": here / "service-account.pub",
        "service-account-signing-key-file": here / "service-account.key",
        "api-audiences": "https://kubernetes.default.svc",
        "kubelet-client-certificate": here / "apiserver-kubelet.crt",
        "kubelet-client-key": here / "apiserver-kubelet.key",
        "kubelet-preferred-address-types": KUBELET_ADDRESS,
        "requestheader-client-ca-file": here / "ca.crt",
        "requestheader-allowed-names": "front-proxy",
        "requestheader-extra-headers-prefix": "X-Remote-Extra-",
        "requestheader-group-headers": "X-Remote-Group",
        "requestheader-username-headers": "X-Remote-User",
        "proxy-client-cert-file": here / "front-proxy.crt",
        "proxy-client-key-file": here / "front-proxy.key",
        # Costs memory and protects a server with many clients from them.
        "enable-priority-and-fairness": "false",
        "shutdown-delay-duration": "0s",
    }
    argv = [program, "apiserver", *_flags(options)]
    supervisor.start("apiserver", argv, GO, port=port, version=version, ready=apiserver_ready, timeout=60)


def _start_controller_manager(program: str, version: str) -> None:
    here, port = folder(), state.port("controller-manager")
    options = {
        "kubeconfig": here / "controller-manager.kubeconfig",
        "authentication-kubeconfig": here / "controller-manager.kubeconfig",
        "authorization-kubeconfig": here / "controller-manager.kubeconfig",
        "bind-address": "127.0.0.1",
        "secure-port": port,
        "service-account-private-key-file": here / "service-account.key",
        "root-ca-file": here / "ca.crt",
        "cluster-signing-cert-file": here / "ca.crt",
        "cluster-signing-key-file": here / "ca.key",
        "use-service-account-credentials": "true",
        "leader-elect": "false",
    }
    argv = [program, "controller-manager", *_flags(options)]
    supervisor.start("controller-manager", argv, GO, port=port, version=version, ready=lambda: listens(port))


def _start_scheduler(program: str, version: str) -> None:
    here, port = folder(), state.port("scheduler")
    options = {
        "kubeconfig": here / "scheduler.kubeconfig",
        "authentication-kubeconfig": here / "scheduler.kubeconfig",
        "authorization-kubeconfig": here / "scheduler.kubeconfig",
        "bind-address": "127.0.0.1",
        "secure-port": port,
        "leader-elect": "false",
    }
    argv = [program, "scheduler", *_flags(options)]
    supervisor.start("scheduler", argv, GO, port=port, version=version, ready=lambda: listens(port))


def _flags(options: dict[str, object]) -> list[str]:
    return [f"--{name}={value}" for name, value in options.items()]


def listens(port: int) -> bool:
    """Whether something on 127.0.0.1 takes connections at the port."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def apiserver_ready() -> bool:
    """Whether /readyz of the API server is ok."""
    if not listens(state.port("apiserver")):
        return False
    try:
        return Client().get("/readyz")["text"] == "ok"
    except (ApiError, OSError, json.JSONDecodeError):
        return False
