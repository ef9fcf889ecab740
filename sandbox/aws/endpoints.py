# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stand-in for interface endpoints, which moto only records: they take time, await acceptance, and their names resolve.

One service of another account is known: the managed ClickHouse that the setting `managed_clickhouse` names. Where its
names resolve to in pods is the setting's address, as no traffic goes through an endpoint here.
"""

from __future__ import annotations

import secrets
import time
from typing import Any

from moto.core.responses import ActionResult
from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models import EC2Backend
from moto.ec2.models.vpcs import VPCEndPoint
from moto.ec2.responses import EC2Response

from sandbox import state
from sandbox.aws import states

SETTING = "managed_clickhouse"
KIND = "ec2::vpcendpoint"
# Another account's, as AWS shows it.
OWNER = "555555555555"
HOSTS = "hosts.json"
PRIVATE_LINK = "com.amazonaws.vpce."


def managed() -> dict[str, Any]:
    """The managed ClickHouse: service_name, private_dns_name, address, accept, zones (by default all of the region);
    empty when the settings name none."""
    return dict(state.settings().get(SETTING) or {})


def _zones(backend: EC2Backend) -> list[str]:
    return managed().get("zones") or [zone.name for zone in backend.describe_availability_zones()]


def _refuse_zones(backend: EC2Backend, service_name: str, subnet_ids: list[str]) -> None:
    if service_name != managed().get("service_name"):
        return
    zones = _zones(backend)
    for subnet in subnet_ids:
        if backend.get_subnet(subnet).availability_zone not in zones:
            text = f"The VPC endpoint service {service_name} does not support the availability zone of the subnet"
            raise EC2ClientError("InvalidParameter", f"{text}: {subnet}.")


class State:
    """pendingAcceptance until the owner of the service accepts, pending for a while, available; a gateway at once."""

    def __get__(self, endpoint: Any, owner: type | None = None) -> Any:
        if endpoint is None:
            return self
        life = endpoint.__dict__["_life"]
        return states.steady(life, lambda: self._look(endpoint, life))

    def _look(self, endpoint: Any, life: states.Life) -> str:
        if life["state"] != "available" or endpoint.vpc_endpoint_type.lower() != "interface":
            return str(life["state"])
        offer = managed()
        if endpoint.service_name == offer.get("service_name") and not offer.get("accept", True):
            return "pendingAcceptance"
        over = not states.held(life) and time.time() >= life["since"] + states.delay(KIND)
        return "available" if over else "pending"

    def __set__(self, endpoint: Any, value: str) -> None:
        life = {"state": value, "since": time.time()}
        states.begin(life)
        endpoint.__dict__["_life"] = life


_create = EC2Backend.create_vpc_endpoint


def create_vpc_endpoint(
    self: EC2Backend, vpc_id: str, service_name: str, endpoint_type: str | None, *args: Any, **kwargs: Any
) -> Any:
    """CreateVpcEndpoint: an interface has addresses of its subnets, its security groups, and names."""
    offer = managed()
    foreign = service_name.startswith(PRIVATE_LINK)
    own = [item.service_name for item in self.configurations.values()]
    if foreign and service_name not in {offer.get("service_name"), *own}:
        raise EC2ClientError("InvalidServiceName", f"The Vpc Endpoint Service '{service_name}' does not exist")
    if foreign and kwargs.get("private_dns_enabled") and not offer.get("private_dns_name"):
        text = f"Private DNS can't be enabled because the service {service_name} does not provide a private DNS name."
        raise EC2ClientError("InvalidParameter", text)
    _refuse_zones(self, service_name, kwargs.get("subnet_ids") or [])
    endpoint = _create(self, vpc_id, service_name, endpoint_type or "Gateway", *args, **kwargs)
    if endpoint.vpc_endpoint_type.lower() != "interface":
        return endpoint
    groups = endpoint.security_group_ids or [self.get_default_security_group(vpc_id).id]
    endpoint.security_group_ids = groups
    for identifier in endpoint.network_interface_ids:
        self.enis.pop(identifier, None)
    interfaces = [_interface(self, endpoint, subnet, groups) for subnet in endpoint.subnet_ids or []]
    endpoint.network_interface_ids = [interface.id for interface in interfaces]
    endpoint.dns_entries = _names(self, endpoint, interfaces)
    publish(self)
    return endpoint


def _interface(backend: EC2Backend, endpoint: VPCEndPoint, subnet_id: str, groups: list[str]) -> Any:
    subnet = backend.get_subnet(subnet_id)
    address = subnet.get_available_subnet_ip(endpoint)
    about = f"VPC Endpoint Interface {endpoint.id}"
    interface = backend.create_network_interface(subnet, address, group_ids=groups, description=about)
    interface.interface_type, interface.requester_managed, interface.status = "vpc_endpoint", True, "in-use"
    return interface


def _names(backend: EC2Backend, endpoint: VPCEndPoint, interfaces: list[Any]) -> list[dict[str, str]]:
    service, region = endpoint.service_name.rpartition(".")[2], backend.region_name
    domain = f"{service}.{region}.vpce.amazonaws.com"
    base, zone_id = f"{endpoint.id}-{secrets.token_hex(4)}", "Z7HUB22UULQXV"
    zones = sorted({interface.subnet.availability_zone for interface in interfaces})
    names = [f"{base}.{domain}", *[f"{base}-{zone}.{domain}" for zone in zones]]
    private = _private_name(endpoint)
    return [{"dns_name": name, "hosted_zone_id": zone_id} for name in [*names, *([private] if private else [])]]


def _private_name(endpoint: VPCEndPoint) -> str:
    """The name by which everybody knows the service, when the endpoint answers to it."""
    offer = managed()
    if endpoint.private_dns_enabled and endpoint.service_name == offer.get("service_name"):
        return str(offer.get("private_dns_name") or "")
    return ""


def publish(backend: EC2Backend) -> None:
    """Let the names of the managed ClickHouse's available endpoints resolve in pods, and no others of them."""
    offer = managed()
    address = offer.get("address")
    if not address:
        return
    ours = [item for item in backend.vpc_end_points.values() if item.service_name == offer["service_name"]]
    open_ones = [item for item in ours if item.state == "available"]
    wanted = {entry["dns_name"]: address for item in open_ones for entry in item.dns_entries or []}
    gone = {entry["dns_name"] for item in ours for entry in item.dns_entries or []} | {offer.get("private_dns_name")}
    with state.update_json(HOSTS, {}) as hosts:
        for name in gone:
            hosts.pop(name, None)
        hosts.update(wanted)


_describe = EC2Backend.describe_vpc_endpoints


def describe_vpc_endpoints(self: EC2Backend, *args: Any, **kwargs: Any) -> Any:
    """DescribeVpcEndpoints: by now one may have become available."""
    publish(self)
    return _describe(self, *args, **kwargs)


_delete = EC2Backend.delete_vpc_endpoints


def delete_vpc_endpoints(self: EC2Backend, vpce_ids: list[str] | None = None) -> None:
    """DeleteVpcEndpoints: its names resolve no longer."""
    _delete(self, vpce_ids)
    publish(self)


_modify_call = EC2Response.modify_vpc_endpoint


def modify_vpc_endpoint(self: EC2Response) -> Any:
    """ModifyVpcEndpoint: with private DNS and the zones of the service, which moto does not look at."""
    known = self.ec2_backend.get_vpc_end_point(self._get_param("VpcEndpointId"))
    _refuse_zones(self.ec2_backend, known.service_name, self._get_param("AddSubnetIds", []))
    result = _modify_call(self)
    wanted = self._get_bool_param("PrivateDnsEnabled", if_none=None)
    if wanted is not None:
        endpoint = self.ec2_backend.get_vpc_end_point(self._get_param("VpcEndpointId"))
        endpoint.private_dns_enabled = wanted
        interfaces = [self.ec2_backend.enis[item] for item in endpoint.network_interface_ids]
        endpoint.dns_entries = _names(self.ec2_backend, endpoint, interfaces)
        publish(self.ec2_backend)
    return result


_describe_services = EC2Response.describe_vpc_endpoint_services


def describe_vpc_endpoint_services(self: EC2Response) -> Any:
    """DescribeVpcEndpointServices: with the managed ClickHouse, when it is asked for by its name."""
    offer, asked = managed(), self._get_param("ServiceNames", [])
    if not offer or asked != [offer.get("service_name")]:
        return _describe_services(self)
    name = str(offer["service_name"])
    detail = {
        "ServiceName": name,
        "ServiceId": name.rpartition(".")[2],
        "ServiceType": [{"ServiceType": "Interface"}],
        "AvailabilityZones": _zones(self.ec2_backend),
        "Owner": OWNER,
        "BaseEndpointDnsNames": [f"{name.rpartition('.')[2]}.{self.region}.vpce.amazonaws.com"],
        "VpcEndpointPolicySupported": False,
        "AcceptanceRequired": True,
        "ManagesVpcEndpoints": False,
    }
    if offer.get("private_dns_name"):
        detail["PrivateDnsName"] = offer["private_dns_name"]
        detail["PrivateDnsNameVerificationState"] = "verified"
    return ActionResult({"ServiceNames": [name], "ServiceDetails": [detail]})


def users_of_group(backend: EC2Backend, group_id: str) -> list[str]:
    """The endpoints that a security group is attached to."""
    living = [item for item in backend.vpc_end_points.values() if item.state != "deleted"]
    return [item.id for item in living if group_id in (item.security_group_ids or [])]


def users_of_subnet(backend: EC2Backend, subnet_id: str) -> list[str]:
    """The endpoints that have an address of a subnet."""
    living = [item for item in backend.vpc_end_points.values() if item.state != "deleted"]
    return [item.id for item in living if subnet_id in (item.subnet_ids or [])]


def install() -> None:
    """Put all of this into moto."""
    VPCEndPoint.state = State()
    for function in (create_vpc_endpoint, describe_vpc_endpoints, delete_vpc_endpoints):
        setattr(EC2Backend, function.__name__, function)
    EC2Response.modify_vpc_endpoint = modify_vpc_endpoint
    EC2Response.describe_vpc_endpoint_services = describe_vpc_endpoint_services
