# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The volumes of a pod as folders of this machine."""

from __future__ import annotations

import os
import time
from pathlib import Path

from sandbox import state
from sandbox.controlplane.client import Client, NotFoundError, Object
from sandbox.pods import resolve

# Tokens live an hour or more; half of the shortest is early enough.
TOKEN_SECONDS = 1500


class Volumes:
    """The volumes of one pod below `folder`; `refresh` writes what is missing or has changed."""

    def __init__(self, client: Client, sources: resolve.Sources, pod: Object, folder: Path) -> None:
        self._client, self._sources, self._pod, self._folder = client, sources, pod, folder
        self._namespace = pod["metadata"]["namespace"]
        self.paths: dict[str, Path] = {}

    def refresh(self) -> None:
        """Make every volume. Raises MissingError naming the volume, in the kubelet's words."""
        for volume in self._pod["spec"].get("volumes", []):
            try:
                self.paths[volume["name"]] = self._make(volume)
            except resolve.MissingError as error:
                raise resolve.MissingError(
                    f'MountVolume.SetUp failed for volume "{volume["name"]}" : {error}'
                ) from error

    def mounts(self, container: Object) -> dict[str, Path]:
        """mountPath -> folder or file, for the mounts of a container."""
        found = {}
        for mount in container.get("volumeMounts", []):
            path = self.paths[mount["name"]] / mount.get("subPath", "")
            if "persistentVolumeClaim" in self._volume(mount["name"]) or "emptyDir" in self._volume(mount["name"]):
                path.mkdir(parents=True, exist_ok=True)
            found[mount["mountPath"]] = path
        return found

    def _volume(self, name: str) -> Object:
        found: Object = next(volume for volume in self._pod["spec"]["volumes"] if volume["name"] == name)
        return found

    def _make(self, volume: Object) -> Path:
        if "persistentVolumeClaim" in volume:
            return self._claimed(volume["persistentVolumeClaim"]["claimName"])
        if "ephemeral" in volume:
            return self._claimed(f"{self._pod['metadata']['name']}-{volume['name']}")
        folder = self._folder / volume["name"]
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for source in [volume, *volume.get("projected", {}).get("sources", [])]:
            self._fill(folder, source)
        return folder

    def _claimed(self, claim: str) -> Path:
        try:
            found = self._client.get(f"/api/v1/namespaces/{self._namespace}/persistentvolumeclaims/{claim}")
        except NotFoundError:
            raise resolve.MissingError(f'persistentvolumeclaim "{claim}" not found') from None
        name = found["spec"].get("volumeName")
        if not name:
            raise resolve.MissingError(f'persistentvolumeclaim "{claim}" is not bound')
        bound = self._client.get(f"/api/v1/persistentvolumes/{name}")
        handle = bound["spec"].get("csi", {}).get("volumeHandle", name)
        folder = state.root() / "volumes" / handle
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return folder

    def _fill(self, folder: Path, source: Object) -> None:
        if "secret" in source:
            spec = source["secret"]
            self._keys(folder, "secret", spec.get("secretName") or spec["name"], spec)
        if "configMap" in source:
            self._keys(folder, "configmap", source["configMap"]["name"], source["configMap"])
        for item in source.get("downwardAPI", {}).get("items", []):
            if "fieldRef" in item:
                _write(folder / item["path"], resolve.field(self._pod, item["fieldRef"]["fieldPath"]).encode())
        if "serviceAccountToken" in source:
            self._token(folder, source["serviceAccountToken"])

    def _keys(self, folder: Path, kind: str, name: str, spec: Object) -> None:
        data = resolve.whole(self._sources, self._namespace, kind, name, spec.get("optional", False))
        chosen = {item["key"]: item["path"] for item in spec.get("items", [])} or {key: key for key in data}
        for key, path in chosen.items():
            if key in data:
                _write(folder / path, data[key])
            elif not spec.get("optional", False):
                raise resolve.MissingError(f"references non-existent {kind} key: {key}")

    def _token(self, folder: Path, spec: Object) -> None:
        path = folder / spec["path"]
        if path.exists() and time.time() - path.stat().st_mtime < TOKEN_SECONDS:
            return
        metadata = self._pod["metadata"]
        bound = {"kind": "Pod", "apiVersion": "v1", "name": metadata["name"], "uid": metadata["uid"]}
        wanted: Object = {"expirationSeconds": spec.get("expirationSeconds", 3600), "boundObjectRef": bound}
        if spec.get("audience"):
            wanted["audiences"] = [spec["audience"]]
        account = self._pod["spec"].get("serviceAccountName", "default")
        request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": wanted}
        answer = self._client.post(f"/api/v1/namespaces/{self._namespace}/serviceaccounts/{account}/token", request)
        _write(path, answer["status"]["token"].encode())
        os.utime(path)


def _write(path: Path, content: bytes) -> None:
    if not path.exists() or path.read_bytes() != content:
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f".{path.name}.draft")
        draft.write_bytes(content)
        draft.chmod(0o600)
        draft.replace(path)
