# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An installation as AWS holds it: everything that carries its tag or its names."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from ansible_collections.langsmith.aws.plugins.module_utils.domain.difference import plain
from ansible_collections.langsmith.aws.plugins.module_utils.domain.resources import clickhouse
from ansible_collections.langsmith.aws.plugins.module_utils.domain.resources.acm_certificate import Certificate
from ansible_collections.langsmith.aws.plugins.module_utils.domain.resources.eks_addon import Addon
from ansible_collections.langsmith.aws.plugins.module_utils.domain.resources.eks_cluster import Cluster
from ansible_collections.langsmith.aws.plugins.module_utils.domain.resources.eks_nodegroup import Nodegroup
from ansible_collections.langsmith.aws.plugins.module_utils.domain.resources.elasticache_replication_group import Cache
from ansible_collections.langsmith.aws.plugins.module_utils.domain.resources.iam_oidc_provider import OidcProvider
from ansible_collections.langsmith.aws.plugins.module_utils.domain.resources.iam_role import Role
from ansible_collections.langsmith.aws.plugins.module_utils.domain.resources.network import Network, Subnet
from ansible_collections.langsmith.aws.plugins.module_utils.domain.resources.rds_instance import Database
from ansible_collections.langsmith.aws.plugins.module_utils.domain.resources.s3_bucket import Bucket
from ansible_collections.langsmith.aws.plugins.module_utils.domain.resources.subnet_group import SubnetGroup
from ansible_collections.langsmith.aws.plugins.module_utils.domain.tags import INSTALLATION_TAG

#: What is read service by service. The tagging service goes on listing such things for a while after they are gone,
#: so there the services themselves are believed, and the tagging service only about all else.
DIRECT = frozenset(
    {
        ("acm", "certificate"),
        ("ec2", "elastic-ip"),
        ("ec2", "instance"),
        ("ec2", "internet-gateway"),
        ("ec2", "natgateway"),
        ("ec2", "route-table"),
        ("ec2", "security-group"),
        ("ec2", "security-group-rule"),
        ("ec2", "subnet"),
        ("ec2", "volume"),
        ("ec2", "vpc"),
        ("ec2", "vpc-endpoint"),
        ("eks", "addon"),
        ("eks", "cluster"),
        ("eks", "nodegroup"),
        ("elasticache", "cluster"),
        ("elasticache", "replicationgroup"),
        ("elasticache", "subnetgroup"),
        ("elasticloadbalancing", "loadbalancer"),
        ("iam", "oidc-provider"),
        ("iam", "role"),
        ("rds", "db"),
        ("rds", "subgrp"),
        ("s3", ""),
        ("secretsmanager", "secret"),
    }
)


@dataclass(frozen=True)
class Names:
    """The names under which the parts of an installation are found."""

    cluster: str
    database: str
    cache: str
    database_subnet_group: str
    cache_subnet_group: str
    bucket: str | None
    secret_prefix: str
    role_prefix: str

    @classmethod
    def of(cls, name: str, **given: str | None) -> Names:
        """The names that follow from an installation's; ``given`` ones replace them."""
        default: dict[str, str | None] = {
            "cluster": name,
            "database": f"{name}-postgres",
            "cache": f"{name}-redis",
            "database_subnet_group": f"{name}-postgres",
            "cache_subnet_group": f"{name}-redis",
            "bucket": None,
            "secret_prefix": f"langsmith/{name}/",
            "role_prefix": f"{name}-",
        }
        return cls(**{**default, **{key: value for key, value in given.items() if value}})  # type: ignore[arg-type]

    @staticmethod
    def bucket_of(name: str, account_id: str, region: str) -> str:
        """The bucket's name, which has to be the only one of its kind in all AWS."""
        return f"{name}-{account_id}-{region}-blobs"


@dataclass(frozen=True)
class Identity:
    """Who reads, and where."""

    account_id: str
    arn: str
    region: str

    @property
    def partition(self) -> str:
        """``aws``, ``aws-us-gov`` or ``aws-cn``."""
        return self.arn.split(":")[1] if self.arn.startswith("arn:") else "aws"


@dataclass(frozen=True)
class Secret:
    """A secret without its values; ``keys`` are known only where they were asked for."""

    name: str
    arn: str
    deleted: bool
    tags: dict[str, str] = field(default_factory=dict)
    keys: tuple[str, ...] | None = None


@dataclass(frozen=True)
class LoadBalancer:
    """A load balancer."""

    arn: str
    name: str
    dns_name: str
    hosted_zone_id: str
    scheme: str
    tags: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Installation:
    """Everything that AWS knows of one installation."""

    name: str
    identity: Identity
    network: Network = field(default_factory=Network)
    cluster: Cluster | None = None
    nodegroups: tuple[Nodegroup, ...] = ()
    addons: tuple[Addon, ...] = ()
    oidc_providers: tuple[OidcProvider, ...] = ()
    roles: tuple[Role, ...] = ()
    database: Database | None = None
    database_subnet_group: SubnetGroup | None = None
    cache: Cache | None = None
    cache_subnet_group: SubnetGroup | None = None
    bucket: Bucket | None = None
    secrets: tuple[Secret, ...] = ()
    certificates: tuple[Certificate, ...] = ()
    load_balancers: tuple[LoadBalancer, ...] = ()
    tagged_arns: tuple[str, ...] = ()

    @property
    def oidc_provider(self) -> OidcProvider | None:
        """The provider of the cluster's issuer; without a cluster, the one that carries the tag."""
        issuer = self.cluster.oidc_issuer if self.cluster else None
        if issuer:
            return next((item for item in self.oidc_providers if item.url == issuer.rstrip("/")), None)
        return next((item for item in self.oidc_providers if self.owns(item.tags)), None)

    @property
    def certificate(self) -> Certificate | None:
        """The certificate that carries the tag, an issued one first."""
        ours = [item for item in self.certificates if self.owns(item.tags)]
        return min(ours, key=lambda item: (item.status != "ISSUED", item.arn), default=None)

    @property
    def clickhouse(self) -> clickhouse.ClickHouse | None:
        """The ClickHouse that was decided on; ``None`` before its secret was made."""
        name = f"langsmith/{self.name}/clickhouse"
        secret = next((item for item in self.secrets if item.name == name and not item.deleted), None)
        groups = f"{self.name}-{clickhouse.NODE_GROUPS}-"
        types = [item.settings.instance_types or () for item in self.nodegroups if item.name.startswith(groups)]
        return clickhouse.read(secret.tags, self.network.volumes, types) if secret else None

    def owns(self, tags: Mapping[str, str]) -> bool:
        """Whether the tags name this installation."""
        return tags.get(INSTALLATION_TAG) == self.name

    def arn(self, kind: str, identifier: str) -> str:
        """The ARN of something in EC2."""
        where = self.identity
        return f"arn:{where.partition}:ec2:{where.region}:{where.account_id}:{kind}/{identifier}"

    def resources(self) -> list[str]:
        """The ARN of everything that carries the installation's tag and is still there, sorted."""
        network = self.network
        ec2: dict[str, Any] = {
            "vpc": [network.vpc] if network.vpc else [],
            "subnet": network.subnets,
            "internet-gateway": network.internet_gateways,
            "natgateway": [item for item in network.nat_gateways if item.state != "deleted"],
            "route-table": network.route_tables,
            "vpc-endpoint": [*network.endpoints, *network.interface_endpoints],
            "security-group": network.security_groups,
        }
        found = {self.arn(kind, item.id) for kind, items in ec2.items() for item in items}
        found |= {self.arn("elastic-ip", item.allocation_id) for item in network.elastic_ips}
        found |= {self.arn("instance", item) for item in network.instances}
        found |= {self.arn("volume", item.id) for item in network.volumes}
        single: tuple[Any, ...] = (
            self.cluster,
            self.database,
            self.database_subnet_group,
            self.cache,
            self.cache_subnet_group,
        )
        many: tuple[Any, ...] = (
            self.nodegroups,
            self.addons,
            self.oidc_providers,
            self.roles,
            self.certificates,
            self.load_balancers,
        )
        parts = [item for item in single if item] + [item for items in many for item in items]
        parts += [item for item in self.secrets if not item.deleted]
        found |= {item.arn for item in parts if self.owns(item.tags)}
        if self.bucket and self.owns(self.bucket.tags):
            found.add(f"arn:{self.identity.partition}:s3:::{self.bucket.name}")
        return sorted(found | {arn for arn in self.tagged_arns if kind_of(arn) not in DIRECT})

    def to_dict(self) -> dict[str, Any]:
        """The installation as modules return it."""
        network = self.network
        gateway, endpoint = network.internet_gateway, network.s3_endpoint
        known = {
            "name": self.name,
            "account_id": self.identity.account_id,
            "caller_arn": self.identity.arn,
            "partition": self.identity.partition,
            "region": self.identity.region,
            "vpc": _short(network.vpc, "id", "cidr_block", "state"),
            "internet_gateway_id": gateway.id if gateway else None,
            "subnets": {
                "public": _subnets(item for item in network.subnets if item.public),
                "private": _subnets(item for item in network.subnets if not item.public),
            },
            "nat_gateways": [
                {
                    **(_short(item, "id", "state", "subnet_id", "public_ip", "allocation_id") or {}),
                    "availability_zone": network.zone_of(item.subnet_id),
                }
                for item in network.nat_gateways
            ],
            "elastic_ips": [asdict(item) for item in network.elastic_ips],
            "route_tables": [
                {
                    "id": item.id,
                    "name": item.name,
                    "subnet_ids": list(item.subnet_ids),
                    "routes": [{"destination": key, "target": value} for key, value in sorted(item.routes.items())],
                }
                for item in network.route_tables
            ],
            "s3_endpoint_id": endpoint.id if endpoint else None,
            "security_groups": {item.name: item.id for item in network.security_groups},
            "instances": list(network.instances),
            "volumes": [plain(item) for item in network.volumes],
            "interface_endpoints": [item.to_dict() for item in network.interface_endpoints],
        }
        return {**known, **self._services(), "resources": self.resources()}

    def _services(self) -> dict[str, Any]:
        provider = self.oidc_provider
        return {
            "cluster": self.cluster.to_dict() if self.cluster else None,
            "nodegroups": [item.to_dict() for item in self.nodegroups],
            "addons": {item.name: item.to_dict() for item in self.addons},
            "oidc_provider_arn": provider.arn if provider else None,
            "roles": {item.name: item.arn for item in self.roles if self.owns(item.tags)},
            "database": self.database.to_dict() if self.database else None,
            "database_subnet_group": self.database_subnet_group.name if self.database_subnet_group else None,
            "cache": self.cache.to_dict() if self.cache else None,
            "cache_subnet_group": self.cache_subnet_group.name if self.cache_subnet_group else None,
            "bucket": self._bucket(),
            "clickhouse": self.clickhouse.to_dict() if self.clickhouse else None,
            "secrets": {item.name: item.arn for item in self.secrets if not item.deleted},
            "secrets_pending_deletion": {item.name: item.arn for item in self.secrets if item.deleted},
            "certificate": self.certificate.to_dict() if self.certificate else None,
            "load_balancers": [
                _short(item, "arn", "name", "dns_name", "hosted_zone_id", "scheme") for item in self.load_balancers
            ],
        }

    def _bucket(self) -> dict[str, Any] | None:
        if self.bucket is None:
            return None
        arn = f"arn:{self.identity.partition}:s3:::{self.bucket.name}"
        return {"name": self.bucket.name, "region": self.bucket.region, "arn": arn}


def _short(item: Any, *names: str) -> dict[str, Any] | None:
    return None if item is None else {name: plain(getattr(item, name)) for name in names}


def _subnets(items: Iterable[Subnet]) -> list[dict[str, str]]:
    ordered = sorted(items, key=lambda item: (item.availability_zone, item.cidr_block))
    return [
        {"id": item.id, "cidr_block": item.cidr_block, "availability_zone": item.availability_zone} for item in ordered
    ]


def kind_of(arn: str) -> tuple[str, str]:
    """Service and sort of an ARN: ``("ec2", "vpc")``. A bucket has no sort."""
    parts = arn.split(":", 5)
    if len(parts) < 6:
        return ("", "")
    sort = re.split(r"[/:]", parts[5])[0] if re.search(r"[/:]", parts[5]) else ""
    return parts[2], sort
