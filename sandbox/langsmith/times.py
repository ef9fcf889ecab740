# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stand-in for LangSmith's clock formats: ISO 8601 with or without a zone in, naive UTC with microseconds out."""

from __future__ import annotations

from datetime import UTC, datetime


def parse(value: object) -> datetime:
    """An instant in UTC; a value without a zone is read as UTC. ValueError when it is none."""
    found = datetime.fromisoformat(str(value).replace("Z", "+00:00"))
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


def now() -> datetime:
    """This instant in UTC."""
    return datetime.now(UTC)


def zoned(value: datetime) -> str:
    """An instant as the stores take it."""
    return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f+00:00")


def naive(value: object) -> str | None:
    """An instant as API answers show it."""
    if value in {None, ""}:
        return None
    found = value if isinstance(value, datetime) else parse(value)
    return found.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")
