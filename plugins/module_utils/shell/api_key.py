# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keeps an API key of LangSmith in Secrets Manager."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from ansible_collections.langsmith.aws.plugins.module_utils.domain import api_key
from ansible_collections.langsmith.aws.plugins.module_utils.domain.answers import Observed
from ansible_collections.langsmith.aws.plugins.module_utils.domain.errors import ProjectError
from ansible_collections.langsmith.aws.plugins.module_utils.domain.langsmith import (
    Endpoint,
    key_headers,
    parse_endpoint,
)
from ansible_collections.langsmith.aws.plugins.module_utils.domain.secret import Actual, SecretConflictError
from ansible_collections.langsmith.aws.plugins.module_utils.domain.tags import TagChange, tag_change
from ansible_collections.langsmith.aws.plugins.module_utils.shell.connection import connection_options
from ansible_collections.langsmith.aws.plugins.module_utils.shell.secret_store import SecretStore


class Reply(Protocol):
    """An answer as evidence, with its JSON document."""

    @property
    def observed(self) -> Observed:
        """The answer without its body."""

    @property
    def document(self) -> Any:
        """The JSON document, None where there is none."""


class Api(Protocol):
    """LangSmith's API for one caller; no call raises."""

    def login(self, email: str, password: str) -> Reply:
        """A person's access token."""

    def workspaces(self) -> Reply:
        """The workspaces that the caller sees."""

    def projects(self) -> Reply:
        """The projects that the caller sees."""

    def create_key(self, description: str) -> Reply:
        """A service key of the workspace."""


#: Makes the API of the installation at an endpoint for the caller of these headers, by connection options.
Connect = Callable[[Endpoint, "dict[str, str]", Mapping[str, Any]], Api]
_ApiFor = Callable[["dict[str, str]"], Api]
#: Is told each secret value before it is used, so that no result and no log holds it.
Hide = Callable[[str], None]


def ensure(
    store: SecretStore, connect: Connect, params: Mapping[str, Any], check_mode: bool, hide: Hide
) -> dict[str, Any]:
    """The result of the module. Raises ``ProjectError`` or ``ValueError``."""
    endpoint = parse_endpoint(params["url"])

    def api_for(authorization: dict[str, str]) -> Api:
        return connect(endpoint, authorization, connection_options(params))

    name, key = params["key_secret"]["name"], params["key_secret"]["key"]
    actual = store.read(name)
    if actual is not None and actual.deleted_on is not None and not check_mode:
        # What a deletion hides cannot be judged, so the secret comes back first.
        store.restore(actual)
        actual = store.read(name)
    state = _state(actual, key, api_for, hide)
    tags = tag_change(params["tags"], actual.tags if actual else {}, params["purge_tags"])
    result: dict[str, Any] = {
        "changed": state != "works" or bool(tags),
        "diff": {"before": {"api_key": state}, "after": {"api_key": "works"}},
        "secret": {"name": name, "key": key, "arn": actual.arn if actual else None},
    }
    if check_mode or not result["changed"]:
        return result
    if state != "works":
        result["workspace_id"], value = _make(store, api_for, params, hide)
        actual = _store(store, actual, params, value)
        result["secret"]["arn"] = actual.arn
    if actual is not None:
        _tag(store, actual, tag_change(params["tags"], actual.tags, params["purge_tags"]))
    return result


def _tag(store: SecretStore, actual: Actual, change: TagChange) -> None:
    if change.put:
        store.tag(actual, change.put)
    if change.remove:
        store.untag(actual, change.remove)


def _state(actual: Actual | None, key: str, api_for: _ApiFor, hide: Hide) -> str:
    """``missing``, ``refused`` or ``works``."""
    stored = (actual.values or {}).get(key) if actual is not None else None
    if not stored:
        return "missing"
    hide(stored)
    try:
        headers = key_headers(stored)
    except ValueError:
        return "refused"
    return "works" if api_key.key_works(api_for(headers).projects().observed) else "refused"


def _make(store: SecretStore, api_for: _ApiFor, params: Mapping[str, Any], hide: Hide) -> tuple[str, str]:
    """Workspace and a new key that was seen to work."""
    password = store.read_value(params["password_secret"]["name"], params["password_secret"]["key"])
    hide(password)
    reply = api_for({}).login(params["email"], password)
    hide(token := api_key.access_token(reply.observed, reply.document, params["email"]))
    bearer = {"Authorization": f"Bearer {token}"}
    reply = api_for(bearer).workspaces()
    workspace = api_key.choose_workspace(reply.observed, reply.document, params["workspace"])
    reply = api_for({**bearer, "X-Tenant-Id": workspace}).create_key(params["description"])
    hide(value := api_key.created_key(reply.observed, reply.document))
    if not api_key.key_works(api_for(key_headers(value)).projects().observed):
        raise ProjectError(
            "LangSmith refuses the key that it has just made; see the log of backend. Nothing was stored."
        )
    return workspace, value


def _store(store: SecretStore, actual: Actual | None, params: Mapping[str, Any], value: str) -> Actual:
    name, key = params["key_secret"]["name"], params["key_secret"]["key"]
    try:
        if actual is None:
            attributes = {"description": params["description"], "kms_key_id": params["kms_key_id"]}
            store.create(name, {key: value}, tags=params["tags"], **attributes)
        else:
            store.put(actual, {**(actual.values or {}), key: value})
    except SecretConflictError as error:
        raise ProjectError(f"secret {name} was written by another run meanwhile; run again") from error
    stored = store.describe(name)
    if stored is None:
        raise ProjectError(f"secret {name} is gone right after it was written; somebody deletes it")
    return stored
