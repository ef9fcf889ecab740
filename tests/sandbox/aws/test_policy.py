# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any

import pytest

from sandbox.aws import policy


def statement(
    effect: str = "Allow", action: Any = "s3:GetObject", resource: Any = "arn:aws:s3:::b/*", **more: Any
) -> Any:
    return {"Effect": effect, "Action": action, "Resource": resource, **more}


CASES = [
    ("an action and resource that fit are allowed", [statement()], "s3:GetObject", "arn:aws:s3:::b/k", policy.ALLOW),
    ("action names have no case", [statement(action="S3:getobject")], "s3:GetObject", "arn:aws:s3:::b/k", policy.ALLOW),
    ("another resource is not allowed", [statement()], "s3:GetObject", "arn:aws:s3:::c/k", policy.IMPLICIT_DENY),
    ("an unknown resource fits an Allow", [statement()], "s3:GetObject", None, policy.ALLOW),
    ("an unknown resource fits no Deny", [statement("Deny")], "s3:GetObject", None, policy.IMPLICIT_DENY),
    (
        "a Deny wins over an Allow",
        [statement(), statement("Deny", "s3:*")],
        "s3:GetObject",
        "arn:aws:s3:::b/k",
        policy.DENY,
    ),
    (
        "NotAction allows all but what it names",
        [{"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"}],
        "s3:GetObject",
        "x",
        policy.ALLOW,
    ),
    (
        "brackets are no pattern",
        [statement(resource="arn:aws:s3:::b/[k]")],
        "s3:GetObject",
        "arn:aws:s3:::b/k",
        policy.IMPLICIT_DENY,
    ),
]


@pytest.mark.parametrize(
    ("statements", "action", "resource", "expected"), [case[1:] for case in CASES], ids=[c[0] for c in CASES]
)
def test_statements_are_judged_as_iam_does(statements: Any, action: str, resource: Any, expected: str) -> None:
    assert policy.decide([{"Statement": statements}], action, resource) == expected


CONDITIONS = [
    ({"StringEquals": {"k": ["a", "b"]}}, {"k": ["b"]}, True),
    ({"StringEquals": {"k": "a"}}, {"k": ["b"]}, False),
    ({"StringLike": {"k": "system:serviceaccount:ns:*"}}, {"k": ["system:serviceaccount:ns:x"]}, True),
    ({"StringNotEquals": {"k": "a"}}, {}, True),
    ({"StringEquals": {"k": "a"}}, {}, False),
    ({"StringEqualsIfExists": {"k": "a"}}, {}, True),
    ({"Null": {"k": "true"}}, {}, True),
    ({"ForAllValues:StringEquals": {"k": ["a", "b"]}}, {"k": ["a", "c"]}, False),
    ({"ForAnyValue:StringEquals": {"k": ["a"]}}, {"k": ["a", "c"]}, True),
]


@pytest.mark.parametrize(("condition", "context", "holds"), CONDITIONS)
def test_conditions_hold_as_in_a_complete_context(condition: Any, context: Any, holds: bool) -> None:
    document = {"Statement": [statement(Condition=condition)]}
    verdict = policy.decide([document], "s3:GetObject", None, context, complete=True)
    assert (verdict == policy.ALLOW) is holds


def test_a_condition_operator_that_is_not_known_is_an_error_and_not_a_guess() -> None:
    document = {"Statement": [statement(Condition={"DateGreaterThan": {"k": "2026-01-01"}})]}
    with pytest.raises(ValueError, match="DateGreaterThan"):
        policy.decide([document], "s3:GetObject", None, {"k": ["x"]}, complete=True)
