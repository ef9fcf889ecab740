# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What those that keep a secret need of the place where it is kept."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from ansible_collections.langsmith.aws.plugins.module_utils.domain.secret import Actual


class SecretStore(Protocol):
    """Each method is one call and raises ProjectError, the writing ones SecretConflictError too."""

    def describe(self, name: str) -> Actual | None:
        """The secret without its values; None when there is none."""

    def read(self, name: str) -> Actual | None:
        """The secret with its values, which stay None while it is scheduled for deletion."""

    def read_value(self, name: str, key: str | None = None) -> str:
        """One value, or the whole content when ``key`` is None; never empty."""

    def create(self, name: str, values: Mapping[str, str], **attributes: Any) -> None:
        """Create the secret. ``attributes``: description, kms_key_id, tags."""

    def put(self, actual: Actual, values: Mapping[str, str], stale_token: bool = False) -> None:
        """Store ``values`` as the version that follows the one read."""

    def update(self, actual: Actual, attributes: Mapping[str, str]) -> None:
        """Set description and kms_key_id, whichever are given."""

    def restore(self, actual: Actual) -> None:
        """Take back the deletion that the secret is scheduled for."""

    def tag(self, actual: Actual, tags: Mapping[str, str]) -> None:
        """Set the given tags."""

    def untag(self, actual: Actual, names: tuple[str, ...]) -> None:
        """Remove the tags of these names."""

    def delete(self, actual: Actual, window_days: int | None) -> None:
        """Schedule the deletion in ``window_days`` days, or delete at once when None."""
