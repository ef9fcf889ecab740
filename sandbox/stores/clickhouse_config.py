# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The configuration of a ClickHouse pod: the image's defaults, the files that the pod mounts, what the engine needs.

Files are merged as the server merges them. What this engine cannot do is taken out: Keeper, replication between
servers, ports other than HTTP and native, rules by network address.
"""

from __future__ import annotations

import dataclasses
import hashlib
import re
import xml.etree.ElementTree as ET
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

HTTP_PORT, TCP_PORT = 8123, 9000
DATA_PATH = "/var/lib/clickhouse"
CONFIG_ROOT = "/etc/clickhouse-server"
LOG_TTL_DAYS = 7
# A server of the sandbox gets no more than this, whatever its pod may have: many share one machine.
MEMORY_BYTES = 2_000_000_000
# With this user servers hand each other the rows that came in elsewhere.
COPIER = "sandbox_copier"
# Whoever asks, and however little they may do: what their question needs of the other servers is read there.
COPIER_PROFILE = f"<{COPIER}><constraints><readonly><const/></readonly></constraints></{COPIER}>"
# The cluster of the others, with no replication of its own: a row that goes there goes to every one of them.
OTHERS = "sandbox_others"
# The whole cluster, as the copier sees it.
EVERYONE = "sandbox_everyone"
Element = ET.Element

# What the engine stumbles over or cannot serve.
REFUSED = (
    *("listen_host", "listen_try", "listen_reuse_port", "http_port", "tcp_port", "https_port", "tcp_port_secure"),
    *("mysql_port", "postgresql_port", "grpc_port", "interserver_http_host", "interserver_http_port", "prometheus"),
    *("interserver_https_port", "interserver_http_credentials", "openSSL", "zookeeper", "distributed_ddl", "logger"),
    *("user_directories", "users_config", "path", "tmp_path", "user_files_path", "format_schema_path"),
    # Tables of which every server of a small machine would write thousands of rows a minute.
    *("trace_log", "metric_log", "asynchronous_metric_log", "text_log", "processors_profile_log", "query_thread_log"),
    *("query_views_log", "query_metric_log", "background_schedule_pool_log", "latency_log", "opentelemetry_span_log"),
)  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Place:
    """Where a server runs: its address, folders and name, the port of the gate, and the copiers' common password."""

    host: str
    data: Path
    users: Path
    replica: str
    gate_port: int
    copier_password: str


def mounted(volumes: Mapping[str, str], folder: str) -> dict[str, str]:
    """The XML files of a folder below /etc/clickhouse-server, name -> text, whether it or its files are mounted."""
    found = {}
    for mount, real in volumes.items():
        path = Path(mount)
        if path == Path(CONFIG_ROOT) / folder:
            files = {file.name: file for file in Path(real).iterdir()} if Path(real).is_dir() else {}
        elif path.parent == Path(CONFIG_ROOT) / folder:
            files = {path.name: Path(real)}
        else:
            continue
        found.update({name: _relocated(file.read_text(), volumes) for name, file in files.items() if _is_xml(name)})
    return found


def _is_xml(name: str) -> bool:
    return name.endswith(".xml") and not name.startswith(".")


def _relocated(text: str, volumes: Mapping[str, str]) -> str:
    """Paths below a mount as the paths of this machine that hold them."""
    for mount in sorted(volumes, key=len, reverse=True):
        text = re.sub(rf"{re.escape(mount.rstrip('/'))}(?=[/<\s]|$)", volumes[mount], text)
    return text


def merge(base: Element, over: Element) -> None:
    """Lay `over` onto `base` by the rules of the server: same names merge, `replace` and `remove` do what they say."""
    left = list(base)
    for element in over:
        twin = next((item for item in left if _identity(item) == _identity(element)), None)
        if twin is not None:
            left.remove(twin)
        if "remove" in element.attrib or "replace" in element.attrib:
            if twin is not None:
                base.remove(twin)
            if "replace" in element.attrib:
                base.append(_plain(element))
        elif twin is None:
            base.append(_plain(element))
        elif len(element):
            twin.text = None
            merge(twin, element)
        else:
            twin.text = element.text
            twin.attrib.clear()
            twin.attrib.update(element.attrib)


def _identity(element: Element) -> tuple[Any, ...]:
    attributes = {
        name: value for name, value in element.attrib.items() if name not in {"replace", "remove", "from_env"}
    }
    return element.tag, tuple(sorted(attributes.items()))


def _plain(element: Element) -> Element:
    copied = ET.Element(element.tag, {name: value for name, value in element.attrib.items() if name != "replace"})
    copied.text = element.text
    copied.extend(_plain(child) for child in element if "remove" not in child.attrib)
    return copied


def merged(base: str, files: Iterable[str]) -> Element:
    """The base with the files laid onto it, in their order. Raises ET.ParseError."""
    root = ET.fromstring(base)  # noqa: S314 - the cluster's own configuration
    for text in files:
        if text.strip():
            merge(root, ET.fromstring(text))  # noqa: S314
    return root


def _set(parent: Element, tag: str, value: str | Element) -> None:
    for child in parent.findall(tag):
        parent.remove(child)
    if isinstance(value, str):
        ET.SubElement(parent, tag).text = value
    else:
        parent.append(value)


# Users

GATE = "<http_authentication><server>gate</server><scheme>basic</scheme></http_authentication>"
# An element of one of these names says how a user logs in.
LOGINS = ("password", "password_sha256_hex", "password_double_sha1_hex", "no_password", "ldap", "kerberos", "ssh_keys")


def users_xml(user: str, password: str, others: Mapping[str, Any]) -> str:
    """The users file of a server without mounted files: no user of it can log in without a password.

    `others` are further users by name, each with password and grants: this engine has no storage that CREATE USER
    could write to.
    """
    rights = "<access_management>1</access_management><named_collection_control>1</named_collection_control>"
    users = _user_xml(user, _password_xml(password), rights)
    for name, wanted in others.items():
        grants = "".join(f"<query>{escape(grant)}</query>" for grant in wanted["grants"])
        users += _user_xml(name, _password_xml(wanted["password"]), f"<grants>{grants}</grants>")
    return f"""<clickhouse>
  <profiles><default><max_memory_usage>4000000000</max_memory_usage></default></profiles>
  <quotas><default/></quotas>
  <users>{users}</users>
</clickhouse>
"""


# What the image's own users.xml says, as far as it matters: a user without a password, whom files of the pod change.
IMAGE_USERS = """<clickhouse>
  <profiles><default/><readonly><readonly>1</readonly></readonly></profiles>
  <quotas><default/></quotas>
  <users><default><password></password><profile>default</profile><quota>default</quota></default></users>
</clickhouse>
"""


def _password_xml(password: str) -> str:
    return f"<password_sha256_hex>{hashlib.sha256(password.encode()).hexdigest()}</password_sha256_hex>"


def _user_xml(name: str, authentication: str, more: str, profile: str = "default") -> str:
    return f"<{name}>{authentication}<profile>{profile}</profile><quota>default</quota>{more}</{name}>"


def users(base: str, files: Iterable[str], copier_password: str) -> str:
    """The users of a server: the files on the base, without rules by address, with the gate and the copier.

    The engine's own session, which opens the listeners, is the user `default` with no password. That one passes the
    gate, an authenticator of ours that says yes once.
    """
    root = merged(base, files)
    found = root.find("users")
    if found is None:
        found = ET.SubElement(root, "users")
    default = found.find("default")
    if default is None:
        default = ET.SubElement(found, "default")
        ET.SubElement(default, "profile").text = "default"
    _let_in_through_the_gate(default)
    found.append(ET.fromstring(_user_xml(COPIER, _password_xml(copier_password), "", COPIER)))  # noqa: S314
    merge(root, ET.fromstring(f"<clickhouse><profiles><default/>{COPIER_PROFILE}</profiles></clickhouse>"))  # noqa: S314
    for user in found:
        # Every connection of this machine comes from 127.0.0.1.
        _set(user, "networks", ET.fromstring("<networks><ip>::/0</ip></networks>"))  # noqa: S314
    return ET.tostring(root, encoding="unicode")


def _let_in_through_the_gate(default: Element) -> None:
    own = [child for child in default if child.tag in LOGINS]
    if any(child.tag == "no_password" or _empty(child) for child in own):
        # Without a password anyway, so the gate is not needed.
        return
    methods = ET.Element("auth_methods")
    methods.append(ET.fromstring(f"<gate>{GATE}</gate>"))  # noqa: S314
    for child in own:
        default.remove(child)
        ET.SubElement(methods, "own").append(child)
    default.insert(0, methods)


def _empty(login: Element) -> bool:
    return login.tag == "password" and not (login.text or "").strip() and "from_env" not in login.attrib


# The server


def base_config(logs: bool) -> str:
    """What the image's config.xml says, as far as it matters; `logs` with a time to live where no file sets one."""
    ttl = f"<ttl>event_date + INTERVAL {LOG_TTL_DAYS} DAY DELETE</ttl>" if logs else ""
    tables = "".join(
        f"<{name}><database>system</database><table>{name}</table><flush_interval_milliseconds>"
        f"{1000 if logs else 7500}</flush_interval_milliseconds>{ttl}</{name}>"
        for name in ("query_log", "part_log", "backup_log")
    )
    return f"""<clickhouse>
  <macros><cluster>default</cluster><shard>0</shard></macros>
  <max_concurrent_queries>1000</max_concurrent_queries>
  <backups><allow_concurrent_backups>false</allow_concurrent_backups></backups>
  <mark_cache_size>134217728</mark_cache_size>
  {tables}
</clickhouse>
"""


def server(files: Iterable[str], logs: bool, place: Place) -> str:
    """The server's configuration for the engine."""
    root = merged(base_config(logs), files)
    for tag in REFUSED:
        for child in root.findall(tag):
            root.remove(child)
    _set(root, "listen_host", place.host)
    _set(root, "http_port", str(HTTP_PORT))
    _set(root, "tcp_port", str(TCP_PORT))
    _set(root, "path", f"{place.data}/")
    _set(root, "users_config", str(place.users))
    _set(root, "http_authentication_servers", ET.fromstring(_gate_xml(place.gate_port)))  # noqa: S314
    _set(root, "logger", ET.fromstring("<logger><level>warning</level><console>1</console></logger>"))  # noqa: S314
    wanted = int(root.findtext("max_server_memory_usage") or 0)
    _set(root, "max_server_memory_usage", str(min(wanted or MEMORY_BYTES, MEMORY_BYTES)))
    # A pod's address changes with the pod, and this engine starts no pool that sends to others by itself.
    _set(root, "disable_internal_dns_cache", "1")
    _set(root, "background_distributed_schedule_pool_size", "4")
    if root.find("background_pool_size") is None:
        _set(root, "background_pool_size", "4")
    _name_the_others(root, place)
    return ET.tostring(root, encoding="unicode")


def _gate_xml(port: int) -> str:
    return f"""<http_authentication_servers><gate>
  <uri>http://127.0.0.1:{port}/</uri>
  <connection_timeout_ms>2000</connection_timeout_ms>
  <receive_timeout_ms>2000</receive_timeout_ms>
  <send_timeout_ms>2000</send_timeout_ms>
  <max_tries>1</max_tries>
</gate></http_authentication_servers>"""


def _name_the_others(root: Element, place: Place) -> None:
    macros = root.find("macros")
    assert macros is not None  # noqa: S101 - the base has it
    if macros.find("replica") is None:
        ET.SubElement(macros, "replica").text = place.replica
    own, cluster = macros.findtext("replica"), macros.findtext("cluster")
    peers = [
        (replica.findtext("host") or "", replica.findtext("port") or str(TCP_PORT))
        for replica in root.iterfind(f"remote_servers/{cluster}/shard/replica")
    ]
    others = [peer for peer in peers if peer[0] != own and not peer[0].startswith(f"{own}.")]
    if len(peers) > 1 and others:
        both = "".join(_cluster(name, found, place) for name, found in ((OTHERS, others), (EVERYONE, peers)))
        over = f"<clickhouse><remote_servers>{both}</remote_servers></clickhouse>"
        merge(root, ET.fromstring(over))  # noqa: S314


def _cluster(name: str, peers: Iterable[tuple[str, str]], place: Place) -> str:
    replicas = "".join(
        f"<replica><host>{escape(host)}</host><port>{port}</port><user>{COPIER}</user>"
        f"<password>{escape(place.copier_password)}</password></replica>"
        for host, port in peers
    )
    return f"<{name}><shard><internal_replication>false</internal_replication>{replicas}</shard></{name}>"
