# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ClickHouse over HTTP(S): SQL in the body, credentials in headers, never in the URL that proxies log."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ansible_collections.langsmith.aws.plugins.module_utils.clients.http_client import Answer, HttpClient, HttpError
from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.facts import (
    QUERIES,
    Live,
    Login,
    Refused,
    Rows,
)


class UnreachableError(Exception):
    """There is no ClickHouse that answers; the message says in which phase and why, without its full stop."""


def ask(http: HttpClient, login: Login, sql: str) -> Rows | Refused:
    """The rows of one query, or ClickHouse's refusal. Raises UnreachableError when nothing there speaks ClickHouse."""
    try:
        answer = http.request("POST", "/", headers=login.headers(), body=sql.encode())
    except HttpError as error:
        raise UnreachableError(f"{error.phase}: {error.reason}") from error
    code = answer.headers.get("x-clickhouse-exception-code")
    if code is not None:
        return Refused(int(code) if code.isdecimal() else 0, answer.head())
    return _rows(answer)


def _rows(answer: Answer) -> Rows | Refused:
    if answer.status != 200 or not any(name.startswith("x-clickhouse-") for name in answer.headers):
        raise UnreachableError(
            f"http: status {answer.status} from something that is no ClickHouse: {answer.head(80)!r}"
        )
    try:
        rows: Rows = answer.json()["data"]
    except (ValueError, KeyError, TypeError):
        # A query that fails after its first block ends a good answer with the text of the exception.
        return Refused(0, f"the answer broke off: {answer.head()}")
    return rows


def ask_all(connect: Callable[[], HttpClient], login: Login, queries: Mapping[str, str]) -> dict[str, Rows | Refused]:
    """The answers to all queries, side by side, each on a connection of its own from ``connect``.

    Raises UnreachableError when the server answers none of them; one that stays out is a Refused of code 0.
    """

    def one(sql: str) -> Rows | Refused | UnreachableError:
        http = connect()
        try:
            return ask(http, login, sql)
        except UnreachableError as error:
            return error
        finally:
            http.close()

    with ThreadPoolExecutor(max_workers=max(1, len(queries))) as pool:
        answers = dict(zip(queries, pool.map(one, queries.values()), strict=True))
    silent = [answer for answer in answers.values() if isinstance(answer, UnreachableError)]
    if silent and len(silent) == len(answers):
        raise silent[0]
    return {
        name: Refused(0, str(answer)) if isinstance(answer, UnreachableError) else answer
        for name, answer in answers.items()
    }


def observe(url: str, connection: Mapping[str, Any], login: Login, cluster: str | None) -> Live:
    """What the server at ``url`` answers to ``QUERIES``; one that cannot be reached is told of, not raised.

    ``connection`` are keywords of ``HttpClient``, which raises ValueError for what it cannot use.
    """
    http = HttpClient(url, **connection)
    subject = f"{http.host}:{http.port}"
    try:
        answers = ask_all(lambda: HttpClient(url, **connection), login, QUERIES)
    except UnreachableError as error:
        return Live(subject, login.user, cluster, unreachable=str(error))
    return Live(subject, login.user, cluster, answers)
