# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stand-in for the images' migrations: the tables of Postgres and ClickHouse, numbered and recorded."""

from __future__ import annotations

import time

from sandbox.langsmith import log
from sandbox.langsmith.clickhouse import ClickHouse
from sandbox.langsmith.database import Database

# What LangChain asks an external Postgres to have.
EXTENSIONS = ("btree_gin", "btree_gist", "pgcrypto", "citext", "ltree", "pg_trgm")

POSTGRES: list[tuple[int, list[str]]] = [
    (
        1,
        [
            """CREATE TABLE IF NOT EXISTS organizations (
                 id uuid PRIMARY KEY, display_name text NOT NULL, is_personal boolean NOT NULL DEFAULT false,
                 created_at timestamptz NOT NULL DEFAULT now())""",
            """CREATE TABLE IF NOT EXISTS tenants (
                 id uuid PRIMARY KEY, organization_id uuid NOT NULL REFERENCES organizations,
                 display_name text NOT NULL, tenant_handle text, created_at timestamptz NOT NULL DEFAULT now())""",
            """CREATE TABLE IF NOT EXISTS users (
                 id uuid PRIMARY KEY, email text NOT NULL UNIQUE, hashed_password text NOT NULL,
                 organization_id uuid NOT NULL REFERENCES organizations, is_admin boolean NOT NULL DEFAULT false,
                 created_at timestamptz NOT NULL DEFAULT now())""",
            """CREATE TABLE IF NOT EXISTS api_keys (
                 id uuid PRIMARY KEY, api_key text NOT NULL UNIQUE, short_key text NOT NULL, description text,
                 organization_id uuid NOT NULL REFERENCES organizations, tenant_id uuid REFERENCES tenants,
                 user_id uuid REFERENCES users, read_only boolean NOT NULL DEFAULT false,
                 service boolean NOT NULL DEFAULT false, expires_at timestamptz, last_used_at timestamptz,
                 created_at timestamptz NOT NULL DEFAULT now())""",
        ],
    ),
    (
        2,
        [
            """CREATE TABLE IF NOT EXISTS tracer_session (
                 id uuid PRIMARY KEY, tenant_id uuid NOT NULL REFERENCES tenants, name text NOT NULL, description text,
                 extra jsonb, start_time timestamptz NOT NULL DEFAULT now(), end_time timestamptz,
                 reference_dataset_id uuid, trace_tier text, UNIQUE (tenant_id, name))""",
            """CREATE TABLE IF NOT EXISTS feedback (
                 id uuid PRIMARY KEY, tenant_id uuid NOT NULL REFERENCES tenants, session_id uuid, run_id uuid,
                 trace_id uuid, key text NOT NULL, score double precision, value jsonb, comment text, correction jsonb,
                 feedback_source jsonb, extra jsonb, error boolean, start_time timestamptz,
                 created_at timestamptz NOT NULL DEFAULT now(), modified_at timestamptz NOT NULL DEFAULT now())""",
            "CREATE INDEX IF NOT EXISTS feedback_by_run ON feedback (tenant_id, run_id)",
            """CREATE TABLE IF NOT EXISTS backfills (
                 name text PRIMARY KEY, status text NOT NULL, updated_at timestamptz NOT NULL DEFAULT now())""",
        ],
    ),
]

_RUNS = """CREATE TABLE IF NOT EXISTS runs (
  tenant_id UUID, session_id UUID, id UUID, trace_id UUID, parent_run_id Nullable(UUID), is_root Bool,
  dotted_order String, name String, run_type LowCardinality(String), status LowCardinality(String),
  start_time DateTime64(6, 'UTC'), end_time Nullable(DateTime64(6, 'UTC')), error Nullable(String),
  inputs String, outputs String, events String, extra String, serialized String, tags Array(String),
  inputs_s3_urls String, outputs_s3_urls String, s3_urls String, manifest_s3_id Nullable(String),
  reference_example_id Nullable(UUID), prompt_tokens UInt64, completion_tokens UInt64, total_tokens UInt64,
  trace_tier LowCardinality(String), ttl_seconds UInt32, trace_first_received_at DateTime64(6, 'UTC'),
  inserted_at DateTime64(6, 'UTC') DEFAULT now64(6, 'UTC'), modified_at UInt64, is_deleted UInt8 DEFAULT 0,
  INDEX by_trace trace_id TYPE bloom_filter GRANULARITY 1, INDEX by_session session_id TYPE bloom_filter GRANULARITY 1
) ENGINE = ReplacingMergeTree(modified_at, is_deleted) ORDER BY (tenant_id, id)
TTL toDateTime(trace_first_received_at) + toIntervalSecond(ttl_seconds) DELETE WHERE ttl_seconds > 0"""

_FEEDBACKS = """CREATE TABLE IF NOT EXISTS feedbacks (
  tenant_id UUID, id UUID, session_id Nullable(UUID), run_id Nullable(UUID), trace_id Nullable(UUID), key String,
  score Nullable(Float64), value String, comment String, correction String, feedback_source String,
  created_at DateTime64(6, 'UTC'), modified_at DateTime64(6, 'UTC'),
  inserted_at DateTime64(6, 'UTC') DEFAULT now64(6, 'UTC'), is_deleted UInt8 DEFAULT 0
) ENGINE = ReplacingMergeTree(modified_at, is_deleted) ORDER BY (tenant_id, id)"""

CLICKHOUSE: list[tuple[int, str, str]] = [(1, "runs", _RUNS), (2, "feedbacks", _FEEDBACKS)]
_VERSIONS = """CREATE TABLE IF NOT EXISTS schema_migrations (version Int64, dirty UInt8, sequence UInt64)
ENGINE = MergeTree ORDER BY sequence"""

# Stands for replication by Keeper: what is inserted on one server goes on to the others, from its disk and again and
# again until they have it. What came so has another query id than the one that the client began with.
COPIES = "sandbox_copies"
_COPYING = (
    f"CREATE DATABASE IF NOT EXISTS {COPIES}",
    f"CREATE TABLE IF NOT EXISTS {COPIES}.{{table}} AS {{table}}"
    f" ENGINE = Distributed('sandbox_others', currentDatabase(), '{{table}}')"
    " SETTINGS flush_on_detach = 0, background_insert_max_sleep_time_ms = 2000",
    f"CREATE MATERIALIZED VIEW IF NOT EXISTS {COPIES}.{{table}}_sender TO {COPIES}.{{table}}"  # noqa: S608
    " AS SELECT * FROM {table} WHERE queryID() = initialQueryID()",
)


def migrate_postgres(database: Database) -> int:
    """Bring Postgres to the newest version; returns it."""
    available = {row["name"] for row in database.rows("SELECT name FROM pg_available_extensions")}
    for name in EXTENSIONS:
        if name in available:
            database.rows(f"CREATE EXTENSION IF NOT EXISTS {name}")
        else:
            log.warning("postgres extension is not available", extension=name)
    database.rows("CREATE TABLE IF NOT EXISTS schema_migrations (version bigint PRIMARY KEY, dirty boolean NOT NULL)")
    version = _recorded(database.rows("SELECT version, dirty FROM schema_migrations ORDER BY version DESC LIMIT 1"))
    for number, statements in POSTGRES:
        if number <= version:
            continue
        with database.connection() as connection, connection.transaction():
            for statement in statements:
                connection.execute(statement.encode())
            connection.execute("DELETE FROM schema_migrations")
            connection.execute("INSERT INTO schema_migrations VALUES (%s, false)", (number,))
        log.info("migrated", store="postgres", version=number)
        version = number
    return version


def migrate_clickhouse(clickhouse: ClickHouse) -> int:
    """Bring every server of the cluster to the newest version; returns it."""
    replicas = clickhouse.replicas()
    _make(replicas, "schema_migrations", _VERSIONS)
    version = _recorded(
        clickhouse.rows("SELECT version, dirty FROM schema_migrations ORDER BY sequence DESC LIMIT 1"),
    )
    for number, table, statement in CLICKHOUSE:
        if number <= version:
            continue
        _record(clickhouse, number, dirty=1)
        _make(replicas, table, statement)
        _record(clickhouse, number, dirty=0)
        log.info("migrated", store="clickhouse", version=number)
        version = number
    return version


def _make(replicas: list[ClickHouse], table: str, statement: str) -> None:
    """Make a table on each server, and what hands on its rows where there are several."""
    for replica in replicas:
        replica.command(statement)
    for replica in replicas if len(replicas) > 1 else []:
        for copying in _COPYING:
            replica.command(copying.format(table=table))


def _recorded(rows: list[dict[str, object]]) -> int:
    if not rows:
        return 0
    if rows[0]["dirty"]:
        raise RuntimeError(f"Dirty database version {rows[0]['version']}. Fix and force version.")
    return int(str(rows[0]["version"]))


def _record(clickhouse: ClickHouse, number: int, dirty: int) -> None:
    clickhouse.insert("schema_migrations", [{"version": number, "dirty": dirty, "sequence": time.time_ns()}])
