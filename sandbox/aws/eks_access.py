# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stand-in for EKS access entries, access policies and pod identity associations."""

from __future__ import annotations

import re
import uuid
from typing import Any
from urllib.parse import unquote

import moto.eks.models as models
from moto.core.responses import ActionResult
from moto.core.utils import utcnow
from moto.eks.responses import EKSResponse

from sandbox.aws.eks_base import cluster_of, in_use, invalid, not_found


def new_entry(response: EKSResponse, cluster: Any, principal: str, **given: Any) -> dict[str, Any]:
    """A new access entry of the cluster."""
    base = f"arn:aws:eks:{response.region}:{response.current_account}"
    kind, name = re.match(r"arn:aws:iam::\d+:(user|role)/(?:.*/)?([^/]+)$", principal).groups()  # type: ignore[union-attr]
    username = principal
    if kind == "role":
        # CreateAccessEntry: the default user name of a role is that of its sessions.
        username = f"arn:aws:sts::{response.current_account}:assumed-role/{name}/{{{{SessionName}}}}"
    entry = {"clusterName": cluster.name, "principalArn": principal, "kubernetesGroups": given.get("groups") or []}
    entry |= {"type": given.get("type") or "STANDARD", "username": given.get("username") or username}
    entry |= {"tags": given.get("tags") or {}, "createdAt": utcnow(), "modifiedAt": utcnow(), "_policies": {}}
    entry["accessEntryArn"] = (
        f"{base}:access-entry/{cluster.name}/{kind}/{response.current_account}/{name}/{uuid.uuid4()}"
    )
    cluster.entries[principal] = entry
    return entry


def associate(entry: dict[str, Any], arn: str, scope: dict[str, Any]) -> dict[str, Any]:
    """Give an access entry a policy."""
    association = {"policyArn": arn, "accessScope": scope, "associatedAt": utcnow(), "modifiedAt": utcnow()}
    entry["_policies"][arn] = association
    return association


def _principal_arn(self: EKSResponse) -> str:
    arn = str(self._get_param("principalArn") or "")
    return unquote(arn)


def create_access_entry(self: EKSResponse) -> ActionResult:
    """CreateAccessEntry: needs an authentication mode with API, and a user or role ARN of this account."""
    cluster, principal = cluster_of(self), _principal_arn(self)
    if cluster.access_config["authenticationMode"] == "CONFIG_MAP":
        raise models.InvalidRequestException(
            message="The cluster's authentication mode must be set to one of [API, API_AND_CONFIG_MAP] to perform this "
            "operation."
        )
    if not re.match(r"^arn:aws:iam::\d{12}:(user|role)/.+$", principal):
        raise invalid("The principalArn parameter format is not valid")
    if principal in cluster.entries:
        raise in_use("The specified access entry resource is already in use on this cluster.", clusterName=cluster.name)
    if any(str(group).startswith("system:") for group in self._get_param("kubernetesGroups") or []):
        raise invalid("The kubernetes group name is invalid, it cannot start with system:")
    given = {key: self._get_param(key) for key in ("type", "username", "tags")}
    entry = new_entry(self, cluster, principal, groups=self._get_param("kubernetesGroups"), **given)
    return ActionResult({"accessEntry": entry})


def _find_entry(self: EKSResponse) -> dict[str, Any]:
    cluster, principal = cluster_of(self), _principal_arn(self)
    if principal not in cluster.entries:
        raise not_found(
            "The specified principalArn could not be found. You can view your available access entries with "
            "'list-access-entries'."
        )
    entry: dict[str, Any] = cluster.entries[principal]
    return entry


def describe_access_entry(self: EKSResponse) -> ActionResult:
    """DescribeAccessEntry."""
    return ActionResult({"accessEntry": _find_entry(self)})


def update_access_entry(self: EKSResponse) -> ActionResult:
    """UpdateAccessEntry."""
    entry = _find_entry(self)
    for key in ("kubernetesGroups", "username"):
        if self._get_param(key) is not None:
            entry[key] = self._get_param(key)
    return ActionResult({"accessEntry": entry})


def delete_access_entry(self: EKSResponse) -> ActionResult:
    """DeleteAccessEntry."""
    entry = _find_entry(self)
    cluster_of(self).entries.pop(entry["principalArn"])
    return ActionResult({})


def list_access_entries(self: EKSResponse) -> ActionResult:
    """ListAccessEntries."""
    return ActionResult({"accessEntries": list(cluster_of(self).entries)})


def associate_access_policy(self: EKSResponse) -> ActionResult:
    """AssociateAccessPolicy."""
    entry, arn = _find_entry(self), self._get_param("policyArn")
    if not re.match(r"^arn:aws:eks::aws:cluster-access-policy/AmazonEKS\w+Policy$", arn):
        raise invalid("The policyArn parameter format is not valid")
    association = associate(entry, arn, self._get_param("accessScope"))
    names = {"clusterName": entry["clusterName"], "principalArn": entry["principalArn"]}
    return ActionResult({**names, "associatedAccessPolicy": association})


def disassociate_access_policy(self: EKSResponse) -> ActionResult:
    """DisassociateAccessPolicy."""
    _find_entry(self)["_policies"].pop(unquote(self._get_param("policyArn")), None)
    return ActionResult({})


def list_associated_access_policies(self: EKSResponse) -> ActionResult:
    """ListAssociatedAccessPolicies."""
    entry = _find_entry(self)
    names = {"clusterName": entry["clusterName"], "principalArn": entry["principalArn"]}
    return ActionResult({**names, "associatedAccessPolicies": list(entry["_policies"].values())})


def create_pod_identity_association(self: EKSResponse) -> ActionResult:
    """CreatePodIdentityAssociation: recorded; no agent hands out the credentials."""
    cluster, identifier = cluster_of(self), f"a-{uuid.uuid4().hex[:17]}"
    arn = f"arn:aws:eks:{self.region}:{self.current_account}:podidentityassociation/{cluster.name}/{identifier}"
    record = {key: self._get_param(key) for key in ("namespace", "serviceAccount", "roleArn")}
    record |= {"clusterName": cluster.name, "associationId": identifier, "associationArn": arn}
    record |= {"tags": self._get_param("tags") or {}, "createdAt": utcnow(), "modifiedAt": utcnow()}
    cluster.pods[identifier] = record
    return ActionResult({"association": record})


def list_pod_identity_associations(self: EKSResponse) -> ActionResult:
    """ListPodIdentityAssociations."""
    return ActionResult({"associations": list(cluster_of(self).pods.values())})


def delete_pod_identity_association(self: EKSResponse) -> ActionResult:
    """DeletePodIdentityAssociation."""
    found = cluster_of(self).pods.pop(self._get_param("associationId"), None)
    if found is None:
        raise not_found(f"No association found with id {self._get_param('associationId')}")
    return ActionResult({"association": found})


FUNCTIONS = (
    create_access_entry,
    describe_access_entry,
    update_access_entry,
    delete_access_entry,
    list_access_entries,
    associate_access_policy,
    disassociate_access_policy,
    list_associated_access_policies,
    create_pod_identity_association,
    list_pod_identity_associations,
    delete_pod_identity_association,
)
