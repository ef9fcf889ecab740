# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the data plane of the sandbox's load balancers."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys

from sandbox import state
from sandbox.loadbalancer.server import Server, Settings

# The controller asks for a check each 15 s; a person who watches a sandbox should not wait for two of them.
INTERVAL_FACTOR = 0.2


async def run() -> None:
    """Serve until SIGTERM."""
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    chosen = state.settings().get("load_balancer", {})
    server = Server(
        Settings(
            http_port=state.port("load-balancer-http"),
            https_port=state.port("load-balancer-https"),
            config=state.root() / "load-balancer.json",
            health=state.root() / "load-balancer-health.json",
            factor=float(chosen.get("health_check_interval_factor", INTERVAL_FACTOR)),
        )
    )
    await server.start()
    logging.info("listening on 127.0.0.1, HTTP %d, HTTPS %d", *server.ports)
    await stopped.wait()
    await server.stop()


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stderr)
    asyncio.run(run())
