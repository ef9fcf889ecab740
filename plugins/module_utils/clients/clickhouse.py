# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ClickHouse over HTTP(S): SQL in the body, credentials in headers, never in the URL that proxies log."""

from __future__ import annotations

import math
import re
import threading
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlsplit

from ansible_collections.langsmith.aws.plugins.module_utils.clients.http_client import Answer, HttpClient, HttpError
from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.facts import (
    AUTHENTICATION_CODES,
    CLUSTERS,
    ELSEWHERE,
    GREETING,
    IDENTITY,
    KNOWN_CLUSTERS,
    TOO_MANY_QUERIES,
    UNKNOWN_DATABASE,
    Live,
    Login,
    Query,
    Refused,
    Replica,
    Rows,
)

#: Connections to one server. More do not make it quicker and would themselves be load.
CONNECTIONS = 4
#: Servers that are asked; LangSmith wants five at most.
MAX_SERVERS = 32
#: Bytes of one answer.
MAX_BYTES = 8 * 1024 * 1024

# ClickHouse then sends an error that comes late as an error, not as the end of a broken answer. It is no setting,
# which a user with readonly = 1 could not change.
_TARGET = "/?wait_end_of_query=1"
_NUMBER = re.compile(r"(?:Nullable\(|LowCardinality\(|Array\()*(?:(U?Int)|B?Float|Decimal)\d*")
_EXCEPTION = re.compile(r"Code: (\d{1,5})\. DB::(?:Net|Parsing)?Exception: ")
_HOST = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_])?|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*")
_NO_UUID = "00000000-0000-0000-0000-000000000000"


class UnreachableError(Exception):
    """There is no ClickHouse that answers; the message says in which phase and why, without its full stop."""

    def __init__(self, message: str, *, timed_out: bool = False, phase: str = "http") -> None:
        super().__init__(message)
        self.timed_out = timed_out
        self.phase = phase


@dataclass(frozen=True)
class Target:
    """The servers to ask and by whom.

    ``urls`` are all asked. Where ``cluster`` is given and ``discover`` is on, the first that answers tells of the
    cluster's other servers, which are asked by the same login at their own names (where those do not resolve, at the
    addresses that the first knows), on the scheme and port of the first URL. ``connection`` are keywords of
    ``HttpClient``; its ``connect_to`` is for a single URL. ``sample_seconds`` lie between the samples. ``writer`` is
    another user, who is asked queries of its own.
    """

    urls: tuple[str, ...]
    login: Login
    cluster: str | None = None
    connection: Mapping[str, Any] = field(default_factory=dict)
    discover: bool = True
    sample_seconds: float = 3.0
    writer: Login | None = None


def observe(target: Target, queries: Mapping[str, Query], of_writer: Mapping[str, Query] | None = None) -> Live:
    """What every server answers to the queries, all asked at the same time; what cannot be reached is told of.

    ``of_writer`` are the queries that the target's ``writer`` asks. Raises ValueError for a URL, a login or an option
    of the connection that cannot be used.
    """
    for login in (target.login, target.writer):
        if login is not None:
            login.headers()
    replicas = _Observation(target, queries, of_writer or {}).run()
    writer = target.writer.user if target.writer else ""
    return Live(target.login.user, target.login.database, target.cluster, replicas, writer)


def ask(http: HttpClient, login: Login, sql: str) -> Rows | Refused:
    """The rows of one query, or ClickHouse's refusal. Raises UnreachableError when nothing there speaks ClickHouse.

    Numbers are int or float by the types that ClickHouse names; what is not finite is None, as NULL is.
    """
    return _rows(_exchange(http, login, sql))


def _exchange(http: HttpClient, login: Login, sql: str) -> Answer:
    body = sql.encode()
    try:
        try:
            return http.request("POST", _TARGET, headers=login.headers(), body=body, max_bytes=MAX_BYTES)
        except HttpError as error:
            # The server may end a kept connection just when it is used again. A SELECT can be repeated.
            if error.timed_out or error.phase != "http" or error.timings.connect is not None:
                raise
            return http.request("POST", _TARGET, headers=login.headers(), body=body, max_bytes=MAX_BYTES)
    except HttpError as error:
        raise UnreachableError(
            f"{error.phase}: {error.reason}", timed_out=error.timed_out, phase=error.phase
        ) from error


def _rows(answer: Answer) -> Rows | Refused:
    code = answer.headers.get("x-clickhouse-exception-code", "")
    if code:
        return Refused(int(code) if re.fullmatch(r"[0-9]{1,5}", code) else 0, answer.head(300))
    if answer.status != 200 or not any(name.startswith("x-clickhouse-") for name in answer.headers):
        raise UnreachableError(_stranger(answer))
    if answer.truncated:
        return Refused(0, f"the answer is longer than {MAX_BYTES // 1024**2} MiB")
    if answer.headers.get("content-encoding", "identity") != "identity":
        return Refused(0, "the answer is compressed, which was not asked for")
    try:
        return _typed(answer.json())
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return _broken(answer)


def _stranger(answer: Answer) -> str:
    """What else than ClickHouse answers here."""
    location = answer.told("location")
    if 300 <= answer.status < 400 and location:
        return f"http: status {answer.status}, a redirect to {location[:150]!r}, which is not followed"
    return f"http: status {answer.status} from something that is no ClickHouse: {answer.head(120)!r}"


def _broken(answer: Answer) -> Refused:
    """An answer that is no table, as one that ends with the text of an exception."""
    text = answer.text()
    late = _EXCEPTION.search(text)
    if late is not None:
        return Refused(int(late[1]), " ".join(text[late.start() :].split())[:300])
    if not text.strip():
        return Refused(0, "the answer is empty")
    return Refused(0, f"the answer is no table of ClickHouse's: {answer.head(150)!r}")


def _typed(document: Any) -> Rows:
    """The rows of a document of format JSON, its numbers as such: 64 bits and more may come as strings."""
    rows = document["data"]
    numbers = {
        column["name"]: bool(matched[1])
        for column in document.get("meta", ())
        if (matched := _NUMBER.match(column["type"]))
    }
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise TypeError("data is no list of rows")
    for row in rows:
        for name, whole in numbers.items():
            row[name] = _number(row[name], whole)
    return rows


def _number(value: Any, whole: bool) -> Any:
    if value is None or (whole and isinstance(value, int) and not isinstance(value, bool)):
        return value
    if isinstance(value, list):
        return [_number(one, whole) for one in value]
    if whole and isinstance(value, str):
        return int(value)
    number = float(value)
    return number if math.isfinite(number) else None


class _Server:
    """One server while it is asked, on a few kept connections."""

    def __init__(self, http: HttpClient, login: Login, seconds: float, instead: HttpClient | None = None) -> None:
        """``seconds`` are a query's timeout; ``instead`` is taken where the name of the first does not resolve."""
        self._login = login
        self._seconds = seconds
        self._connections = [http]
        self._instead = instead
        self.subject = f"{http.host}:{http.port}"
        self.name = http.host.lower()
        self.unreachable = ""
        self.answers: dict[str, Rows | Refused] = {}
        self.later: dict[str, Rows | Refused] = {}
        self.writer: dict[str, Rows | Refused] = {}
        self.no_database = False
        self.between = 0.0
        self._display_name = ""
        self._asking: set[str] = set()
        self._heard = 0.0
        self._silent = ""

    def greet(self) -> bool:
        """Ask who it is and whom it knows; whether it makes sense to ask more."""
        http = self._connections[0]
        try:
            known = self.answers[IDENTITY] = self._ask(http, GREETING)
        except UnreachableError as error:
            if error.phase == "dns" and self._instead is not None:
                self._connections, self._instead = [self._instead], None
                return self.greet()
            self.unreachable = str(error)
            return False
        if isinstance(known, Refused) and known.code in AUTHENTICATION_CODES:
            return False
        if isinstance(known, Refused) and known.code == UNKNOWN_DATABASE and not self.no_database:
            self.no_database, self._login = True, replace(self._login, database=ELSEWHERE)
            return self.greet()
        self._work(http, deque([(CLUSTERS, KNOWN_CLUSTERS)]), self.answers, alone=True)
        return True

    @property
    def identity(self) -> str:
        """What no other server has; empty where it cannot be told."""
        known = self.answers.get(IDENTITY)
        uuid = "" if known is None or isinstance(known, Refused) or not known else str(known[0].get("uuid"))
        return "" if uuid == _NO_UUID else uuid

    def neighbours(self, cluster: str) -> Rows:
        """The rows of system.clusters on the servers of the cluster."""
        known = self.answers.get(CLUSTERS)
        return () if known is None or isinstance(known, Refused) else [r for r in known if r.get("cluster") == cluster]

    def sample(self, queries: Mapping[str, Query], pause: float) -> None:
        """Ask everything, and what is to be sampled once more, ``pause`` seconds after its first time."""
        sampled = {name: query for name, query in queries.items() if query.sampled}
        began = time.monotonic()
        # What is sampled goes first, so that the pause runs while the rest is asked.
        self._round({**sampled, **queries}, self.answers)
        if sampled and not self._silent:
            time.sleep(max(0.0, began + pause - time.monotonic()))
            self.between = time.monotonic() - began
            self._round(sampled, self.later)

    def ask_as(self, login: Login, queries: Mapping[str, Query]) -> None:
        """Ask as another user, who need see no database; a login that is refused is tried once."""
        login = replace(login, database=ELSEWHERE)
        for name, query in queries.items():
            try:
                self.writer[name] = answer = self._ask(self._connections[0], query, login)
            except UnreachableError as error:
                self.writer[name] = Refused(0, str(error))
                self._silent = f"the server fell silent ({error})" if error.timed_out else ""
                return
            if isinstance(answer, Refused) and answer.code in AUTHENTICATION_CODES:
                return

    def close(self) -> None:
        """End the connections."""
        for http in self._connections:
            http.close()

    def _round(self, queries: Mapping[str, Query], answers: dict[str, Rows | Refused]) -> None:
        waiting = deque(queries.items())
        while len(self._connections) < min(CONNECTIONS, len(queries)):
            self._connections.append(self._connections[0].twin())
        first, *others = self._connections
        helpers = [threading.Thread(target=self._work, args=(http, waiting, answers), daemon=True) for http in others]
        for helper in helpers:
            helper.start()
        self._work(first, waiting, answers)
        for helper in helpers:
            helper.join()
        # What was given back; nothing else of ours stands in its way now.
        self._work(first, waiting, answers, alone=True)
        for name in queries:
            answers.setdefault(name, Refused(0, self._silent or "it was not asked"))

    def _work(
        self,
        http: HttpClient,
        waiting: deque[tuple[str, Query]],
        answers: dict[str, Rows | Refused],
        alone: bool = False,
    ) -> None:
        """Ask what waits until nothing does. One of several gives its query back and ends when it does not get on."""
        while not self._silent:
            try:
                name, query = waiting.popleft()
            except IndexError:
                return
            self._asking.add(name)
            try:
                answer = self._ask(http, query)
            except UnreachableError as error:
                if not alone and not error.timed_out:
                    waiting.append((name, query))
                    return
                answer = Refused(0, str(error))
                self._judge_silence(error, bool(waiting))
            finally:
                self._asking.discard(name)
            if not alone and isinstance(answer, Refused) and answer.code == TOO_MANY_QUERIES:
                waiting.append((name, query))
                return
            answers[name] = answer

    def _judge_silence(self, error: UnreachableError, more: bool) -> None:
        """One slow query is no silence; a server that says nothing to several questions is asked no more."""
        quiet = self._heard < time.monotonic() - self._seconds / 2
        if error.timed_out and quiet and (more or len(self._asking) > 1):
            self._silent = f"the server fell silent ({error})"

    def _ask(self, http: HttpClient, query: Query, login: Login | None = None) -> Rows | Refused:
        login = login or self._login
        answer = _exchange(http, login, query.sql)
        self._heard = time.monotonic()
        rows = _rows(answer)
        display_name = answer.told("x-clickhouse-server-display-name")
        self._display_name = self._display_name or display_name
        if display_name and display_name != self._display_name:
            # Behind a load balancer each connection may lead to another server, whose answers must not be mixed.
            http.close()
            both = f"{self._display_name[:80]} and {display_name[:80]}"
            raise UnreachableError(f"http: the address leads to several servers, {both}: name each by itself")
        return rows


class _Observation:
    """All servers while they are asked: the given ones, and those that are discovered."""

    def __init__(self, target: Target, queries: Mapping[str, Query], of_writer: Mapping[str, Query]) -> None:
        self._target = target
        self._of_writer = of_writer
        self._queries = {name: query for name, query in queries.items() if name not in (IDENTITY, CLUSTERS)}
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._servers: list[_Server | Replica] = []
        self._identities: set[str] = set()
        self._discovered = not (target.discover and target.cluster)
        self._error: BaseException | None = None

    def run(self) -> tuple[Replica, ...]:
        """The replicas: those of the URLs in their order, then the discovered ones in the cluster's order."""
        for url in dict.fromkeys(self._target.urls):
            self._start(self._server(url, self._target.connection))
        # The list grows while servers are discovered, always before the thread that discovers ends.
        for thread in self._threads:
            thread.join()
        if self._error is not None:
            raise self._error
        return tuple(_replica(one) if isinstance(one, _Server) else one for one in self._servers)

    def _server(self, url: str, connection: Mapping[str, Any], address: str = "") -> _Server:
        """``address`` is where the server is, as others know it, should its name not resolve here."""
        http = HttpClient(url, **connection)
        way = f"[{address}]:{http.port}" if ":" in address else f"{address}:{http.port}"
        instead = HttpClient(url, **{**connection, "connect_to": way}) if address else None
        return _Server(http, self._target.login, float(connection.get("timeout", 30)), instead)

    def _start(self, server: _Server) -> None:
        self._servers.append(server)
        thread = threading.Thread(target=self._observe, args=(server,), daemon=True)
        self._threads.append(thread)
        thread.start()

    def _observe(self, server: _Server) -> None:
        try:
            greeted = server.greet()
            if server.unreachable or (greeted and not self._is_new(server)):
                return
            if greeted:
                self._discover(server)
            if self._target.writer is not None:
                server.ask_as(self._target.writer, self._of_writer)
            if greeted:
                server.sample(self._queries, self._target.sample_seconds)
        except BaseException as error:  # pylint: disable=broad-exception-caught
            # Raised again by run: a thread has nobody to raise to.
            self._error = error
        finally:
            server.close()

    def _is_new(self, server: _Server) -> bool:
        """Whether nobody else is this very server, known by another name."""
        with self._lock:
            known = server.identity in self._identities
            if known:
                self._servers.remove(server)
            elif server.identity:
                self._identities.add(server.identity)
            return not known

    def _discover(self, server: _Server) -> None:
        with self._lock:
            rows = () if self._discovered or not self._target.cluster else server.neighbours(self._target.cluster)
            if not rows:
                return
            self._discovered = True
            asked = {one.name for one in self._servers if isinstance(one, _Server)}
            for row in rows:
                names = {str(row.get(key)).lower() for key in ("host_name", "host_address")}
                if not row.get("is_local") and not names & asked:
                    self._add(row)

    def _add(self, row: Mapping[str, Any]) -> None:
        """Ask a server that the cluster told of, at its name."""
        given = urlsplit(self._target.urls[0])
        host, address = str(row.get("host_name")), str(row.get("host_address") or "")
        shown = f"[{host}]" if ":" in host else host
        port = f":{given.port}" if given.port else ""
        connection = {key: value for key, value in self._target.connection.items() if key != "connect_to"}
        if len(self._servers) >= MAX_SERVERS:
            self._servers.append(Replica(f"{host}{port}", unreachable=f"not asked: {MAX_SERVERS} others were"))
        elif _HOST.fullmatch(host) is None:
            self._servers.append(Replica(repr(host)[:80], unreachable="not asked: this is no host's name"))
        else:
            # Names of pods resolve inside their cluster only; their addresses are those of the VPC.
            known = address if _HOST.fullmatch(address) and "dial" not in connection else ""
            self._start(self._server(f"{given.scheme}://{shown}{port}", connection, known))


def _replica(server: _Server) -> Replica:
    return Replica(
        server.subject,
        server.answers,
        server.later,
        server.between,
        server.unreachable,
        server.writer,
        server.no_database,
    )
