# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What External Secrets decides, without a call: values out of a secret, the Secret wanted, when to refresh."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from sandbox.controllers import templates
from sandbox.controllers.kubernetes import Object, annotations_of, labels_of, moment

MANAGED_LABEL = "reconcile.external-secrets.io/managed"
OWNER_LABEL = "reconcile.external-secrets.io/created-by"
HASH_ANNOTATION = "reconcile.external-secrets.io/data-hash"
API_VERSION = "external-secrets.io/v1"
DEFAULT_REFRESH = "1h0m0s"
_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
Data = dict[str, bytes]
Decoder = Callable[[bytes], bytes]


class SyncError(Exception):
    """An ExternalSecret cannot be synced: `summary` is its condition's message, the text is the event's."""

    def __init__(self, message: str, summary: str = "could not get secret data from provider") -> None:
        super().__init__(message)
        self.summary = summary


class NoSecretError(SyncError):
    """The provider has no such secret."""

    def __init__(self) -> None:
        super().__init__("Secret does not exist")


def duration(text: str) -> float:
    """Seconds of a Go duration such as `1h0m30s`."""
    parts = re.findall(r"(\d+(?:\.\d+)?)(ms|h|m|s)", text)
    return sum(float(number) * _UNITS[unit] for number, unit in parts)


def extract(payload: bytes, key: str) -> Data:
    """All keys of a JSON secret; a value that is no string keeps its JSON text. Raises SyncError."""
    try:
        found = json.loads(payload)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise SyncError(f"unable to unmarshal secret {key}: it is not a JSON object")
    return {name: _bytes(value) for name, value in found.items()}


def select(payload: bytes, key: str, property_: str | None) -> bytes:
    """The whole secret, or one property of it by key or dotted path. Raises SyncError."""
    if not property_:
        return payload
    missing = SyncError(f"key {property_} does not exist in secret {key}")
    try:
        found: Any = json.loads(payload)
    except ValueError:
        raise missing from None
    if isinstance(found, dict) and property_ in found:
        return _bytes(found[property_])
    for part in property_.split("."):
        if not isinstance(found, dict) or part not in found:
            raise missing
        found = found[part]
    return _bytes(found)


def decode(strategy: str, value: bytes) -> bytes:
    """A value by its decodingStrategy None, Base64, Base64URL or Auto. Raises SyncError."""

    def plain(text: bytes) -> bytes:
        return base64.b64decode(text, validate=True)

    by_strategy: dict[str, list[Decoder]] = {
        "Base64": [plain],
        "Base64URL": [base64.urlsafe_b64decode],
        "Auto": [plain, base64.urlsafe_b64decode],
    }
    chosen = by_strategy.get(strategy, [])
    for decoder in chosen:
        try:
            return decoder(value)
        except (binascii.Error, ValueError):
            continue
    if chosen and strategy != "Auto":
        raise SyncError(f"error applying decoding strategy {strategy} to data: illegal base64 data")
    return value


def convert_keys(strategy: str, data: Data) -> Data:
    """Keys as a Secret allows them: what it does not allow becomes `_`, or `_U0020_` by the strategy Unicode."""

    def allowed(found: re.Match[str]) -> str:
        return f"_U{ord(found.group()):04x}_" if strategy == "Unicode" else "_"

    return {re.sub(r"[^-._a-zA-Z0-9]", allowed, key): value for key, value in data.items()}


def resource_version(external: Object) -> str:
    """What `syncedResourceVersion` is compared by: the generation and a hash of labels and annotations."""
    about = {"annotations": annotations_of(external), "labels": labels_of(external)}
    return f"{external['metadata'].get('generation', 0)}-{_hash(about)}"


def data_hash(data: Mapping[str, str]) -> str:
    """The hash of a Secret's data (base64 text by key) that tells a change by another hand."""
    return _hash(dict(data))


def refresh_in(external: Object, now: float) -> float:
    """Seconds until an ExternalSecret is due, 0 when it is; infinite when it is never refreshed by time."""
    status = external.get("status") or {}
    spec = external["spec"]
    synced, refreshed = status.get("syncedResourceVersion"), status.get("refreshTime")
    if not synced or not refreshed:
        return 0.0
    policy = spec.get("refreshPolicy", "Periodic")
    if policy == "CreatedOnce":
        return float("inf")
    changed = synced != resource_version(external)
    if policy == "OnChange":
        return 0.0 if changed else float("inf")
    interval = duration(str(spec.get("refreshInterval", DEFAULT_REFRESH)))
    if interval <= 0:
        return float("inf")
    return 0.0 if changed else max(0.0, moment(refreshed) + interval - now)


def valid(secret: Object | None, external: Object) -> bool:
    """Whether the target Secret is still as it was written."""
    if external["spec"].get("target", {}).get("creationPolicy") == "Orphan":
        return True
    if secret is None or labels_of(secret).get(MANAGED_LABEL) != "true":
        return False
    return annotations_of(secret).get(HASH_ANNOTATION) == data_hash(secret.get("data") or {})


def wanted(external: Object, existing: Object | None, data: Data) -> Object:
    """The Secret that an ExternalSecret wants. Raises SyncError.

    `existing` is the Secret of that name, or None; its own keys stay for the creation policy Merge.
    """
    target = external["spec"].get("target") or {}
    policy = target.get("creationPolicy", "Owner")
    template = target.get("template")
    secret: Object = {
        "metadata": {
            "name": target.get("name") or external["metadata"]["name"],
            "namespace": external["metadata"]["namespace"],
            "labels": labels_of(existing) if existing else {},
            "annotations": annotations_of(existing) if existing else {},
        },
        "data": dict(existing.get("data") or {}) if existing and policy == "Merge" else {},
        "type": (existing or {}).get("type", "Opaque"),
    }
    secret["data"].update({key: base64.b64encode(value).decode() for key, value in _data(template, data).items()})
    _describe(secret, template, external, data)
    _own(secret, existing, external, policy)
    secret["metadata"]["labels"][MANAGED_LABEL] = "true"
    secret["metadata"]["annotations"][HASH_ANNOTATION] = data_hash(secret["data"])
    if target.get("immutable"):
        secret["immutable"] = True
    return secret


def _data(template: Object | None, data: Data) -> Data:
    if template is None:
        return data
    texts = template.get("data") or {}
    keep = template.get("mergePolicy") == "Merge" or not texts
    return {**(data if keep else {}), **{key: value.encode() for key, value in _rendered(texts, data).items()}}


def _rendered(texts: Mapping[str, str], data: Data) -> dict[str, str]:
    values = {key: value.decode(errors="replace") for key, value in data.items()}
    try:
        return {key: templates.render(key, text, values) for key, text in texts.items()}
    except templates.TemplateError as error:
        message = f"could not apply template: could not execute template: {error}"
        raise SyncError(message, "could not update secret") from error


def _describe(secret: Object, template: Object | None, external: Object, data: Data) -> None:
    metadata = secret["metadata"]
    if template is None:
        metadata["labels"].update(labels_of(external))
        copied = annotations_of(external)
        copied.pop("kubectl.kubernetes.io/last-applied-configuration", None)
        metadata["annotations"].update(copied)
        return
    if template.get("type"):
        secret["type"] = template["type"]
    about = template.get("metadata") or {}
    metadata["labels"].update(_rendered(about.get("labels") or {}, data))
    metadata["annotations"].update(_rendered(about.get("annotations") or {}, data))


def _own(secret: Object, existing: Object | None, external: Object, policy: str) -> None:
    owners = list((existing or {}).get("metadata", {}).get("ownerReferences") or [])
    name = external["metadata"]["name"]
    for owner in owners:
        if owner.get("controller") and owner["kind"] == "ExternalSecret" and owner["name"] != name:
            raise SyncError(
                f"secret is owned by another ExternalSecret: {owner['name']}",
                "target is owned by another ExternalSecret",
            )
    others = [owner for owner in owners if owner["kind"] != "ExternalSecret"]
    if policy == "Owner":
        reference = {
            "apiVersion": API_VERSION,
            "kind": "ExternalSecret",
            "name": name,
            "uid": external["metadata"]["uid"],
            "controller": True,
            "blockOwnerDeletion": True,
        }
        secret["metadata"]["ownerReferences"] = [*others, reference]
        secret["metadata"]["labels"][OWNER_LABEL] = _hash(f"{external['metadata']['namespace']}/{name}")
        return
    secret["metadata"]["ownerReferences"] = others
    secret["metadata"]["labels"].pop(OWNER_LABEL, None)


def _bytes(value: Any) -> bytes:
    return (value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))).encode()


def _hash(value: Any) -> str:
    return hashlib.sha3_224(json.dumps(value, sort_keys=True).encode()).hexdigest()
