# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module against moto's Secrets Manager over real HTTP."""

from __future__ import annotations

import hashlib
import json
import threading
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import boto3
import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.langsmith.aws.plugins.module_utils.clients.secretsmanager import SecretsManager
from ansible_collections.langsmith.aws.plugins.module_utils.shell import secret as shell
from ansible_collections.langsmith.aws.plugins.modules import secrets_manager_secret
from moto.secretsmanager.models import SecretsManagerBackend
from moto.server import ThreadedMotoServer

LICENSE = "lsv2-license-of-the-operator-0123456789"
Run = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def connection(endpoint: str) -> dict[str, str]:
    return {"region": "us-east-1", "endpoint_url": endpoint, "access_key": "testing", "secret_key": "testing-secret"}


@pytest.fixture
def manager(endpoint: str) -> Any:
    return boto3.client(
        "secretsmanager",
        region_name="us-east-1",
        endpoint_url=endpoint,
        aws_access_key_id="testing",
        aws_secret_access_key="testing-secret",
    )


@pytest.fixture
def name() -> str:
    return f"langsmith/{uuid.uuid4().hex}/postgres"


@pytest.fixture
def run(connection: dict[str, str], capfd: pytest.CaptureFixture[str]) -> Run:
    def module(check: bool = False, **options: Any) -> dict[str, Any]:
        arguments = {**connection, **options, "_ansible_check_mode": check, "_ansible_diff": True}
        with patch_module_args(arguments), pytest.raises(SystemExit):
            secrets_manager_secret.main()
        result: dict[str, Any] = json.loads(capfd.readouterr().out)
        return result

    return module


def stored(manager: Any, name: str) -> dict[str, str]:
    values: dict[str, str] = json.loads(manager.get_secret_value(SecretId=name)["SecretString"])
    return values


POSTGRES: dict[str, Any] = {
    "generate": {"password": {"kind": "password"}},
    "set": {"username": "langsmith", "host": "db.internal", "port": 5432, "dbname": "langsmith"},
    "compose": {"connection_url": "{username}:{password:urlencoded}@{host}:{port}/{dbname}?sslmode=require"},
    "tags": {"langsmith:installation": "acme"},
}


def test_a_new_secret_is_created_once_and_kept_by_the_second_run(run: Run, manager: Any, name: str) -> None:
    first = run(name=name, description="Postgres", **POSTGRES)
    values = stored(manager, name)
    again = run(name=name, description="Postgres", **POSTGRES)
    assert first["changed"] is True
    assert first["secret"]["keys"] == ["connection_url", "dbname", "host", "password", "port", "username"]
    assert first["secret"]["hashes"] == {
        key: hashlib.sha256(values[key].encode()).hexdigest() for key in ("connection_url", "password")
    }
    assert values["connection_url"].startswith("langsmith:")
    assert again["changed"] is False
    assert again["secret"] == first["secret"]
    assert again["diff"]["before"] == again["diff"]["after"]
    assert stored(manager, name) == values


def test_check_mode_tells_what_the_run_then_does_and_writes_nothing(run: Run, manager: Any, name: str) -> None:
    told = run(check=True, name=name, **POSTGRES)
    with pytest.raises(manager.exceptions.ResourceNotFoundException):
        manager.describe_secret(SecretId=name)
    done = run(name=name, **POSTGRES)
    assert told["changed"] is done["changed"] is True
    assert told["diff"] == done["diff"]
    assert told["secret"]["keys"] == done["secret"]["keys"]
    assert told["secret"]["arn"] is None
    version = manager.describe_secret(SecretId=name)["VersionIdsToStages"]
    changed = run(check=True, name=name, **{**POSTGRES, "set": {**POSTGRES["set"], "host": "other"}})
    assert changed["changed"] is True
    assert changed["diff"]["after"]["keys"]["connection_url"] == "changed"
    assert changed["diff"]["after"]["keys"]["password"] == "kept"
    assert manager.describe_secret(SecretId=name)["VersionIdsToStages"] == version


def test_check_mode_before_the_inputs_exist_is_no_error(run: Run, name: str) -> None:
    unknown_yet = {**POSTGRES, "set": {**POSTGRES["set"], "host": ""}}
    assert run(check=True, name=name, **unknown_yet)["changed"] is True
    assert "host is empty" in run(name=name, **unknown_yet)["msg"]


def test_a_composed_value_follows_its_inputs_and_the_password_stays(run: Run, manager: Any, name: str) -> None:
    run(name=name, **POSTGRES)
    before = stored(manager, name)
    result = run(name=name, **{**POSTGRES, "set": {**POSTGRES["set"], "host": "new.internal"}})
    after = stored(manager, name)
    assert result["changed"] is True
    assert after["password"] == before["password"]
    assert after["connection_url"] == before["connection_url"].replace("db.internal", "new.internal")


def test_no_value_is_in_any_result(run: Run, manager: Any, name: str) -> None:
    options = {**POSTGRES, "set_secret": {"langsmith_license_key": LICENSE}}
    results = [run(check=True, name=name, **options), run(name=name, **options), run(name=name, **options)]
    values = stored(manager, name)
    assert values["langsmith_license_key"] == LICENSE
    for result in results:
        text = json.dumps(result)
        assert not [key for key in ("password", "connection_url", "langsmith_license_key") if values[key] in text]


def test_a_secret_scheduled_for_deletion_comes_back_with_its_values(run: Run, manager: Any, name: str) -> None:
    run(name=name, **POSTGRES)
    values = stored(manager, name)
    assert run(name=name, state="absent", recovery_window_days=7)["changed"] is True
    assert run(name=name, state="absent", recovery_window_days=7)["changed"] is False
    told = run(check=True, name=name, **POSTGRES)
    assert (told["changed"], told["restored"]) == (True, True)
    assert told["diff"]["after"]["keys"]["password"] == "kept or generated"
    assert manager.describe_secret(SecretId=name)["DeletedDate"]
    done = run(name=name, **POSTGRES)
    assert (done["changed"], done["restored"]) == (True, True)
    assert stored(manager, name) == values
    assert run(name=name, **POSTGRES)["changed"] is False


def test_a_restored_secret_gets_what_is_new(run: Run, manager: Any, name: str) -> None:
    run(name=name, **POSTGRES)
    run(name=name, state="absent", recovery_window_days=30)
    result = run(name=name, **{**POSTGRES, "generate": {"password": {"kind": "password"}, "salt": {"kind": "hex"}}})
    assert result["restored"] is True
    assert len(stored(manager, name)["salt"]) == 64


def test_a_deletion_without_a_window_must_be_asked_for(run: Run, manager: Any, name: str) -> None:
    run(name=name, **POSTGRES)
    assert "recovery_window_days" in run(name=name, state="absent")["msg"]
    assert run(check=True, name=name, state="absent", force=True)["changed"] is True
    assert stored(manager, name)
    assert run(name=name, state="absent", force=True)["changed"] is True
    with pytest.raises(manager.exceptions.ResourceNotFoundException):
        manager.describe_secret(SecretId=name)
    assert run(name=name, state="absent", force=True)["changed"] is False


def test_a_value_is_copied_from_another_secret(run: Run, manager: Any, name: str) -> None:
    manager.create_secret(Name=f"{name}-license", SecretString=json.dumps({"license_key": LICENSE}))
    manager.create_secret(Name=f"{name}-plain", SecretString=LICENSE)
    sources = {
        "from_key": {"secret": f"{name}-license", "key": "license_key"},
        "from_text": {"secret": f"{name}-plain"},
    }
    result = run(name=name, values_from=sources)
    assert stored(manager, name) == {"from_key": LICENSE, "from_text": LICENSE}
    assert LICENSE not in json.dumps(result)
    assert result["secret"]["hashes"] == {}


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ({"secret": "langsmith/nowhere", "key": "k"}, "langsmith/nowhere is not in region us-east-1"),
        ({"key": "k"}, "values_from.license: give secret"),
    ],
)
def test_a_source_that_is_not_there_is_named(run: Run, name: str, source: dict[str, str], told: str) -> None:
    assert told in run(name=name, values_from={"license": source})["msg"]


def test_a_missing_key_of_a_source_is_named_with_those_there(run: Run, manager: Any, name: str) -> None:
    manager.create_secret(Name=f"{name}-license", SecretString=json.dumps({"licence": LICENSE}))
    message = run(name=name, values_from={"license": {"secret": f"{name}-license", "key": "license"}})["msg"]
    assert "has no key license (it has: licence)" in message
    assert LICENSE not in message


def test_a_write_once_key_refuses_another_value_before_any_write(run: Run, manager: Any, name: str) -> None:
    run(name=name, set_secret={"api_key_salt": "salt-of-the-old-installation"}, write_once=["api_key_salt"])
    before = manager.describe_secret(SecretId=name)["VersionIdsToStages"]
    result = run(name=name, set_secret={"api_key_salt": "another-salt-altogether"}, write_once=["api_key_salt"])
    assert "api_key_salt is write-once" in result["msg"]
    assert "salt-of-the" not in json.dumps(result)
    assert manager.describe_secret(SecretId=name)["VersionIdsToStages"] == before


def test_a_secret_that_is_no_json_object_is_left_alone(run: Run, manager: Any, name: str) -> None:
    manager.create_secret(Name=name, SecretString="just text")
    message = run(name=name, generate={"password": {"kind": "password"}})["msg"]
    assert "not a JSON object" in message
    assert "just text" not in message


def test_description_and_tags_change_without_a_new_version(run: Run, manager: Any, name: str) -> None:
    run(name=name, description="one", **POSTGRES)
    before = manager.describe_secret(SecretId=name)
    wanted = {**POSTGRES, "tags": {"langsmith:installation": "other"}}
    assert run(name=name, description="two", **wanted)["changed"] is True
    after = manager.describe_secret(SecretId=name)
    assert after["Description"] == "two"
    assert after["Tags"] == [{"Key": "langsmith:installation", "Value": "other"}]
    assert json.loads(manager.get_secret_value(SecretId=name)["SecretString"])
    assert run(name=name, description="two", **wanted)["changed"] is False
    assert before["ARN"] == after["ARN"]


@pytest.fixture
def whole_writes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Secrets Manager looks and writes in one step, where moto lets another write in between."""
    lock = threading.Lock()

    def alone(write: Callable[..., str]) -> Callable[..., str]:
        def locked(*given: Any, **options: Any) -> str:
            with lock:
                return write(*given, **options)

        return locked

    for name in ("create_secret", "put_secret_value"):
        monkeypatch.setattr(SecretsManagerBackend, name, alone(getattr(SecretsManagerBackend, name)))


@pytest.mark.usefixtures("whole_writes")
def test_runs_side_by_side_agree_on_one_set_of_generated_values(manager: Any, name: str) -> None:
    options = {key: spec.get("default") for key, spec in secrets_manager_secret.argument_spec().items()}
    salts = [{**options, "name": name, "generate": {f"key{n % 2}": {"kind": "hex"}}} for n in range(8)]
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda params: shell.ensure(SecretsManager(manager), params, False), salts))
    values = stored(manager, name)
    assert sorted(values) == ["key0", "key1"]
    for result in results:
        for key, digest in result["secret"]["hashes"].items():
            assert digest == hashlib.sha256(values[key].encode()).hexdigest()
