# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests whose outcome is evidence, an answer as well as the lack of one."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ansible_collections.langsmith.aws.plugins.module_utils.clients.http_client import Answer, HttpClient, HttpError
from ansible_collections.langsmith.aws.plugins.module_utils.domain.answers import Observed


@dataclass(frozen=True)
class Watched:
    """The last of several observations: ``answer`` is ``None`` where none came, ``seconds`` how long it all took."""

    observed: Observed
    answer: Answer | None
    timings: dict[str, float]
    attempts: int
    seconds: float


def observe(
    http: HttpClient,
    stage: str,
    method: str,
    target: str,
    *,
    clock: Callable[[], float],
    headers: Mapping[str, str] | None = None,
    body: bytes | None = None,
) -> tuple[Observed, Answer | None]:
    """One request. What an address has behind its ``?`` may be a right to read, so it stays out of the evidence."""
    request = f"{method} {http.origin}{target.partition('?')[0]}"
    try:
        answer = http.request(method, target, headers=headers, body=body)
    except HttpError as error:
        return _lost(stage, request, error, clock()), None
    return _answered(stage, request, answer, clock()), answer


def watch(
    http: HttpClient, target: str, good: Callable[[Observed], bool], *, wait_timeout: float, wait_sleep: float
) -> Watched:
    """``GET`` again and again until an answer is good or ``wait_timeout`` seconds are over; 0 means once."""
    started = time.monotonic()
    attempts = 0
    while True:
        # Each attempt shows what a new caller gets, from the name on.
        http.close()
        attempts += 1
        observed, answer = observe(http, "endpoint", "GET", target, clock=lambda: time.monotonic() - started)
        elapsed = time.monotonic() - started
        left = wait_timeout - elapsed
        if good(observed) or left <= 0:
            timings = answer.timings.to_dict() if answer else {"total": round(observed.seconds, 4)}
            return Watched(observed, answer, timings, attempts, elapsed)
        time.sleep(min(wait_sleep, left))


def _lost(stage: str, request: str, error: HttpError, at: float) -> Observed:
    return Observed(
        stage=stage,
        request=request,
        phase=error.phase,
        reason=error.reason,
        timed_out=error.timed_out,
        seconds=error.timings.total or 0.0,
        connecting=error.timings.connecting,
        handshake=error.timings.tls or 0.0,
        at=at,
    )


def _answered(stage: str, request: str, answer: Answer, at: float) -> Observed:
    shape = _shape(answer)
    # A body that went well may hold a new key or someone's data; one that went wrong explains itself.
    went_well = 200 <= answer.status < 300 and shape != ""
    return Observed(
        stage=stage,
        request=request,
        status=answer.status,
        content_type=answer.content_type,
        server=answer.told("server"),
        location=re.split("[?#]", answer.told("location"), maxsplit=1)[0],
        head="" if went_well else answer.head(),
        shape=shape,
        seconds=answer.timings.total or 0.0,
        connecting=answer.timings.connecting,
        handshake=answer.timings.tls or 0.0,
        at=at,
    )


def _shape(answer: Answer) -> str:
    try:
        document = answer.json()
    except ValueError:
        return ""
    return "array" if isinstance(document, list) else "object" if isinstance(document, dict) else "other"
