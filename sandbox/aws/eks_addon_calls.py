# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stand-in for the EKS add-on calls; eks_addons knows the add-ons."""

from __future__ import annotations

import uuid
from typing import Any

from moto.core.responses import ActionResult
from moto.core.utils import utcnow
from moto.eks.responses import EKSResponse

from sandbox.aws import eks_addons
from sandbox.aws.control_plane import endpoints, wait_ready
from sandbox.aws.eks_base import (
    CONTROL_PLANE_SECONDS,
    VERSIONS,
    Addon,
    active_cluster,
    cluster_of,
    in_use,
    invalid,
    not_found,
    update_of,
)
from sandbox.aws.states import WORK

ADDON_FIELDS = ("addonVersion", "serviceAccountRoleArn", "configurationValues")


def _shown(addon: Addon) -> dict[str, Any]:
    shown = {k: v for k, v in vars(addon).items() if not k.startswith("_") and v is not None}
    failure = WORK.error(addon.addonArn)
    issue = {"code": "ClusterUnreachable", "message": failure}
    return {**shown, "status": addon.status, "health": {"issues": [issue] if failure else []}}


def create_addon(self: EKSResponse) -> ActionResult:
    """CreateAddon: what EKS installs is applied to the cluster."""
    cluster, name = active_cluster(self), self._get_param("addonName")
    if name in cluster.addons:
        raise in_use("Addon already exists.", clusterName=cluster.name, addonName=name)
    arn = f"arn:aws:eks:{self.region}:{self.current_account}:addon/{cluster.name}/{name}/{uuid.uuid4()}"
    addon = Addon(addonName=name, clusterName=cluster.name, addonArn=arn, createdAt=utcnow(), modifiedAt=utcnow())
    addon.tags = self._get_param("tags") or {}
    asked = self._get_param("addonVersion")
    addon.addonVersion = _addon_version(name, cluster.version, asked)
    addon.serviceAccountRoleArn = self._get_param("serviceAccountRoleArn")
    addon.configurationValues = self._get_param("configurationValues")
    eks_addons.configuration(addon.configurationValues, invalid)
    _start_addon(addon)
    addon.status = "ACTIVE"
    cluster.addons[name] = addon
    return ActionResult({"addon": _shown(addon)})


def _addon_version(name: str, cluster_version: str, asked: str | None) -> str:
    versions = eks_addons.versions(name, cluster_version)
    if not versions:
        raise invalid(f"Addon {name} specified is not supported")
    if asked and asked not in versions:
        raise invalid(f"Addon version specified is not supported in {cluster_version} version of the cluster")
    return asked or versions[0]


def _start_addon(addon: Addon) -> None:
    values = eks_addons.configuration(addon.configurationValues, invalid)

    def apply() -> None:
        plane = wait_ready(CONTROL_PLANE_SECONDS)
        for manifest in eks_addons.manifests(addon.addonName, addon.addonVersion, addon.serviceAccountRoleArn, values):
            plane.apply(manifest)

    WORK.start(addon.addonArn, apply)


def _addon(self: EKSResponse) -> tuple[Any, Addon]:
    cluster, name = cluster_of(self), self._get_param("addonName")
    if name not in cluster.addons:
        raise not_found(f"No addon: {name} found in cluster: {cluster.name}")
    return cluster, cluster.addons[name]


def describe_addon(self: EKSResponse) -> ActionResult:
    """DescribeAddon."""
    return ActionResult({"addon": _shown(_addon(self)[1])})


def update_addon(self: EKSResponse) -> ActionResult:
    """UpdateAddon: what is not named stays."""
    cluster, addon = _addon(self)
    if addon.status in ("CREATING", "UPDATING", "DELETING"):
        raise in_use(f"Addon {addon.addonName} cannot be updated as it is currently in {addon.status} state")
    asked = self._get_param("addonVersion")
    if asked:
        _addon_version(addon.addonName, cluster.version, asked)
    for field in ADDON_FIELDS:
        if self._get_param(field) is not None:
            setattr(addon, field, self._get_param(field))
    addon.modifiedAt = utcnow()
    _start_addon(addon)
    addon.status = "UPDATING"
    return update_of(cluster, "AddonUpdate", addonVersion=addon.addonVersion)


def delete_addon(self: EKSResponse) -> ActionResult:
    """DeleteAddon: its objects go too, except with preserve."""
    _, addon = _addon(self)

    def remove() -> None:
        plane = wait_ready(CONTROL_PLANE_SECONDS)
        for manifest in eks_addons.manifests(addon.addonName, addon.addonVersion, None, {}):
            metadata = manifest["metadata"]
            plane.delete(manifest["kind"], metadata["name"], metadata.get("namespace"))

    if not self._get_param("preserve") and endpoints():
        WORK.start(addon.addonArn, remove)
    addon.status = "DELETING"
    return ActionResult({"addon": _shown(addon)})


def list_addons(self: EKSResponse) -> ActionResult:
    """ListAddons."""
    return ActionResult({"addons": sorted(cluster_of(self).addons)})


def describe_addon_versions(self: EKSResponse) -> ActionResult:
    """DescribeAddonVersions."""
    return ActionResult(
        {"addons": eks_addons.catalogue(self._get_param("addonName"), self._get_param("kubernetesVersion"), VERSIONS)}
    )


FUNCTIONS = (
    create_addon,
    describe_addon,
    update_addon,
    delete_addon,
    list_addons,
    describe_addon_versions,
)
