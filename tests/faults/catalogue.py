# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every fault that the probe must tell from the others: how it is made for real, and what the verdict has to be."""

from __future__ import annotations

import contextlib
import http.client
import http.server
import json
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from sandbox import state, supervisor
from sandbox.stores import clickhouse, postgres, redis
from tests.faults.balancer import HOST
from tests.faults.world import CLICKHOUSE_PASSWORD, CLUSTER, READER, REDIS_TOKEN, World, other_address
from tests.sandbox.langsmith.installation import until

#: A disk of its own without root: the server's data on a tmpfs of a mount namespace of its own.
SMALL_DISK = ("unshare", "-rm", "sh", "-c", 'mount -t tmpfs -o size=256m none "$0" && exec "$@"')
#: A disk that takes so many bytes a second, for which the rows of one run are seconds of work.
SLOW_INSERTS = "<max_local_write_bandwidth>2000</max_local_write_bandwidth>"
BACKLOG_TASKS = 40_000
#: The web page at a path of the API.
PAGE_FOR_API = "location = /api/v1/sessions { root /tmp/build; try_files $uri $uri/ /index.html; }"

Break = Callable[[World, dict[str, Any]], AbstractContextManager[None]]


@dataclass(frozen=True)
class Fault:
    """A fault by its name. ``broken`` makes it and may add options of the probe.

    ``layer`` is the verdict with a view from inside the cluster, ``outside`` the one without, the same where empty.
    """

    name: str
    layer: str
    broken: Break
    outside: str = ""
    options: dict[str, Any] = field(default_factory=dict)


@contextlib.contextmanager
def _nothing(_world: World, _options: dict[str, Any]) -> Iterator[None]:
    """A fault of the options alone."""
    yield


@contextlib.contextmanager
def _closed_port(_world: World, options: dict[str, Any]) -> Iterator[None]:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        options["connect_to"] = f"127.0.0.1:{taken.getsockname()[1]}"
        yield


@contextlib.contextmanager
def _silent_port() -> Iterator[int]:
    """A port whose queue is full takes no more handshakes and answers none, as behind a filter."""
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(socket.socket())
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        for _attempt in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(server.getsockname())
        yield server.getsockname()[1]


@contextlib.contextmanager
def _dropped_packets(_world: World, options: dict[str, Any]) -> Iterator[None]:
    with _silent_port() as port:
        options["connect_to"] = f"127.0.0.1:{port}"
        yield


@contextlib.contextmanager
def _dropped_behind_the_balancer(world: World, _options: dict[str, Any]) -> Iterator[None]:
    with _silent_port() as port, world.balancer.aimed_at(port):
        yield


@contextlib.contextmanager
def _expired_certificate(world: World, _options: dict[str, Any]) -> Iterator[None]:
    folder = world.folder / "expired"
    folder.mkdir(exist_ok=True)
    expired = replace(world.authority, folder=folder).issue(HOST, until=datetime.now(UTC) - timedelta(days=1))
    world.balancer.configure(expired)
    try:
        yield
    finally:
        world.balancer.configure(world.certificate)


def _blocked(*paths: str) -> Break:
    @contextlib.contextmanager
    def broken(world: World, _options: dict[str, Any]) -> Iterator[None]:
        world.balancer.configure(world.certificate, *paths)
        try:
            yield
        finally:
            world.balancer.configure(world.certificate)

    return broken


@contextlib.contextmanager
def _plain_http(world: World, options: dict[str, Any]) -> Iterator[None]:
    options["endpoint"] = f"http://{HOST}"
    options["connect_to"] = f"127.0.0.1:{world.balancer.http_port}"
    yield


def _without(service: str) -> Break:
    return lambda world, _options: world.services.without(service)


@contextlib.contextmanager
def _read_only_key(world: World, options: dict[str, Any]) -> Iterator[None]:
    options["api_key"] = world.keys["read"]
    yield


@contextlib.contextmanager
def _other_workspace(world: World, options: dict[str, Any]) -> Iterator[None]:
    options["workspace_id"] = world.workspaces["other"]
    yield


def _frontend_with(changed: str) -> Break:
    """The frontend with another line in the place of the one that bounds bodies, which is there once."""

    @contextlib.contextmanager
    def broken(world: World, _options: dict[str, Any]) -> Iterator[None]:
        path = world.folder / "nginx.conf"
        before = path.read_text(encoding="utf-8")
        path.write_text(before.replace("client_max_body_size 25M;", changed), encoding="utf-8")
        world.services.stop("frontend")
        world.services.start("frontend")
        try:
            yield
        finally:
            path.write_text(before, encoding="utf-8")
            world.services.stop("frontend")
            world.services.start("frontend")

    return broken


def _without_part(part: str, start: Callable[[World], object]) -> Break:
    @contextlib.contextmanager
    def broken(world: World, _options: dict[str, Any]) -> Iterator[None]:
        supervisor.stop(part)
        try:
            yield
        finally:
            start(world)

    return broken


@contextlib.contextmanager
def _redis_without_memory(world: World, _options: dict[str, Any]) -> Iterator[None]:
    """Redis at its bound, with nothing that it may evict: it answers reads and refuses writes."""
    config = state.read_json("stores/redis-faults/settings.json")["config_command"]
    before = world.redis.execute_command(config, "GET", "maxmemory*")
    try:
        world.redis.execute_command(config, "SET", "maxmemory", "1")
        world.redis.execute_command(config, "SET", "maxmemory-policy", "noeviction")
        yield
    finally:
        for name in (b"maxmemory", b"maxmemory-policy"):
            world.redis.execute_command(config, "SET", name, before[name])


@contextlib.contextmanager
def _reading_platform_backend(world: World, _options: dict[str, Any]) -> Iterator[None]:
    """platform-backend logs in to Redis as a user who may look and not touch."""
    rights = ("on", f">{REDIS_TOKEN}", "~*", "+@read", "+@connection", "+@transaction")
    world.redis.execute_command("ACL", "SETUSER", READER, *rights)
    port = state.port("redis-faults")
    address = f"rediss://127.0.0.1:{port}/0?username={READER}&password={REDIS_TOKEN}"
    with world.restarted("platform-backend", REDIS_DATABASE_URI=address):
        yield


@contextlib.contextmanager
def _full_disk(world: World, _options: dict[str, Any]) -> Iterator[None]:
    """Another ClickHouse at the same address, on a disk that is then filled to its last byte."""
    supervisor.stop("clickhouse")
    small = world.folder / "small"
    world.start_clickhouse(data="small", launcher=(*SMALL_DISK, str(small)))
    try:
        done = world.services.job("./ch_migration_entrypoint.sh")
        assert done.returncode == 0, done.stdout
        world.sql("CREATE TABLE filler (x String) ENGINE = MergeTree ORDER BY tuple()")
        for size in (4_000_000, 500_000, 50_000, 5_000, 500, 100):
            for _attempt in range(80):
                if world.sql(f"INSERT INTO filler SELECT randomString({size})"):
                    break
        yield
    finally:
        supervisor.stop("clickhouse")
        world.start_clickhouse()


@contextlib.contextmanager
def _slow_inserts(world: World, _options: dict[str, Any]) -> Iterator[None]:
    supervisor.stop("clickhouse")
    world.start_clickhouse(profile=SLOW_INSERTS)
    try:
        yield
    finally:
        supervisor.stop("clickhouse")
        world.start_clickhouse()


def _reading_worker(world: World, _options: dict[str, Any]) -> AbstractContextManager[None]:
    return world.restarted("ingest-queue", CLICKHOUSE_USER=READER, CLICKHOUSE_PASSWORD=CLICKHOUSE_PASSWORD)


@contextlib.contextmanager
def _backlog(world: World, _options: dict[str, Any]) -> Iterator[None]:
    """A long queue in front of a worker that gets a tenth of its processor."""
    world.services.stop("ingest-queue")
    _queue_tasks(world, BACKLOG_TASKS)
    world.services.start("ingest-queue")
    pid, over = world.services.processes["ingest-queue"].pid, threading.Event()

    def starve() -> None:
        while not over.wait(0.01):
            os.kill(pid, signal.SIGSTOP)
            over.wait(0.09)
            os.kill(pid, signal.SIGCONT)

    try:
        with _beside(starve):
            try:
                yield
            finally:
                over.set()
    finally:
        world.redis.flushall()


@contextlib.contextmanager
def _beside(work: Callable[[], None]) -> Iterator[None]:
    """Let a thread work beside the block, and wait for its end."""
    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        thread.join()


def _queue_tasks(world: World, count: int) -> None:
    """Tasks of runs that have expired: a worker takes them up and finds nothing to store."""
    message = json.dumps({"tenant_id": world.workspaces["own"], "run_ids": []})
    with world.redis.pipeline(transaction=False) as pipe:
        for number in range(count):
            task = f"backlog-{number}"
            pipe.hset(f"asynq:{{ingestion}}:t:{task}", mapping={"msg": message, "retried": 0})
            pipe.lpush("asynq:{ingestion}:pending", task)
        pipe.execute()


def _lost_patches(*endings: str) -> Break:
    """Redis loses the patches of runs whose names end so, before a worker comes to them."""

    @contextlib.contextmanager
    def broken(world: World, _options: dict[str, Any]) -> Iterator[None]:
        world.services.stop("ingest-queue")

        def lose() -> None:
            until(lambda: world.redis.llen("asynq:{ingestion}:pending") >= 4, "posts and patches wait in the queue")
            for key in world.redis.keys("smith:runs:*"):
                patch = world.redis.hget(key, "patch")
                if patch and json.loads(patch)["fields"]["name"].endswith(endings):
                    world.redis.hdel(key, "patch")
            world.services.start("ingest-queue")

        with _beside(lose):
            yield

    return broken


@contextlib.contextmanager
def two_servers(world: World) -> Iterator[str]:
    """The installation on two servers that copy what they take to each other; the address of the one it writes to.

    Reads go to both in turn.
    """
    first, second = hosts = (other_address(), other_address())
    parts = [f"clickhouse-{number}-of-2" for number in (1, 2)]
    try:
        for part, host in zip(parts, hosts, strict=True):
            world.start_clickhouse(part, host, copies=hosts)
        done = world.services.job("./ch_migration_entrypoint.sh", CLICKHOUSE_HOST=first, CLICKHOUSE_CLUSTER=CLUSTER)
        assert done.returncode == 0, done.stdout
        with contextlib.ExitStack() as stack:
            port = stack.enter_context(_in_turn(first, second))
            stack.enter_context(world.restarted("ingest-queue", CLICKHOUSE_HOST=first))
            stack.enter_context(world.restarted("backend", CLICKHOUSE_HOST="127.0.0.1", CLICKHOUSE_PORT=str(port)))
            yield first
    finally:
        for part in parts:
            supervisor.stop(part)


@contextlib.contextmanager
def _replica_behind(world: World, _options: dict[str, Any]) -> Iterator[None]:
    with two_servers(world) as written:
        refusal = world.sql("SYSTEM STOP DISTRIBUTED SENDS sandbox_copies.runs", host=written)
        assert not refusal, refusal
        yield


@contextlib.contextmanager
def _in_turn(*hosts: str) -> Iterator[int]:
    """The port of a balancer that passes each request to the next of several ClickHouse servers."""
    turn = {"next": 0}

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            turn["next"] += 1
            body = self.rfile.read(int(self.headers["Content-Length"]))
            connection = http.client.HTTPConnection(hosts[turn["next"] % len(hosts)], clickhouse.HTTP_PORT, timeout=60)
            kept = {name: self.headers[name] for name in ("X-ClickHouse-User", "X-ClickHouse-Key")}
            connection.request("POST", self.path, body, kept)
            answer = connection.getresponse()
            content = answer.read()
            connection.close()
            self.send_response(answer.status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Tests print nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield server.server_port
        finally:
            server.shutdown()


#: In the order of the stages.
FAULTS: tuple[Fault, ...] = (
    Fault(
        "a name that does not resolve", "dns", _nothing, options={"endpoint": "https://a.invalid", "connect_to": None}
    ),
    Fault("a closed port", "load-balancer", _closed_port),
    Fault("dropped packets", "security-group", _dropped_packets, options={"connect_timeout": 6.0}),
    Fault("an expired certificate", "certificate", _expired_certificate),
    Fault("a firewall that blocks everything", "waf", _blocked("/*")),
    Fault("a firewall that blocks ingestion", "waf", _blocked("/api/v1/runs/multipart")),
    Fault("a redirect from http", "load-balancer", _plain_http),
    Fault("frontend stopped", "frontend", _without("frontend")),
    Fault("packets dropped behind the load balancer", "security-group", _dropped_behind_the_balancer, "unknown"),
    Fault("platform-backend stopped", "platform-backend", _without("platform-backend")),
    Fault("backend stopped", "backend", _without("backend")),
    Fault("a web page in the place of the API", "endpoint", _frontend_with(PAGE_FOR_API)),
    Fault("a wrong key", "auth", _nothing, options={"api_key": "lsv2_sk_of_nobody"}),
    Fault("a read-only key", "auth", _read_only_key),
    Fault("a wrong workspace", "workspace", _other_workspace),
    Fault("Postgres stopped", "postgres", _without_part("postgres-faults", lambda _: postgres.start("faults"))),
    Fault("ClickHouse stopped", "clickhouse-read", _without_part("clickhouse", World.start_clickhouse)),
    Fault("Redis stopped", "redis", _without_part("redis-faults", lambda _: redis.start("faults"))),
    Fault("Redis without memory", "redis", _redis_without_memory),
    Fault("platform-backend that may not write to Redis", "platform-backend", _reading_platform_backend),
    Fault("a limit on bodies", "frontend", _frontend_with("client_max_body_size 32k;")),
    Fault("a bucket that may not be written", "blob-write", lambda world, _: world.policy("s3:PutObject")),
    Fault("a bucket that may not be read", "blob-read", lambda world, _: world.policy("s3:GetObject")),
    Fault("workers stopped", "ingest-workers", _without("ingest-queue"), "unknown", {"wait_timeout": 4.0}),
    Fault("a queue too long for its worker", "backlog", _backlog, "unknown", {"wait_timeout": 6.0}),
    Fault("a full disk of ClickHouse", "clickhouse-write", _full_disk, "", {"wait_timeout": 15.0}),
    Fault("a worker whose user only reads", "clickhouse-write", _reading_worker, "unknown", {"wait_timeout": 15.0}),
    Fault(
        "slow inserts",
        "clickhouse-write",
        _slow_inserts,
        "unknown",
        {"wait_timeout": 40.0, "thresholds": {"visible": 2.0, "queue_delay": 2.0}},
    ),
    Fault("a lost patch", "lost-patch", _lost_patches("probe", "step"), "", {"wait_timeout": 20.0}),
    Fault("a lost patch of the child alone", "lost-patch", _lost_patches("step"), "", {"wait_timeout": 20.0}),
    Fault("a replica that is behind", "replica-lag", _replica_behind, "", {"wait_timeout": 10.0}),
)


def run(world: World, fault: Fault, inside: bool = True) -> dict[str, Any]:
    """Break, probe, mend, and wait until all is well; the probe's result."""
    options = dict(fault.options)
    with fault.broken(world, options):
        result = world.probe(inside, **options)
    world.heal()
    return result


def expected(fault: Fault, inside: bool) -> str:
    """The verdict that a fault has to get."""
    return fault.layer if inside else fault.outside or fault.layer
