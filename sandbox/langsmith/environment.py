# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stand-in for how the images read their settings: only from the environment that the chart gives a container."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

DEFAULT_VERSION = "0.16.45"
VOLUMES_VARIABLE = "SANDBOX_VOLUMES"
# What starts together with a pod gets this long before the pod gives up and the kubelet's back-off begins.
PATIENCE_SECONDS = 10.0


class SettingsError(Exception):
    """The environment lacks a value or holds one that cannot be used."""


def patience_seconds() -> float:
    """How long a process waits at its start for what it needs."""
    return float(os.environ.get("SANDBOX_CONNECT_SECONDS") or PATIENCE_SECONDS)


def required(name: str) -> str:
    """The value of a variable; SettingsError when it is missing or empty."""
    value = os.environ.get(name, "").strip()
    if not value:
        raise SettingsError(f"environment variable {name} is not set")
    return value


def flag(name: str, default: bool = False) -> bool:
    """Whether a variable says true, as the chart writes booleans."""
    return os.environ.get(name, str(default)).strip().lower() in {"1", "true"}


def version() -> str:
    """The application version: the tag of the image that runs, else the one this stand-in was written for."""
    _, _, tag = os.environ.get("SANDBOX_IMAGE", "").rpartition("/")[2].partition(":")
    return tag or DEFAULT_VERSION


def container_path(path: str) -> Path:
    """Where a path of the container really is: below the folder of the volume mounted there, or the path itself."""
    volumes: dict[str, str] = json.loads(os.environ.get(VOLUMES_VARIABLE) or "{}")
    for mount in sorted(volumes, key=len, reverse=True):
        if path == mount or path.startswith(mount.rstrip("/") + "/"):
            rest = path[len(mount) :].lstrip("/")
            return Path(volumes[mount]) / rest if rest else Path(volumes[mount])
    return Path(path)


def adopt_ca_bundle() -> None:
    """Let OpenSSL find the bundle of config.customCa, whose path is one of the container."""
    bundle = os.environ.get("SSL_CERT_FILE")
    if bundle:
        found = container_path(bundle)
        if found.is_dir():
            found = found / "ca-certificates.crt"
        if not found.is_file():
            raise SettingsError(f"SSL_CERT_FILE {bundle} does not exist")
        os.environ["SSL_CERT_FILE"] = str(found)


def address(variable: str = "PORT", default: int = 8080) -> tuple[str, int]:
    """Host and port to listen on: the pod's address, and the port that the chart gives in `variable`."""
    return os.environ.get("SANDBOX_POD_IP") or "127.0.0.1", int(os.environ.get(variable) or default)


@dataclass(frozen=True)
class Secrets:
    """The keys that sign and hash; changing api_key_salt voids every API key."""

    api_key_salt: str
    service_secret: str
    jwt_secret: str


def secrets() -> Secrets:
    """The signing keys; SettingsError names the one that is missing, as the images refuse to start without it."""
    required("LANGSMITH_LICENSE_KEY")
    salt = required("API_KEY_SALT")
    jwt_secret = required("BASIC_AUTH_JWT_SECRET") if flag("BASIC_AUTH_ENABLED") else ""
    return Secrets(salt, os.environ.get("X_SERVICE_AUTH_JWT_SECRET") or salt, jwt_secret)


@dataclass(frozen=True)
class Retention:
    """How long runs are kept, in seconds; `prefix` is the bucket's folder whose lifecycle rule agrees with the tier."""

    tier: str
    seconds: int
    prefix: str


def retention() -> Retention:
    """What new traces get: the short-lived tier, or no expiry where tiers are off."""
    if not flag("FF_TRACE_TIERS_ENABLED"):
        return Retention("longlived", 0, "")
    periods = json.loads(os.environ.get("TRACE_TIER_TTL_DURATION_SEC_MAP") or "{}")
    return Retention("shortlived", int(periods.get("shortlived", 1209600)), "ttl_s/")


def runs_expiry_seconds() -> int:
    """How long Redis keeps what is not yet in ClickHouse (chart default 21600)."""
    return int(os.environ.get("REDIS_RUNS_EXPIRY_SECONDS") or 21600)
