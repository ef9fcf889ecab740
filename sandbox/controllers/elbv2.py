# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Brings a group's load balancer, target groups, listeners, rules and security groups to what its model wants."""

from __future__ import annotations

import dataclasses
import hashlib
import logging
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sandbox.controllers.aws import AwsError, Client, call, pages
from sandbox.controllers.ingress_model import (
    CLUSTER_TAG,
    RESOURCE_TAG,
    STACK_TAG,
    Listener,
    LoadBalancer,
    ModelError,
    Rule,
    TargetGroup,
)

MANAGED_DESCRIPTION = "[k8s] Managed SecurityGroup for LoadBalancer"
BACKEND_DESCRIPTION = "[k8s] Shared Backend SecurityGroup for LoadBalancer"
BACKEND_RULE = "elbv2.k8s.aws/targetGroupBinding=shared"
BACKEND_TAG = ("elbv2.k8s.aws/resource", "backend-sg")
LOAD_BALANCER_RESOURCE, SECURITY_GROUP_RESOURCE = "LoadBalancer", "ManagedLBSecurityGroup"
# An ALB needs two zones.
LEAST_SUBNETS = 2
TAGS_AT_ONCE = 20
Found = dict[str, Any]
log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Clients:
    """Clients with the controller's own credentials, and where it works."""

    elbv2: Client
    ec2: Client
    acm: Client
    wafv2: Client
    cluster: str
    vpc: str


@dataclasses.dataclass(frozen=True)
class Deployed:
    """What stands in AWS for a model: the DNS name, and the ARN of each target group by its name."""

    dns_name: str
    target_groups: Mapping[str, str]


def certificate_domains(clients: Clients) -> dict[str, list[str]]:
    """The domains of every issued ACM certificate by ARN. Raises AwsError."""
    found = pages("acm", clients.acm, "list_certificates", "CertificateSummaryList", CertificateStatuses=["ISSUED"])
    domains = {}
    for summary in found:
        arn = summary["CertificateArn"]
        detail = call("acm", clients.acm.describe_certificate, {"CertificateArn": arn})["Certificate"]
        domains[arn] = list(detail.get("SubjectAlternativeNames") or [detail["DomainName"]])
    return domains


def deploy(clients: Clients, model: LoadBalancer, subnets: Sequence[str]) -> Deployed:
    """Make AWS like the model. Raises AwsError."""
    return _Deployment(clients, model.stack, model.tags).deploy(model, subnets)


def remove(clients: Clients, stack: str) -> None:
    """Delete everything that carries the stack's tag. Raises AwsError."""
    _Deployment(clients, stack, {}).remove()


def resolve_subnets(clients: Clients, model: LoadBalancer) -> list[str]:
    """The subnets for a model: those of the annotation by id or Name, or discovered by role tag; one a zone.

    Raises AwsError, and ModelError when they are not enough.
    """
    in_vpc = [{"Name": "vpc-id", "Values": [clients.vpc]}]
    every = pages("ec2", clients.ec2, "describe_subnets", "Subnets", Filters=in_vpc)
    if model.subnets:
        chosen = [_named_subnet(every, name) for name in model.subnets]
    else:
        chosen = _discovered(every, clients, model.scheme)
    zones: dict[str, str] = {}
    for subnet in sorted(chosen, key=lambda item: str(item["SubnetId"])):
        if model.subnets and subnet["AvailabilityZone"] in zones:
            raise ModelError(f"multiple subnets in same Availability Zone {subnet['AvailabilityZone']}")
        zones.setdefault(subnet["AvailabilityZone"], subnet["SubnetId"])
    if len(zones) < LEAST_SUBNETS:
        prefix = "" if model.subnets else "couldn't auto-discover subnets: "
        raise ModelError(f"{prefix}subnets count less than minimal required count: {len(zones)} < {LEAST_SUBNETS}")
    return sorted(zones.values())


def _named_subnet(every: Iterable[Found], name: str) -> Found:
    for subnet in every:
        if name in {subnet["SubnetId"], tags_of(subnet).get("Name")}:
            return subnet
    raise ModelError(f"subnet ID not found: {name}" if name.startswith("subnet-") else f"subnet Name not found: {name}")


def _discovered(every: Sequence[Found], clients: Clients, scheme: str) -> list[Found]:
    role = "kubernetes.io/role/" + ("elb" if scheme == "internet-facing" else "internal-elb")
    tagged = [subnet for subnet in every if tags_of(subnet).get(role) in {"", "1"}]
    candidates = tagged or _reachable(every, clients, scheme == "internet-facing")
    own = f"kubernetes.io/cluster/{clients.cluster}"
    foreign = [subnet for subnet in candidates if _for_others(tags_of(subnet), own)]
    usable = [subnet for subnet in candidates if subnet not in foreign]
    if not usable:
        raise ModelError(
            f"couldn't auto-discover subnets: unable to resolve at least one subnet. Evaluated {len(candidates)} "
            f"subnets: {len(foreign)} are tagged for other clusters, and 0 have insufficient available IP addresses"
        )
    return usable


def _for_others(tags: Mapping[str, str], own: str) -> bool:
    return own not in tags and any(key.startswith("kubernetes.io/cluster/") for key in tags)


def _reachable(every: Iterable[Found], clients: Clients, public: bool) -> list[Found]:
    filters = [{"Name": "vpc-id", "Values": [clients.vpc]}]
    tables = pages("ec2", clients.ec2, "describe_route_tables", "RouteTables", Filters=filters)
    main: Found = {}
    by_subnet = {}
    for table in tables:
        for association in table.get("Associations") or []:
            if association.get("Main"):
                main = table
            elif "SubnetId" in association:
                by_subnet[association["SubnetId"]] = table

    def is_public(subnet: Found) -> bool:
        routes = by_subnet.get(subnet["SubnetId"], main).get("Routes") or []
        return any(str(route.get("GatewayId", "")).startswith("igw-") for route in routes)

    return [subnet for subnet in every if is_public(subnet) == public]


class _Deployment:
    def __init__(self, clients: Clients, stack: str, tags: Mapping[str, str]) -> None:
        self._clients = clients
        self._elbv2, self._ec2 = clients.elbv2, clients.ec2
        self._stack_tags = {CLUSTER_TAG: clients.cluster, STACK_TAG: stack}
        self._tags = tags

    # Finding and tagging

    def _own(self, kind: str, key: str, arn_key: str) -> list[tuple[Found, dict[str, str]]]:
        """Load balancers or target groups with the stack's tags, each with its tags."""
        every = pages("elbv2", self._elbv2, kind, key)
        tags: dict[str, dict[str, str]] = {}
        for start in range(0, len(every), TAGS_AT_ONCE):
            arns = [item[arn_key] for item in every[start : start + TAGS_AT_ONCE]]
            answer = call("elbv2", self._elbv2.describe_tags, {"ResourceArns": arns})
            tags.update({item["ResourceArn"]: tags_of(item) for item in answer["TagDescriptions"]})
        found = [(item, tags.get(item[arn_key], {})) for item in every]
        return [pair for pair in found if self._stack_tags.items() <= pair[1].items()]

    def _all_tags(self, resource: str, more: Mapping[str, str] | None = None) -> list[dict[str, str]]:
        found = {**self._tags, **(more or {}), **self._stack_tags, RESOURCE_TAG: resource}
        return [{"Key": key, "Value": found[key]} for key in sorted(found)]

    def _retag(self, arn: str, actual: Mapping[str, str], wanted: list[dict[str, str]]) -> None:
        values = {tag["Key"]: tag["Value"] for tag in wanted}
        if changed := [tag for tag in wanted if actual.get(tag["Key"]) != tag["Value"]]:
            call("elbv2", self._elbv2.add_tags, {"ResourceArns": [arn], "Tags": changed})
        if gone := sorted(set(actual) - set(values)):
            call("elbv2", self._elbv2.remove_tags, {"ResourceArns": [arn], "TagKeys": gone})

    # The whole

    def deploy(self, model: LoadBalancer, subnets: Sequence[str]) -> Deployed:
        groups = list(model.security_groups) or self._security_groups(model)
        balancer = self._load_balancer(model, subnets, groups)
        arn = balancer["LoadBalancerArn"]
        before = {item["TargetGroupName"]: (item, tags) for item, tags in self._target_groups()}
        arns = {group.name: self._target_group(group, before.get(group.name)) for group in model.target_groups}
        self._listeners(arn, model.listeners, arns)
        for name in sorted(set(before) - set(arns)):
            call("elbv2", self._elbv2.delete_target_group, {"TargetGroupArn": before[name][0]["TargetGroupArn"]})
        for group in model.target_groups:
            self._targets(arns[group.name], group)
        self._web_acl(arn, model.web_acl_arn)
        return Deployed(str(balancer["DNSName"]).lower(), arns)

    def remove(self) -> None:
        for balancer, _ in self._own("describe_load_balancers", "LoadBalancers", "LoadBalancerArn"):
            arn = balancer["LoadBalancerArn"]
            for listener in pages("elbv2", self._elbv2, "describe_listeners", "Listeners", LoadBalancerArn=arn):
                call("elbv2", self._elbv2.delete_listener, {"ListenerArn": listener["ListenerArn"]})
            call("elbv2", self._elbv2.delete_load_balancer, {"LoadBalancerArn": arn})
        for group, _ in self._target_groups():
            call("elbv2", self._elbv2.delete_target_group, {"TargetGroupArn": group["TargetGroupArn"]})
        for group in self._find_groups({**self._stack_tags, RESOURCE_TAG: SECURITY_GROUP_RESOURCE}):
            call("ec2", self._ec2.delete_security_group, {"GroupId": group["GroupId"]})

    def _target_groups(self) -> list[tuple[Found, dict[str, str]]]:
        return self._own("describe_target_groups", "TargetGroups", "TargetGroupArn")

    # Load balancer

    def _load_balancer(self, model: LoadBalancer, subnets: Sequence[str], groups: Sequence[str]) -> Found:
        tags = self._all_tags(LOAD_BALANCER_RESOURCE)
        own = self._own("describe_load_balancers", "LoadBalancers", "LoadBalancerArn")
        same = [(item, found) for item, found in own if item["Scheme"] == model.scheme]
        for item, _ in own:
            if item not in [kept for kept, _ in same[:1]]:
                call("elbv2", self._elbv2.delete_load_balancer, {"LoadBalancerArn": item["LoadBalancerArn"]})
        if not same:
            wanted = {
                "Name": model.name,
                "Type": "application",
                "Scheme": model.scheme,
                "IpAddressType": "ipv4",
                "Subnets": list(subnets),
                "SecurityGroups": list(groups),
                "Tags": tags,
            }
            balancer = call("elbv2", self._elbv2.create_load_balancer, wanted)["LoadBalancers"][0]
            log.info("created load balancer %s", model.name)
        else:
            balancer, actual = same[0]
            self._retag(balancer["LoadBalancerArn"], actual, tags)
            self._place(balancer, subnets, groups)
        if model.attributes:
            attributes = [{"Key": key, "Value": value} for key, value in sorted(model.attributes.items())]
            arguments = {"LoadBalancerArn": balancer["LoadBalancerArn"], "Attributes": attributes}
            call("elbv2", self._elbv2.modify_load_balancer_attributes, arguments)
        return dict(balancer)

    def _place(self, balancer: Found, subnets: Sequence[str], groups: Sequence[str]) -> None:
        arn = balancer["LoadBalancerArn"]
        if {zone["SubnetId"] for zone in balancer["AvailabilityZones"]} != set(subnets):
            call("elbv2", self._elbv2.set_subnets, {"LoadBalancerArn": arn, "Subnets": list(subnets)})
        if set(balancer.get("SecurityGroups") or []) != set(groups):
            arguments = {"LoadBalancerArn": arn, "SecurityGroups": list(groups)}
            call("elbv2", self._elbv2.set_security_groups, arguments)

    def _web_acl(self, arn: str, wanted: str | None) -> None:
        # Without the annotation the controller leaves an association alone; "none" ends it.
        if wanted is None:
            return
        wafv2 = self._clients.wafv2
        actual = call("wafv2", wafv2.get_web_acl_for_resource, {"ResourceArn": arn}).get("WebACL", {}).get("ARN")
        if wanted == "none" and actual:
            call("wafv2", wafv2.disassociate_web_acl, {"ResourceArn": arn})
        elif wanted not in {"none", actual}:
            call("wafv2", wafv2.associate_web_acl, {"WebACLArn": wanted, "ResourceArn": arn})

    # Target groups

    def _target_group(self, group: TargetGroup, before: tuple[Found, dict[str, str]] | None) -> str:
        tags = self._all_tags(group.resource, group.tags)
        if before is None:
            wanted = {
                "Name": group.name,
                "Protocol": group.protocol,
                "ProtocolVersion": "HTTP1",
                "Port": group.port,
                "VpcId": self._clients.vpc,
                "TargetType": "ip",
                "IpAddressType": "ipv4",
                "Tags": tags,
                **group.health_check,
            }
            arn = call("elbv2", self._elbv2.create_target_group, wanted)["TargetGroups"][0]["TargetGroupArn"]
        else:
            found, actual = before
            arn = found["TargetGroupArn"]
            self._retag(arn, actual, tags)
            if any(found.get(key) != value for key, value in group.health_check.items()):
                call("elbv2", self._elbv2.modify_target_group, {"TargetGroupArn": arn, **group.health_check})
        if group.attributes:
            attributes = [{"Key": key, "Value": value} for key, value in sorted(group.attributes.items())]
            arguments = {"TargetGroupArn": arn, "Attributes": attributes}
            call("elbv2", self._elbv2.modify_target_group_attributes, arguments)
        return str(arn)

    def _targets(self, arn: str, group: TargetGroup) -> None:
        answer = call("elbv2", self._elbv2.describe_target_health, {"TargetGroupArn": arn})
        actual = {
            (item["Target"]["Id"], int(item["Target"]["Port"]))
            for item in answer["TargetHealthDescriptions"]
            if item.get("TargetHealth", {}).get("State") != "draining"
        }
        wanted = set(group.targets)
        for difference, method in (
            (wanted - actual, self._elbv2.register_targets),
            (actual - wanted, self._elbv2.deregister_targets),
        ):
            if difference:
                targets = [{"Id": address, "Port": port} for address, port in sorted(difference)]
                call("elbv2", method, {"TargetGroupArn": arn, "Targets": targets})

    # Listeners and rules

    def _listeners(self, balancer: str, wanted: Sequence[Listener], arns: Mapping[str, str]) -> None:
        found = pages("elbv2", self._elbv2, "describe_listeners", "Listeners", LoadBalancerArn=balancer)
        before = {int(item["Port"]): item for item in found}
        for port in sorted(set(before) - {listener.port for listener in wanted}):
            call("elbv2", self._elbv2.delete_listener, {"ListenerArn": before[port]["ListenerArn"]})
        for listener in wanted:
            arn = self._listener(balancer, listener, before.get(listener.port), arns)
            self._extra_certificates(arn, listener)
            self._rules(arn, listener.rules, arns)

    def _listener(self, balancer: str, listener: Listener, before: Found | None, arns: Mapping[str, str]) -> str:
        action = _action(listener.default, arns)
        wanted: Found = {"Protocol": listener.protocol, "DefaultActions": [action]}
        if listener.protocol == "HTTPS":
            wanted["SslPolicy"] = listener.ssl_policy
            wanted["Certificates"] = [{"CertificateArn": arn} for arn in listener.certificates[:1]]
        if before is None:
            # A listener's resource is named by its port.
            tags = self._all_tags(str(listener.port))
            arguments = {"LoadBalancerArn": balancer, "Port": listener.port, "Tags": tags, **wanted}
            return str(call("elbv2", self._elbv2.create_listener, arguments)["Listeners"][0]["ListenerArn"])
        arn = str(before["ListenerArn"])
        certificates = [item["CertificateArn"] for item in before.get("Certificates") or []][:1]
        same = (
            before["Protocol"] == listener.protocol
            and certificates == list(listener.certificates[:1])
            and before.get("SslPolicy") == wanted.get("SslPolicy")
            and _same_action(before["DefaultActions"], action)
        )
        if not same:
            call("elbv2", self._elbv2.modify_listener, {"ListenerArn": arn, "Port": listener.port, **wanted})
        return arn

    def _extra_certificates(self, arn: str, listener: Listener) -> None:
        if listener.protocol != "HTTPS":
            return
        answer = call("elbv2", self._elbv2.describe_listener_certificates, {"ListenerArn": arn})
        default = set(listener.certificates[:1])
        actual = {item["CertificateArn"] for item in answer["Certificates"] if not item.get("IsDefault")} - default
        wanted = set(listener.certificates[1:])
        for difference, method in (
            (wanted - actual, self._elbv2.add_listener_certificates),
            (actual - wanted, self._elbv2.remove_listener_certificates),
        ):
            if difference:
                certificates = [{"CertificateArn": item} for item in sorted(difference)]
                call("elbv2", method, {"ListenerArn": arn, "Certificates": certificates})

    def _rules(self, listener: str, wanted: Sequence[Rule], arns: Mapping[str, str]) -> None:
        answer = call("elbv2", self._elbv2.describe_rules, {"ListenerArn": listener})
        before = {int(rule["Priority"]): rule for rule in answer["Rules"] if not rule.get("IsDefault")}
        for priority in sorted(set(before) - set(range(1, len(wanted) + 1))):
            call("elbv2", self._elbv2.delete_rule, {"RuleArn": before[priority]["RuleArn"]})
        for priority, rule in enumerate(wanted, 1):
            action = _action(rule.action, arns)
            content = {"Conditions": _conditions(rule), "Actions": [action]}
            found = before.get(priority)
            if found is None:
                arguments = {"ListenerArn": listener, "Priority": priority, "Tags": self._all_tags(f"{priority}")}
                call("elbv2", self._elbv2.create_rule, {**arguments, **content})
            elif conditions_of(found) != (rule.hosts, rule.paths) or not _same_action(found["Actions"], action):
                call("elbv2", self._elbv2.modify_rule, {"RuleArn": found["RuleArn"], **content})

    # Security groups

    def _find_groups(self, tags: Mapping[str, str]) -> list[Found]:
        filters = [{"Name": "vpc-id", "Values": [self._clients.vpc]}]
        filters += [{"Name": f"tag:{key}", "Values": [value]} for key, value in tags.items()]
        return pages("ec2", self._ec2, "describe_security_groups", "SecurityGroups", Filters=filters)

    def _new_group(self, name: str, description: str, tags: Mapping[str, str]) -> str:
        pairs = [{"Key": key, "Value": tags[key]} for key in sorted(tags)]
        arguments = {
            "GroupName": name,
            "Description": description,
            "VpcId": self._clients.vpc,
            "TagSpecifications": [{"ResourceType": "security-group", "Tags": pairs}],
        }
        return str(call("ec2", self._ec2.create_security_group, arguments)["GroupId"])

    def _security_groups(self, model: LoadBalancer) -> list[str]:
        tags = {**self._tags, **self._stack_tags, RESOURCE_TAG: SECURITY_GROUP_RESOURCE}
        found = self._find_groups({**self._stack_tags, RESOURCE_TAG: SECURITY_GROUP_RESOURCE})
        group = found[0]["GroupId"] if found else self._new_group(model.name, MANAGED_DESCRIPTION, tags)
        actual = {
            (int(entry.get("FromPort", 0)), block["CidrIp"])
            for entry in (found[0].get("IpPermissions") or [] if found else [])
            for block in entry.get("IpRanges") or []
        }
        wanted = {(listener.port, block) for listener in model.listeners for block in model.inbound_cidrs}
        for difference, method in (
            (wanted - actual, self._ec2.authorize_security_group_ingress),
            (actual - wanted, self._ec2.revoke_security_group_ingress),
        ):
            if difference:
                permissions = [_permission(port, {"IpRanges": [{"CidrIp": cidr}]}) for port, cidr in sorted(difference)]
                call("ec2", method, {"GroupId": group, "IpPermissions": permissions})
        return [str(group), self._backend_group(model)]

    def _backend_group(self, model: LoadBalancer) -> str:
        found = self._find_groups(_backend_tags(self._clients.cluster))
        if found:
            group = str(found[0]["GroupId"])
        else:
            name = backend_group_name(self._clients.cluster)
            tags = {**self._tags, **_backend_tags(self._clients.cluster)}
            group = self._new_group(name, BACKEND_DESCRIPTION, tags)
        ports = {port for item in model.target_groups for _, port in item.targets}
        for nodes in _node_groups(self._clients):
            known = {
                int(entry["FromPort"])
                for entry in nodes.get("IpPermissions") or []
                for pair in entry.get("UserIdGroupPairs") or []
                if pair.get("GroupId") == group
            }
            for port in sorted(ports - known):
                pair = {"GroupId": group, "Description": BACKEND_RULE}
                arguments = {
                    "GroupId": nodes["GroupId"],
                    "IpPermissions": [_permission(port, {"UserIdGroupPairs": [pair]})],
                }
                call("ec2", self._ec2.authorize_security_group_ingress, arguments)
        return group


def release_backend_group(clients: Clients) -> None:
    """Delete the security group that all load balancers of the cluster share, and the nodes' rules for it."""
    filters = [{"Name": f"tag:{key}", "Values": [value]} for key, value in _backend_tags(clients.cluster).items()]
    for group in pages("ec2", clients.ec2, "describe_security_groups", "SecurityGroups", Filters=filters):
        for nodes in _node_groups(clients):
            for entry in nodes.get("IpPermissions") or []:
                pairs = [
                    {key: pair[key] for key in ("GroupId", "Description") if key in pair}
                    for pair in entry.get("UserIdGroupPairs") or []
                    if pair["GroupId"] == group["GroupId"]
                ]
                if pairs:
                    permission = _permission(int(entry["FromPort"]), {"UserIdGroupPairs": pairs})
                    arguments = {"GroupId": nodes["GroupId"], "IpPermissions": [permission]}
                    call("ec2", clients.ec2.revoke_security_group_ingress, arguments)
        call("ec2", clients.ec2.delete_security_group, {"GroupId": group["GroupId"]})


def _node_groups(clients: Clients) -> list[Found]:
    """The security group of the cluster's nodes, which EKS tags."""
    filters = [{"Name": "tag-key", "Values": [f"kubernetes.io/cluster/{clients.cluster}"]}]
    filters.append({"Name": "vpc-id", "Values": [clients.vpc]})
    return pages("ec2", clients.ec2, "describe_security_groups", "SecurityGroups", Filters=filters)


def _backend_tags(cluster: str) -> dict[str, str]:
    return {CLUSTER_TAG: cluster, BACKEND_TAG[0]: BACKEND_TAG[1]}


def backend_group_name(cluster: str) -> str:
    """The name of the shared security group of a cluster."""
    digest = hashlib.sha256(cluster.encode()).hexdigest()[:10]
    return f"k8s-traffic-{re.sub('[^0-9A-Za-z]', '', cluster)[:232]}-{digest}"


def _permission(port: int, source: Mapping[str, Any]) -> Found:
    return {"IpProtocol": "tcp", "FromPort": port, "ToPort": port, **source}


def _action(action: Mapping[str, Any], arns: Mapping[str, str]) -> Found:
    if action["type"] == "forward":
        groups = [{"TargetGroupArn": arns[action["target_group"]]}]
        return {"Type": "forward", "ForwardConfig": {"TargetGroups": groups}}
    if action["type"] == "redirect":
        config = {"Protocol": action["protocol"], "Port": action["port"], "StatusCode": action["status"]}
        return {"Type": "redirect", "RedirectConfig": config}
    config = {"ContentType": action["content_type"], "StatusCode": action["status"]}
    return {"Type": "fixed-response", "FixedResponseConfig": config}


def _conditions(rule: Rule) -> list[Found]:
    found: list[Found] = []
    if rule.hosts:
        found.append({"Field": "host-header", "HostHeaderConfig": {"Values": list(rule.hosts)}})
    if rule.paths:
        found.append({"Field": "path-pattern", "PathPatternConfig": {"Values": list(rule.paths)}})
    return found


def conditions_of(rule: Found) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Hosts and paths of a rule as ELBv2 describes it."""
    found: dict[str, tuple[str, ...]] = {}
    for condition in rule.get("Conditions") or []:
        config = condition.get("HostHeaderConfig") or condition.get("PathPatternConfig") or {}
        found[condition["Field"]] = tuple(config.get("Values") or condition.get("Values") or [])
    return found.get("host-header", ()), found.get("path-pattern", ())


def target_groups_of(action: Found) -> list[tuple[str, int]]:
    """ARN and weight of the target groups that a forward action names, in either of ELBv2's forms."""
    config = (action.get("ForwardConfig") or {}).get("TargetGroups")
    if config:
        return [(item["TargetGroupArn"], int(item.get("Weight", 1))) for item in config]
    return [(action["TargetGroupArn"], 1)] if action.get("TargetGroupArn") else []


def _same_action(actual: Sequence[Found], wanted: Found) -> bool:
    if len(actual) != 1 or actual[0]["Type"] != wanted["Type"]:
        return False
    if wanted["Type"] == "forward":
        return [arn for arn, _ in target_groups_of(actual[0])] == [arn for arn, _ in target_groups_of(wanted)]
    key = "RedirectConfig" if wanted["Type"] == "redirect" else "FixedResponseConfig"
    config: Found = actual[0].get(key) or {}
    return all(str(config.get(name)) == str(value) for name, value in wanted[key].items())


def tags_of(item: Found) -> dict[str, str]:
    """The tags of a resource as EC2 and ELBv2 give them."""
    return {tag["Key"]: tag.get("Value", "") for tag in item.get("Tags") or []}


def instance_vpc(ec2: Client, instance: str) -> str:
    """The VPC of an instance, which the controller learns from the metadata service. Raises AwsError."""
    answer = call("ec2", ec2.describe_instances, {"InstanceIds": [instance]})
    for reservation in answer["Reservations"]:
        for found in reservation["Instances"]:
            return str(found["VpcId"])
    raise AwsError(f"failed to get VPC ID from instance {instance}")
