# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a pod runs: the load or the trace probe, by a file of settings and a key in the environment.

Standard library only: it comes to the pod as one archive, into an image that holds nothing but Python.

The file is a JSON object: ``mode`` is load, probe or sweep, ``endpoint`` the installation's URL, ``connection``
keywords of the HTTP client, ``inside`` the ``release`` and the ``namespace`` of the installation where the pod runs in
its cluster, so that the queue's counters are read, and under the mode's own name are its options. A load may have a
number of shares ``of``; which of them this is tells ``JOB_COMPLETION_INDEX``, as Kubernetes gives it to the pods of an
indexed Job. A sweep removes the projects that are listed by name, which pods left that were ended by force.

The last line of the output is one JSON object: ``share`` of a load, the ``healthy`` and ``findings`` of a probe,
``removed`` and ``left`` of a sweep, or ``error``. A probe that was told to end before it was done says so as
``interrupted``. The exit status is 0 when the load was measured, the probe found nothing wrong or the sweep left
nothing, 1 when they did or were told to end, 2 when the settings cannot be used.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ansible_collections.langsmith.aws.plugins.module_utils.clients.cluster_state import Cluster, Seen
from ansible_collections.langsmith.aws.plugins.module_utils.clients.langsmith import connect
from ansible_collections.langsmith.aws.plugins.module_utils.clients.load import refuse_plain, run_load
from ansible_collections.langsmith.aws.plugins.module_utils.clients.trace_probe import (
    ProbeInterruptedError,
    probe,
)
from ansible_collections.langsmith.aws.plugins.module_utils.domain.endpoint import ClickHouse
from ansible_collections.langsmith.aws.plugins.module_utils.domain.errors import ProjectError
from ansible_collections.langsmith.aws.plugins.module_utils.domain.langsmith import (
    blank,
    key_headers,
    parse_endpoint,
)
from ansible_collections.langsmith.aws.plugins.module_utils.domain.load import options
from ansible_collections.langsmith.aws.plugins.module_utils.domain.load.ids import parse_seed
from ansible_collections.langsmith.aws.plugins.module_utils.domain.probe.documents import id_of, ids
from ansible_collections.langsmith.aws.plugins.module_utils.domain.probe.inside import counters_url
from ansible_collections.langsmith.aws.plugins.module_utils.domain.probe.outcome import Outcome, Settings
from ansible_collections.langsmith.aws.plugins.module_utils.domain.probe.thresholds import limits
from ansible_collections.langsmith.aws.plugins.module_utils.domain.probe.verdict import summary

KEY_VARIABLE = "LANGSMITH_API_KEY"
INDEX_VARIABLE = "JOB_COMPLETION_INDEX"

_WORKED, _FOUND_WRONG, _UNUSABLE = 0, 1, 2
#: A trace that comes late is what the threshold is for, reads that fail now and then fail for users too, and what
#: stays behind piles up with each probe.
_HEARD = ("probe.visible", "probe.read", "probe.cleanup")


def main(arguments: Sequence[str], environment: Mapping[str, str]) -> int:
    """Run by the settings in the file that is named; the exit status."""
    # A pod that is told to end then stops, removes what it wrote and tells what it knows by then.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    headers: dict[str, str] = {}
    try:
        settings = json.loads(Path(arguments[0]).read_text(encoding="utf-8"))
        headers = key_headers(environment.get(KEY_VARIABLE, ""), settings.get("workspace_id"))
        result, status = _MODES[settings["mode"]](settings, headers, environment)
    except KeyboardInterrupt:
        result, status = {"error": "told to end before anything was known"}, _FOUND_WRONG
    except (IndexError, KeyError, OSError, TypeError, ValueError, ProjectError) as error:
        result, status = {"error": f"{type(error).__name__}: {error}"}, _UNUSABLE
    _say(blank(json.dumps(result, separators=(",", ":")), headers))
    return status


def _load(
    settings: Mapping[str, Any], headers: dict[str, str], environment: Mapping[str, str]
) -> tuple[dict[str, Any], int]:
    wanted = {**settings["load"], "index": int(environment.get(INDEX_VARIABLE, 0))}
    endpoint = parse_endpoint(settings["endpoint"])
    target = options.Target(endpoint, headers, settings["connection"], _queue_url(settings))
    measured = run_load(target, options.settings(wanted, parse_seed(wanted["seed"])), say=_say)
    return {"share": measured.to_dict()}, _WORKED


def _queue_url(settings: Mapping[str, Any]) -> str:
    inside = settings.get("inside")
    return counters_url(inside["release"], inside["namespace"]) if inside else ""


def _cluster(release: str, namespace: str) -> Cluster:
    """What a pod sees of the installation beside it: its Services, and no objects, as it has no right to read them."""

    def dial(host: str, port: int, timeout: float) -> socket.socket:
        return socket.create_connection((f"{host}.{namespace}.svc", port), timeout)

    return Cluster(release, dial, lambda: Seen({}), lambda: None)


def _probe(
    settings: Mapping[str, Any], headers: dict[str, str], _environment: Mapping[str, str]
) -> tuple[dict[str, Any], int]:
    endpoint = parse_endpoint(settings["endpoint"])
    told, inside = settings["probe"], settings.get("inside") or {}
    clickhouse = ClickHouse.of(inside.get("release", "langsmith"), told.get("clickhouse"))
    wanted = Settings(**{**told, **inside, "clickhouse": clickhouse, "thresholds": limits(told.get("thresholds"))})
    try:
        outcome = probe(endpoint, headers, settings["connection"], wanted, _cluster(**inside) if inside else None)
    except ProbeInterruptedError as error:
        return {**_told(error.outcome), "interrupted": str(error)}, _FOUND_WRONG
    found = _told(outcome)
    return found, _WORKED if found["healthy"] and not _wants_somebody(found["findings"]) else _FOUND_WRONG


def _wants_somebody(findings: Iterable[Mapping[str, str]]) -> bool:
    """Whether a warning is one that somebody has to hear of, though nobody reads what a healthy pod says."""
    return any(told["id"] in _HEARD and told["status"] != "pass" for told in findings)


def _sweep(
    settings: Mapping[str, Any], headers: dict[str, str], _environment: Mapping[str, str]
) -> tuple[dict[str, Any], int]:
    api = connect(parse_endpoint(settings["endpoint"]), headers, settings["connection"])
    refuse_plain(api)
    removed, left = [], []
    for name in settings["sweep"]:
        found = api.projects("project_lookup", name=name, limit="100")
        project_id = id_of(found.document, name)
        answer = api.delete_project(project_id).observed if project_id else found.observed
        if not answer.succeeded:
            left.append(f"{name}: {answer.describe()}")
        elif not project_id and ids(found.document):
            # Who does not look for the name lists others, which stay, and not all of them.
            left.append(f"{name}: not among the projects that are listed for this name, which are others")
        elif project_id:
            removed.append(name)
    return {"removed": removed, "left": left}, _FOUND_WRONG if left else _WORKED


def _told(outcome: Outcome) -> dict[str, Any]:
    found = summary(outcome.evidence, outcome.seconds)
    return {name: value for name, value in found.items() if name not in ("answers", "charts")}


_MODES: dict[str, Callable[..., tuple[dict[str, Any], int]]] = {
    "load": _load,
    "probe": _probe,
    "sweep": _sweep,
}


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:], os.environ))
