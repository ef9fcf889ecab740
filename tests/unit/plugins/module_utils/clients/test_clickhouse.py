# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The client against scripted answers, as ClickHouse and what may stand in its place give them."""

from __future__ import annotations

import gzip
import itertools
import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.langsmith.aws.plugins.module_utils.clients import clickhouse
from ansible_collections.langsmith.aws.plugins.module_utils.clients.clickhouse import (
    CONNECTIONS,
    Target,
    UnreachableError,
    ask,
    observe,
)
from ansible_collections.langsmith.aws.plugins.module_utils.clients.http_client import HttpClient
from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.facts import (
    Live,
    Login,
    Query,
    Refused,
    Replica,
)

from tests.unit.plugins.leaping import Leaping
from tests.unit.plugins.scripted import OVERDUE, Asked, Running, Said, make_authority, page, serve

PASSWORD = "pa55-word"
LOGIN = Login("langsmith", PASSWORD)
OURS = {"X-ClickHouse-Format": "JSON", "X-ClickHouse-Server-Display-Name": "chi-0"}
QUERIES = {name: Query(f"SELECT '{name}'") for name in ("one", "two", "three")}
COUNTERS = {"counters": Query("SELECT counter", sampled=True)}
#: Seconds of a query.
TIMEOUT = 60.0


def rows(*data: dict[str, Any], types: dict[str, str] | None = None, **headers: str) -> Said:
    """An answer of ClickHouse's in format JSON."""
    meta = [{"name": name, "type": kind} for name, kind in (types or {}).items()]
    return Said(200, json.dumps({"meta": meta, "data": list(data)}).encode(), headers={**OURS, **headers})


def text(body: str | bytes, status: int = 200, /, **headers: str) -> Said:
    """An answer of ClickHouse's of any form."""
    return Said(status, body if isinstance(body, bytes) else body.encode(), headers={**OURS, **headers})


def error(code: int, status: int = 500) -> Said:
    return text(f"Code: {code}. DB::Exception: no. (NAME)", status, **{"X-ClickHouse-Exception-Code": str(code)})


class Script:
    """A server with a name, that knows others, and says what the test wants to everything else."""

    def __init__(
        self, uuid: str = "", known: list[dict[str, Any]] | None = None, say: Callable[[str], Said] | None = None
    ) -> None:
        self.uuid = uuid or "00000000-0000-0000-0000-000000000000"
        self.known = known or []
        self.say = say or (lambda sql: rows({"sql": sql}))

    def __call__(self, asked: Asked) -> Said:
        sql = asked.body.decode()
        if "serverUUID" in sql:
            return rows({"version": "26.7.2.1", "host": "chi-0", "uuid": self.uuid, "uptime": 9})
        if "system.clusters" in sql:
            return rows(*self.known)
        return self.say(sql)


@contextmanager
def observing(*scripts: Callable[[Asked], Said], cluster: str | None = None) -> Iterator[tuple[Target, list[Running]]]:
    with ExitStack() as stack:
        servers = [stack.enter_context(serve(script)) for script in scripts]
        urls = tuple(f"http://{server.address}" for server in servers)
        yield Target(urls, LOGIN, cluster, {"timeout": TIMEOUT}, sample_seconds=0.01), servers


def single(say: Callable[[str], Said], queries: dict[str, Query] = QUERIES) -> Replica:
    """What is observed of one server that greets as ClickHouse does."""
    with observing(Script(say=say)) as (target, _servers):
        (replica,) = observe(target, queries).replicas
    return replica


def answer(said: Said) -> Any:
    with serve(lambda asked: said) as server:
        return ask(HttpClient(f"http://{server.address}", timeout=TIMEOUT), LOGIN, "SELECT 1")


class Silence:
    """Queries that are never answered, on a clock on which that takes as long as it is waited for."""

    def __init__(self, clock: Leaping) -> None:
        self._clock = clock
        self.asked: list[str] = []

    def __call__(self, sql: str) -> Said:
        self.asked.append(sql)
        self._clock.sleep(TIMEOUT)
        return OVERDUE


@pytest.fixture
def silence(impatient: None, leaping: Callable[..., Leaping]) -> Silence:
    return Silence(leaping(clickhouse))


def test_credentials_travel_in_headers_and_never_in_the_address() -> None:
    with serve(lambda asked: rows({"a": 1})) as server:
        ask(HttpClient(f"http://{server.address}"), replace(LOGIN, database="langsmith"), "SELECT 'ü'")
    (asked,) = server.asked
    sent = {name: value for name, value in asked.headers.items() if name.startswith("x-clickhouse")}
    assert (asked.method, asked.path, asked.query) == ("POST", "/", {"wait_end_of_query": ["1"]})
    assert asked.body.decode() == "SELECT 'ü'"
    assert sent == {
        "x-clickhouse-user": "langsmith",
        "x-clickhouse-key": PASSWORD,
        "x-clickhouse-database": "langsmith",
        "x-clickhouse-format": "JSON",
    }
    assert PASSWORD not in repr(LOGIN)


HUGE = 2**256 - 1

NUMBERS = [
    ("UInt64", "18446744073709551615", 18446744073709551615),
    ("UInt64", 7, 7),
    ("Int64", "-9", -9),
    ("UInt256", str(HUGE), HUGE),
    ("Nullable(UInt64)", None, None),
    ("LowCardinality(Nullable(Int32))", "4", 4),
    ("Float64", 1e308, 1e308),
    ("Float64", "nan", None),
    ("Float64", "-inf", None),
    ("Float64", None, None),
    ("Decimal(18, 2)", "1.50", 1.5),
    ("Array(UInt64)", ["1", "2"], [1, 2]),
    ("String", "18446744073709551615", "18446744073709551615"),
    ("String", "nan", "nan"),
    ("DateTime", "2026-11-21 15:32:42", "2026-11-21 15:32:42"),
    ("Bool", True, True),
]


@pytest.mark.parametrize(("kind", "sent", "meant"), NUMBERS)
def test_numbers_are_numbers_by_the_type_that_clickhouse_names(kind: str, sent: Any, meant: Any) -> None:
    assert answer(rows({"a": sent}, types={"a": kind})) == [{"a": meant}]


def test_a_number_beyond_every_float_is_none() -> None:
    body = '{"meta": [{"name": "a", "type": "Float64"}], "data": [{"a": 1e999}, {"a": NaN}, {"a": -Infinity}]}'
    assert answer(text(body)) == [{"a": None}] * 3


NAMES = ["a" * 500, 'quo"te', "back`tick", "apo'strophe", "snow\N{SNOWMAN}", "new\nline", "\\", "%s{}"]


def test_names_of_every_kind_come_back_as_they_are() -> None:
    row = {f"{name}{number}": name for number, name in enumerate(NAMES * 63)}
    assert len(row) > 500
    assert answer(rows(row, types=dict.fromkeys(row, "String"))) == [row]


@pytest.mark.parametrize(("status", "code"), [(403, 516), (500, 497), (404, 60), (500, 241), (401, 194)])
def test_a_refusal_keeps_clickhouses_code(status: int, code: int) -> None:
    assert answer(error(code, status)) == Refused(code, f"Code: {code}. DB::Exception: no. (NAME)")


LATE = "Code: 241. DB::Exception: too much"

BROKEN = [
    ('{"meta": [], "data": [{"a": 1},\n' + LATE, Refused(241, LATE)),
    ('{"meta": [], "data": [{"a": 1}', "no table of ClickHouse's: '{\"meta\""),
    ("", "the answer is empty"),
    ("<html>Welcome", "no table of ClickHouse's: '<html>Welcome'"),
    ('{"data": 7}', "no table"),
    ('{"data": [7]}', "no table"),
    ('{"rows": []}', "no table"),
    ("null", "no table"),
    ('{"meta": [{"name": "a", "type": "UInt64"}], "data": [{"b": 1}]}', "no table"),
    ('{"meta": [{"name": "a", "type": "UInt64"}], "data": [{"a": "x"}]}', "no table"),
    ('{"meta": [{"name": "a", "type": "UInt64"}], "data": [{"a": {}}]}', "no table"),
    ("[" * 100_000, "no table"),
    ('{"data": [{"a": ' + "9" * 5000 + "}]}", "no table"),
]


@pytest.mark.parametrize(("body", "told"), BROKEN)
def test_an_answer_that_is_no_table_is_one_refusal(body: str, told: Refused | str) -> None:
    found = answer(text(body))
    assert isinstance(found, Refused)
    assert found == told if isinstance(told, Refused) else told in found.message
    assert len(found.message) < 400


@pytest.mark.parametrize("code", ["no number", "9" * 5000, "-1"])
def test_an_error_code_that_is_none_is_not_taken_for_one(code: str) -> None:
    assert answer(text("what?", 500, **{"X-ClickHouse-Exception-Code": code})) == Refused(0, "what?")


def test_an_endless_answer_is_read_to_a_bound() -> None:
    head = b"HTTP/1.1 200 OK\r\nX-ClickHouse-Format: JSON\r\n\r\n"
    assert answer(Said(raw=(head, *[b" " * 2**21] * 5))) == Refused(0, "the answer is longer than 8 MiB")


def test_an_answer_that_was_packed_unasked_is_said_so() -> None:
    packed = text(gzip.compress(b'{"data": []}'), **{"Content-Encoding": "gzip"})
    assert answer(packed) == Refused(0, "the answer is compressed, which was not asked for")


STRANGERS = [
    (Said(200, b"<html>Welcome"), "http: status 200 from something that is no ClickHouse: '<html>Welcome'"),
    (page(502), "http: status 502 from something that is no ClickHouse: '<html><head><title>502"),
    (Said(200, b""), "http: status 200 from something that is no ClickHouse: ''"),
    (Said(400, b"Port 9000 is for clickhouse-client program\r\nYou must use port 8123 for HTTP.\r\n"), "8123 for HTTP"),
    (page(302, Location="https://sso.example.org/login"), "redirect to 'https://sso.example.org/login', which is not"),
    (Said(raw=(b"SSH-2.0-OpenSSH_9.6\r\n",)), "http: the answer is no HTTP"),
    (Said(raw=()), "http: the connection was closed without an answer"),
    (Said(raw=(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{",)), "http: the answer was cut off after 1 bytes"),
]


@pytest.mark.parametrize(("said", "told"), STRANGERS)
def test_what_is_no_clickhouse_is_not_taken_for_one(said: Said, told: str) -> None:
    with pytest.raises(UnreachableError) as raised:
        answer(said)
    assert told in str(raised.value)


BEGUN = b"HTTP/1.1 200 OK\r\nX-ClickHouse-Format: JSON\r\nContent-Length: 99\r\n\r\n{"


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (OVERDUE, "http: no answer within 60 s"),
        (replace(OVERDUE, raw=(BEGUN, *(OVERDUE.raw or ()))), "http: the answer did not end within 60 s"),
    ],
)
@pytest.mark.usefixtures("impatient")
def test_silence_ends_with_the_timeout_before_the_headers_and_within_the_body(said: Said, told: str) -> None:
    with pytest.raises(UnreachableError, match=told) as raised:
        answer(said)
    assert raised.value.timed_out


@pytest.mark.parametrize("status", [200, 500])
def test_a_password_that_is_sent_back_is_not_shown(status: int) -> None:
    echo = f"your key is {PASSWORD}"
    with pytest.raises(UnreachableError) as raised:
        answer(Said(status, echo.encode()))
    refused = answer(text(echo, status, **({"X-ClickHouse-Exception-Code": "7"} if status == 500 else {})))
    assert PASSWORD not in f"{raised.value} {refused}"
    assert "********" in f"{raised.value}"
    assert "********" in f"{refused}"


def test_a_connection_that_ended_between_two_queries_is_opened_again() -> None:
    said = iter([rows({"a": 1}), Said(raw=()), rows({"a": 2})])
    with serve(lambda asked: next(said)) as server:
        http = HttpClient(f"http://{server.address}")
        assert [ask(http, LOGIN, "SELECT a") for _number in range(2)] == [[{"a": 1}], [{"a": 2}]]
    assert len(server.connections) == 2


@pytest.mark.parametrize(("name", "told"), [("localhost", ""), ("other.example.org", "does not hold for localhost")])
def test_a_certificate_for_another_name_is_told_of(tmp_path: Path, name: str, told: str) -> None:
    authority = make_authority(tmp_path)
    with serve(Script(), authority.issue(name)) as server:
        url = f"https://localhost:{server.port}"
        connection = {"ca_file": str(authority.ca_file), "connect_to": server.address}
        (replica,) = observe(Target((url,), LOGIN, connection=connection), QUERIES).replicas
    assert told in replica.unreachable
    assert bool(replica.unreachable) == bool(told)


def test_a_certificate_of_an_unknown_authority_is_told_of(tmp_path: Path) -> None:
    with serve(Script(), make_authority(tmp_path).issue("localhost")) as server:
        (replica,) = observe(Target((f"https://localhost:{server.port}",), LOGIN), QUERIES).replicas
    assert replica.unreachable.startswith("tls: the certificate does not hold for localhost")


def test_tls_asked_of_a_plain_port_is_told_of() -> None:
    with serve(Script()) as server:
        (replica,) = observe(Target((f"https://localhost:{server.port}",), LOGIN), QUERIES).replicas
    assert "the port speaks no TLS" in replica.unreachable


def test_queries_run_side_by_side_on_a_few_kept_connections() -> None:
    together = threading.Barrier(CONNECTIONS, timeout=TIMEOUT)
    queries = {str(number): Query(f"SELECT {number}") for number in range(5 * CONNECTIONS)}

    def say(sql: str) -> Said:
        together.wait()
        return rows({"sql": sql})

    with observing(Script(say=say)) as (target, (server,)):
        (replica,) = observe(target, queries).replicas
    assert {name: replica.rows(name) for name in queries} == {n: [{"sql": q.sql}] for n, q in queries.items()}
    assert len(server.connections) == CONNECTIONS


def test_one_refusal_costs_one_answer() -> None:
    replica = single(lambda sql: error(497) if "two" in sql else page(502) if "three" in sql else rows({"a": 1}))
    assert replica.answers["one"] == [{"a": 1}]
    assert replica.answers["two"] == Refused(497, "Code: 497. DB::Exception: no. (NAME)")
    assert "status 502" in str(replica.answers["three"])
    assert replica.unreachable == ""


def test_counters_are_read_twice_with_one_pause() -> None:
    count = iter(range(100))
    with observing(Script(say=lambda sql: rows({"name": "x", "value": next(count)}))) as (target, _servers):
        (replica,) = observe(replace(target, sample_seconds=0.2), {**QUERIES, **COUNTERS}).replicas
    assert replica.seconds >= 0.2
    assert set(replica.later) == set(COUNTERS)
    assert (replica.rise("counters", "x") or 0) > 0


def test_without_counters_there_is_no_pause() -> None:
    with observing(Script()) as (target, _servers):
        (replica,) = observe(replace(target, sample_seconds=3600), QUERIES).replicas
    assert (replica.later, replica.seconds) == ({}, 0)


def test_where_nothing_listens_there_is_one_reason(closed_port: int) -> None:
    (replica,) = observe(Target((f"http://127.0.0.1:{closed_port}",), LOGIN), QUERIES).replicas
    assert "refused the connection" in replica.unreachable
    assert replica.answers == {}


@pytest.mark.parametrize("code", [192, 193, 194, 516])
def test_a_login_that_is_refused_is_tried_once(code: int) -> None:
    with observing(lambda asked: error(code, 403)) as (target, (server,)):
        (replica,) = observe(target, QUERIES).replicas
    assert [answer.code for answer in replica.answers.values() if isinstance(answer, Refused)] == [code]
    assert len(server.asked) == 1


@pytest.mark.parametrize("length", [116, 146, 296])
@pytest.mark.parametrize(
    "headers", [{}, {"X-ClickHouse-Format": "JSON"}, {"X-ClickHouse-Exception-Code": "1"}, {"Location": "/"}]
)
def test_a_password_that_is_sent_back_where_a_message_is_cut_is_hidden_whole(
    length: int, headers: dict[str, str]
) -> None:
    said = text("x" * length + PASSWORD, 302 if "Location" in headers else 200, **headers)
    try:
        told = repr(answer(replace(said, headers={**said.headers, "Location": "x" * length + PASSWORD})))
    except UnreachableError as error:
        told = str(error)
    assert "xxx" in told
    assert PASSWORD[:3] not in told


WRITER = Login("writer", "wr1ter-word", "traces")


def test_langsmiths_user_asks_its_own_queries_by_its_own_word_from_a_database_that_is_there() -> None:
    with observing(Script()) as (target, (server,)):
        live = observe(replace(target, writer=WRITER), {"one": QUERIES["one"]}, {"two": QUERIES["two"]})
    (replica,) = live.replicas
    assert (live.writer, replica.writer) == ("writer", {"two": [{"sql": "SELECT 'two'"}]})
    assert "two" not in replica.answers
    for asked in server.asked:
        mine = asked.body.decode() == "SELECT 'two'"
        assert asked.headers["x-clickhouse-user"] == ("writer" if mine else "langsmith")
        assert asked.headers["x-clickhouse-key"] == ("wr1ter-word" if mine else PASSWORD)
        assert asked.headers["x-clickhouse-database"] == ("information_schema" if mine else "default")


def test_without_another_user_nobody_else_is_asked() -> None:
    with observing(Script()) as (target, _servers):
        live = observe(target, QUERIES, {"four": Query("SELECT 4")})
    assert (live.writer, live.replicas[0].writer) == ("", {})


@pytest.mark.parametrize("code", [192, 193, 194, 516])
def test_a_writer_who_is_refused_is_tried_once_and_all_else_is_told(code: int) -> None:
    of_writer = {str(number): Query(f"SELECT writer {number}") for number in range(5)}
    with observing(Script(say=lambda sql: error(code, 403) if "writer" in sql else rows({"x": 1}))) as (target, _asked):
        (replica,) = observe(replace(target, writer=WRITER), QUERIES, of_writer).replicas
    assert [answer.code for answer in replica.writer.values() if isinstance(answer, Refused)] == [code]
    assert all(replica.rows(name) for name in QUERIES)


def test_a_writer_is_asked_where_the_reader_is_refused() -> None:
    def say(asked: Asked) -> Said:
        return rows({"x": 1}) if asked.headers["x-clickhouse-user"] == "writer" else error(516, 403)

    with observing(say) as (target, _servers):
        (replica,) = observe(replace(target, writer=WRITER), QUERIES, QUERIES).replicas
    assert set(replica.writer) == set(QUERIES)
    assert replica.unreachable == ""


def test_a_server_that_hangs_when_the_writer_asks_costs_its_timeout_once(silence: Silence) -> None:
    of_writer = {str(number): Query(f"SELECT writer {number}") for number in range(5)}
    with observing(Script(say=silence)) as (target, _servers):
        (replica,) = observe(replace(target, writer=WRITER), QUERIES, of_writer).replicas
    assert silence.asked == ["SELECT writer 0"]
    assert list(replica.writer) == ["0"]
    assert all("fell silent" in str(replica.answers[name]) for name in QUERIES)


def test_a_word_of_the_writers_that_is_sent_back_is_not_shown() -> None:
    with observing(Script(say=lambda sql: text("no, wr1ter-word", 500, **{"X-ClickHouse-Exception-Code": "1"}))) as (
        target,
        _servers,
    ):
        live = observe(replace(target, writer=WRITER), {}, QUERIES)
    assert "wr1ter-word" not in repr(live)
    assert "********" in repr(live)


def test_a_database_that_is_absent_is_told_and_the_rest_is_asked_from_elsewhere() -> None:
    script = Script()

    def say(asked: Asked) -> Said:
        return error(81, 404) if asked.headers["x-clickhouse-database"] == "default" else script(asked)

    with observing(say) as (target, _servers):
        (replica,) = observe(target, QUERIES).replicas
    assert replica.no_database
    assert all(replica.rows(name) for name in QUERIES)


def test_a_server_without_any_database_is_not_asked_for_ever() -> None:
    with observing(lambda asked: error(81, 404)) as (target, _servers):
        (replica,) = observe(target, QUERIES).replicas
    assert {answer.code for answer in replica.answers.values() if isinstance(answer, Refused)} == {81}


@pytest.mark.usefixtures("impatient")
def test_a_server_that_hangs_from_the_start_costs_its_timeout_once() -> None:
    with observing(lambda asked: OVERDUE, Script()) as (target, (hangs, _server)):
        silent, other = observe(target, {**QUERIES, **COUNTERS}).replicas
    assert silent.unreachable == "http: no answer within 60 s"
    assert other.answers["one"] == [{"sql": "SELECT 'one'"}]
    assert len(hangs.asked) == 1


def test_a_server_that_falls_silent_costs_its_timeout_once(silence: Silence) -> None:
    queries = {str(number): Query("SELECT 1", sampled=True) for number in range(20)}
    replica = single(silence, queries)
    # Those of all connections may be under way by then.
    assert 1 <= len(silence.asked) <= CONNECTIONS
    assert all(isinstance(replica.answers[name], Refused) for name in queries)
    assert "fell silent" in str(replica.answers["19"])
    assert replica.later == {}


def test_one_slow_query_is_no_silence(silence: Silence, monkeypatch: pytest.MonkeyPatch) -> None:
    queries = {"slow": Query("SELECT slow"), **QUERIES, **COUNTERS}
    heard, ask_one = threading.Semaphore(0), clickhouse._Server._ask

    def hear(*asked: Any) -> Any:
        answer = ask_one(*asked)
        heard.release()
        return answer

    def say(sql: str) -> Said:
        if "slow" not in sql:
            return rows({"name": "x", "value": 1})
        # The greeting, the clusters and every other query.
        for _answer in range(2 + len(queries) - 1):
            heard.acquire()
        return silence(sql)

    monkeypatch.setattr(clickhouse._Server, "_ask", hear)
    replica = single(say, queries)
    assert replica.answers["slow"] == Refused(0, "http: no answer within 60 s")
    assert replica.rise("counters", "x") == 0
    assert all(replica.rows(name) for name in QUERIES)


def test_a_server_at_its_limit_of_queries_is_asked_one_by_one() -> None:
    asking, refused = threading.Semaphore(1), threading.Event()

    def say(sql: str) -> Said:
        if not asking.acquire(blocking=False):
            refused.set()
            return error(202)
        try:
            refused.wait(TIMEOUT)
            return rows({"sql": sql})
        finally:
            asking.release()

    queries = {str(number): Query(f"SELECT {number}") for number in range(8)}
    replica = single(say, queries)
    assert refused.is_set()
    assert {name: replica.rows(name) for name in queries} == {n: [{"sql": q.sql}] for n, q in queries.items()}


def node(number: int, name: str, **more: Any) -> dict[str, Any]:
    more = {"cluster": "replicated", "host_address": "", "is_local": 0, **more}
    return {"shard_num": 1, "replica_num": number, "host_name": name, "port": 9000, **more}


def through(live: Target, servers: dict[str, Running]) -> Target:
    """The target, with names that lead to servers on ports of their own."""

    def dial(host: str, port: int, timeout: float) -> socket.socket:
        if host not in servers:
            raise ConnectionRefusedError
        return socket.create_connection(("127.0.0.1", servers[host].port), timeout=timeout)

    return replace(live, urls=("http://chi-0:8123",), connection={"timeout": TIMEOUT, "dial": dial})


def discovering(known: list[dict[str, Any]], names: list[str], cluster: str | None = "replicated") -> Live:
    """What is observed where the first server knows the rows, and the names have servers."""
    scripts = [Script(f"uuid-{name}", known, lambda sql, name=name: rows({"name": name})) for name in names]  # type: ignore[misc]
    with observing(*scripts, cluster=cluster) as (target, servers):
        return observe(through(target, dict(zip(names, servers, strict=True))), QUERIES)


def test_the_first_that_answers_tells_of_the_others() -> None:
    live = discovering([node(n + 1, f"chi-{n}") for n in range(3)], ["chi-0", "chi-1", "chi-2"])
    assert [(replica.subject, replica.value("one", "name")) for replica in live.replicas] == [
        ("chi-0:8123", "chi-0"),
        ("chi-1:8123", "chi-1"),
        ("chi-2:8123", "chi-2"),
    ]


def test_a_discovered_server_that_is_lost_is_unreachable() -> None:
    live = discovering([node(1, "chi-0"), node(2, "chi-1")], ["chi-0"])
    assert [bool(replica.unreachable) for replica in live.replicas] == [False, True]
    assert "refused" in live.replicas[1].unreachable


def test_the_one_that_answers_is_not_asked_under_its_own_name_again() -> None:
    live = discovering([node(1, "chi-a", is_local=1), node(2, "chi-1")], ["chi-0", "chi-a", "chi-1"])
    assert [replica.subject for replica in live.replicas] == ["chi-0:8123", "chi-1:8123"]


def test_a_server_with_two_names_is_observed_once() -> None:
    scripts = [Script(f"uuid-{n}", [node(1, "chi-0"), node(2, "chi-1")]) for n in (0, 1, 0)]
    with observing(*scripts, cluster="replicated") as (target, servers):
        named = through(target, dict(zip(("chi-0", "chi-1", "alias"), servers, strict=True)))
        live = observe(replace(named, urls=("http://chi-0:8123", "http://alias:8123")), QUERIES)
    subjects = [replica.subject for replica in live.replicas]
    assert len(subjects) == 2
    assert "chi-1:8123" in subjects


def test_servers_of_other_clusters_are_left_alone() -> None:
    live = discovering([node(1, "chi-0"), node(1, "elsewhere", cluster="other")], ["chi-0"])
    assert [replica.subject for replica in live.replicas] == ["chi-0:8123"]


def test_without_a_cluster_nothing_is_discovered() -> None:
    live = discovering([node(1, "chi-0"), node(2, "chi-1")], ["chi-0", "chi-1"], cluster=None)
    assert [replica.subject for replica in live.replicas] == ["chi-0:8123"]


@pytest.mark.parametrize("name", ["evil.example.org/path", "a b", "user@host", "x:80", "", "-", "a\r\nX: y"])
def test_a_name_that_is_none_is_not_asked(name: str) -> None:
    live = discovering([node(1, "chi-0"), node(2, name)], ["chi-0"])
    assert [replica.unreachable for replica in live.replicas] == ["", "not asked: this is no host's name"]


def test_a_cluster_of_thousands_is_not_asked_whole() -> None:
    live = discovering([node(n, f"chi-{n}") for n in range(100)], ["chi-0"])
    assert len(live.replicas) == 100
    assert [r.unreachable for r in live.replicas].count("not asked: 32 others were") == 68


def test_answers_of_several_servers_behind_one_address_are_not_mixed() -> None:
    names = map("chi-{}".format, itertools.count())

    def balanced(asked: Asked) -> Said:
        said = Script()(asked)
        return replace(said, headers={**said.headers, "X-ClickHouse-Server-Display-Name": next(names)})

    with observing(balanced) as (target, _servers):
        (replica,) = observe(target, QUERIES).replicas
    assert all("the address leads to several servers" in str(replica.answers[name]) for name in QUERIES)


def test_where_each_connection_leads_elsewhere_one_server_is_asked() -> None:
    def named(name: str) -> Callable[[Asked], Said]:
        def script(asked: Asked) -> Said:
            said = Script(say=lambda sql: rows({"name": name}))(asked)
            return replace(said, headers={**said.headers, "X-ClickHouse-Server-Display-Name": name})

        return script

    with observing(named("chi-0"), named("chi-1")) as (target, servers):
        ports = itertools.chain([servers[0].port], itertools.repeat(servers[1].port))

        def dial(host: str, port: int, timeout: float) -> socket.socket:
            return socket.create_connection(("127.0.0.1", next(ports)), timeout=timeout)

        balanced = replace(target, urls=("http://service:8123",), connection={"timeout": TIMEOUT, "dial": dial})
        (replica,) = observe(balanced, QUERIES).replicas
    assert {name: replica.rows(name) for name in QUERIES} == {name: [{"name": "chi-0"}] for name in QUERIES}


@pytest.mark.usefixtures("unresolved")
def test_a_discovered_name_that_does_not_resolve_is_reached_by_its_address() -> None:
    known = [node(1, "localhost"), node(2, "chi-1.nowhere.invalid", host_address="127.0.0.1")]
    with observing(Script("", known), cluster="replicated") as (target, (server,)):
        first, second = observe(replace(target, urls=(f"http://localhost:{server.port}",)), QUERIES).replicas
    assert second.subject.startswith("chi-1.nowhere.invalid:")
    assert (second.unreachable, second.rows("one")) == ("", first.rows("one"))


@pytest.mark.parametrize("name", ["user", "password", "database"])
def test_a_login_with_a_line_break_is_an_error_that_does_not_show_it(name: str) -> None:
    login = replace(LOGIN, **{name: "hid\nden"})
    with pytest.raises(ValueError, match=f"{name} holds a line break") as raised:
        observe(Target(("http://127.0.0.1:1",), login), QUERIES)
    assert "hid" not in str(raised.value)


def test_a_login_may_hold_any_letter() -> None:
    with serve(lambda asked: rows({"a": 1})) as server:
        ask(HttpClient(f"http://{server.address}"), Login("us\u00e9r", "p\u2603ss", "d\N{SNOWMAN}b"), "SELECT 1")
    sent = [server.asked[0].headers[f"x-clickhouse-{name}"] for name in ("user", "key", "database")]
    assert [value.encode("latin-1").decode() for value in sent] == ["us\u00e9r", "p\u2603ss", "d\N{SNOWMAN}b"]


def test_an_address_that_cannot_be_used_is_an_error() -> None:
    with pytest.raises(ValueError, match="is no URL"):
        observe(Target(("clickhouse:8123",), LOGIN), QUERIES)
