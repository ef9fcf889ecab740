# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options with which modules reach an HTTP endpoint; documented by the fragment ``langsmith.aws.connection``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

CONNECTION_ARG_SPEC: dict[str, dict[str, Any]] = {
    "connect_to": {"type": "str"},
    "ca_file": {"type": "path"},
    "timeout": {"type": "float", "default": 30},
    "connect_timeout": {"type": "float", "default": 10},
}


def connection_options(params: Mapping[str, Any]) -> dict[str, Any]:
    """The shared options alone, as keywords of ``HttpClient``."""
    return {name: params[name] for name in CONNECTION_ARG_SPEC}
