# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options that name a value in Secrets Manager instead of holding it."""

from __future__ import annotations

from typing import Any


def secret_reference(default_key: str | None = None, *, required: bool = False) -> dict[str, Any]:
    """An option with ``name`` and ``key``, which Ansible would hide for their names though neither is a secret."""
    key: dict[str, Any] = {"type": "str", "no_log": False}
    key |= {"default": default_key} if default_key else {"required": True}
    options = {"name": {"type": "str", "required": True}, "key": key}
    return {"type": "dict", "no_log": False, "required": required, "options": options}
