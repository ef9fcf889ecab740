# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stand-in for the External Secrets Operator, with the AWS Secrets Manager provider."""

from __future__ import annotations

import logging
import time
from typing import Any

from sandbox.controllers import external_secrets_model as model
from sandbox.controllers.aws import Account, AwsError, call
from sandbox.controllers.external_secrets_model import Data, NoSecretError, SyncError
from sandbox.controllers.kubernetes import (
    DEPLOYMENT,
    SECRET,
    SERVICE_ACCOUNT,
    ApiError,
    Cluster,
    Kind,
    Object,
    named,
    now,
    patched_finalizers,
    ready_deployment,
)
from sandbox.controllers.loop import IDLE_SECONDS, Controller

API = "/apis/external-secrets.io/v1"
EXTERNAL_SECRET = Kind(API, "externalsecrets", "ExternalSecret")
SECRET_STORE = Kind(API, "secretstores", "SecretStore")
CLUSTER_SECRET_STORE = Kind(API, "clustersecretstores", "ClusterSecretStore", namespaced=False)
FINALIZER = "externalsecrets.external-secrets.io/externalsecret-cleanup"
SESSION_NAME = "external-secrets-provider-aws"
# The operator's --store-requeue-interval.
STORE_SECONDS = 300.0
COMPONENT, STORE_COMPONENTS = (
    "external-secrets",
    {"SecretStore": "secret-store", "ClusterSecretStore": "cluster-secret-store"},
)
log = logging.getLogger(__name__)


class ExternalSecrets(Controller):
    """Validates stores and keeps the Secrets of ExternalSecrets equal to what AWS holds."""

    name = "external-secrets"

    def __init__(self, cluster: Cluster, account: Account) -> None:
        super().__init__(cluster, account)
        self._deployments = self.watch(DEPLOYMENT)
        self._externals = self.watch(EXTERNAL_SECRET)
        self._stores = {SECRET_STORE: self.watch(SECRET_STORE), CLUSTER_SECRET_STORE: self.watch(CLUSTER_SECRET_STORE)}
        self._accounts = self.watch(SERVICE_ACCOUNT)
        self._secrets = self.watch(SECRET, f"{model.MANAGED_LABEL}=true")
        self._validated: dict[str, float] = {}
        self._deployment: Object = {}

    def reconcile(self) -> float:
        deployment = ready_deployment(self._deployments.all(), "external-secrets")
        if deployment is None:
            return IDLE_SECONDS
        self._deployment = deployment
        for kind, watched in self._stores.items():
            for store in watched.all():
                self._guarded(
                    f"{kind.kind} {named(store)}", store, lambda kind=kind, store=store: self._store(kind, store)
                )
        pauses = [
            self._guarded(f"ExternalSecret {named(item)}", item, lambda item=item: self._external(item))
            for item in self._externals.all()
        ]
        return min(pauses, default=IDLE_SECONDS)

    def _guarded(self, key: str, item: Object, work: Any) -> float:
        """Run `work` unless it rests after a failure; what it returns is the time until it is due again."""
        version = f"{item['metadata'].get('generation')}-{model.resource_version(item)}-{self._surroundings()}"
        if self.blocked(key, version):
            return IDLE_SECONDS
        try:
            pause = float(work())
        except ApiError as error:
            # A conflict is another hand's write; the next look sees it.
            if error.status != 409:
                log.warning("%s: %s", key, error)
            self.failed(key, version)
            return IDLE_SECONDS
        if pause < 0:
            self.failed(key, version)
            return IDLE_SECONDS
        self.succeeded(key)
        return pause

    def _surroundings(self) -> str:
        # The operator retries an ExternalSecret when a store becomes ready; here also when an account's role changes.
        stores = [self._ready(store) for watched in self._stores.values() for store in watched.all()]
        roles = [item["metadata"].get("annotations") for item in self._accounts.all()]
        return f"{hash(repr((stores, roles)))}"

    # Stores

    def _store(self, kind: Kind, store: Object) -> float:
        key = f"{kind.kind}/{named(store)}/{model.resource_version(store)}"
        if self._ready(store) and time.monotonic() < self._validated.get(key, 0.0):
            return STORE_SECONDS
        try:
            self._client(kind, store, store["metadata"].get("namespace", ""))
        except (AwsError, SyncError) as error:
            created = isinstance(error, AwsError) and "operation error" in str(error)
            summary = "unable to validate store" if created else "unable to create client"
            self._tell_store(kind, store, "False", "InvalidProviderConfig", summary, str(error))
            return -1.0
        self._validated[key] = time.monotonic() + STORE_SECONDS
        self._tell_store(kind, store, "True", "Valid", "store validated", "store validated")
        return STORE_SECONDS

    def _tell_store(self, kind: Kind, store: Object, ready: str, reason: str, summary: str, message: str) -> None:
        type_ = "Normal" if ready == "True" else "Warning"
        self.cluster.event(STORE_COMPONENTS[kind.kind], kind, store, type_, reason, message)
        status: Object = {"conditions": _conditions(store, ready, reason, summary)}
        if ready == "True":
            status["capabilities"] = "ReadWrite"
        self._stores[kind].put(self.cluster.patch(kind, store, {"status": status}, "status"))

    def _ready(self, store: Object) -> bool:
        conditions = (store.get("status") or {}).get("conditions") or []
        return any(item["type"] == "Ready" and item["status"] == "True" for item in conditions)

    def _client(self, kind: Kind, store: Object, namespace: str) -> Any:
        """A Secrets Manager client with the store's credentials. Raises AwsError, SyncError."""
        provider = (store["spec"].get("provider") or {}).get("aws")
        if provider is None:
            raise SyncError("this stand-in of External Secrets has the provider aws only")
        if provider.get("service") != "SecretsManager":
            raise SyncError(f"unknown AWS Provider Service: {provider.get('service')}")
        auth = provider.get("auth") or {}
        if provider.get("role") or auth.get("secretRef"):
            raise SyncError("this stand-in of External Secrets has no role chaining and no static keys; use auth.jwt")
        reference = (auth.get("jwt") or {}).get("serviceAccountRef")
        if reference is None:
            # No auth is the SDK's default chain: the role of the operator's own service account.
            own = self._deployment["spec"]["template"]["spec"].get("serviceAccountName", "default")
            reference, namespace = {"name": own}, self._deployment["metadata"]["namespace"]
        elif kind is CLUSTER_SECRET_STORE:
            namespace = reference.get("namespace", namespace)
        try:
            return self.account.client("secretsmanager", namespace, reference["name"], provider["region"], SESSION_NAME)
        except AwsError as error:
            prefix = "" if "operation error" in str(error) else "unable to create session: "
            raise AwsError(f"{prefix}{error}", error.code) from error

    # ExternalSecrets

    def _external(self, external: Object) -> float:
        if external["metadata"].get("deletionTimestamp"):
            return self._removed(external)
        change = patched_finalizers(external, FINALIZER, True)
        if change:
            external = self.cluster.patch(EXTERNAL_SECRET, external, change)
            self._externals.put(external)
        target = (external["spec"].get("target") or {}).get("name") or external["metadata"]["name"]
        namespace = external["metadata"]["namespace"]
        existing = self.cluster.get(SECRET, namespace, target)
        due = model.refresh_in(external, time.time())
        if due > 0 and model.valid(existing, external):
            return due
        started = now()
        try:
            done = self._sync(external, existing)
        except (SyncError, AwsError) as error:
            summary = error.summary if isinstance(error, SyncError) else "could not get secret data from provider"
            self.cluster.event(COMPONENT, EXTERNAL_SECRET, external, "Warning", "UpdateFailed", str(error))
            self._tell(external, {"conditions": _conditions(external, "False", "SecretSyncedError", summary)})
            return -1.0
        reason, message = done
        self._tell(
            external,
            {
                "conditions": _conditions(external, "True", reason, message),
                "refreshTime": started,
                "syncedResourceVersion": model.resource_version(external),
                "binding": {"name": target},
            },
        )
        return IDLE_SECONDS

    def _removed(self, external: Object) -> float:
        target = external["spec"].get("target") or {}
        if target.get("deletionPolicy") == "Delete":
            name = target.get("name") or external["metadata"]["name"]
            self.cluster.delete(SECRET, external["metadata"]["namespace"], name)
        change = patched_finalizers(external, FINALIZER, False)
        if change:
            self.cluster.patch(EXTERNAL_SECRET, external, change)
        return IDLE_SECONDS

    def _tell(self, external: Object, status: Object) -> None:
        self._externals.put(self.cluster.patch(EXTERNAL_SECRET, external, {"status": status}, "status"))

    def _sync(self, external: Object, existing: Object | None) -> tuple[str, str]:
        """Write the Secret; returns reason and message of the condition. Raises SyncError, AwsError, ApiError."""
        data = self._data(external)
        target = external["spec"].get("target") or {}
        policy = target.get("creationPolicy", "Owner")
        if not data and target.get("deletionPolicy", "Retain") == "Retain":
            return "SecretSynced", "secret retained due to DeletionPolicy=Retain"
        if policy == "None":
            return "SecretSynced", "secret synced"
        if existing is None and policy == "Merge":
            return "SecretMissing", "secret will not be created due to CreationPolicy=Merge"
        wanted = model.wanted(external, existing, data)
        try:
            self._write(external, existing, wanted)
        except ApiError as error:
            if error.status in {0, 409}:
                raise
            raise SyncError(
                f"unable to update secret {wanted['metadata']['name']}: {error}", "could not update secret"
            ) from error
        return "SecretSynced", "secret synced"

    def _write(self, external: Object, existing: Object | None, wanted: Object) -> None:
        if existing is None:
            self.cluster.create(SECRET, wanted)
            self.cluster.event(COMPONENT, EXTERNAL_SECRET, external, "Normal", "Created", "secret created")
            return
        merged = {**existing, **wanted, "metadata": {**existing["metadata"], **wanted["metadata"]}}
        if not merged["metadata"]["ownerReferences"] and "ownerReferences" not in existing["metadata"]:
            del merged["metadata"]["ownerReferences"]
        if merged == existing:
            return
        self.cluster.replace(SECRET, merged)
        self.cluster.event(COMPONENT, EXTERNAL_SECRET, external, "Normal", "Updated", "secret updated")

    def _data(self, external: Object) -> Data:
        payloads: dict[str, bytes] = {}
        data: Data = {}
        for number, source in enumerate(external["spec"].get("dataFrom") or []):
            reference = source.get("extract")
            try:
                if reference is None:
                    raise SyncError("this stand-in of External Secrets has dataFrom.extract only")
                payload = self._payload(external, source, reference, payloads)
                found = model.extract(
                    model.select(payload, reference["key"], reference.get("property")), reference["key"]
                )
                found = model.convert_keys(reference.get("conversionStrategy", "Default"), found)
                strategy = reference.get("decodingStrategy", "None")
                data.update({key: model.decode(strategy, value) for key, value in found.items()})
            except (SyncError, AwsError) as error:
                raise SyncError(f"error processing spec.dataFrom[{number}].extract, err: {error}") from error
        for number, entry in enumerate(external["spec"].get("data") or []):
            reference = entry["remoteRef"]
            try:
                payload = self._payload(external, entry, reference, payloads)
                value = model.select(payload, reference["key"], reference.get("property"))
                data[entry["secretKey"]] = model.decode(reference.get("decodingStrategy", "None"), value)
            except (SyncError, AwsError) as error:
                message = f"error processing spec.data[{number}] (key: {reference['key']}), err: {error}"
                raise SyncError(message) from error
        return data

    def _payload(self, external: Object, source: Object, reference: Object, known: dict[str, bytes]) -> bytes:
        kind, store = self._find_store(external, source)
        version = reference.get("version") or "AWSCURRENT"
        key = f"{named(store)}#{reference['key']}#{version}"
        if key not in known:
            client = self._client(kind, store, external["metadata"]["namespace"])
            known[key] = _secret_value(client, reference["key"], version)
        return known[key]

    def _find_store(self, external: Object, source: Object) -> tuple[Kind, Object]:
        reference = (source.get("sourceRef") or {}).get("storeRef") or external["spec"].get("secretStoreRef") or {}
        name = reference.get("name", "")
        kind = CLUSTER_SECRET_STORE if reference.get("kind") == CLUSTER_SECRET_STORE.kind else SECRET_STORE
        store = self._stores[kind].get(external["metadata"]["namespace"] if kind.namespaced else None, name)
        if store is None:
            raise SyncError(f'could not get {kind.kind} "{name}", {kind.kind}.external-secrets.io "{name}" not found')
        if not self._ready(store):
            raise SyncError(f'{kind.kind} "{name}" is not ready')
        return kind, store


def _secret_value(client: Any, key: str, version: str) -> bytes:
    which = {"VersionId": version[5:]} if version.startswith("uuid/") else {"VersionStage": version}
    try:
        answer = call("secretsmanager", client.get_secret_value, {"SecretId": key, **which})
    except AwsError as error:
        deleted = error.code in {"InvalidRequestException", "InvalidParameterException"} and "deletion" in str(error)
        if error.code == "ResourceNotFoundException" or deleted:
            raise NoSecretError from error
        raise
    return answer["SecretString"].encode() if "SecretString" in answer else bytes(answer["SecretBinary"])


def _conditions(item: Object, ready: str, reason: str, message: str) -> list[Object]:
    earlier = (item.get("status") or {}).get("conditions") or []
    old: Object = next((entry for entry in earlier if entry["type"] == "Ready"), {})
    same = old.get("status") == ready and old.get("reason") == reason and old.get("message") == message
    new = {
        "type": "Ready",
        "status": ready,
        "reason": reason,
        "message": message,
        "lastTransitionTime": old["lastTransitionTime"] if same else now(),
    }
    return [*[entry for entry in earlier if entry["type"] != "Ready"], new]
