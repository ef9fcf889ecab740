# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stand-in for WAFv2 calls that moto lacks."""

from __future__ import annotations

import json
from typing import Any

from moto.wafv2.responses import WAFV2Response


def list_resources_for_web_acl(self: WAFV2Response) -> tuple[int, dict[str, Any], str]:
    """ListResourcesForWebACL."""
    acl = self.wafv2_backend.wacls.get(json.loads(self.body)["WebACLArn"])
    return 200, {}, json.dumps({"ResourceArns": list(acl.associated_resources) if acl else []})


def install() -> None:
    """Put this into moto."""
    WAFV2Response.list_resources_for_web_acl = list_resources_for_web_acl
