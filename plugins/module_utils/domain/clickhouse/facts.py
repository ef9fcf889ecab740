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
UNKNOWN_IDENTIFIER = 47
UNKNOWN_TABLE = 60
SYNTAX_ERROR = 62
UNKNOWN_DATABASE = 81
TOO_MANY_QUERIES = 202
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
class Keeper:
    """The planned Keeper ensemble: its nodes, the zones they are spread over, whether each has a volume."""

    nodes: int | None = None
    zones: int | None = None
    persistence: bool | None = None


@dataclass(frozen=True)
class Load:
    """What the installation has to bear: traces a second, users at a time, days that short-lived traces are kept.

    0 days are for ever. No volume lasts so long; then ``horizon_days`` are those until it has to be larger.
    """

    traces_per_s: float
    users: int | None = None
    retention_days: float | None = None
    horizon_days: float | None = None


@dataclass(frozen=True)
class Plan:
    """The topology the operator plans; ``cpu`` (vCPU) and ``memory_gib`` are what each replica requests.

    ``instance_types`` are those of the nodes, any of which may be the one that a replica gets, ``zones`` is the number
    of zones that the replicas are spread over, ``running_version`` what an upgrade starts from,
    ``max_concurrent_queries`` the server's setting, ``async_insert_wait_pct`` the chart's ingest lever
    (CLICKHOUSE_ASYNC_INSERT_WAIT_PCT_FLOAT), ``ttl_days`` how long LangSmith keeps short-lived traces.
    """

    topology: Topology
    replicas: int | None = None
    shards: int | None = None
    cpu: float | None = None
    memory_gib: float | None = None
    cpu_limit: float | None = None
    memory_limit_gib: float | None = None
    instance_types: tuple[str, ...] = ()
    zones: int | None = None
    anti_affinity: bool | None = None
    pod_disruption_budget: bool | None = None
    volume: Volume = field(default_factory=Volume)
    persistence: bool | None = None
    allow_volume_expansion: bool | None = None
    reclaim_policy: str | None = None
    version: str | None = None
    running_version: str | None = None
    blob_storage: bool | None = None
    max_concurrent_queries: int | None = None
    async_insert_wait_pct: float | None = None
    ttl_days: float | None = None
    keeper: Keeper | None = None
    load: Load | None = None


@dataclass(frozen=True)
class Query:
    """A question to one server, asked by itself, so that a missing grant costs one answer only.

    ``table`` is what its SELECT needs a grant on, ``grant`` the whole privilege where that is another one
    (``SHOW TABLES ON *.*``). A ``sampled`` query is asked twice, with a pause between, since its counters tell
    something only by their growth. ``columns`` are those of the table that it reads, where the others are none of its
    user's business. A ``filtered`` one reads a table of which ClickHouse silently leaves out the rows
    about tables that the user may not see (system.parts, system.replicas), so that it proves nothing without SIGHT.
    """

    sql: str
    table: str = ""
    grant: str = ""
    sampled: bool = False
    filtered: bool = False
    columns: tuple[str, ...] = ()

    @property
    def privilege(self) -> str:
        """What GRANT would have to give; empty where nothing is needed."""
        return self.grant or (self.reading(self.table) if self.table else "")

    def reading(self, table: str) -> str:
        """The right to read what it reads of the table, under the name that the table has for GRANT."""
        columns = f"({', '.join(self.columns)})" if self.columns else ""
        return f"SELECT{columns} ON {table}"


#: What a user needs in order to see what others' tables are made of.
SIGHT = "SHOW TABLES, SHOW COLUMNS ON *.*"

#: Asked of every server first: who it is. Needs no grant.
IDENTITY = "identity"
#: Which servers know each other, under which names; what is discovered comes from here.
CLUSTERS = "clusters"

GREETING = Query(
    "SELECT version() AS version, hostName() AS host, toString(serverUUID()) AS uuid, uptime() AS uptime, "
    "now() AS now, currentDatabase() AS database"
)
KNOWN_CLUSTERS = Query(
    "SELECT cluster, shard_num, replica_num, host_name, host_address, port, is_local FROM system.clusters "
    "ORDER BY cluster, shard_num, replica_num",
    table="system.clusters",
)


@dataclass(frozen=True)
class Refused:
    """A query without rows for an answer: ClickHouse's error ``code`` (0: none came) and the start of its message.

    ``privilege`` is the one that lacks, where it is another than the query names.
    """

    code: int
    message: str
    privilege: str = ""


Answers = Mapping[str, "Rows | Refused"]


#: A database that every server has, with nothing in it but views of its own: from there one asks about another.
ELSEWHERE = "information_schema"

#: Who asks, in ClickHouse's query_log and system.processes: http_user_agent.
USER_AGENT = "langsmith.aws"


@dataclass(frozen=True)
class Login:
    """Who asks, and in which database."""

    user: str
    password: str = field(default="", repr=False)
    database: str = "default"

    def headers(self) -> dict[str, str]:
        """The headers by which ClickHouse knows a user. Raises ValueError for what no header can carry."""
        for name in ("user", "password", "database"):
            if not getattr(self, name).isprintable():
                # Without the value, which is a secret and often has the line break of the file that it came from.
                raise ValueError(f"{name} holds a line break or another control character")
        return {
            "X-ClickHouse-User": _as_header(self.user),
            "X-ClickHouse-Key": _as_header(self.password),
            "X-ClickHouse-Database": _as_header(self.database),
            "X-ClickHouse-Format": "JSON",
            "Content-Type": "text/plain; charset=utf-8",
            # By which the queries of a check are told from LangSmith's.
            "User-Agent": USER_AGENT,
        }


def _as_header(text: str) -> str:
    """A text whose bytes are UTF-8, which ClickHouse reads, once it is sent as Latin-1, which headers are."""
    return text.encode().decode("latin-1")


@dataclass(frozen=True)
class Replica:
    """What one server answered, by the name of the query; never a secret.

    ``subject`` is its host:port, ``later`` the second sample of the sampled queries, ``seconds`` the time between the
    two, ``unreachable`` why there is no answer at all. ``writer`` is what LangSmith's user was answered, to queries of
    its own. ``no_database``: the server lacks the one that was asked in, so that it was asked from elsewhere.
    """

    subject: str
    answers: Answers = field(default_factory=dict)
    later: Answers = field(default_factory=dict)
    seconds: float = 0.0
    unreachable: str = ""
    writer: Answers = field(default_factory=dict)
    no_database: bool = False

    def rows(self, query: str) -> Rows | None:
        """The rows of the newest sample; None where there are none to judge by, for whatever reason."""
        answer = self.later.get(query, self.answers.get(query))
        return None if answer is None or isinstance(answer, Refused) else answer

    def value(self, query: str, column: str) -> Any:
        """A column of the first row; None without a row."""
        rows = self.rows(query)
        return rows[0].get(column) if rows else None

    def named(self, query: str, name: str, key: str = "name", column: str = "value") -> float | None:
        """The number in the row that has this name, as in system.events and system.metrics; None without that row."""
        return _named(self.rows(query), name, key, column)

    def rise(self, query: str, name: str, key: str = "name", column: str = "value") -> float | None:
        """How much a counter grew between the samples; a counter that is not listed yet counts as 0, no sample None."""
        first, second = self.answers.get(query), self.later.get(query)
        if first is None or second is None or isinstance(first, Refused) or isinstance(second, Refused):
            return None
        grown = (_named(second, name, key, column) or 0.0) - (_named(first, name, key, column) or 0.0)
        # A server that started again between the samples counts from 0.
        return grown if grown >= 0 else _named(second, name, key, column) or 0.0


def _named(rows: Rows | None, name: str, key: str, column: str) -> float | None:
    found = next((row.get(column) for row in rows or () if row.get(key) == name), None)
    return None if found is None else float(found)


@dataclass(frozen=True)
class Live:
    """The servers that were asked, all by one ``user``, in one ``database``.

    ``cluster`` is the name under which the servers know each other; None: what was asked stands alone. ``writer`` is
    LangSmith's user, whose rights were asked for; empty: they were not.
    """

    user: str
    database: str = "default"
    cluster: str | None = None
    replicas: tuple[Replica, ...] = ()
    writer: str = ""

    @property
    def reached(self) -> tuple[Replica, ...]:
        """The servers that answered."""
        return tuple(replica for replica in self.replicas if not replica.unreachable)


@dataclass(frozen=True)
class Context:
    """What a rule on one server needs to know besides it; ``nodes`` is the number of servers that were asked."""

    environment: Environment
    user: str
    database: str = "default"
    cluster: str | None = None
    nodes: int = 1
    plan: Plan | None = None
    writer: str = ""


def version_of(text: str) -> tuple[int, ...] | None:
    """The leading numbers of a version, ``25.12.3.1-stable`` as (25, 12, 3, 1); None where there are none."""
    match = re.match(r"v?(\d+(?:\.\d+)+)", text.strip())
    return tuple(int(number) for number in match[1].split(".")) if match else None
