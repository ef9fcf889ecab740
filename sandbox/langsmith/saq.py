# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stand-in for queue, the SAQ worker that runs rules and clocked jobs (port 8080), and for its `saq --check`."""

from __future__ import annotations

import os
import socket
import threading
import time
from typing import Any

from sandbox.langsmith import environment, log, startup, web
from sandbox.langsmith.resp import Redis, RedisError
from sandbox.langsmith.web import Response

PORT = 8080
DEFAULT = "default"
BEAT_SECONDS = 5.0
LIFETIME_SECONDS = 60


def _key(name: str, kind: str) -> str:
    return f"saq:{name}:{kind}"


def depth(redis: Redis, name: str) -> dict[str, int]:
    """How many jobs a queue holds."""
    queued, active, scheduled = redis.pipeline(
        [("LLEN", _key(name, "queued")), ("LLEN", _key(name, "active")), ("ZCARD", _key(name, "incomplete"))]
    )
    return {"queued": queued, "active": active, "scheduled": scheduled}


def _beat(redis: Redis, stopping: threading.Event) -> None:
    worker = f"{socket.gethostname()}-{os.getpid()}"
    while True:
        try:
            redis.pipeline(
                [
                    ("ZADD", _key(DEFAULT, "workers"), time.time() + LIFETIME_SECONDS, worker),
                    ("ZREMRANGEBYSCORE", _key(DEFAULT, "workers"), "-inf", time.time()),
                    # Rules have nothing to do here; a job that someone queues is taken and forgotten.
                    ("RPOP", _key(DEFAULT, "queued")),
                ]
            )
        except RedisError as exc:
            log.error("queue is not reachable", queue=DEFAULT, error=str(exc))
        if stopping.wait(BEAT_SECONDS):
            return


def check() -> int:
    """Whether any worker has been heard of lately: 0 or 1, with the reason in the log."""
    try:
        redis = Redis.from_environment()
        workers: Any = redis("ZCOUNT", _key(DEFAULT, "workers"), time.time(), "+inf")
    except RedisError as exc:
        log.error("health check failed", error=str(exc))
        return 1
    if not workers:
        log.error("health check failed", error="no worker has reported")
        return 1
    return 0


def main() -> int:
    """Work until told to stop."""
    environment.secrets()
    redis = startup.redis()
    startup.postgres()
    startup.clickhouse()
    stopping = threading.Event()
    threading.Thread(target=_beat, args=(redis, stopping), daemon=True).start()
    router = web.Router()
    router.add("GET", "/health", lambda _: Response({"status": "ok"}))
    return web.run([web.Server(environment.address(default=PORT), router)], stopping.set)
