# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stand-in for a container registry: which program of the sandbox stands for an image."""

from __future__ import annotations

import sys

from sandbox import state

# A container's own command and args follow. The frontend is nginx, the ace backend runs untrusted code for evaluators.
PROGRAMS: dict[str, list[str]] = {
    "langsmith-backend": ["-m", "sandbox.langsmith"],
    "langsmith-go-backend": ["-m", "sandbox.langsmith"],
    "langsmith-playground": ["-m", "sandbox.langsmith"],
    "langsmith-frontend": ["-m", "sandbox.langsmith"],
    "langsmith-ace-backend": ["-m", "sandbox.langsmith"],
    # What Kubernetes' own tests use as a web server.
    "agnhost": ["-m", "sandbox.pods.agnhost"],
    "clickhouse-server": ["-m", "sandbox.stores.clickhouse", "pod"],
    "clickhouse-keeper": ["-m", "sandbox.stores.keeper"],
    # Its commands begin with the name of the interpreter, for which ours steps in.
    "python": ["-c", "import os, sys; os.execv(sys.executable, [sys.executable, *sys.argv[2:]])"],
}


def repository(image: str) -> str:
    """The last part of an image's repository: `docker.io/langchain/langsmith-backend:1` is `langsmith-backend`."""
    return image.partition("@")[0].rpartition("/")[2].partition(":")[0]


def argv(image: str) -> list[str] | None:
    """What runs for `image`, or None when nothing of the sandbox stands for it."""
    name = repository(image)
    added = state.settings()["images"].get(name)
    if added:
        return [str(word) for word in added]
    program = PROGRAMS.get(name)
    return [sys.executable, *program] if program else None


def missing(image: str) -> bool:
    """Whether settings say that the registry does not have `image`: an entry of null for it, or for its repository."""
    added = state.settings()["images"]
    return any(key in added and added[key] is None for key in (image, repository(image)))
