# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is known of a ClickHouse: as planned, and as its own system tables tell."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

Environment = Literal["dev", "production"]
Topology = Literal["single", "replicated", "external", "managed"]
Rows = Sequence[Mapping[str, Any]]

GIB = 1024**3

#: Codes of ClickHouse's ErrorCodes.cpp that the checks tell apart.
UNKNOWN_TABLE = 60
ACCESS_DENIED = 497
#: Unknown user, wrong or missing password, and the one answer that servers give for all of these.
AUTHENTICATION_CODES = frozenset({192, 193, 194, 516})


@dataclass(frozen=True)
class Volume:
    """One data volume of one replica. Sizes in GiB, throughput in MiB/s; None where the plan does not say."""

    type: str | None = None
    size_gib: float | None = None
    iops: float | None = None
    throughput_mib_s: float | None = None


@dataclass(frozen=True)
class Plan:
    """The topology the operator plans; ``cpu`` (vCPU) and ``memory_gib`` are those of each replica."""

    topology: Topology
    replicas: int | None = None
    cpu: float | None = None
    memory_gib: float | None = None
    volume: Volume = field(default_factory=Volume)
    persistence: bool | None = None
    version: str | None = None


@dataclass(frozen=True)
class Refused:
    """A query without rows for an answer: ClickHouse's error ``code`` and the start of its ``message``."""

    code: int
    message: str


@dataclass(frozen=True)
class Login:
    """Who asks, and in which database."""

    user: str
    password: str = field(default="", repr=False)
    database: str = "default"

    def headers(self) -> dict[str, str]:
        """The headers by which ClickHouse knows a user."""
        return {
            "X-ClickHouse-User": self.user,
            "X-ClickHouse-Key": self.password,
            "X-ClickHouse-Database": self.database,
            "X-ClickHouse-Format": "JSON",
            "Content-Type": "text/plain; charset=utf-8",
        }


@dataclass(frozen=True)
class Live:
    """What a running server answered, by the name of the query (see ``QUERIES``); never a secret.

    ``subject`` is the server's host:port, ``user`` who asked, ``cluster`` the name whose replicas count (None: the
    server stands alone), ``unreachable`` why there is no answer at all.
    """

    subject: str
    user: str
    cluster: str | None = None
    answers: Mapping[str, Rows | Refused] = field(default_factory=dict)
    unreachable: str = ""


#: Everything the sizing rules ask a server; each runs by itself, so that a missing grant costs one answer only.
QUERIES: dict[str, str] = {
    "version": "SELECT version() AS version",
    "clusters": "SELECT cluster, shard_num, replica_num, host_name FROM system.clusters",
    "memory_limit": "SELECT value FROM system.server_settings WHERE name = 'max_server_memory_usage'",
    "memory_total": (
        "SELECT metric, value FROM system.asynchronous_metrics WHERE metric IN ('CGroupMemoryTotal', 'OSMemoryTotal')"
    ),
    "threads": "SELECT value FROM system.settings WHERE name = 'max_threads'",
    "disks": "SELECT name, type, path, total_space, unreserved_space FROM system.disks",
}

#: The table of each query, for the grant that a refusal asks for.
TABLES: dict[str, str] = {
    "clusters": "system.clusters",
    "memory_limit": "system.server_settings",
    "memory_total": "system.asynchronous_metrics",
    "threads": "system.settings",
    "disks": "system.disks",
}


def version_of(text: str) -> tuple[int, ...] | None:
    """The leading numbers of a version, ``25.12.3.1-stable`` as (25, 12, 3, 1); None where there are none."""
    match = re.match(r"v?(\d+(?:\.\d+)+)", text.strip())
    return tuple(int(number) for number in match[1].split(".")) if match else None


def cores(live: Live) -> int | None:
    """The processor cores the server counts, out of ``auto(8)``; None where ``max_threads`` was set by hand."""
    rows = live.answers.get("threads")
    if isinstance(rows, Refused) or not rows:
        return None
    match = re.fullmatch(r"'?auto\((\d+)\)'?", str(rows[0]["value"]))
    return int(match[1]) if match else None


def memory_gib(live: Live) -> float | None:
    """The memory the server has, in GiB: its limit, else 0.9 (ClickHouse's default ratio) of what the machine has."""
    rows = live.answers.get("memory_limit")
    if not isinstance(rows, Refused) and rows and int(rows[0]["value"]) > 0:
        return int(rows[0]["value"]) / GIB
    rows = live.answers.get("memory_total")
    if isinstance(rows, Refused) or not rows:
        return None
    totals = [float(row["value"]) for row in rows if float(row["value"]) > 0]
    return 0.9 * min(totals) / GIB if totals else None
