# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The folder that holds everything a sandbox knows, and what is chosen once and then kept in it.

Two sandboxes with different folders share nothing and may run side by side.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import random
import secrets
import socket
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parent.parent
FOLDER_VARIABLE = "LANGSMITH_SANDBOX_STATE"
SETTINGS_VARIABLE = "LANGSMITH_SANDBOX_SETTINGS"
SHARE_VARIABLE = "SANDBOX_SHARE"
REGION = "us-east-1"
# Below the range that Linux gives to outgoing connections (32768 up), so that a stopped part finds its port free again.
PORTS = range(12000, 20000)

DEFAULTS: dict[str, Any] = {
    # Seconds that AWS takes for a change, by "service::kind"; the AWS part knows the kinds.
    "delays": {},
    # The ClickHouse that LangChain runs: service_name, private_dns_name, address, accept; see sandbox/README.md.
    "managed_clickhouse": {},
    # Image repository basename -> argv, added to sandbox/images.py.
    "images": {},
    # First and longest pause in seconds before a container that ended is started again; the kubelet's are 10 and 300.
    "restart_backoff_seconds": [2, 30],
}


class StateError(Exception):
    """The state folder, or what a person wrote into it, cannot be used."""


def root() -> Path:
    """The state folder, made when missing: $LANGSMITH_SANDBOX_STATE or .sandbox in the repository."""
    folder = Path(os.environ.get(FOLDER_VARIABLE) or REPOSITORY / ".sandbox").absolute()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def cache() -> Path:
    """The folder of what is built or fetched once for all sandboxes of a user."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "langsmith.aws"


@contextlib.contextmanager
def lock(path: Path) -> Iterator[None]:
    """Hold `path` against other processes and threads; a killed holder lets go by itself."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def write_text(path: Path, text: str, mode: int = 0o600) -> None:
    """Write `path` so that a reader sees the old text or the new one, never half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w") as handle:
        handle.write(text)
    draft.replace(path)


def write_json(relative: str, value: Any) -> None:
    """Write `value` to the file `relative` of the state folder, atomically."""
    write_text(root() / relative, json.dumps(value, indent=1, sort_keys=True) + "\n")


def read_json(relative: str, default: Any = None) -> Any:
    """The value in the file `relative` of the state folder, or `default` when there is no such file."""
    path = root() / relative
    try:
        return json.loads(path.read_text())
    except FileNotFoundError:
        return default
    except ValueError as error:
        raise StateError(f"{path} is not JSON ({error}); correct it, or run 'python -m sandbox reset'") from error


@contextlib.contextmanager
def update_json(relative: str, default: Any) -> Iterator[Any]:
    """Change a JSON file that several processes write: yields its value and writes it back, one at a time."""
    with lock(root() / "locks" / relative.replace("/", "_")):
        value = read_json(relative, default)
        yield value
        write_json(relative, value)


def once(relative: str, key: str, value: Any) -> Any:
    """What `key` of the JSON file was first set to; sets it to `value`, or to what it returns, when it is missing."""
    known = read_json(relative, {})
    if key in known:
        return known[key]
    with update_json(relative, {}) as known:
        if key not in known:
            known[key] = value(known) if callable(value) else value
        return known[key]


def port(name: str) -> int:
    """The loopback TCP port of the part `name`: chosen free the first time, the same ever after."""
    return int(once("ports.json", name, lambda known: _free_port(set(known.values()))))


def share(numbers: Sequence[int]) -> list[int]:
    """Those of `numbers` that may be chosen from, in any order: all, or by $SANDBOX_SHARE, as `0/2`, each second.

    A number is chosen some time before anybody listens on it, so what starts sandboxes side by side keeps them apart.
    """
    index, _, of = os.environ.get(SHARE_VARIABLE, "0/1").partition("/")
    chosen = list(numbers[int(index) :: int(of)])
    random.shuffle(chosen)
    return chosen


def _free_port(taken: set[int]) -> int:
    candidates = [number for number in share(PORTS) if number not in taken]
    for number in candidates:
        with socket.socket() as probe:
            try:
                # All addresses, as a listener of another program on any of them would get in the way.
                probe.bind(("0.0.0.0", number))  # noqa: S104
            except OSError:
                continue
            return number
    raise StateError(f"no free TCP port between {PORTS.start} and {PORTS.stop - 1}")


def issuer() -> str:
    """The OIDC issuer URL of the cluster's service-account tokens, in the shape that EKS gives; kept in oidc.json."""
    identifier = secrets.token_hex(16).upper()
    return str(once("oidc.json", "issuer", f"https://oidc.eks.{REGION}.amazonaws.com/id/{identifier}"))


def settings() -> dict[str, Any]:
    """The defaults, overlaid by settings.json of the state folder, then by the JSON of $LANGSMITH_SANDBOX_SETTINGS."""
    merged = _merge(DEFAULTS, read_json("settings.json", {}))
    text = os.environ.get(SETTINGS_VARIABLE)
    if not text:
        return merged
    try:
        return _merge(merged, json.loads(text))
    except ValueError as error:
        raise StateError(f"${SETTINGS_VARIABLE} is not JSON ({error})") from error


def _merge(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in over.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = _merge(merged[key], value) if both else value
    return merged
