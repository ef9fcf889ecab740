# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A file that holds what it should, written only when it does not."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any


def write_file(path: str, content: str, mode: int, check_mode: bool) -> tuple[bool, dict[str, Any]]:
    """Whether the file changes (or would), and the diff. It is replaced at once, so no reader sees half of it.

    Raises ``OSError`` where it cannot be read or written.
    """
    target = Path(path)
    exists = target.exists()
    before = target.read_text(encoding="utf-8", errors="replace") if exists else ""
    old_mode = target.stat().st_mode & 0o7777 if exists else None
    changed = before != content or old_mode != mode
    diff = {
        "before_header": path,
        "after_header": path,
        "before": before if old_mode in (None, mode) else f"mode {old_mode:04o}\n{before}",
        "after": content if old_mode in (None, mode) else f"mode {mode:04o}\n{content}",
    }
    if changed and not check_mode:
        handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as stream:
                stream.write(content)
            Path(temporary).chmod(mode)
            Path(temporary).replace(target)
        except OSError:
            Path(temporary).unlink(missing_ok=True)
            raise
    return changed, diff
