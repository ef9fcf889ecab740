# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module without a ClickHouse; tests/integration has those against a real one."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.langsmith.aws.plugins.modules import clickhouse_sizing_check
from moto.server import ThreadedMotoServer

Run = Callable[..., dict[str, Any]]
PLAN = {
    "topology": "replicated",
    "replicas": 3,
    "cpu": 8,
    "memory_gib": 32,
    "volume": {"type": "gp3", "size_gib": 500, "iops": 7000, "throughput_mib_s": 1000},
    "persistence": True,
    "version": "25.12",
}


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str]) -> Run:
    def module(**options: Any) -> dict[str, Any]:
        with patch_module_args({"environment": "production", **options}), pytest.raises(SystemExit):
            clickhouse_sizing_check.main()
        result: dict[str, Any] = json.loads(capfd.readouterr().out)
        return result

    return module


@pytest.fixture
def closed_port() -> Iterator[int]:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        yield unused.getsockname()[1]


def test_a_sufficient_plan_needs_neither_server_nor_account(run: Run) -> None:
    result = run(plan=PLAN)
    assert (result["changed"], result["sufficient"], result["live"]) == (False, True, None)
    assert {finding["status"] for finding in result["findings"]} == {"pass"}


def test_an_insufficient_plan_is_a_result_and_no_failure_of_the_module(run: Run) -> None:
    result = run(plan={**PLAN, "topology": "single", "replicas": 1})
    assert result["sufficient"] is False
    assert "failed" not in result


def test_one_of_plan_and_live_is_needed(run: Run) -> None:
    assert "plan, live" in run()["msg"]


def test_a_server_that_is_not_there_is_a_finding(run: Run, closed_port: int) -> None:
    result = run(plan=PLAN, live={"url": f"http://127.0.0.1:{closed_port}", "password": "pa55-word"}, timeout=3)
    assert result["sufficient"] is False
    (found,) = [finding for finding in result["findings"] if finding["id"] == "clickhouse.connection"]
    assert found["status"] == "fail"
    assert found["subject"] == f"127.0.0.1:{closed_port}"
    assert "pa55-word" not in json.dumps(result)


@pytest.mark.parametrize(
    ("live", "told"),
    [
        ({"url": "clickhouse:8123"}, "'clickhouse:8123' is no URL"),
        ({"url": "http://clickhouse:8123", "connect_to": "nowhere"}, "'nowhere' is not of the form host:port"),
        ({"url": "https://clickhouse:8443", "ca_file": "/nonexistent/ca.crt"}, "/nonexistent/ca.crt cannot be read"),
    ],
)
def test_an_address_that_cannot_be_used_is_an_error_of_the_options(run: Run, live: dict[str, str], told: str) -> None:
    message = run(live=live)["msg"]
    assert message.startswith("live: ")
    assert told in message


def test_a_password_is_read_from_secrets_manager_and_its_absence_is_named(run: Run, closed_port: int) -> None:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        aws = {
            "region": "us-east-1",
            "endpoint_url": f"http://{host}:{port}",
            "access_key": "a1b2",
            "secret_key": "c3d4",
        }
        boto3.client(
            "secretsmanager",
            region_name="us-east-1",
            endpoint_url=aws["endpoint_url"],
            aws_access_key_id="a1b2",
            aws_secret_access_key="c3d4",
        ).create_secret(Name="langsmith/acme/clickhouse", SecretString='{"clickhouse_password": "pa55-word"}')
        live = {"url": f"http://127.0.0.1:{closed_port}", "password_secret": {"name": "langsmith/acme/clickhouse"}}
        there = run(live=live, timeout=3, **aws)
        absent = run(live={**live, "password_secret": {"name": "langsmith/nowhere"}}, timeout=3, **aws)
    finally:
        server.stop()
    assert [finding["id"] for finding in there["findings"]] == ["clickhouse.connection"]
    assert "pa55-word" not in json.dumps(there)
    assert "langsmith/nowhere is not in region us-east-1" in absent["msg"]
