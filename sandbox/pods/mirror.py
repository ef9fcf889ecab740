# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Follows a kind of object on the API server, through every restart of the server and every lost watch."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Callable
from typing import Any

from sandbox.controlplane.client import ApiError, Client, Object

RETRY_SECONDS = 0.5
# What a request can fail with while the API server is away or comes back.
UNREACHABLE = (OSError, http.client.HTTPException, ApiError, ValueError)


class Mirror:
    """All objects under `path` by uid. `changed` gets each object that is new or different, `gone` each that went."""

    def __init__(
        self,
        client: Client,
        path: str,
        changed: Callable[[Object], None],
        gone: Callable[[Object], None],
        **query: Any,
    ) -> None:
        self.objects: dict[str, Object] = {}
        self.synced = threading.Event()
        self._client, self._path, self._query = client, path, query
        self._changed, self._gone = changed, gone

    def start(self) -> None:
        threading.Thread(target=self._run, name=f"mirror {self._path}", daemon=True).start()

    def _run(self) -> None:
        pause = threading.Event()
        while True:
            try:
                for kind, value in self._client.watch(self._path, **self._query):
                    self._take(kind, value)
            except UNREACHABLE as error:
                print(f"lost the watch of {self._path}: {error}", flush=True)
                pause.wait(RETRY_SECONDS)

    def _take(self, kind: str, value: Object) -> None:
        if kind == "SYNC":
            self._sync(value["items"])
        elif kind == "DELETED":
            self._remove(value)
        else:
            self._set(value)

    def _sync(self, items: list[Object]) -> None:
        here = {item["metadata"]["uid"] for item in items}
        for uid in set(self.objects) - here:
            self._remove(self.objects[uid])
        for item in items:
            self._set(item)
        self.synced.set()

    def _set(self, value: Object) -> None:
        self.objects[value["metadata"]["uid"]] = value
        self._changed(value)

    def _remove(self, value: Object) -> None:
        self.objects.pop(value["metadata"]["uid"], None)
        self._gone(value)
