# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stand-in for LangSmith's rules on dotted_order: the path of a run in its trace, with the start times."""

from __future__ import annotations

import itertools
import uuid
from datetime import datetime
from typing import Any

from sandbox.langsmith import times
from sandbox.langsmith.web import HttpError

UUID_LENGTH = 36
STAMP = "%Y%m%dT%H%M%S%fZ"


def segment(start_time: datetime, run_id: str) -> str:
    """One part of a dotted order."""
    return start_time.strftime(STAMP) + run_id


def complete(fields: dict[str, Any]) -> None:
    """Fill in trace_id, parent_run_id and dotted_order of `fields`; HttpError 400 when they disagree."""
    run_id = fields["id"]
    if not fields.get("dotted_order"):
        if fields.get("parent_run_id") or not fields.get("start_time"):
            return
        fields["dotted_order"] = segment(times.parse(fields["start_time"]), run_id)
        fields["trace_id"] = fields.get("trace_id") or run_id
    trace_id = fields.get("trace_id") or fields["dotted_order"].split(".")[0][-UUID_LENGTH:]
    fields["trace_id"] = str(trace_id)
    problem = _problem(fields)
    if problem:
        raise HttpError(
            400,
            {
                "error": f"Bad request: invalid 'dotted_order': {problem} for run_id:{run_id} trace_id:{trace_id}"
                f" dotted_order:{fields['dotted_order']} parent_run_id:{fields.get('parent_run_id')}"
            },
        )


def _problem(fields: dict[str, Any]) -> str:
    segments = fields["dotted_order"].split(".")
    stamps, ids = [], []
    for text in segments:
        try:
            ids.append(str(uuid.UUID(text[-UUID_LENGTH:])))
            stamps.append(datetime.strptime(text[:-UUID_LENGTH], STAMP))
        except ValueError:
            return f"invalid part {text}"
    if ids[-1] != fields["id"]:
        return "last part must be the run's own id"
    if ids[0] != fields["trace_id"]:
        return "trace_id does not match first part"
    if any(later < earlier for earlier, later in itertools.pairwise(stamps)):
        return "a part has an earlier timestamp than its parent's"
    return _family_problem(ids, fields)


def _family_problem(ids: list[str], fields: dict[str, Any]) -> str:
    parent = fields.get("parent_run_id")
    root = fields["trace_id"] == fields["id"]
    if root and len(ids) != 1:
        return "root run must have a single part"
    if not root and len(ids) < 2:
        return "child run must have at least two parts"
    if parent and (len(ids) < 2 or ids[-2] != str(parent)):
        return "parent_run_id does not match the part before the last"
    if len(ids) > 1:
        fields["parent_run_id"] = ids[-2]
    return ""
