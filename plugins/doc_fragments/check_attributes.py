# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation that the modules which judge and report share."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
attributes:
  check_mode:
    description: Can run in check mode.
    support: full
    details:
      - This action does not modify state.
  diff_mode:
    description: Tells what changes.
    support: N/A
    details:
      - This action does not modify state.
  idempotent:
    description: A second run with the same options changes nothing.
    support: full
    details:
      - This action does not modify state.
"""
