# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import email.parser
import email.policy
import gzip
import hashlib
import json
import os
import uuid
from datetime import UTC, datetime, timedelta, timezone

import pytest
from ansible_collections.langsmith.aws.plugins.module_utils.domain import trace

MOMENT = datetime(2026, 11, 21, 9, 51, 34, 943068, tzinfo=UTC)
PROJECT = "22222222-2222-4222-8222-222222222222"


def parts(content_type: str, body: bytes) -> list[tuple[str, str, str, bytes]]:
    """Name, type, length and content of each part, by the standard library's own parser."""
    head = f"Content-Type: {content_type}\r\n\r\n".encode()
    message = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(head + body)
    found = []
    for part in message.iter_parts():
        content = part.get_payload(decode=True)
        assert isinstance(content, bytes)
        name = str(part.get_param("name", header="content-disposition"))
        found.append((name, part.get_content_type(), str(part["Content-Length"]), content))
    return found


def test_an_id_is_a_version_7_uuid_of_the_moment() -> None:
    found = uuid.UUID(trace.uuid7(MOMENT, b"\xff" * 10))
    assert (found.version, found.variant) == (7, uuid.RFC_4122)
    assert found.int >> 80 == int(MOMENT.timestamp() * 1000)
    assert str(found).endswith("-7fff-bfff-ffffffffffff")


def test_ids_of_one_moment_differ_by_their_randomness_and_later_ones_sort_later() -> None:
    assert trace.uuid7(MOMENT, os.urandom(10)) != trace.uuid7(MOMENT, os.urandom(10))
    assert trace.uuid7(MOMENT, b"\xff" * 10) < trace.uuid7(MOMENT + timedelta(milliseconds=1), b"\0" * 10)


def test_an_order_is_the_start_in_utc_with_microseconds_and_the_id() -> None:
    east = MOMENT.astimezone(timezone(timedelta(hours=5, minutes=30)))
    assert trace.dotted_order(east, "ID") == "20261121T095134943068ZID"
    assert trace.dotted_order(MOMENT, "ID", "PARENT") == "PARENT.20261121T095134943068ZID"


def test_the_small_trace_obeys_the_rules_by_which_ingestion_refuses_a_trace() -> None:
    root, child = trace.small_trace(MOMENT, os.urandom(36))
    assert root.trace_id == root.id == child.trace_id == child.parent_run_id
    assert root.dotted_order.count(".") == 0
    parent, own = child.dotted_order.split(".")
    assert parent == root.dotted_order
    assert own.endswith(child.id)
    assert own[:21] >= parent[:21]
    assert root.start_time < child.start_time < child.end_time < root.end_time


def test_two_small_traces_share_neither_ids_nor_payloads() -> None:
    first, second = (trace.small_trace(MOMENT, os.urandom(36))[0] for _time in range(2))
    assert first.id != second.id
    assert trace.payload_hash(first.inputs) != trace.payload_hash(second.inputs)


def test_the_large_input_stays_over_the_blob_threshold_when_compressed() -> None:
    run = trace.large_trace(MOMENT, os.urandom(10 + trace.LARGE_INPUT_BYTES))
    content = run.inputs["content"].encode()
    assert len(content) == 64 * 1024
    assert len(gzip.compress(content)) > 20 * 1024


def test_posts_hold_the_beginning_and_the_attachment_and_patches_the_end() -> None:
    run = trace.large_trace(MOMENT, os.urandom(10 + trace.LARGE_INPUT_BYTES))
    posts = parts(*trace.encode_multipart([run], "post", PROJECT, "b" * 32))
    assert [post[0] for post in posts] == [
        f"post.{run.id}",
        f"post.{run.id}.inputs",
        f"post.{run.id}.extra",
        f"attachment.{run.id}.probe",
    ]
    fields = json.loads(posts[0][3])
    assert (fields["session_id"], fields["id"], fields["run_type"]) == (PROJECT, run.id, "chain")
    assert not {"end_time", "outputs", "inputs", "status"} & set(fields)
    assert hashlib.sha256(posts[3][3]).digest() == hashlib.sha256(run.attachments[0].content).digest()
    patches = parts(*trace.encode_multipart([run], "patch", PROJECT, "b" * 32))
    assert [patch[0] for patch in patches] == [f"patch.{run.id}", f"patch.{run.id}.outputs"]
    assert json.loads(patches[0][3])["end_time"] == run.end_time.isoformat()


def test_every_part_says_its_type_and_length() -> None:
    runs = trace.small_trace(MOMENT, os.urandom(36))
    for name, content_type, length, content in parts(*trace.encode_multipart(runs, "post", PROJECT, "b" * 32)):
        assert content_type == "application/json", name
        assert int(length) == len(content), name


def test_text_beyond_ascii_survives() -> None:
    root, _child = trace.small_trace(MOMENT, os.urandom(36))
    found = parts(*trace.encode_multipart([root], "post", PROJECT, "b" * 32))
    assert trace.payload_hash(json.loads(found[1][3])) == trace.payload_hash(root.inputs)


def test_a_hash_does_not_depend_on_the_order_of_keys() -> None:
    assert trace.payload_hash({"a": 1, "b": [2, {"c": 3, "d": 4}]}) == trace.payload_hash(
        {"b": [2, {"d": 4, "c": 3}], "a": 1}
    )
    assert trace.payload_hash({"a": 1}) != trace.payload_hash({"a": "1"})


def test_an_attachments_name_holds_no_dot() -> None:
    with pytest.raises(ValueError, match="no dot"):
        trace.Attachment("a.txt", "text/plain", b"")
