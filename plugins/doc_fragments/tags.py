# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options by which modules tag what they make."""

from __future__ import annotations


class ModuleDocFragment:
    """The fragment ``langsmith.aws.tags``."""

    DOCUMENTATION = r"""
options:
  tags:
    description: Tags to have. Left as they are when not given.
    type: dict
  purge_tags:
    description:
      - Whether tags that O(tags) does not name are taken away. Off, since other programs tag too.
      - Tags of AWS (V(aws:)) always stay, and without O(tags) nothing is taken away.
    type: bool
    default: false
"""
