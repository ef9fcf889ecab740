# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The hook Jobs, and what a process says when it cannot start."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest

from tests.sandbox.langsmith.installation import ADMIN_EMAIL, ADMIN_PASSWORD, Installation


def test_migrations_and_bootstrap_may_run_again(langsmith: Installation) -> None:
    for words in ("./ch_migration_entrypoint.sh", "./pg_migration_entrypoint.sh", "./auth_bootstrap_entrypoint.sh"):
        done = langsmith.job(words, INITIAL_ORG_ADMIN_PASSWORD="Another-Password-7")
        assert done.returncode == 0, done.stdout
        assert "Another-Password-7" not in done.stdout
    status, _, _ = langsmith.api("POST", "/api/v1/login", {"email": ADMIN_EMAIL, "password": ADMIN_PASSWORD})
    assert status == 200


def test_the_trace_job_stores_a_trace_and_reads_it_back(langsmith: Installation) -> None:
    done = langsmith.job("python", "scripts/test_e2e_trace.pyc")
    assert done.returncode == 0, done.stdout
    assert "trace was stored and read back" in done.stdout


def test_no_backfill_lets_an_upgrade_pass(langsmith: Installation) -> None:
    assert langsmith.job("./backfill_check_entrypoint.sh", LANGSMITH_APP_VERSION="0.16.46").returncode == 0


def test_an_unfinished_backfill_stops_an_upgrade_by_its_name(langsmith: Installation) -> None:
    with psycopg.connect("postgres://" + langsmith.environment["POSTGRES_DATABASE_URI"], autocommit=True) as connection:
        connection.execute("INSERT INTO backfills (name, status) VALUES ('feedback_to_pg', 'running')")
        try:
            done = langsmith.job("./backfill_check_entrypoint.sh")
        finally:
            connection.execute("DELETE FROM backfills")
    assert done.returncode == 1
    assert "feedback_to_pg" in done.stdout


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"REDIS_DATABASE_URI": "rediss://127.0.0.1:1/0?password=secret-word"}, "cannot connect to Redis"),
        ({"POSTGRES_DATABASE_URI": "u:secret-word@127.0.0.1:1/db?sslmode=require"}, "cannot use Postgres"),
        (
            {"POSTGRES_DATABASE_URI": "postgres://u:secret-word@127.0.0.1/db"},
            "POSTGRES_DATABASE_URI must have no scheme",
        ),
        ({"CLICKHOUSE_PASSWORD": "secret-word"}, "cannot use ClickHouse"),
        ({"CLICKHOUSE_HOST": "no-such-host.invalid"}, "cannot reach ClickHouse"),
        ({"API_KEY_SALT": ""}, "API_KEY_SALT is not set"),
        ({"LANGSMITH_LICENSE_KEY": ""}, "LANGSMITH_LICENSE_KEY is not set"),
    ],
)
def test_a_service_that_cannot_start_ends_with_the_reason_and_no_secret(
    langsmith: Installation, changed: dict[str, str], told: str
) -> None:
    done = langsmith.job("smith_go_entrypoint.sh", SANDBOX_CONNECT_SECONDS="0.5", **changed)
    assert done.returncode == 1
    assert told in done.stdout
    assert "secret-word" not in done.stdout + done.stderr


def test_a_wrong_redis_password_is_told_as_such(langsmith: Installation) -> None:
    uri = langsmith.environment["REDIS_DATABASE_URI"].partition("?")[0] + "?password=secret-word"
    done = langsmith.job("asynq_worker_entrypoint.sh", REDIS_DATABASE_URI=uri)
    assert done.returncode == 1
    assert "WRONGPASS" in done.stdout
    assert "secret-word" not in done.stdout


def test_an_upstream_without_an_address_stops_the_frontend(langsmith: Installation, tmp_path: Path) -> None:
    path = tmp_path / "nginx.conf"
    path.write_text("server {\n  listen 1;\n  location / { proxy_pass http://gone.invalid:1; }\n}\n")
    volumes = f'{{"/etc/nginx/conf.d/default.conf": "{path}"}}'
    done = langsmith.job("/entrypoint.sh", SANDBOX_VOLUMES=volumes, SANDBOX_CONNECT_SECONDS="0.5")
    assert done.returncode == 1
    assert 'host not found in upstream \\"gone.invalid\\" in /etc/nginx/conf.d/default.conf:3' in done.stdout
