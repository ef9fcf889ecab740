# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.langsmith.aws.plugins.module_utils.clients import kubeconfig as kubeconfig_client
from ansible_collections.langsmith.aws.plugins.module_utils.clients.kubeconfig import KubeconfigError, load

VERSION = "client.authentication.k8s.io/v1"

Write = Callable[[dict[str, Any]], str]


@pytest.fixture
def kubeconfig(tmp_path: Path) -> Write:
    """Writes the kubeconfig of a user with these entries, and returns its path."""

    def write(user: dict[str, Any]) -> str:
        document = {
            "clusters": [{"name": "c", "cluster": {"server": "https://cluster.example.org"}}],
            "users": [{"name": "u", "user": user}],
            "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
            "current-context": "c",
        }
        path = tmp_path / "kubeconfig"
        path.write_text(yaml.safe_dump(document), encoding="utf-8")
        return str(path)

    return write


def program(source: str) -> dict[str, Any]:
    return {
        "exec": {"apiVersion": VERSION, "command": sys.executable, "args": ["-c", source], "interactiveMode": "Never"}
    }


def test_a_token_and_the_server_are_read(kubeconfig: Write) -> None:
    settings = load(kubeconfig({"token": "secret"}))
    assert settings.host == "https://cluster.example.org"
    assert [item["value"] for item in settings.auth_settings().values()] == ["Bearer secret"]


def test_a_program_gives_the_token(kubeconfig: Write) -> None:
    status = {"token": "given", "expirationTimestamp": "2099-01-01T00:00:00Z"}
    document = json.dumps({"apiVersion": VERSION, "kind": "ExecCredential", "status": status})
    settings = load(kubeconfig(program(f"print({document!r})")))
    assert [item["value"] for item in settings.auth_settings().values()] == ["Bearer given"]


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(KubeconfigError, match=f"kubeconfig {tmp_path / 'none'} cannot be used"):
        load(str(tmp_path / "none"))


def test_a_program_that_fails_is_told_of_in_its_own_words(kubeconfig: Write) -> None:
    path = kubeconfig(program("import sys; sys.exit('Unable to locate credentials')"))
    with pytest.raises(KubeconfigError, match=r"gives no credentials: .*Unable to locate credentials"):
        load(path)


def test_a_program_that_hangs_is_ended_and_named(kubeconfig: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kubeconfig_client, "PROGRAM_SECONDS", 0.3)
    began = time.monotonic()
    with pytest.raises(KubeconfigError, match=f"the program {sys.executable} did not end within 0.3 s"):
        load(kubeconfig(program("import time; time.sleep(600)")))
    assert time.monotonic() - began < 60


def test_a_user_without_credentials_is_nobody(kubeconfig: Write) -> None:
    with pytest.raises(KubeconfigError, match="it has neither a token nor a certificate"):
        load(kubeconfig({}))


@pytest.mark.parametrize(
    "user",
    [
        {"client-key-data": "hidden"},
        {"exec": {"command": "true", "env": [{"name": "A", "value": "hidden"}]}},
        {"exec": {"apiVersion": VERSION, "env": [{"name": "A", "value": "hidden"}]}},
    ],
)
def test_what_a_kubeconfig_holds_is_in_no_error_about_it(kubeconfig: Write, user: dict[str, Any]) -> None:
    with pytest.raises(KubeconfigError) as caught:
        load(kubeconfig(user))
    assert "hidden" not in str(caught.value)
    assert caught.value.__cause__ is None
