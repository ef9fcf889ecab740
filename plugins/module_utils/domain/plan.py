# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an installation lacks, part by part, in the keys by which roles decide what to run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from ansible_collections.langsmith.aws.plugins.module_utils.domain.difference import Difference, chosen
from ansible_collections.langsmith.aws.plugins.module_utils.domain.installation import Installation
from ansible_collections.langsmith.aws.plugins.module_utils.domain.resources import (
    acm_certificate,
    clickhouse,
    eks_addon,
    eks_cluster,
    eks_nodegroup,
    elasticache_replication_group,
    iam_oidc_provider,
    iam_role,
    network,
    rds_instance,
    s3_bucket,
    subnet_group,
    vpc_interface_endpoint,
)
from ansible_collections.langsmith.aws.plugins.module_utils.domain.tags import tag_differences

Wanted = Mapping[str, Any]


@dataclass(frozen=True)
class Drift:
    """One part that is not as wanted."""

    action: str
    differences: tuple[Difference, ...]

    def to_dict(self) -> dict[str, Any]:
        """The drift as modules return it."""
        return {"action": self.action, "differences": [item.to_dict() for item in self.differences]}


@dataclass(frozen=True)
class Plan:
    """Compares an installation with a wish; ``tags`` are what every part should carry."""

    actual: Installation
    wanted: Wanted
    tags: Mapping[str, str]

    def drift(self) -> dict[str, Drift]:
        """What differs, in the order in which it can be made."""
        found: dict[str, Drift] = {}
        for compare in (self._network, self._identity, self._cluster, self._stores, self._rest):
            found.update(compare())
        return found

    def _tags(self, own: Mapping[str, Any] | None, **more: str) -> dict[str, str]:
        return {**self.tags, **more, **{key: str(value) for key, value in (own or {}).items()}}

    def _network(self) -> dict[str, Drift]:
        net, wanted = self.actual.network, self.wanted
        subnets = wanted.get("subnets") or []
        mode = wanted.get("nat_gateways")
        zones = [item["availability_zone"] for item in subnets if not item["public"]]
        zones = zones or [item.availability_zone for item in net.subnets if not item.public]
        found: dict[str, Drift | None] = {}
        if (vpc := wanted.get("vpc")) is not None:
            tags = self._tags(vpc.get("tags"), Name=vpc.get("name") or self.actual.name)
            found["vpc"] = part(net.vpc, lambda have: network.vpc_differences(vpc, have, tags))
            found["internet_gateway"] = part(net.internet_gateway, self._gateway)
        if subnets:
            differences = network.subnet_differences(subnets, net.subnets, self.tags)
            found["subnets"] = whole(bool(net.subnets), differences)
        if mode is not None:
            differences = network.nat_differences(mode, zones, net)
            found["nat_gateways"] = whole(any(item.alive for item in net.nat_gateways), differences)
        if subnets:
            differences = network.route_differences(subnets, mode or "none", net)
            found["route_tables"] = whole(bool(net.route_tables), differences)
        if wanted.get("s3_endpoint"):
            found["s3_endpoint"] = whole(net.s3_endpoint is not None, network.s3_endpoint_differences(net))
        ways = {item.service_name: item for item in net.interface_endpoints}
        for way in wanted.get("interface_endpoints") or []:
            name, settings = way["service_name"], vpc_interface_endpoint.EndpointSettings.from_options(way)
            key = f"interface_endpoint:{name}"
            found[key] = self._part(name, ways.get(name), vpc_interface_endpoint, settings, way)
        known = {item.name: item for item in net.security_groups}
        ids = {item.name: item.id for item in net.security_groups}
        for group in wanted.get("security_groups") or []:
            compare = partial(self._security_group, group, ids)
            found[f"security_group:{group['name']}"] = part(known.get(group["name"]), compare)
        return only(found)

    def _gateway(self, have: network.InternetGateway) -> list[Difference]:
        vpc = self.actual.network.vpc
        found = tag_differences(self.tags, have.tags, purge=False)
        if vpc is not None and vpc.id not in have.vpc_ids:
            found.append(Difference("vpc_id", vpc.id, list(have.vpc_ids) or None))
        return found

    def _security_group(self, group: Wanted, ids: Mapping[str, str], have: network.SecurityGroup) -> list[Difference]:
        return network.security_group_differences(group, have, ids, self._tags(group.get("tags")))

    def _identity(self) -> dict[str, Drift]:
        known = {item.name: item for item in self.actual.roles}
        found = {}
        for role in self.wanted.get("roles") or []:
            want = iam_role.WantedRole(
                role["name"],
                role.get("assume_role_policy"),
                None if role.get("managed_policies") is None else tuple(role["managed_policies"]),
                role.get("inline_policies"),
            )
            tags = self._tags(role.get("tags"))
            compare = partial(iam_role.differences, want, tags=tags)
            found[f"role:{role['name']}"] = part(known.get(role["name"]), compare)
        return only(found)

    def _cluster(self) -> dict[str, Drift]:
        have, wanted = self.actual, self.wanted
        found: dict[str, Drift | None] = {}
        if (cluster := wanted.get("cluster")) is not None:
            settings = eks_cluster.ClusterSettings.from_options(cluster)
            found["cluster"] = self._part("cluster", have.cluster, eks_cluster, settings, cluster)
        if wanted.get("oidc_provider"):
            audience = iam_oidc_provider.OidcProviderSettings(client_ids=("sts.amazonaws.com",))
            provider = have.oidc_provider if have.cluster else None
            found["oidc_provider"] = part(
                provider, lambda item: iam_oidc_provider.differences(audience, item, self.tags)
            )
        groups = {item.name: item for item in have.nodegroups}
        default = f"{have.name}-default"
        for group in [*filter(None, [wanted.get("nodegroup")]), *(wanted.get("nodegroups") or [])]:
            name = group.get("name") or default
            key = "nodegroup" if group is wanted.get("nodegroup") else f"nodegroup:{name}"
            wish = eks_nodegroup.NodegroupSettings.from_options(group)
            found[key] = self._part(name, groups.get(name), eks_nodegroup, wish, group)
        addons = {item.name: item for item in have.addons}
        for addon in wanted.get("addons") or []:
            name = addon["name"]
            values = eks_addon.AddonSettings.from_options(addon)
            found[f"addon:{name}"] = self._part(name, addons.get(name), eks_addon, values, addon)
        return only(found)

    def _stores(self) -> dict[str, Drift]:
        have, wanted = self.actual, self.wanted
        found: dict[str, Drift | None] = {}
        stores: tuple[tuple[str, Any, Any], ...] = (
            ("database", rds_instance, rds_instance.DatabaseSettings),
            ("cache", elasticache_replication_group, elasticache_replication_group.CacheSettings),
        )
        for key, module, settings in stores:
            options = wanted.get(key)
            group_key = f"{key}_subnet_group"
            if wanted.get(group_key) is not None or options is not None:
                # The module that writes the cache's group cannot tag it.
                tags = None if key == "cache" else self.tags
                found[group_key] = self._subnet_group(wanted.get(group_key) or {}, getattr(have, group_key), tags)
            if options is not None:
                wish = settings.from_options(options)
                found[key] = self._part(key, getattr(have, key), module, wish, options)
        return only(found)

    def _subnet_group(
        self, group: Wanted, have: subnet_group.SubnetGroup | None, tags: Mapping[str, str] | None
    ) -> Drift | None:
        ids = chosen(group.get("subnet_ids")) or chosen(self.actual.network.private_subnet_ids())
        want = subnet_group.WantedSubnetGroup(group.get("name") or "", ids, group.get("description"))
        return part(have, lambda item: subnet_group.differences(want, item, tags))

    def _rest(self) -> dict[str, Drift]:
        have, wanted = self.actual, self.wanted
        found: dict[str, Drift | None] = {}
        if (bucket := wanted.get("bucket")) is not None:
            tags = self._tags(bucket.get("tags"))
            found["bucket"] = part(have.bucket, lambda item: s3_bucket.differences(bucket, item, tags))
        known = {item.name: item for item in have.secrets if not item.deleted}
        for secret in wanted.get("secrets") or []:
            found[f"secret:{secret['name']}"] = part(known.get(secret["name"]), partial(self._secret, secret))
        if (servers := wanted.get("clickhouse")) is not None and have.clickhouse is not None:
            found["clickhouse"] = whole(True, clickhouse.differences(servers, have.clickhouse))
        if (certificate := wanted.get("certificate")) is not None:
            wish = acm_certificate.CertificateSettings.from_options(certificate)
            tags = self._tags(certificate.get("tags"))
            fit = acm_certificate.choose(wish, have.certificates, tags)
            found["certificate"] = part(fit, lambda item: acm_certificate.differences(item, tags))
        return only(found)

    def _secret(self, wanted: Wanted, have: Any) -> list[Difference]:
        found = tag_differences(self._tags(wanted.get("tags")), have.tags, purge=False)
        missing = [] if have.keys is None else sorted(set(wanted.get("keys") or ()) - set(have.keys))
        if missing:
            found.append(Difference("keys", sorted(wanted["keys"]), list(have.keys)))
        return found

    def _part(self, name: str, have: Any, module: Any, settings: Any, options: Wanted) -> Drift | None:
        """A part whose wish and comparison are those of the module that writes it."""
        if have is not None and module.progress(have).phase == "leaving":
            return Drift("create", (Difference("status", "present", have.status),))
        tags = self._tags(options.get("tags"))
        return part(have, lambda item: module.differences(settings, item, tags))


def part(have: Any | None, compare: Callable[[Any], Iterable[Difference]]) -> Drift | None:
    """Drift of one thing: to be created when it is not there, else what differs."""
    if have is None:
        return Drift("create", (Difference("present", True, False),))
    return whole(True, compare(have))


def whole(there: bool, differences: Iterable[Difference]) -> Drift | None:
    """Drift of several things that are one part."""
    found = tuple(differences)
    return Drift("update" if there else "create", found) if found else None


def only(found: Mapping[str, Drift | None]) -> dict[str, Drift]:
    """The parts that differ."""
    return {key: value for key, value in found.items() if value is not None}
