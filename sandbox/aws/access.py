# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stand-in for AWS's front door: who calls, by which key, and whether that caller's policies allow it.

Signatures of API calls are not checked, keys and session tokens are; resources are known for S3, Secrets Manager,
KMS and STS only (see policy.decide for what an unknown one means).
"""

from __future__ import annotations

import contextlib
import dataclasses
import re
import threading
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, unquote, urlparse

from moto.core.authorization import ActionAuthenticatorMixin
from moto.core.exceptions import ServiceException
from moto.core.responses import ActionResult, BaseResponse
from moto.core.utils import utcnow
from moto.iam.models import IAMBackend, Role, iam_backends
from moto.s3.exceptions import S3AccessDeniedError, S3ClientError
from moto.secretsmanager.models import secretsmanager_backends
from moto.sts.models import sts_backends

from sandbox.aws import policy
from sandbox.aws.errors import CallError

ACCOUNT = "123456789012"
PARTITION = "aws"
CREDENTIAL = re.compile(r"Credential=([^/,\s]+)/\d+/([^/]+)/([^/]+)/")
# Where the prefix of IAM actions is not the name that the service signs with.
PREFIXES = {"monitoring": "cloudwatch", "tagging": "tag", "email": "ses"}
# Calls that AWS accepts without a signature.
UNSIGNED = {"AssumeRoleWithWebIdentity", "AssumeRoleWithSAML"}
# moto names some S3 calls by the API, IAM by the permission that they need.
S3_PERMISSIONS = {
    "HeadBucket": "ListBucket",
    "ListObjects": "ListBucket",
    "ListObjectsV2": "ListBucket",
    "HeadObject": "GetObject",
    "CopyObject": "PutObject",
    "CreateMultipartUpload": "PutObject",
    "UploadPart": "PutObject",
    "CompleteMultipartUpload": "PutObject",
    "DeleteObjects": "DeleteObject",
    "ListAllMyBuckets": "ListAllMyBuckets",
}


@dataclasses.dataclass(frozen=True)
class Principal:
    """A caller: its ARN, and the ARN of the user or role whose policies decide."""

    arn: str
    identity_arn: str
    secret_key: str


class Refused(Exception):  # noqa: N818 - it tells what happened
    """Credentials that AWS does not accept; the message says why."""


_caller = threading.local()


def caller() -> Principal | None:
    """Who made the request that this thread answers."""
    return getattr(_caller, "principal", None)


def iam() -> IAMBackend:
    """The account's IAM."""
    backend: IAMBackend = iam_backends[ACCOUNT][PARTITION]
    return backend


def principal(access_key: str, token: str | None) -> Principal:
    """The owner of an access key. Raises Refused for unknown keys, wrong or missing tokens and expired sessions."""
    role = sts_backends[ACCOUNT][PARTITION].get_assumed_role_from_access_key(access_key)
    if role is not None:
        if role.session_token != token:
            raise Refused("The security token included in the request is invalid.")
        if role.expiration < utcnow():
            raise Refused("The security token included in the request is expired")
        return Principal(role.arn, role.role_arn, role.secret_access_key)
    for user in list(iam().users.values()):
        for key in user.access_keys:
            if key.access_key_id == access_key and key.status == "Active":
                return Principal(user.arn, user.arn, key.secret_access_key)
    raise Refused("The security token included in the request is invalid.")


def documents(identity_arn: str) -> list[str]:
    """The policy documents of a user or role, inline and attached."""
    try:
        if ":role/" in identity_arn:
            role = iam().get_role_by_arn(identity_arn)
            return [*role.policies.values(), *(_default(item) for item in role.managed_policies.values())]
        user = next(item for item in iam().users.values() if item.arn == identity_arn)
    except (ServiceException, StopIteration):
        return []
    groups = [group for group in iam().groups.values() if user in group.users]
    found: list[str] = []
    for owner in [user, *groups]:
        found += [*owner.policies.values(), *(_default(item) for item in owner.managed_policies.values())]
    return found


def _default(managed: Any) -> str:
    return str(next(version.document for version in managed.versions if version.is_default))


def role_trusting(role_arn: str, service: str) -> Role | None:
    """The role, when it exists and its trust policy lets the AWS service take it."""
    try:
        role = iam().get_role_by_arn(role_arn)
    except ServiceException:
        return None

    def trusted(element: Any) -> bool:
        return isinstance(element, dict) and service in policy.listed(element.get("Service", []))

    verdict = policy.decide([role.assume_role_policy_document], "sts:AssumeRole", principal=trusted)
    return role if verdict == policy.ALLOW else None


def _identify(response: BaseResponse) -> tuple[Principal | None, str]:
    """The caller and the signing name of the service; no caller when the request is not signed."""
    header = response.headers.get("Authorization", "")
    query = parse_qs(urlparse(response.uri).query)
    signed = header or "Credential=" + unquote(query.get("X-Amz-Credential", [""])[0])
    match = CREDENTIAL.search(signed)
    if match is None:
        return None, str(response.service_name)
    token = response.headers.get("X-Amz-Security-Token") or query.get("X-Amz-Security-Token", [None])[0]
    return principal(match[1], token), match[3]


def _resource(response: BaseResponse, service: str) -> str | None:
    if service == "sts":
        return response._get_param("RoleArn")
    if service == "secretsmanager":
        return _secret_arn(response._get_param("SecretId"))
    return None


def _secret_arn(identifier: str | None) -> str | None:
    if not identifier or identifier.startswith("arn:"):
        return identifier
    for backend in list(secretsmanager_backends[ACCOUNT].values()):
        if identifier in backend.secrets:
            return str(backend.secrets[identifier].arn)
    return f"arn:aws:secretsmanager:us-east-1:{ACCOUNT}:secret:{identifier}-??????"


def _check(response: BaseResponse) -> None:
    action = response._get_action() or ""
    try:
        _caller.principal, service = _identify(response)
    except Refused as refusal:
        _caller.principal = None
        code = "AuthFailure" if response.service_name == "ec2" else _invalid_token(response)
        raise CallError(code, str(refusal)) from refusal
    if _caller.principal is None:
        if action in UNSIGNED:
            return
        raise CallError("MissingAuthenticationToken", "Request is missing Authentication Token")
    # AWS: "No permissions are required to perform this operation".
    if action == "GetCallerIdentity":
        return
    full = f"{PREFIXES.get(service, service)}:{action}"
    if not allowed(_caller.principal, full, _resource(response, service)):
        raise CallError(_denied(response), denial(_caller.principal, full))


def allowed(who: Principal, action: str, resource: str | None) -> bool:
    """Whether the caller's own policies allow the action."""
    context = {"aws:principalarn": [who.identity_arn], "aws:securetransport": ["true"]}
    return policy.decide(documents(who.identity_arn), action, resource, context) == policy.ALLOW


def denial(who: Principal, action: str) -> str:
    """AWS's sentence for a refused call."""
    why = "because no identity-based policy allows the action"
    return f"User: {who.arn} is not authorized to perform: {action} {why}: {action}"


def _json_protocol(response: BaseResponse) -> bool:
    return "X-Amz-Target" in response.headers or response.service_name == "eks"


def _invalid_token(response: BaseResponse) -> str:
    return "UnrecognizedClientException" if _json_protocol(response) else "InvalidClientTokenId"


def _denied(response: BaseResponse) -> str:
    if response.service_name == "ec2":
        return "UnauthorizedOperation"
    return "AccessDeniedException" if _json_protocol(response) else "AccessDenied"


_call_action = BaseResponse.call_action


def _checked_call_action(self: BaseResponse) -> Any:
    try:
        _check(self)
    except ServiceException as error:
        status, headers, body = self.serialized(ActionResult(error))
        return (403 if status in (400, 500) else status), headers, body
    with _context(self):
        return _call_action(self)


@contextlib.contextmanager
def _context(response: BaseResponse) -> Iterator[None]:
    try:
        yield
    finally:
        _caller.principal = None


def _check_s3(self: Any, bucket_name: str | None = None, key_name: str | None = None) -> None:
    try:
        who, _ = _identify(self)
    except Refused as refusal:
        message = "The AWS Access Key Id you provided does not exist in our records."
        raise S3ClientError("InvalidAccessKeyId", message) from refusal
    _caller.principal = who
    if who is None:
        raise S3AccessDeniedError()
    action = str(self.data.get("Action") or self._get_action())
    resource = "arn:aws:s3:::" + (f"{bucket_name}/{key_name}" if key_name else bucket_name or "*")
    if not allowed(who, f"s3:{S3_PERMISSIONS.get(action, action)}", resource):
        raise S3AccessDeniedError()


def install() -> None:
    """Put the checks in front of moto's services."""
    BaseResponse.call_action = _checked_call_action
    ActionAuthenticatorMixin._authenticate_and_authorize_s3_action = _check_s3
