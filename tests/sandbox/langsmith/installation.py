# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""LangSmith's stand-in processes on real stores, as the chart would start them, without Kubernetes."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sandbox import state

REPOSITORY = Path(__file__).resolve().parents[3]
DEADLINE_SECONDS = 120.0
ADMIN_EMAIL = "admin@example.org"
ADMIN_PASSWORD = "Correct-Horse-7-Battery"
BUCKET = "acme-blobs"
# Container's command, the variable that names its port, the path of its probe.
SERVICES = {
    "platform-backend": (["smith_go_entrypoint.sh"], "PORT", "/ok"),
    "backend": (["langsmith-backend", "./entrypoint.sh"], "PORT", "/health"),
    "ingest-queue": (["asynq_worker_entrypoint.sh"], "QUEUE_PORT", "/health"),
    "queue": (["./queue_entrypoint.sh"], "PORT", "/health"),
    "playground": (["smith_playground_entrypoint.sh"], "PORT", "/ok"),
    "ace-backend": (["langsmith-ace-backend", "./entrypoint.sh"], "PORT", "/ok"),
    "frontend": (["/entrypoint.sh"], "PORT", "/health"),
}
# nginx.conf with the routes that decide which service answers; the chart's own has more of the same kind.
NGINX = """
server {
    listen %(frontend)s;
    client_max_body_size 25M;
    location / { root /tmp/build; try_files $uri $uri/ /index.html; }
    location = /health { access_log off; return 200; }
    location /api/v1/playground/ { rewrite /api/v1/(.*) /$1 break; proxy_pass %(playground_url)s; }
    location /api/v2/ { rewrite /api/v2/(.*) /v2/$1 break; proxy_pass %(platform_url)s; }
    location = /api/v1/runs/multipart { rewrite /api/v1/(.*) /$1 break; proxy_pass %(platform_url)s; }
    location = /api/v1/runs/batch { rewrite /api/v1/(.*) /$1 break; proxy_pass %(platform_url)s; }
    location = /api/v1/runs { rewrite /api/v1/runs /runs break; proxy_pass %(platform_url)s; }
    location = /api/v1/info { rewrite /api/v1/info /info break; proxy_pass %(platform_url)s; }
    location = /api/v1/me { rewrite /api/v1/me /me break; proxy_pass %(platform_url)s; }
    location = /api/v1/public/download { rewrite /api/v1/public/(.*) /public/$1 break; proxy_pass %(platform_url)s; }
    location /api/v1 { proxy_pass %(backend_url)s; }
}
"""


def until(condition: Callable[[], Any], what: str, seconds: float = DEADLINE_SECONDS) -> Any:
    """Poll until the condition gives something true; AssertionError names what was waited for."""
    deadline = time.monotonic() + seconds
    while True:
        found = condition()
        if found:
            return found
        assert time.monotonic() < deadline, f"{what}: not within {seconds:g} s"
        time.sleep(0.05)


def call(
    port: int,
    method: str,
    path: str,
    body: object = None,
    headers: dict[str, str] | None = None,
) -> tuple[int, Any, dict[str, str]]:
    """One request on the loopback: status, body (parsed when it is JSON), headers in lower case."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    data = body if isinstance(body, bytes) else None if body is None else json.dumps(body).encode()
    try:
        connection.request(method, path, data, {"Content-Type": "application/json", **(headers or {})})
        answer = connection.getresponse()
        read = answer.read()
    finally:
        connection.close()
    found = {name.lower(): value for name, value in answer.getheaders()}
    if found.get("content-type", "").startswith("application/json"):
        return answer.status, json.loads(read), found
    return answer.status, read, found


@dataclass
class Installation:
    """The processes of one installation and the environment that they share."""

    folder: Path
    environment: dict[str, str]
    ports: dict[str, int] = field(default_factory=dict)
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def job(self, *words: str, **changed: str) -> subprocess.CompletedProcess[str]:
        """Run a container that ends; its output is kept."""
        return subprocess.run(
            [sys.executable, "-m", "sandbox.langsmith", *words],
            env={**self.environment, **changed},
            cwd=REPOSITORY,
            capture_output=True,
            text=True,
            timeout=DEADLINE_SECONDS * 2,
            check=False,
        )

    def start(self, name: str, **changed: str) -> None:
        """Start a service and wait until its probe succeeds."""
        words, variable, _ = SERVICES[name]
        port = self.ports.setdefault(name, state.port(f"langsmith-{name}"))
        with self.log(name).open("ab") as log:
            self.processes[name] = subprocess.Popen(
                [sys.executable, "-m", "sandbox.langsmith", *words],
                env={**self.environment, variable: str(port), **changed},
                cwd=REPOSITORY,
                stdout=log,
                stderr=log,
            )
        until(lambda: self.healthy(name), f"{name} is healthy")

    def healthy(self, name: str) -> bool:
        """Whether the service's probe succeeds; AssertionError when its process has ended."""
        code = self.processes[name].poll()
        assert code is None, f"{name} ended with {code}:\n{self.log(name).read_text()[-2000:]}"
        with contextlib.suppress(OSError, http.client.HTTPException):
            return call(self.ports[name], "GET", SERVICES[name][2])[0] == 200
        return False

    def stop(self, name: str) -> int:
        """End a service as the kubelet does; its exit code."""
        process = self.processes.pop(name)
        process.terminate()
        return process.wait(DEADLINE_SECONDS)

    def log(self, name: str) -> Path:
        """What a service wrote."""
        return self.folder / f"{name}.log"

    def stop_all(self) -> None:
        """End everything that runs."""
        for name in reversed(list(self.processes)):
            self.stop(name)

    @contextlib.contextmanager
    def without(self, name: str) -> Iterator[None]:
        """The installation while one service is down."""
        self.stop(name)
        try:
            yield
        finally:
            self.start(name)

    def api(self, method: str, path: str, body: object = None, **headers: str) -> tuple[int, Any, dict[str, str]]:
        """A request through the frontend."""
        shown = {name.replace("_", "-"): value for name, value in headers.items()}
        return call(self.ports["frontend"], method, path, body, shown)

    def write_nginx(self) -> None:
        """The frontend's configuration for the ports of this installation."""
        for name in SERVICES:
            self.ports.setdefault(name, state.port(f"langsmith-{name}"))
        text = NGINX % {
            "frontend": self.ports["frontend"],
            "platform_url": f"http://127.0.0.1:{self.ports['platform-backend']}",
            "backend_url": f"http://127.0.0.1:{self.ports['backend']}",
            "playground_url": f"http://127.0.0.1:{self.ports['playground']}",
        }
        path = self.folder / "nginx.conf"
        path.write_text(text)
        volumes = {"/etc/nginx/conf.d/default.conf": str(path)}
        self.environment["SANDBOX_VOLUMES"] = json.dumps(volumes)
        self.environment["GO_ENDPOINT"] = f"http://127.0.0.1:{self.ports['platform-backend']}"
        self.environment["SMITH_BACKEND_ENDPOINT"] = f"http://127.0.0.1:{self.ports['backend']}"


def environment(postgres: str, redis: str, clickhouse: tuple[str, int, str, str], s3_url: str) -> dict[str, str]:
    """What the chart puts into the containers, for stores at these places."""
    host, port, user, password = clickhouse
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return {
        **kept,
        "PYTHONPATH": str(REPOSITORY),
        "POSTGRES_DATABASE_URI": postgres,
        "REDIS_DATABASE_URI": redis,
        "CLICKHOUSE_HOST": host,
        "CLICKHOUSE_PORT": str(port),
        "CLICKHOUSE_NATIVE_PORT": "9000",
        "CLICKHOUSE_USER": user,
        "CLICKHOUSE_PASSWORD": password,
        "CLICKHOUSE_DB": "default",
        "CLICKHOUSE_TLS": "false",
        "CLICKHOUSE_CLUSTER": "",
        "LANGSMITH_LICENSE_KEY": "license",
        "API_KEY_SALT": "salt-of-this-test",
        "X_SERVICE_AUTH_JWT_SECRET": "salt-of-this-test",
        "BASIC_AUTH_ENABLED": "true",
        "BASIC_AUTH_JWT_SECRET": "jwt-secret-of-this-test",
        "INITIAL_ORG_ADMIN_EMAIL": ADMIN_EMAIL,
        "INITIAL_ORG_ADMIN_PASSWORD": ADMIN_PASSWORD,
        "INITIAL_ORG_NAME": "Default",
        "DEFAULT_WORKSPACE_NAME": "Workspace 1",
        "FF_BLOB_STORAGE_ENABLED": "true",
        "BLOB_STORAGE_ENGINE": "S3",
        "MIN_BLOB_STORAGE_SIZE_KB": "20",
        "S3_BUCKET_NAME": BUCKET,
        "S3_API_URL": s3_url,
        "S3_ACCESS_KEY": "test",
        "S3_ACCESS_KEY_SECRET": "test",
        "FF_TRACE_TIERS_ENABLED": "true",
        "TRACE_TIER_TTL_DURATION_SEC_MAP": '{ "longlived": 34560000, "shortlived": 1209600 }',
        "REDIS_RUNS_EXPIRY_SECONDS": "21600",
        "SANDBOX_CONNECT_SECONDS": "20",
    }
