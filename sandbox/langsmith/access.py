# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stand-in for LangSmith's authentication: who asks, and for which workspace."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any

from sandbox.langsmith import tokens
from sandbox.langsmith.database import Database
from sandbox.langsmith.environment import Secrets
from sandbox.langsmith.web import HttpError, Request

FORBIDDEN = {"detail": "Forbidden", "error": "Forbidden"}
SESSION_SECONDS = 86400


@dataclass(frozen=True)
class Caller:
    """Who asks: a person or a key of an organization, in a workspace unless only the organization is meant."""

    organization_id: str
    tenant_id: str | None
    user_id: str | None = None
    read_only: bool = False
    person: bool = False

    @property
    def tenant(self) -> str:
        """The workspace; HttpError 403 when the request names none."""
        if self.tenant_id is None:
            raise HttpError(403, {"error": "org_scoped_key_requires_workspace"})
        return self.tenant_id

    def writing(self) -> Caller:
        """The same caller; HttpError 403 when its key may only read."""
        if self.read_only:
            raise HttpError(403, FORBIDDEN)
        return self


class Access:
    """Finds the caller of a request in Postgres."""

    def __init__(self, database: Database, secrets: Secrets) -> None:
        self.database, self.secrets = database, secrets

    def __call__(self, request: Request) -> Caller:
        """The caller; HttpError 401 without valid credentials, 403 when the workspace is not the caller's."""
        key = request.headers.get("x-api-key", "")
        bearer = request.headers.get("Authorization", "")
        service = request.headers.get("X-Service-Key", "")
        if key:
            return self._in_workspace(self._by_key(key), request)
        if service:
            return self._by_service_token(service)
        if bearer.lower().startswith("bearer "):
            word = bearer[7:].strip()
            by_key = word.startswith("lsv2_")
            return self._in_workspace(self._by_key(word) if by_key else self._by_login(word), request)
        raise HttpError(401, {"detail": "Invalid token"})

    def login(self, email: str, password: str) -> str:
        """An access token for a person; HttpError 401 on a wrong e-mail or password."""
        user = self.database.row("SELECT * FROM users WHERE email = lower(%(email)s)", {"email": email})
        if user is None or not tokens.password_matches(password, user["hashed_password"]):
            raise HttpError(401, {"detail": "Invalid email or password"})
        return tokens.issue(self.secrets.jwt_secret, {"sub": str(user["id"])}, SESSION_SECONDS)

    def _by_key(self, key: str) -> Caller:
        if key.startswith(tokens.LEGACY):
            raise HttpError(401, {"detail": "Using legacy API key. Please generate a new API key."})
        row = self.database.row(
            "UPDATE api_keys SET last_used_at = now() WHERE api_key = %(hash)s"
            " AND (expires_at IS NULL OR expires_at > now()) RETURNING *",
            {"hash": tokens.hashed_key(self.secrets.api_key_salt, key)},
        )
        if row is None:
            raise HttpError(401, {"detail": "Invalid token"})
        return Caller(str(row["organization_id"]), _text(row["tenant_id"]), _text(row["user_id"]), row["read_only"])

    def _by_login(self, token: str) -> Caller:
        try:
            claims = tokens.verify(self.secrets.jwt_secret, token)
        except tokens.TokenError as exc:
            raise HttpError(401, {"detail": "Invalid token"}) from exc
        user = self.database.row("SELECT * FROM users WHERE id = %(id)s", {"id": claims.get("sub")})
        if user is None:
            raise HttpError(401, {"detail": "Invalid token"})
        return Caller(str(user["organization_id"]), None, str(user["id"]), person=True)

    def _by_service_token(self, token: str) -> Caller:
        try:
            claims = tokens.verify(self.secrets.service_secret, token)
        except tokens.TokenError as exc:
            raise HttpError(401, {"detail": "Invalid token"}) from exc
        return Caller(str(claims.get("organization_id")), _text(claims.get("tenant_id")))

    def _in_workspace(self, caller: Caller, request: Request) -> Caller:
        wanted = request.headers.get("X-Tenant-Id")
        if not wanted:
            return caller
        if caller.tenant_id not in {None, wanted}:
            raise HttpError(403, FORBIDDEN)
        row = self.database.row("SELECT organization_id FROM tenants WHERE id::text = %(id)s", {"id": wanted.lower()})
        if row is None or str(row["organization_id"]) != caller.organization_id:
            raise HttpError(403, FORBIDDEN)
        return Caller(caller.organization_id, wanted.lower(), caller.user_id, caller.read_only, caller.person)


def new_key(
    database: Database, secrets: Secrets, caller: Caller, kind: str, options: dict[str, Any], tenant_id: str | None
) -> dict[str, Any]:
    """Make an API key; only this answer holds the key itself."""
    key = tokens.new_key(kind)
    row = database.row(
        "INSERT INTO api_keys (id, api_key, short_key, description, organization_id, tenant_id, user_id, read_only,"
        " service, expires_at) VALUES (%(id)s, %(hash)s, %(short)s, %(description)s, %(organization)s, %(tenant)s,"
        " %(user)s, %(read_only)s, %(service)s, %(expires)s) RETURNING id, created_at",
        {
            "id": uuid.uuid4(),
            "hash": tokens.hashed_key(secrets.api_key_salt, key),
            "short": tokens.short(key),
            "description": options.get("description") or "API Key",
            "organization": caller.organization_id,
            "tenant": tenant_id,
            "user": caller.user_id if kind == tokens.PERSONAL else None,
            "read_only": bool(options.get("read_only")),
            "service": kind == tokens.SERVICE,
            "expires": options.get("expires_at"),
        },
    )
    assert row is not None  # noqa: S101  (INSERT .. RETURNING always gives its row)
    return {
        "id": row["id"],
        "short_key": tokens.short(key),
        "description": options.get("description") or "API Key",
        "key": key,
        "created_at": row["created_at"],
        "expires_at": options.get("expires_at"),
    }


def _text(value: object) -> str | None:
    return None if value is None else str(value)
