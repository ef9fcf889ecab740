# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where LangSmith's API is under an installation's URL, who calls it, and what an answer to a write leaves open."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from html.entities import codepoint2name
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
    def is_plain(self) -> bool:
        """Whether what is sent there can be read on the way."""
        return self.origin.startswith("http://")

    @property
    def api(self) -> str:
        """The path under which API calls are made."""
        return f"{self.base}/api/v1"

    def resolve(self, address: str) -> tuple[str, str]:
        """Origin and path of an address out of an answer, as LangSmith's SDK reads it.

        Such an address is absolute, or relative to the API unless it begins with ``api/`` itself. Raises
        ``ValueError``, without the address, for what is none.
        """
        if not all("!" <= character <= "~" for character in address):
            raise ValueError("it holds characters that an address has to escape")
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

    It may be repeated as JSON, HTML or an address escape it. Give it the whole text: one that was cut before may end in
    a part of a key.
    """
    secrets = _secrets({name.lower(): value for name, value in headers.items()})
    return _pattern(secrets).sub("********", text) if text and secrets else text


def _secrets(sent: Mapping[str, str]) -> frozenset[str]:
    """Keys, a token, and the password that a token of basic authentication holds, each as far as it is there."""
    scheme, _blank, token = sent.get("authorization", "").partition(" ")
    password = base64.b64decode(token).decode().partition(":")[2] if scheme == "Basic" else ""
    # A header is Latin-1; what is no ASCII travels in it as its UTF-8, and may come back read as either.
    carried = sent.get("x-clickhouse-key", "")
    read = carried.encode("latin-1", "replace").decode("utf-8", "replace")
    return frozenset({sent.get("x-api-key", ""), token, password, carried, read} - {""})


@lru_cache(maxsize=8)
def _pattern(secrets: frozenset[str]) -> re.Pattern[str]:
    """Finds each secret, the longest first, in any mixture of its characters' forms."""
    return re.compile("|".join("".join(map(_forms, secret)) for secret in sorted(secrets, key=len, reverse=True)))


def _forms(character: str) -> str:
    """A pattern of one character as it is, and as JSON (in JSON), HTML and addresses escape it."""
    if character.isascii() and (character.isalnum() or character in "-._~"):
        return re.escape(character)
    code = ord(character)
    names = ["apos"] if character == "'" else [codepoint2name[code]] if code in codepoint2name else []
    entities = "|".join([f"#0{{0,4}}{code}", f"#x0{{0,4}}{code:x}", *names])
    units = character.encode("utf-16-be").hex(" ", 2).split()
    forms = [
        # Every repetition is bounded, for whoever answers may try to keep us busy.
        rf"\\{{0,7}}{re.escape(character)}",
        "(?i:" + "".join(rf"\\{{1,7}}u{unit}" for unit in units) + ")",
        f"(?i:&(?:amp;){{0,3}}(?:{entities});)",
        "(?i:" + "".join(f"%{byte:02x}" for byte in character.encode()) + ")",
        r"\+" if character == " " else "",
        "\ufffd{1,4}" if not character.isascii() else "",
    ]
    return f"(?:{'|'.join(filter(None, forms))})"


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
