# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the environment and the command of a container come to: literals, Secrets, ConfigMaps, fields and $(NAME)."""

from __future__ import annotations

import base64
import decimal
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from sandbox.controlplane.client import Client, NotFoundError, Object

_REFERENCE = re.compile(r"\$(\$|\(([A-Za-z_.-][\w.-]*)\))")
_KEYED_FIELD = re.compile(r"metadata\.(labels|annotations)\['(.+)'\]")
_POWERS = {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
_UNITS = {"m": decimal.Decimal("0.001"), **{unit: decimal.Decimal(factor) for unit, factor in _POWERS.items()}}


class MissingError(Exception):
    """A Secret, ConfigMap or key that is not optional is not there; worded as the kubelet words it."""


class Sources(Protocol):
    """Where Secrets and ConfigMaps come from: their data, or None when there is no such object."""

    def config_map(self, namespace: str, name: str) -> dict[str, bytes] | None: ...

    def secret(self, namespace: str, name: str) -> dict[str, bytes] | None: ...


class ClusterSources:
    """The Secrets and ConfigMaps of the API server, asked each time, as a kubelet's cache is of a minute."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def config_map(self, namespace: str, name: str) -> dict[str, bytes] | None:
        try:
            found = self._client.get(f"/api/v1/namespaces/{namespace}/configmaps/{name}")
        except NotFoundError:
            return None
        data = {key: value.encode() for key, value in found.get("data", {}).items()}
        return data | {key: base64.b64decode(value) for key, value in found.get("binaryData", {}).items()}

    def secret(self, namespace: str, name: str) -> dict[str, bytes] | None:
        try:
            found = self._client.get(f"/api/v1/namespaces/{namespace}/secrets/{name}")
        except NotFoundError:
            return None
        return {key: base64.b64decode(value) for key, value in found.get("data", {}).items()}


def whole(sources: Sources, namespace: str, kind: str, name: str, optional: bool) -> dict[str, bytes]:
    """All data of a Secret or ConfigMap. Raises MissingError."""
    data = sources.secret(namespace, name) if kind == "secret" else sources.config_map(namespace, name)
    if data is None and not optional:
        raise MissingError(f'{kind} "{name}" not found')
    return data or {}


def environment(container: Object, pod: Object, sources: Sources) -> dict[str, str]:
    """The environment that the spec asks for, in its order: envFrom, then env. Raises MissingError."""
    values: dict[str, str] = {}
    for source in container.get("envFrom", []):
        values.update(_env_from(source, pod["metadata"]["namespace"], sources))
    for item in container.get("env", []):
        if "valueFrom" in item:
            found = _value_from(item["valueFrom"], container, pod, sources)
            if found is not None:
                values[item["name"]] = found
        else:
            values[item["name"]] = expand(item.get("value") or "", values)
    return values


def _env_from(source: Object, namespace: str, sources: Sources) -> dict[str, str]:
    kind, reference = (
        ("secret", source["secretRef"]) if "secretRef" in source else ("configmap", source["configMapRef"])
    )
    data = whole(sources, namespace, kind, reference["name"], reference.get("optional", False))
    return {source.get("prefix", "") + key: value.decode(errors="replace") for key, value in data.items()}


def _value_from(source: Object, container: Object, pod: Object, sources: Sources) -> str | None:
    if "fieldRef" in source:
        return field(pod, source["fieldRef"]["fieldPath"])
    if "resourceFieldRef" in source:
        return resource(container, pod, source["resourceFieldRef"])
    kind, shown = ("secret", "Secret") if "secretKeyRef" in source else ("configmap", "ConfigMap")
    reference = source.get("secretKeyRef") or source["configMapKeyRef"]
    namespace, optional = pod["metadata"]["namespace"], reference.get("optional", False)
    data = whole(sources, namespace, kind, reference["name"], optional)
    if reference["key"] not in data:
        if optional:
            return None
        raise MissingError(f"couldn't find key {reference['key']} in {shown} {namespace}/{reference['name']}")
    return data[reference["key"]].decode(errors="replace")


def field(pod: Object, path: str) -> str:
    """A field of the pod by the downward API."""
    keyed = _KEYED_FIELD.fullmatch(path)
    if keyed:
        return str(pod["metadata"].get(keyed[1], {}).get(keyed[2], ""))
    if path in {"status.podIPs", "status.hostIPs"}:
        path = path.removesuffix("s")
    value: object = pod
    for part in path.split("."):
        value = value.get(part, "") if isinstance(value, dict) else ""
    if isinstance(value, dict):
        return "\n".join(f'{key}="{text}"' for key, text in sorted(value.items()))
    return str(value)


def resource(container: Object, pod: Object, reference: Object) -> str:
    """A request or limit of a container in units of the divisor, rounded up."""
    named = reference.get("containerName")
    if named:
        container = next(item for item in pod["spec"]["containers"] if item["name"] == named)
    kind, _, name = reference["resource"].partition(".")
    amount = container.get("resources", {}).get(kind, {}).get(name, "0")
    divisor = quantity(reference.get("divisor") or "1") or decimal.Decimal(1)
    return str(math.ceil(quantity(amount) / divisor))


def quantity(text: str) -> decimal.Decimal:
    """A Kubernetes quantity such as 500m or 2Gi in base units: cores or bytes."""
    for unit, factor in _UNITS.items():
        if text.endswith(unit):
            return decimal.Decimal(text.removesuffix(unit)) * factor
    return decimal.Decimal(text)


def expand(text: str, values: Mapping[str, str]) -> str:
    """`text` with $(NAME) replaced; $$ is a dollar sign and an unknown name stays as it stands."""

    def replace(match: re.Match[str]) -> str:
        return "$" if match[1] == "$" else values.get(match[2], match[0])

    return _REFERENCE.sub(replace, text)


def command(container: Object, values: Mapping[str, str]) -> list[str]:
    """The container's own command and args; what the image would add is not among them."""
    words = [*container.get("command", []), *container.get("args", [])]
    return [expand(word, values) for word in words]


def relocate(text: str, mounts: Mapping[str, Path]) -> str:
    """A path below a mount as the path of this machine that holds it; any other text as it is."""
    for mount in sorted(mounts, key=len, reverse=True):
        if text == mount or text.startswith(mount.rstrip("/") + "/"):
            return str(mounts[mount]) + text[len(mount.rstrip("/")) :]
    return text
