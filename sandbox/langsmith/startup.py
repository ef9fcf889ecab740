# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stand-in for the images' start: every store that a process needs must answer, else it ends with the reason."""

from __future__ import annotations

import time
from collections.abc import Callable

import psycopg

from sandbox.langsmith import environment, log
from sandbox.langsmith.clickhouse import ClickHouse, ClickHouseError
from sandbox.langsmith.database import Database
from sandbox.langsmith.resp import Redis, RedisError, RedisRefused

PAUSE_SECONDS = 0.5


class StoreError(Exception):
    """A store is needed and does not answer."""


def _awaited(name: str, where: object, attempt: Callable[[], object]) -> None:
    deadline = time.monotonic() + environment.patience_seconds()
    while True:
        try:
            attempt()
        except (psycopg.Error, RedisError, ClickHouseError) as exc:
            # A refusal (wrong password, no such database) does not go away by waiting.
            if _refused(exc) or time.monotonic() > deadline:
                raise StoreError(f"cannot use {name} at {where}: {str(exc).strip()}") from exc
            log.warning(f"{name} is not there yet", address=str(where))
            time.sleep(PAUSE_SECONDS)
        else:
            return


def _refused(exc: Exception) -> bool:
    words = str(exc).lower()
    return isinstance(exc, RedisRefused) or any(
        word in words for word in ("authentication failed", "does not exist", "answered 4", "answered 5")
    )


def postgres() -> Database:
    """Postgres, answering."""
    found = Database.from_environment()
    _awaited("Postgres", found, lambda: found.rows("SELECT 1"))
    return found


def redis() -> Redis:
    """Redis, answering."""
    found = Redis.from_environment()
    _awaited("Redis", found, lambda: found("PING"))
    return found


def clickhouse() -> ClickHouse:
    """ClickHouse, answering."""
    found = ClickHouse.from_environment()
    _awaited("ClickHouse", found, lambda: found.command("SELECT 1"))
    return found
