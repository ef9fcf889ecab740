# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a remote thing stands on its way."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ansible_collections.langsmith.aws.plugins.module_utils.domain.difference import Difference

#: ``ready`` can be used, ``changing`` gets there by itself and takes no update meanwhile, ``degraded`` may get there
#: and takes updates, ``leaving`` is being deleted, ``broken`` stays as it is until someone acts.
Phase = Literal["ready", "changing", "degraded", "leaving", "broken", "absent"]


@dataclass(frozen=True)
class Progress:
    """A phase, AWS's own word for it, and what AWS says is wrong."""

    phase: Phase
    status: str
    issues: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.status} ({'; '.join(self.issues)})" if self.issues else self.status


ABSENT = Progress("absent", "absent")


def broken_difference(progress: Progress, ready: str, remedy: str = "") -> list[Difference]:
    """A broken status as a difference; ``remedy`` is given where an update does not mend it."""
    if progress.phase != "broken":
        return []
    blocked = f"{'; '.join(progress.issues) or 'AWS names no cause'}. {remedy}" if remedy else ""
    return [Difference("status", ready, progress.status, blocked)]
