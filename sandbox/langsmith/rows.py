# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stand-in for how LangSmith turns what was received of a run into its row in ClickHouse."""

from __future__ import annotations

import json
from typing import Any

from sandbox.langsmith import times
from sandbox.langsmith.environment import Retention

# Sent by the SDK with every update, so they must not wipe what the create carried.
EMPTY = {"events": "[]", "extra": "{}", "serialized": "null", "inputs": "{}"}
OFFLOADED = ("inputs", "outputs", "events", "extra", "error", "serialized")


def merged(states: list[dict[str, Any]]) -> dict[str, Any]:
    """One state of all that was received, later parts over earlier ones; `extra` is merged, not replaced."""
    fields: dict[str, Any] = {}
    payloads: dict[str, str] = {}
    pointers: dict[str, dict[str, str]] = {}
    for state in states:
        fields |= state["fields"]
        for name, text in state["payloads"].items():
            if EMPTY.get(name) == text and (name in payloads or name in pointers):
                continue
            both = name == "extra" and name in payloads
            payloads[name] = json.dumps(_deep(json.loads(payloads[name]), json.loads(text))) if both else text
            pointers.pop(name, None)
        for name, pointer in state["s3"].items():
            pointers[name] = pointer
            payloads.pop(name, None)
    received = min(state["received"] for state in states)
    return {"fields": fields, "payloads": payloads, "s3": pointers, "received": received}


def _deep(old: Any, new: Any) -> Any:
    if isinstance(old, dict) and isinstance(new, dict):
        return {**old, **{name: _deep(old.get(name), value) for name, value in new.items()}}
    return new


def row(tenant_id: str, state: dict[str, Any], first_received: str, version: int, kept: Retention) -> dict[str, Any]:
    """The ClickHouse row of a run; ValueError or KeyError when what was received makes no run."""
    fields, payloads, pointers = state["fields"], state["payloads"], state["s3"]
    error = json.loads(payloads["error"]) if payloads.get("error") else None
    failed = bool(error) or "error" in pointers
    ended = fields.get("end_time")
    tokens = _tokens(payloads.get("outputs"))
    return {
        "tenant_id": tenant_id,
        "session_id": fields["session_id"],
        "id": fields["id"],
        "trace_id": fields.get("trace_id") or fields["id"],
        "parent_run_id": fields.get("parent_run_id"),
        "is_root": not fields.get("parent_run_id"),
        "dotted_order": fields.get("dotted_order", ""),
        "name": fields.get("name", ""),
        "run_type": fields.get("run_type", "chain"),
        "status": "error" if failed else "success" if ended else "pending",
        "start_time": times.zoned(times.parse(fields["start_time"])),
        "end_time": times.zoned(times.parse(ended)) if ended else None,
        "error": None if error is None else str(error),
        **{name: payloads.get(name, "") for name in ("inputs", "outputs", "events", "extra", "serialized")},
        "tags": [str(tag) for tag in fields.get("tags") or []],
        "inputs_s3_urls": _pointer(pointers, "inputs"),
        "outputs_s3_urls": _pointer(pointers, "outputs"),
        "s3_urls": json.dumps(pointers) if pointers else "",
        "manifest_s3_id": pointers.get("serialized", {}).get("key"),
        "reference_example_id": fields.get("reference_example_id"),
        "prompt_tokens": tokens[0],
        "completion_tokens": tokens[1],
        "total_tokens": tokens[0] + tokens[1],
        "trace_tier": kept.tier,
        "ttl_seconds": kept.seconds,
        "trace_first_received_at": first_received,
        "modified_at": version,
    }


def _pointer(pointers: dict[str, dict[str, str]], name: str) -> str:
    return json.dumps({"ROOT": pointers[name]["key"]}) if name in pointers else ""


def _tokens(outputs: str | None) -> tuple[int, int]:
    """Prompt and completion tokens, where a model run reports its usage."""
    found = json.loads(outputs) if outputs else None
    usage = found.get("usage_metadata") if isinstance(found, dict) else None
    if not isinstance(usage, dict):
        return 0, 0
    return int(usage.get("input_tokens") or 0), int(usage.get("output_tokens") or 0)


def state_of(found: dict[str, Any]) -> dict[str, Any]:
    """What a row of ClickHouse says was received, for an update whose create is no longer in Redis."""
    names = (
        "id",
        "session_id",
        "trace_id",
        "parent_run_id",
        "dotted_order",
        "name",
        "run_type",
        "start_time",
        "end_time",
    )
    fields = {name: found[name] for name in (*names, "tags", "reference_example_id") if found.get(name)}
    payloads = {name: found[name] for name in ("inputs", "outputs", "events", "extra", "serialized") if found.get(name)}
    if found.get("error") is not None:
        payloads["error"] = json.dumps(found["error"])
    pointers = json.loads(found["s3_urls"]) if found.get("s3_urls") else {}
    received = times.zoned(times.parse(found["trace_first_received_at"]))
    return {"fields": fields, "payloads": payloads, "s3": pointers, "received": received}
