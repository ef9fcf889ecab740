# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the AWS Load Balancer Controller makes of Ingresses, without a call: groups, listeners, rules, target groups."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from sandbox.controllers.kubernetes import Object, annotations_of, named

PREFIX = "alb.ingress.kubernetes.io/"
CONTROLLER = "ingress.k8s.aws/alb"
CLASS_ANNOTATION = "kubernetes.io/ingress.class"
IMPLICIT_FINALIZER, EXPLICIT_FINALIZER = "ingress.k8s.aws/resources", "group.ingress.k8s.aws/"
CLUSTER_TAG, STACK_TAG, RESOURCE_TAG = "elbv2.k8s.aws/cluster", "ingress.k8s.aws/stack", "ingress.k8s.aws/resource"
DEFAULT_SSL_POLICY = "ELBSecurityPolicy-2016-08"
NOT_FOUND = {"type": "fixed-response", "content_type": "text/plain", "status": "404", "body": ""}


class ModelError(Exception):
    """Ingresses from which no load balancer can be made; the message is the controller's."""


@dataclasses.dataclass(frozen=True)
class GroupId:
    """An explicit group has no namespace; an implicit one is an Ingress by itself."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}" if self.namespace else self.name

    @property
    def finalizer(self) -> str:
        return IMPLICIT_FINALIZER if self.namespace else f"{EXPLICIT_FINALIZER}{self.name}"


@dataclasses.dataclass
class Group:
    """The Ingresses of a load balancer, and those that left it and still hold its finalizer."""

    id: GroupId
    members: list[Object] = dataclasses.field(default_factory=list)
    inactive: list[Object] = dataclasses.field(default_factory=list)


@dataclasses.dataclass(frozen=True)
class TargetGroup:
    """`targets` are (address, port) of ready pods; the health check is in ELBv2's own words."""

    name: str
    resource: str
    port: int
    protocol: str
    health_check: Mapping[str, Any]
    attributes: Mapping[str, str]
    tags: Mapping[str, str]
    namespace: str
    service: str
    service_port: int | str
    targets: tuple[tuple[str, int], ...]


@dataclasses.dataclass(frozen=True)
class Rule:
    """Actions are dicts; a forward names its target group by `target_group`."""

    hosts: tuple[str, ...]
    paths: tuple[str, ...]
    action: Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class Listener:
    """A port with certificate ARNs (the first is the default), rules by priority and a default action."""

    port: int
    protocol: str
    certificates: tuple[str, ...]
    ssl_policy: str | None
    default: Mapping[str, Any]
    rules: tuple[Rule, ...]


@dataclasses.dataclass(frozen=True)
class LoadBalancer:
    """Everything wanted for a group. `subnets` are ids or names an annotation gives; empty means discovery."""

    name: str
    stack: str
    scheme: str
    subnets: tuple[str, ...]
    security_groups: tuple[str, ...]
    inbound_cidrs: tuple[str, ...]
    attributes: Mapping[str, str]
    tags: Mapping[str, str]
    web_acl_arn: str | None
    listeners: tuple[Listener, ...]
    target_groups: tuple[TargetGroup, ...]


@dataclasses.dataclass(frozen=True)
class World:
    """What the model looks up: Services and EndpointSlices by namespace and name, the parameters of classes."""

    cluster: str
    service: Callable[[str, str], Object | None]
    endpoint_slices: Callable[[str, str], Iterable[Object]]
    class_parameters: Callable[[Object], Object]
    default_tags: Mapping[str, str] = dataclasses.field(default_factory=dict)


def groups(ingresses: Iterable[Object], ours: Callable[[Object], bool]) -> list[Group]:
    """Ingresses by group; `ours` tells whether an Ingress has a class of this controller. Raises ModelError."""
    found: dict[GroupId, Group] = {}
    for ingress in ingresses:
        active = ours(ingress) and not ingress["metadata"].get("deletionTimestamp")
        mine = group_id(ingress)
        if active:
            found.setdefault(mine, Group(mine)).members.append(ingress)
        for finalizer in ingress["metadata"].get("finalizers") or []:
            held = _held(ingress, finalizer)
            if held and not (active and held == mine):
                found.setdefault(held, Group(held)).inactive.append(ingress)
    for group in found.values():
        group.members.sort(key=lambda item: (int(_annotation(item, "group.order") or 0), named(item)))
    return sorted(found.values(), key=lambda group: str(group.id))


def group_id(ingress: Object) -> GroupId:
    """The group that an Ingress says it is in."""
    name = _annotation(ingress, "group.name")
    metadata = ingress["metadata"]
    return GroupId("", name) if name else GroupId(metadata["namespace"], metadata["name"])


def _held(ingress: Object, finalizer: str) -> GroupId | None:
    if finalizer == IMPLICIT_FINALIZER:
        return GroupId(ingress["metadata"]["namespace"], ingress["metadata"]["name"])
    if finalizer.startswith(EXPLICIT_FINALIZER):
        return GroupId("", finalizer.removeprefix(EXPLICIT_FINALIZER))
    return None


def build(group: Group, world: World, discover: Callable[[Sequence[str]], Sequence[str]]) -> LoadBalancer:
    """The load balancer of a group with members. `discover` gives the ACM certificates for hosts. Raises ModelError."""
    return _Builder(group, world, discover).build()


class _Builder:
    def __init__(self, group: Group, world: World, discover: Callable[[Sequence[str]], Sequence[str]]) -> None:
        self._group, self._world, self._discover = group, world, discover
        self._targets: dict[str, TargetGroup] = {}

    def build(self) -> LoadBalancer:
        ports = self._ports()
        scheme = self._same("scheme", "scheme") or "internal"
        if scheme not in {"internal", "internet-facing"}:
            raise ModelError(f"unknown scheme: {scheme}")
        redirect = self._redirect(ports)
        listeners = [self._listener(port, *ports[port], redirect) for port in sorted(ports)]
        return LoadBalancer(
            name=self._name(scheme),
            stack=str(self._group.id),
            scheme=scheme,
            subnets=tuple(_list(self._same("subnets", "subnets") or "")),
            security_groups=tuple(_list(self._same("security-groups", "security groups") or "")),
            inbound_cidrs=tuple(_list(self._same("inbound-cidrs", "inbound-cidrs") or "0.0.0.0/0")),
            attributes=_pairs(self._same("load-balancer-attributes", "attributes") or ""),
            tags=self._group_tags(self._group.members),
            web_acl_arn=self._same("wafv2-acl-arn", "WAFv2 WebACL"),
            listeners=tuple(listeners),
            target_groups=tuple(self._targets.values()),
        )

    def _value(self, ingress: Object, name: str) -> str | None:
        """A setting: the IngressClassParams' where it has it, else the annotation's."""
        parameters = self._world.class_parameters(ingress)
        fields = {"scheme": "scheme", "ssl-policy": "sslPolicy", "target-type": "targetType"}
        if parameters.get(fields.get(name, "")):
            return str(parameters[fields[name]])
        return _annotation(ingress, name)

    def _same(self, name: str, what: str) -> str | None:
        """A setting of the whole group. Raises ModelError when members differ."""
        values = {value for item in self._group.members if (value := self._value(item, name)) is not None}
        if len(values) > 1:
            raise ModelError(f"conflicting {what}: {sorted(values)}")
        return values.pop() if values else None

    def _ports(self) -> dict[int, tuple[str, list[Object], list[str]]]:
        """Protocol, Ingresses and certificate ARNs by port."""
        found: dict[int, tuple[str, list[Object], list[str]]] = {}
        for ingress in self._group.members:
            explicit = _list(_annotation(ingress, "certificate-arn") or "")
            explicit = self._world.class_parameters(ingress).get("certificateArn") or explicit
            wanted = listen_ports(ingress, bool(explicit))
            secure = "HTTPS" in wanted.values()
            certificates = list(explicit or (self._discover(hosts_of(ingress)) if secure else []))
            for port, protocol in wanted.items():
                known = found.setdefault(port, (protocol, [], []))
                if known[0] != protocol:
                    raise ModelError(
                        f"failed to merge listenPort config for port: {port}: conflicting protocol, "
                        f"{named(known[1][0])}: {known[0]} | {named(ingress)}: {protocol}"
                    )
                known[1].append(ingress)
                if protocol == "HTTPS":
                    known[2].extend(arn for arn in certificates if arn not in known[2])
        return found

    def _redirect(self, ports: Mapping[int, Any]) -> Mapping[str, Any] | None:
        port = self._same("ssl-redirect", "sslRedirect port")
        if port is None:
            return None
        if int(port) not in ports:
            raise ModelError(f"listener does not exist for SSLRedirect port: {port}")
        if ports[int(port)][0] != "HTTPS":
            raise ModelError(f"listener protocol non-SSL for SSLRedirect port: {port}")
        return {"type": "redirect", "protocol": "HTTPS", "port": port, "status": "HTTP_301"}

    def _listener(
        self, port: int, protocol: str, ingresses: list[Object], certificates: list[str], redirect: Any
    ) -> Listener:
        policy = (self._same("ssl-policy", "sslPolicy") or DEFAULT_SSL_POLICY) if protocol == "HTTPS" else None
        if redirect and protocol == "HTTP":
            return Listener(port, protocol, (), None, redirect, ())
        default: Mapping[str, Any] = NOT_FOUND
        owners = [item for item in ingresses if item["spec"].get("defaultBackend")]
        if len(owners) > 1:
            raise ModelError(f"multiple ingress defined default backend: {[named(item) for item in owners]}")
        if owners:
            default = self._forward(owners[0], owners[0]["spec"]["defaultBackend"])
        rules = [rule for ingress in ingresses for rule in self._rules(ingress)]
        return Listener(port, protocol, tuple(certificates), policy, default, tuple(rules))

    def _rules(self, ingress: Object) -> list[Rule]:
        found = []
        for rule in ingress["spec"].get("rules") or []:
            hosts = (rule["host"],) if rule.get("host") else ()
            paths = sorted_paths((rule.get("http") or {}).get("paths") or [])
            found += [Rule(hosts, path_patterns(path), self._forward(ingress, path["backend"])) for path in paths]
        return found

    def _forward(self, ingress: Object, backend: Object) -> Mapping[str, Any]:
        try:
            return {"type": "forward", "target_group": self._target_group(ingress, backend).name}
        except ModelError as error:
            raise ModelError(f"ingress: {named(ingress)}: {error}") from error

    def _target_group(self, ingress: Object, backend: Object) -> TargetGroup:
        reference = backend.get("service")
        if not reference:
            raise ModelError('missing required "service" field')
        namespace, name = ingress["metadata"]["namespace"], reference["name"]
        port = reference["port"].get("name") or reference["port"].get("number")
        resource = f"{named(ingress)}-{name}:{port}"
        if resource not in self._targets:
            service = self._world.service(namespace, name)
            if service is None:
                raise ModelError(f'Service "{name}" not found')
            self._targets[resource] = self._new_target_group(ingress, service, port, resource)
        return self._targets[resource]

    def _new_target_group(self, ingress: Object, service: Object, port: int | str, resource: str) -> TargetGroup:
        settings = {**annotations_of(service), **annotations_of(ingress)}
        kind = self._value(ingress, "target-type") or settings.get(f"{PREFIX}target-type", "instance")
        if kind != "ip":
            raise ModelError(f"this stand-in has the target type ip only, not {kind}; set {PREFIX}target-type: ip")
        found = service_port(service, port)
        target = found.get("targetPort", found["port"])
        number = target if isinstance(target, int) else 1
        protocol = settings.get(f"{PREFIX}backend-protocol", "HTTP")
        name = self._target_group_name(ingress, service, str(port), number, protocol)
        slices = self._world.endpoint_slices(service["metadata"]["namespace"], service["metadata"]["name"])
        return TargetGroup(
            name=name,
            resource=resource,
            port=number,
            protocol=protocol,
            health_check=health_check(settings, protocol),
            attributes=_pairs(settings.get(f"{PREFIX}target-group-attributes", "")),
            tags={**self._group_tags([ingress]), **_pairs(annotations_of(service).get(f"{PREFIX}tags", ""))},
            namespace=service["metadata"]["namespace"],
            service=service["metadata"]["name"],
            service_port=port,
            targets=ready_targets(slices, found),
        )

    def _group_tags(self, members: Iterable[Object]) -> dict[str, str]:
        found: dict[str, str] = {}
        for item in members:
            for key, value in _pairs(_annotation(item, "tags") or "").items():
                if found.get(key, value) != value:
                    raise ModelError(f"conflicting tag {key}: {found[key]} | {value}")
                found[key] = value
        return {**self._world.default_tags, **found}

    def _name(self, scheme: str) -> str:
        explicit = self._same("load-balancer-name", "load balancer name")
        if explicit and len(explicit) > 32:
            raise ModelError("load balancer name cannot be longer than 32 characters")
        return explicit or resource_name(self._group.id, self._world.cluster, str(self._group.id), scheme)

    def _target_group_name(self, ingress: Object, service: Object, port: str, number: int, protocol: str) -> str:
        metadata, of = ingress["metadata"], service["metadata"]
        words = [self._world.cluster, str(self._group.id), metadata["namespace"], metadata["name"], of["uid"]]
        digest = _digest(*words, port, str(number), "ip", protocol, "HTTP1")
        return f"k8s-{_plain(of['namespace'])[:8]}-{_plain(of['name'])[:8]}-{digest}"


def resource_name(group: GroupId, *hashed: str) -> str:
    """The name that the controller gives a group's load balancer or security group, of 32 characters at most."""
    digest = _digest(*hashed)
    if not group.namespace:
        return f"k8s-{_plain(group.name)[:17]}-{digest}"
    return f"k8s-{_plain(group.namespace)[:8]}-{_plain(group.name)[:8]}-{digest}"


def listen_ports(ingress: Object, prefer_tls: bool) -> dict[int, str]:
    """Protocol by port of the annotation listen-ports. Raises ModelError."""
    raw = _annotation(ingress, "listen-ports")
    if raw is None:
        return {443: "HTTPS"} if prefer_tls else {80: "HTTP"}
    try:
        entries = [(protocol, int(port)) for entry in json.loads(raw) for protocol, port in entry.items()]
    except (ValueError, TypeError, AttributeError) as error:
        message = f"ingress: {named(ingress)}: failed to parse listen-ports configuration: `{raw}`: {error}"
        raise ModelError(message) from error
    if not entries:
        raise ModelError(f"ingress: {named(ingress)}: empty listen-ports configuration: `{raw}`")
    for protocol, port in entries:
        if protocol not in {"HTTP", "HTTPS"}:
            raise ModelError(f"ingress: {named(ingress)}: listen protocol must be within [HTTP, HTTPS]: {protocol}")
        if not 1 <= port <= 65535:
            raise ModelError(f"ingress: {named(ingress)}: listen port must be within [1, 65535]: {port}")
    return {port: protocol for protocol, port in entries}


def hosts_of(ingress: Object) -> list[str]:
    """The hosts for which certificates are looked for."""
    hosts = {rule["host"] for rule in ingress["spec"].get("rules") or [] if rule.get("host")}
    for entry in ingress["spec"].get("tls") or []:
        hosts.update(entry.get("hosts") or [])
    return sorted(hosts)


def certificates_for(hosts: Iterable[str], domains: Mapping[str, Iterable[str]]) -> list[str]:
    """The ARNs whose domains cover the hosts; `domains` has those of each issued certificate. Raises ModelError."""
    found: set[str] = set()
    for host in hosts:
        parent = host.partition(".")[2]
        matching = {arn for arn, names in domains.items() if {host, f"*.{parent}"} & set(names)}
        if not matching:
            raise ModelError(f"no certificate found for host: {host}")
        found |= matching
    return sorted(found)


def sorted_paths(paths: Iterable[Object]) -> list[Object]:
    """Exact paths, then prefixes with the longest first, then the rest as they stand."""
    items = list(paths)
    exact = [path for path in items if path.get("pathType") == "Exact"]
    prefix = [path for path in items if path.get("pathType") == "Prefix"]
    rest = [path for path in items if path.get("pathType") not in {"Exact", "Prefix"}]
    return [*exact, *sorted(prefix, key=lambda path: -len(path.get("path", ""))), *rest]


def path_patterns(path: Object) -> tuple[str, ...]:
    """The patterns of a path. A prefix is a pattern of its own and one below it; others stand as they are."""
    text = path.get("path") or ""
    if not text:
        return ()
    if path.get("pathType") != "Prefix":
        return (text,)
    if text == "/":
        return ("/*",)
    if re.search(r"[*?]", text):
        raise ModelError(f"prefix path shouldn't contain wildcards: {text}")
    stem = text.rstrip("/")
    return (stem, f"{stem}/*")


def service_port(service: Object, port: int | str) -> Object:
    """The port of a Service by name or number. Raises ModelError."""
    for entry in service["spec"].get("ports") or []:
        if port in {entry.get("name"), entry["port"]}:
            return dict(entry)
    raise ModelError(f"unable to find port {port} on service {named(service)}")


def ready_targets(slices: Iterable[Object], port: Object) -> tuple[tuple[str, int], ...]:
    """Address and port of the ready endpoints of a Service's port."""
    found: set[tuple[str, int]] = set()
    for item in slices:
        numbers = [entry["port"] for entry in item.get("ports") or [] if entry.get("name", "") == port.get("name", "")]
        for endpoint in item.get("endpoints") or []:
            if (endpoint.get("conditions") or {}).get("ready"):
                found.update((address, number) for address in endpoint["addresses"] for number in numbers)
    return tuple(sorted(found))


def health_check(settings: Mapping[str, str], protocol: str) -> dict[str, Any]:
    """The health check that annotations ask for, with the controller's defaults, in ELBv2's words."""

    def number(name: str, default: int) -> int:
        return int(settings.get(PREFIX + name, default))

    return {
        "HealthCheckEnabled": True,
        "HealthCheckProtocol": settings.get(f"{PREFIX}healthcheck-protocol", protocol),
        "HealthCheckPort": settings.get(f"{PREFIX}healthcheck-port", "traffic-port"),
        "HealthCheckPath": settings.get(f"{PREFIX}healthcheck-path", "/"),
        "HealthCheckIntervalSeconds": number("healthcheck-interval-seconds", 15),
        "HealthCheckTimeoutSeconds": number("healthcheck-timeout-seconds", 5),
        "HealthyThresholdCount": number("healthy-threshold-count", 2),
        "UnhealthyThresholdCount": number("unhealthy-threshold-count", 2),
        "Matcher": {"HttpCode": settings.get(f"{PREFIX}success-codes", "200")},
    }


def _annotation(item: Object, name: str) -> str | None:
    return annotations_of(item).get(PREFIX + name)


def _list(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def _pairs(text: str) -> dict[str, str]:
    found = {}
    for word in _list(text):
        key, equals, value = word.partition("=")
        if not equals:
            raise ModelError(f"failed to parse stringMap annotation: {text}")
        found[key.strip()] = value.strip()
    return found


def _plain(text: str) -> str:
    return re.sub(r"[^0-9A-Za-z]", "", text)


def _digest(*words: str) -> str:
    return hashlib.sha256("".join(words).encode()).hexdigest()[:10]
