# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stand-in for STS where moto gives credentials to anyone who asks."""

from __future__ import annotations

import base64
import json
import threading
import time
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils
from moto.core.exceptions import ServiceException
from moto.sts.responses import TokenResponse

from sandbox import state
from sandbox.aws import access, policy
from sandbox.aws.control_plane import ControlPlane, ControlPlaneError
from sandbox.aws.errors import CallError

# AWS Security Token Service API reference, AssumeRoleWithWebIdentity, errors.
IDENTITY, EXPIRED, DENIED = "InvalidIdentityToken", "ExpiredTokenException", "AccessDenied"
NOT_AUTHORIZED = "Not authorized to perform sts:AssumeRoleWithWebIdentity"
Claims = dict[str, Any]


class _Keys:
    """The public keys of the cluster, read from its API server, as AWS reads them from the issuer's URL."""

    def __init__(self) -> None:
        self._keys: dict[str, Any] = {}
        self._lock = threading.Lock()

    def get(self, key_id: str) -> Any:
        with self._lock:
            if key_id not in self._keys:
                answer = ControlPlane().call("GET", "openid/v1/jwks")
                parsed = json.loads(answer) if isinstance(answer, str) else answer
                self._keys = {key["kid"]: _public_key(key) for key in parsed["keys"]}
            return self._keys.get(key_id)


KEYS = _Keys()


def _decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _number(text: str) -> int:
    return int.from_bytes(_decode(text), "big")


def _public_key(key: dict[str, str]) -> rsa.RSAPublicKey | ec.EllipticCurvePublicKey:
    if key["kty"] == "RSA":
        return rsa.RSAPublicNumbers(_number(key["e"]), _number(key["n"])).public_key()
    return ec.EllipticCurvePublicNumbers(_number(key["x"]), _number(key["y"]), ec.SECP256R1()).public_key()


def _verify(key: Any, signed: bytes, signature: bytes) -> None:
    if isinstance(key, rsa.RSAPublicKey):
        key.verify(signature, signed, padding.PKCS1v15(), hashes.SHA256())
    else:
        half = len(signature) // 2
        numbers = (int.from_bytes(signature[:half], "big"), int.from_bytes(signature[half:], "big"))
        key.verify(utils.encode_dss_signature(*numbers), signed, ec.ECDSA(hashes.SHA256()))


def claims_of(token: str) -> Claims:
    """The claims of a service-account token whose signature the cluster's keys confirm. Raises ServiceException."""
    try:
        header, payload, signature = token.split(".")
        described, claims = json.loads(_decode(header)), json.loads(_decode(payload))
        if claims["iss"] != state.issuer():
            raise CallError(IDENTITY, f"No OpenIDConnect provider found in your account for {claims['iss']}")
        key = KEYS.get(described["kid"])
        if key is None:
            raise CallError(IDENTITY, "Couldn't retrieve verification key from your identity provider")
        _verify(key, f"{header}.{payload}".encode(), _decode(signature))
    except (ValueError, KeyError, InvalidSignature) as error:
        raise CallError(IDENTITY, "The ID Token provided is not a valid JWT signed by its issuer") from error
    except ControlPlaneError as error:
        raise CallError(IDENTITY, f"Couldn't retrieve verification key from your identity provider: {error}") from error
    if claims.get("exp", 0) < time.time():
        raise CallError(
            EXPIRED,
            f"Token expired: current date/time {int(time.time())} must be before the expiration date/time "
            f"{claims.get('exp')}",
        )
    return dict(claims)


def _authorize(role_arn: str, claims: Claims) -> None:
    host = claims["iss"].removeprefix("https://")
    provider_arn = f"arn:aws:iam::{access.ACCOUNT}:oidc-provider/{host}"
    provider = access.iam().open_id_providers.get(provider_arn)
    if provider is None:
        raise CallError(IDENTITY, f"No OpenIDConnect provider found in your account for {claims['iss']}")
    audiences = policy.listed(claims.get("aud", []))
    if not set(audiences) & set(provider.client_id_list):
        raise CallError(IDENTITY, "Incorrect token audience")
    try:
        role = access.iam().get_role_by_arn(role_arn)
    except ServiceException as error:
        raise CallError(DENIED, NOT_AUTHORIZED) from error
    context = {f"{host}:aud".lower(): audiences, f"{host}:sub".lower(): [claims.get("sub", "")]}

    def federated(element: Any) -> bool:
        return isinstance(element, dict) and provider_arn in policy.listed(element.get("Federated", []))

    action = "sts:AssumeRoleWithWebIdentity"
    documents = [role.assume_role_policy_document]
    if policy.decide(documents, action, None, context, complete=True, principal=federated) != policy.ALLOW:
        raise CallError(DENIED, NOT_AUTHORIZED)


_assume_role = TokenResponse.assume_role
_assume_role_with_web_identity = TokenResponse.assume_role_with_web_identity


def assume_role_with_web_identity(self: TokenResponse) -> Any:
    """Credentials for a token of the cluster whose signature, provider, audience and trust policy hold."""
    claims = claims_of(str(self._get_param("WebIdentityToken")))
    _authorize(str(self._get_param("RoleArn")), claims)
    return _assume_role_with_web_identity(self)


def assume_role(self: TokenResponse) -> Any:
    """Credentials of a role that exists and trusts the caller."""
    who, arn = access.caller(), str(self._get_param("RoleArn"))
    refusal = f"User: {who.arn if who else 'anonymous'} is not authorized to perform: sts:AssumeRole on resource: {arn}"
    try:
        role = access.iam().get_role_by_arn(arn)
    except ServiceException as error:
        raise CallError(DENIED, refusal) from error
    accepted = {
        "*",
        access.ACCOUNT,
        f"arn:aws:iam::{access.ACCOUNT}:root",
        *([who.arn, who.identity_arn] if who else []),
    }

    def trusted(element: Any) -> bool:
        return element == "*" or bool(accepted & set(policy.listed(element.get("AWS", []))))

    if policy.decide([role.assume_role_policy_document], "sts:AssumeRole", principal=trusted) != policy.ALLOW:
        raise CallError(DENIED, refusal)
    return _assume_role(self)


def install() -> None:
    """Replace moto's calls."""
    TokenResponse.assume_role = assume_role
    TokenResponse.assume_role_with_web_identity = assume_role_with_web_identity
