# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The client against scripted answers, as ClickHouse and what may stand in its place give them."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from ansible_collections.langsmith.aws.plugins.module_utils.clients.clickhouse import (
    Login,
    UnreachableError,
    ask,
    ask_all,
)
from ansible_collections.langsmith.aws.plugins.module_utils.clients.http_client import HttpClient
from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.facts import Refused

Reply = tuple[int, dict[str, str], str]
LOGIN = Login("langsmith", "pa55-word")
OURS = {"X-ClickHouse-Format": "JSON"}


@contextmanager
def serving(script: Callable[[str, dict[str, str]], Reply]) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            status, headers, text = script(body, {"path": self.path, **{k.lower(): v for k, v in self.headers.items()}})
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(text.encode()))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *args: object) -> None:
            """Nothing: a test's output is its own."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def good(rows: list[dict[str, object]]) -> Reply:
    return 200, OURS, json.dumps({"meta": [], "data": rows})


def test_rows_come_back_as_they_are() -> None:
    with serving(lambda sql, headers: good([{"sql": sql}])) as url:
        assert ask(HttpClient(url), LOGIN, "SELECT 'ü'") == [{"sql": "SELECT 'ü'"}]


def test_credentials_travel_in_headers_and_never_in_the_address() -> None:
    def script(sql: str, headers: dict[str, str]) -> Reply:
        names = ("path", "x-clickhouse-user", "x-clickhouse-key", "x-clickhouse-database")
        return good([{name: headers.get(name) for name in names}])

    with serving(script) as url:
        assert ask(HttpClient(url), Login("me", "pa55-word", "langsmith"), "SELECT 1") == [
            {
                "path": "/",
                "x-clickhouse-user": "me",
                "x-clickhouse-key": "pa55-word",
                "x-clickhouse-database": "langsmith",
            }
        ]
    assert "pa55-word" not in repr(LOGIN)


@pytest.mark.parametrize(("status", "code"), [(403, 516), (500, 497), (404, 60), (500, 241)])
def test_a_refusal_keeps_clickhouses_code(status: int, code: int) -> None:
    reply = (status, {**OURS, "X-ClickHouse-Exception-Code": str(code)}, f"Code: {code}. DB::Exception: no")
    with serving(lambda sql, headers: reply) as url:
        assert ask(HttpClient(url), LOGIN, "SELECT 1") == Refused(code, f"Code: {code}. DB::Exception: no")


def test_an_answer_that_breaks_off_is_no_rows() -> None:
    with serving(lambda sql, headers: (200, OURS, '{"meta": [], "data": [{"a": 1},\nCode: 241. DB::Exc')) as url:
        answer = ask(HttpClient(url), LOGIN, "SELECT 1")
    assert isinstance(answer, Refused)
    assert "Code: 241" in answer.message


@pytest.mark.parametrize("reply", [(200, {}, "<html>Welcome"), (404, {}, "not here"), (502, {}, "Bad Gateway")])
def test_something_else_that_speaks_http_is_not_taken_for_clickhouse(reply: Reply) -> None:
    with (
        serving(lambda sql, headers: reply) as url,
        pytest.raises(UnreachableError, match=f"http: status {reply[0]} from something that is no ClickHouse"),
    ):
        ask(HttpClient(url), LOGIN, "SELECT 1")


def test_queries_run_side_by_side_and_one_refusal_costs_one_answer() -> None:
    together = threading.Barrier(3, timeout=10)

    def script(sql: str, headers: dict[str, str]) -> Reply:
        together.wait()
        if sql == "b":
            return 500, {**OURS, "X-ClickHouse-Exception-Code": "497"}, "Code: 497"
        return good([{"sql": sql}])

    with serving(script) as url:
        answers = ask_all(lambda: HttpClient(url), LOGIN, {"one": "a", "two": "b", "three": "c"})
    assert answers == {"one": [{"sql": "a"}], "two": Refused(497, "Code: 497"), "three": [{"sql": "c"}]}


def test_a_server_that_answers_nothing_is_unreachable_once() -> None:
    with serving(lambda sql, headers: good([])) as url:
        pass
    with pytest.raises(UnreachableError, match=r"tcp: .* refused the connection"):
        ask_all(lambda: HttpClient(url), LOGIN, {"one": "a", "two": "b"})


def test_a_single_query_that_stays_out_is_refused_by_itself() -> None:
    def script(sql: str, headers: dict[str, str]) -> Reply:
        return good([]) if sql == "a" else (502, {}, "Bad Gateway")

    with serving(script) as url:
        answers = ask_all(lambda: HttpClient(url), LOGIN, {"one": "a", "two": "b"})
    assert answers["one"] == []
    assert isinstance(answers["two"], Refused)
