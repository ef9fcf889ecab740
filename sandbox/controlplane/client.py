# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A small client of the Kubernetes API for the parts of the sandbox: plain JSON, list and watch."""

from __future__ import annotations

import contextlib
import http.client
import json
import ssl
import threading
import urllib.parse
from collections.abc import Iterator
from typing import Any

from sandbox import state

MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
APPLY = "application/apply-patch+yaml"
TIMEOUT_SECONDS = 30
WATCH_SECONDS = 300

Object = dict[str, Any]


class ApiError(Exception):
    """The API server refused; `status` is the HTTP status, the message is its own."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"{status}: {message}")
        self.status = status


class Client:
    """Requests as the cluster's administrator, one kept connection per thread."""

    def __init__(self) -> None:
        folder = state.root() / "kubernetes"
        self._context = ssl.create_default_context(cafile=str(folder / "ca.crt"))
        self._context.load_cert_chain(folder / "admin.crt", folder / "admin.key")
        self._local = threading.local()

    def get(self, path: str, **query: Any) -> Object:
        return self.request("GET", path, query=query)

    def post(self, path: str, body: Object) -> Object:
        return self.request("POST", path, body)

    def patch(self, path: str, body: Object, kind: str = MERGE, **query: Any) -> Object:
        return self.request("PATCH", path, body, kind, query)

    def apply(self, path: str, body: Object) -> Object:
        """Server-side apply: create or change what `body` names, as one field manager."""
        return self.request("PATCH", path, body, APPLY, {"fieldManager": "sandbox", "force": "true"})

    def delete(self, path: str, body: Object | None = None) -> None:
        """Delete; what is not there is deleted already."""
        with contextlib.suppress(NotFoundError):
            self.request("DELETE", path, body)

    def request(
        self,
        method: str,
        path: str,
        body: Object | None = None,
        kind: str = "application/json",
        query: Object | None = None,
    ) -> Object:
        """One request, its JSON answer. Raises ApiError, or OSError when the API server cannot be reached."""
        data = None if body is None else json.dumps(body)
        target = path + ("?" + urllib.parse.urlencode(query) if query else "")
        status, content = self._send(method, target, data, {"Content-Type": kind, "Accept": "application/json"})
        if status >= 400:
            raise _error(status, content)
        parsed: Object = json.loads(content) if content.startswith(b"{") else {"text": content.decode()}
        return parsed

    def _send(self, method: str, target: str, data: str | None, headers: dict[str, str]) -> tuple[int, bytes]:
        kept: http.client.HTTPSConnection | None = getattr(self._local, "connection", None)
        connection = kept or self._connect(TIMEOUT_SECONDS)
        try:
            connection.request(method, target, data, headers)
            response = connection.getresponse()
            content = response.read()
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            self._local.connection = None
            # The server may close a kept connection at any time; a fresh one tells whether it is there at all.
            if kept is not None:
                return self._send(method, target, data, headers)
            raise OSError(f"the API server does not answer: {error}") from error
        self._local.connection = connection
        return response.status, content

    def _connect(self, timeout: float) -> http.client.HTTPSConnection:
        return http.client.HTTPSConnection("127.0.0.1", state.port("apiserver"), timeout=timeout, context=self._context)

    def watch(self, path: str, **query: Any) -> Iterator[tuple[str, Object]]:
        """The objects under `path` as (type, object), for ever: first SYNC with a list, then ADDED, MODIFIED, DELETED.

        A SYNC comes again whenever the server has forgotten where the watch was. Raises OSError when it is gone.
        """
        while True:
            listed = self.get(path, **query)
            yield "SYNC", listed
            version = listed["metadata"]["resourceVersion"]
            with contextlib.suppress(_ExpiredError):
                for kind, value in self._follow(path, version, query):
                    version = value["metadata"]["resourceVersion"]
                    if kind != "BOOKMARK":
                        yield kind, value

    def _follow(self, path: str, version: str, query: Object) -> Iterator[tuple[str, Object]]:
        while True:
            options = {"watch": "true", "allowWatchBookmarks": "true", "timeoutSeconds": WATCH_SECONDS}
            target = f"{path}?{urllib.parse.urlencode({**query, **options, 'resourceVersion': version})}"
            with contextlib.closing(self._connect(WATCH_SECONDS + TIMEOUT_SECONDS)) as connection:
                connection.request("GET", target, headers={"Accept": "application/json"})
                response = connection.getresponse()
                if response.status == 410:
                    raise _ExpiredError
                if response.status >= 400:
                    raise _error(response.status, response.read())
                for line in response:
                    event = json.loads(line)
                    if event["type"] == "ERROR":
                        raise _ExpiredError
                    version = event["object"]["metadata"]["resourceVersion"]
                    yield event["type"], event["object"]


class NotFoundError(ApiError):
    """There is no such object."""


class _ExpiredError(Exception):
    """The watch must begin again with a list."""


def _error(status: int, content: bytes) -> ApiError:
    try:
        message = json.loads(content).get("message", "")
    except ValueError:
        message = content.decode(errors="replace")
    return NotFoundError(status, message) if status == 404 else ApiError(status, message)
