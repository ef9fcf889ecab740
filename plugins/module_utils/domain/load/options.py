# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a load is to be, out of its options; refused where it may not be sent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.langsmith.aws.plugins.module_utils.domain.errors import RefusedError
from ansible_collections.langsmith.aws.plugins.module_utils.domain.langsmith import Endpoint, parse_endpoint
from ansible_collections.langsmith.aws.plugins.module_utils.domain.load.ids import Ids, parse_seed

#: Runs of one request, as many as LangSmith's SDK sends (``size_limit`` of ``/info``).
RUNS_PER_REQUEST = 100
#: Bytes of one request: under the 20 MiB of the SDK (``size_limit_bytes``) and the 25 MB that the frontend takes.
REQUEST_BYTES = 16 * 1024 * 1024
#: Bytes of a run beside its payload: the heads of its three parts, ids and times. Rounded up.
RUN_OVERHEAD_BYTES = 1280


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

    Raises ``ValueError`` for what cannot be sent.
    """
    names = set(Settings.__dataclass_fields__) - {"ids", "payload", "keep"}
    given = {name: options[name] for name in names if options.get(name) is not None}
    if options.get("payload"):
        given["payload"] = tuple(
            Payload(float(one["kib"]), float(one.get("weight") or 1)) for one in options["payload"]
        )
    if options.get("seed"):
        ids = parse_seed(options["seed"])
    return Settings(ids=ids, keep=keep, **given)


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
        (load.rate is not None and load.rate <= 0, f"rate {load.rate}: give traces per second above 0"),
        (load.concurrency is not None and not 1 <= load.concurrency <= 256, "concurrency goes from 1 to 256"),
        (not 1 <= load.connections <= 256, "connections goes from 1 to 256"),
        (load.duration <= 0 or load.drain_timeout <= 0, "give seconds above 0 for duration and drain_timeout"),
        (not 0 <= load.ramp <= load.duration, "ramp goes from 0 to duration"),
        (load.visible_p95 <= 0, "visible_p95: give seconds above 0"),
        (load.traces_max < 1 or load.steps_max < 1, "traces_max and steps_max: give 1 or more"),
        (not 1 <= load.runs_per_trace <= RUNS_PER_REQUEST, f"runs_per_trace goes from 1 to {RUNS_PER_REQUEST}"),
        (load.compression not in ("none", "zstd"), f"compression {load.compression!r} is neither none nor zstd"),
        (not 0 <= load.index < load.of, f"share {load.index} of {load.of}: index goes from 0 to of - 1"),
    ]
    return [text for wrong, text in checks if wrong] + _payload_problems(load)


def _payload_problems(load: Settings) -> list[str]:
    if not load.payload or any(size.kib <= 0 or size.weight <= 0 for size in load.payload):
        return ["payload: give sizes and weights above 0"]
    largest = load.runs_per_trace * (max(size.kib for size in load.payload) * 1024 + RUN_OVERHEAD_BYTES)
    if largest > REQUEST_BYTES:
        return [f"a trace of {largest / 2**20:.1f} MiB does not fit one request of {REQUEST_BYTES // 2**20} MiB"]
    return []
