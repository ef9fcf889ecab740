# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What all modules that bring a resource to a state can do."""

from __future__ import annotations


class ModuleDocFragment:
    """The fragment ``langsmith.aws.state_attributes``."""

    DOCUMENTATION = r"""
options: {}
attributes:
  check_mode:
    description: Can run in check mode and tell the change without making it.
    support: full
    details:
      - What AWS would turn down is turned down in check mode too.
  diff_mode:
    description: Tells what the resource is before and after.
    support: full
  idempotent:
    description: A second run with the same options changes nothing.
    support: full
    details:
      - A run that was killed is finished by running again; what is being made already counts as
        made, and is waited for.
"""
