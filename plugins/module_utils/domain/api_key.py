# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether an API key serves, and what an answer means on the way to a new one. No message here holds a secret."""

from __future__ import annotations

from typing import Any

from ansible_collections.langsmith.aws.plugins.module_utils.domain.answers import Observed
from ansible_collections.langsmith.aws.plugins.module_utils.domain.errors import ProjectError


def key_works(observed: Observed) -> bool:
    """Whether the key was accepted; ``False`` only where LangSmith itself refused it.

    Any other answer says nothing about the key, and a key must not be replaced because a load balancer is ill.
    Raises ``ProjectError`` then.
    """
    if observed.succeeded and observed.shape == "array":
        return True
    if observed.status in (401, 403) and not observed.is_html:
        return False
    raise ProjectError(
        f"LangSmith does not tell whether the stored key works: {observed.describe()}. "
        "Check the URL with langsmith.aws.endpoint_check; the key was left as it is."
    )


def access_token(observed: Observed, document: Any, email: str) -> str:
    """The token of a login. Raises ``ProjectError`` where there is none."""
    token = document.get("access_token") if isinstance(document, dict) else None
    if observed.succeeded and isinstance(token, str) and token:
        return token
    if observed.status in (401, 403) and not observed.is_html:
        raise ProjectError(
            f"LangSmith refused the login of {email} (status {observed.status}): check email and password_secret; the "
            "first administrator's password is that of the installation's making, until it is changed in the web page"
        )
    if observed.status in (400, 404):
        raise ProjectError(
            f"this LangSmith has no login by password (status {observed.status}): enable basic authentication in the "
            "chart values (config.basicAuth), or make a key in the web page and store it in key_secret"
        )
    raise ProjectError(_told("log in", observed))


def choose_workspace(observed: Observed, document: Any, name: str | None) -> str:
    """The id of the workspace of that display name, or of the only one. Raises ``ProjectError`` otherwise."""
    if not observed.succeeded or not isinstance(document, list):
        raise ProjectError(_told("list the workspaces", observed))
    known = {str(entry["id"]): str(entry.get("display_name", "")) for entry in document if _has_id(entry)}
    fitting = [identity for identity, display in known.items() if name in (None, display)]
    if len(fitting) == 1:
        return fitting[0]
    names = ", ".join(sorted(known.values())) or "none"
    if name is not None:
        raise ProjectError(f"workspace {name!r} is not among those that the user sees (or not only once): {names}")
    raise ProjectError(f"the user sees {len(known)} workspaces ({names}); name one by workspace")


def created_key(observed: Observed, document: Any) -> str:
    """The new key. Raises ``ProjectError`` where there is none."""
    key = document.get("key") if isinstance(document, dict) else None
    if observed.succeeded and isinstance(key, str) and key:
        return key
    raise ProjectError(_told("make an API key", observed))


def _has_id(entry: Any) -> bool:
    return isinstance(entry, dict) and bool(entry.get("id"))


def _told(action: str, observed: Observed) -> str:
    return f"LangSmith did not {action}: {observed.describe()}. Check the URL with langsmith.aws.endpoint_check."
