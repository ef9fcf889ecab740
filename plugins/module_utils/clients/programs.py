# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The programs of this machine."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace

from ansible_collections.langsmith.aws.plugins.module_utils.domain.preflight.facts import Tool

#: How each program tells its version without asking any server.
_VERSION: dict[str, list[str]] = {
    "aws": ["--version"],
    "helm": ["version", "--short"],
    "kubectl": ["version", "--client"],
}


def find(tool: Tool, timeout: float) -> Tool:
    """The tool with its path and what it says of its version; both empty when it is not on PATH."""
    path = shutil.which(tool.name)
    if path is None:
        return tool
    try:
        done = subprocess.run(
            [path, *_VERSION.get(tool.name, ["--version"])],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return replace(tool, path=path, output=f"{type(error).__name__}: {error}")
    return replace(tool, path=path, output=(done.stdout or done.stderr).strip())
