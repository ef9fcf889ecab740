# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The ClickHouse of an installation as AWS tells of it, and what of it may change.

The topology, the cluster's name and LangSmith's user are tags of the secret that LangSmith connects with: it is there
before the first migration and as long as the installation, whatever becomes of the cluster. Replicas are counted by
their volumes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.langsmith.aws.plugins.module_utils.domain.difference import Difference, plain
from ansible_collections.langsmith.aws.plugins.module_utils.domain.resources.network import Volume

TOPOLOGY_TAG, CLUSTER_TAG = "langsmith:clickhouse-topology", "langsmith:clickhouse-cluster"
USER_TAG = "langsmith:clickhouse-user"
#: The claim of a replica's data, as the operator of ClickHouse names it.
CLAIM = re.compile(r"data-chi-langsmith-.+-0-(\d+)-0")
#: What the node groups of the replicas are named after, between installation and zone.
NODE_GROUPS = "clickhouse"
#: EC2's state of a volume that is attached.
IN_USE = "in-use"

_MIGRATION = (
    "LangSmith decides at its first migration whether its tables are replicated, and where, and converts none later. "
)
_TOPOLOGY = (
    f"{_MIGRATION}Keep the topology, or deploy a second installation with the new one and let applications send there."
)
_CLUSTER = f"{_MIGRATION}Keep the name of the cluster."
_USER = (
    "LangSmith stays connected as the user that its secret names, and another one would only be added to the servers, "
    "with all rights. Keep the user."
)
_TYPES = (
    "a node group keeps its types for life, and the volumes are bound to the zones of these groups. Keep the types; a "
    "replica moves to other nodes by a node group of your own with the same label and taint in its zone."
)
_FEWER = (
    "a replica that is taken away leaves its traces' parts to the others only after they have fetched them, and three "
    "are the least that bear the loss of one. Keep the number."
)
_SMALLER = "EBS makes no volume smaller. Keep the size."
#: What amazon.aws.ec2_vol gives a gp3 volume at most, and the word of the AWS CLI for it; EBS itself gives more.
_MOST = {"iops": (16000, "iops"), "throughput_mib_s": (1000, "throughput")}


@dataclass(frozen=True)
class ClickHouse:
    """What is there. ``replicas`` have a volume each, of which the weakest counts: GiB, IOPS, MiB/s.

    ``instance_types`` are those of the node groups of the replicas, each list once.
    """

    topology: str
    cluster: str = ""
    user: str = ""
    volumes: tuple[Volume, ...] = ()
    instance_types: tuple[tuple[str, ...], ...] = ()

    @property
    def replicas(self) -> int:
        """The replicas that have a volume."""
        return len({item.claim for item in self.volumes})

    def to_dict(self) -> dict[str, Any]:
        """As modules return it."""
        return {
            "topology": self.topology,
            "cluster": self.cluster,
            "user": self.user,
            "replicas": self.replicas,
            "volumes": [plain(item) for item in self.volumes],
        }


def read(
    secret_tags: Mapping[str, str], volumes: Iterable[Volume], instance_types: Iterable[tuple[str, ...]] = ()
) -> ClickHouse:
    """The ClickHouse that goes with the secret; one without the tag is the chart's own.

    A claim that was made anew leaves its old volume, which is kept and serves nobody.
    """
    found = [item for item in volumes if CLAIM.fullmatch(item.claim)]
    served = {item.claim for item in found if item.state == IN_USE}
    ours = (item for item in found if item.state == IN_USE or item.claim not in served)
    return ClickHouse(
        topology=secret_tags.get(TOPOLOGY_TAG, "single"),
        cluster=secret_tags.get(CLUSTER_TAG, ""),
        user=secret_tags.get(USER_TAG, ""),
        volumes=tuple(sorted(ours, key=lambda item: item.claim)),
        instance_types=tuple(dict.fromkeys(instance_types)),
    )


def differences(wanted: Mapping[str, Any], actual: ClickHouse) -> list[Difference]:
    """What would change; what cannot says why."""
    if wanted["topology"] != actual.topology:
        return [Difference("topology", wanted["topology"], actual.topology, _TOPOLOGY)]
    found = []
    if wanted.get("cluster") is not None and wanted["cluster"] != actual.cluster:
        found.append(Difference("cluster", wanted["cluster"], actual.cluster, _CLUSTER))
    if actual.topology == "replicated" and actual.user and (wanted.get("user") or actual.user) != actual.user:
        found.append(Difference("user", wanted["user"], actual.user, _USER))
    found += _types(wanted.get("instance_types"), actual)
    if actual.topology != "replicated" or not actual.volumes:
        return found
    replicas = wanted.get("replicas")
    if replicas is not None and replicas != actual.replicas:
        blocked = _FEWER if replicas < actual.replicas else ""
        found.append(Difference("replicas", replicas, actual.replicas, blocked))
    return found + [item for volume in actual.volumes for item in _volume(wanted.get("volume") or {}, volume)]


def _types(wanted: Iterable[str] | None, actual: ClickHouse) -> list[Difference]:
    if wanted is None or actual.topology != "replicated":
        return []
    other = [item for item in actual.instance_types if item != tuple(wanted)]
    return [Difference("instance_types", list(wanted), list(other[0]), _TYPES)] if other else []


def _volume(wanted: Mapping[str, Any], actual: Volume) -> list[Difference]:
    found = []
    for name in ("size_gib", "iops", "throughput_mib_s"):
        want, have = wanted.get(name), getattr(actual, name)
        if want is None or want == have:
            continue
        found.append(Difference(f"{actual.claim}.{name}", want, have, _blocked(name, want, actual)))
    return found


def _blocked(name: str, want: int, actual: Volume) -> str:
    if name == "size_gib":
        return _SMALLER if want < actual.size_gib else ""
    most, word = _MOST[name]
    if want <= most:
        return ""
    return (
        f"the module that changes volumes (amazon.aws.ec2_vol) goes up to {most}. "
        f"Run aws ec2 modify-volume --volume-id {actual.id} --{word} {want}, and then this again."
    )


def node_groups(subnets: Iterable[Mapping[str, str]], installation: str, replicas: int) -> list[dict[str, Any]]:
    """The node groups of the replicas, one in each zone of the subnets, in the order of the zones' names.

    A volume is bound to its zone, and an autoscaler chooses a group, never a zone of one. Replicas go to the zones in
    turn; one node more may come, so that a replica can move to it.
    """
    zones: dict[str, list[str]] = {}
    for subnet in sorted(subnets, key=lambda item: (item["availability_zone"], item["id"])):
        zones.setdefault(subnet["availability_zone"], []).append(subnet["id"])
    sizes = [len(range(index, replicas, len(zones))) for index in range(len(zones))]
    return [
        {
            "name": f"{installation}-{NODE_GROUPS}-{zone}",
            "subnet_ids": ids,
            "min_size": size,
            "max_size": size + 1,
        }
        for (zone, ids), size in zip(zones.items(), sizes, strict=True)
    ]
