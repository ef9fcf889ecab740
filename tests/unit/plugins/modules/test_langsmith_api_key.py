# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module against moto's Secrets Manager and a scripted LangSmith, both over real HTTP."""

from __future__ import annotations

import base64
import json
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.langsmith.aws.plugins.modules import langsmith_api_key, langsmith_trace_probe
from moto.server import ThreadedMotoServer

from tests.unit.plugins.scripted import OVERDUE, Asked, Running, Said, page, said, serve
from tests.unit.plugins.scripted_langsmith import EMAIL, KEY, PASSWORD, TENANT, ScriptedLangSmith, on

Run = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def aws() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def connection(aws: str) -> dict[str, str]:
    return {"region": "us-east-1", "endpoint_url": aws, "access_key": "testing", "secret_key": "testing-secret"}


@pytest.fixture
def manager(aws: str) -> Any:
    return boto3.client(
        "secretsmanager",
        region_name="us-east-1",
        endpoint_url=aws,
        aws_access_key_id="testing",
        aws_secret_access_key="testing-secret",
    )


@pytest.fixture
def config(manager: Any) -> str:
    """The secret that holds the administrator's password."""
    name = f"langsmith/{uuid.uuid4().hex}/config"
    manager.create_secret(Name=name, SecretString=json.dumps({"initial_org_admin_password": PASSWORD}))
    return name


@pytest.fixture
def name() -> str:
    return f"langsmith/{uuid.uuid4().hex}/api-key"


@pytest.fixture
def langsmith() -> ScriptedLangSmith:
    return ScriptedLangSmith()


@pytest.fixture
def server(langsmith: ScriptedLangSmith) -> Iterator[Running]:
    with serve(langsmith) as running:
        yield running


@pytest.fixture
def run(connection: dict[str, str], config: str, name: str, server: Running, capfd: pytest.CaptureFixture[str]) -> Run:
    def module(check: bool = False, **options: Any) -> dict[str, Any]:
        wanted = {
            "url": f"http://{server.address}",
            "email": EMAIL,
            "password_secret": {"name": config, "key": "initial_org_admin_password"},
            "key_secret": {"name": name},
            "tags": {"langsmith:installation": "acme"},
            "timeout": 60,
            "connect_timeout": 60,
        }
        with patch_module_args({**connection, **wanted, **options, "_ansible_check_mode": check}):
            with pytest.raises(SystemExit):
                langsmith_api_key.main()
            text = capfd.readouterr().out
        assert PASSWORD not in text
        assert "lsv2_sk_" not in text
        result: dict[str, Any] = json.loads(text)
        return result

    return module


def stored(manager: Any, name: str) -> dict[str, str]:
    values: dict[str, str] = json.loads(manager.get_secret_value(SecretId=name)["SecretString"])
    return values


def test_a_first_run_makes_a_key_that_works_and_a_second_keeps_it(
    run: Run, manager: Any, name: str, langsmith: ScriptedLangSmith
) -> None:
    first = run()
    assert first["changed"]
    assert first["workspace_id"] == TENANT
    assert first["secret"]["name"] == name
    key = stored(manager, name)["api_key"]
    assert key in langsmith.keys
    assert manager.describe_secret(SecretId=name)["Tags"] == [{"Key": "langsmith:installation", "Value": "acme"}]
    second = run()
    assert not second["changed"]
    assert second["secret"] == first["secret"]
    assert stored(manager, name)["api_key"] == key


def test_a_key_that_works_needs_neither_password_nor_login(
    run: Run, manager: Any, name: str, config: str, server: Running
) -> None:
    manager.create_secret(Name=name, SecretString=json.dumps({"api_key": KEY}))
    manager.delete_secret(SecretId=config, ForceDeleteWithoutRecovery=True)
    assert run(tags=None)["changed"] is False
    assert [asked.path for asked in server.asked] == ["/api/v1/sessions"]


def test_a_key_that_is_refused_is_replaced_and_its_neighbours_are_kept(run: Run, manager: Any, name: str) -> None:
    manager.create_secret(Name=name, SecretString=json.dumps({"api_key": "lsv2_sk_old", "note": "kept"}))
    result = run()
    assert result["diff"] == {"before": {"api_key": "refused"}, "after": {"api_key": "works"}}
    values = stored(manager, name)
    assert values["note"] == "kept"
    assert values["api_key"] != "lsv2_sk_old"


def test_missing_tags_are_put_on_a_secret_whose_key_works(run: Run, manager: Any, name: str) -> None:
    manager.create_secret(Name=name, SecretString=json.dumps({"api_key": KEY}), Tags=[{"Key": "a", "Value": "b"}])
    assert run()["changed"]
    tags = {tag["Key"]: tag["Value"] for tag in manager.describe_secret(SecretId=name)["Tags"]}
    assert tags == {"a": "b", "langsmith:installation": "acme"}
    assert not run()["changed"]


def test_other_tags_go_only_when_asked(run: Run, manager: Any, name: str) -> None:
    manager.create_secret(Name=name, SecretString=json.dumps({"api_key": KEY}), Tags=[{"Key": "a", "Value": "b"}])
    assert not run(tags=None, purge_tags=True)["changed"]
    assert run(purge_tags=True)["changed"]
    assert manager.describe_secret(SecretId=name)["Tags"] == [{"Key": "langsmith:installation", "Value": "acme"}]
    assert not run(purge_tags=True)["changed"]


def test_a_secret_scheduled_for_deletion_comes_back_with_its_key(run: Run, manager: Any, name: str) -> None:
    tags = [{"Key": "langsmith:installation", "Value": "acme"}]
    manager.create_secret(Name=name, SecretString=json.dumps({"api_key": KEY}), Tags=tags)
    manager.delete_secret(SecretId=name, RecoveryWindowInDays=7)
    run()
    assert stored(manager, name) == {"api_key": KEY}


def test_check_mode_logs_in_nowhere_and_writes_nothing(run: Run, manager: Any, name: str, server: Running) -> None:
    result = run(check=True)
    assert result["changed"]
    assert server.asked == []
    with pytest.raises(manager.exceptions.ResourceNotFoundException):
        manager.describe_secret(SecretId=name)


@pytest.mark.parametrize(
    "answer",
    [
        page(502),
        page(403),
        page(200),
        page(301),
        said({"detail": "x"}, 500),
        OVERDUE,
        Said(raw=(b"HTTP/1.1 200 OK\r\n",)),
    ],
)
@pytest.mark.usefixtures("impatient")
def test_an_answer_that_says_nothing_of_the_key_leaves_it_alone(
    run: Run, manager: Any, name: str, langsmith: ScriptedLangSmith, answer: Said
) -> None:
    manager.create_secret(Name=name, SecretString=json.dumps({"api_key": KEY}))
    langsmith.faults.append(on("GET", "/api/v1/sessions", answer))
    result = run()
    assert result["failed"]
    assert "does not tell whether the stored key works" in result["msg"]
    assert stored(manager, name) == {"api_key": KEY}


@pytest.mark.parametrize(
    ("call", "answer", "complaint"),
    [
        (("POST", "/api/v1/login"), said({"detail": "no"}, 401), f"refused the login of {EMAIL} (status 401)"),
        (("POST", "/api/v1/login"), said({"detail": "Not Found"}, 404), "no login by password"),
        (("POST", "/api/v1/login"), page(200), "did not log in"),
        (("GET", "/api/v1/workspaces"), said([]), "the user sees 0 workspaces"),
        (("GET", "/api/v1/workspaces"), said({"detail": "x"}, 500), "did not list the workspaces"),
        (("POST", "/api/v1/api-key"), said({"detail": "Forbidden"}, 403), "did not make an API key"),
        (("POST", "/api/v1/api-key"), said({"key": "lsv2_sk_wrong"}), "refuses the key that it has just made"),
    ],
)
def test_a_key_that_cannot_be_made_is_one_error_and_stores_nothing(
    run: Run,
    manager: Any,
    name: str,
    langsmith: ScriptedLangSmith,
    call: tuple[str, str],
    answer: Said,
    complaint: str,
) -> None:
    langsmith.faults.append(on(*call, answer))
    result = run()
    assert result["failed"]
    assert complaint in result["msg"]
    with pytest.raises(manager.exceptions.ResourceNotFoundException):
        manager.describe_secret(SecretId=name)


def test_a_workspace_is_chosen_by_its_name_where_there_are_several(run: Run, langsmith: ScriptedLangSmith) -> None:
    langsmith.workspaces.append({"id": str(uuid.uuid4()), "display_name": "Other"})
    complaint = run()["msg"]
    assert "the user sees 2 workspaces (Other, Workspace 1); name one by workspace" in complaint
    assert run(workspace="Workspace 1")["workspace_id"] == TENANT


def test_a_missing_password_is_told_with_the_secrets_name(run: Run, config: str) -> None:
    result = run(password_secret={"name": config, "key": "other"})
    assert f"secret {config} has no key other" in result["msg"]


def test_the_probe_reads_the_key_where_this_module_put_it(
    run: Run, name: str, connection: dict[str, str], server: Running, capfd: pytest.CaptureFixture[str]
) -> None:
    run()
    options = {"endpoint": f"http://{server.address}", "api_key_secret": {"name": name}, "wait_sleep": 0.02}
    with patch_module_args({**connection, **options}), pytest.raises(SystemExit):
        langsmith_trace_probe.main()
    text = capfd.readouterr().out
    assert json.loads(text)["healthy"]
    assert "lsv2_sk_" not in text


def test_a_key_that_is_read_from_its_secret_is_hidden_wherever_it_turns_up(
    manager: Any,
    name: str,
    connection: dict[str, str],
    langsmith: ScriptedLangSmith,
    server: Running,
    capfd: pytest.CaptureFixture[str],
) -> None:
    manager.create_secret(Name=name, SecretString=json.dumps({"api_key": KEY}))
    langsmith.faults.append(on("GET", "/api/v1/info", said({"version": f"0.12 of {KEY}"})))
    options = {"endpoint": f"http://{server.address}", "api_key_secret": {"name": name}, "wait_sleep": 0.02}
    with patch_module_args({**connection, **options}), pytest.raises(SystemExit):
        langsmith_trace_probe.main()
    text = capfd.readouterr().out
    assert "LangSmith 0.12 of ****" in text
    assert KEY not in text


def test_an_answer_that_repeats_key_password_or_token_tells_none_of_them(
    run: Run, manager: Any, name: str, langsmith: ScriptedLangSmith
) -> None:
    def repeat(asked: Asked) -> Said | None:
        told = asked.headers.get("authorization", asked.headers.get("x-api-key", ""))
        password = PASSWORD if asked.path.endswith("login") else ""
        return said({"detail": f"not now, {told}, {password}"}, 500)

    for method, path in (("POST", "/api/v1/login"), ("GET", "/api/v1/workspaces"), ("GET", "/api/v1/sessions")):
        langsmith.faults[:] = [on(method, path, repeat)]
        if path.endswith("sessions"):
            manager.create_secret(Name=name, SecretString=json.dumps({"api_key": KEY}))
        complaint = run()["msg"]
        assert "not now" in complaint
        assert "token-of-admin" not in complaint
        assert base64.b64encode(f"{EMAIL}:{PASSWORD}".encode()).decode() not in complaint
