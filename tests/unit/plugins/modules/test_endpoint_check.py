# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.langsmith.aws.plugins.module_utils.clients import observing
from ansible_collections.langsmith.aws.plugins.modules import endpoint_check

from tests.unit.plugins.leaping import Leaping
from tests.unit.plugins.scripted import OVERDUE, Asked, Authority, Said, page, said, serve

Check = Callable[..., dict[str, Any]]


@pytest.fixture
def check(capfd: pytest.CaptureFixture[str]) -> Check:
    def run(**options: Any) -> dict[str, Any]:
        with patch_module_args({"timeout": 60, "connect_timeout": 60, **options}), pytest.raises(SystemExit):
            endpoint_check.main()
        result: dict[str, Any] = json.loads(capfd.readouterr().out)
        return result

    return run


def layers(result: dict[str, Any]) -> dict[str, str]:
    return {entry["id"].removeprefix("endpoint."): entry["status"] for entry in result["findings"]}


def test_a_healthy_url_passes_layer_by_layer(check: Check, authority: Authority) -> None:
    with serve(lambda _asked: said("ok"), authority.issue("langsmith.test")) as server:
        result = check(
            url="https://langsmith.test/health?x=1", connect_to=server.address, ca_file=str(authority.ca_file)
        )
    assert result["healthy"]
    assert not result["changed"]
    assert layers(result) == {"dns": "pass", "tcp": "pass", "tls": "pass", "http": "pass"}
    assert result["status"] == 200
    assert set(result["timings"]) == {"dns", "connect", "tls", "first_byte", "total"}
    assert (server.asked[0].path, server.asked[0].query) == ("/health", {"x": ["1"]})


def test_plain_http_has_no_tls_layer(check: Check) -> None:
    with serve(lambda _asked: said("ok")) as server:
        assert layers(check(url=f"http://{server.address}")) == {"dns": "pass", "tcp": "pass", "http": "pass"}


def test_an_expected_status_other_than_200_is_healthy(check: Check) -> None:
    with serve(lambda _asked: page(301, Location="https://langsmith.test/")) as server:
        assert check(url=f"http://{server.address}/", expect_status=[301, 308])["healthy"]


@pytest.mark.parametrize(
    ("answer", "component", "words"),
    [
        (page(502), "load-balancer", "find the target that is not ready"),
        (page(403), "firewall", "web ACL"),
        (page(301, Location="https://langsmith.test/"), "load-balancer", "https://langsmith.test/"),
        (page(404, "nginx"), "load-balancer", "describe ingress"),
        (OVERDUE, "load-balancer", "ready target"),
        (Said(raw=(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{",)), "load-balancer", "ready target"),
        (Said(raw=(b"nonsense\r\n\r\n",)), "load-balancer", "ready target"),
    ],
)
@pytest.mark.usefixtures("impatient")
def test_an_unhealthy_answer_is_one_failed_layer_with_its_next_step(
    check: Check, answer: Said, component: str, words: str
) -> None:
    with serve(lambda _asked: answer) as server:
        result = check(url=f"http://{server.address}/")
    assert not result["healthy"]
    failed = [entry for entry in result["findings"] if entry["status"] == "fail"]
    assert [(entry["id"], entry["component"]) for entry in failed] == [("endpoint.http", component)]
    assert words in failed[0]["remedy"]


def test_a_certificate_of_another_name_fails_the_tls_layer_and_asks_no_further(
    check: Check, authority: Authority
) -> None:
    with serve(lambda _asked: said("ok"), authority.issue("other.test")) as server:
        result = check(url="https://langsmith.test/", connect_to=server.address, ca_file=str(authority.ca_file))
    assert layers(result) == {"dns": "pass", "tcp": "pass", "tls": "fail"}
    assert "other.test" in result["findings"][-1]["observed"]
    assert f"openssl s_client -connect {server.address} -servername langsmith.test" in result["findings"][-1]["remedy"]
    assert result["status"] is None
    assert server.asked == []


def test_an_expired_certificate_fails_the_tls_layer(check: Check, authority: Authority) -> None:
    past = datetime.now(UTC) - timedelta(days=3)
    with serve(lambda _asked: said("ok"), authority.issue("langsmith.test", until=past)) as server:
        result = check(url="https://langsmith.test/", connect_to=server.address, ca_file=str(authority.ca_file))
    assert layers(result)["tls"] == "fail"
    assert "expired" in result["findings"][-1]["observed"]


def test_waiting_ends_with_the_first_healthy_answer(check: Check) -> None:
    answers = iter([page(503), page(503), said("ok")])
    with serve(lambda _asked: next(answers)) as server:
        result = check(url=f"http://{server.address}/", wait=True, wait_sleep=0.01, wait_timeout=600)
    assert result["healthy"]
    assert result["attempts"] == 3
    assert len(server.connections) == 3


def test_waiting_in_vain_ends_at_its_timeout_with_what_was_last_seen(
    check: Check, leaping: Callable[..., Leaping]
) -> None:
    leaping(observing)
    asked: list[Asked] = []

    def script(request: Asked) -> Said:
        asked.append(request)
        return page(503)

    with serve(script) as server:
        result = check(url=f"http://{server.address}/", wait=True, wait_sleep=60, wait_timeout=600)
    assert not result["healthy"]
    assert result["attempts"] == len(asked) > 1
    assert 600 <= result["duration"] < 660
    assert "503" in result["findings"][-1]["observed"]


def test_a_url_that_is_none_fails_with_the_form_it_should_have(check: Check) -> None:
    result = check(url="langsmith.test/health")
    assert result["failed"]
    assert "https://name[:port]/path" in result["msg"]
