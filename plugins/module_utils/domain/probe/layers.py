# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The layers that a probe can name: what to do about each, and the command to run next."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from operator import methodcaller

from ansible_collections.langsmith.aws.plugins.module_utils.domain.answers import Observed
from ansible_collections.langsmith.aws.plugins.module_utils.domain.endpoint import Place
from ansible_collections.langsmith.aws.plugins.module_utils.domain.finding import Finding, Status
from ansible_collections.langsmith.aws.plugins.module_utils.domain.probe import commands
from ansible_collections.langsmith.aws.plugins.module_utils.domain.probe.evidence import Evidence

UNKNOWN = "unknown"

#: By layer: what to do, and the command that shows more, as a pattern or made of the place.
LAYERS: dict[str, tuple[str, str | Callable[[Place], str]]] = {
    "dns": ("point {place.host} at the load balancer (an alias record) and look it up", "dig +short {place.host}"),
    "security-group": (
        "packets are dropped on the way: let this machine into the load balancer's security group, and the load "
        "balancer into that of the nodes",
        'aws elbv2 describe-load-balancers --query "LoadBalancers[].[DNSName,State.Code,SecurityGroups]"',
    ),
    "load-balancer": (
        "see whether the load balancer has this listener, a rule for this name, and targets",
        "kubectl -n {place.namespace} get ingress,targetgroupbindings,endpointslices -o wide",
    ),
    "waf": (
        "see which rule of the web ACL blocked it; where none did, a rule of the load balancer answers so",
        commands.blocked,
    ),
    "certificate": (
        "put a valid certificate on the Ingress (annotation alb.ingress.kubernetes.io/certificate-arn), or name its "
        "authority in ca_file",
        "openssl s_client -connect {place.address} -servername {place.host}",
    ),
    "endpoint": (
        "give the URL with its base path (chart value config.basePath)",
        "kubectl -n {place.namespace} describe ingress",
    ),
    "frontend": ("its pods do not answer the load balancer", methodcaller("state", "frontend")),
    "platform-backend": ("its pods do not answer while the frontend does", methodcaller("state", "platform-backend")),
    "backend": ("its pods do not answer while the frontend does", methodcaller("state", "backend")),
    "auth": (
        "see whether the key was made in this installation, may write, and whether config.apiKeySalt changed since, "
        "which voids every key",
        methodcaller("logs", "backend"),
    ),
    "workspace": (
        "the key is good, and not for this workspace: correct workspace_id, or make a key in that workspace",
        "curl -H 'x-api-key: KEY' {place.url}/api/v1/workspaces",
    ),
    "postgres": (
        "backend runs and cannot use Postgres: see the endpoint, password, disk and security group of the database",
        methodcaller("logs", "backend"),
    ),
    "redis": (
        "the queue cannot be written: see Redis' endpoint, token, memory (maxmemory-policy noeviction) and security "
        "group",
        methodcaller("logs", "platform-backend"),
    ),
    "ingest-workers": (
        "the workers take nothing from the queue: see their pods",
        methodcaller("state", "ingest-queue"),
    ),
    "backlog": (
        "the workers run and are behind: more of them help only while ClickHouse is not the slow part "
        "(langsmith_ingestion_worker_to_store_latency_seconds)",
        "kubectl -n {place.namespace} get hpa,scaledobject,pods",
    ),
    "clickhouse-write": (
        "ClickHouse does not take what the workers write: see its disk, memory and parts, and its user's rights; more "
        "workers do not help",
        methodcaller("logs", "ingest-queue"),
    ),
    "clickhouse-read": (
        "ClickHouse does not answer reads: see its memory, disk and running queries",
        commands.clickhouse_log,
    ),
    "blob-write": (
        "large payloads cannot be stored: see the write permission on bucket and KMS key of the roles of "
        "platform-backend and ingest-queue",
        methodcaller("logs", "platform-backend"),
    ),
    "blob-read": (
        "what was stored cannot be read: see the read permission on bucket and KMS key of the roles of backend and "
        "platform-backend",
        methodcaller("logs", "backend"),
    ),
    "lost-patch": (
        "the trace arrived and the end of its runs did not: read what the workers say",
        methodcaller("logs", "ingest-queue"),
    ),
    "replica-lag": (
        "answers differ from query to query, as those of replicas that lag do",
        commands.replicas,
    ),
    "quota": ("raise the workspace's usage limit, or wait until it is reset", methodcaller("logs", "platform-backend")),
    "version": (
        "this LangSmith does not speak what the probe sends: compare its version with those that the collection "
        "supports",
        "curl {place.url}/api/v1/info",
    ),
    UNKNOWN: (
        "nothing that passed beside it tells the layer: read on in the cluster",
        "kubectl -n {place.namespace} get pods -o wide",
    ),
}


@dataclass(frozen=True)
class Blame:
    """A layer and its second witness: ``witness`` tells what passed next to what failed.

    ``advice`` and ``command`` stand in for the layer's own where they are given; ``why`` adds to what was observed.
    """

    layer: str
    witness: str = ""
    advice: str = ""
    command: str = ""
    why: str = ""


@dataclass(frozen=True)
class Judged:
    """A finding and, where it is no pass, the second witness and the next command."""

    finding: Finding
    witness: str = ""
    command: str = ""


def blame(evidence: Evidence, layer: str, *neighbours: str, advice: str = "", command: str = "") -> Blame:
    """The layer if one of the neighbouring stages passed, the first of which is the witness; else nobody."""
    for stage in neighbours:
        answer = evidence.get(stage)
        if answer is not None and evidence.ok(stage):
            return Blame(layer, answer.describe(), advice, command)
    return Blame(UNKNOWN)


def command_of(layer: str, place: Place) -> str:
    """The command that shows more of a layer."""
    command = LAYERS[layer][1]
    return command.format(place=place) if isinstance(command, str) else command(place)


def passed(rule: str, layer: str, subject: str, observed: str, expected: str, source: str = "") -> Judged:
    """The finding that all is well."""
    return Judged(Finding(f"probe.{rule}", "pass", layer, subject, observed, expected, source=source))


def wrong(
    rule: str,
    found: Blame,
    place: Place,
    subject: str,
    observed: str,
    expected: str,
    *,
    status: Status = "fail",
    source: str = "",
) -> Judged:
    """A finding that is no pass, with its remedy and witness."""
    advice = LAYERS[found.layer][0]
    command = found.command or command_of(found.layer, place)
    remedy = f"{found.advice or advice.format(place=place)}: {command}"
    seen = "; ".join(part for part in (observed, found.why) if part)
    finding = Finding(f"probe.{rule}", status, found.layer, subject, seen, expected, remedy, source)
    return Judged(finding, found.witness, command)


def answered(rule: str, layer: str, answer: Observed, expected: str) -> Judged:
    """The finding that an answer is the one that was wanted."""
    return passed(rule, layer, answer.request, answer.describe(), expected)
