# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stand-in for the EBS CSI driver's controller: volumes are made, attached, grown and deleted as EC2 volumes.

What a pod writes lies in the folder volumes/VOLUME of the sandbox's state; EC2 only knows that the volume is there.
"""

from __future__ import annotations

import logging
import math
import re
import shutil
import time
from collections.abc import Callable, Mapping
from typing import Any

from sandbox import state
from sandbox.controllers.aws import Account, AwsError, Client, call
from sandbox.controllers.kubernetes import (
    ATTACHMENT,
    CLAIM,
    DEPLOYMENT,
    NODE,
    STORAGE_CLASS,
    VOLUME,
    ApiError,
    Cluster,
    Object,
    annotations_of,
    labels_of,
    named,
    now,
    patched_finalizers,
)
from sandbox.controllers.loop import IDLE_SECONDS, Controller

DRIVER = "ebs.csi.aws.com"
CONTROLLER = ("kube-system", "ebs-csi-controller")
SESSION_NAME = "ebs-csi-controller"
ZONE_LABEL = "topology.kubernetes.io/zone"
SELECTED_NODE = "volume.kubernetes.io/selected-node"
ATTACH_DETACH = "volumes.kubernetes.io/controller-managed-attach-detach"
PROVISIONED_BY = "pv.kubernetes.io/provisioned-by"
PROVISIONER_FINALIZER = "external-provisioner.volume.kubernetes.io/finalizer"
ATTACHER_FINALIZER = "external-attacher/ebs-csi-aws-com"
GIB = 2**30
UNITS = {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "": 1}
# The name of the device is of no meaning to a Nitro instance, yet AttachVolume asks for one.
DEVICES = [f"/dev/xvd{first}{second}" for first in "ab" for second in "abcdefghijklmnopqrstuvwxyz"][2:]
log = logging.getLogger(__name__)


class EbsCsi(Controller):
    """The driver's provisioner, resizer and attacher in one."""

    name = "ebs-csi"

    def __init__(self, cluster: Cluster, account: Account) -> None:
        super().__init__(cluster, account)
        self._deployments = self.watch(DEPLOYMENT)
        self._claims = self.watch(CLAIM)
        self._volumes = self.watch(VOLUME)
        self._classes = self.watch(STORAGE_CLASS)
        self._nodes = self.watch(NODE)
        self._attachments = self.watch(ATTACHMENT)
        self._service_account = ""

    def reconcile(self) -> float:
        deployment = self._deployments.get(*CONTROLLER)
        if deployment is None or not int((deployment.get("status") or {}).get("readyReplicas") or 0):
            return IDLE_SECONDS
        self._service_account = deployment["spec"]["template"]["spec"].get("serviceAccountName", "default")
        for node in self._nodes.all():
            self._let_attach(node)
        for claim in self._claims.all():
            self._guarded(f"claim {named(claim)}", claim, self._claim, self._claim_failed)
        for volume in self._volumes.all():
            self._guarded(f"volume {named(volume)}", volume, self._volume, self._volume_failed)
        for attachment in self._attachments.all():
            self._guarded(f"attachment {named(attachment)}", attachment, self._attachment, self._attachment_failed)
        return IDLE_SECONDS

    def _guarded(
        self, key: str, item: Object, work: Callable[[Object], None], tell: Callable[[Object, str], None]
    ) -> None:
        attached = self._is_attached(item)
        version = f"{item['metadata'].get('generation')}-{item['spec']}-{annotations_of(item)}-{attached}"
        if self.blocked(key, version):
            return
        try:
            work(item)
        except AwsError as error:
            log.warning("%s: %s", key, error)
            tell(item, str(error))
            self.failed(key, version)
        except ApiError as error:
            # A conflict is another hand's write; the next look sees it.
            if error.status != 409:
                log.warning("%s: %s", key, error)
            self.failed(key, version)
        else:
            self.succeeded(key)

    def _ec2(self) -> Client:
        """EC2 with the role of the driver's service account. Raises AwsError."""
        try:
            return self.account.client("ec2", CONTROLLER[0], self._service_account, state.REGION, SESSION_NAME)
        except AwsError as error:
            reason = str(error) if "operation error" in str(error) else "no EC2 IMDS role found"
            message = f"get identity: get credentials: failed to refresh cached credentials, {reason}"
            raise AwsError(message, error.code) from error

    # Claims

    def _claim(self, claim: Object) -> None:
        if claim["metadata"].get("deletionTimestamp"):
            return
        if claim["spec"].get("volumeName"):
            self._grow(claim)
            return
        storage_class = self._class(claim)
        if storage_class is None:
            return
        zone = self._zone(claim, storage_class)
        if zone is not None:
            self._provision(claim, storage_class, zone)

    def _class(self, claim: Object) -> Object | None:
        name = claim["spec"].get("storageClassName")
        found = self._classes.get(None, name) if name else None
        return found if found is not None and found.get("provisioner") == DRIVER else None

    def _zone(self, claim: Object, storage_class: Object) -> str | None:
        """The zone for a claim's volume, or None while no pod that uses it has been given a node."""
        selected = annotations_of(claim).get(SELECTED_NODE)
        if storage_class.get("volumeBindingMode") == "WaitForFirstConsumer" and not selected:
            return None
        nodes = [self._nodes.get(None, selected)] if selected else self._nodes.all()
        zones = sorted({labels_of(node)[ZONE_LABEL] for node in nodes if node and ZONE_LABEL in labels_of(node)})
        if not zones:
            raise AwsError(f'error generating accessibility requirements: node "{selected}" has no {ZONE_LABEL}')
        return zones[0]

    def _provision(self, claim: Object, storage_class: Object, zone: str) -> None:
        name = f"pvc-{claim['metadata']['uid']}"
        if self.cluster.get(VOLUME, None, name) is not None:
            return
        message = f'External provisioner is provisioning volume for claim "{named(claim)}"'
        self._event(claim, "Normal", "Provisioning", message)
        size = gib(claim["spec"]["resources"]["requests"]["storage"])
        ec2 = self._ec2()
        arguments = volume_arguments(name, claim, storage_class.get("parameters") or {}, size, zone)
        try:
            created = call("ec2", ec2.create_volume, arguments)
        except AwsError as error:
            message = f'Could not create volume "{name}": could not create volume in EC2: {error}'
            raise AwsError(message, error.code) from error
        handle = str(created["VolumeId"])
        (state.root() / "volumes" / handle).mkdir(mode=0o700, parents=True, exist_ok=True)
        self.cluster.create(VOLUME, persistent_volume(name, handle, claim, storage_class, size, zone))
        self._event(claim, "Normal", "ProvisioningSucceeded", f"Successfully provisioned volume {name}")
        log.info("provisioned %s of %d GiB for %s", handle, size, named(claim))

    def _claim_failed(self, claim: Object, message: str) -> None:
        if claim["spec"].get("volumeName"):
            text = f'resize volume "{claim["spec"]["volumeName"]}" by resizer "{DRIVER}" failed: {_rpc(message)}'
            self._event(claim, "Warning", "VolumeResizeFailed", text)
            return
        name = claim["spec"].get("storageClassName")
        text = f'failed to provision volume with StorageClass "{name}": {_rpc(message)}'
        self._event(claim, "Warning", "ProvisioningFailed", text)

    def _grow(self, claim: Object) -> None:
        volume = self._volumes.get(None, claim["spec"]["volumeName"])
        if volume is None or (claim.get("status") or {}).get("phase") != "Bound" or _driver(volume) != DRIVER:
            return
        wanted = gib(claim["spec"]["resources"]["requests"]["storage"])
        actual = gib((claim["status"].get("capacity") or {}).get("storage", "0"))
        if wanted <= actual:
            return
        handle = volume["spec"]["csi"]["volumeHandle"]
        name = volume["metadata"]["name"]
        if wanted > gib(volume["spec"]["capacity"]["storage"]):
            message = f"External resizer is resizing volume {name}"
            self._event(claim, "Normal", "Resizing", message, f"external-resizer {DRIVER}")
            self._modify(handle, wanted)
            self._volumes.put(self.cluster.patch(VOLUME, volume, {"spec": {"capacity": {"storage": f"{wanted}Gi"}}}))
        # Growing the file system is the node's part of it; a folder has nothing to grow.
        status = {"capacity": {"storage": f"{wanted}Gi"}, "conditions": None, "allocatedResourceStatuses": None}
        status["allocatedResources"] = {"storage": f"{wanted}Gi"}
        self._claims.put(self.cluster.patch(CLAIM, claim, {"status": status}, "status"))
        message = f"MountVolume.NodeExpandVolume succeeded for volume {name!r}".replace("'", '"')
        self._event(claim, "Normal", "FileSystemResizeSuccessful", message, "kubelet")

    def _modify(self, handle: str, size: int) -> None:
        ec2 = self._ec2()
        found = call("ec2", ec2.describe_volumes, {"VolumeIds": [handle]})["Volumes"]
        if found and int(found[0]["Size"]) >= size:
            return
        try:
            call("ec2", ec2.modify_volume, {"VolumeId": handle, "Size": size})
        except AwsError as error:
            message = f'Could not resize volume "{handle}": unable to modify AWS volume "{handle}": {error}'
            raise AwsError(message, error.code) from error

    # Volumes

    def _volume(self, volume: Object) -> None:
        if _driver(volume) != DRIVER or annotations_of(volume).get(PROVISIONED_BY) != DRIVER:
            return
        released = (volume.get("status") or {}).get("phase") == "Released"
        deleting = bool(volume["metadata"].get("deletionTimestamp"))
        attached = self._is_attached(volume)
        if deleting and not attached:
            volume = self._let_go(volume, ATTACHER_FINALIZER)
        if not released or volume["spec"].get("persistentVolumeReclaimPolicy") != "Delete":
            if deleting and volume["spec"].get("persistentVolumeReclaimPolicy") != "Delete":
                self._let_go(volume, PROVISIONER_FINALIZER)
            return
        if attached:
            raise AwsError(f"persistentvolume {named(volume)} is still attached to node")
        handle = volume["spec"]["csi"]["volumeHandle"]
        ec2 = self._ec2()
        try:
            call("ec2", ec2.delete_volume, {"VolumeId": handle})
        except AwsError as error:
            if error.code != "InvalidVolume.NotFound":
                message = f'Could not delete volume ID "{handle}": DeleteDisk could not delete volume: {error}'
                raise AwsError(message, error.code) from error
        shutil.rmtree(state.root() / "volumes" / handle, ignore_errors=True)
        self.cluster.delete(VOLUME, None, volume["metadata"]["name"])
        current = self.cluster.get(VOLUME, None, volume["metadata"]["name"])
        if current is not None:
            current = self._let_go(current, ATTACHER_FINALIZER)
            self._let_go(current, PROVISIONER_FINALIZER)

    def _let_go(self, volume: Object, finalizer: str) -> Object:
        change = patched_finalizers(volume, finalizer, False)
        return self.cluster.patch(VOLUME, volume, change) if change else volume

    def _volume_failed(self, volume: Object, message: str) -> None:
        self.cluster.event(self._component(), VOLUME, volume, "Warning", "VolumeFailedDelete", _rpc(message))

    # Attachments

    def _let_attach(self, node: Object) -> None:
        """A kubelet marks its node so; without the mark the attach-detach controller leaves the node alone."""
        if _is_instance(node) and annotations_of(node).get(ATTACH_DETACH) != "true":
            change = {"metadata": {"annotations": {ATTACH_DETACH: "true"}}}
            self._nodes.put(self.cluster.patch(NODE, node, change))

    def _is_attached(self, volume: Object) -> bool:
        name = volume["metadata"]["name"]
        return any(item["spec"]["source"].get("persistentVolumeName") == name for item in self._attachments.all())

    def _attachment(self, attachment: Object) -> None:
        if attachment["spec"].get("attacher") != DRIVER:
            return
        volume = self._volumes.get(None, attachment["spec"]["source"].get("persistentVolumeName") or "")
        if attachment["metadata"].get("deletionTimestamp"):
            node = self._nodes.get(None, attachment["spec"]["nodeName"])
            if volume is not None and node is not None:
                self._detach(volume["spec"]["csi"]["volumeHandle"], _instance(node))
            change = patched_finalizers(attachment, ATTACHER_FINALIZER, False)
            if change:
                self.cluster.patch(ATTACHMENT, attachment, change)
            return
        if (attachment.get("status") or {}).get("attached") or volume is None:
            return
        change = patched_finalizers(attachment, ATTACHER_FINALIZER, True)
        if change:
            attachment = self.cluster.patch(ATTACHMENT, attachment, change)
        # Without it the volume could go while it is attached, and nobody would know any more what to detach.
        change = patched_finalizers(volume, ATTACHER_FINALIZER, True)
        if change:
            volume = self.cluster.patch(VOLUME, volume, change)
            self._volumes.put(volume)
        node = self._nodes.get(None, attachment["spec"]["nodeName"])
        device = self._attach(volume["spec"]["csi"]["volumeHandle"], _instance(node))
        status = {"attached": True, "attachmentMetadata": {"devicePath": device}, "attachError": None}
        self._attachments.put(self.cluster.patch(ATTACHMENT, attachment, {"status": status}, "status"))

    def _attach(self, handle: str, instance: str) -> str:
        ec2 = self._ec2()
        volumes = call("ec2", ec2.describe_volumes, {"VolumeIds": [handle]})["Volumes"]
        for known in volumes[0].get("Attachments") or []:
            if known["InstanceId"] == instance:
                return str(known["Device"])
        filters = [{"Name": "attachment.instance-id", "Values": [instance]}]
        taken = call("ec2", ec2.describe_volumes, {"Filters": filters})["Volumes"]
        used = {known["Device"] for item in taken for known in item.get("Attachments") or []}
        device = next(name for name in DEVICES if name not in used)
        try:
            call("ec2", ec2.attach_volume, {"VolumeId": handle, "InstanceId": instance, "Device": device})
        except AwsError as error:
            message = f'Could not attach volume "{handle}" to node "{instance}": {error}'
            raise AwsError(message, error.code) from error
        return device

    def _detach(self, handle: str, instance: str) -> None:
        ec2 = self._ec2()
        try:
            call("ec2", ec2.detach_volume, {"VolumeId": handle, "InstanceId": instance})
        except AwsError as error:
            if error.code not in {"InvalidVolume.NotFound", "IncorrectState", "InvalidAttachment.NotFound"}:
                raise

    def _attachment_failed(self, attachment: Object, message: str) -> None:
        status = {"attached": False, "attachError": {"message": _rpc(message), "time": now()}}
        self.cluster.patch(ATTACHMENT, attachment, {"status": status}, "status")

    # Events

    def _component(self) -> str:
        return f"{DRIVER}_{CONTROLLER[1]}"

    def _event(self, claim: Object, type_: str, reason: str, message: str, component: str = "") -> None:
        self.cluster.event(component or self._component(), CLAIM, claim, type_, reason, message)


def gib(quantity: str) -> int:
    """A Kubernetes quantity in whole GiB, rounded up as EBS does. Raises ValueError."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([KMGT]i|[kMGT]|)", str(quantity))
    if found is None:
        raise ValueError(f"not a quantity that this stand-in knows: {quantity}")
    return math.ceil(float(found[1]) * UNITS[found[2]] / GIB)


def volume_arguments(name: str, claim: Object, parameters: Mapping[str, str], size: int, zone: str) -> dict[str, Any]:
    """The arguments of CreateVolume for a claim, by the parameters of its StorageClass. `size` is in GiB."""
    wanted = {key.lower(): value for key, value in parameters.items()}
    arguments: dict[str, Any] = {
        "AvailabilityZone": zone,
        "Size": size,
        "VolumeType": wanted.get("type", "gp3"),
        "Encrypted": wanted.get("encrypted", "false") == "true",
        # The same claim is the same volume, also when the answer to the first call was lost.
        "ClientToken": name,
    }
    if "kmskeyid" in wanted:
        arguments["KmsKeyId"] = wanted["kmskeyid"]
    if "iops" in wanted:
        arguments["Iops"] = int(wanted["iops"])
    elif "iopspergb" in wanted:
        arguments["Iops"] = max(3000, int(wanted["iopspergb"]) * size)
    if "throughput" in wanted:
        arguments["Throughput"] = int(wanted["throughput"])
    tags = {
        "CSIVolumeName": name,
        "ebs.csi.aws.com/cluster": "true",
        "kubernetes.io/created-for/pvc/name": claim["metadata"]["name"],
        "kubernetes.io/created-for/pvc/namespace": claim["metadata"]["namespace"],
        "kubernetes.io/created-for/pv/name": name,
        **_own_tags(wanted),
    }
    pairs = [{"Key": key, "Value": tags[key]} for key in sorted(tags)]
    arguments["TagSpecifications"] = [{"ResourceType": "volume", "Tags": pairs}]
    return arguments


def _own_tags(parameters: Mapping[str, str]) -> dict[str, str]:
    pairs = [value.partition("=") for key, value in parameters.items() if key.startswith("tagspecification_")]
    return {key: value for key, equals, value in pairs if equals}


def persistent_volume(
    name: str, handle: str, claim: Object, storage_class: Object, size: int, zone: str
) -> dict[str, Any]:
    """The PersistentVolume for a claim and its EBS volume. `size` is in GiB."""
    metadata = claim["metadata"]
    parameters = {key.lower(): value for key, value in (storage_class.get("parameters") or {}).items()}
    file_system = parameters.get("csi.storage.k8s.io/fstype", parameters.get("fstype", "ext4"))
    spec = {
        "accessModes": claim["spec"]["accessModes"],
        "capacity": {"storage": f"{size}Gi"},
        "claimRef": {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "name": metadata["name"],
            "namespace": metadata["namespace"],
            "uid": metadata["uid"],
            "resourceVersion": metadata["resourceVersion"],
        },
        "csi": {
            "driver": DRIVER,
            "volumeHandle": handle,
            "fsType": file_system,
            "volumeAttributes": {"storage.kubernetes.io/csiProvisionerIdentity": f"{int(time.time() * 1000)}-{DRIVER}"},
        },
        "nodeAffinity": {
            "required": {
                "nodeSelectorTerms": [
                    {"matchExpressions": [{"key": ZONE_LABEL, "operator": "In", "values": [zone]}]},
                ]
            }
        },
        "persistentVolumeReclaimPolicy": storage_class.get("reclaimPolicy", "Delete"),
        "storageClassName": storage_class["metadata"]["name"],
        "volumeMode": claim["spec"].get("volumeMode", "Filesystem"),
    }
    about = {
        "name": name,
        "annotations": {
            PROVISIONED_BY: DRIVER,
            "volume.kubernetes.io/provisioner-deletion-secret-name": "",
            "volume.kubernetes.io/provisioner-deletion-secret-namespace": "",
        },
        "finalizers": [PROVISIONER_FINALIZER],
    }
    return {"metadata": about, "spec": spec}


def _driver(volume: Object) -> str:
    return str((volume["spec"].get("csi") or {}).get("driver", ""))


def _instance(node: Object | None) -> str:
    """The instance of a node, from its providerID aws:///ZONE/INSTANCE. Raises AwsError."""
    if node is None or not _is_instance(node):
        raise AwsError("the node has no EC2 instance in its providerID")
    return str(node["spec"]["providerID"]).rpartition("/")[2]


def _is_instance(node: Object) -> bool:
    return str((node.get("spec") or {}).get("providerID", "")).startswith("aws:///")


def _rpc(message: str) -> str:
    return f"rpc error: code = Internal desc = {message}"
