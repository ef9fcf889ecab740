# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Real ClickHouse servers for tests: one or several that know each other as a cluster, on loopback addresses."""

from __future__ import annotations

import http.client
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from sandbox.stores import clickhouse as store

REPOSITORY = Path(__file__).parents[2]
START_SECONDS = 180

_SYSTEM_TABLES = "SELECT name, engine FROM system.tables WHERE database = 'system'"

USER, PASSWORD = "langsmith", "pa55-word-of-langsmith"


@dataclass(frozen=True)
class Setup:
    """What the servers of a test are: ``config`` and ``profile`` are XML of the server and of the users' profile.

    ``users`` are users beside the administrator, by name, each with its password and a list of GRANT statements; they
    may read only and change no setting (readonly = 1). ``writers`` are the same without that, ``roles`` what such a
    statement may name. ``launcher`` are words before the engine's own, as of a program
    that makes a small disk first; ``{folder}`` in them is the server's folder.
    """

    nodes: int = 1
    cluster: str = "replicated"
    config: str = ""
    profile: str = ""
    users: Mapping[str, tuple[str, Sequence[str]]] = field(default_factory=dict)
    writers: Mapping[str, tuple[str, Sequence[str]]] = field(default_factory=dict)
    roles: Mapping[str, Sequence[str]] = field(default_factory=dict)
    logs: Sequence[str] = ("query_log", "part_log")
    launcher: Sequence[str] = ()


@dataclass
class Server:
    """A server that runs, and its administrator's way in."""

    address: str
    folder: Path
    process: subprocess.Popen[bytes]
    argv: Sequence[str] = ()

    @property
    def url(self) -> str:
        """Where its HTTP interface is."""
        return f"http://{self.address}:{store.HTTP_PORT}"

    @property
    def subject(self) -> str:
        """What findings call it."""
        return f"{self.address}:{store.HTTP_PORT}"

    def ask(self, statement: str, user: str = USER, password: str = PASSWORD, timeout: float = 120) -> tuple[int, str]:
        """The status and the text of the answer to a statement."""
        connection = http.client.HTTPConnection(self.address, store.HTTP_PORT, timeout=timeout)
        try:
            headers = {"X-ClickHouse-User": user, "X-ClickHouse-Key": password}
            connection.request("POST", "/", body=statement.encode(), headers=headers)
            response = connection.getresponse()
            return response.status, response.read().decode().strip()
        finally:
            connection.close()

    def sql(self, statement: str, **login: Any) -> str:
        """The text of the answer to a statement, which must succeed."""
        status, text = self.ask(statement, **login)
        assert status == 200, f"{statement}: {text}"
        return text

    def inject(self, table: str, columns: str, rows: Sequence[Mapping[str, Any]] = ()) -> None:
        """Put a table of the test's own in the place of a system table."""
        name = table.removeprefix("system.")
        engines = dict(line.split("\t") for line in self.sql(_SYSTEM_TABLES).splitlines())
        if name in engines:
            self.sql(f"{'DROP' if engines[name] == 'Memory' else 'DETACH'} TABLE system.{name} SYNC")
        self.sql(f"CREATE TABLE system.{name} ({columns}) ENGINE = Memory")
        if rows:
            lines = "\n".join(json.dumps(row) for row in rows)
            self.sql(f"INSERT INTO system.{name} FORMAT JSONEachRow\n{lines}")

    def answers(self) -> bool:
        """Whether it answers by now."""
        try:
            return self.ask("SELECT 1", timeout=5) == (200, "1")
        except OSError:
            return False

    def freeze(self) -> None:
        """Let it hang: it keeps its connections and answers nothing."""
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        self.process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        """End it at once, as a node that is lost."""
        self.process.kill()
        self.process.wait(timeout=60)

    def restart(self) -> None:
        """End it and start it again on its data."""
        self.stop()
        self.process = _spawn(self.argv, self.folder)
        _await(self)


@contextmanager
def running(folder: Path, setup: Setup | None = None) -> Iterator[list[Server]]:
    """The servers until the end of the block."""
    setup = setup or Setup()
    store.fetch()
    third = secrets.randbelow(250)
    # A loopback address of its own for each, as pods have, so that the fixed ports are free.
    addresses = [_address(third, number + 1) for number in range(setup.nodes)]
    servers = [_start(folder / f"node-{number}", setup, addresses, number) for number in range(setup.nodes)]
    try:
        for server in servers:
            _await(server)
        yield servers
    finally:
        for server in servers:
            server.stop()


def _address(third: int, fourth: int) -> str:
    """A loopback address at which no other server listens."""
    while True:
        address = f"127.{130 + secrets.randbelow(100)}.{third}.{fourth}"
        with socket.socket() as sock:
            if sock.connect_ex((address, store.HTTP_PORT)):
                return address


def _start(folder: Path, setup: Setup, addresses: Sequence[str], number: int) -> Server:
    (folder / "empty").mkdir(parents=True)
    (folder / "data").mkdir()
    (folder / "users.xml").write_text(_users(setup))
    (folder / "config.xml").write_text(_config(setup, folder, addresses, number))
    os.mkfifo(folder / "hold")
    launcher = [word.replace("{folder}", str(folder)) for word in setup.launcher]
    argv = [*launcher, sys.executable, "-m", "sandbox.stores.clickhouse", "engine"]
    argv += [str(folder), addresses[number], str(folder / "data"), "default"]
    return Server(addresses[number], folder, _spawn(argv, folder), argv)


def _spawn(argv: Sequence[str], folder: Path) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    with (folder / "log").open("ab") as log:
        # The engine would read a config.xml of its working folder.
        return subprocess.Popen(argv, cwd=folder / "empty", env=environment, stdout=log, stderr=log)


def _await(server: Server) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not server.answers():
        told = (server.folder / "log").read_text()[-2000:]
        assert server.process.poll() is None, told
        assert time.monotonic() < deadline, f"no answer after {START_SECONDS} s: {told}"
        time.sleep(0.05)


def _users(setup: Setup) -> str:
    # The engine's own session, which opens the listeners, is the user default with no password.
    users = "<default><password></password><networks><ip>::/0</ip></networks><profile>engine</profile></default>"
    users += _user(USER, PASSWORD, "default", "<access_management>1</access_management>")
    for profile, known in (("readers", setup.users), ("default", setup.writers)):
        for name, (password, grants) in known.items():
            users += _user(name, password, profile, _grants(grants))
    roles = "".join(f"<{name}>{_grants(grants)}</{name}>" for name, grants in setup.roles.items())
    return f"""<clickhouse>
  <profiles>
    <engine/>
    <default>{setup.profile}</default>
    <readers>{setup.profile}<readonly>1</readonly></readers>
  </profiles>
  <quotas><default/></quotas>
  <roles>{roles}</roles>
  <users>{users}</users>
</clickhouse>"""


def _grants(statements: Sequence[str]) -> str:
    return f"<grants>{''.join(f'<query>{escape(statement)}</query>' for statement in statements)}</grants>"


def _user(name: str, password: str, profile: str, rights: str) -> str:
    return (
        f"<{name}><password>{escape(password)}</password><networks><ip>::/0</ip></networks>"
        f"<profile>{profile}</profile><quota>default</quota>{rights}</{name}>"
    )


def _config(setup: Setup, folder: Path, addresses: Sequence[str], number: int) -> str:
    replicas = "".join(
        f"<replica><host>{address}</host><port>{store.TCP_PORT}</port><user>{USER}</user>"
        f"<password>{PASSWORD}</password></replica>"
        for address in addresses
    )
    logs = "".join(
        f"<{log}><database>system</database><table>{log}</table><flush_interval_milliseconds>500"
        f"</flush_interval_milliseconds><ttl>event_date + INTERVAL 7 DAY DELETE</ttl></{log}>"
        for log in setup.logs
    )
    return f"""<clickhouse>
  <listen_host>{addresses[number]}</listen_host>
  <http_port>{store.HTTP_PORT}</http_port>
  <tcp_port>{store.TCP_PORT}</tcp_port>
  <path>{escape(str(folder))}/data/</path>
  <users_config>{escape(str(folder))}/users.xml</users_config>
  <remote_servers>
    <{setup.cluster}><shard><internal_replication>true</internal_replication>{replicas}</shard></{setup.cluster}>
  </remote_servers>
  <macros><cluster>{setup.cluster}</cluster><shard>0</shard><replica>node-{number}</replica></macros>
  <logger><level>warning</level><console>1</console></logger>
  <mark_cache_size>134217728</mark_cache_size>
  {logs}
  {setup.config}
</clickhouse>"""
