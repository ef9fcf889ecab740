# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sends a load of traces, watches when they can be read, accounts for each of them and removes them.

Standard library only, so that it also runs in a container that holds nothing but Python. Nothing is repeated and no
redirect is followed: every answer counts once.
"""

from __future__ import annotations

import os
import threading
import time
import uuid
from collections.abc import Callable
from typing import Any

from ansible_collections.langsmith.aws.plugins.module_utils.clients.http_client import HttpClient
from ansible_collections.langsmith.aws.plugins.module_utils.clients.langsmith import LangSmith
from ansible_collections.langsmith.aws.plugins.module_utils.clients.load_books import Books, Timeline
from ansible_collections.langsmith.aws.plugins.module_utils.clients.load_reading import Reader, Watched, Watcher
from ansible_collections.langsmith.aws.plugins.module_utils.clients.load_sampling import Queue, Sampler
from ansible_collections.langsmith.aws.plugins.module_utils.clients.load_sending import Phase, Sender, compressor
from ansible_collections.langsmith.aws.plugins.module_utils.clients.load_settling import Settling
from ansible_collections.langsmith.aws.plugins.module_utils.domain.errors import ProjectError
from ansible_collections.langsmith.aws.plugins.module_utils.domain.langsmith import may_have_written
from ansible_collections.langsmith.aws.plugins.module_utils.domain.load import capacity, watching
from ansible_collections.langsmith.aws.plugins.module_utils.domain.load.feed import OpenLoop, Sizes, feed, start_after
from ansible_collections.langsmith.aws.plugins.module_utils.domain.load.ids import RunIds
from ansible_collections.langsmith.aws.plugins.module_utils.domain.load.measured import Measured, Progress, Step
from ansible_collections.langsmith.aws.plugins.module_utils.domain.load.options import (
    Settings,
    Target,
    refuse_shared_search,
)
from ansible_collections.langsmith.aws.plugins.module_utils.domain.load.requests import (
    Requests,
    payload_pool,
    pool_randomness,
)
from ansible_collections.langsmith.aws.plugins.module_utils.domain.load.schedule import Arrivals
from ansible_collections.langsmith.aws.plugins.module_utils.domain.probe.documents import id_of

Say = Callable[[str], None]
#: Connects to a name inside the cluster: host, port, seconds.
Dial = Callable[[str, int, float], Any]


class Load:
    """One load of one installation. Used as a context: leaving it ends every thread and removes the project.

    What the answer to a write does not tell is taken as written, so a project that may be there is removed as well.
    """

    def __init__(
        self,
        target: Target,
        load: Settings,
        *,
        dial: Dial | None = None,
        queue_dial: Dial | None = None,
        say: Say | None = None,
    ) -> None:
        refuse_shared_search(load)
        self._target = target
        self._load = load
        self._say = say or (lambda _text: None)
        connection = dict(target.connection) if dial is None else {**target.connection, "dial": dial}
        # The first of all; the others share its trust in certificates, which takes time to load.
        self._first = HttpClient(target.endpoint.origin, **connection)
        self._clients = [self._first]
        self._compress = compressor(load.compression)
        self._headers = dict(target.authorization)
        self._api = LangSmith(self._first, target.endpoint, self._headers)
        self._runs = RunIds(load.ids, load.runs_per_trace, load.index, load.of)
        self._sizes = Sizes(load.payload, load.runs_per_trace)
        self._pool = payload_pool(os.urandom(pool_randomness(self._sizes)))
        self._books = Books()
        self._phases: list[Phase] = []
        self._steps: list[Step] = []
        self._position = 0
        self.interrupted = ""
        self.project_id = ""
        self._removed = False
        self.began = time.time()
        self._timeline = Timeline()
        self._queue = self._queue_reader(queue_dial)

    def __enter__(self) -> Load:
        try:
            self._open_project()
            reader, requests = self._new_reader(), Requests(self._runs, self._sizes, self.project_id, self._pool)
            self._watcher = Watcher(self._new_reader(), self._books, self._load.visible_p95)
            self._sampler = Sampler(self._timeline.begin, self._progress, self._queue)
            self._sender = self._new_sender(requests)
            self._settling = self._new_settling(reader)
        except BaseException:
            self._leave()
            raise
        return self

    def __exit__(self, *_error: object) -> None:
        self._books.stop.set()
        try:
            self._watcher.end()
            self._sampler.end()
        except KeyboardInterrupt:
            self._interrupt("interrupted at the end")
        self._leave()

    def send(self) -> None:
        """Send all of it. KeyboardInterrupt ends it early and is noted, not raised."""
        if self.interrupted:
            return
        try:
            if self._load.find_capacity:
                self._search()
            else:
                self._send()
        except KeyboardInterrupt:
            self._told_to_end()

    def settle(self) -> None:
        """Wait until all is visible or lost and look up every id. KeyboardInterrupt leaves the books open."""
        try:
            if self._phases:
                self._settling.settle()
        except KeyboardInterrupt:
            self._interrupt("interrupted while accounting")
        if self._books.error:
            self._interrupt(self._books.error)

    def measured(self) -> Measured:
        """All that is known by now."""
        account = self._books.ledger.account()
        best = self._phases[capacity.telling(self._steps)] if self._phases else None
        found = Measured(
            began=self.began,
            offered_rate=best.rate if best else self._load.rate,
            runs_per_trace=self._load.runs_per_trace,
            duration=best.seconds if best else 0.0,
            lead=round(self._phases[0].begin - self._timeline.begin, 3) if self._phases else 0.0,
            traces=sum(phase.traces for phase in self._phases),
            unsent_traces=sum(phase.unsent for phase in self._phases),
            sent=account.sent,
            accepted=account.accepted,
            refused=account.refused,
            unanswered=account.unanswered,
            visible=account.visible,
            lost=account.lost,
            duplicates=account.duplicates,
            stored_unaccepted=account.stored_unaccepted,
            lost_ids=[self._runs.id(number) for number in account.lost_numbers],
            duplicate_ids=[self._runs.id(number) for number in account.duplicate_numbers],
            requests=sum(phase.requests for phase in self._phases),
            body_bytes=sum(phase.body_bytes for phase in self._phases),
            sending=round(sum(phase.ended - phase.begin for phase in self._phases), 3),
            drain=self._settling.drain,
            complete=self._settling.complete,
            certain=self._settling.certain,
            cpu=round(sum(phase.cpu for phase in self._phases), 4),
            watched=self._watcher.watched,
            one_in=self._watcher.one_in,
            resolution=best.resolution if best and self._steps else self._watcher.resolution,
            steps=self._steps,
            problems=self._books.problems,
            interrupted=self.interrupted,
        )
        if best is not None:
            found.latencies = best.latencies
        found.latencies["stored"] = self._settling.stored
        found.backlog, found.progress = self._sampler.backlog, self._sampler.progress
        return found

    def close_books(self, found: Measured) -> Measured:
        """Add what is known once the load has been left: the clean-up, and how long all of it took."""
        found.whole = round(time.monotonic() - self._timeline.begin, 3)
        found.phases = self._timeline.spans
        found.problems, found.interrupted = self._books.problems, self.interrupted
        found.projects = [{"id": self.project_id, "name": self._load.project, "kept": not self._removed}]
        return found

    def _interrupt(self, reason: str) -> None:
        self.interrupted = "; ".join(filter(None, (self.interrupted, reason)))
        self._books.stop.set()

    def _told_to_end(self) -> None:
        """Someone does not want to wait: what is left to do is bounded."""
        self._interrupt("interrupted while sending")
        self._settling.hurry()

    # Sending

    def _send(self) -> None:
        load = self._load
        one_in = watching.stride(load.rate and load.rate / load.of, load.visible_p95, load.duration)
        self._phase(Phase(feed(load, self._sizes), load.rate, one_in))

    def _search(self) -> None:
        load = self._load
        while not self._books.stop.is_set():
            rate, bound = capacity.step_after(load, self._steps, len(self._steps), self._position)
            if rate is None:
                if bound:
                    self._say(f"{bound}: the search ends here")
                return
            arrivals = Arrivals(rate, load.duration, load.ramp)
            one_in = watching.stride(rate, load.visible_p95, load.duration)
            phase = Phase(OpenLoop(arrivals, self._sizes, self._position), rate, one_in)
            self._phase(phase)
            if self._books.stop.is_set():
                # A step that was cut off says nothing of its rate.
                return
            drained = self._settling.await_watched()
            phase.one_in, phase.resolution = self._watcher.one_in, self._watcher.resolution
            step = capacity.judge_step(rate, phase.measured(self.began, load.runs_per_trace), load.visible_p95)
            self._steps.append(step)
            self._say(f"{rate:g} traces/s {'holds' if step.holds else 'does not hold'}: {step.reason}")
            if not drained:
                self._say(f"the backlog of {rate:g} traces/s is not gone after {load.drain_timeout:g} s")
                return

    def _phase(self, phase: Phase) -> None:
        """Send one phase with a thread per connection; returns when all of them have ended."""
        self._phases.append(phase)
        self._watcher.begin(phase.latencies, phase.one_in)
        clients = [self._client() for _sender in range(self._load.senders)]
        phase.begin = phase.ended = time.monotonic()
        senders = [
            _Sending(self._sender, phase, client, start_after(self._load, number))
            for number, client in enumerate(clients)
        ]
        with self._timeline.span(f"send {phase.rate:g}/s" if phase.rate else "send"):
            try:
                for sender in senders:
                    sender.start()
                _join(senders)
            except KeyboardInterrupt:
                self._told_to_end()
                _join(senders)
            phase.ended = time.monotonic()
        for client in clients:
            client.close()
            self._clients.remove(client)
        self._position += phase.traces + phase.unsent
        if not self._books.stop.is_set():
            phase.count_unsent()
        if phase.last_accepted >= 0:
            number = phase.last_accepted * self._load.runs_per_trace
            self._watcher.watch(Watched(number, time.monotonic(), counts=False))

    def _progress(self, at: float) -> Progress:
        accepted = float(sum(phase.accepted_traces for phase in self._phases))
        return Progress(at, accepted, round(accepted * self._watcher.part_visible, 1))

    # The project and the connections

    def _open_project(self) -> None:
        refuse_plain(self._api)
        info = self._api.info()
        if not isinstance(info.document, dict) or "version" not in info.document:
            raise ProjectError(f"no load was sent, as this is no LangSmith that answers: {info.observed.describe()}")
        self.project_id = str(uuid.uuid4())
        made = self._api.create_project(self.project_id, self._load.project)
        if made.observed.succeeded:
            # What has another name is somebody else's, whatever the answer means by it.
            self.project_id = id_of([made.document], self._load.project) or self.project_id
            return
        reason = f"no load was sent, as no project can be made: {made.observed.describe()}"
        if may_have_written(made.observed):
            # It may be there all the same, so what follows is the end of a load that sent nothing.
            self._interrupt(reason)
            return
        self.project_id = ""
        raise ProjectError(reason)

    def _leave(self) -> None:
        """Remove the project and end every connection, also when told to end meanwhile."""
        with self._timeline.span("clean up"):
            try:
                self._clean_up()
            except KeyboardInterrupt:
                self._interrupt("interrupted while removing the project")
                self._clean_up()
        for client in self._clients:
            client.close()

    def _clean_up(self) -> None:
        if not self.project_id or (self._load.keep and self._phases):
            return
        answer = self._api.delete_project(self.project_id).observed
        self._removed = answer.succeeded or answer.status == 404
        if not self._removed:
            self._books.problem(f"project {self._load.project} is left: {answer.describe()}")

    def _client(self) -> HttpClient:
        client = self._first.twin()
        self._clients.append(client)
        return client

    def _new_reader(self) -> Reader:
        api = self._target.endpoint.api
        return Reader(self._client(), api, self._headers, self.project_id, self._runs)

    def _new_sender(self, requests: Requests) -> Sender:
        api, runs = self._target.endpoint.api, self._load.runs_per_trace
        return Sender(api, self._headers, requests, runs, self._books, self._watcher, self._compress)

    def _new_settling(self, reader: Reader) -> Settling:
        timeout = self._load.drain_timeout
        return Settling(timeout, self._books, self._timeline, self._phases, reader, self._watcher, self._sampler)

    def _queue_reader(self, dial: Dial | None) -> Queue | None:
        if not self._target.queue_url:
            return None
        # An address of its own, so neither the other's connect_to nor its certificates hold there.
        options: dict[str, Any] = {"connect_timeout": 2.0, "timeout": 2.0}
        if dial is not None:
            options["dial"] = dial
        client = HttpClient(self._target.queue_url, **options)
        self._clients.append(client)
        return Queue(self._target.queue_url, client)


def refuse_plain(api: LangSmith) -> None:
    """Raises ProjectError where an URL without TLS leads to another: the key would be sent in clear."""
    if api.endpoint.is_plain:
        first = api.front_door().observed
        if first.is_redirect:
            raise ProjectError(f"give the URL to which this one leads: {first.describe()}")


class _Sending(threading.Thread):
    """One connection's thread, which says itself that it has ended.

    Python takes a thread for ended where KeyboardInterrupt comes while it is asked whether it has (``is_alive``) or is
    waited for (``join``), and then what it still sends would be in no book.
    """

    def __init__(self, sender: Sender, phase: Phase, client: HttpClient, after: float) -> None:
        super().__init__(daemon=True)
        self._send = lambda: sender.send(phase, client, after)
        self.over = threading.Event()

    def run(self) -> None:
        """Send until the phase is over."""
        try:
            self._send()
        finally:
            self.over.set()


def _join(senders: list[_Sending]) -> None:
    for sender in senders:
        # One without an ident has not begun, and sends nothing any more. A wait without a timeout lets no signal in.
        while sender.ident is not None and not sender.over.wait(0.2):
            pass


def run_load(
    target: Target, load: Settings, *, dial: Dial | None = None, queue_dial: Dial | None = None, say: Say | None = None
) -> Measured:
    """One load, or one share of it. ``say`` is told each step of a search.

    SIGINT (KeyboardInterrupt in the main thread) ends the sending; what was sent is still accounted for and removed.
    Raises ProjectError when nothing was written, ``ValueError`` for options that the HTTP client cannot use.
    """
    running = Load(target, load, dial=dial, queue_dial=queue_dial, say=say)
    with running:
        running.send()
        running.settle()
        found = running.measured()
    return running.close_books(found)
