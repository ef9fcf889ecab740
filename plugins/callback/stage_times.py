# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long each role of a run took."""

from __future__ import annotations

DOCUMENTATION = r"""
name: stage_times
type: aggregate
version_added: 0.1.0
short_description: Show how long each role of a run took
author: langsmith.aws maintainers (@langsmith-aws)
description:
  - Adds up the wall time of the tasks by role, in the order in which the roles were first met.
  - Shows the sums at the end.
options:
  path:
    description: File that also receives the times, in seconds, as JSON. Nothing is written when it is not set.
    type: path
    env:
      - name: LANGSMITH_STAGE_TIMES
    ini:
      - section: callback_stage_times
        key: path
"""

import json
import time
from pathlib import Path
from typing import Any

from ansible.plugins.callback import CallbackBase


class CallbackModule(CallbackBase):
    """Adds up and shows."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "langsmith.aws.stage_times"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self) -> None:
        super().__init__()
        self._seconds: dict[str, float] = {}
        self._stage: str | None = None
        self._since = time.monotonic()

    def v2_playbook_on_task_start(self, task: Any, is_conditional: bool) -> None:
        """A task begins, so the one before has ended."""
        self._close()
        self._stage = task._role.get_name(include_role_fqcn=False) if task._role else "playbook"

    def v2_playbook_on_stats(self, stats: Any) -> None:
        """The run has ended."""
        self._close()
        if not self._seconds:
            return
        self._display.banner("STAGES")
        width = max(len(stage) for stage in self._seconds)
        for stage, seconds in {**self._seconds, "total": sum(self._seconds.values())}.items():
            self._display.display(f"{stage.ljust(max(width, 5))}  {seconds:7.1f} s")
        path = self.get_option("path")
        if path:
            Path(path).write_text(json.dumps(self._seconds, indent=2) + "\n", encoding="utf-8")

    def _close(self) -> None:
        now = time.monotonic()
        if self._stage is not None:
            self._seconds[self._stage] = self._seconds.get(self._stage, 0.0) + now - self._since
        self._since, self._stage = now, None
