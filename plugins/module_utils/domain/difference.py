# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wanted against what is there, field by field."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass, fields, is_dataclass, replace
from typing import Any, Literal, TypeVar

from ansible_collections.langsmith.aws.plugins.module_utils.domain.errors import RefusedError

Settings = TypeVar("Settings")
Action = Literal["none", "create", "update", "delete"]


def plain(value: Any) -> Any:
    """The value as JSON knows it: dictionaries, lists, text, numbers, truth values."""
    if is_dataclass(value) and not isinstance(value, type):
        return plain(asdict(value))
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    return value


@dataclass(frozen=True)
class Difference:
    """One field that is not as wanted.

    ``blocked`` says, when it is not empty, why the field cannot be changed in place and what to do instead.
    """

    field: str
    wanted: Any
    actual: Any
    blocked: str = ""

    def to_dict(self) -> dict[str, Any]:
        """The difference as modules return it; ``blocked`` only where it says something."""
        known = {"field": self.field, "wanted": plain(self.wanted), "actual": plain(self.actual)}
        return {**known, "blocked": self.blocked} if self.blocked else known


def chosen(values: Iterable[str] | None) -> tuple[str, ...] | None:
    """A set of names in a fixed order; ``None`` when there is none, which compares with nothing."""
    return tuple(sorted(set(values or ()))) or None


def pick(cls: type[Settings], options: Mapping[str, Any], **overrides: Any) -> Settings:
    """The settings among a module's options; options that are no settings are passed over."""
    known = {field.name: options.get(field.name) for field in fields(cls)}  # type: ignore[arg-type]
    return cls(**{**known, **overrides})


def compare(
    wanted: Any, actual: Any, blocked: Mapping[str, str] | None = None, skip: Collection[str] = ()
) -> list[Difference]:
    """Every decided field of ``wanted`` that ``actual`` has otherwise. ``None`` in ``wanted`` is undecided."""
    reasons = blocked or {}
    return [
        Difference(field.name, want, have, reasons.get(field.name, ""))
        for field in fields(wanted)
        if field.name not in skip
        and (want := getattr(wanted, field.name)) is not None
        and want != (have := getattr(actual, field.name))
    ]


def merged(wanted: Settings, actual: Settings, names: Collection[str]) -> Settings:
    """Settings of the named fields alone: as wanted, and as they are where nothing is wanted."""
    values = {}
    for field in fields(wanted):  # type: ignore[arg-type]
        want, have = getattr(wanted, field.name), getattr(actual, field.name)
        values[field.name] = (have if want is None else want) if field.name in names else None
    return replace(wanted, **values)  # type: ignore[type-var]


def settings_dict(settings: Any) -> dict[str, Any]:
    """Settings as a dictionary of plain values."""
    return plain(asdict(settings))


def refuse_blocked(subject: str, differences: Iterable[Difference]) -> None:
    """Raise one :class:`RefusedError` that names every difference which cannot be changed in place."""
    reasons = [
        f"{item.field} is {plain(item.actual)!r}, wanted {plain(item.wanted)!r}: {item.blocked}"
        for item in differences
        if item.blocked
    ]
    if reasons:
        raise RefusedError(f"{subject} cannot be brought to what is wanted; nothing was changed. " + " ".join(reasons))
