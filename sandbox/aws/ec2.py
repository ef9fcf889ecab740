# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stand-in for EC2 behaviour that moto lacks: NAT gateways that take time, deletions that are refused while in use."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import moto.ec2.utils as utils
from moto.core.resource_tagging import TaggedResource
from moto.core.responses import ActionResult
from moto.ec2.exceptions import DependencyViolationError, EC2ClientError
from moto.ec2.models import EC2Backend
from moto.ec2.models.nat_gateways import NatGateway
from moto.ec2.responses import EC2Response
from moto.eks.models import eks_backends
from moto.elbv2.models import elbv2_backends

from sandbox.aws import ebs, endpoints
from sandbox.aws.states import Lifecycle

GONE = ("deleted", "terminated", "shutting-down")
# Calls that change nothing but that moto's own classes check for DryRun themselves stay as they are.
CHANGING = re.compile(r"^(create|delete|attach|detach|associate|disassociate|allocate|release|run|terminate|modify)_")


def _subnet_users(self: EC2Backend, subnet_id: str) -> list[str]:
    """What has a network interface in a subnet."""
    users = [nat.id for nat in self.nat_gateways.values() if nat.subnet_id == subnet_id and nat.state not in GONE]
    users += [i.id for i in self.all_instances() if i.subnet_id == subnet_id and i.state not in GONE]
    balancers = elbv2_backends[self.account_id][self.region_name].load_balancers.values()
    users += [lb.name for lb in balancers if subnet_id in [subnet.id for subnet in lb.subnets]]
    clusters = eks_backends[self.account_id][self.region_name].clusters.values()
    users += [c.name for c in clusters if subnet_id in c.resources_vpc_config["subnetIds"] and c.status != "GONE"]
    return users + endpoints.users_of_subnet(self, subnet_id)


_delete_subnet = EC2Backend.delete_subnet


def delete_subnet(self: EC2Backend, subnet_id: str) -> Any:
    """DeleteSubnet: "You must terminate all running instances in the subnet", and any other network interface."""
    if _subnet_users(self, subnet_id):
        raise DependencyViolationError(f"The subnet '{subnet_id}' has dependencies and cannot be deleted.")
    return _delete_subnet(self, subnet_id)


_detach_internet_gateway = EC2Backend.detach_internet_gateway


def detach_internet_gateway(self: EC2Backend, internet_gateway_id: str, vpc_id: str) -> None:
    """DetachInternetGateway: refused while something in the VPC has a public address."""
    public = [nat for nat in self.nat_gateways.values() if nat.vpc_id == vpc_id and nat.state not in GONE]
    balancers = elbv2_backends[self.account_id][self.region_name].load_balancers.values()
    if public or any(lb.vpc_id == vpc_id and lb.scheme == "internet-facing" for lb in balancers):
        raise DependencyViolationError(
            f"Network {vpc_id} has some mapped public address(es). Please unmap those public address(es) before "
            "detaching the gateway."
        )
    _detach_internet_gateway(self, internet_gateway_id, vpc_id)


_delete_security_group = EC2Backend._delete_security_group


def delete_security_group(self: EC2Backend, vpc_id: str | None, group_id: str) -> Any:
    """DeleteSecurityGroup: refused while another group's rule names it, or an endpoint has it."""
    if endpoints.users_of_group(self, group_id):
        raise DependencyViolationError(f"resource {group_id} has a dependent object")
    for group in [g for groups in self.groups.values() for g in groups.values() if g.id != group_id]:
        for rule in [*group.ingress_rules, *group.egress_rules]:
            if rule.source_group.get("GroupId") == group_id:
                raise DependencyViolationError(f"resource {group_id} has a dependent object")
    return _delete_security_group(self, vpc_id, group_id)


_delete_nat_gateway = EC2Backend.delete_nat_gateway


def delete_nat_gateway(self: EC2Backend, nat_gateway_id: str) -> Any:
    """DeleteNatGateway: the address is released from it, not from the account."""
    gateway = self.nat_gateways.get(nat_gateway_id)
    if gateway is None or gateway.state == "deleted":
        raise EC2ClientError("NatGatewayNotFound", f"NAT gateway {nat_gateway_id} was not found")
    for entry in gateway.address_set:
        if entry.get("associationId"):
            self.disassociate_address(association_id=entry["associationId"])
    _delete_nat_gateway(self, nat_gateway_id)
    gateway.state = "deleting"
    return gateway


_create_launch_template = EC2Response.create_launch_template


def create_launch_template(self: EC2Response) -> Any:
    """CreateLaunchTemplate: the template's own tags are no part of its data."""
    result = _create_launch_template(self)
    template = self.ec2_backend.get_launch_template_by_name(self._get_param("LaunchTemplateName"))
    data = template.versions[0].data
    kept = [spec for spec in data.pop("TagSpecifications", []) if spec["ResourceType"] != "launch-template"]
    if kept:
        data["TagSpecifications"] = kept
    return result


def delete_launch_template_versions(self: EC2Response) -> ActionResult:
    """DeleteLaunchTemplateVersions: answered, moto keeps the versions."""
    versions = [{"VersionNumber": int(version)} for version in self._get_param("Versions", [])]
    empty: list[Any] = []
    return ActionResult(
        {"SuccessfullyDeletedLaunchTemplateVersions": versions, "UnsuccessfullyDeletedLaunchTemplateVersions": empty}
    )


_iter_tagged = EC2Backend.iter_tagged_resources


def iter_tagged_resources(self: EC2Backend) -> Iterator[TaggedResource]:
    """What the tagging API lists of EC2: with the kinds that moto leaves out, without what is gone."""
    gone = {nat.id for nat in self.nat_gateways.values() if nat.state in GONE}
    gone |= {instance.id for instance in self.all_instances() if instance.state in GONE}
    for resource in _iter_tagged(self):
        if resource.arn.rpartition("/")[2] not in gone:
            yield resource
    more = {
        "elastic-ip": [address.allocation_id for address in self.addresses if address.allocation_id],
        "vpc-endpoint": list(self.vpc_end_points),
        "launch-template": list(self.launch_templates),
    }
    base = f"arn:aws:ec2:{self.region_name}:{self.account_id}"
    for kind, identifiers in more.items():
        for identifier in identifiers:
            tags = dict(self.tags.get(identifier, {}))
            yield TaggedResource(arn=f"{base}:{kind}/{identifier}", tags=tags, resource_type=f"ec2:{kind}")


def _with_dry_run(function: Any) -> Any:
    def call(self: EC2Response, *args: Any, **kwargs: Any) -> Any:
        # DryRun: the answer is the error DryRunOperation, and nothing happens; moto's CreateVpc makes the VPC.
        self.error_on_dryrun()
        return function(self, *args, **kwargs)

    call.__name__, call.__doc__ = function.__name__, function.__doc__
    return call


def install() -> None:
    """Put all of this into moto."""
    steps = {"pending": "available", "deleting": "deleted"}
    NatGateway.state = Lifecycle("ec2::natgateway", "pending", steps, "failed", lambda gateway: gateway.id)
    ebs.install()
    endpoints.install()
    for function in (delete_subnet, detach_internet_gateway, delete_nat_gateway, iter_tagged_resources):
        setattr(EC2Backend, function.__name__, function)
    EC2Backend._delete_security_group = delete_security_group
    EC2Response.create_launch_template = create_launch_template
    EC2Response.delete_launch_template_versions = delete_launch_template_versions
    for name in [name for name in dir(EC2Response) if CHANGING.match(name)]:
        setattr(EC2Response, name, _with_dry_run(getattr(EC2Response, name)))
    # The names that AWS gives these resource types in tag specifications.
    utils.EC2_PREFIX_TO_RESOURCE.update({"nat": "natgateway", "eipalloc": "elastic-ip"})
