# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import contextlib
import json
import os
import secrets
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import psycopg
import pytest
import redis as redis_client
import requests

from sandbox import pki, state, supervisor
from sandbox.stores import clickhouse, postgres, redis

REPOSITORY = Path(__file__).parents[3]
PASSWORD = 'it\'s a "password"'
# For what takes a moment, however busy the machine is.
SECONDS = 60


@pytest.fixture(autouse=True)
def _own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv(state.FOLDER_VARIABLE, str(tmp_path / "state"))
    yield
    for part in supervisor.running():
        supervisor.stop(part.name)
    while _servers:
        server = _servers.pop()
        if server.poll() is None:
            server.terminate()
            server.wait(SECONDS)


def until(condition: Callable[[], Any], seconds: float = 2 * SECONDS) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true"
        time.sleep(0.05)


def connect(port: int, password: str = PASSWORD, **more: Any) -> psycopg.Connection[Any]:
    authority = str(pki.authority().certificate_file)
    given = {"sslmode": "verify-full", "sslrootcert": authority, "connect_timeout": SECONDS, **more}
    return psycopg.connect(
        host="127.0.0.1", port=port, user="langsmith", dbname="langsmith", password=password, autocommit=True, **given
    )


def test_postgres_takes_tls_and_the_right_password_only() -> None:
    postgres.configure("a", "16.10", "langsmith", PASSWORD, "langsmith")
    port = postgres.start("a")
    with connect(port) as connection:
        found = connection.execute(
            "SELECT current_setting('server_version'), rolsuper FROM pg_roles WHERE rolname = user"
        )
        assert found.fetchone() == (postgres.version(16), False)
    for change, message in (
        ({"password": "wrong"}, "password authentication failed"),
        ({"sslmode": "disable"}, "no encryption"),
        ({"user": "rdsadmin"}, "password authentication failed"),
    ):
        given: dict[str, Any] = {"user": "langsmith", "password": PASSWORD, **change}
        with pytest.raises(psycopg.OperationalError, match=message):
            psycopg.connect(host="127.0.0.1", port=port, dbname="langsmith", **given)


def test_postgres_keeps_data_and_a_changed_password_over_a_restart() -> None:
    postgres.configure("b", "16.10", "langsmith", PASSWORD, "langsmith")
    with connect(postgres.start("b")) as connection:
        connection.execute("CREATE TABLE kept (i int)")
    postgres.set_password("b", "langsmith", "another")
    postgres.stop("b")
    assert supervisor.running() == []
    with connect(postgres.start("b"), "another") as connection:
        assert connection.execute("SELECT count(*) FROM kept").fetchone() == (0,)


def test_the_extensions_that_are_said_to_be_missing_are_missing() -> None:
    share = postgres.binaries(16).parent / "share" / "postgresql" / "extension"
    assert not [name for name in postgres.MISSING if (share / f"{name}.control").exists()]


@pytest.mark.parametrize(("asked", "build"), [("15.10", 16), ("16.10", 16), ("17.5", 16), ("18.1", 18)])
def test_the_nearest_build_stands_for_a_version(asked: str, build: int) -> None:
    assert postgres.major(asked) == build


def test_no_password_is_in_the_arguments_of_a_process() -> None:
    redis.configure("secret", ["token-in-no-argument"], tls=True)
    redis.start("secret")
    lines = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        # Processes of others come and go.
        with contextlib.suppress(OSError):
            lines.append(path.read_bytes())
    assert not [line for line in lines if b"token-in-no-argument" in line]


def test_redis_takes_tls_and_its_token_only_and_lacks_what_elasticache_lacks() -> None:
    redis.configure("a", ["first-token"], tls=True)
    given: dict[str, Any] = {"host": "127.0.0.1", "port": redis.start("a"), "socket_timeout": SECONDS}
    tls: dict[str, Any] = {"ssl": True, "ssl_ca_certs": str(pki.authority().certificate_file)}
    with redis_client.Redis(**given, **tls, password="first-token") as client:
        assert client.set("key", "value")
        assert client.info()["redis_version"] == redis.version()
        for command in ("CONFIG", "SHUTDOWN", "DEBUG"):
            with pytest.raises(redis_client.ResponseError, match="unknown command"):
                client.execute_command(command, "x")
    with pytest.raises(redis_client.AuthenticationError):
        redis_client.Redis(**given, **tls, password="wrong").ping()
    with pytest.raises(redis_client.ConnectionError):
        redis_client.Redis(**given, password="first-token").ping()
    redis.stop("a")
    redis.start("a")
    assert redis_client.Redis(**given, **tls, password="first-token").get("key") == b"value"


def test_a_rotated_token_is_accepted_beside_the_old_one_and_after_a_restart() -> None:
    redis.configure("b", ["old"], tls=False)
    port = redis.start("b")
    redis.set_tokens("b", ["new", "old"])
    redis.stop("b")
    redis.start("b")
    for token in ("new", "old"):
        assert redis_client.Redis(host="127.0.0.1", port=port, password=token).ping()


_servers: list[subprocess.Popen[bytes]] = []


class ClickHouse:
    """A pod's server, as the pods part runs it; `files` are mounted files by their paths in the container."""

    def __init__(self, folder: Path, user: str, files: Mapping[str, Path] | None = None) -> None:
        self.address = f"127.{state.share(range(128, 150))[0]}.{secrets.randbelow(256)}.7"
        self.user = user
        environment = {"CLICKHOUSE_USER": user, "CLICKHOUSE_PASSWORD": PASSWORD, "CLICKHOUSE_DB": "langsmith"}
        mounted = {path: str(file) for path, file in (files or {}).items()}
        volumes = json.dumps({"/var/lib/clickhouse": str(folder), **mounted})
        environment |= {"SANDBOX_POD_IP": self.address, "SANDBOX_VOLUMES": volumes}
        poor = {"poor": {"password": "p", "grants": ["GRANT SELECT ON system.one"]}}
        environment[clickhouse.USERS_VARIABLE] = json.dumps(poor)
        argv = [sys.executable, "-m", "sandbox.stores.clickhouse", "pod"]
        self.process = subprocess.Popen(argv, cwd=REPOSITORY, env={**os.environ, **environment})
        _servers.append(self.process)
        until(self._answers)

    def _answers(self) -> bool:
        assert self.process.poll() is None
        try:
            return requests.get(f"http://{self.address}:8123/ping", timeout=5).text == "Ok.\n"
        except requests.RequestException:
            return False

    def query(self, text: str, user: str | None = None, password: str = PASSWORD) -> str:
        auth = (user or self.user, password)
        return requests.post(f"http://{self.address}:8123/", data=text, auth=auth, timeout=SECONDS).text.strip()

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(SECONDS)


@pytest.mark.skipif(not clickhouse.library_path().exists(), reason="ClickHouse has not been fetched")
@pytest.mark.parametrize("user", ["langsmith", "default"])
def test_clickhouse_is_a_real_server_that_keeps_its_tables(tmp_path: Path, user: str) -> None:
    first = ClickHouse(tmp_path, user)
    assert first.query("SELECT version() LIKE '26.7.2%', currentUser()") == f"1\t{user}"
    assert first.query("CREATE TABLE langsmith.kept (i Int32) ENGINE = MergeTree ORDER BY i") == ""
    assert "Authentication failed" in first.query("SELECT 1", password="wrong")
    for name in ("default", user):
        assert "Authentication failed" in first.query("SELECT 1", user=name, password="")
    assert "Authentication failed" in requests.get(f"http://{first.address}:8123/?query=SELECT+1", timeout=SECONDS).text
    assert "ACCESS_DENIED" in first.query("SELECT * FROM langsmith.kept", user="poor", password="p")
    assert first.stop() == 0
    second = ClickHouse(tmp_path, user)
    assert second.query("SELECT count() FROM langsmith.kept") == "0"
    assert second.query("SYSTEM FLUSH LOGS") == ""
    assert "TTL event_date" in second.query("SELECT create_table_query FROM system.tables WHERE name = 'query_log'")
    assert second.query("SELECT count() > 0 FROM system.macros") == "1"
    assert second.stop() == 0


@pytest.mark.skipif(not clickhouse.library_path().exists(), reason="ClickHouse has not been fetched")
def test_the_files_that_a_pod_mounts_are_in_force(tmp_path: Path) -> None:
    users, logs = tmp_path / "users.xml", tmp_path / "telemetry.xml"
    users.write_text(
        "<clickhouse><users><default><profile>default</profile></default></users>"
        "<profiles><default><wait_for_async_insert>0</wait_for_async_insert></default></profiles></clickhouse>"
    )
    # What nobody can serve here, what has a path of the container, and a time to live.
    logs.write_text(
        "<clickhouse><prometheus><port>9363</port></prometheus><trace_log remove='1'/>"
        "<logger><log>/var/log/clickhouse-server/clickhouse.log</log></logger>"
        "<query_log><ttl>event_date + INTERVAL 3 DAY</ttl></query_log></clickhouse>"
    )
    folder = "/etc/clickhouse-server"
    files = {f"{folder}/users.d/users.xml": users, f"{folder}/config.d/telemetry.xml": logs}
    server = ClickHouse(tmp_path / "data", "default", files)
    assert server.query("SELECT getSetting('wait_for_async_insert')") == "false"
    server.query("SYSTEM FLUSH LOGS")
    assert "toIntervalDay(3)" in server.query("SELECT engine_full FROM system.tables WHERE name = 'query_log'")
    assert server.stop() == 0


@pytest.mark.skipif(not clickhouse.library_path().exists(), reason="ClickHouse has not been fetched")
def test_a_client_that_resets_its_connection_leaves_the_server_to_the_others(tmp_path: Path) -> None:
    server = ClickHouse(tmp_path, "langsmith")
    # The native protocol: the packet, the client's name, its version, the database, the user and the password.
    words = [b"probe", b"", b"langsmith", PASSWORD.encode()]
    name, database, user, password = [bytes([len(word)]) + word for word in words]
    hello = b"\0" + name + b"\1\1\xc0\xa9\3" + database + user + password
    for sent in (b"", hello[:5], hello):
        for answered in {False, sent == hello}:
            for _ in range(5):
                with socket.create_connection((server.address, clickhouse.TCP_PORT), SECONDS) as connection:
                    connection.sendall(sent)
                    assert not answered or connection.recv(1) == b"\0"
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    until(lambda: server.query("SELECT value FROM system.metrics WHERE metric = 'TCPConnection'") == "0")
    assert server.stop() == 0


def test_clickhouse_without_a_password_does_not_start() -> None:
    assert clickhouse.pod({"CLICKHOUSE_USER": "langsmith"}) == 1


def test_an_archive_that_is_not_the_pinned_one_is_refused(tmp_path: Path) -> None:
    archive = tmp_path / "package.tgz"
    archive.write_bytes(b"something else")
    with pytest.raises(clickhouse.FetchFailed, match="not what is pinned"):
        clickhouse._check(archive, clickhouse.package()[1])
