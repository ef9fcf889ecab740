# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Kubernetes knows of the servers' pods and a server cannot tell: that the kernel ended it for its memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.rules.resources import RECENT
from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.storage import Unread
from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.thresholds import KUBERNETES
from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.verdict import finding
from ansible_collections.langsmith.aws.plugins.module_utils.domain.finding import Finding
from ansible_collections.langsmith.aws.plugins.module_utils.domain.forwarding import Object

#: The pods behind each server, by its host:port.
Pods = Mapping[str, "Sequence[Object] | Unread"]

_EXPECTATION = f"no container of the server's pod ended for its memory (OOMKilled) in the last {RECENT // 60} minutes"
_READ = "let the user of the kubeconfig get services and list pods in the namespace, and run the check again"
_NAME = "give live.urls the name of a Service with a selector, or of a pod, of the cluster"
_MORE = (
    "give each replica more memory (8 vCPU and 32 GiB in production) or let fewer users read at a time; see rule "
    "memory_limit, for a server that knows its container's limit refuses a query before the kernel ends it"
)


def judge_pods(pods: Pods, now: datetime) -> list[Finding]:
    """One finding for each server."""
    return [_oom_killed(subject, found, now) for subject, found in pods.items()]


def _oom_killed(subject: str, pods: Sequence[Object] | Unread, now: datetime) -> Finding:
    if isinstance(pods, Unread):
        return finding("oom_killed", "unknown", subject, (pods.message, _EXPECTATION), _READ, KUBERNETES)
    if not pods:
        return finding("oom_killed", "unknown", subject, ("there is no pod behind it", _EXPECTATION), _NAME, KUBERNETES)
    ended = sorted((when, name) for pod in pods for name, when in _ended(pod))
    told = "; ".join(f"{name} was OOMKilled at {when:%Y-%m-%d %H:%M:%S} UTC" for when, name in reversed(ended))
    recent = bool(ended) and (now - ended[-1][0]).total_seconds() <= RECENT
    observed = (told or "no container's last end was for its memory", _EXPECTATION)
    return finding("oom_killed", "fail" if recent else "pass", subject, observed, _MORE, KUBERNETES)


def _ended(pod: Object) -> Iterator[tuple[str, datetime]]:
    """Pod with container, and when the kernel ended it: as it is now, and as it was before its last restart."""
    for container in pod.get("status", {}).get("containerStatuses") or ():
        for state in ("state", "lastState"):
            ended = (container.get(state) or {}).get("terminated") or {}
            if ended.get("reason") == "OOMKilled" and ended.get("finishedAt"):
                name = f"container {container['name']} of pod {pod['metadata']['name']}"
                yield name, datetime.fromisoformat(ended["finishedAt"])
