# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keeps an API key of LangSmith in Secrets Manager."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.langsmith.aws.plugins.module_utils.clients import secretsmanager
from ansible_collections.langsmith.aws.plugins.module_utils.clients.langsmith import LangSmith
from ansible_collections.langsmith.aws.plugins.module_utils.domain import api_key
from ansible_collections.langsmith.aws.plugins.module_utils.domain.errors import ProjectError
from ansible_collections.langsmith.aws.plugins.module_utils.domain.langsmith import key_headers, parse_endpoint
from ansible_collections.langsmith.aws.plugins.module_utils.domain.secret import Actual
from ansible_collections.langsmith.aws.plugins.module_utils.domain.tags import TagChange, tag_change
from ansible_collections.langsmith.aws.plugins.module_utils.shell.connection import http_client


def ensure(client: Any, params: Mapping[str, Any], check_mode: bool) -> dict[str, Any]:
    """The result of the module. Raises ``ProjectError``, ``SecretError`` or ``ValueError``."""
    name, key = params["key_secret"]["name"], params["key_secret"]["key"]
    actual = secretsmanager.read(client, name)
    if actual is not None and actual.deleted_on is not None and not check_mode:
        # What a deletion hides cannot be judged, so the secret comes back first.
        secretsmanager.restore(client, actual)
        actual = secretsmanager.read(client, name)
    state = _state(actual, key, params)
    tags = tag_change(params["tags"], actual.tags if actual else {}, params["purge_tags"])
    result: dict[str, Any] = {
        "changed": state != "works" or bool(tags),
        "diff": {"before": {"api_key": state}, "after": {"api_key": "works"}},
        "secret": {"name": name, "key": key, "arn": actual.arn if actual else None},
    }
    if check_mode or not result["changed"]:
        return result
    if state != "works":
        result["workspace_id"], value = _make(client, params)
        actual = _store(client, actual, params, value)
        result["secret"]["arn"] = actual.arn
    if actual is not None:
        _tag(client, actual, tag_change(params["tags"], actual.tags, params["purge_tags"]))
    return result


def _tag(client: Any, actual: Actual, change: TagChange) -> None:
    if change.put:
        secretsmanager.tag(client, actual, change.put)
    if change.remove:
        secretsmanager.untag(client, actual, change.remove)


def _api(params: Mapping[str, Any], authorization: dict[str, str]) -> LangSmith:
    endpoint = parse_endpoint(params["url"])
    return LangSmith(http_client(endpoint.origin, params), endpoint, authorization)


def _state(actual: Actual | None, key: str, params: Mapping[str, Any]) -> str:
    """``missing``, ``refused`` or ``works``."""
    stored = (actual.values or {}).get(key) if actual is not None else None
    if not stored:
        return "missing"
    try:
        headers = key_headers(stored)
    except ValueError:
        return "refused"
    return "works" if api_key.key_works(_api(params, headers).projects().observed) else "refused"


def _make(client: Any, params: Mapping[str, Any]) -> tuple[str, str]:
    """Workspace and a new key that was seen to work."""
    password = secretsmanager.read_value(client, params["password_secret"]["name"], params["password_secret"]["key"])
    reply = _api(params, {}).login(params["email"], password)
    bearer = {"Authorization": f"Bearer {api_key.access_token(reply.observed, reply.document, params['email'])}"}
    reply = _api(params, bearer).workspaces()
    workspace = api_key.choose_workspace(reply.observed, reply.document, params["workspace"])
    reply = _api(params, {**bearer, "X-Tenant-Id": workspace}).create_key(params["description"])
    value = api_key.created_key(reply.observed, reply.document)
    if not api_key.key_works(_api(params, key_headers(value)).projects().observed):
        raise ProjectError(
            "LangSmith refuses the key that it has just made; see the log of backend. Nothing was stored."
        )
    return workspace, value


def _store(client: Any, actual: Actual | None, params: Mapping[str, Any], value: str) -> Actual:
    name, key = params["key_secret"]["name"], params["key_secret"]["key"]
    try:
        if actual is None:
            attributes = {"description": params["description"], "kms_key_id": params["kms_key_id"]}
            secretsmanager.create(client, name, {key: value}, tags=params["tags"], **attributes)
        else:
            secretsmanager.put(client, actual, {**(actual.values or {}), key: value})
    except secretsmanager.SecretConflictError as error:
        raise ProjectError(f"secret {name} was written by another run meanwhile; run again") from error
    stored = secretsmanager.describe(client, name)
    if stored is None:
        raise ProjectError(f"secret {name} is gone right after it was written; somebody deletes it")
    return stored
