# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stand-in for the images' logs: one JSON object a line on standard output, never a secret."""

from __future__ import annotations

import json
import os
import sys
from datetime import UTC, datetime

LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}


def _write(level: str, message: str, fields: dict[str, object]) -> None:
    if LEVELS[level] < LEVELS.get(os.environ.get("LOG_LEVEL", "info").lower(), 20):
        return
    line = {"time": datetime.now(UTC).isoformat(), "level": level.upper(), "msg": message, **fields}
    sys.stdout.write(json.dumps(line, default=str) + "\n")
    sys.stdout.flush()


def info(message: str, **fields: object) -> None:
    """Say that something went as it should."""
    _write("info", message, fields)


def warning(message: str, **fields: object) -> None:
    """Say that something is lost or late."""
    _write("warning", message, fields)


def error(message: str, **fields: object) -> None:
    """Say that something failed, and why."""
    _write("error", message, fields)
