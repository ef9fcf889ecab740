# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The wish that ``installation_plan`` takes: its options are those of the modules that write each part."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.langsmith.aws.plugins.module_utils.domain.errors import RefusedError
from ansible_collections.langsmith.aws.plugins.module_utils.domain.installation import Names
from ansible_collections.langsmith.aws.plugins.module_utils.shell.aws_options import (
    Spec,
    addon_options,
    cache_options,
    certificate_options,
    cluster_options,
    database_options,
    interface_endpoint_options,
    nodegroup_options,
    without_required,
)

_NAME = {"type": "str", "required": True}
_TAGS = {"type": "dict"}
_IDS = {"type": "list", "elements": "str"}


def _planned(spec: Spec) -> Spec:
    """Options of a module as part of a wish. Options that only waiting and purging need are not among them."""
    return {**without_required(spec), "tags": _TAGS}


def wish_spec() -> Spec:
    """The options of ``wanted``."""
    rules = {"type": "list", "elements": "dict"}
    addon = {**_planned(addon_options()), "name": _NAME}
    return {
        "vpc": _of(
            cidr_block=_NAME,
            name={"type": "str"},
            dns_support={"type": "bool", "default": True},
            dns_hostnames={"type": "bool", "default": True},
            tags=_TAGS,
        ),
        "subnets": _list_of(
            cidr_block=_NAME,
            availability_zone=_NAME,
            public={"type": "bool", "required": True},
            name={"type": "str"},
            map_public={"type": "bool"},
            tags=_TAGS,
        ),
        "nat_gateways": {"type": "str", "choices": ["none", "single", "per_zone"]},
        "s3_endpoint": {"type": "bool"},
        "interface_endpoints": _list_of(**{**_planned(interface_endpoint_options()), "service_name": _NAME}),
        "clickhouse": _of(
            topology={"type": "str", "required": True, "choices": ["single", "replicated", "external", "managed"]},
            cluster={"type": "str"},
            user={"type": "str"},
            instance_types={"type": "list", "elements": "str"},
            replicas={"type": "int"},
            volume=_of(size_gib={"type": "int"}, iops={"type": "int"}, throughput_mib_s={"type": "int"}),
        ),
        "cluster": _of(**_planned(cluster_options())),
        "nodegroup": _of(**_planned(nodegroup_options())),
        "nodegroups": _list_of(**{**_planned(nodegroup_options()), "name": _NAME}),
        "addons": _list_of(**addon),
        "oidc_provider": {"type": "bool"},
        "roles": _list_of(
            name=_NAME,
            managed_policies={"type": "list", "elements": "str"},
            assume_role_policy={"type": "raw"},
            inline_policies={"type": "dict"},
            tags=_TAGS,
        ),
        "security_groups": _list_of(
            name=_NAME, description={"type": "str"}, rules=rules, rules_egress=rules, tags=_TAGS
        ),
        "database": _of(**_planned(database_options())),
        "database_subnet_group": _of(**_group()),
        "cache": _of(**_planned(cache_options())),
        "cache_subnet_group": _of(**_group()),
        "bucket": _of(
            name={"type": "str"},
            versioning={"type": "bool"},
            encryption={"type": "str", "choices": ["AES256", "aws:kms", "aws:kms:dsse"]},
            encryption_key_id={"type": "str", "no_log": False},
            public_access_blocked={"type": "bool"},
            object_ownership={"type": "str"},
            policy={"type": "raw"},
            lifecycle_rules=_list_of(
                rule_id=_NAME, prefix={"type": "str", "default": ""}, expiration_days={"type": "int"}
            ),
            tags=_TAGS,
        ),
        "secrets": _list_of(
            name=_NAME,
            keys={"type": "list", "elements": "str", "no_log": False},
            description={"type": "str"},
            kms_key_id={"type": "str", "no_log": False},
            tags=_TAGS,
        ),
        "certificate": _of(**{**certificate_options(), "tags": _TAGS}),
    }


def _of(**options: Any) -> dict[str, Any]:
    return {"type": "dict", "options": options}


def _list_of(**options: Any) -> dict[str, Any]:
    return {"type": "list", "elements": "dict", "options": options}


def _group() -> Spec:
    return {"name": {"type": "str"}, "description": {"type": "str"}, "subnet_ids": _IDS}


def wish(wanted: Mapping[str, Any]) -> dict[str, Any]:
    """The wish with types and defaults. Raises :class:`RefusedError` naming every option that is wrong."""
    result = ArgumentSpecValidator(wish_spec()).validate(dict(wanted))
    if result.error_messages:
        raise RefusedError(f"wanted cannot be used: {'; '.join(result.error_messages)}")
    return {key: value for key, value in result.validated_parameters.items() if value is not None}


def names_of(name: str, wanted: Mapping[str, Any]) -> Names:
    """The names under which the parts of a wish are to be found."""

    def named(part: str, option: str) -> str | None:
        found = (wanted.get(part) or {}).get(option)
        return str(found) if found else None

    return Names.of(
        name,
        cluster=named("cluster", "name"),
        database=named("database", "id"),
        cache=named("cache", "id"),
        database_subnet_group=named("database_subnet_group", "name") or named("database", "subnet_group_name"),
        cache_subnet_group=named("cache_subnet_group", "name") or named("cache", "subnet_group_name"),
        bucket=named("bucket", "name"),
    )
