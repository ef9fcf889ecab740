# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""AWS clients with the credentials that a controller has on EKS: the role of its service account, and no other."""

from __future__ import annotations

import datetime
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import boto3
import botocore
import botocore.config
import botocore.exceptions
import botocore.loaders
import botocore.parsers
import botocore.session

from sandbox.controllers.kubernetes import SERVICE_ACCOUNT, Cluster, annotations_of

ROLE_ANNOTATION = "eks.amazonaws.com/role-arn"
AUDIENCE_ANNOTATION = "eks.amazonaws.com/audience"
AUDIENCE = "sts.amazonaws.com"
# Credentials are fetched anew this long before they end, as the AWS SDKs do.
EARLY_SECONDS = 300
# A changed trust policy or a removed annotation shows after this long at the latest.
KEEP_SECONDS = 60
CONFIG = botocore.config.Config(retries={"max_attempts": 2}, connect_timeout=5, read_timeout=30)
UNSIGNED = CONFIG.merge(botocore.config.Config(signature_version=botocore.UNSIGNED))
SERVICES = {
    "acm": "ACM",
    "ec2": "EC2",
    "elbv2": "Elastic Load Balancing v2",
    "secretsmanager": "Secrets Manager",
    "sts": "STS",
    "wafv2": "WAFV2",
}
Client = Any
LOADER = botocore.loaders.create_loader()
# No answer, or one that is no answer of the API.
UNANSWERED = (botocore.exceptions.BotoCoreError, botocore.parsers.ResponseParserError)


class AwsError(Exception):
    """A call failed. The message is what the AWS SDK for Go would say; `code` is the API's error code, or empty."""

    def __init__(self, message: str, code: str = "") -> None:
        super().__init__(message)
        self.code = code


class Account:
    """The AWS endpoint, and credentials by service account. Safe to share between threads."""

    def __init__(self, endpoint_url: str, cluster: Cluster) -> None:
        self._endpoint = endpoint_url
        self._cluster = cluster
        self._sessions: dict[tuple[str, ...], tuple[float, boto3.Session]] = {}
        self._clients: dict[tuple[int, str], Client] = {}
        self._lock = threading.Lock()

    def client(self, service: str, namespace: str, service_account: str, region: str, session_name: str) -> Client:
        """A client with the credentials of the service account's role. Raises AwsError, ApiError."""
        with self._lock:
            session = self._session(namespace, service_account, region, session_name)
            key = (id(session), service)
            if key not in self._clients:
                made: Callable[..., Client] = session.client
                self._clients[key] = made(service, endpoint_url=self._endpoint, config=CONFIG)
            return self._clients[key]

    def _session(self, namespace: str, service_account: str, region: str, session_name: str) -> boto3.Session:
        key = (namespace, service_account, region, session_name)
        known = self._sessions.get(key)
        if known is not None and _time() < known[0]:
            return known[1]
        if known is not None:
            self._clients = {name: client for name, client in self._clients.items() if name[0] != id(known[1])}
            del self._sessions[key]
        found = self._cluster.get(SERVICE_ACCOUNT, namespace, service_account)
        if found is None:
            raise AwsError(f'ServiceAccount "{service_account}" not found')
        role = annotations_of(found).get(ROLE_ANNOTATION)
        if not role:
            raise AwsError(
                f"an IAM role must be associated with service account {service_account} (namespace: {namespace})"
            )
        audience = annotations_of(found).get(AUDIENCE_ANNOTATION, AUDIENCE)
        token = self._cluster.token(namespace, service_account, audience)
        expires, session = self._assume(role, token, region, session_name)
        self._sessions[key] = (min(expires - EARLY_SECONDS, _time() + KEEP_SECONDS), session)
        return session

    def _assume(self, role: str, token: str, region: str, session_name: str) -> tuple[float, boto3.Session]:
        made: Callable[..., Client] = boto3.Session(botocore_session=_core(), region_name=region).client
        sts = made("sts", endpoint_url=self._endpoint, config=UNSIGNED)
        arguments = {"RoleArn": role, "RoleSessionName": session_name, "WebIdentityToken": token}
        try:
            answer = call("sts", sts.assume_role_with_web_identity, arguments)["Credentials"]
        except AwsError as error:
            raise AwsError(f"failed to retrieve credentials, {error}", error.code) from error
        session = boto3.Session(
            botocore_session=_core(),
            aws_access_key_id=answer["AccessKeyId"],
            aws_secret_access_key=answer["SecretAccessKey"],
            aws_session_token=answer["SessionToken"],
            region_name=region,
        )
        return answer["Expiration"].timestamp(), session


def administrator(aws: Mapping[str, Any], service: str) -> Client:
    """A client with the sandbox's own profile; `aws` is that part of endpoints.json."""
    # The session's variables name the files, so that this process's environment stays as it is.
    core = _core()
    core.set_config_variable("config_file", aws["config_file"])
    core.set_config_variable("credentials_file", aws["credentials_file"])
    core.set_config_variable("profile", aws["profile"])
    made: Callable[..., Client] = boto3.Session(botocore_session=core, region_name=aws["region"]).client
    return made(service, endpoint_url=aws["endpoint_url"], config=CONFIG)


def _core() -> botocore.session.Session:
    """A session that shares the services' descriptions with all others; each copy of EC2's would take 20 MiB."""
    core = botocore.session.Session()
    core.register_component("data_loader", LOADER)
    return core


def call(service: str, method: Callable[..., Any], arguments: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Call a client's method. Raises AwsError."""
    try:
        return dict(method(**(arguments or {})))
    except botocore.exceptions.ClientError as error:
        raise AwsError(go_message(service, error), str(error.response["Error"].get("Code", ""))) from error
    except UNANSWERED as error:
        operation = "".join(part.title() for part in getattr(method, "__name__", "call").split("_"))
        raise AwsError(f"operation error {SERVICES[service]}: {operation}, {error}") from error


def pages(service: str, client: Client, operation: str, key: str, **arguments: Any) -> list[Any]:
    """All items under `key` over all pages of an operation. Raises AwsError."""
    try:
        return list(_items(client, operation, key, arguments))
    except botocore.exceptions.ClientError as error:
        raise AwsError(go_message(service, error), str(error.response["Error"].get("Code", ""))) from error
    except UNANSWERED as error:
        raise AwsError(f"operation error {SERVICES[service]}: {operation}, {error}") from error


def _items(client: Client, operation: str, key: str, arguments: Mapping[str, Any]) -> Iterator[Any]:
    for page in client.get_paginator(operation).paginate(**arguments):
        yield from page.get(key) or []


def go_message(service: str, error: botocore.exceptions.ClientError) -> str:
    """The text of an API error as the AWS SDK for Go v2, which all these controllers use, puts it."""
    metadata = error.response.get("ResponseMetadata", {})
    found = error.response["Error"]
    return (
        f"operation error {SERVICES[service]}: {error.operation_name}, https response error StatusCode: "
        f"{metadata.get('HTTPStatusCode', 0)}, RequestID: {metadata.get('RequestId', '')}, "
        f"api error {found.get('Code', '')}: {found.get('Message', '')}"
    )


def _time() -> float:
    return datetime.datetime.now(datetime.UTC).timestamp()
