# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stand-in for kube-proxy and for CoreDNS: a listener per Service port, and the file of names that pods resolve by."""

from __future__ import annotations

import asyncio
import contextlib
import random
import threading
from typing import Any

from sandbox import network, state
from sandbox.controlplane import launch
from sandbox.controlplane.client import Client, Object
from sandbox.pods.mirror import Mirror

NAMES_FILE = "names.json"
CHUNK_BYTES = 64 * 1024
SETTLE_SECONDS = 0.02
Target = tuple[str, int]


class Proxy:
    """Listens where a Service has ready endpoints and nowhere else, so that others get `connection refused`."""

    def __init__(self, client: Client) -> None:
        self._loop = asyncio.new_event_loop()
        self._targets: dict[Target, list[Target]] = {}
        self._servers: dict[Target, asyncio.Server] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._dirty = asyncio.Event()
        self.services = Mirror(client, "/api/v1/services", self._changed, self._changed)
        self.slices = Mirror(client, "/apis/discovery.k8s.io/v1/endpointslices", self._changed, self._changed)

    def start(self) -> None:
        threading.Thread(target=self._loop.run_until_complete, args=(self._run(),), name="proxy", daemon=True).start()
        self.services.start()
        self.slices.start()

    def _changed(self, _: Object) -> None:
        self._loop.call_soon_threadsafe(self._dirty.set)

    async def _run(self) -> None:
        while True:
            await self._dirty.wait()
            # Changes come in bunches.
            await asyncio.sleep(SETTLE_SECONDS)
            self._dirty.clear()
            services, slices = list(self.services.objects.values()), list(self.slices.objects.values())
            if self.services.synced.is_set() and self.slices.synced.is_set():
                state.write_json(NAMES_FILE, names(services, slices))
                self._targets = targets(services, slices)
                await self._listen()

    async def _listen(self) -> None:
        for listener in set(self._servers) - set(self._targets):
            self._servers.pop(listener).close()
        for listener in set(self._targets) - set(self._servers):
            try:
                self._servers[listener] = await asyncio.start_server(self._handler(listener), *listener)
            except OSError as error:
                print(f"cannot listen on {listener[0]}:{listener[1]}: {error}", flush=True)

    def _handler(self, listener: Target) -> Any:
        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            candidates = list(self._targets.get(listener, []))
            random.shuffle(candidates)
            for host, port in candidates:
                with contextlib.suppress(OSError):
                    beyond_reader, beyond_writer = await asyncio.open_connection(host, port)
                    await asyncio.gather(_copy(reader, beyond_writer), _copy(beyond_reader, writer))
                    return
            writer.transport.abort()

        return handle


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(CHUNK_BYTES):
            writer.write(data)
            await writer.drain()
        # The other direction may go on after this one has ended.
        if writer.can_write_eof():
            writer.write_eof()
    except OSError:
        writer.transport.abort()


def targets(services: list[Object], slices: list[Object]) -> dict[Target, list[Target]]:
    """Where to listen, and for each where the ready endpoints are, all on loopback."""
    found: dict[Target, list[Target]] = {}
    for service in services:
        address = service["spec"].get("clusterIP", "None")
        if address in {"None", ""}:
            continue
        own = [item for item in slices if _belongs(item, service)]
        for port in service["spec"].get("ports", []):
            ends = [end for item in own for end in _ends(item, port.get("name", ""))]
            if ends and port.get("protocol", "TCP") == "TCP":
                found[network.loopback(address), network.real_port(port["port"])] = ends
    return found


def _belongs(item: Object, service: Object) -> bool:
    metadata = item["metadata"]
    same = metadata["namespace"] == service["metadata"]["namespace"]
    return same and metadata.get("labels", {}).get("kubernetes.io/service-name") == service["metadata"]["name"]


def _ends(item: Object, port_name: str) -> list[Target]:
    ports = [port["port"] for port in item.get("ports") or [] if (port.get("name") or "") == port_name]
    found = []
    for endpoint in item.get("endpoints") or []:
        if endpoint.get("conditions", {}).get("ready", True):
            for address in endpoint["addresses"]:
                found += [_reach(address, port) for port in ports]
    return found


def _reach(address: str, port: int) -> Target:
    # The API server cannot say that it is on loopback.
    if address == launch.ADVERTISED:
        return "127.0.0.1", port
    return network.loopback(address), network.real_port(port)


def names(services: list[Object], slices: list[Object]) -> dict[str, list[str]]:
    """`service.namespace` and `pod.service.namespace` -> addresses in the cluster; `=NAME` for an alias."""
    found: dict[str, list[str]] = {}
    for service in services:
        spec, metadata = service["spec"], service["metadata"]
        name = f"{metadata['name']}.{metadata['namespace']}"
        if spec.get("type") == "ExternalName":
            found[name] = [f"={spec['externalName']}"]
        elif spec.get("clusterIP") not in {"None", "", None}:
            found[name] = [spec["clusterIP"]]
        else:
            unready = spec.get("publishNotReadyAddresses", False)
            own = [item for item in slices if _belongs(item, service)]
            found[name] = []
            for endpoint in (entry for item in own for entry in item.get("endpoints") or []):
                if unready or endpoint.get("conditions", {}).get("ready", True):
                    found[name] += endpoint["addresses"]
                    if endpoint.get("hostname"):
                        found[f"{endpoint['hostname']}.{name}"] = endpoint["addresses"]
    return found
