# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What becomes of a new key when its secret does not hold still, on a store that lives in memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from ansible_collections.langsmith.aws.plugins.module_utils.domain.answers import Observed
from ansible_collections.langsmith.aws.plugins.module_utils.domain.errors import ProjectError
from ansible_collections.langsmith.aws.plugins.module_utils.domain.langsmith import Endpoint
from ansible_collections.langsmith.aws.plugins.module_utils.domain.secret import Actual, SecretConflictError
from ansible_collections.langsmith.aws.plugins.module_utils.shell import api_key

NEW_KEY = "lsv2_sk_new"
OPTIONS: dict[str, Any] = {
    "url": "https://langsmith.example.org",
    "email": "admin@example.org",
    "password_secret": {"name": "acme/config", "key": "password"},
    "key_secret": {"name": "acme/api-key", "key": "api_key"},
    "description": "langsmith.aws",
    "workspace": None,
    "kms_key_id": None,
    "tags": {"langsmith:installation": "acme"},
    "purge_tags": False,
    **dict.fromkeys(("connect_to", "ca_file", "timeout", "connect_timeout")),
}


@dataclass
class Store:
    """Secrets in a dictionary. ``conflict`` refuses each write of values, ``forgets`` loses what was written."""

    secrets: dict[str, Actual] = field(default_factory=dict)
    conflict: bool = False
    forgets: bool = False

    def describe(self, name: str) -> Actual | None:
        return self.secrets.get(name)

    def read(self, name: str) -> Actual | None:
        return self.secrets.get(name)

    def read_value(self, name: str, key: str | None = None) -> str:
        return f"the {key} of {name}"

    def create(self, name: str, values: Mapping[str, str], **attributes: Any) -> None:
        self._write(Actual(name, f"arn:{name}", values=dict(values), tags=dict(attributes["tags"])))

    def put(self, actual: Actual, values: Mapping[str, str], stale_token: bool = False) -> None:
        self._write(replace(actual, values=dict(values)))

    def update(self, actual: Actual, attributes: Mapping[str, str]) -> None:
        changes: dict[str, Any] = dict(attributes)
        self.secrets[actual.name] = replace(actual, **changes)

    def restore(self, actual: Actual) -> None:
        self.secrets[actual.name] = replace(actual, deleted_on=None, values={"api_key": "old", "other": "kept"})

    def tag(self, actual: Actual, tags: Mapping[str, str]) -> None:
        self.secrets[actual.name] = replace(actual, tags={**actual.tags, **tags})

    def untag(self, actual: Actual, names: tuple[str, ...]) -> None:
        kept = {key: value for key, value in actual.tags.items() if key not in names}
        self.secrets[actual.name] = replace(actual, tags=kept)

    def delete(self, actual: Actual, window_days: int | None) -> None:
        del self.secrets[actual.name]

    def _write(self, actual: Actual) -> None:
        if self.conflict:
            raise SecretConflictError("written meanwhile")
        if not self.forgets:
            self.secrets[actual.name] = actual


@dataclass(frozen=True)
class Reply:
    """An answer with status and document."""

    status: int
    document: Any

    @property
    def observed(self) -> Observed:
        shape = "array" if isinstance(self.document, list) else "object"
        return Observed("any", "GET /any", self.status, "application/json", shape=shape)


@dataclass(frozen=True)
class Api:
    """A LangSmith with one workspace that accepts the new key only."""

    authorization: dict[str, str]

    def login(self, email: str, password: str) -> Reply:
        known = (email, password) == ("admin@example.org", "the password of acme/config")
        return Reply(200, {"access_token": "token"}) if known else Reply(401, {})

    def workspaces(self) -> Reply:
        return Reply(200, [{"id": "w1", "display_name": "Default"}])

    def projects(self) -> Reply:
        return Reply(200, []) if self.authorization.get("x-api-key") == NEW_KEY else Reply(401, {})

    def create_key(self, description: str) -> Reply:
        return Reply(200, {"key": NEW_KEY} if self.authorization["X-Tenant-Id"] == "w1" else {})


def connect(endpoint: Endpoint, authorization: dict[str, str], connection: Mapping[str, Any]) -> Api:
    return Api(authorization)


def ensure(store: Store, check_mode: bool = False, hidden: list[str] | None = None, **options: Any) -> dict[str, Any]:
    hide = (hidden if hidden is not None else []).append
    return api_key.ensure(store, connect, {**OPTIONS, **options}, check_mode, hide)


def test_a_missing_key_is_made_stored_and_kept_by_the_next_run() -> None:
    store = Store()
    first, second = ensure(store), ensure(store)
    assert (first["changed"], second["changed"]) == (True, False)
    assert store.secrets["acme/api-key"].values == {"api_key": NEW_KEY}
    assert first["secret"] == second["secret"]
    assert NEW_KEY not in str(first) + str(second)


def test_every_secret_on_the_way_to_a_key_is_told_to_be_hidden() -> None:
    store, hidden = Store(), list[str]()
    ensure(store, hidden=hidden)
    assert hidden == ["the password of acme/config", "token", NEW_KEY]
    hidden.clear()
    ensure(store, hidden=hidden)
    assert hidden == [NEW_KEY]


def test_check_mode_writes_nothing_and_restores_nothing() -> None:
    gone = Actual("acme/api-key", "arn:acme/api-key", deleted_on="2026-11-20")
    for store in (Store(), Store({gone.name: gone})):
        before = dict(store.secrets)
        assert ensure(store, check_mode=True)["changed"] is True
        assert store.secrets == before


def test_a_secret_that_waits_for_its_deletion_comes_back_with_its_other_keys() -> None:
    gone = Actual("acme/api-key", "arn:acme/api-key", deleted_on="2026-11-20")
    store = Store({gone.name: gone})
    assert ensure(store)["diff"]["before"] == {"api_key": "refused"}
    assert store.secrets[gone.name].values == {"api_key": NEW_KEY, "other": "kept"}
    assert store.secrets[gone.name].tags == OPTIONS["tags"]


@pytest.mark.parametrize(
    ("store", "said"),
    [
        (Store(conflict=True), "written by another run meanwhile; run again"),
        (Store(forgets=True), "somebody deletes it"),
    ],
)
def test_a_secret_that_another_program_writes_or_deletes_is_told(store: Store, said: str) -> None:
    with pytest.raises(ProjectError, match=said):
        ensure(store)


def test_an_address_that_is_none_is_refused_before_anything_is_read() -> None:
    with pytest.raises(ValueError, match="is not of the form"):
        ensure(Store(), url="langsmith.example.org")
