# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stand-in for the images' keys and tokens: HS256 JSON web tokens, hashed API keys, hashed passwords."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import time
from typing import Any

PERSONAL = "lsv2_pt"
SERVICE = "lsv2_sk"
LEGACY = "ls__"
SCRYPT: dict[str, int] = {"n": 2**12, "r": 8, "p": 1}


class TokenError(Exception):
    """A token is malformed, signed by another key, or too old."""


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _data(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _signature(secret: str, signed: str) -> str:
    return _text(hmac.new(secret.encode(), signed.encode(), hashlib.sha256).digest())


def issue(secret: str, claims: dict[str, Any], lifetime_seconds: int) -> str:
    """A JWT that ends after `lifetime_seconds`."""
    head = _text(json.dumps({"alg": "HS256", "typ": "JWT"}).encode())
    now = int(time.time())
    body = _text(json.dumps({**claims, "iat": now, "exp": now + lifetime_seconds}).encode())
    return f"{head}.{body}.{_signature(secret, f'{head}.{body}')}"


def verify(secret: str, token: str) -> dict[str, Any]:
    """The claims of a JWT of ours; TokenError otherwise."""
    try:
        head, body, signature = token.split(".")
        claims: dict[str, Any] = json.loads(_data(body))
    except (ValueError, UnicodeDecodeError) as exc:
        raise TokenError("malformed token") from exc
    if not hmac.compare_digest(signature, _signature(secret, f"{head}.{body}")):
        raise TokenError("wrong signature")
    if claims.get("exp", 0) < time.time():
        raise TokenError("expired")
    return claims


def new_key(kind: str) -> str:
    """A fresh API key, PERSONAL or SERVICE."""
    return f"{kind}_{secrets.token_hex(16)}_{secrets.token_hex(5)}"


def short(key: str) -> str:
    """What may be shown of a key."""
    return f"{key[:10]}...{key[-4:]}"


def hashed_key(salt: str, key: str) -> str:
    """How a key is kept; another salt makes every key unknown."""
    return hmac.new(salt.encode(), key.encode(), hashlib.sha256).hexdigest()


def hashed_password(password: str) -> str:
    """A password with its own salt."""
    salt = secrets.token_bytes(16)
    return salt.hex() + "$" + hashlib.scrypt(password.encode(), salt=salt, **SCRYPT).hex()


def password_matches(password: str, kept: str) -> bool:
    """Whether `password` is the one that was hashed."""
    salt, _, digest = kept.partition("$")
    found = hashlib.scrypt(password.encode(), salt=bytes.fromhex(salt), **SCRYPT).hex()
    return hmac.compare_digest(found, digest)
