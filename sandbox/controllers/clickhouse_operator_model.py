# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stand-in for what the ClickHouse operator makes of an installation: names, labels and objects, as pure functions."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Mapping
from typing import Any

from sandbox.controllers import clickhouse_operator_config as config
from sandbox.controllers.clickhouse_operator_config import Reference

Object = dict[str, Any]
VERSION = "0.25.6"
YES = {"yes", "true", "1", "on", "enable", "enabled"}
INTERNODE_VARIABLE = "CLICKHOUSE_INTERNODE_CLUSTER_SECRET"
# Sooner than the operator's own 10 and 60 s, as a server of the sandbox is up within a second.
READINESS_DELAY_SECONDS, LIVENESS_DELAY_SECONDS = 2, 30


@dataclasses.dataclass(frozen=True)
class Flavor:
    """What differs between ClickHouse and Keeper."""

    kind: str
    api_version: str
    short: str
    service: str
    container: str
    image: str
    folder: str
    data: str
    ports: tuple[tuple[str, int], ...]
    service_ports: tuple[tuple[str, int], ...]
    folders: tuple[str, str, str]

    @property
    def group(self) -> str:
        return self.api_version.partition("/")[0]


SERVERS = Flavor(
    "ClickHouseInstallation",
    "clickhouse.altinity.com/v1",
    "chi",
    "clickhouse",
    "clickhouse",
    "clickhouse/clickhouse-server:latest",
    "/etc/clickhouse-server",
    "/var/lib/clickhouse",
    (("tcp", 9000), ("http", 8123), ("interserver", 9009)),
    (("http", 8123), ("tcp", 9000)),
    ("config.d", "users.d", "conf.d"),
)
KEEPERS = Flavor(
    "ClickHouseKeeperInstallation",
    "clickhouse-keeper.altinity.com/v1",
    "chk",
    "keeper",
    "clickhouse-keeper",
    "clickhouse/clickhouse-keeper:latest",
    "/etc/clickhouse-keeper",
    "/var/lib/clickhouse-keeper",
    (("zk", 2181), ("raft", 9444)),
    (("zk", 2181), ("raft", 9444)),
    ("keeper_config.d", "users.d", "conf.d"),
)
FLAVORS = (SERVERS, KEEPERS)


@dataclasses.dataclass(frozen=True)
class Host:
    """One server: its cluster, the number of its shard and replica, and its number among all."""

    flavor: Flavor
    installation: str
    cluster: str
    shard: int
    replica: int
    number: int

    @property
    def name(self) -> str:
        """What its StatefulSet and its Service are called."""
        return f"{self.flavor.short}-{self.installation}-{self.cluster}-{self.shard}-{self.replica}"

    @property
    def pod(self) -> str:
        return f"{self.name}-0"


class Installation:
    """A ClickHouseInstallation or ClickHouseKeeperInstallation, read as the operator reads it."""

    def __init__(self, found: Object, operator: tuple[str, str] = ("clickhouse_operator", "")) -> None:
        self.found, self.operator = found, operator
        self.flavor = next(item for item in FLAVORS if item.kind == found["kind"])
        self.name, self.namespace = found["metadata"]["name"], found["metadata"]["namespace"]
        self.spec: Object = found.get("spec") or {}
        self.configuration: Object = self.spec.get("configuration") or {}
        self.templates: Object = self.spec.get("templates") or {}
        self.defaults: Object = self.spec.get("defaults") or {}
        self.clusters: list[Object] = self.configuration.get("clusters") or [{"name": "cluster"}]

    @property
    def hosts(self) -> list[Host]:
        """All servers, in the order in which the operator goes through them."""
        found: list[Host] = []
        for cluster in self.clusters:
            layout = cluster.get("layout") or {}
            for shard in range(int(layout.get("shardsCount") or 1)):
                for replica in range(int(layout.get("replicasCount") or 1)):
                    found.append(Host(self.flavor, self.name, cluster["name"], shard, replica, len(found)))
        return found

    # Labels

    def labels(self, host: Host | None = None, cluster: str | None = None) -> dict[str, str]:
        """What selects the objects of a host, of a cluster or of the whole installation."""
        group = self.flavor.group
        found = {
            f"{group}/app": "chop",
            f"{group}/namespace": self.namespace,
            f"{group}/{self.flavor.short}": self.name,
        }
        if cluster or host:
            found[f"{group}/cluster"] = cluster or (host.cluster if host else "")
        if host:
            found |= {f"{group}/shard": str(host.shard), f"{group}/replica": str(host.replica)}
        return found

    @property
    def ready_label(self) -> str:
        return f"{self.flavor.group}/ready"

    def _about(self, name: str, labels: Mapping[str, str], owned: bool = True) -> Object:
        own = self.found["metadata"].get("labels") or {}
        metadata: Object = {"name": name, "namespace": self.namespace, "labels": {**own, **labels}}
        if owned:
            owner = {"apiVersion": self.flavor.api_version, "kind": self.flavor.kind, "name": self.name}
            owner |= {"uid": self.found["metadata"]["uid"], "controller": True, "blockOwnerDeletion": True}
            metadata["ownerReferences"] = [owner]
        return metadata

    # Templates

    def _template(self, kind: str, name: str) -> Object | None:
        return next((item for item in self.templates.get(kind) or [] if item.get("name") == name), None)

    def _named(self, role: str, host: Host | None = None) -> str:
        """The template that a cluster, or the installation, names for a role such as podTemplate."""
        own = next((item for item in self.clusters if host and item["name"] == host.cluster), {})
        both = {**(self.defaults.get("templates") or {}), **(own.get("templates") or {})}
        return str(both.get(role) or "")

    # ConfigMaps

    def config_maps(self, listed: list[Host] | None = None) -> list[Object]:
        """The files of the servers; `listed` are the hosts that the others shall know of, by default all."""
        short, group = self.flavor.short, self.flavor.group
        named = f"{group}/ConfigMap"
        kind = short.capitalize()
        common = self._about(f"{short}-{self.name}-common-configd", {**self.labels(), named: f"{kind}Common"})
        users = self._about(f"{short}-{self.name}-common-usersd", {**self.labels(), named: f"{kind}CommonUsers"})
        found = [
            {"metadata": common, "data": self._common_files(self.hosts if listed is None else listed)},
            {"metadata": users, "data": self._users_files()},
        ]
        for host in self.hosts:
            metadata = self._about(self.host_config(host), {**self.labels(host), named: "Host"})
            found.append({"metadata": metadata, "data": self._host_files(host)})
        return found

    def host_config(self, host: Host) -> str:
        return f"{self.flavor.short}-{self.name}-deploy-confd-{host.cluster}-{host.shard}-{host.replica}"

    def files(self, folder: str) -> dict[str, str]:
        """The files of the installation for a folder, name -> text."""
        given: Object = self.configuration.get("files") or {}
        return {
            path.rpartition("/")[2]: str(text)
            for path, text in given.items()
            if isinstance(text, str) and path.rpartition("/")[0].strip("/") == folder
        }

    @property
    def settings(self) -> dict[str, Any]:
        return config.flat(self.configuration.get("settings") or {})

    @property
    def users(self) -> dict[str, Any]:
        return config.flat(self.configuration.get("users") or {})

    def _common_files(self, listed: list[Host]) -> dict[str, str]:
        found = {"chop-generated-settings.xml": config.tree(self.settings, "", self._setting_references())}
        if self.flavor is SERVERS:
            shards: dict[str, dict[int, list[str]]] = {}
            for host in listed:
                shards.setdefault(host.cluster, {}).setdefault(host.shard, []).append(host.name)
            clusters = {name: list(by_shard.values()) for name, by_shard in shards.items()}
            found["chop-generated-remote_servers.xml"] = config.remote_servers(clusters, self._secrets())
            found |= config.LOG_FILES
        return {**found, **self.files("config.d"), **self.files("")}

    def _setting_references(self) -> dict[str, Reference]:
        return config.references(self.settings, "CONFIGURATION_SETTINGS")

    def _secrets(self) -> dict[str, str]:
        found = {}
        for cluster in self.clusters:
            secret = cluster.get("secret") or {}
            if secret.get("value"):
                found[cluster["name"]] = f"<secret>{secret['value']}</secret>"
            elif secret.get("valueFrom") or str(secret.get("auto", "")).lower() in YES:
                found[cluster["name"]] = f'<secret from_env="{INTERNODE_VARIABLE}"/>'
        return found

    def _users_files(self) -> dict[str, str]:
        if self.flavor is not SERVERS:
            return self.files("users.d")
        found = {"01-clickhouse-operator-profile.xml": config.OPERATOR_PROFILE}
        found["chop-generated-users.xml"] = config.users(self.users, self.operator)
        for section in ("profiles", "quotas"):
            given = config.flat(self.configuration.get(section) or {})
            if given:
                found[f"chop-generated-{section}.xml"] = config.tree(given, section)
        return {**found, **self.files("users.d")}

    def _host_files(self, host: Host) -> dict[str, str]:
        if self.flavor is not SERVERS:
            return {"chop-generated-server-id.xml": config.tree({"keeper_server/server_id": host.replica})}
        found = {
            "chop-generated-macros.xml": config.macros(
                self.name, host.cluster, str(host.shard), host.name, host.number
            ),
            "chop-generated-hostname-ports.xml": config.tree({"interserver_http_host": host.name}),
        }
        keeper = config.zookeeper(self.configuration.get("zookeeper") or {}, self.name)
        if keeper:
            found["chop-generated-zookeeper.xml"] = keeper
        return {**found, **self.files("conf.d")}

    # Services

    def services(self) -> list[Object]:
        """The Service of the installation, and one for each host."""
        return [self._root_service(), *[self._host_service(host) for host in self.hosts]]

    def _root_service(self) -> Object:
        name = f"{self.flavor.service}-{self.name}"
        labels = {**self.labels(), f"{self.flavor.group}/Service": self.flavor.short}
        selector = {**self.labels(), self.ready_label: "yes"}
        template = self._template("serviceTemplates", self._named("serviceTemplate"))
        if template is None:
            ports = [{"name": port, "port": number, "targetPort": port} for port, number in self.flavor.service_ports]
            return {
                "metadata": self._about(name, labels),
                "spec": {"clusterIP": "None", "type": "ClusterIP", "ports": ports, "selector": selector},
            }
        pattern = str(template.get("generateName") or name)
        metadata = self._about(pattern.replace("{chi}", self.name).replace("{chk}", self.name), labels)
        given = template.get("metadata") or {}
        metadata["labels"] = {**(given.get("labels") or {}), **metadata["labels"]}
        metadata["annotations"] = given.get("annotations") or {}
        spec = copy.deepcopy(template.get("spec") or {})
        spec["selector"] = {**(spec.get("selector") or {}), **selector}
        return {"metadata": metadata, "spec": spec}

    def _host_service(self, host: Host) -> Object:
        ports = [{"name": name, "port": number, "targetPort": number} for name, number in self.flavor.ports]
        return {
            "metadata": self._about(host.name, {**self.labels(host), f"{self.flavor.group}/Service": "host"}),
            "spec": {
                "clusterIP": "None",
                "type": "ClusterIP",
                "publishNotReadyAddresses": True,
                "ports": ports,
                "selector": self.labels(host),
            },
        }

    # Budgets

    def budgets(self) -> list[Object]:
        """A PodDisruptionBudget for each cluster, unless it says that the operator is not to make one."""
        found = []
        for cluster in self.clusters:
            if str(cluster.get("pdbManaged", "yes")).lower() in YES:
                labels = self.labels(cluster=cluster["name"])
                metadata = self._about(f"{self.flavor.short}-{self.name}-{cluster['name']}", labels)
                most = int(cluster.get("pdbMaxUnavailable", 1))
                spec = {"maxUnavailable": most, "selector": {"matchLabels": labels}}
                found.append({"metadata": metadata, "spec": spec})
        return found

    # Volumes

    def claim_templates(self, host: Host) -> dict[str, Object]:
        """The claim templates that a host uses, by name."""
        mounted = {mount["name"] for item in self._containers(host) for mount in item.get("volumeMounts") or []}
        mounted |= {self._named("dataVolumeClaimTemplate", host), self._named("logVolumeClaimTemplate", host)}
        templates = {item["name"]: item for item in self.templates.get("volumeClaimTemplates") or []}
        return {name: templates[name] for name in sorted(mounted) if name in templates}

    def makes_claims(self, template: Object) -> bool:
        """Whether the operator makes the claims itself rather than the StatefulSet."""
        own, default = template.get("storageManagement") or {}, self.defaults.get("storageManagement") or {}
        return str(own.get("provisioner") or default.get("provisioner") or "StatefulSet") == "Operator"

    def reclaim(self, template: Object) -> str:
        """What becomes of the claims when the installation is deleted: Delete or Retain."""
        default = (self.defaults.get("storageManagement") or {}).get("reclaimPolicy")
        return str(template.get("reclaimPolicy") or default or "Delete")

    def claims(self, host: Host) -> list[Object]:
        """The claims of a host, whoever makes them."""
        found = []
        for name, template in self.claim_templates(host).items():
            labels = {**self.labels(host), f"{self.flavor.group}/reclaimPolicy": self.reclaim(template)}
            given = (template.get("metadata") or {}).get("labels") or {}
            metadata = self._about(f"{name}-{host.pod}", {**given, **labels}, owned=False)
            found.append({"metadata": metadata, "spec": {**template["spec"], "volumeMode": "Filesystem"}})
        return found

    # StatefulSets

    def _pod_template(self, host: Host) -> Object:
        return self._template("podTemplates", self._named("podTemplate", host)) or {}

    def _containers(self, host: Host) -> list[Object]:
        given = (self._pod_template(host).get("spec") or {}).get("containers") or []
        return [dict(item) for item in given] or [{"name": self.flavor.container, "image": self.flavor.image}]

    def stateful_set(self, host: Host, stopped: bool = False) -> Object:
        """The StatefulSet of a host."""
        template = self._pod_template(host)
        metadata = template.get("metadata") or {}
        labels = {**self.labels(host), self.ready_label: "yes", **self._versions(), **(metadata.get("labels") or {})}
        spec = copy.deepcopy(template.get("spec") or {})
        spec["containers"] = self._completed(host)
        spec.setdefault("terminationGracePeriodSeconds", 30)
        spec["volumes"] = [*(spec.get("volumes") or []), *self._volumes(host)]
        own = [item for item in self.claim_templates(host).values() if not self.makes_claims(item)]
        claims = [
            {"metadata": {"name": item["name"], "labels": self.labels(host)}, "spec": item["spec"]} for item in own
        ]
        return {
            "metadata": self._about(host.name, {**self.labels(host), **self._versions()}),
            "spec": {
                "replicas": 0 if stopped else 1,
                "serviceName": host.name,
                "selector": {"matchLabels": self.labels(host)},
                "podManagementPolicy": "OrderedReady",
                "updateStrategy": {"type": "RollingUpdate"},
                "template": {
                    "metadata": {"labels": labels, "annotations": metadata.get("annotations") or {}},
                    "spec": spec,
                },
                **({"volumeClaimTemplates": claims} if claims else {}),
            },
        }

    def _versions(self) -> dict[str, str]:
        files: Object = self.configuration.get("files") or {}
        keeper = str(self.configuration.get("zookeeper") or "")
        task = str(self.spec.get("taskID", "")) if self.spec.get("restart") == "RollingUpdate" else ""
        return {f"{self.flavor.group}/settings-version": config.needs_restart(self.settings, files, keeper + task)}

    def _completed(self, host: Host) -> list[Object]:
        containers = self._containers(host)
        main = next((item for item in containers if item["name"] == self.flavor.container), containers[0])
        main.setdefault("ports", [{"name": name, "containerPort": number} for name, number in self.flavor.ports])
        for kind, probe in self._probes().items():
            main.setdefault(kind, probe)
        env = list(main.get("env") or [])
        if self.flavor is SERVERS and not main.get("command"):
            env.append({"name": "CLICKHOUSE_SKIP_USER_SETUP", "value": "1"})
        main["env"] = [*env, *self._secret_env(host)]
        for container in containers:
            container["volumeMounts"] = [*(container.get("volumeMounts") or []), *self._mounts(host, container)]
        return containers

    def _probes(self) -> dict[str, Object]:
        if self.flavor is SERVERS:
            ping = {"httpGet": {"path": "/ping", "port": "http"}}
            return {
                "readinessProbe": {**ping, "initialDelaySeconds": READINESS_DELAY_SECONDS, "periodSeconds": 3},
                "livenessProbe": {
                    **ping,
                    "initialDelaySeconds": LIVENESS_DELAY_SECONDS,
                    "periodSeconds": 3,
                    "failureThreshold": 10,
                },
            }
        times = {"initialDelaySeconds": READINESS_DELAY_SECONDS, "periodSeconds": 5, "failureThreshold": 12}
        return {
            "readinessProbe": {"httpGet": {"path": "/ready", "port": 9182}, **times},
            "livenessProbe": {"tcpSocket": {"port": "zk"}, **times},
        }

    def _secret_env(self, host: Host) -> list[Object]:
        users = config.references(self.users, "CONFIGURATION_USERS")
        found = [*users.values(), *self._setting_references().values()]
        own = next(item for item in self.clusters if item["name"] == host.cluster).get("secret") or {}
        source = (own.get("valueFrom") or {}).get("secretKeyRef")
        if str(own.get("auto", "")).lower() in YES:
            source = {"name": self.auto_secret(host.cluster), "key": "secret"}
        if source:
            found.append(Reference(INTERNODE_VARIABLE, source["name"], source["key"]))
        return [
            {"name": item.variable, "valueFrom": {"secretKeyRef": {"name": item.secret, "key": item.key}}}
            for item in found
        ]

    def auto_secret(self, cluster: str) -> str:
        """The Secret that the operator makes for a cluster whose servers shall know each other by a word."""
        return f"{self.name}-{cluster}-auto-secret"

    def _maps(self, host: Host) -> dict[str, str]:
        short = self.flavor.short
        names = (
            f"{short}-{self.name}-common-configd",
            f"{short}-{self.name}-common-usersd",
            self.host_config(host),
        )
        return dict(zip(self.flavor.folders, names, strict=True))

    def _volumes(self, host: Host) -> list[Object]:
        found: list[Object] = [{"name": name, "configMap": {"name": name}} for name in self._maps(host).values()]
        for name, template in self.claim_templates(host).items():
            if self.makes_claims(template):
                found.append({"name": name, "persistentVolumeClaim": {"claimName": f"{name}-{host.pod}"}})
        return found

    def _mounts(self, host: Host, container: Object) -> list[Object]:
        found = [
            {"name": name, "mountPath": f"{self.flavor.folder}/{folder}/"} for folder, name in self._maps(host).items()
        ]
        taken = {mount["name"] for mount in container.get("volumeMounts") or []}
        data, log = self._named("dataVolumeClaimTemplate", host), self._named("logVolumeClaimTemplate", host)
        logs = self.flavor.data.replace("/var/lib/clickhouse", "/var/log/clickhouse-server")
        found += [
            {"name": name, "mountPath": path}
            for name, path in ((data, self.flavor.data), (log, logs))
            if name and name not in taken
        ]
        return found
