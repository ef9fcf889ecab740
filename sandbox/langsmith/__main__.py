# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stand-in for the entry points of LangSmith's images.

`python -m sandbox.langsmith` takes the command and args of the container: ./entrypoint.sh, smith_go_entrypoint.sh,
saq .. --check and so on. Two images share ./entrypoint.sh; a leading image name, or $SANDBOX_IMAGE, tells them apart,
else the port that the chart gives.
"""

from __future__ import annotations

import importlib
import os
import sys

from sandbox.langsmith import environment, log

# The last part of a container's first word -> module and function that stand for it.
COMMANDS = {
    "smith_go_entrypoint.sh": ("platform_backend", "main"),
    "asynq_worker_entrypoint.sh": ("worker", "main"),
    "queue_entrypoint.sh": ("saq", "main"),
    "smith_playground_entrypoint.sh": ("plain", "playground"),
    "pg_migration_entrypoint.sh": ("jobs", "migrate_postgres"),
    "ch_migration_entrypoint.sh": ("jobs", "migrate_clickhouse"),
    "auth_bootstrap_entrypoint.sh": ("jobs", "bootstrap"),
    "backfill_check_entrypoint.sh": ("jobs", "check_backfills"),
}
# What an image does by its own ./entrypoint.sh, or without a command.
IMAGES = {
    "langsmith-backend": ("backend", "main"),
    "langsmith-frontend": ("frontend", "main"),
    "langsmith-ace-backend": ("plain", "ace_backend"),
    "langsmith-insights-engine": ("plain", "agent"),
    "langsmith-polly": ("plain", "agent"),
}
ACE_PORT = "1987"


def program(words: list[str]) -> tuple[str, str] | None:
    """Module and function for a container's words; None when nothing here stands for them."""
    image = os.environ.get("SANDBOX_IMAGE", "").rpartition("/")[2].partition(":")[0]
    if words and words[0] in IMAGES:
        image, words = words[0], words[1:]
    if not words:
        return IMAGES.get(image)
    # nginx's script lies in the root, those of the backends in their folder.
    if words[0] == "/entrypoint.sh":
        return IMAGES["langsmith-frontend"]
    # The agents' images keep their scripts there; one has the name of a script of the backend's image.
    if words[0].startswith("/storage/"):
        return IMAGES["langsmith-polly"]
    name = words[0].rpartition("/")[2]
    if name == "entrypoint.sh":
        ace = image == "langsmith-ace-backend" or os.environ.get("PORT") == ACE_PORT
        return IMAGES["langsmith-ace-backend" if ace else "langsmith-backend"]
    if name == "saq" and "--check" in words:
        return "saq", "check"
    if name == "python" and words[-1].startswith("scripts/test_e2e_trace"):
        return "jobs", "test_trace"
    return COMMANDS.get(name)


def main(words: list[str]) -> int:
    """Run what stands for a container; the exit code is the container's."""
    found = program(words)
    if found is None:
        log.error("nothing stands for this command", command=" ".join(words))
        return 127
    try:
        environment.adopt_ca_bundle()
        module = importlib.import_module(f"sandbox.langsmith.{found[0]}")
        return int(getattr(module, found[1])())
    except environment.SettingsError as exc:
        log.error(str(exc))
    except Exception as exc:
        log.error(f"{type(exc).__name__}: {exc}")
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
