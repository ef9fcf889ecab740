# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tags: which are missing, which have another value, which are to go."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ansible_collections.langsmith.aws.plugins.module_utils.domain.difference import Difference

#: Every resource of an installation carries it; its value is the installation's name.
INSTALLATION_TAG = "langsmith:installation"


@dataclass(frozen=True)
class TagChange:
    """Tags to write and keys to take away."""

    put: dict[str, str]
    remove: tuple[str, ...]

    def __bool__(self) -> bool:
        return bool(self.put or self.remove)


def tag_change(wanted: Mapping[str, str] | None, actual: Mapping[str, str], purge: bool) -> TagChange:
    """What brings ``actual`` to ``wanted``; nothing when ``wanted`` is ``None``.

    Keys that begin with ``aws:`` belong to AWS and are never removed.
    """
    if wanted is None:
        return TagChange({}, ())
    put = {key: value for key, value in wanted.items() if actual.get(key) != value}
    extra = sorted(key for key in actual if key not in wanted and not key.startswith("aws:"))
    return TagChange(put, tuple(extra) if purge else ())


def tag_differences(wanted: Mapping[str, str] | None, actual: Mapping[str, str], purge: bool) -> list[Difference]:
    """The tags as one difference, or none."""
    change = tag_change(wanted, actual, purge)
    if not change:
        return []
    result = {key: value for key, value in {**actual, **change.put}.items() if key not in change.remove}
    return [Difference("tags", result, dict(actual))]


def from_pairs(pairs: Iterable[Mapping[str, str]] | None) -> dict[str, str]:
    """Tags out of AWS's list of ``Key`` and ``Value``."""
    return {pair["Key"]: pair.get("Value", "") for pair in pairs or ()}


def to_pairs(tags: Mapping[str, str] | None) -> list[dict[str, str]]:
    """Tags as AWS's list of ``Key`` and ``Value``."""
    return [{"Key": key, "Value": value} for key, value in sorted((tags or {}).items())]
