# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options of a secret to what is wanted, and what is done to a result."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ansible_collections.langsmith.aws.plugins.module_utils.domain import secret as domain
from ansible_collections.langsmith.aws.plugins.module_utils.domain.secret import (
    Actual,
    Change,
    Contents,
    SecretConflictError,
    SecretError,
    Wanted,
)
from ansible_collections.langsmith.aws.plugins.module_utils.shell.secret_store import SecretStore

#: Two runs at once are settled in the second attempt; more means that something else writes the secret all the time.
ATTEMPTS = 4


def ensure(store: SecretStore, params: Mapping[str, Any], check_mode: bool) -> dict[str, Any]:
    """Bring one secret to what ``params`` (the module's options) say, and return the module's result."""
    if params["state"] == "absent":
        return _absent(store, params, check_mode)
    wanted = wanted_from(params, store.read_value)
    return _present(store, wanted, check_mode)


def wanted_from(params: Mapping[str, Any], read_value: Callable[[str, str | None], str]) -> Wanted:
    """The options as a Wanted; ``read_value`` reads what values_from names. Raises SecretError."""
    given = _strings("set", params["set"]) | _strings("set_secret", params["set_secret"])
    twice = set(params["set"]) & set(params["set_secret"]) | set(params["values_from"]) & set(given)
    if twice:
        raise SecretError(f"{', '.join(sorted(twice))}: in more than one of set, set_secret and values_from; keep one")
    for key, place in params["values_from"].items():
        if not isinstance(place, dict) or not place.get("secret") or set(place) - {"secret", "key"}:
            raise SecretError(f"values_from.{key}: give secret (a name or ARN) and, for one value of it, key")
        given[key] = read_value(place["secret"], place.get("key"))
    wanted = Wanted(
        name=params["name"],
        generate={key: _recipe(key, how) for key, how in params["generate"].items()},
        given=given,
        compose=_strings("compose", params["compose"]),
        write_once=frozenset(params["write_once"]),
        description=params["description"],
        kms_key_id=params["kms_key_id"],
        tags=None if params["tags"] is None else _strings("tags", params["tags"]),
        purge_tags=params["purge_tags"],
    )
    domain.check_keys(wanted)
    return wanted


def _recipe(key: str, how: Any) -> domain.Recipe:
    if not isinstance(how, dict) or "kind" not in how or set(how) - {"kind", "length"}:
        raise SecretError(f"generate.{key}: give kind ({', '.join(domain.LENGTHS)}) and, where wanted, length")
    try:
        length = None if how.get("length") is None else int(how["length"])
    except (TypeError, ValueError):
        raise SecretError(f"generate.{key}: length is a number of characters") from None
    return domain.recipe(key, how["kind"], length)


def _strings(option: str, values: Mapping[str, Any]) -> dict[str, str]:
    strings = {}
    for key, value in values.items():
        if isinstance(value, bool) or not isinstance(value, (str, int)):
            raise SecretError(f"{option}.{key}: a value is a string or a whole number; put it in quotes")
        strings[key] = str(value)
    return strings


def _present(store: SecretStore, wanted: Wanted, check_mode: bool) -> dict[str, Any]:
    first: tuple[dict[str, object], Change] | None = None
    restored = conflicted_version = None
    for _attempt in range(ATTEMPTS):
        actual = store.read(wanted.name)
        hidden = actual is not None and actual.deleted_on is not None
        want = None if hidden else domain.contents(wanted, (actual and actual.values) or {}, allow_empty=check_mode)
        change = domain.plan(wanted, actual, want)
        before, after = domain.before_and_after(wanted, actual, want, change)
        first = first or (before, change)
        restored = restored or change.restore
        if not change or check_mode:
            return _result(wanted, actual, want, bool(first[1]), bool(restored), first[0], after)
        try:
            _apply(store, wanted, actual, want, change, conflicted_version)
        except SecretConflictError:
            conflicted_version = actual.version_id if actual else None
            continue
        if not change.restore:
            return _result(wanted, store.read(wanted.name), want, True, bool(restored), first[0], after)
    raise SecretError(f"secret {wanted.name}: another program keeps writing it; run again when it has ended")


def _apply(
    store: SecretStore,
    wanted: Wanted,
    actual: Actual | None,
    want: Contents | None,
    change: Change,
    conflicted_version: str | None,
) -> None:
    if actual is None:
        values = want.values if want else {}
        attributes = {"description": wanted.description, "kms_key_id": wanted.kms_key_id, "tags": wanted.tags}
        store.create(wanted.name, values, **attributes)
        return
    if change.restore:
        store.restore(actual)
        return
    if change.attributes:
        store.update(actual, change.attributes)
    if change.put and want is not None:
        store.put(actual, want.values, actual.version_id == conflicted_version)
    if change.tags.put:
        store.tag(actual, change.tags.put)
    if change.tags.remove:
        store.untag(actual, change.tags.remove)


def _result(
    wanted: Wanted,
    actual: Actual | None,
    want: Contents | None,
    changed: bool,
    restored: bool,
    before: Mapping[str, object],
    after: Mapping[str, object],
) -> dict[str, Any]:
    stored = (actual and actual.values) or {}
    return {
        "changed": changed,
        "restored": restored,
        "diff": {"before": before, "after": after},
        "secret": {
            "name": wanted.name,
            "arn": actual.arn if actual else None,
            "version_id": actual.version_id if actual else None,
            "description": after["description"],
            "kms_key_id": after["kms_key_id"],
            "tags": after["tags"],
            "keys": sorted(want.values) if want else sorted({*wanted.generate, *wanted.given, *wanted.compose}),
            "hashes": domain.hashes(wanted, stored),
        },
    }


def _absent(store: SecretStore, params: Mapping[str, Any], check_mode: bool) -> dict[str, Any]:
    window, force = params["recovery_window_days"], bool(params["force"])
    domain.deletion(window, force)
    actual = store.describe(params["name"])
    changed = actual is not None and (actual.deleted_on is None or force)
    if actual is not None and changed and not check_mode:
        store.delete(actual, None if force else window)
    before = {"name": params["name"], "scheduled_for_deletion": bool(actual.deleted_on)} if actual else {}
    gone = actual is None or force
    after = {} if gone else {"name": params["name"], "scheduled_for_deletion": True}
    return {"changed": changed, "restored": False, "secret": None, "diff": {"before": before, "after": after}}
