# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Connections to Services and pods of a cluster from outside of it, through the API server's port-forward.

Of the package kubernetes only the reading of a kubeconfig is used: its API classes take two seconds to load.
"""

from __future__ import annotations

import functools
import json
import socket
import ssl
import threading
import time
from typing import Any
from urllib.parse import urlencode, urlsplit

from ansible_collections.langsmith.aws.plugins.module_utils.clients import kubeconfig
from ansible_collections.langsmith.aws.plugins.module_utils.clients.tunnel import PROTOCOL, ForwardedSocket, Tunnel
from ansible_collections.langsmith.aws.plugins.module_utils.domain import forwarding
from ansible_collections.langsmith.aws.plugins.module_utils.domain.forwarding import ClusterHost, DeniedError, DialError

_NEEDED = "; reaching into a namespace needs get of services, list of pods, and get and create of pods/portforward"


class PortForward:
    """Dials into the cluster of the current context of the kubeconfig at ``path``; several threads may.

    ``namespace`` is the one of names that say none. The kubeconfig is read at the first ``dial`` and once, since its
    credentials may come from a program that takes a second.
    """

    def __init__(self, path: str, namespace: str) -> None:
        self._kubeconfig, self._namespace = path, namespace
        self._lock = threading.Lock()
        self._api: _Api | None = None
        self._tunnels: list[Tunnel] = []

    def dial(self, host: str, port: int, timeout: float) -> socket.socket:
        """A connection to ``port`` of a Service or pod, in ``timeout`` seconds once there are credentials.

        Raises DialError.
        """
        api = self._connected()
        deadline = time.monotonic() + timeout
        where = forwarding.parse_host(host, self._namespace)
        pod, pod_port = self._target(api, where, port, deadline)
        web = self._open(api, ClusterHost(pod, where.namespace), pod_port, deadline)
        near, far = socket.socketpair()
        caller = ForwardedSocket(fileno=near.detach())
        tunnel = Tunnel(f"{where} port {port}", web, far, caller)
        with self._lock:
            self._tunnels = [kept for kept in self._tunnels if kept.is_alive()] + [tunnel]
            tunnel.start()
        return caller

    def read(self, target: str, timeout: float) -> dict[str, Any] | None:
        """The object or list that the API server has at a path, or None where it has none.

        Raises DialError; DeniedError where others may be read.
        """
        return self._get(self._connected(), target, time.monotonic() + timeout, needed="")

    def close(self) -> None:
        """End every connection that is still open, and its thread."""
        with self._lock:
            tunnels, self._tunnels = self._tunnels, []
            api, self._api = self._api, None
        for tunnel in tunnels:
            tunnel.abandon()
        for tunnel in tunnels:
            tunnel.join()
        if api is not None:
            api.close()

    def _connected(self) -> _Api:
        with self._lock:
            if self._api is None:
                try:
                    self._api = _Api(kubeconfig.load(self._kubeconfig))
                except kubeconfig.KubeconfigError as error:
                    raise DialError(str(error)) from error
            return self._api

    def _target(self, api: _Api, where: ClusterHost, port: int, deadline: float) -> tuple[str, int]:
        if where.pod:
            return where.name, port
        path = f"/api/v1/namespaces/{where.namespace}"
        service = self._get(api, f"{path}/services/{where.name}", deadline)
        if service is None:
            return where.name, port
        chosen = forwarding.selector(service)
        if chosen is not None:
            pods = self._get(api, f"{path}/pods?{urlencode({'labelSelector': chosen})}", deadline) or {}
            pod = forwarding.ready_pod(service, pods.get("items", []))
            return pod["metadata"]["name"], forwarding.target_port(service, port, pod)
        ours = urlencode({"labelSelector": f"kubernetes.io/service-name={where.name}"})
        path = f"/apis/discovery.k8s.io/v1/namespaces/{where.namespace}/endpointslices"
        slices = self._get(api, f"{path}?{ours}", deadline) or {}
        return forwarding.endpoint(service, port, slices.get("items", []))

    def _get(self, api: _Api, target: str, deadline: float, needed: str = _NEEDED) -> dict[str, Any] | None:
        """One object or list as its JSON has it, or None where it is not there; ``needed`` ends a refusal."""
        status, body = api.get(target, _left(deadline))
        if status == 404:
            return None
        if status != 200:
            raise self._refused(status, body, needed=needed)
        found: dict[str, Any] = json.loads(body)
        return found

    def _open(self, api: _Api, pod: ClusterHost, port: int, deadline: float) -> Any:
        """The WebSocket of a port-forward, answered by the pod's kubelet."""
        import websocket

        target = f"/api/v1/namespaces/{pod.namespace}/pods/{pod.name}/portforward?ports={port}"
        try:
            return api.websocket(target, PROTOCOL, _left(deadline))
        except websocket.WebSocketBadStatusException as error:
            raise self._refused(error.status_code, error.resp_body, str(pod)) from error
        except (websocket.WebSocketTimeoutException, TimeoutError) as error:
            raise DialError(f"the port-forward to {pod} was not answered in time", timed_out=True) from error
        except (OSError, websocket.WebSocketException) as error:
            raise DialError(f"the port-forward to {pod} failed: {error}") from error

    def _refused(self, status: int, body: bytes | str | None, pod: str = "", needed: str = _NEEDED) -> DialError:
        message = _message(body) or f"status {status}"
        if status == 404 and pod:
            return DialError(f"there is no Service and no pod {pod}")
        if status in (401, 403):
            kind = DeniedError if status == 403 else DialError
            return kind(f"the API server refuses the user of {self._kubeconfig}: {message}{needed}")
        return DialError(f"the API server answers {status}: {message}")


class _Api:
    """Requests to the API server of a kubeconfig's settings, none of them repeated."""

    def __init__(self, settings: Any) -> None:
        import urllib3

        self._settings = settings
        tls = {
            "cert_reqs": "CERT_REQUIRED" if settings.verify_ssl else "CERT_NONE",
            "ca_certs": settings.ssl_ca_cert,
            "cert_file": settings.cert_file,
            "key_file": settings.key_file,
        }
        if settings.tls_server_name:
            tls |= {"server_hostname": settings.tls_server_name, "assert_hostname": settings.tls_server_name}
        make = urllib3.PoolManager if not settings.proxy else functools.partial(urllib3.ProxyManager, settings.proxy)
        self._pool = make(retries=False, maxsize=8, **tls)

    def get(self, target: str, timeout: float) -> tuple[int, bytes]:
        """Status and body. Raises DialError."""
        from urllib3.exceptions import HTTPError
        from urllib3.exceptions import TimeoutError as HTTPTimeout

        headers = {"Accept": "application/json", **self._authorization()}
        try:
            answer = self._pool.request("GET", f"{self._settings.host}{target}", headers=headers, timeout=timeout)
        except HTTPError as error:
            reason = f"the API server {self._settings.host} does not answer: {error}"
            raise DialError(reason, timed_out=isinstance(error, HTTPTimeout)) from error
        return answer.status, answer.data

    def websocket(self, target: str, protocol: str, timeout: float) -> Any:
        """An open WebSocket. Raises what the package websocket does."""
        import websocket

        settings = self._settings
        web = websocket.WebSocket(sslopt=_tls(settings), skip_utf8_validation=True)
        options: dict[str, Any] = {"timeout": timeout, "header": self._authorization(), "subprotocols": [protocol]}
        if settings.proxy:
            proxy = urlsplit(settings.proxy)
            options |= {"http_proxy_host": proxy.hostname, "http_proxy_port": proxy.port, "proxy_type": "http"}
        base = urlsplit(settings.host)
        url = f"{'wss' if base.scheme == 'https' else 'ws'}://{base.netloc}{base.path.rstrip('/')}{target}"
        web.connect(url, redirect_limit=0, suppress_origin=True, **options)
        return web

    def close(self) -> None:
        """End the connections that are kept."""
        self._pool.clear()

    def _authorization(self) -> dict[str, str]:
        """The header with the token, renewed once it has expired where a program gives it."""
        return {item["key"]: item["value"] for item in self._settings.auth_settings().values()}


def _tls(settings: Any) -> dict[str, Any]:
    """A kubeconfig's TLS settings as the WebSocket library takes them."""
    options: dict[str, Any] = {"certfile": settings.cert_file, "keyfile": settings.key_file}
    if settings.verify_ssl:
        options |= {"cert_reqs": ssl.CERT_REQUIRED, "ca_certs": settings.ssl_ca_cert}
    else:
        options |= {"cert_reqs": ssl.CERT_NONE, "check_hostname": False}
    if settings.tls_server_name:
        options["server_hostname"] = settings.tls_server_name
    return options


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise DialError("the API server did not answer in time", timed_out=True)
    return left


def _message(body: bytes | str | None) -> str:
    """The message of the Status object that the API server refuses with, or the start of what else it said."""
    text = body.decode(errors="replace") if isinstance(body, bytes) else body or ""
    try:
        return str(json.loads(text)["message"])
    except (ValueError, KeyError, TypeError):
        return " ".join(text.split())[:200]
