# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options with which modules reach into a cluster; documented by the fragment ``langsmith.aws.cluster_reach``."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol

CLUSTER_REACH_ARG_SPEC: dict[str, dict[str, Any]] = {
    "kubeconfig": {"type": "path"},
    "namespace": {"type": "str", "default": "langsmith"},
}


class Forward(Protocol):
    """Connections into a cluster, all ended by ``close``."""

    def dial(self, host: str, port: int, timeout: float) -> socket.socket: ...

    def close(self) -> None: ...


@contextmanager
def reaching(
    params: Mapping[str, Any], open_forward: Callable[[str, str], Forward]
) -> Iterator[Callable[[str, int, float], socket.socket] | None]:
    """The ``dial`` of an HttpClient for the shared options, or None without a kubeconfig.

    ``open_forward`` makes connections of a kubeconfig and a namespace, as ``PortForward`` does; nothing is read and
    nothing connects before the first dial, and everything is closed at the end.
    """
    if not params["kubeconfig"]:
        yield None
        return
    forward = open_forward(params["kubeconfig"], params["namespace"])
    try:
        yield forward.dial
    finally:
        forward.close()
