# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stand-in for how the ClickHouse operator turns the configuration of an installation into files of its servers."""

from __future__ import annotations

import dataclasses
import hashlib
import re
import xml.etree.ElementTree as ET
from collections.abc import Iterable, Mapping
from typing import Any

Object = dict[str, Any]
# What the operator lays into every installation, so that its own user is not limited and shows in no log.
OPERATOR_PROFILE = """<yandex><profiles><clickhouse_operator>
<log_queries>0</log_queries><skip_unavailable_shards>1</skip_unavailable_shards>
<http_connection_timeout>10</http_connection_timeout>
</clickhouse_operator></profiles></yandex>
"""
LOG_FILES = {
    f"01-clickhouse-{number}-{table}.xml": f"""<yandex><{table} replace="1">
<database>system</database><table>{table}</table>
<engine>Engine = MergeTree PARTITION BY event_date ORDER BY event_time TTL event_date + interval 30 day</engine>
<flush_interval_milliseconds>7500</flush_interval_milliseconds></{table}></yandex>
"""
    for number, table in (("03", "query_log"), ("04", "part_log"))
}
PASSWORDS = ("password_double_sha1_hex", "password_sha256_hex", "password")
# The operator restarts no server for these, as the server reads them again by itself.
LIVE = re.compile(r"(macros|remote_servers|logger)/|max_server_memory_|max_.*_to_drop$|max_concurrent_queries$")


@dataclasses.dataclass(frozen=True)
class Reference:
    """A value that is in a Secret, and the environment variable that brings it to the server."""

    variable: str
    secret: str
    key: str


def flat(section: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    """Settings by path: what is nested, and what has its path in its name already."""
    found: dict[str, Any] = {}
    for name, value in section.items():
        if isinstance(value, dict) and "valueFrom" not in value:
            found |= flat(value, f"{above}{name}/")
        else:
            found[f"{above}{name}"] = value
    return found


def references(section: Mapping[str, Any], prefix: str) -> dict[str, Reference]:
    """The settings of a section that are in Secrets, by their path."""
    found = {}
    for path, value in section.items():
        source = value.get("valueFrom", {}).get("secretKeyRef") if isinstance(value, dict) else None
        if source:
            words = re.sub(r"[^A-Za-z0-9]+", "_", f"{prefix}_{path}").strip("_").upper()
            found[path] = Reference(words, str(source["name"]), str(source["key"]))
    return found


def tree(settings: Mapping[str, Any], root: str = "", from_env: Mapping[str, Reference] | None = None) -> str:
    """Settings by path as XML: a list repeats its element, a value out of a Secret comes from the environment."""
    document = ET.Element("yandex")
    for path in sorted(settings):
        words = [word for word in [root, *path.strip("/").split("/")] if word]
        value, parent = settings[path], document
        for word in words[:-1]:
            inner = parent.find(word)
            parent = ET.SubElement(parent, word) if inner is None else inner
        if from_env and path in from_env:
            ET.SubElement(parent, words[-1], {"from_env": from_env[path].variable})
            continue
        for item in value if isinstance(value, list) else [value]:
            ET.SubElement(parent, words[-1]).text = _text(item)
    return _written(document)


def _text(value: Any) -> str:
    return str(int(value)) if isinstance(value, bool) else str(value)


def _written(document: ET.Element) -> str:
    ET.indent(document, "    ")
    return ET.tostring(document, encoding="unicode") + "\n"


def users(section: Mapping[str, Any], operator: tuple[str, str]) -> str:
    """The users as the operator completes them; `operator` is its own name and password."""
    secrets = references(section, "CONFIGURATION_USERS")
    settings: dict[str, Any] = dict(section)
    names = sorted({path.strip("/").split("/")[0] for path in section} | {"default", operator[0]})
    for name in names:
        own = name == operator[0]
        settings.setdefault(f"{name}/profile", "clickhouse_operator" if own else "default")
        if not own:
            settings.setdefault(f"{name}/quota", "default")
        _add_addresses(settings, name)
        _hash_password(settings, secrets, name, operator)
    settings |= {f"{operator[0]}/access_management": 1, f"{operator[0]}/named_collection_control": 1}
    return tree(settings, "users", secrets)


def _add_addresses(settings: dict[str, Any], name: str) -> None:
    given = settings.get(f"{name}/networks/ip", [])
    own = given if isinstance(given, list) else [given]
    settings[f"{name}/networks/ip"] = list(dict.fromkeys(["::1", "127.0.0.1", *own]))


def _hash_password(
    settings: dict[str, Any], secrets: Mapping[str, Reference], name: str, operator: tuple[str, str]
) -> None:
    known = [kind for kind in PASSWORDS if f"{name}/{kind}" in settings]
    for kind in known[1:]:
        settings.pop(f"{name}/{kind}")
    if known and (known[0] != "password" or f"{name}/password" in secrets):
        return
    plain = str(settings.pop(f"{name}/password", "") or "")
    if not plain and name != "default":
        plain = operator[1] if name == operator[0] else "default"
    if plain:
        settings[f"{name}/password_sha256_hex"] = hashlib.sha256(plain.encode()).hexdigest()


def remote_servers(clusters: Mapping[str, Iterable[Iterable[str]]], secret: Mapping[str, str]) -> str:
    """The clusters, name -> shards -> host names, and the clusters that the operator makes of all hosts.

    `secret` is, by cluster, the XML element that the servers of it know each other by.
    """
    shards = {name: [list(shard) for shard in found] for name, found in clusters.items()}
    hosts = [host for found in shards.values() for shard in found for host in shard]
    parts = [_cluster(name, found, secret.get(name, "")) for name, found in shards.items()]
    parts.append(_cluster("all-replicated", [hosts], ""))
    parts.append(_cluster("all-sharded", [[host] for host in hosts], next(iter(secret.values()), "")))
    parts.append(_cluster("all-clusters", [shard for found in shards.values() for shard in found], ""))
    return _written(ET.fromstring(f"<yandex><remote_servers>{''.join(parts)}</remote_servers></yandex>"))  # noqa: S314


def _cluster(name: str, shards: list[list[str]], secret: str) -> str:
    text = ""
    for shard in shards:
        replicas = "".join(
            f"<replica><host>{host}</host><port>9000</port><secure>0</secure></replica>" for host in shard
        )
        replicated = "true" if len(shard) > 1 else "false"
        text += f"<shard><internal_replication>{replicated}</internal_replication>{replicas}</shard>"
    return f"<{name}>{secret}{text}</{name}>"


def macros(installation: str, cluster: str, shard: str, replica: str, number: int) -> str:
    """What tells the servers of a cluster apart."""
    return tree(
        {
            "macros/installation": installation,
            "macros/all-sharded-shard": number,
            "macros/cluster": cluster,
            "macros/shard": shard,
            "macros/replica": replica,
        }
    )


def zookeeper(section: Mapping[str, Any], installation: str) -> str:
    """Where Keeper is, and where statements ON CLUSTER wait."""
    nodes = "".join(
        f"<node><host>{node['host']}</host><port>{node.get('port', 2181)}</port></node>"
        for node in section.get("nodes", [])
    )
    if not nodes:
        return ""
    queue = f"<distributed_ddl><path>/clickhouse/{installation}/task_queue/ddl</path></distributed_ddl>"
    return _written(ET.fromstring(f"<yandex><zookeeper>{nodes}</zookeeper>{queue}</yandex>"))  # noqa: S314


def needs_restart(settings: Mapping[str, Any], files: Mapping[str, str], keeper: str) -> str:
    """A word that changes with what a server reads at its start only."""
    chosen = {path: value for path, value in settings.items() if not LIVE.match(path)}
    started = {name: text for name, text in files.items() if not name.startswith("users.d/")}
    return hashlib.sha256(
        repr((sorted(chosen.items(), key=str), sorted(started.items()), keeper)).encode()
    ).hexdigest()[:16]
