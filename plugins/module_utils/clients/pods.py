# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The pods behind the names of servers in a cluster."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol
from urllib.parse import quote, urlencode

from ansible_collections.langsmith.aws.plugins.module_utils.clients.clickhouse import MAX_SERVERS
from ansible_collections.langsmith.aws.plugins.module_utils.domain import forwarding
from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.storage import Unread
from ansible_collections.langsmith.aws.plugins.module_utils.domain.forwarding import DialError, Object


class Api(Protocol):
    """Reads objects and lists by their path, as ``PortForward`` does. Raises DialError."""

    def read(self, target: str, timeout: float) -> dict[str, Any] | None: ...


def behind(api: Api, servers: Sequence[str], namespace: str, timeout: float) -> dict[str, Sequence[Object] | Unread]:
    """The pods of each server (host:port), all asked at the same time.

    A host is the name of a Service or of a pod, in ``namespace`` where it says none.
    """

    def ask(server: str) -> Sequence[Object] | Unread:
        try:
            return _pods(api, server.rpartition(":")[0], namespace, timeout)
        except DialError as error:
            return Unread(str(error))

    asked = servers[:MAX_SERVERS]
    with ThreadPoolExecutor(max_workers=8) as pool:
        return dict(zip(asked, pool.map(ask, asked), strict=True))


def _pods(api: Api, host: str, namespace: str, timeout: float) -> Sequence[Object]:
    where = forwarding.parse_host(host, namespace)
    path = f"/api/v1/namespaces/{quote(where.namespace, safe='')}"
    service = None if where.pod else api.read(f"{path}/services/{quote(where.name, safe='')}", timeout)
    wanted = {"fieldSelector": f"metadata.name={where.name}"}
    if service is not None:
        chosen = forwarding.selector(service)
        if chosen is None:
            return ()
        wanted = {"labelSelector": chosen}
    found = api.read(f"{path}/pods?{urlencode(wanted)}", timeout) or {}
    pods: Sequence[Object] = found.get("items") or ()
    return pods
