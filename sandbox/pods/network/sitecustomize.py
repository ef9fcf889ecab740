# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stand-in for a pod's network namespace, loaded by every Python process of a pod before its own code.

Names of Services resolve as CoreDNS would answer, addresses of the VPC lead to the loopback addresses that stand for
them, and a listener on all addresses listens on the pod's own.
"""

from __future__ import annotations

import functools
import json
import os
import socket
from pathlib import Path
from typing import Any

from sandbox import network

_STATE = Path(os.environ["LANGSMITH_SANDBOX_STATE"])
_POD = os.environ.get("SANDBOX_POD_IP", "")
_NAMESPACE = os.environ.get("SANDBOX_POD_NAMESPACE", "default")
_LOW_PORTS = bool(os.environ.get("SANDBOX_LOW_PORTS"))
_CLUSTER = ".svc.cluster.local"
_getaddrinfo = socket.getaddrinfo
_connect, _connect_ex, _bind = socket.socket.connect, socket.socket.connect_ex, socket.socket.bind


@functools.lru_cache(8)
def _parsed(path: Path, version: int) -> dict[str, Any]:
    try:
        parsed: dict[str, Any] = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return parsed


def _read(name: str) -> dict[str, Any]:
    path = _STATE / name
    try:
        return _parsed(path, path.stat().st_mtime_ns)
    except OSError:
        return {}


def resolve(host: str) -> list[str] | None:
    """The addresses of a name of the cluster or of the sandbox's AWS; None for any other name.

    Raises socket.gaierror for a name of the cluster that does not exist.
    """
    plain = host.rstrip(".").lower()
    known = _read("hosts.json").get(plain)
    if known:
        return [known]
    short = plain.removesuffix(_CLUSTER).removesuffix(".svc")
    services = _read("names.json")
    for candidate in (short, f"{short}.{_NAMESPACE}"):
        found = services.get(candidate)
        if found and found[0].startswith("="):
            alias = found[0][1:]
            return resolve(alias) or [alias]
        if found:
            return list(found)
    if short != plain:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
    return None


def _loopback(host: str) -> str:
    try:
        return network.loopback(host)
    except ValueError:
        return host


def getaddrinfo(host: Any, port: Any, *args: Any, **options: Any) -> list[Any]:
    """socket.getaddrinfo with the cluster's names and addresses."""
    text = host.decode() if isinstance(host, bytes) else host
    if not isinstance(text, str):
        return _getaddrinfo(host, port, *args, **options)
    found = [_loopback(address) for address in resolve(text) or [text]]
    return [entry for address in found for entry in _getaddrinfo(address, port, *args, **options)]


def _there(self: socket.socket, address: Any) -> Any:
    if self.family != socket.AF_INET or not isinstance(address, tuple):
        return address
    host, port = address[0], address[1]
    found = resolve(host) if isinstance(host, str) else None
    host = _loopback(found[0] if found else host)
    ours = str(host).startswith((f"127.{network.prefix()}.", f"127.{network.prefix() + 1}."))
    return host, port + network.LOW_PORT_OFFSET if ours and 0 < port < 1024 and not _LOW_PORTS else port


def connect(self: socket.socket, address: Any) -> None:
    """socket.connect to where the address really is."""
    return _connect(self, _there(self, address))


def connect_ex(self: socket.socket, address: Any) -> int:
    """socket.connect_ex to where the address really is."""
    return _connect_ex(self, _there(self, address))


def bind(self: socket.socket, address: Any) -> None:
    """socket.bind, on the pod's address where all addresses are asked for."""
    if self.family == socket.AF_INET and address[0] in {"", "0.0.0.0"} and address[1] and _POD:  # noqa: S104
        address = (_POD, *address[1:])
    return _bind(self, _there(self, address))


socket.getaddrinfo = getaddrinfo
socket.socket.connect = connect  # type: ignore[method-assign, assignment]
socket.socket.connect_ex = connect_ex  # type: ignore[method-assign, assignment]
socket.socket.bind = bind  # type: ignore[method-assign, assignment]
