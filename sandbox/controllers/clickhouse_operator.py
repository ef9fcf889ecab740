# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stand-in for the ClickHouse operator: it makes the objects of an installation, one host after the other.

There is no Keeper in the servers of the sandbox, so a host that is added gets its rows by this stand-in's copying.
"""

from __future__ import annotations

import base64
import hashlib
import json
import logging
import secrets
import time
from typing import Any

import yaml

from sandbox.controllers.aws import Account
from sandbox.controllers.clickhouse_operator_model import KEEPERS, SERVERS, VERSION, YES, Flavor, Host, Installation
from sandbox.controllers.clickhouse_operator_tables import Tables
from sandbox.controllers.kubernetes import (
    APPS,
    CLAIM,
    CORE,
    DEPLOYMENT,
    POD,
    SECRET,
    SERVICE,
    ApiError,
    Cluster,
    Kind,
    Object,
    labels_of,
    named,
    patched_finalizers,
    ready_deployment,
)
from sandbox.controllers.loop import IDLE_SECONDS, Controller

APP = "altinity-clickhouse-operator"
FINALIZER = "finalizer.clickhouseinstallation.altinity.com"
CONFIG_MAP = Kind(CORE, "configmaps", "ConfigMap")
STATEFUL_SET = Kind(APPS, "statefulsets", "StatefulSet")
BUDGET = Kind("/apis/policy/v1", "poddisruptionbudgets", "PodDisruptionBudget")
KINDS = {
    SERVERS.kind: Kind(f"/apis/{SERVERS.api_version}", "clickhouseinstallations", SERVERS.kind),
    KEEPERS.kind: Kind(f"/apis/{KEEPERS.api_version}", "clickhousekeeperinstallations", KEEPERS.kind),
}
# How long the operator waits for a host before it gives up, where its configuration does not say, and how soon this
# stand-in looks again meanwhile.
HOST_SECONDS, LOOK_SECONDS = 300.0, 0.5
# What the chart's own Secret holds; the operator takes them when it finds none.
DEFAULT_LOGIN = ("clickhouse_operator", "clickhouse_operator_password")
log = logging.getLogger(__name__)


class HostFailed(Exception):  # noqa: N818 - it tells what happened
    """A host did not become ready in time."""


class ClickHouseOperator(Controller):
    """The operator's reconciler for servers and Keeper nodes."""

    name = "clickhouse-operator"

    def __init__(self, cluster: Cluster, account: Account) -> None:
        super().__init__(cluster, account)
        self._deployments = self.watch(DEPLOYMENT)
        self._sets = self.watch(STATEFUL_SET)
        self._pods = self.watch(POD)
        self._found = {flavor: self.watch(KINDS[flavor.kind]) for flavor in (KEEPERS, SERVERS)}
        self._tables = Tables()
        self._host_seconds = HOST_SECONDS
        # When a host was first seen to be not ready, by the uid of its installation and its name.
        self._waiting: dict[tuple[str, str], float] = {}

    def reconcile(self) -> float:
        deployment = ready_deployment(self._deployments.all(), APP)
        if deployment is None:
            return IDLE_SECONDS
        own = deployment["metadata"]["namespace"]
        pause = IDLE_SECONDS
        for flavor in (KEEPERS, SERVERS):
            for found in self._found[flavor].all():
                # Without a list of namespaces the operator looks at its own only, and from kube-system at all.
                if own in {"kube-system", found["metadata"]["namespace"]} and not self._guarded(flavor, found, own):
                    pause = LOOK_SECONDS
        return pause

    def _guarded(self, flavor: Flavor, found: Object, own: str) -> bool:
        """Whether nothing is left to do for an installation."""
        key = f"{flavor.short} {named(found)}"
        version = str(found["metadata"].get("generation"))
        if self.blocked(key, version):
            return True
        try:
            done = self._installation(flavor, found, own)
        except (ApiError, OSError) as error:
            if not (isinstance(error, ApiError) and error.status == 409):
                log.warning("%s: %s", key, error)
            self.failed(key, version)
            return True
        except HostFailed as error:
            log.warning("%s: %s", key, error)
            self._tell(flavor, found, {"status": "Aborted", "error": str(error), "errors": [str(error)]})
            return True
        self.succeeded(key)
        return done

    def _installation(self, flavor: Flavor, found: Object, own: str) -> bool:
        if found["metadata"].get("deletionTimestamp"):
            self._let_go(flavor, found)
            return True
        status = found.get("status") or {}
        settled = status.get("generation") == found["metadata"].get("generation")
        if settled and status.get("status") in {"Completed", "Aborted"}:
            return True
        if str((found.get("spec") or {}).get("suspend", "")).lower() in YES:
            return True
        kind = KINDS[flavor.kind]
        change = patched_finalizers(found, FINALIZER, True) if flavor is SERVERS else None
        if change:
            found = self.cluster.patch(kind, found, change)
        settings = self._settings(own)
        update = settings.get("reconcile", {}).get("statefulSet", {}).get("update", {})
        self._host_seconds = float(update.get("timeout") or HOST_SECONDS)
        installation = Installation(found, self._login(own, settings))
        self._begin(installation)
        self._common(installation)
        for number, host in enumerate(installation.hosts):
            if not self._host(installation, host, number):
                return False
        self._drop_surplus(installation)
        self._complete(installation)
        return True

    def _settings(self, namespace: str) -> Object:
        """The operator's configuration."""
        files = self.cluster.get(CONFIG_MAP, namespace, f"{APP}-files") or {}
        return yaml.safe_load((files.get("data") or {}).get("config.yaml", "")) or {}

    def _login(self, namespace: str, settings: Object) -> tuple[str, str]:
        """The operator's own user in the servers, from the Secret that its configuration names."""
        name = settings.get("clickhouse", {}).get("access", {}).get("secret", {}).get("name") or APP
        data = (self.cluster.get(SECRET, namespace, name) or {}).get("data") or {}
        if not {"username", "password"} <= set(data):
            return DEFAULT_LOGIN
        return base64.b64decode(data["username"]).decode(), base64.b64decode(data["password"]).decode()

    # Status

    def _tell(self, flavor: Flavor, found: Object, change: Object) -> None:
        self._found[flavor].put(self.cluster.patch(KINDS[flavor.kind], found, {"status": change}, "status"))

    def _begin(self, installation: Installation) -> None:
        before = installation.found.get("status") or {}
        generation = installation.found["metadata"].get("generation")
        if before.get("status") == "InProgress" and before.get("generation") == generation:
            return
        task = str(installation.spec.get("taskID") or f"auto-{secrets.token_hex(16)}")
        layouts = [cluster.get("layout") or {} for cluster in installation.clusters]
        change = {
            "chop-version": VERSION,
            "clusters": len(installation.clusters),
            "shards": sum(int(layout.get("shardsCount") or 1) for layout in layouts),
            "hosts": len(installation.hosts),
            "status": "InProgress",
            "generation": generation,
            "taskID": task,
            "taskIDsStarted": [task, *(before.get("taskIDsStarted") or [])][:10],
            "hostsCompleted": 0,
            "hostsAdded": 0,
            "hostsUpdated": 0,
            "hostsUnchanged": 0,
            "error": None,
        }
        self._waiting = {
            key: at for key, at in self._waiting.items() if key[0] != installation.found["metadata"]["uid"]
        }
        self._tell(installation.flavor, installation.found, change)

    def _complete(self, installation: Installation) -> None:
        found = self.cluster.get(KINDS[installation.flavor.kind], installation.namespace, installation.name)
        if found is None:
            return
        status = found.get("status") or {}
        domain = f"{installation.namespace}.svc.cluster.local"
        pods = [self._pods.get(installation.namespace, host.pod) or {} for host in installation.hosts]
        endpoint = f"{installation.services()[0]['metadata']['name']}.{domain}"
        change = {
            "status": "Completed",
            "hosts": len(installation.hosts),
            "hostsCompleted": len(installation.hosts),
            "taskIDsCompleted": [status.get("taskID"), *(status.get("taskIDsCompleted") or [])][:10],
            "pods": [host.pod for host in installation.hosts],
            "pod-ips": [address for pod in pods if (address := (pod.get("status") or {}).get("podIP"))],
            "fqdns": [f"{host.name}.{domain}" for host in installation.hosts],
            "endpoint": endpoint,
            "endpoints": [endpoint],
        }
        self._tell(installation.flavor, found, change)
        log.info("%s is complete: %d hosts", named(found), len(installation.hosts))

    def _count(self, installation: Installation, host: Host, kind: str) -> None:
        found = self._found[installation.flavor].get(installation.namespace, installation.name) or installation.found
        status = found.get("status") or {}
        self._tell(installation.flavor, found, {kind: int(status.get(kind) or 0) + 1})
        log.info("%s: %s %s", named(found), host.name, kind)

    # Objects

    def _common(self, installation: Installation) -> None:
        for cluster in installation.clusters:
            if str((cluster.get("secret") or {}).get("auto", "")).lower() in YES:
                self._auto_secret(installation, cluster["name"])
        for config_map in installation.config_maps():
            self._ensure(CONFIG_MAP, config_map)
        for service in installation.services():
            self._ensure(SERVICE, service)
        for budget in installation.budgets():
            self._ensure(BUDGET, budget)

    def _auto_secret(self, installation: Installation, cluster: str) -> None:
        name = installation.auto_secret(cluster)
        if self.cluster.get(SECRET, installation.namespace, name) is None:
            metadata = {
                "name": name,
                "namespace": installation.namespace,
                "labels": installation.labels(cluster=cluster),
            }
            self.cluster.create(SECRET, {"metadata": metadata, "stringData": {"secret": secrets.token_urlsafe(24)}})

    def _ensure(self, kind: Kind, wanted: Object) -> bool:
        """Create or change an object; whether something was done."""
        metadata = wanted["metadata"]
        digest = hashlib.sha256(json.dumps(wanted, sort_keys=True).encode()).hexdigest()[:32]
        group = next(label.partition("/")[0] for label in metadata["labels"] if label.endswith("/app"))
        label = f"{group}/object-version"
        metadata["labels"] = {**metadata["labels"], label: digest}
        found = self.cluster.get(kind, metadata["namespace"], metadata["name"])
        if found is None:
            self.cluster.create(kind, wanted)
            return True
        if labels_of(found).get(label) == digest:
            return False
        changed = {**found, "metadata": {**found["metadata"], "labels": {**labels_of(found), **metadata["labels"]}}}
        if "data" in wanted:
            changed["data"] = wanted["data"]
        elif kind is STATEFUL_SET:
            own = {key: wanted["spec"][key] for key in ("replicas", "template", "updateStrategy")}
            changed["spec"] = {**found["spec"], **own}
        else:
            changed["spec"] = {**found["spec"], **wanted["spec"]}
        self.cluster.replace(kind, changed)
        return True

    # Hosts

    def _host(self, installation: Installation, host: Host, number: int) -> bool:
        """Whether a host is as it should be; it is brought there step by step."""
        stopped = str(installation.spec.get("stop", "")).lower() in YES
        wanted = installation.stateful_set(host, stopped)
        self._claims(installation, host)
        before = self._sets.get(installation.namespace, host.name)
        if before is not None and _claims_differ(before, wanted):
            self._delete_orphaning(before)
        if self._ensure(STATEFUL_SET, wanted):
            self._count(installation, host, "hostsAdded" if before is None else "hostsUpdated")
            return False
        found = self._sets.get(installation.namespace, host.name)
        if found is None or not self._settled(installation, host, found, stopped):
            self._keep_out(installation, host)
            return False
        if not stopped and installation.flavor is SERVERS and not self._has_tables(installation, host):
            return False
        completed = (self._found[installation.flavor].get(installation.namespace, installation.name) or {}).get(
            "status"
        )
        if int((completed or {}).get("hostsCompleted") or 0) <= number:
            self._count(installation, host, "hostsCompleted")
        return True

    def _settled(self, installation: Installation, host: Host, found: Object, stopped: bool) -> bool:
        status = found.get("status") or {}
        current = int(status.get("observedGeneration") or 0) >= int(found["metadata"]["generation"])
        current = current and status.get("currentRevision") == status.get("updateRevision")
        if stopped:
            return current and not status.get("replicas")
        if current and int(status.get("readyReplicas") or 0) >= 1:
            return True
        key = (installation.found["metadata"]["uid"], host.name)
        if time.monotonic() - self._waiting.setdefault(key, time.monotonic()) > self._host_seconds:
            raise HostFailed(f"host {host.name} is not ready after {self._host_seconds:g} s")
        return False

    def _claims(self, installation: Installation, host: Host) -> None:
        templates = list(installation.claim_templates(host).values())
        for template, claim in zip(templates, installation.claims(host), strict=True):
            found = self.cluster.get(CLAIM, installation.namespace, claim["metadata"]["name"])
            if found is None:
                if installation.makes_claims(template):
                    self.cluster.create(CLAIM, claim)
                continue
            wanted = claim["spec"]["resources"]["requests"]
            if found["spec"]["resources"]["requests"].get("storage") != wanted.get("storage"):
                self.cluster.patch(CLAIM, found, {"spec": {"resources": {"requests": wanted}}})
            missing = {key: value for key, value in labels_of(claim).items() if labels_of(found).get(key) != value}
            if missing:
                self.cluster.patch(CLAIM, found, {"metadata": {"labels": missing}})

    def _delete_orphaning(self, found: Object) -> None:
        metadata = found["metadata"]
        body = {"propagationPolicy": "Orphan", "preconditions": {"uid": metadata["uid"]}}
        self.cluster.call("DELETE", STATEFUL_SET.path(metadata["namespace"], metadata["name"]), body)

    # Tables

    def _served(self, installation: Installation) -> list[str]:
        found = self._found[installation.flavor].get(installation.namespace, installation.name) or {}
        return list((found.get("status") or {}).get("hostsWithTablesCreated") or [])

    def _keep_out(self, installation: Installation, host: Host) -> None:
        """No client shall come to a server that has no tables yet."""
        pod = self._pods.get(installation.namespace, host.pod)
        if installation.flavor is SERVERS and host.name not in self._served(installation) and pod is not None:
            self._label(installation, pod, "no")

    def _label(self, installation: Installation, pod: Object, ready: str) -> None:
        if labels_of(pod).get(installation.ready_label) != ready:
            change = {"metadata": {"labels": {installation.ready_label: ready}}}
            self._pods.put(self.cluster.patch(POD, pod, change))

    def _has_tables(self, installation: Installation, host: Host) -> bool:
        """Whether a host has the tables of the others; they are made, and filled, when it has not."""
        served = self._served(installation)
        addresses = {
            item.name: str((pod.get("status") or {}).get("podIP") or "")
            for item in installation.hosts
            if (pod := self._pods.get(installation.namespace, item.pod)) is not None
        }
        if host.name not in served:
            peers = {name: addresses[name] for name in served if addresses.get(name)}
            own = addresses.get(host.name)
            if not own or not self._tables.equal(host.name, own, peers, installation.operator):
                return False
            found = self._found[installation.flavor].get(installation.namespace, installation.name) or {}
            self._tell(installation.flavor, found, {"hostsWithTablesCreated": [*served, host.name]})
        pod = self._pods.get(installation.namespace, host.pod)
        if pod is not None:
            self._label(installation, pod, "yes")
        return True

    # What goes

    def _drop_surplus(self, installation: Installation) -> None:
        """Delete the hosts that the layout no longer names; their claims by what the installation says."""
        wanted = {host.name for host in installation.hosts}
        for found in self._sets.all():
            own = found["metadata"]["namespace"] == installation.namespace
            labels = labels_of(found)
            if not own or any(labels.get(key) != value for key, value in installation.labels().items()):
                continue
            name = found["metadata"]["name"]
            if name not in wanted:
                self.cluster.delete(STATEFUL_SET, installation.namespace, name)
                self.cluster.delete(SERVICE, installation.namespace, name)
                self._forget(installation, name)

    def _forget(self, installation: Installation, name: str) -> None:
        left = [host for host in self._served(installation) if host != name]
        found = self._found[installation.flavor].get(installation.namespace, installation.name) or installation.found
        self._tell(installation.flavor, found, {"hostsWithTablesCreated": left})
        unknown = ((installation.spec.get("reconcile") or {}).get("cleanup") or {}).get("unknownObjects") or {}
        if unknown.get("pvc") != "Retain":
            self._delete_claims(installation, f"-{name}-0")

    def _let_go(self, flavor: Flavor, found: Object) -> None:
        """Delete what was made; Kubernetes deletes what is owned, and the claims stay when they are to be retained."""
        if FINALIZER not in (found["metadata"].get("finalizers") or []):
            return
        installation = Installation(found)
        for host in installation.hosts:
            self.cluster.delete(STATEFUL_SET, installation.namespace, host.name)
        self._delete_claims(installation, "")
        change = patched_finalizers(found, FINALIZER, False)
        if change:
            self.cluster.patch(KINDS[flavor.kind], found, change)

    def _delete_claims(self, installation: Installation, suffix: str) -> None:
        label = f"{installation.flavor.group}/reclaimPolicy"
        wanted = installation.labels()
        for claim in self.cluster.call("GET", CLAIM.path(installation.namespace))["items"]:
            labels = labels_of(claim)
            ours = all(labels.get(key) == value for key, value in wanted.items())
            if ours and labels.get(label) == "Delete" and claim["metadata"]["name"].endswith(suffix):
                self.cluster.delete(CLAIM, installation.namespace, claim["metadata"]["name"])


def _claims_differ(found: Object, wanted: Object) -> bool:
    """Whether the StatefulSet's own claims are others, which Kubernetes lets nobody change."""

    def sizes(item: Object) -> dict[str, Any]:
        templates = item["spec"].get("volumeClaimTemplates") or []
        return {claim["metadata"]["name"]: claim["spec"]["resources"]["requests"] for claim in templates}

    return sizes(found) != sizes(wanted)
