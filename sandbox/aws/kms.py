# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stand-in for KMS where moto takes key ids only."""

from __future__ import annotations

from moto.kms.models import KmsBackend

_schedule_key_deletion = KmsBackend.schedule_key_deletion


def schedule_key_deletion(self: KmsBackend, key_id: str, pending_window_in_days: int) -> float:
    """ScheduleKeyDeletion by id or ARN."""
    return float(_schedule_key_deletion(self, self.get_key_id(key_id), pending_window_in_days))


def install() -> None:
    """Put this into moto."""
    KmsBackend.schedule_key_deletion = schedule_key_deletion
