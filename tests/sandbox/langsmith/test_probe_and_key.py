# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The collection's key module and its probe with that key, against the running services."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from typing import Any

import boto3
import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.langsmith.aws.plugins.modules import langsmith_api_key, langsmith_trace_probe

from tests.sandbox.langsmith.installation import ADMIN_EMAIL, ADMIN_PASSWORD, DEADLINE_SECONDS, Installation

Run = Callable[..., dict[str, Any]]

CONFIG = "langsmith/probe-tests/config"
KEY = "langsmith/probe-tests/api-key"


def call(module: Any, options: dict[str, Any], capfd: pytest.CaptureFixture[str]) -> dict[str, Any]:
    with patch_module_args(options), pytest.raises(SystemExit):
        module.main()
    text = capfd.readouterr().out
    assert ADMIN_PASSWORD not in text
    result: dict[str, Any] = json.loads(text)
    return result


@pytest.fixture
def connection(blob_store: str) -> dict[str, str]:
    return {"region": "us-east-1", "endpoint_url": blob_store, "access_key": "test", "secret_key": "test"}


@pytest.fixture
def ensure_key(
    langsmith: Installation, connection: dict[str, str], blob_store: str, capfd: pytest.CaptureFixture[str]
) -> Run:
    manager = boto3.client(
        "secretsmanager",
        endpoint_url=blob_store,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )
    with contextlib.suppress(manager.exceptions.ResourceExistsException):
        manager.create_secret(Name=CONFIG, SecretString=json.dumps({"password": ADMIN_PASSWORD}))

    def run() -> dict[str, Any]:
        options = {
            "url": f"http://127.0.0.1:{langsmith.ports['frontend']}",
            "email": ADMIN_EMAIL,
            "password_secret": {"name": CONFIG, "key": "password"},
            "key_secret": {"name": KEY},
            # Another test makes a second one, and then the module asks for the name.
            "workspace": "Workspace 1",
        }
        return call(langsmith_api_key, {**connection, **options}, capfd)

    return run


@pytest.fixture
def probe(
    langsmith: Installation, connection: dict[str, str], ensure_key: Run, capfd: pytest.CaptureFixture[str]
) -> Run:
    made = ensure_key()
    assert not made.get("failed"), made["msg"]

    def run(**more: Any) -> dict[str, Any]:
        options = {
            "endpoint": f"http://127.0.0.1:{langsmith.ports['frontend']}",
            "api_key_secret": {"name": KEY},
            "wait_timeout": int(DEADLINE_SECONDS),
            "timeout": 60,
            "connect_timeout": 60,
        }
        return call(langsmith_trace_probe, {**connection, **options, **more}, capfd)

    return run


def test_a_key_is_made_once(ensure_key: Run) -> None:
    ensure_key()
    assert ensure_key()["changed"] is False


def test_a_key_that_another_salt_voided_is_replaced(ensure_key: Run, langsmith: Installation) -> None:
    ensure_key()
    langsmith.stop("backend")
    langsmith.start("backend", API_KEY_SALT="another")
    try:
        assert ensure_key()["diff"]["before"] == {"api_key": "refused"}
    finally:
        langsmith.stop("backend")
        langsmith.start("backend")
    assert ensure_key()["changed"]


def test_a_trace_is_sent_read_back_compared_and_removed(probe: Run) -> None:
    result = probe()
    assert {entry["status"] for entry in result["findings"]} == {"pass"}
    assert result["project"]["kept"] is False
    assert 0 <= result["timings"]["queue_delay"] < DEADLINE_SECONDS
