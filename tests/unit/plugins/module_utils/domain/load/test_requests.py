# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import email.parser
import email.policy
import json
import re
from datetime import UTC, datetime

import pytest
from ansible_collections.langsmith.aws.plugins.module_utils.domain.load.feed import Sizes
from ansible_collections.langsmith.aws.plugins.module_utils.domain.load.ids import Ids, RunIds
from ansible_collections.langsmith.aws.plugins.module_utils.domain.load.options import RUN_OVERHEAD_BYTES, Payload
from ansible_collections.langsmith.aws.plugins.module_utils.domain.load.requests import (
    CONTENT_TYPE,
    Requests,
    moment,
    payload_pool,
    pool_randomness,
)

IDS = Ids(0x019AB3C4D5E6, 0x2123456FF)
PROJECT = "11111111-1111-4111-8111-111111111111"
NOW = datetime(2026, 11, 21, 15, 34, 40, 712032, UTC)


def sent(runs_per_trace: int, *payload: Payload, first: int = 0, count: int = 4) -> bytes:
    sizes = Sizes(payload or (Payload(1),), runs_per_trace)
    pool = payload_pool(bytes(number * 7919 % 251 for number in range(pool_randomness(sizes))))
    requests = Requests(RunIds(IDS, runs_per_trace), sizes, PROJECT, pool)
    return b"".join(requests.parts(first, count, moment(NOW)))


def read(body: bytes) -> dict[str, tuple[int, bytes]]:
    """Announced length and content of each part by its name."""
    message = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(
        b"Content-Type: " + CONTENT_TYPE.encode() + b"\r\n\r\n" + body
    )
    found = {}
    for part in message.iter_parts():
        name = re.search(r'name="([^"]+)"', part["content-disposition"])
        content = part.get_payload(decode=True)
        assert name is not None
        assert isinstance(content, bytes)
        found[name[1]] = (int(part["content-length"]), content)
    return found


def test_every_part_has_the_length_that_it_announces() -> None:
    parts = read(sent(3, Payload(1), Payload(7)))
    assert len(parts) == 4 * 3 * 3
    assert all(announced == len(content) for announced, content in parts.values())


def test_a_trace_is_a_root_and_its_children_complete_in_one_post() -> None:
    parts = read(sent(3, first=5, count=1))
    root, *children = [IDS.id(number) for number in (15, 16, 17)]
    stamp = "20261121T153440712032Z"
    main = json.loads(parts[f"post.{root}"][1])
    assert main == {
        "id": root,
        "trace_id": root,
        "dotted_order": f"{stamp}{root}",
        "start_time": "2026-11-21T15:34:40.712032+00:00",
        "end_time": "2026-11-21T15:34:40.713032+00:00",
        "session_id": PROJECT,
        "name": "langsmith.aws load",
        "run_type": "chain",
        "tags": ["langsmith.aws", "load"],
    }
    for child in children:
        found = json.loads(parts[f"post.{child}"][1])
        assert (found["trace_id"], found["parent_run_id"]) == (root, root)
        assert found["dotted_order"] == f"{stamp}{root}.{stamp}{child}"
        assert json.loads(parts[f"post.{child}.outputs"][1])["run"] == child


@pytest.mark.parametrize("kib", [0.5, 1.0, 40.0])
def test_payloads_have_their_size_and_differ_from_run_to_run(kib: float) -> None:
    parts = read(sent(2, Payload(kib)))
    contents = [json.loads(body)["content"] for name, (_type, body) in parts.items() if name.endswith(".inputs")]
    assert {len(content) for content in contents} == {int(kib * 1024)}
    assert len(set(contents)) == len(contents)


def test_a_run_is_no_larger_than_what_requests_are_measured_with() -> None:
    assert len(sent(5, Payload(2), count=4)) <= 20 * (2048 + RUN_OVERHEAD_BYTES) + 200
