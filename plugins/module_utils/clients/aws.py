# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Calls to AWS with one error type, in sentences that name the call, its object and the permission it needs."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

from ansible_collections.langsmith.aws.plugins.module_utils.clients.waiting import Clock
from ansible_collections.langsmith.aws.plugins.module_utils.domain.errors import AlreadyThereError, ProjectError

try:
    from botocore.exceptions import BotoCoreError, ClientError
except ImportError:  # AnsibleAWSModule says so before any call is made
    BotoCoreError = ClientError = Exception  # type: ignore[assignment, misc]

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")

#: Codes with which the services say that the caller may not; S3 and denied REST calls answer with the bare number.
DENIED = frozenset(
    {
        "403",
        "AccessDenied",
        "AccessDeniedException",
        "AuthorizationError",
        "Client.UnauthorizedOperation",
        "Forbidden",
        "UnauthorizedOperation",
    }
)
#: Codes with which the services say that another creation was first.
EXISTS = frozenset(
    {
        "DBInstanceAlreadyExists",
        "EntityAlreadyExists",
        "ReplicationGroupAlreadyExists",
        "ReplicationGroupAlreadyExistsFault",
        "ResourceInUseException",
    }
)
#: How long a new role may be unknown to other services, and how often to ask meanwhile, in seconds.
ROLE_PROPAGATION_S = 60.0
ROLE_INTERVAL_S = 5.0
_CLOCK = Clock()
#: Calls whose IAM action is not prefix:Operation (service authorization reference).
_ACTIONS = {
    "monitoring:GetMetricData": "cloudwatch:GetMetricData",
    "s3:HeadBucket": "s3:ListBucket",
    "s3:ListObjectsV2": "s3:ListBucket",
    "s3:GetBucketEncryption": "s3:GetEncryptionConfiguration",
    "s3:GetBucketLifecycleConfiguration": "s3:GetLifecycleConfiguration",
    "s3:GetPublicAccessBlock": "s3:GetBucketPublicAccessBlock",
    "tagging:GetResources": "tag:GetResources",
}


class AwsCallError(ProjectError):
    """A call that AWS turned down, or that did not reach it."""

    def __init__(self, action: str, code: str, message: str) -> None:
        self.action, self.code = action, code
        super().__init__(message)

    @property
    def denied(self) -> bool:
        """Whether the caller lacks a permission."""
        return self.code in DENIED


class AwsExistsError(AwsCallError, AlreadyThereError):
    """A creation that AWS turned down because the thing is there."""


def action_of(client: Any, method: str) -> str:
    """The IAM action of a client's method, such as ``eks:DescribeCluster``."""
    prefix = client.meta.service_model.signing_name
    action = f"{prefix}:{client.meta.method_to_api_mapping[method]}"
    return _ACTIONS.get(action, action)


def _subject(arguments: dict[str, Any]) -> str:
    """What a call is about: its plain text arguments. Values that can be secret are never among the first two kinds."""
    hidden = ("password", "token", "secretstring", "policy", "document", "configuration", "assume")
    named = [
        f"{key}={value}"
        for key, value in arguments.items()
        if isinstance(value, str) and not any(word in key.lower() for word in hidden)
    ]
    return " ".join(named[:3])


def _raise(client: Any, method: str, arguments: dict[str, Any], error: Exception) -> None:
    action = action_of(client, method)
    subject = _subject(arguments)
    where = f"{action} in {client.meta.region_name}{f' for {subject}' if subject else ''}"
    if not isinstance(error, ClientError):
        raise AwsCallError(action, type(error).__name__, f"{where} did not reach AWS: {error}") from error
    code = error.response.get("Error", {}).get("Code", "")
    text = error.response.get("Error", {}).get("Message") or code
    if code in DENIED:
        said = "" if text in ("Forbidden", code) else f" AWS says: {text}."
        message = (
            f"{where} is not allowed.{said} Grant {action} to the role or user that runs this, or use another one."
        )
    else:
        message = f"{where} failed with {code}: {text}"
    kind = AwsExistsError if code in EXISTS and method.startswith("create_") else AwsCallError
    raise kind(action, code, message) from error


def call(client: Any, method: str, /, **arguments: Any) -> dict[str, Any]:
    """One call. Raises :class:`AwsCallError`."""
    try:
        answer: dict[str, Any] = getattr(client, method)(**arguments)
    except (ClientError, BotoCoreError) as error:
        _raise(client, method, arguments, error)
    return answer


def call_with_new_role(
    client: Any,
    method: str,
    clock: Clock = _CLOCK,
    /,
    **arguments: Any,
) -> dict[str, Any]:
    """One call that names an IAM role, repeated while the service does not know the role yet.

    IAM is eventually consistent: for some seconds after its creation other services may say that a role does not exist
    or cannot be assumed (IAM user guide, "Troubleshoot IAM", "Changes that I make are not always immediately visible").
    Raises :class:`AwsCallError` when that lasts longer than a minute, and for anything else at once.
    """
    began = clock.now()
    while True:
        try:
            return call(client, method, **arguments)
        except AwsCallError as error:
            text = str(error).lower()
            unknown = "role" in text and ("could not be assumed" in text or "does not exist" in text)
            if not unknown or clock.now() - began > ROLE_PROPAGATION_S:
                raise
        clock.sleep(ROLE_INTERVAL_S)


def pages(client: Any, method: str, key: str, /, **arguments: Any) -> list[Any]:
    """All items of a call that answers in pages. Raises :class:`AwsCallError`."""
    if not client.can_paginate(method):
        return list(call(client, method, **arguments).get(key) or [])
    try:
        answers = list(client.get_paginator(method).paginate(**arguments))
    except (ClientError, BotoCoreError) as error:
        _raise(client, method, arguments, error)
    return [item for answer in answers for item in answer.get(key) or []]


def none_on(*codes: str) -> Callable[[Callable[Arguments, Result]], Callable[Arguments, Result | None]]:
    """Let a function answer ``None`` where AWS says by one of these codes that the thing is not there."""

    def wrap(function: Callable[Arguments, Result]) -> Callable[Arguments, Result | None]:
        @functools.wraps(function)
        def tolerant(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Result | None:
            try:
                return function(*args, **kwargs)
            except AwsCallError as error:
                if error.code in codes:
                    return None
                raise

        return tolerant

    return wrap


def given(**arguments: Any) -> dict[str, Any]:
    """The arguments that are not ``None``, tuples as lists: what botocore takes."""
    return {
        key: list(value) if isinstance(value, tuple) else value for key, value in arguments.items() if value is not None
    }
