# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options of the sizing check, documented by the fragment ``langsmith.aws.clickhouse_sizing``."""

from __future__ import annotations

from typing import Any


def _of(kind: str, *names: str) -> dict[str, dict[str, Any]]:
    return {name: {"type": kind} for name in names}


_LOAD = {
    "traces_per_s": {"type": "float", "required": True},
    "users": {"type": "int"},
    **_of("float", "retention_days", "horizon_days"),
}
_VOLUME = {**_of("str", "type"), **_of("float", "size_gib", "iops", "throughput_mib_s")}
_PLAN = {
    "topology": {"type": "str", "choices": ["single", "replicated", "external", "managed"], "required": True},
    **_of("int", "replicas", "shards", "zones", "max_concurrent_queries"),
    **_of("float", "cpu", "memory_gib", "cpu_limit", "memory_limit_gib", "async_insert_wait_pct", "ttl_days"),
    "instance_types": {"type": "list", "elements": "str"},
    **_of("str", "version", "running_version", "reclaim_policy"),
    **_of("bool", "anti_affinity", "pod_disruption_budget", "persistence", "blob_storage", "allow_volume_expansion"),
    "volume": {"type": "dict", "options": _VOLUME},
    "keeper": {"type": "dict", "options": {**_of("int", "nodes", "zones"), **_of("bool", "persistence")}},
    "load": {"type": "dict", "options": _LOAD},
}
_SECRET = {
    "name": {"type": "str", "required": True},
    "key": {"type": "str", "default": "clickhouse_password", "no_log": False},
}
_PASSWORD = {
    "password": {"type": "str", "no_log": True},
    "password_secret": {"type": "dict", "options": _SECRET, "no_log": False},
}
_ONE_PASSWORD = [["password", "password_secret"]]
_WRITER = {"user": {"type": "str", "required": True}, **_PASSWORD}
_LIVE = {
    "urls": {"type": "list", "elements": "str", "required": True},
    "user": {"type": "str", "default": "default"},
    **_PASSWORD,
    "writer": {"type": "dict", "options": _WRITER, "mutually_exclusive": _ONE_PASSWORD},
    "database": {"type": "str", "default": "default"},
    "cluster": {"type": "str"},
    "discover": {"type": "bool"},
    "connect_to": {"type": "str"},
    "ca_file": {"type": "path"},
}
_BACKUPS = {
    "bucket": {"type": "str", "required": True},
    "prefix": {"type": "str", "default": ""},
    "rpo_hours": {"type": "float", "default": 24},
}

SIZING_ARG_SPEC: dict[str, dict[str, Any]] = {
    "environment": {"type": "str", "choices": ["dev", "production"], "required": True},
    "plan": {"type": "dict", "options": _PLAN},
    "live": {"type": "dict", "options": _LIVE, "mutually_exclusive": _ONE_PASSWORD},
    "volumes": {
        "type": "dict",
        "options": {"ids": {"type": "list", "elements": "str", "required": True}},
    },
    "backups": {"type": "dict", "options": _BACKUPS},
    "timeout": {"type": "float", "default": 10},
    "sample_seconds": {"type": "float", "default": 3},
}
