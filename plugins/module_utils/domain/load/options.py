# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a load is to be, out of its options; refused where it may not be sent."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.langsmith.aws.plugins.module_utils.domain.errors import RefusedError
from ansible_collections.langsmith.aws.plugins.module_utils.domain.langsmith import Endpoint, parse_endpoint
from ansible_collections.langsmith.aws.plugins.module_utils.domain.load.ids import Ids, parse_seed
from ansible_collections.langsmith.aws.plugins.module_utils.domain.seconds import MOST_SECONDS, is_time

#: Runs of one request, as many as LangSmith's SDK sends (``size_limit`` of ``/info``).
RUNS_PER_REQUEST = 100
#: Bytes of one request: under the 20 MiB of the SDK (``size_limit_bytes``) and the 25 MB that the frontend takes.
REQUEST_BYTES = 16 * 1024 * 1024
#: Bytes of a run beside its payload: the heads of its three parts, ids and times. Rounded up.
RUN_OVERHEAD_BYTES = 1280
#: Traces per second, more than any number of machines sends.
RATE_MOST = 1e6
_RATE = f"give traces per second above 0, and {RATE_MOST:.0f} at most"
_SECONDS = f"give seconds above 0, and {MOST_SECONDS:.0f} at most"


@dataclass(frozen=True)
class Payload:
    """One size of a run's inputs and how often it comes among the others."""

    kib: float
    weight: float = 1.0


@dataclass(frozen=True)
class Settings:
    """A load. Seconds, traces per second; exactly one of ``rate`` and ``concurrency`` unless a capacity is looked for.

    ``visible_p95`` is the threshold that the capacity is looked for with. ``index`` of ``of`` is the share of a
    distributed run; ``ids`` are common to its shares. ``keep`` leaves the project.
    """

    ids: Ids
    rate: float | None = None
    concurrency: int | None = None
    duration: float = 60.0
    ramp: float = 0.0
    traces_max: int = 100_000
    payload: tuple[Payload, ...] = (Payload(2.0),)
    runs_per_trace: int = 5
    connections: int = 16
    compression: str = "none"
    find_capacity: bool = False
    steps_max: int = 10
    visible_p95: float = 60.0
    drain_timeout: float = 300.0
    index: int = 0
    of: int = 1
    keep: bool = False

    def __post_init__(self) -> None:
        for problem in _problems(self):
            raise ValueError(f"load: {problem}")

    @property
    def senders(self) -> int:
        """Connections that send."""
        return self.concurrency or self.connections

    @property
    def project(self) -> str:
        """The name of the project that the load makes, a share's own."""
        return f"load-{self.ids.seed}-{self.index}"

    @property
    def mean_trace_bytes(self) -> float:
        """Bytes of an average trace."""
        weights = sum(size.weight for size in self.payload)
        mean = sum(size.kib * 1024 * size.weight for size in self.payload) / weights
        return self.runs_per_trace * (mean + RUN_OVERHEAD_BYTES)


@dataclass(frozen=True)
class Target:
    """Where a load goes: the installation, who calls it (headers, secret) and how it is reached.

    ``connection`` are keywords of the HTTP client. ``queue_url`` is platform-backend's ``/metrics?format=json``, empty
    where nothing leads there.
    """

    endpoint: Endpoint
    authorization: Mapping[str, str] = field(repr=False)
    connection: Mapping[str, Any] = field(default_factory=dict)
    queue_url: str = ""


def settings(options: Mapping[str, Any], ids: Ids, *, keep: bool = False) -> Settings:
    """Settings out of the module's options, ``None`` where one was not given; ``seed`` goes before ``ids``.

    Numbers and booleans may be written as text, as templates make them. Raises ``ValueError`` for what cannot be sent.
    """
    fields = {name: field for name, field in Settings.__dataclass_fields__.items() if name not in _OTHERWISE}
    given = {
        name: _read(name, options[name], str(field.type))
        for name, field in fields.items()
        if options.get(name) is not None
    }
    if options.get("payload"):
        given["payload"] = tuple(map(_payload, options["payload"]))
    if options.get("seed"):
        ids = parse_seed(str(options["seed"]))
    return Settings(ids=ids, keep=keep, **given)


_OTHERWISE = ("ids", "payload", "keep")


def _payload(one: Any) -> Payload:
    if not isinstance(one, Mapping) or "kib" not in one:
        raise ValueError(f"load: payload {one!r} has no kib")
    return Payload(_read("kib", one["kib"], "float"), _read("weight", one.get("weight") or 1, "float"))


def _read(name: str, value: Any, kind: str) -> Any:
    """A value of one of the kinds float, int, bool and str, with or without None beside it."""
    read, what = _KINDS[kind.partition(" ")[0]]
    try:
        return read(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"load: {name} {value!r} is no {what}") from error


def _whole(value: Any) -> int:
    found = int(value)
    if isinstance(value, float) and found != value:
        raise ValueError(value)
    return found


def _finite(value: Any) -> float:
    found = float(value)
    if not math.isfinite(found):
        raise ValueError(value)
    return found


def _truth(value: Any) -> bool:
    """A boolean in one of the spellings that Ansible knows."""
    word = str(value).strip().lower()
    if word not in _TRUE + _FALSE:
        raise ValueError(value)
    return word in _TRUE


_TRUE = ("y", "yes", "on", "1", "true", "t", "1.0")
_FALSE = ("n", "no", "off", "0", "false", "f", "0.0")

_KINDS: dict[str, tuple[Callable[[Any], Any], str]] = {
    "float": (_finite, "number"),
    "int": (_whole, "whole number"),
    "bool": (_truth, "yes or no"),
    "str": (str, "text"),
}


def refuse_unlisted(endpoint: Endpoint, inventory: Sequence[str]) -> None:
    """Raises RefusedError unless the endpoint is one of those that may be loaded."""
    allowed = [parse_endpoint(url) for url in inventory]
    if endpoint not in allowed:
        listed = ", ".join(one.url for one in allowed) or "nothing"
        raise RefusedError(
            f"{endpoint.url} may not be loaded: load.inventory lists {listed}. A load can bring an installation"
            " down, so add the URL there only if the installation is yours and its users know"
        )


def refuse_shared_search(load: Settings) -> None:
    """Raises ``ValueError`` for a search that is to be one share of it, which does not see what the others came to."""
    if load.find_capacity and load.of > 1:
        raise ValueError(
            "load: find_capacity looks at the whole of what was sent, which no share of a load sees: send it unshared,"
            " or from pods of the cluster by the entry load of role verify"
        )


def _problems(load: Settings) -> list[str]:
    ways = (load.rate is not None) + (load.concurrency is not None)
    checks = [
        (ways > 1, "give rate or concurrency, not both"),
        (ways == 0 and not load.find_capacity, "give rate, concurrency or find_capacity"),
        (load.find_capacity and load.concurrency is not None, "find_capacity sends at rates; leave concurrency away"),
        (load.rate is not None and not 0 < load.rate <= RATE_MOST, f"rate {load.rate}: {_RATE}"),
        (load.concurrency is not None and not 1 <= load.concurrency <= 256, "concurrency goes from 1 to 256"),
        (not 1 <= load.connections <= 256, "connections goes from 1 to 256"),
        (not is_time(load.duration) or not is_time(load.drain_timeout), f"duration and drain_timeout: {_SECONDS}"),
        (not 0 <= load.ramp <= load.duration, "ramp goes from 0 to duration"),
        (load.find_capacity and load.ramp > load.duration / 4, "a ramp of find_capacity goes to duration / 4"),
        (not is_time(load.visible_p95), f"visible_p95: {_SECONDS}"),
        (load.traces_max < 1 or load.steps_max < 1, "traces_max and steps_max: give 1 or more"),
        (not 1 <= load.runs_per_trace <= RUNS_PER_REQUEST, f"runs_per_trace goes from 1 to {RUNS_PER_REQUEST}"),
        (load.compression not in ("none", "zstd"), f"compression {load.compression!r} is neither none nor zstd"),
        (not 0 <= load.index < load.of, f"share {load.index} of {load.of}: index goes from 0 to of - 1"),
    ]
    return [text for wrong, text in checks if wrong] + _payload_problems(load)


def _payload_problems(load: Settings) -> list[str]:
    if not load.payload or not all(size.kib > 0 and size.weight > 0 for size in load.payload):
        return ["payload: give sizes and weights above 0"]
    largest = load.runs_per_trace * (max(size.kib for size in load.payload) * 1024 + RUN_OVERHEAD_BYTES)
    if largest > REQUEST_BYTES:
        return [f"a trace of {largest / 2**20:.1f} MiB does not fit one request of {REQUEST_BYTES // 2**20} MiB"]
    return []
