# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What preflight is asked, and what the account and this machine answered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Input:
    """A variable's value and the rule it is held against. ``remedy`` replaces the rule's own."""

    variable: str
    value: Any
    rule: str
    required: bool = True
    remedy: str = ""

    @property
    def empty(self) -> bool:
        """Whether the variable was left empty; False and 0 are values."""
        return self.value is None or (not isinstance(self.value, (bool, int, float)) and len(self.value) == 0)


@dataclass(frozen=True)
class Problem:
    """A question without an answer, in a sentence. ``denied``: the caller lacks a permission."""

    message: str
    denied: bool = False


@dataclass(frozen=True)
class Identity:
    """Who the credentials are."""

    account_id: str
    arn: str


@dataclass(frozen=True)
class InstanceType:
    """An EC2 instance type: vCPU, memory in MiB, and the pods the VPC CNI has addresses for."""

    name: str
    vcpu: int
    memory_mib: int
    max_pods: int

    @property
    def allocatable_cpu(self) -> float:
        """vCPU left to pods by EKS's reservation: 6, 1, 0.5, 0.5 percent of the first four cores, 0.25 beyond."""
        percent = [6, 1, 0.5, 0.5][: self.vcpu] + [0.25] * max(0, self.vcpu - 4)
        return self.vcpu - sum(percent) / 100

    @property
    def allocatable_mib(self) -> int:
        """MiB left to pods: 255 + 11 per pod are reserved, 100 kept for eviction (EKS node bootstrap)."""
        return self.memory_mib - 255 - 11 * self.max_pods - 100


@dataclass(frozen=True)
class Zone:
    """A hosted zone of Route 53; ``name`` without the final dot."""

    id: str
    name: str
    private: bool


@dataclass(frozen=True)
class Tool:
    """A program: what is asked for, and where and in which version it was found (empty: not found)."""

    name: str
    minimum_version: str = ""
    required: bool = True
    path: str = ""
    output: str = ""
    below_version: str = ""


@dataclass(frozen=True)
class Quota:
    """A service quota, by its code, with the number in use where that is known."""

    code: str
    name: str
    value: float
    used: float | None = None


@dataclass(frozen=True)
class Facts:
    """The answers. None: not asked, for nothing needed it or an earlier answer made it pointless."""

    region: str | None = None
    identity: Identity | Problem | None = None
    region_state: str | Problem | None = None
    zones: Sequence[str] | Problem | None = None
    types: Mapping[str, InstanceType] | Problem | None = None
    offers: Mapping[str, frozenset[str]] | Problem | None = None
    hosted_zones: Mapping[str, Sequence[Zone] | Problem] = field(default_factory=dict)
    secrets: Mapping[str, Problem | None] = field(default_factory=dict)
    quotas: Mapping[str, Quota | Problem] = field(default_factory=dict)
    tools: Sequence[Tool] = ()


@dataclass(frozen=True)
class Context:
    """What every rule may look at: the environment as given, all inputs, all answers."""

    environment: str
    inputs: Sequence[Input]
    facts: Facts

    @property
    def production(self) -> bool:
        """Whether production's rules hold; they do not for an environment that is neither."""
        return self.environment == "production"

    def values(self, rule: str) -> list[Input]:
        """The inputs of a rule that have a value."""
        return [given for given in self.inputs if given.rule == rule and not given.empty]


#: Region state where the region needs no opting in, and where it was opted into.
ENABLED = ("opt-in-not-required", "opted-in")


def asks(inputs: Sequence[Input], rule: str) -> list[Any]:
    """The values that inputs of a rule hold, flattened where they are lists."""
    values: list[Any] = []
    for given in inputs:
        if given.rule == rule and not given.empty:
            values += given.value if isinstance(given.value, list) else [given.value]
    return values


def secret_place(value: Any) -> tuple[str, str | None] | None:
    """Name and key of a value of the rule license_secret; None when it is neither a name nor a mapping with one."""
    if isinstance(value, str):
        return value, None
    if isinstance(value, dict) and isinstance(value.get("name"), str) and value["name"]:
        return value["name"], value.get("key")
    return None
