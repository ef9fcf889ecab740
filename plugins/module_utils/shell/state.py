# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How every state module works: read, compare, write once unless in check mode, wait, tell."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from ansible_collections.langsmith.aws.plugins.module_utils.domain.difference import (
    Action,
    Difference,
    plain,
    refuse_blocked,
)
from ansible_collections.langsmith.aws.plugins.module_utils.domain.errors import (
    AlreadyThereError,
    ProjectError,
    RefusedError,
)
from ansible_collections.langsmith.aws.plugins.module_utils.domain.progress import ABSENT, Phase, Progress

#: A call that starts an update. It answers with a look at that update, or with ``None`` when the resource's own
#: progress tells of it.
Step = Callable[[], "Callable[[], Progress] | None"]


class Waits(Protocol):
    """What waits; see ``clients/waiting.py``."""

    waited_s: float

    def until(self, look: Callable[[], Progress], subject: str, *wanted: Phase) -> Progress:
        """Look until the phase is one of ``wanted``."""


class Resource(ABC):
    """One remote thing that a module brings to its wanted state. ``key`` names it in the result."""

    key: str
    subject: str

    @abstractmethod
    def read(self) -> Any | None:
        """The thing as it is, or ``None``. It has a ``to_dict``."""

    @abstractmethod
    def progress(self, actual: Any) -> Progress:
        """Where it stands."""

    @abstractmethod
    def differences(self, actual: Any) -> list[Difference]:
        """What an update would change."""

    @abstractmethod
    def wanted(self) -> dict[str, Any]:
        """What a creation would make, as the result shows it. Raises :class:`RefusedError` for a missing option."""

    @abstractmethod
    def create(self) -> None:
        """Create it; when another was first, that is as good."""

    @abstractmethod
    def updates(self, actual: Any, differences: list[Difference]) -> list[Step]:
        """The calls of an update, in order."""

    @abstractmethod
    def delete(self, actual: Any) -> None:
        """Start its deletion."""

    def deletion_refusal(self, actual: Any) -> str:
        """Why it may not be deleted; empty when it may."""
        return ""

    def usable(self, actual: Any) -> Progress:
        """What to wait for at the end; as ``progress`` unless a resource is ready in another sense."""
        return self.progress(actual)

    def look(self) -> Progress:
        """Read it and say where it stands."""
        return ABSENT if (actual := self.read()) is None else self.progress(actual)

    def look_usable(self) -> Progress:
        """Read it and say whether it can be used."""
        return ABSENT if (actual := self.read()) is None else self.usable(actual)


@dataclass(frozen=True)
class Change:
    """What is to be done, decided before anything is."""

    action: Action
    differences: list[Difference]
    before: dict[str, Any] | None
    after: dict[str, Any] | None


def plan(resource: Resource, present: bool, actual: Any | None) -> Change:
    """What brings the resource to the wanted state. Raises :class:`RefusedError` where AWS would not let it."""
    before = None if actual is None else actual.to_dict()
    leaving = actual is not None and resource.progress(actual).phase == "leaving"
    if not present:
        if actual is None or leaving:
            return Change("none", [], before, None)
        if reason := resource.deletion_refusal(actual):
            raise RefusedError(reason)
        return Change("delete", [], before, None)
    if actual is None or leaving:
        made = {key: value for key, value in resource.wanted().items() if value is not None}
        return Change("create", [], None, made)
    found = resource.differences(actual)
    refuse_blocked(resource.subject, found)
    changed = {item.field: plain(item.wanted) for item in found}
    return Change("update" if found else "none", found, before, {**(before or {}), **changed})


def bring(resource: Resource, present: bool, check_mode: bool, wait: bool, waiter: Waits) -> dict[str, Any]:
    """Bring the resource to the wanted state; the result of the module. Raises :class:`ProjectError`."""
    actual = resource.read()
    change = plan(resource, present, actual)
    after = change.after
    if not check_mode and (wait or change.action != "none"):
        _apply(resource, change, actual, wait, waiter)
        final = resource.read()
        after = None if final is None else final.to_dict()
    return {
        "changed": change.action != "none",
        resource.key: after,
        "differences": [item.to_dict() for item in change.differences],
        "waited_seconds": round(waiter.waited_s, 1),
        "diff": {"before": change.before or {}, "after": {} if change.action == "delete" else after or {}},
    }


def _apply(resource: Resource, change: Change, actual: Any, wait: bool, waiter: Waits) -> None:
    if change.action == "create":
        _create(resource, actual, waiter)
    elif change.action == "delete":
        if resource.progress(actual).phase == "changing":
            waiter.until(resource.look, resource.subject, "ready", "degraded", "broken", "leaving", "absent")
        resource.delete(actual)
    elif change.action == "update":
        _update(resource, change.differences, actual, wait, waiter)
    if wait and change.after is None:
        waiter.until(resource.look, resource.subject, "absent")
    elif wait:
        _join(resource, waiter)


def _create(resource: Resource, actual: Any, waiter: Waits) -> None:
    if actual is not None:
        waiter.until(resource.look, resource.subject, "absent")
    try:
        resource.create()
    except AlreadyThereError:
        # Some services use the same word for other conflicts; then there is nothing to go on with.
        if resource.read() is None:
            raise


def _update(resource: Resource, differences: list[Difference], actual: Any, wait: bool, waiter: Waits) -> None:
    # A resource that is still being made or changed turns updates down, so even wait=false waits here.
    if resource.progress(actual).phase == "changing":
        waiter.until(resource.look, resource.subject, "ready", "degraded")
        actual = resource.read()
    steps = resource.updates(actual, differences)
    for number, step in enumerate(steps, start=1):
        follow = step()
        if wait or number < len(steps):
            if follow is not None:
                waiter.until(follow, resource.subject, "ready", "degraded")
            waiter.until(resource.look, resource.subject, "ready", "degraded")


def _join(resource: Resource, waiter: Waits) -> None:
    waiter.until(resource.look_usable, resource.subject, "ready")


def required(options: Mapping[str, Any], names: Collection[str], subject: str) -> None:
    """Raise :class:`RefusedError` naming the options without which the thing cannot be created."""
    missing = [name for name in names if options.get(name) in (None, "", [])]
    if missing:
        raise RefusedError(f"{subject} is not there, and creating it needs {', '.join(missing)}.")


def run(module: Any, resource: Resource, waiter: Waits) -> None:
    """Bring the resource to its state by the module's common options, and end the module."""
    present = module.params.get("state", "present") == "present"
    try:
        result = bring(resource, present, module.check_mode, module.params.get("wait", False), waiter)
    except ProjectError as error:
        module.fail_json(msg=str(error))
    module.exit_json(**result)
