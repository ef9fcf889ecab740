# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the EKS calls share: errors, the records, and how a cluster is found."""

from __future__ import annotations

import types
import uuid
from typing import Any

import moto.eks.models as models
from moto.core.responses import ActionResult
from moto.core.utils import utcnow
from moto.ec2.models import ec2_backends
from moto.eks.models import Cluster, EKSBackend, Nodegroup, eks_backends
from moto.eks.responses import EKSResponse

from sandbox.aws import access
from sandbox.aws.states import Lifecycle

STEPS = {"CREATING": "ACTIVE", "UPDATING": "ACTIVE", "DELETING": "GONE"}
# Kubernetes versions of EKS in standard and extended support; the control plane runs the last one whatever is asked.
VERSIONS = ("1.31", "1.32", "1.33", "1.34", "1.35", "1.36")
CONTROL_PLANE_SECONDS = 120
_LIST_NODEGROUPS = EKSResponse.list_nodegroups


def not_found(message: str) -> models.ResourceNotFoundException:
    """EKS's ResourceNotFoundException."""
    names = dict.fromkeys(("clusterName", "nodegroupName", "fargateProfileName", "addonName"))
    return models.ResourceNotFoundException(**names, message=message)


def in_use(message: str, **names: str) -> models.ResourceInUseException:
    """EKS's ResourceInUseException."""
    return models.ResourceInUseException(message=message, **names)


def invalid(message: str) -> models.InvalidParameterException:
    """EKS's InvalidParameterException."""
    return models.InvalidParameterException(message=message)


class Record(types.SimpleNamespace):
    """A resource that moto has no model for."""


class Addon(Record):
    """An add-on; the attribute names are those of the API."""

    status = Lifecycle("eks::addon", "CREATING", STEPS, "CREATE_FAILED", lambda addon: addon.addonArn)


def install_states() -> None:
    """Let clusters and node groups take time."""
    Cluster.status = Lifecycle("eks::cluster", "CREATING", STEPS, "FAILED", lambda cluster: cluster.arn)
    Nodegroup.status = Lifecycle("eks::nodegroup", "CREATING", STEPS, "CREATE_FAILED", lambda group: group.arn)


def sweep(backend: EKSBackend) -> EKSBackend:
    """Forget what has been deleted, as a state changes only when somebody looks."""
    for cluster in list(backend.clusters.values()):
        for group in list(cluster.nodegroups.values()):
            if group.status == "GONE":
                cluster.nodegroups.pop(group.nodegroup_name, None)
                cluster.nodegroup_count -= 1
        for addon in list(cluster.addons.values()):
            if addon.status == "GONE":
                cluster.addons.pop(addon.addonName, None)
        if cluster.status == "GONE":
            backend.clusters.pop(cluster.name, None)
    return backend


def _backend(self: EKSResponse) -> EKSBackend:
    return sweep(eks_backends[self.current_account][self.region])


def subnets_of(response: EKSResponse, ids: list[str]) -> list[Any]:
    """The subnets by their ids, all of one VPC."""
    backend = ec2_backends[response.current_account][response.region]
    known = {subnet.id: subnet for zone in backend.subnets.values() for subnet in zone.values()}
    missing = [item for item in ids if item not in known]
    if missing:
        raise invalid(f"The subnet ID '{missing[0]}' does not exist (Service: AmazonEC2; InvalidSubnetID.NotFound)")
    found = [known[item] for item in ids]
    if len({subnet.vpc_id for subnet in found}) > 1:
        raise invalid("Subnets must be in the same VPC")
    return found


def check_role(arn: str, service: str) -> None:
    """Refuse a role that does not exist or that the service may not assume."""
    models.validate_role_arn(arn)
    if access.role_trusting(arn, service) is None:
        why = "could not be assumed because it does not exist or the trusted entity is not correct"
        raise invalid(f"Role with arn: {arn}, {why}")


def cluster_of(self: EKSResponse) -> Any:
    """The cluster that a call names."""
    return self.eks_backend.describe_cluster(self._get_param("clusterName") or self._get_param("name"))


def active_cluster(self: EKSResponse) -> Any:
    """The cluster that a call names, which must be active."""
    cluster = cluster_of(self)
    if cluster.status != "ACTIVE":
        raise in_use(
            f"Cannot change cluster {cluster.name} as it is currently {cluster.status}", clusterName=cluster.name
        )
    return cluster


def update_of(cluster: Any, kind: str, **params: Any) -> ActionResult:
    """The answer to a call that starts an update of the cluster."""
    update = {"id": str(uuid.uuid4()), "status": "InProgress", "type": kind, "createdAt": utcnow(), "errors": []}
    update["params"] = [{"type": key[0].upper() + key[1:], "value": str(value)} for key, value in params.items()]
    cluster.updates[update["id"]] = update
    return ActionResult({"update": update})
