# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options that the AWS modules share, and the options of each resource that ``installation_plan`` knows too.

Documented by the fragments ``langsmith.aws.tags`` and ``langsmith.aws.waiting`` and by the modules themselves.
"""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from ansible_collections.langsmith.aws.plugins.module_utils.domain.resources.acm_certificate import KEY_ALGORITHMS
from ansible_collections.langsmith.aws.plugins.module_utils.domain.resources.eks_addon import RESOLVE_CONFLICTS
from ansible_collections.langsmith.aws.plugins.module_utils.domain.resources.eks_cluster import (
    AUTHENTICATION_MODES,
    LOG_TYPES,
)
from ansible_collections.langsmith.aws.plugins.module_utils.domain.resources.eks_nodegroup import (
    AMI_TYPES,
    CAPACITY_TYPES,
    TAINT_EFFECTS,
)
from ansible_collections.langsmith.aws.plugins.module_utils.domain.resources.elasticache_replication_group import (
    ENGINES,
)
from ansible_collections.langsmith.aws.plugins.module_utils.domain.resources.rds_instance import STORAGE_TYPES

Spec = dict[str, dict[str, Any]]


def _names(**more: Any) -> dict[str, Any]:
    return {"type": "list", "elements": "str", **more}


def tag_options() -> Spec:
    """``tags`` and ``purge_tags``."""
    return {"tags": {"type": "dict"}, "purge_tags": {"type": "bool", "default": False}}


def state_options() -> Spec:
    """``state``, ``tags`` and ``purge_tags``."""
    return {"state": {"type": "str", "choices": ["present", "absent"], "default": "present"}, **tag_options()}


def wait_options(timeout_s: int, interval_s: int, wait: bool = True) -> Spec:
    """``wait``, ``wait_timeout`` and ``wait_sleep``, both in seconds."""
    return {
        "wait": {"type": "bool", "default": wait},
        "wait_timeout": {"type": "int", "default": timeout_s},
        "wait_sleep": {"type": "float", "default": interval_s},
    }


def cluster_options() -> Spec:
    """The settings of ``eks_cluster``."""
    return {
        "name": {"type": "str", "required": True},
        "version": {"type": "str"},
        "role_arn": {"type": "str"},
        "subnet_ids": _names(),
        "security_group_ids": _names(),
        "endpoint_public_access": {"type": "bool"},
        "endpoint_private_access": {"type": "bool"},
        "public_access_cidrs": _names(),
        "authentication_mode": {"type": "str", "choices": list(AUTHENTICATION_MODES), "default": "API"},
        "bootstrap_cluster_creator_admin_permissions": {"type": "bool", "default": True},
        "log_types": _names(choices=list(LOG_TYPES)),
        "deletion_protection": {"type": "bool"},
        "kms_key_arn": {"type": "str", "no_log": False},
        "service_ipv4_cidr": {"type": "str"},
        "support_type": {"type": "str", "choices": ["STANDARD", "EXTENDED"]},
    }


def nodegroup_options() -> Spec:
    """The settings of ``eks_nodegroup``."""
    taint = {
        "key": {"type": "str", "required": True, "no_log": False},
        "value": {"type": "str", "default": ""},
        "effect": {"type": "str", "required": True, "choices": list(TAINT_EFFECTS)},
    }
    template = {"id": {"type": "str", "required": True}, "version": {"type": "str", "required": True}}
    return {
        "cluster_name": {"type": "str", "required": True},
        "name": {"type": "str", "required": True},
        "node_role_arn": {"type": "str"},
        "subnet_ids": _names(),
        "instance_types": _names(),
        "ami_type": {"type": "str", "choices": list(AMI_TYPES), "default": "AL2023_x86_64_STANDARD"},
        "capacity_type": {"type": "str", "choices": list(CAPACITY_TYPES), "default": "ON_DEMAND"},
        "disk_size_gib": {"type": "int"},
        "min_size": {"type": "int"},
        "max_size": {"type": "int"},
        "desired_size": {"type": "int"},
        "version": {"type": "str"},
        "release_version": {"type": "str"},
        "launch_template": {"type": "dict", "options": template},
        "max_unavailable": {"type": "int"},
        "force_update": {"type": "bool", "default": False},
        "labels": {"type": "dict"},
        "taints": {"type": "list", "elements": "dict", "options": taint},
    }


def addon_options() -> Spec:
    """The settings of ``eks_addon``."""
    return {
        "cluster_name": {"type": "str", "required": True},
        "name": {"type": "str", "required": True},
        "addon_version": {"type": "str"},
        "service_account_role_arn": {"type": "str"},
        "configuration_values": {"type": "dict"},
        "resolve_conflicts": {"type": "str", "choices": list(RESOLVE_CONFLICTS), "default": "OVERWRITE"},
        "preserve": {"type": "bool", "default": False},
    }


def interface_endpoint_options() -> Spec:
    """The settings of ``vpc_interface_endpoint``."""
    return {
        "vpc_id": {"type": "str", "required": True},
        "service_name": {"type": "str", "required": True},
        "subnet_ids": _names(),
        "security_group_ids": _names(),
        "private_dns": {"type": "bool"},
    }


def oidc_provider_options() -> Spec:
    """The settings of ``iam_oidc_provider``."""
    return {
        "url": {"type": "str", "required": True},
        "client_ids": _names(default=["sts.amazonaws.com"]),
        "thumbprints": _names(),
    }


def _secret_options(key: str) -> dict[str, Any]:
    return {
        "type": "dict",
        "no_log": False,
        "options": {
            "name": {"type": "str", "required": True},
            "key": {"type": "str", "default": key, "no_log": False},
        },
    }


def database_options() -> Spec:
    """The settings of ``rds_instance``."""
    return {
        "id": {"type": "str", "required": True},
        "engine": {"type": "str", "default": "postgres"},
        "engine_version": {"type": "str"},
        "instance_class": {"type": "str"},
        "allocated_storage_gib": {"type": "int"},
        "max_allocated_storage_gib": {"type": "int"},
        "storage_type": {"type": "str", "choices": list(STORAGE_TYPES), "default": "gp3"},
        "iops": {"type": "int"},
        "storage_throughput_mib_s": {"type": "int"},
        "storage_encrypted": {"type": "bool", "default": True},
        "kms_key_id": {"type": "str", "no_log": False},
        "master_username": {"type": "str"},
        "password_secret": _secret_options("password"),
        "database_name": {"type": "str"},
        "port": {"type": "int"},
        "subnet_group_name": {"type": "str"},
        "security_group_ids": _names(),
        "parameter_group_name": {"type": "str"},
        "multi_az": {"type": "bool"},
        "backup_retention_days": {"type": "int"},
        "backup_window": {"type": "str"},
        "maintenance_window": {"type": "str"},
        "deletion_protection": {"type": "bool"},
        "allow_major_version_upgrade": {"type": "bool", "default": False},
        "auto_minor_version_upgrade": {"type": "bool", "default": False},
        "enabled_log_exports": _names(),
        "apply_immediately": {"type": "bool", "default": True},
        "skip_final_snapshot": {"type": "bool", "default": False},
        "final_snapshot_id": {"type": "str"},
        "delete_automated_backups": {"type": "bool", "default": True},
    }


def cache_options() -> Spec:
    """The settings of ``elasticache_replication_group``."""
    return {
        "id": {"type": "str", "required": True},
        "description": {"type": "str"},
        "engine": {"type": "str", "choices": list(ENGINES), "default": "redis"},
        "engine_version": {"type": "str"},
        "node_type": {"type": "str"},
        "replicas": {"type": "int", "default": 0},
        "automatic_failover": {"type": "bool", "default": False},
        "multi_az": {"type": "bool", "default": False},
        "port": {"type": "int"},
        "subnet_group_name": {"type": "str"},
        "security_group_ids": _names(),
        "parameter_group_name": {"type": "str"},
        "auth_token_secret": _secret_options("auth_token"),
        "kms_key_id": {"type": "str", "no_log": False},
        "snapshot_retention_days": {"type": "int"},
        "snapshot_window": {"type": "str"},
        "maintenance_window": {"type": "str"},
        "apply_immediately": {"type": "bool", "default": True},
        "final_snapshot_id": {"type": "str"},
    }


def certificate_options() -> Spec:
    """The settings of ``acm_certificate_request``."""
    return {
        "domain_name": {"type": "str", "required": True},
        "subject_alternative_names": _names(),
        "key_algorithm": {"type": "str", "choices": list(KEY_ALGORITHMS), "default": "RSA_2048"},
    }


def without_required(spec: Spec) -> Spec:
    """The same options, none of them required: for a plan, where what is not said is not compared."""
    copy = deepcopy(spec)
    for option in copy.values():
        option.pop("required", None)
    return copy
