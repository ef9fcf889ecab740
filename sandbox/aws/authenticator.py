# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stand-in for the aws-iam-authenticator of an EKS control plane: TokenReviews for `aws eks get-token` tokens."""

from __future__ import annotations

import base64
import datetime
import hashlib
import hmac
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit

from moto.eks.models import eks_backends

from sandbox import state
from sandbox.aws import access, eks_addons, eks_base

PREFIX = "k8s-aws-v1."
CLUSTER_HEADER = "x-k8s-aws-id"
# aws-iam-authenticator: tokens are good for 15 minutes, whatever X-Amz-Expires says.
TOKEN_SECONDS = 15 * 60


class Unauthenticated(Exception):  # noqa: N818 - what the authenticator calls it
    """A token that names nobody; the message says why."""


def review(request: dict[str, Any]) -> dict[str, Any]:
    """Answer a TokenReview (authentication.k8s.io/v1)."""
    answer = {"apiVersion": request.get("apiVersion", "authentication.k8s.io/v1"), "kind": "TokenReview"}
    try:
        who, cluster = identify(str((request.get("spec") or {}).get("token", "")))
        return {**answer, "status": {"authenticated": True, "user": user(who, cluster)}}
    except Unauthenticated as refusal:
        return {**answer, "status": {"authenticated": False, "error": str(refusal)}}


def identify(token: str) -> tuple[access.Principal, Any]:
    """The caller who signed the token, and the cluster that it was signed for."""
    if not token.startswith(PREFIX):
        raise Unauthenticated("not a token of aws eks get-token")
    encoded = token.removeprefix(PREFIX)
    try:
        url = urlsplit(base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)).decode())
    except ValueError as error:
        raise Unauthenticated("the token is not base64") from error
    query = dict(parse_qsl(url.query, keep_blank_values=True))
    if query.get("Action") != "GetCallerIdentity":
        raise Unauthenticated("the token is not a GetCallerIdentity request")
    if CLUSTER_HEADER not in query.get("X-Amz-SignedHeaders", "").split(";"):
        raise Unauthenticated(f"the token does not sign {CLUSTER_HEADER}")
    _check_time(query)
    try:
        key = query["X-Amz-Credential"].split("/")[0]
        who = access.principal(key, query.get("X-Amz-Security-Token"))
    except (KeyError, access.Refused) as refusal:
        raise Unauthenticated(f"sts getCallerIdentity failed: {refusal}") from refusal
    clusters = eks_base.sweep(eks_backends[access.ACCOUNT][state.REGION]).clusters.values()
    for cluster in clusters:
        signature = _signature(query, url.netloc, url.path or "/", cluster.name, who.secret_key)
        if hmac.compare_digest(signature, query.get("X-Amz-Signature", "")):
            return who, cluster
    raise Unauthenticated("the signature fits no cluster: wrong secret key, or signed for another cluster's name")


def _check_time(query: dict[str, str]) -> None:
    try:
        signed = datetime.datetime.strptime(query["X-Amz-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=datetime.UTC)
    except (KeyError, ValueError) as error:
        raise Unauthenticated("X-Amz-Date is missing or malformed") from error
    if (datetime.datetime.now(datetime.UTC) - signed).total_seconds() > TOKEN_SECONDS:
        raise Unauthenticated("the token has expired")


def _signature(query: dict[str, str], host: str, path: str, cluster: str, secret: str) -> str:
    """Signature version 4 of the presigned request."""
    pairs = sorted((k, v) for k, v in query.items() if k != "X-Amz-Signature")
    canonical_query = "&".join(f"{quote(k, safe='-_.~')}={quote(v, safe='-_.~')}" for k, v in pairs)
    known = {"host": host, CLUSTER_HEADER: cluster}
    names = query["X-Amz-SignedHeaders"].split(";")
    headers = "".join(f"{name}:{known.get(name, '')}\n" for name in names)
    empty = hashlib.sha256(b"").hexdigest()
    request = "\n".join(["GET", path, canonical_query, headers, ";".join(names), empty])
    scope = query["X-Amz-Credential"].split("/", 1)[1]
    text = "\n".join(["AWS4-HMAC-SHA256", query["X-Amz-Date"], scope, hashlib.sha256(request.encode()).hexdigest()])
    key = f"AWS4{secret}".encode()
    for part in scope.split("/"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()


def user(who: access.Principal, cluster: Any) -> dict[str, Any]:
    """The Kubernetes user and groups of a caller, by the cluster's access entries."""
    entry = cluster.entries.get(who.identity_arn)
    groups: list[str] = []
    username = who.arn
    mode = cluster.access_config
    if entry is not None:
        session = who.arn.rpartition("/")[2]
        username = entry["username"].replace("{{SessionName}}", session)
        groups = [*entry["kubernetesGroups"], *_policy_groups(entry)]
    elif mode["authenticationMode"] == "CONFIG_MAP" and who.identity_arn == cluster.creator_arn:
        # Without access entries the creator is an administrator for ever, and no configuration shows it.
        groups = ["system:masters"]
    else:
        raise Unauthenticated(f"{who.identity_arn} has no access entry in cluster {cluster.name}")
    extra = {"arn": [who.arn], "canonicalArn": [who.identity_arn]}
    return {
        "username": username,
        "uid": f"aws-iam-authenticator:{access.ACCOUNT}:{who.arn}",
        "groups": groups,
        "extra": extra,
    }


def _policy_groups(entry: dict[str, Any]) -> list[str]:
    groups = []
    for arn, association in entry["_policies"].items():
        name = arn.rpartition("/")[2]
        if association["accessScope"].get("type") != "cluster":
            continue
        if name == "AmazonEKSClusterAdminPolicy":
            groups.append("system:masters")
        elif name in eks_addons.POLICY_GROUPS:
            groups.append(eks_addons.POLICY_GROUPS[name][0])
    return groups
