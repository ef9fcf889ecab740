# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import itertools
import json
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from ansible_collections.langsmith.aws.plugins.module_utils.clients import load_sampling, load_settling
from ansible_collections.langsmith.aws.plugins.module_utils.clients.load import run_load
from ansible_collections.langsmith.aws.plugins.module_utils.clients.load_reading import Watcher
from ansible_collections.langsmith.aws.plugins.module_utils.clients.load_sending import Sender
from ansible_collections.langsmith.aws.plugins.module_utils.domain.errors import ProjectError
from ansible_collections.langsmith.aws.plugins.module_utils.domain.langsmith import parse_endpoint
from ansible_collections.langsmith.aws.plugins.module_utils.domain.load import capacity, feed, watching
from ansible_collections.langsmith.aws.plugins.module_utils.domain.load.ids import Ids
from ansible_collections.langsmith.aws.plugins.module_utils.domain.load.measured import Measured, merge
from ansible_collections.langsmith.aws.plugins.module_utils.domain.load.options import Settings, Target

from tests.unit.plugins.leaping import Leaping
from tests.unit.plugins.scripted import OVERDUE, Asked, Running, Said, page, said, serve
from tests.unit.plugins.scripted_langsmith import KEY, Fault, ScriptedLangSmith, on

INGEST = "/api/v1/runs/multipart"
QUERY = "/api/v1/runs/query"


@pytest.fixture(autouse=True)
def small_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two traces to a request, six requests to the load of most tests; and none is too late to be sent or to count."""
    monkeypatch.setattr(feed, "RUNS_PER_REQUEST", 4)
    monkeypatch.setattr(feed, "GRACE_SECONDS", 600.0)
    monkeypatch.setattr(capacity, "LATE_MOST", 600.0)


def load(**options: Any) -> Settings:
    """Twelve traces of two runs, sent by two connections as quickly as they are accepted."""
    ways: dict[str, Any] = {} if "rate" in options or "find_capacity" in options else {"concurrency": 2}
    return Settings(**{"ids": Ids(7, 8), **ways, "traces_max": 12, "runs_per_trace": 2, "drain_timeout": 60, **options})


def target(server: Running, **options: Any) -> Target:
    connection = {"timeout": 60.0, "connect_timeout": 60.0}
    return Target(parse_endpoint(f"http://{server.address}"), {"x-api-key": KEY}, connection, **options)


def measure(langsmith: ScriptedLangSmith, settings: Settings, **options: Any) -> Measured:
    with serve(langsmith) as server:
        return run_load(target(server, **options), settings)


def every_third_request(answer: Said) -> Fault:
    count = itertools.count()
    return on("POST", INGEST, lambda _asked: answer if next(count) % 3 == 2 else None)


def test_every_run_is_sent_once_found_by_its_id_and_removed() -> None:
    langsmith = ScriptedLangSmith()
    found = measure(langsmith, load())
    assert (found.traces, found.sent, found.accepted, found.visible, found.lost) == (12, 24, 24, 24, 0)
    assert set(langsmith.runs) == {Ids(7, 8).id(number) for number in range(24)}
    assert found.requests == 6
    assert found.complete
    assert found.drain is not None
    assert langsmith.projects == {}
    assert found.projects[0]["kept"] is False


def test_a_rate_is_kept_and_latency_counts_from_when_a_trace_was_due() -> None:
    found = measure(ScriptedLangSmith(), load(rate=40.0, duration=0.5))
    assert (found.traces, found.unsent_traces, found.visible) == (12, 0, 24)
    # Two traces travel together, and the first waits for the second, which is due 0.025 s later.
    accepted = found.latencies["accepted"].percentile(100)
    assert accepted is not None
    assert accepted >= 0.025
    assert found.latencies["visible"].count + found.latencies["visible"].missing == found.watched


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (said({"error": "Too many requests"}, 429), "429"),
        (page(503), "503"),
        (page(302, Location="https://elsewhere.example.org"), "302"),
        (said({"error": "Conflict"}, 409), "409"),
    ],
)
def test_a_refused_request_is_counted_by_its_status_and_never_sent_again(answer: Said, status: str) -> None:
    langsmith = ScriptedLangSmith(every_third_request(answer))
    with serve(langsmith) as server:
        found = run_load(target(server), load())
    assert found.refused == {status: 8}
    assert (found.sent, found.accepted, found.visible, found.lost) == (24, 16, 16, 0)
    assert sum(asked.path == INGEST for asked in server.asked) == 6
    assert found.problems[0].startswith(f"status {status}")


@pytest.mark.usefixtures("impatient")
def test_a_request_without_an_answer_in_time_is_unanswered_though_it_may_be_stored() -> None:
    langsmith = ScriptedLangSmith()
    count = itertools.count()

    def stores_and_is_silent(asked: Asked) -> Said | None:
        if next(count) != 1:
            return None
        langsmith.post_runs_multipart(asked)
        return OVERDUE

    langsmith.faults.append(on("POST", INGEST, stores_and_is_silent))
    found = measure(langsmith, load())
    assert found.unanswered == {"http timeout": 4}
    assert (found.accepted, found.visible, found.stored_unaccepted) == (20, 20, 4)


def test_runs_that_never_appear_are_lost_by_their_ids(leaping: Callable[..., Leaping]) -> None:
    leaping(load_settling)
    langsmith = ScriptedLangSmith()
    gone = {Ids(7, 8).id(number) for number in (0, 5, 17)}
    langsmith.visible = lambda run: run["id"] not in gone
    found = measure(langsmith, load())
    assert (found.accepted, found.visible, found.lost) == (24, 21, 3)
    assert set(found.lost_ids) == gone
    assert found.complete
    assert not found.certain
    assert found.drain is None


@pytest.fixture
def quick_settling(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "SETTLE_SECONDS", 0.3)
    monkeypatch.setattr(load_sampling, "SAMPLE_SECONDS", 0.05)


@pytest.mark.parametrize(("active", "certain", "patience"), [(0, True, 600.0), (3, False, 6.0)])
@pytest.mark.usefixtures("quick_settling")
def test_what_is_missing_is_lost_for_certain_once_the_queue_is_empty(
    active: int, certain: bool, patience: float
) -> None:
    counters = said({"ingestion_queue": {"pending": 0, "retry": 0, "active": active}})
    langsmith = ScriptedLangSmith(on("GET", "/metrics", counters))
    langsmith.visible = lambda run: run["id"] != Ids(7, 8).id(4)
    with serve(langsmith) as server:
        queue = f"http://{server.address}/metrics?format=json"
        found = run_load(target(server, queue_url=queue), load(drain_timeout=patience))
    assert (found.lost, found.certain) == (1, certain)
    assert (found.whole < patience) is certain
    assert {sample.active for sample in found.backlog} == {active}


def test_a_run_on_two_pages_is_a_duplicate() -> None:
    langsmith = ScriptedLangSmith()

    def twice(asked: Asked) -> Said:
        document = langsmith.post_runs_query(asked)
        if asked.json.get("cursor"):
            again = json.loads(document.body)["runs"][:3]
            return said({"runs": again, "cursors": {"next": None}})
        return said({**json.loads(document.body), "cursors": {"next": "more"}})

    langsmith.faults.append(on("POST", QUERY, twice))
    found = measure(langsmith, load())
    assert (found.visible, found.duplicates, len(found.duplicate_ids)) == (24, 3, 3)


@pytest.mark.parametrize(
    "answer",
    [
        page(502),
        said({"detail": "no"}, 500),
        said(["runs"]),
        said({"runs": [None]}),
        said({"runs": [], "cursors": ["next"]}),
    ],
)
def test_books_that_cannot_be_closed_say_so(leaping: Callable[..., Leaping], answer: Said) -> None:
    leaping(load_settling)
    found = measure(ScriptedLangSmith(on("POST", QUERY, answer)), load())
    assert not found.complete
    assert found.accepted == 24
    assert any(problem.startswith("reading back: status") for problem in found.problems)


def test_ids_without_an_answer_are_asked_for_again_until_there_is_one() -> None:
    langsmith, count = ScriptedLangSmith(every_third_request(said({"detail": "no"}, 500))), itertools.count()

    def sometimes(asked: Asked) -> Said | None:
        return page(502) if len(asked.json["id"]) > 12 and next(count) < 2 else None

    langsmith.faults.append(on("POST", QUERY, sometimes))
    found = measure(langsmith, load())
    assert (found.complete, found.certain, found.visible, found.refused) == (True, True, 16, {"500": 8})
    assert found.drain is not None
    assert next(count) > 2


@pytest.mark.parametrize("when", ["sending", "settling"])
def test_a_watcher_that_fails_ends_the_load_in_order(monkeypatch: pytest.MonkeyPatch, when: str) -> None:
    langsmith = ScriptedLangSmith()
    langsmith.visible = lambda _run: False
    look, count = Watcher._look, itertools.count()

    def fails(self: Watcher, numbers: list[int]) -> None:
        if next(count) >= (0 if when == "sending" else 3):
            langsmith.visible = lambda _run: True
            raise RecursionError("too deep")
        look(self, numbers)

    monkeypatch.setattr(Watcher, "_look", fails)
    rate = {"rate": 10.0, "duration": 600.0, "connections": 2, "traces_max": 6000} if when == "sending" else {}
    found = measure(langsmith, load(**rate, drain_timeout=600.0))
    assert found.interrupted == "the watcher failed: RecursionError: too deep"
    assert (found.visible, found.complete) == (found.sent, True)
    assert found.sent < 12000
    assert found.whole < 300
    assert langsmith.projects == {}


@pytest.fixture
def terminated() -> Iterator[Callable[[], None]]:
    """Tells this process to end, as Kubernetes tells a pod."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    yield lambda: signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGTERM)
    signal.signal(signal.SIGTERM, before)


def after_a_request(do: Callable[[], None]) -> Fault:
    """Once the first request of a load was taken in and another one comes."""
    count = itertools.count()
    return on("POST", INGEST, lambda _asked: do() if next(count) == 1 else None)


def test_a_load_that_is_told_to_end_does_not_wait_for_what_cannot_be_read(
    monkeypatch: pytest.MonkeyPatch, terminated: Callable[[], None]
) -> None:
    monkeypatch.setattr(load_settling, "HURRY_SECONDS", 0.5)
    langsmith = ScriptedLangSmith(after_a_request(terminated))
    langsmith.visible = lambda _run: False
    found = measure(langsmith, load(rate=4.0, duration=600.0, connections=1, traces_max=2400, drain_timeout=600.0))
    assert found.interrupted == "interrupted while sending"
    assert 0 < found.accepted == found.lost < 4800
    assert found.whole < 300
    assert langsmith.projects == {}
    assert found.projects[0]["kept"] is False


def test_a_search_that_is_told_to_end_counts_no_step_that_was_cut_off(terminated: Callable[[], None]) -> None:
    langsmith = ScriptedLangSmith(after_a_request(terminated))
    found = measure(langsmith, load(find_capacity=True, rate=4.0, duration=600.0, connections=1, traces_max=2400))
    assert (found.steps, found.interrupted) == ([], "interrupted while sending")
    assert 0 < found.visible == found.accepted, found


@pytest.mark.parametrize("method", ["POST", "DELETE"])
def test_the_project_is_removed_also_when_told_to_end_meanwhile(method: str, terminated: Callable[[], None]) -> None:
    langsmith, count = ScriptedLangSmith(), itertools.count()

    def interrupts(asked: Asked) -> Said | None:
        if next(count):
            return None
        if method == "POST":
            langsmith.post_sessions(asked)
        terminated()
        return OVERDUE

    langsmith.faults.append(on(method, "/api/v1/sessions*", interrupts))
    if method == "POST":
        with pytest.raises(KeyboardInterrupt):
            measure(langsmith, load())
    else:
        assert measure(langsmith, load()).interrupted == "interrupted while removing the project"
    assert langsmith.projects == {}
    assert langsmith.deleted


@pytest.mark.parametrize(
    ("answer", "keep"),
    [
        (OVERDUE, False),
        (page(504), False),
        (said({"detail": "no"}, 500), True),
        # As something on the way that repeats a request has it.
        (said({"detail": "Session already exists."}, 409), False),
    ],
)
@pytest.mark.usefixtures("impatient")
def test_a_project_whose_making_was_not_answered_is_removed_all_the_same(answer: Said, keep: bool) -> None:
    langsmith = ScriptedLangSmith()

    def makes_it(asked: Asked) -> Said:
        langsmith.post_sessions(asked)
        return answer

    langsmith.faults.append(on("POST", "/api/v1/sessions", makes_it))
    found = measure(langsmith, load(keep=keep))
    assert "no load was sent, as no project can be made" in found.interrupted
    assert (found.sent, found.complete, found.projects[0]["kept"]) == (0, False, False)
    assert langsmith.projects == {}
    assert langsmith.deleted == [f"/api/v1/sessions/{found.projects[0]['id']}"]


def test_a_project_that_was_never_made_is_not_left() -> None:
    langsmith = ScriptedLangSmith(
        on("POST", "/api/v1/sessions", page(504)),
        on("DELETE", "/api/v1/sessions/*", said({"detail": "Session not found"}, 404)),
    )
    found = measure(langsmith, load())
    assert (found.projects[0]["kept"], found.problems) == (False, [])


def test_an_error_in_the_middle_ends_the_load_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    langsmith, count = ScriptedLangSmith(), itertools.count()
    encode = Sender._encode

    def fails_later(self: Sender, body: bytes) -> tuple[bytes, dict[str, str]]:
        if next(count) == 2:
            raise MemoryError("no room")
        return encode(self, body)

    monkeypatch.setattr(Sender, "_encode", fails_later)
    found = measure(langsmith, load(traces_max=100))
    assert found.interrupted == "a sender failed: MemoryError: no room"
    assert found.unanswered == {"sender failed": 4}
    assert found.sent == found.accepted + 4
    assert found.visible == found.accepted == len(langsmith.runs)
    assert langsmith.projects == {}


def test_a_project_that_cannot_be_removed_is_told() -> None:
    found = measure(ScriptedLangSmith(on("DELETE", "/api/v1/sessions/*", said({"detail": "no"}, 500))), load())
    assert found.projects[0]["kept"] is True
    assert any("is left" in problem for problem in found.problems)


@pytest.mark.parametrize(
    ("path", "answer", "words"),
    [
        ("/api/v1/info", page(200), "no LangSmith that answers"),
        ("/api/v1/sessions", said({"detail": "Forbidden"}, 403), "no project can be made: .*403"),
    ],
)
def test_an_installation_that_does_not_answer_gets_no_load(path: str, answer: Said, words: str) -> None:
    langsmith = ScriptedLangSmith(lambda asked: answer if asked.path == path else None)
    with serve(langsmith) as server, pytest.raises(ProjectError, match=f"no load was sent, as .*{words}"):
        run_load(target(server), load())
    assert not [asked for asked in server.asked if asked.path == INGEST or asked.method == "DELETE"]


def test_the_key_is_in_nothing_that_is_told() -> None:
    echo = said({"detail": f"invalid key {KEY}"}, 401)
    langsmith = ScriptedLangSmith(every_third_request(echo))
    refused = itertools.count()
    langsmith.faults.append(on("POST", QUERY, lambda _asked: echo if next(refused) == 0 else None))
    langsmith.faults.append(on("DELETE", "/api/v1/sessions/*", echo))
    found = measure(langsmith, load())
    assert len(found.problems) == 3
    assert KEY not in json.dumps(found.to_dict())
    assert KEY not in repr(Target(parse_endpoint("https://langsmith.example.org"), {"x-api-key": KEY}))


def test_zstd_needs_its_package_and_sends_compressed(monkeypatch: pytest.MonkeyPatch) -> None:
    langsmith = ScriptedLangSmith()
    found = measure(langsmith, load(compression="zstd"))
    assert found.visible == 24
    assert set(langsmith.encodings) == {"zstd"}
    monkeypatch.setitem(sys.modules, "zstandard", None)
    with pytest.raises(ProjectError, match="needs the Python package zstandard"):
        measure(langsmith, load(compression="zstd"))


def test_a_search_tells_each_step_and_stays_within_its_bounds() -> None:
    said_steps: list[str] = []
    langsmith = ScriptedLangSmith()
    settings = load(find_capacity=True, rate=20.0, duration=0.4, traces_max=30, visible_p95=600.0)
    with serve(langsmith) as server:
        found = run_load(target(server), settings, say=said_steps.append)
    assert [step.rate for step in found.steps] == [20.0, 40.0]
    assert all(step.holds for step in found.steps)
    assert found.traces == 24
    assert "would exceed traces_max 30: the search ends here" in said_steps[-1]
    assert found.visible == found.accepted == len(langsmith.runs) == 48


def test_a_search_is_not_sent_by_one_share_of_it() -> None:
    with serve(ScriptedLangSmith()) as server, pytest.raises(ValueError, match="no share of a load sees"):
        run_load(target(server), load(find_capacity=True, of=2))
    assert server.connections == []


def test_shares_sent_side_by_side_are_one_load_with_every_id_once() -> None:
    langsmith = ScriptedLangSmith()
    found = [measure(langsmith, load(index=index, of=3, traces_max=10)) for index in range(3)]
    whole = merge([Measured.from_dict(json.loads(json.dumps(share.to_dict()))) for share in found])
    assert [share.traces for share in found] == [4, 3, 3]
    assert set(langsmith.runs) == {Ids(7, 8).id(number) for number in range(20)}
    assert (whole.shares, whole.sent, whole.visible, whole.lost, whole.complete) == (3, 20, 20, 0, True)
    assert len({project["name"] for project in whole.projects}) == 3


def test_a_slow_answer_makes_those_behind_it_late_and_not_fewer() -> None:
    langsmith = ScriptedLangSmith()

    def slow(asked: Asked) -> None:
        time.sleep(0.2)

    langsmith.faults.append(on("POST", INGEST, slow))
    found = measure(langsmith, load(rate=40.0, duration=0.5, connections=1))
    # Six requests of 0.2 s one after another: the last one was due after 0.3 s and is accepted after 1.2 s.
    slowest, latest = (found.latencies[name].percentile(100) for name in ("accepted", "late"))
    assert found.accepted == 24
    assert slowest is not None
    assert slowest > 0.8
    assert latest is not None
    assert latest > 0.6


def test_slow_traces_keep_their_part_of_the_sample_when_there_is_no_more_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "WATCHED_MOST", 200)
    monkeypatch.setattr(load_settling, "time", Leaping())
    langsmith = ScriptedLangSmith()
    # The last 40% of 1000 traces are never readable, and all others at once.
    langsmith.visible = lambda run: int(run["id"][26:], 16) < 1200
    found = measure(langsmith, load(traces_max=1000))
    visible = found.latencies["visible"]
    assert found.watched <= visible.count + visible.missing
    assert 0.25 < visible.missing / (visible.count + visible.missing) < 0.55
    assert visible.percentile(95) is None
    assert found.one_in > 1
    assert found.progress[-1].visible == pytest.approx(found.accepted / 2 * visible.count / 1000, rel=0.3)


def test_the_trace_that_shows_when_all_is_there_is_not_in_the_sample() -> None:
    found = measure(ScriptedLangSmith(), load())
    assert found.watched == found.latencies["visible"].count == 12


def test_traces_that_were_not_sent_are_in_no_percentile_as_if_they_had_been_quick(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # The sender has no time for what is due after the first 0.1 s.
    monkeypatch.setattr(feed, "GRACE_SECONDS", -0.4)
    found = measure(ScriptedLangSmith(), load(rate=40.0, duration=0.5, traces_max=20, connections=1))
    assert 0 < found.unsent_traces == 20 - found.traces
    for name in ("accepted", "visible", "late", "last_quarter"):
        assert found.latencies[name].missing == found.unsent_traces


def test_a_load_that_is_told_to_end_sends_nothing_before_it_is_due(terminated: Callable[[], None]) -> None:
    langsmith = ScriptedLangSmith(after_a_request(terminated))
    # The second request is on its way when the signal comes, and eight connections wait with those of later.
    found = measure(langsmith, load(rate=4.0, duration=600.0, connections=8, traces_max=2400))
    assert found.interrupted == "interrupted while sending"
    # One is due every quarter of a second.
    assert 2 <= found.traces <= 1 + 4.0 * found.sending
    assert found.traces + found.unsent_traces == 2400
    assert found.visible == found.accepted == len(langsmith.runs)


def test_what_is_on_its_way_when_a_load_is_told_to_end_is_waited_for(terminated: Callable[[], None]) -> None:
    removed, early = threading.Event(), []

    def hold() -> None:
        terminated()
        early.append(removed.wait(1))

    langsmith = ScriptedLangSmith(after_a_request(hold), on("DELETE", "/api/v1/sessions/*", lambda _: removed.set()))
    # The one connection is the one that is waited for when the signal comes.
    found = measure(langsmith, load(rate=4.0, duration=600.0, connections=1, traces_max=2400))
    assert early == [False]
    assert found.visible == found.accepted == len(langsmith.runs) == 4


def test_an_id_that_belongs_to_another_name_is_not_removed() -> None:
    other = {"id": "99999999-9999-4999-8999-999999999999", "name": "production"}
    langsmith = ScriptedLangSmith(on("POST", "/api/v1/sessions", said(other)))
    found = measure(langsmith, load())
    assert langsmith.deleted == [f"/api/v1/sessions/{found.projects[0]['id']}"]
    assert other["id"] not in langsmith.deleted[0]


def test_a_load_whose_threads_cannot_start_leaves_no_project(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(_self: Watcher, *_arguments: Any) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(Watcher, "__init__", fails)
    langsmith = ScriptedLangSmith()
    with pytest.raises(RuntimeError, match="new thread"):
        measure(langsmith, load())
    assert (langsmith.projects, len(langsmith.deleted)) == ({}, 1)


@pytest.mark.parametrize(
    ("received", "inserted"),
    [
        ("2026-01-01T00:00:01Z", "2026-01-01T00:00:00Z"),
        # Longer than the load has lasted.
        ("2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"),
    ],
)
def test_servers_whose_clocks_differ_tell_no_time_to_stored(received: str, inserted: str) -> None:
    langsmith = ScriptedLangSmith()
    langsmith.stored = lambda run: {**run, "trace_first_received_at": received, "inserted_at": inserted}
    stored = measure(langsmith, load()).latencies["stored"]
    assert (stored.count, stored.missing, stored.percentile(50)) == (0, 24, None)


@pytest.mark.usefixtures("quick_settling")
def test_what_is_lost_is_told_from_what_is_late_however_long_a_load_lasts(monkeypatch: pytest.MonkeyPatch) -> None:
    # As after hours, of which every thousandth sample or so is kept.
    monkeypatch.setattr(load_sampling, "SAMPLES_MOST", 2)
    counters = said({"ingestion_queue": {"pending": 0, "retry": 0, "active": 0}})
    langsmith = ScriptedLangSmith(on("GET", "/metrics", counters))
    langsmith.visible = lambda run: run["id"] != Ids(7, 8).id(4)
    with serve(langsmith) as server:
        queue = f"http://{server.address}/metrics?format=json"
        found = run_load(target(server, queue_url=queue), load(rate=6.0, duration=2.0, drain_timeout=600.0))
    assert (found.lost, found.certain) == (1, True)
    assert len(found.progress) <= 4


def test_a_rate_is_tried_again_where_little_went_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    # In so short a step the way to visible grows by chance.
    monkeypatch.setattr(capacity, "GROWTH_WATCHED", 1000)
    langsmith, count = ScriptedLangSmith(), itertools.count()
    langsmith.faults.append(on("POST", INGEST, lambda _asked: page(503) if next(count) == 3 else None))
    settings = load(find_capacity=True, rate=100.0, duration=0.4, traces_max=90, visible_p95=600.0)
    found = measure(langsmith, settings)
    assert [(step.rate, step.holds, step.blip) for step in found.steps] == [(100, False, True), (100, True, False)]


def test_the_key_is_not_sent_in_clear_where_the_url_leads_to_another() -> None:
    langsmith = ScriptedLangSmith(lambda _asked: page(301, Location="https://langsmith.example.org/"))
    with serve(langsmith) as server, pytest.raises(ProjectError, match=r"give the URL to which this one leads: .*301"):
        run_load(target(server), load())
    assert [asked.path for asked in server.asked] == ["/health"]
    assert "x-api-key" not in server.asked[0].headers
