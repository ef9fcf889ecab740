# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A ClickHouse server outside of the cluster, yours or LangChain's: a real one, whose TLS ends in a relay of ours.

It listens on an address of its own as 8123 and 9000, and with TLS as 8443 and 9440.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import ssl
import sys
import threading
from collections.abc import Sequence
from typing import Any

from sandbox import network, state, supervisor
from sandbox.stores import clickhouse, front
from sandbox.stores.clickhouse_config import DATA_PATH, HTTP_PORT, TCP_PORT

HTTPS_PORT, TLS_PORT = 8443, 9440
START_SECONDS = 60
SETTINGS = "settings.json"
# The third number of their addresses; the collection's subnets do not reach that far in the VPC.
NETWORK = 254


def part(name: str) -> str:
    """What the supervisor calls it."""
    return f"clickhouse-{name}"


def configure(name: str, host_name: str, user: str, password: str, database: str = "default") -> str:
    """Say what the server is to be; `host_name` resolves in pods, and its certificate is for it. Its address."""
    folder = f"stores/{part(name)}"
    with state.update_json("clickhouse.json", {}) as known:
        numbers = known.setdefault("external", {})
        number = numbers.setdefault(name, len(numbers) + 1)
    address = network.loopback(f"10.0.{NETWORK}.{number}")
    wanted = {"address": address, "host_name": host_name, "user": user, "password": password, "database": database}
    state.write_json(f"{folder}/settings.json", wanted)
    with state.update_json("hosts.json", {}) as hosts:
        hosts[host_name] = address
    return address


def offer(name: str, service_name: str, accept: bool = True, zones: Sequence[str] = ()) -> None:
    """Let it be the managed ClickHouse behind an endpoint service: only an endpoint makes its name resolve then."""
    settings = state.read_json(f"stores/{part(name)}/settings.json")
    with state.update_json("hosts.json", {}) as hosts:
        hosts.pop(settings["host_name"], None)
    known = {"service_name": service_name, "private_dns_name": settings["host_name"]}
    with state.update_json(SETTINGS, {}) as everything:
        everything["managed_clickhouse"] = {
            **known,
            "address": settings["address"],
            "accept": accept,
            "zones": list(zones),
        }


def start(name: str) -> str:
    """Start it unless it runs, wait until it answers, and return its address. Raises PartFailed."""
    address = str(state.read_json(f"stores/{part(name)}/settings.json")["address"])
    argv = [sys.executable, "-m", "sandbox.stores.external_clickhouse", "serve", name]

    def ready() -> bool:
        return all(_listens(address, port) for port in (HTTP_PORT, TCP_PORT, HTTPS_PORT, TLS_PORT))

    supervisor.start(part(name), argv, {"PYTHONPATH": str(state.REPOSITORY)}, ready=ready, timeout=START_SECONDS)
    return address


def stop(name: str) -> None:
    """End it; its data stay."""
    supervisor.stop(part(name))


def _listens(address: str, port: int) -> bool:
    with contextlib.suppress(OSError):
        socket.create_connection((address, port), 1).close()
        return True
    return False


async def _relay(address: str, tls: ssl.SSLContext) -> None:
    servers = [
        await asyncio.start_server(_to(address, plain), address, port, ssl=tls)
        for port, plain in ((HTTPS_PORT, HTTP_PORT), (TLS_PORT, TCP_PORT))
    ]
    await asyncio.gather(*(server.serve_forever() for server in servers))


def _to(address: str, port: int) -> Any:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            inner_reader, inner_writer = await asyncio.open_connection(address, port)
            await asyncio.gather(front.pipe(reader, inner_writer), front.pipe(inner_reader, writer))
        writer.close()

    return handle


def _serve(name: str) -> int:
    folder = state.root() / "stores" / part(name)
    settings = state.read_json(f"stores/{part(name)}/settings.json")
    address = settings["address"]
    tls = front.context(folder, settings["host_name"])
    threading.Thread(target=asyncio.run, args=(_relay(address, tls),), daemon=True).start()
    return clickhouse.pod(
        {
            "SANDBOX_POD_IP": address,
            "SANDBOX_VOLUMES": json.dumps({DATA_PATH: str(folder / "data")}),
            "HOSTNAME": name,
            "CLICKHOUSE_USER": settings["user"],
            "CLICKHOUSE_PASSWORD": settings["password"],
            "CLICKHOUSE_DB": settings["database"],
        }
    )


def main(argv: list[str]) -> int:
    """`start NAME HOST_NAME USER` with the password in $CLICKHOUSE_PASSWORD, `stop NAME`; `serve` is the part."""
    if len(argv) == 2 and argv[0] == "serve":
        return _serve(argv[1])
    if len(argv) == 2 and argv[0] == "stop":
        stop(argv[1])
        return 0
    if len(argv) == 4 and argv[0] == "start" and os.environ.get("CLICKHOUSE_PASSWORD"):
        configure(argv[1], argv[2], argv[3], os.environ["CLICKHOUSE_PASSWORD"])
        print(start(argv[1]))
        return 0
    print(f"usage: python -m sandbox.stores.external_clickhouse {main.__doc__}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
