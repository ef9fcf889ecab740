# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Startup, readiness and liveness probes: what they ask, when they are due and what their results add up to."""

from __future__ import annotations

import http.client
import socket
import ssl
import subprocess
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

from sandbox import network
from sandbox.controlplane.client import Object

# A machine of two cores that starts thirty pods answers late now and then; a real node seldom does.
SHORTEST_TIMEOUT_SECONDS = 3
POOL = ThreadPoolExecutor(16, thread_name_prefix="probe")
# Runs a command in the container: (command, timeout in seconds) -> (exit status, output).
Execute = Callable[[list[str], float], tuple[int, str]]


class Probe:
    """One probe of one running container. `result` is None until a threshold was reached."""

    def __init__(self, spec: Object, container: Object, address: str, execute: Execute) -> None:
        self._spec, self._container, self._address, self._execute = spec, container, address, execute
        self._due = time.monotonic() + spec.get("initialDelaySeconds", 0)
        self._future: Future[str | None] | None = None
        self._passed = self._failed = 0
        self.result: bool | None = None

    def step(self) -> str | None:
        """Go on without waiting; the text of a failure when one has just happened."""
        if self._future is None:
            if time.monotonic() >= self._due:
                self._due = time.monotonic() + self._spec.get("periodSeconds", 10)
                self._future = POOL.submit(self._ask)
            return None
        if not self._future.done():
            return None
        problem, self._future = self._future.result(), None
        self._count(problem)
        return problem

    def _count(self, problem: str | None) -> None:
        self._passed, self._failed = (self._passed + 1, 0) if problem is None else (0, self._failed + 1)
        if self._passed >= self._spec.get("successThreshold", 1):
            self.result = True
        elif self._failed >= self._spec.get("failureThreshold", 3):
            self.result = False

    def _ask(self) -> str | None:
        timeout = max(self._spec.get("timeoutSeconds", 1), SHORTEST_TIMEOUT_SECONDS)
        if "httpGet" in self._spec:
            return self._http(self._spec["httpGet"], timeout)
        if "exec" in self._spec:
            code, output = self._execute(self._spec["exec"]["command"], timeout)
            return None if code == 0 else f"command exited with {code}: {output}".strip()
        return self._tcp((self._spec.get("tcpSocket") or self._spec["grpc"])["port"], timeout)

    def _http(self, wanted: Object, timeout: float) -> str | None:
        scheme, path, port = wanted.get("scheme", "HTTP"), wanted.get("path", "/"), self._port(wanted["port"])
        url = f"{scheme.lower()}://{self._address}:{port}{path}"
        connection = _connection(scheme, network.loopback(self._address), network.real_port(port), timeout)
        headers = {item["name"]: item["value"] for item in wanted.get("httpHeaders", [])}
        try:
            connection.request("GET", path, headers={"User-Agent": "kube-probe/1.36", "Accept": "*/*", **headers})
            code = connection.getresponse().status
        except TimeoutError:
            return f'Get "{url}": context deadline exceeded (Client.Timeout exceeded while awaiting headers)'
        except (OSError, http.client.HTTPException) as error:
            return f'Get "{url}": dial tcp {self._address}:{port}: connect: {_reason(error)}'
        finally:
            connection.close()
        return None if 200 <= code < 400 else f"HTTP probe failed with statuscode: {code}"

    def _tcp(self, named: str | int, timeout: float) -> str | None:
        port = self._port(named)
        try:
            socket.create_connection((network.loopback(self._address), network.real_port(port)), timeout).close()
        except OSError as error:
            return f"dial tcp {self._address}:{port}: connect: {_reason(error)}"
        return None

    def _port(self, port: str | int) -> int:
        for item in self._container.get("ports", []):
            if item.get("name") == port:
                return int(item["containerPort"])
        return int(port)


def _connection(scheme: str, address: str, port: int, timeout: float) -> http.client.HTTPConnection:
    if scheme == "HTTPS":
        # The kubelet does not verify the certificate of a probe either.
        return http.client.HTTPSConnection(address, port, timeout=timeout, context=ssl._create_unverified_context())  # noqa: S323
    return http.client.HTTPConnection(address, port, timeout=timeout)


def _reason(error: Exception) -> str:
    return "connection refused" if isinstance(error, ConnectionRefusedError) else str(error)


def run(argv: list[str], env: dict[str, str], timeout: float) -> tuple[int, str]:
    """Run a command for an exec probe or a hook; 124 after a timeout."""
    try:
        done = subprocess.run(argv, env=env, capture_output=True, text=True, timeout=timeout, check=False)
    except subprocess.TimeoutExpired:
        return 124, f"command timed out after {timeout:g}s"
    except OSError as error:
        return 126, str(error)
    return done.returncode, (done.stdout + done.stderr)[-1000:]
