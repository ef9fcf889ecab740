# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stand-in for the images' blob storage client: S3 with signature version 4 and web identity credentials.

Written out because boto3 costs 40 MB and a second in each process that stores payloads.
"""

from __future__ import annotations

import hashlib
import hmac
import http.client
import os
import ssl
import threading
import time
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import quote, urlencode, urlsplit

from sandbox.langsmith.environment import SettingsError, container_path, flag, required

TIMEOUT_SECONDS = 15.0
RENEW_BEFORE_SECONDS = 300
SESSION_NAME = "langsmith"


class BlobError(Exception):
    """The bucket, or the credentials for it, cannot be had."""


@dataclass(frozen=True)
class Credentials:
    """What requests are signed with, until `expires` (seconds of the epoch)."""

    access_key: str
    secret_key: str
    token: str = ""
    expires: float = float("inf")


def enabled() -> bool:
    """Whether the chart turned blob storage on."""
    return flag("FF_BLOB_STORAGE_ENABLED")


def threshold_bytes() -> int:
    """Payloads of this size and more go to the bucket (chart default 20 KB, 0 = all)."""
    return int(os.environ.get("MIN_BLOB_STORAGE_SIZE_KB") or 20) * 1024


class Bucket:
    """The objects of one bucket."""

    def __init__(self, name: str, endpoint: str, region: str, path_style: bool) -> None:
        self.name, self.region = name, region
        parts = urlsplit(endpoint)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise SettingsError("S3_API_URL must be a URL such as https://s3.us-east-1.amazonaws.com")
        self.endpoint, self.path_style = parts, path_style
        self.credentials = _CredentialChain(region)

    @classmethod
    def from_environment(cls) -> Bucket:
        """The bucket that the chart names."""
        engine = os.environ.get("BLOB_STORAGE_ENGINE", "S3")
        if engine.lower() != "s3":
            raise SettingsError(f"BLOB_STORAGE_ENGINE {engine} is not known to this stand-in")
        url = required("S3_API_URL")
        region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or _region_of(url)
        # Amazon's own name leads to the account's endpoint, wherever the network puts that.
        override = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
        if override and (urlsplit(url).hostname or "").endswith(".amazonaws.com"):
            return cls(required("S3_BUCKET_NAME"), override, region, path_style=True)
        amazon = (urlsplit(url).hostname or "").endswith(".amazonaws.com")
        return cls(required("S3_BUCKET_NAME"), url, region, flag("S3_USE_PATH_STYLE") or not amazon)

    def put(self, key: str, data: bytes, content_type: str) -> None:
        """Store an object, encrypted with the KMS key where one is configured."""
        headers = {"Content-Type": content_type}
        if flag("S3_KMS_ENCRYPTION_ENABLED"):
            headers["x-amz-server-side-encryption"] = "aws:kms"
            if os.environ.get("S3_KMS_KEY_ARN"):
                headers["x-amz-server-side-encryption-aws-kms-key-id"] = os.environ["S3_KMS_KEY_ARN"]
        self._send("PUT", key, data, headers)

    def get(self, key: str) -> bytes:
        """An object's bytes."""
        return self._send("GET", key, b"", {})

    def _send(self, method: str, key: str, data: bytes, headers: dict[str, str]) -> bytes:
        host = self.endpoint.hostname or ""
        path = self.endpoint.path.rstrip("/") + "/" + quote(key)
        if self.path_style:
            path = self.endpoint.path.rstrip("/") + f"/{self.name}/" + quote(key)
        else:
            host = f"{self.name}.{host}"
        shown = host if self.endpoint.port is None else f"{host}:{self.endpoint.port}"
        signed = sign(self.credentials(), "s3", self.region, method, shown, path, data, headers)
        status, body = _request(self.endpoint.scheme, host, self.endpoint.port, method, path, data, signed)
        if status >= 300:
            raise BlobError(f"S3 {method} s3://{self.name}/{key} answered {status} {_code(body)}")
        return body


class _CredentialChain:
    """Keys of the chart's secret, else the service account's role, else keys of the environment."""

    def __init__(self, region: str) -> None:
        self.region = region
        self._kept: Credentials | None = None
        self._lock = threading.Lock()

    def __call__(self) -> Credentials:
        with self._lock:
            if self._kept is None or self._kept.expires - time.time() < RENEW_BEFORE_SECONDS:
                self._kept = self._find()
            return self._kept

    def _find(self) -> Credentials:
        environ = os.environ
        if environ.get("S3_ACCESS_KEY") and environ.get("S3_ACCESS_KEY_SECRET"):
            return Credentials(environ["S3_ACCESS_KEY"], environ["S3_ACCESS_KEY_SECRET"])
        if environ.get("AWS_ROLE_ARN") and environ.get("AWS_WEB_IDENTITY_TOKEN_FILE"):
            return self._assume(environ["AWS_ROLE_ARN"], environ["AWS_WEB_IDENTITY_TOKEN_FILE"])
        if environ.get("AWS_ACCESS_KEY_ID") and environ.get("AWS_SECRET_ACCESS_KEY"):
            return Credentials(
                environ["AWS_ACCESS_KEY_ID"], environ["AWS_SECRET_ACCESS_KEY"], environ.get("AWS_SESSION_TOKEN", "")
            )
        raise BlobError("no credentials for S3: the service account has no role and no keys are set")

    def _assume(self, role: str, token_file: str) -> Credentials:
        try:
            token = container_path(token_file).read_text().strip()
        except OSError as exc:
            raise BlobError(f"cannot read the web identity token {token_file}: {exc}") from exc
        endpoint = urlsplit(
            os.environ.get("AWS_ENDPOINT_URL_STS")
            or os.environ.get("AWS_ENDPOINT_URL")
            or f"https://sts.{self.region}.amazonaws.com"
        )
        form = {
            "Action": "AssumeRoleWithWebIdentity",
            "Version": "2011-06-15",
            "RoleArn": role,
            "RoleSessionName": SESSION_NAME,
            "WebIdentityToken": token,
        }
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        data = urlencode(form).encode()
        host = endpoint.hostname or ""
        status, body = _request(endpoint.scheme, host, endpoint.port, "POST", endpoint.path or "/", data, headers)
        if status >= 300:
            raise BlobError(f"WebIdentityErr: cannot assume {role}: {status} {_code(body)}")
        found = {element.tag.rpartition("}")[2]: element.text or "" for element in ET.fromstring(body).iter()}  # noqa: S314
        ends = datetime.fromisoformat(found["Expiration"].replace("Z", "+00:00")).timestamp()
        return Credentials(found["AccessKeyId"], found["SecretAccessKey"], found["SessionToken"], ends)


def sign(
    credentials: Credentials,
    service: str,
    region: str,
    method: str,
    host: str,
    path: str,
    data: bytes,
    headers: dict[str, str],
    now: datetime | None = None,
) -> dict[str, str]:
    """The headers of a request with its signature, as AWS documents "Signature Version 4"; `path` is already quoted."""
    stamp = (now or datetime.now(UTC)).strftime("%Y%m%dT%H%M%SZ")
    digest = hashlib.sha256(data).hexdigest()
    sent = {**headers, "Host": host, "x-amz-date": stamp, "x-amz-content-sha256": digest}
    if credentials.token:
        sent["x-amz-security-token"] = credentials.token
    ordered = sorted((name.lower(), value.strip()) for name, value in sent.items())
    names = ";".join(name for name, _ in ordered)
    canonical = "\n".join([method, path, "", *(f"{name}:{value}" for name, value in ordered), "", names, digest])
    scope = f"{stamp[:8]}/{region}/{service}/aws4_request"
    wanted = "\n".join(["AWS4-HMAC-SHA256", stamp, scope, hashlib.sha256(canonical.encode()).hexdigest()])
    key = f"AWS4{credentials.secret_key}".encode()
    for word in (stamp[:8], region, service, "aws4_request"):
        key = hmac.new(key, word.encode(), hashlib.sha256).digest()
    signature = hmac.new(key, wanted.encode(), hashlib.sha256).hexdigest()
    sent["Authorization"] = (
        f"AWS4-HMAC-SHA256 Credential={credentials.access_key}/{scope}, SignedHeaders={names}, Signature={signature}"
    )
    return sent


def _request(
    scheme: str, host: str, port: int | None, method: str, path: str, data: bytes, headers: dict[str, str]
) -> tuple[int, bytes]:
    connection: http.client.HTTPConnection
    if scheme == "https":
        connection = http.client.HTTPSConnection(
            host, port, timeout=TIMEOUT_SECONDS, context=ssl.create_default_context()
        )
    else:
        connection = http.client.HTTPConnection(host, port, timeout=TIMEOUT_SECONDS)
    try:
        connection.request(method, path, data if method in {"PUT", "POST"} else None, headers)
        answer = connection.getresponse()
        return answer.status, answer.read()
    except (OSError, http.client.HTTPException) as exc:
        raise BlobError(f"cannot reach {scheme}://{host}: {exc or type(exc).__name__}") from exc
    finally:
        connection.close()


def _code(body: bytes) -> str:
    """The error code of an AWS answer."""
    try:
        found = [element.text or "" for element in ET.fromstring(body).iter() if element.tag.endswith("Code")]  # noqa: S314
    except ET.ParseError:
        return ""
    return found[0] if found else ""


def _region_of(url: str) -> str:
    words = (urlsplit(url).hostname or "").split(".")
    return words[1] if len(words) == 4 and words[0] == "s3" else "us-east-1"
