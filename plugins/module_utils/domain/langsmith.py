# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where LangSmith's API is under an installation's URL, who calls it, and what an answer to a write leaves open."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from ansible_collections.langsmith.aws.plugins.module_utils.domain.answers import Observed


@dataclass(frozen=True)
class Endpoint:
    """An installation's URL in parts. ``base`` is the path before ``/api`` and empty or ``/something``."""

    origin: str
    base: str

    @property
    def url(self) -> str:
        """The URL at which people open LangSmith."""
        return f"{self.origin}{self.base}"

    @property
    def api(self) -> str:
        """The path under which API calls are made."""
        return f"{self.base}/api/v1"

    def resolve(self, address: str) -> tuple[str, str]:
        """Origin and path of an address out of an answer, as LangSmith's SDK reads it.

        Such an address is absolute, or relative to the API unless it begins with ``api/`` itself.
        """
        if address.startswith(("http://", "https://")):
            parts = urlsplit(address)
            query = f"?{parts.query}" if parts.query else ""
            return f"{parts.scheme}://{parts.netloc}", f"{parts.path or '/'}{query}"
        path = address.lstrip("/")
        return self.origin, f"{self.base}/{path}" if path.split("/")[0] == "api" else f"{self.api}/{path}"


def key_headers(api_key: str, workspace_id: str | None = None) -> dict[str, str]:
    """The headers by which a key calls. Raises ``ValueError``, without the key, for one that fits no header."""
    if not api_key or not all("!" <= character <= "~" for character in api_key):
        raise ValueError("the API key is empty or holds a blank or a special character; store the bare key")
    return {"x-api-key": api_key, **({"X-Tenant-Id": workspace_id} if workspace_id else {})}


def blank(text: str, headers: Mapping[str, str]) -> str:
    """What somebody else told, without what the headers prove their caller by, as an answer may repeat it.

    Give it the whole text: one that was cut before may end in a part of a key.
    """
    for secret in filter(None, _secrets(headers)):
        text = text.replace(secret, "********")
    return text


def _secrets(headers: Mapping[str, str]) -> tuple[str, str, str]:
    """The key, the token, and the password that a token of basic authentication holds, each as far as it is there."""
    sent = {name.lower(): value for name, value in headers.items()}
    scheme, _blank, token = sent.get("authorization", "").partition(" ")
    password = base64.b64decode(token).decode().partition(":")[2] if scheme == "Basic" else ""
    return sent.get("x-api-key", ""), token, password


def may_have_written(answer: Observed) -> bool:
    """Whether what was asked for may have been done: it was, or neither an answer nor its want says that it was not."""
    if answer.status is None:
        return answer.phase == "http"
    return answer.succeeded or answer.status == 409 or answer.is_server_error


def parse_endpoint(url: str) -> Endpoint:
    """The parts of ``https://host[:port][/base]``, with or without ``/api`` or ``/api/v1`` behind it.

    Raises ``ValueError`` for anything that is no such URL.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise ValueError(f"{url!r} is not of the form https://host[/base]")
    if not all("!" <= character <= "~" for character in url):
        raise ValueError(f"{url!r} holds characters that a URL has to escape (%..) or, in a name, write as xn--")
    if parts.username is not None or parts.password is not None:
        raise ValueError("the URL holds a user name or password; give them by their own options")
    base = parts.path.rstrip("/").removesuffix("/v1").removesuffix("/api").rstrip("/")
    return Endpoint(f"{parts.scheme}://{parts.netloc}", base)
