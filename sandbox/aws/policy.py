# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stand-in for IAM's decision: what policy documents say about an action, a resource and a context."""

from __future__ import annotations

import fnmatch
import json
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

Context = Mapping[str, list[str]]
Document = str | Mapping[str, Any]
ALLOW, DENY, IMPLICIT_DENY = "allowed", "explicitDeny", "implicitDeny"


def decide(
    documents: Iterable[Document],
    action: str,
    resource: str | None = None,
    context: Context | None = None,
    complete: bool = False,
    principal: Callable[[Any], bool] = lambda _: True,
) -> str:
    """ALLOW, DENY or IMPLICIT_DENY, by the evaluation logic of the IAM user guide.

    `resource` None means that it is not known: then it fits every Allow and no Deny. `context` has lower-case keys;
    where it is not `complete`, a condition on a missing key counts for an Allow and not for a Deny.
    `principal` judges the Principal element of documents that have one.
    """
    verdict = IMPLICIT_DENY
    for statement in _statements(documents):
        deny = statement.get("Effect") == "Deny"
        if "Principal" in statement and not principal(statement["Principal"]):
            continue
        if not _action_fits(statement, action) or not _resource_fits(statement, resource, deny):
            continue
        if not _conditions_hold(statement.get("Condition") or {}, context or {}, complete, deny):
            continue
        if deny:
            return DENY
        verdict = ALLOW
    return verdict


def _statements(documents: Iterable[Document]) -> Iterable[Mapping[str, Any]]:
    for document in documents:
        parsed = json.loads(document) if isinstance(document, str) else document
        yield from listed(parsed.get("Statement") or [])


def listed(value: Any) -> list[Any]:
    """A value that policies write alone or in a list, as a list."""
    return list(value) if isinstance(value, list) else [value]


def _action_fits(statement: Mapping[str, Any], action: str) -> bool:
    if "NotAction" in statement:
        return not any(_like(action.lower(), str(item).lower()) for item in listed(statement["NotAction"]))
    return any(_like(action.lower(), str(item).lower()) for item in listed(statement.get("Action", [])))


def _resource_fits(statement: Mapping[str, Any], resource: str | None, deny: bool) -> bool:
    if "NotResource" in statement:
        return not deny if resource is None else not any(_like(resource, i) for i in listed(statement["NotResource"]))
    patterns = listed(statement.get("Resource", "*"))
    if resource is None:
        return not deny or "*" in patterns
    return any(_like(resource, str(item)) for item in patterns)


def _like(value: str, pattern: str) -> bool:
    # IAM knows * and ? only; fnmatch would also read brackets.
    return fnmatch.fnmatchcase(value, re.sub(r"\[", "[[]", pattern))


def _conditions_hold(conditions: Mapping[str, Any], context: Context, complete: bool, deny: bool) -> bool:
    for operator, entries in conditions.items():
        for key, wanted in entries.items():
            actual = context.get(key.lower())
            if actual is None and not complete:
                if deny:
                    return False
                continue
            if not _holds(operator, [str(value) for value in listed(wanted)], actual):
                return False
    return True


def _holds(operator: str, wanted: list[str], actual: list[str] | None) -> bool:
    quantifier, _, plain = operator.rpartition(":")
    plain, if_exists = (plain.removesuffix("IfExists"), True) if plain.endswith("IfExists") else (plain, False)
    if plain == "Null":
        return (actual is None) == (wanted[0].lower() == "true")
    negative = "Not" in plain
    if actual is None:
        return if_exists or negative or quantifier == "ForAllValues"
    test = _TESTS.get(plain.replace("Not", ""))
    if test is None:
        raise ValueError(f"condition operator {operator} is not known to the sandbox")
    matches = [any(test(value, item) for item in wanted) for value in actual]
    found = all(matches) if quantifier == "ForAllValues" else any(matches)
    return found != negative


_TESTS: dict[str, Callable[[str, str], bool]] = {
    "StringEquals": lambda value, wanted: value == wanted,
    "StringEqualsIgnoreCase": lambda value, wanted: value.lower() == wanted.lower(),
    "StringLike": _like,
    "ArnEquals": _like,
    "ArnLike": _like,
    "Bool": lambda value, wanted: value.lower() == wanted.lower(),
    "NumericEquals": lambda value, wanted: float(value) == float(wanted),
}
