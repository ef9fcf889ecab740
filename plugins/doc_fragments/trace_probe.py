# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the trace probe's key and thresholds, in module_utils/shell/trace_probe.py."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  api_key:
    description: Key to call with. Exactly one of O(api_key) and O(api_key_secret) is needed.
    type: str
  api_key_secret:
    description: Where in Secrets Manager the key is. AWS options are needed only for this.
    type: dict
    suboptions:
      name:
        description: Name or ARN of the secret.
        type: str
        required: true
      key:
        description: Key of the secret's JSON object.
        type: str
        default: api_key
  thresholds:
    description:
      - Seconds that each stage may take, above 0. Longer is a warning, and for V(queue_delay) a failure.
      - Where a default comes from is in RV(stages).
    type: dict
    suboptions:
      connect:
        description: Name and connection, 3 by default, as LangSmith's SDK waits for ingestion.
        type: float
      tls:
        description: TLS handshake, 3 by default.
        type: float
      info:
        description: C(/info), 2 by default.
        type: float
      auth:
        description: A read with the key, 2 by default.
        type: float
      project:
        description: Making a project, 2 by default.
        type: float
      accepted:
        description: Sending the posts, 10 by default, as LangSmith's SDK waits for it.
        type: float
      visible:
        description: From accepted to readable, 60 by default, as the P0 production checklist has it.
        type: float
      complete:
        description: From accepted to the last run complete, 60 by default, as the P0 production checklist has it.
        type: float
      queue_delay:
        description:
          - From received to inserted by the servers' clocks, 60 by default, as the P0 checklist has it.
          - Where these clocks tell what cannot be, it is the time until the trace was first seen.
        type: float
      read:
        description: One query of runs, 2 by default, as the P0 production checklist has it.
        type: float
      blob:
        description: Fetching the large payload, 10 by default.
        type: float
      feedback:
        description: From a feedback to its listing, 60 by default.
        type: float
"""
