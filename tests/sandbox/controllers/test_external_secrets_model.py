# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import base64
from typing import Any

import pytest

from sandbox.controllers import external_secrets_model as model
from sandbox.controllers.kubernetes import Object

NOON = "2026-01-01T12:00:00Z"
NOON_SECONDS = 1767268800.0


def external(**spec: Any) -> Object:
    metadata = {"name": "it", "namespace": "app", "uid": "1", "generation": 1, "labels": {"team": "a"}}
    return {"metadata": metadata, "spec": spec}


def synced(**spec: Any) -> Object:
    found = external(**spec)
    found["status"] = {"refreshTime": NOON, "syncedResourceVersion": model.resource_version(found)}
    return found


def decoded(secret: Object) -> dict[str, str]:
    return {key: base64.b64decode(value).decode() for key, value in secret["data"].items()}


@pytest.mark.parametrize(
    ("property_", "expected"),
    [(None, b'{"a":{"b":1},"c.d":"x","e":true}'), ("a.b", b"1"), ("c.d", b"x"), ("e", b"true"), ("a", b'{"b":1}')],
)
def test_a_property_is_read_by_key_or_path(property_: str | None, expected: bytes) -> None:
    assert model.select(b'{"a":{"b":1},"c.d":"x","e":true}', "name", property_) == expected


def test_a_missing_property_is_named() -> None:
    with pytest.raises(model.SyncError, match="key b does not exist in secret name"):
        model.select(b'{"a":1}', "name", "b")


def test_a_whole_json_secret_gives_its_keys_and_anything_else_is_refused_without_its_text() -> None:
    assert model.extract(b'{"a":"1","b":[2]}', "name") == {"a": b"1", "b": b"[2]"}
    with pytest.raises(model.SyncError) as found:
        model.extract(b"hunter2", "name")
    assert "hunter2" not in str(found.value)


@pytest.mark.parametrize(
    ("strategy", "value", "expected"),
    [
        ("None", b"aGk=", b"aGk="),
        ("Base64", b"aGk=", b"hi"),
        ("Base64URL", b"_-8=", b"\xff\xef"),
        ("Auto", b"hello!", b"hello!"),
    ],
)
def test_values_are_decoded_by_strategy(strategy: str, value: bytes, expected: bytes) -> None:
    assert model.decode(strategy, value) == expected


@pytest.mark.parametrize(
    ("text", "seconds"), [("1h0m0s", 3600), ("30s", 30), ("1h30m", 5400), ("0", 0), ("500ms", 0.5)]
)
def test_durations_are_gos(text: str, seconds: float) -> None:
    assert model.duration(text) == seconds


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"refreshInterval": "1h"}, 3540),
        ({"refreshInterval": "30s"}, 0),
        ({"refreshInterval": "0"}, float("inf")),
        ({"refreshPolicy": "CreatedOnce"}, float("inf")),
        ({"refreshPolicy": "OnChange"}, float("inf")),
        ({}, 3540),
    ],
)
def test_a_synced_secret_is_due_by_its_policy(spec: dict[str, Any], expected: float) -> None:
    assert model.refresh_in(synced(**spec), NOON_SECONDS + 60) == expected


def test_a_changed_annotation_makes_it_due_at_once() -> None:
    found = synced()
    found["metadata"]["annotations"] = {"force-sync": "1"}
    assert model.refresh_in(found, NOON_SECONDS + 60) == 0


def test_the_wanted_secret_is_owned_labelled_and_has_the_data() -> None:
    secret = model.wanted(external(target={"name": "other"}), None, {"a": b"1"})
    assert secret["metadata"]["name"] == "other"
    assert decoded(secret) == {"a": "1"}
    assert secret["metadata"]["ownerReferences"][0]["uid"] == "1"
    assert secret["metadata"]["labels"]["team"] == "a"
    assert model.valid(secret, external(target={"name": "other"}))


def test_a_template_replaces_the_data_unless_it_merges() -> None:
    template: dict[str, Any] = {"type": "kubernetes.io/tls", "data": {"url": "{{ .a }}!"}}
    replaced = model.wanted(external(target={"template": template}), None, {"a": b"1"})
    assert (decoded(replaced), replaced["type"]) == ({"url": "1!"}, "kubernetes.io/tls")
    merged = model.wanted(external(target={"template": {**template, "mergePolicy": "Merge"}}), None, {"a": b"1"})
    assert decoded(merged) == {"a": "1", "url": "1!"}


def test_merge_keeps_foreign_keys_and_orphan_takes_no_ownership() -> None:
    existing = {"metadata": {"name": "it", "namespace": "app"}, "data": {"theirs": "eA=="}, "type": "Opaque"}
    merged = model.wanted(external(target={"creationPolicy": "Merge"}), existing, {"a": b"1"})
    assert decoded(merged) == {"theirs": "x", "a": "1"}
    orphan = model.wanted(external(target={"creationPolicy": "Orphan"}), None, {"a": b"1"})
    assert orphan["metadata"]["ownerReferences"] == []
    assert model.OWNER_LABEL not in orphan["metadata"]["labels"]


def test_a_secret_of_another_external_secret_is_refused() -> None:
    owner = {"kind": "ExternalSecret", "name": "first", "controller": True}
    existing = {"metadata": {"name": "it", "namespace": "app", "ownerReferences": [owner]}}
    with pytest.raises(model.SyncError) as found:
        model.wanted(external(), existing, {})
    assert found.value.summary == "target is owned by another ExternalSecret"


def test_data_changed_by_another_hand_makes_a_secret_invalid() -> None:
    secret = model.wanted(external(), None, {"a": b"1"})
    secret["data"]["a"] = "Mg=="
    assert not model.valid(secret, external())
