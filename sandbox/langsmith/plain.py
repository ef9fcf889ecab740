# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stand-in for the services that keep nothing here: playground (1988), ace-backend (1987), agents (8000)."""

from __future__ import annotations

from sandbox.langsmith import environment, web
from sandbox.langsmith.web import HttpError, Request, Response

PLAYGROUND_PORT = 1988
ACE_PORT = 1987
AGENT_PORT = 8000


def _not_here(_: Request) -> Response:
    raise HttpError(501, {"detail": "not part of this stand-in"})


def _serve(port: int) -> int:
    router = web.Router()
    for path in ("/ok", "/health"):
        router.add("GET", path, lambda _: Response({"ok": True}))
    router.add("POST", "/.*", _not_here)
    return web.run([web.Server(environment.address(default=port), router)])


def playground() -> int:
    """Model calls from the UI."""
    return _serve(PLAYGROUND_PORT)


def ace_backend() -> int:
    """Code evaluators."""
    return _serve(ACE_PORT)


def agent() -> int:
    """An Insights or Polly server."""
    return _serve(AGENT_PORT)
