# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The load balancer in front of an installation that is broken on purpose: TLS, rules, one target."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sandbox import state
from sandbox.loadbalancer import targets
from sandbox.loadbalancer.server import Server, Settings
from tests.sandbox.langsmith.installation import until

HOST = "langsmith.test"
DEADLINE_SECONDS = 60.0
#: How long it waits for a connection to its target, for the real one's 10 s.
CONNECT_SECONDS = 1
GROUP = "arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/langsmith/1"
FORWARD = {"type": "forward", "target_groups": [{"arn": GROUP, "weight": 1}]}
REDIRECT = {"type": "redirect", "protocol": "HTTPS", "port": "443", "status": 301}
#: What a web ACL answers for a request that one of its rules blocks.
BLOCK = {
    "type": "fixed-response",
    "status": 403,
    "content_type": "text/html",
    "body": "<html><head><title>403 Forbidden</title></head><body><h1>403 Forbidden</h1></body></html>",
}


class Balancer:
    """A data plane in this process. ``target`` is the frontend's port."""

    def __init__(self, folder: Path, target: int, certificate: tuple[Path, Path]) -> None:
        self._folder = folder
        self._target = target
        self._loop = asyncio.new_event_loop()
        self._server = Server(Settings(0, 0, folder / "load-balancer.json", folder / "health.json", factor=0.05))
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._call(self._server.start())
        self.http_port, self.https_port = self._server.ports
        self.configure(certificate)

    def _call(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(DEADLINE_SECONDS)

    def configure(self, certificate: tuple[Path, Path], *blocked: str) -> None:
        """Serve with this certificate; paths that a firewall blocks may end in ``*``."""
        self._certificate = certificate
        rules = [{"hosts": [HOST], "paths": [path], "action": BLOCK} for path in blocked]
        secure = {
            "port": 443,
            "protocol": "HTTPS",
            "certificates": [
                {"domains": [HOST], "certificate_file": str(certificate[0]), "key_file": str(certificate[1])}
            ],
            "rules": [*rules, {"hosts": [HOST], "paths": ["/*"], "action": FORWARD}],
            "default_action": {"type": "fixed-response", "status": 404},
        }
        plain = {"port": 80, "protocol": "HTTP", "certificates": [], "rules": [], "default_action": REDIRECT}
        balancer = {
            "name": "langsmith",
            "dns_name": "langsmith.us-east-1.elb.amazonaws.com",
            "idle_timeout_seconds": 60,
            "listeners": [plain, secure],
        }
        group = {
            "protocol": "HTTP",
            "used": True,
            "health_check": {"path": "/health", "timeout": 1},
            "targets": [("127.0.0.1", self._target)],
        }
        found = {"load_balancers": [balancer], "target_groups": {GROUP: group}}
        state.write_text(self._folder / "load-balancer.json", json.dumps(found))
        # The data plane looks at its file from time to time; a test wants it now.
        self._call(self._load())
        until(lambda: self._shows(certificate[0]), "the load balancer shows its certificate")

    @contextlib.contextmanager
    def aimed_at(self, port: int) -> Iterator[None]:
        """While it has another target."""
        before, patience = self._target, targets.CONNECT_SECONDS
        targets.CONNECT_SECONDS = CONNECT_SECONDS
        self._aim(port)
        try:
            yield
        finally:
            targets.CONNECT_SECONDS = patience
            self._aim(before)

    def _aim(self, port: int) -> None:
        self._target = port
        self.configure(self._certificate)

    async def _load(self) -> None:
        self._server.load()

    def _shows(self, certificate: Path) -> bool:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        with (
            socket.create_connection(("127.0.0.1", self.https_port), DEADLINE_SECONDS) as raw,
            context.wrap_socket(raw, server_hostname=HOST) as secured,
        ):
            return secured.getpeercert(True) == ssl.PEM_cert_to_DER_cert(certificate.read_text())

    def close(self) -> None:
        """End it and its thread."""
        self._call(self._server.stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(DEADLINE_SECONDS)
        self._loop.close()
