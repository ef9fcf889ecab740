# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a secret of an installation should hold, and what has to change for that.

A secret is one JSON object of strings. Values are kept out of every ``repr`` and of every message raised here.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import secrets
import string
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import quote

from ansible_collections.langsmith.aws.plugins.module_utils.domain.errors import ProjectError
from ansible_collections.langsmith.aws.plugins.module_utils.domain.tags import TagChange, tag_change

Kind = Literal["password", "hex", "base64url", "fernet"]

#: Punctuation that all four readers of a password accept: RDS refuses ``/ @ "`` and space, ElastiCache AUTH takes only
#: ``! & # $ ^ < > -``, the LangSmith admin rule wants one of a list that holds both, and a URL needs neither escaped.
PUNCTUATION = "!-"
PASSWORD_POOLS = (string.ascii_lowercase, string.ascii_uppercase, string.digits, PUNCTUATION)

#: kind: (default, smallest, largest) number of characters. 16 to 128 is what ElastiCache AUTH takes; the smallest of
#: hex and base64url is 128 bits; a Fernet key is always 32 bytes in URL-safe base64.
LENGTHS: dict[str, tuple[int, int, int]] = {
    "password": (32, 16, 128),
    "hex": (64, 32, 1024),
    "base64url": (43, 22, 1024),
    "fernet": (44, 44, 44),
}

#: The window in which Secrets Manager can restore a deleted secret, in days (Secrets Manager API, DeleteSecret).
RECOVERY_WINDOW_DAYS = (7, 30)

_PLACEHOLDER = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")


class SecretError(ProjectError):
    """A secret cannot be brought to what is wanted; the message is for the operator and holds no value."""


class SecretConflictError(Exception):
    """Another run wrote the secret since it was read; read and plan again."""


@dataclass(frozen=True)
class Recipe:
    """How a value is born: ``length`` is the number of characters of the value."""

    kind: Kind
    length: int


@dataclass(frozen=True)
class Wanted:
    """What the operator asks for. ``given`` are the values of set, set_secret and values_from together."""

    name: str
    generate: Mapping[str, Recipe] = field(default_factory=dict)
    given: Mapping[str, str] = field(default_factory=dict, repr=False)
    compose: Mapping[str, str] = field(default_factory=dict)
    write_once: frozenset[str] = frozenset()
    description: str | None = None
    kms_key_id: str | None = None
    tags: Mapping[str, str] | None = None
    purge_tags: bool = False


@dataclass(frozen=True)
class Actual:
    """What Secrets Manager holds; ``values`` is None while the secret is scheduled for deletion and AWS hides them."""

    name: str
    arn: str
    version_id: str | None = None
    description: str = ""
    kms_key_id: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    deleted_on: str | None = None
    values: Mapping[str, str] | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Contents:
    """The values a secret should hold, and how each key came by its value (``origins``, safe to show)."""

    values: Mapping[str, str] = field(repr=False)
    origins: Mapping[str, str]


@dataclass(frozen=True)
class Change:
    """What has to be done. Empty (falsy) when nothing has to."""

    create: bool = False
    restore: bool = False
    put: bool = False
    attributes: Mapping[str, str] = field(default_factory=dict)
    tags: TagChange = field(default_factory=lambda: TagChange({}, ()))

    def __bool__(self) -> bool:
        return bool(self.create or self.restore or self.put or self.attributes or self.tags)


def recipe(key: str, kind: str, length: int | None) -> Recipe:
    """The recipe of an option ``generate``; raises SecretError naming ``key`` for what cannot be made."""
    if kind not in LENGTHS:
        raise SecretError(f"generate.{key}: kind {kind!r} is none of {', '.join(LENGTHS)}")
    default, smallest, largest = LENGTHS[kind]
    wanted = default if length is None else length
    if not smallest <= wanted <= largest:
        raise SecretError(f"generate.{key}: a {kind} value has {smallest} to {largest} characters, not {wanted}")
    return Recipe(kind, wanted)  # type: ignore[arg-type]


def new_value(how: Recipe) -> str:
    """A fresh random value from the operating system's source of randomness."""
    if how.kind == "password":
        return _new_password(how.length)
    if how.kind == "hex":
        return secrets.token_hex((how.length + 1) // 2)[: how.length]
    if how.kind == "base64url":
        return secrets.token_urlsafe(how.length)[: how.length]
    return base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()


def _new_password(length: int) -> str:
    alphabet = "".join(PASSWORD_POOLS)
    while True:
        value = "".join(secrets.choice(alphabet) for _position in range(length))
        # A leading dash would read as an option wherever a person pastes the password behind a command.
        if value[0].isalpha() and all(set(pool) & set(value) for pool in PASSWORD_POOLS):
            return value


def looks_generated(how: Recipe, value: str) -> bool:
    """Whether ``value`` has the shape and at least the entropy of ``how``'s kind, so that its hash tells nothing."""
    smallest = LENGTHS[how.kind][1]
    if len(value) < smallest:
        return False
    if how.kind == "password":
        return len(set(value)) >= smallest // 2
    if how.kind == "hex":
        return re.fullmatch(r"[0-9a-f]+", value) is not None
    if how.kind == "base64url":
        return re.fullmatch(r"[A-Za-z0-9_-]+", value) is not None
    try:
        return len(base64.urlsafe_b64decode(value)) == 32
    except (binascii.Error, ValueError):
        return False


def references(key: str, template: str) -> tuple[str, ...]:
    """The keys that a template of option ``compose`` uses; raises SecretError for a template that cannot be read."""
    return tuple(name for name, escaped in _placeholders(key, template))


def _placeholders(key: str, template: str) -> list[tuple[str, bool]]:
    found = []
    for match in _PLACEHOLDER.finditer(template):
        if match[0] in ("{{", "}}"):
            continue
        name, colon, how = (match[1] or "").partition(":")
        if not name or (colon and how != "urlencoded"):
            raise SecretError(
                f"compose.{key}: {match[0]!r} is neither {{key}} nor {{key:urlencoded}}; write {{{{ for a brace"
            )
        found.append((name, bool(colon)))
    return found


def composed(key: str, template: str, values: Mapping[str, str], allow_empty: bool = False) -> str:
    """``template`` with its placeholders replaced by ``values``; SecretError when one is missing or empty."""
    uses = _placeholders(key, template)
    missing = sorted({name for name, escaped in uses if name not in values})
    if missing:
        there = ", ".join(sorted(values)) or "none"
        raise SecretError(f"compose.{key}: the secret has no {', '.join(missing)} (it has: {there}); add it to set")
    empty = sorted({name for name, escaped in uses if not values[name]})
    if empty and not allow_empty:
        raise SecretError(f"compose.{key}: {', '.join(empty)} is empty; give it a value before composing")

    def replacement(match: re.Match[str]) -> str:
        if match[0] in ("{{", "}}"):
            return match[0][0]
        name, colon, _how = match[1].partition(":")
        return quote(values[name], safe="") if colon else values[name]

    return _PLACEHOLDER.sub(replacement, template)


def check_keys(wanted: Wanted) -> None:
    """Raise SecretError when one key is wanted from two places or a composed key is composed of composed keys."""
    places = {"generate": set(wanted.generate), "set": set(wanted.given), "compose": set(wanted.compose)}
    for first, second in (("generate", "set"), ("generate", "compose"), ("set", "compose")):
        both = sorted(places[first] & places[second])
        if both:
            raise SecretError(f"secret {wanted.name}: {', '.join(both)} is in {first} and in {second}; keep one")
    for key, template in wanted.compose.items():
        nested = sorted(set(references(key, template)) & set(wanted.compose))
        if nested:
            raise SecretError(f"compose.{key}: uses {', '.join(nested)}, itself composed; use the keys it is made of")


def contents(
    wanted: Wanted,
    current: Mapping[str, str],
    allow_empty: bool = False,
    make: Callable[[Recipe], str] = new_value,
) -> Contents:
    """The values to store over ``current``: generated only where missing, never taken away.

    Raises SecretError when a key of ``write_once`` that is stored would get another value.
    """
    check_keys(wanted)
    values, origins = dict(current), dict.fromkeys(current, "kept")
    for key, how in wanted.generate.items():
        if not values.get(key):
            values[key], origins[key] = make(how), "generated"
    for key, value in wanted.given.items():
        _put(wanted, values, origins, key, value, "set")
    for key, template in wanted.compose.items():
        _put(wanted, values, origins, key, composed(key, template, values, allow_empty), "composed")
    return Contents(values, origins)


def _put(wanted: Wanted, values: dict[str, str], origins: dict[str, str], key: str, value: str, how: str) -> None:
    if values.get(key) == value:
        return
    stored = key in values
    if stored and key in wanted.write_once:
        raise SecretError(
            f"secret {wanted.name}: {key} is write-once and stored with another value than {how} gives; "
            f"leave {key} out of {how}, for data written with the stored value would be lost with it"
        )
    values[key], origins[key] = value, "changed" if stored else how


def hashes(wanted: Wanted, values: Mapping[str, str]) -> dict[str, str]:
    """SHA-256 (hex) of the generated values and of the composed ones that contain one; never of a guessable value."""
    strong = {key for key, how in wanted.generate.items() if key in values and looks_generated(how, values[key])}
    strong |= {
        key for key, template in wanted.compose.items() if key in values and strong & set(references(key, template))
    }
    return {key: hashlib.sha256(values[key].encode()).hexdigest() for key in sorted(strong)}


def plan(wanted: Wanted, actual: Actual | None, want: Contents | None) -> Change:
    """What has to be done; ``want`` is None when the values cannot be known before a restore."""
    if actual is None:
        return Change(create=True)
    return Change(
        restore=actual.deleted_on is not None,
        put=want is not None and dict(want.values) != dict(actual.values or {}),
        attributes=_attributes(wanted, actual),
        tags=tag_change(wanted.tags, actual.tags, wanted.purge_tags),
    )


def _attributes(wanted: Wanted, actual: Actual) -> dict[str, str]:
    differ = {}
    if wanted.description is not None and wanted.description != actual.description:
        differ["description"] = wanted.description
    if wanted.kms_key_id is not None and not same_key(wanted.kms_key_id, actual.kms_key_id):
        differ["kms_key_id"] = wanted.kms_key_id
    return differ


def same_key(wanted: str, actual: str) -> bool:
    """Whether a KMS key id or alias names the key that AWS reports, which may be its ARN."""
    if wanted == actual or actual.endswith((f":{wanted}", f":key/{wanted}")):
        return True
    return wanted == "alias/aws/secretsmanager" and not actual


def before_and_after(
    wanted: Wanted, actual: Actual | None, want: Contents | None, change: Change
) -> tuple[dict[str, object], dict[str, object]]:
    """The two sides of the diff: key names and how each came by its value, never a value."""
    before: dict[str, object] = {} if actual is None else _shown(actual, _kept(actual))
    if actual is None:
        tags: Mapping[str, str] = wanted.tags or {}
        after = Actual(wanted.name, "", None, wanted.description or "", wanted.kms_key_id or "", tags)
    else:
        tags = {key: value for key, value in actual.tags.items() if key not in change.tags.remove}
        after = Actual(
            actual.name,
            actual.arn,
            None,
            change.attributes.get("description", actual.description),
            change.attributes.get("kms_key_id", actual.kms_key_id),
            {**tags, **change.tags.put},
        )
    named = dict.fromkeys(wanted.generate, "kept or generated") | dict.fromkeys(
        (*wanted.given, *wanted.compose), "kept or set"
    )
    return before, _shown(after, named if want is None else want.origins)


def _kept(actual: Actual) -> dict[str, str]:
    return dict.fromkeys(actual.values or {}, "kept")


def _shown(secret: Actual, origins: Mapping[str, str]) -> dict[str, object]:
    return {
        "name": secret.name,
        "description": secret.description,
        "kms_key_id": secret.kms_key_id,
        "tags": dict(sorted(secret.tags.items())),
        "scheduled_for_deletion": secret.deleted_on is not None,
        "keys": dict(sorted(origins.items())),
    }


def deletion(window_days: int | None, force: bool) -> None:
    """Raise SecretError unless exactly one way to delete is asked for, and a possible one."""
    if force == (window_days is not None):
        raise SecretError("state absent needs one of recovery_window_days (7 to 30, restorable) and force (at once)")
    shortest, longest = RECOVERY_WINDOW_DAYS
    if window_days is not None and not shortest <= window_days <= longest:
        raise SecretError(f"recovery_window_days: {window_days} is not between {shortest} and {longest} days")
