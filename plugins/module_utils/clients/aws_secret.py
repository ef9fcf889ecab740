# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A password out of Secrets Manager, for a call that needs it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.langsmith.aws.plugins.module_utils.clients.secretsmanager import read_value
from ansible_collections.langsmith.aws.plugins.module_utils.domain.errors import ProjectError
from ansible_collections.langsmith.aws.plugins.module_utils.domain.secret import SecretError


def secret_value(client: Any, where: Mapping[str, str]) -> str:
    """The value at ``name`` and ``key``. Raises :class:`ProjectError`, which never holds it."""
    try:
        return read_value(client, where["name"], where["key"])
    except SecretError as error:
        raise ProjectError(str(error)) from error
