# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One observed answer of an HTTP endpoint, or the lack of one, as evidence that rules can read later."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Observed:
    """What one request brought.

    ``stage`` is the question that it answers. ``status`` is ``None`` where no answer came; then ``phase`` (dns, tcp,
    tls or http, or address where what was to be asked is none) and ``reason`` say why. ``head`` is the start of the
    body, ``shape`` the JSON type of the whole body (object, array, other) or empty where it is no JSON. ``seconds`` is
    how long the request took, ``connecting`` the part of it for name, connection and handshake, ``handshake`` that for
    TLS alone, and ``at`` when it ended, all in seconds, ``at`` since the first one.
    """

    stage: str
    request: str
    status: int | None = None
    content_type: str = ""
    server: str = ""
    location: str = ""
    head: str = ""
    shape: str = ""
    phase: str = ""
    reason: str = ""
    timed_out: bool = False
    seconds: float = 0.0
    connecting: float = 0.0
    handshake: float = 0.0
    at: float = 0.0

    @property
    def succeeded(self) -> bool:
        """Whether the status is one of 2xx."""
        return self.status is not None and 200 <= self.status < 300

    @property
    def is_redirect(self) -> bool:
        """Whether the status is one of 3xx."""
        return self.status is not None and 300 <= self.status < 400

    @property
    def is_html(self) -> bool:
        """Whether a page for people came, which a load balancer, proxy or firewall writes and no API does."""
        return self.content_type == "text/html" or self.head[:15].lower().startswith(("<!doctype html", "<html"))

    @property
    def is_server_error(self) -> bool:
        """Whether the status is one of 5xx."""
        return self.status is not None and self.status >= 500

    def describe(self) -> str:
        """The answer in one sentence, with the start of its body."""
        if self.status is None:
            return f"{self.request}: no answer after {self.seconds:.2f} s ({self.phase}: {self.reason})"
        sender = f" from {self.server}" if self.server else ""
        kind = f" {self.content_type}" if self.content_type else ""
        target = f" to {self.location}" if self.location else ""
        body = f": {self.head[:120]}" if self.head and not self.succeeded else ""
        return f"{self.request}: {self.status}{kind}{sender}{target} after {self.seconds:.2f} s{body}"

    def to_dict(self) -> dict[str, Any]:
        """Every field that says something, for a result or a bundle."""
        kept = {name: value for name, value in asdict(self).items() if value not in ("", None, False)}
        return {name: round(value, 4) if isinstance(value, float) else value for name, value in kept.items()}
