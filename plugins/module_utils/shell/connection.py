# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options with which modules reach an HTTP endpoint; documented by the fragment ``langsmith.aws.connection``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.langsmith.aws.plugins.module_utils.clients.http_client import HttpClient

CONNECTION_ARG_SPEC: dict[str, dict[str, Any]] = {
    "connect_to": {"type": "str"},
    "ca_file": {"type": "path"},
    "timeout": {"type": "float", "default": 30},
    "connect_timeout": {"type": "float", "default": 10},
}


def http_client(url: str, params: Mapping[str, Any]) -> HttpClient:
    """A client for the URL by the shared options. Raises ``ValueError`` naming what cannot be used."""
    return HttpClient(url, **{name: params[name] for name in CONNECTION_ARG_SPEC})
