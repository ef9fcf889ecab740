# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options of the preflight check to questions, answers to a result."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ansible_collections.langsmith.aws.plugins.module_utils.domain.errors import ProjectError
from ansible_collections.langsmith.aws.plugins.module_utils.domain.finding import SEVERITY
from ansible_collections.langsmith.aws.plugins.module_utils.domain.preflight import rules
from ansible_collections.langsmith.aws.plugins.module_utils.domain.preflight.facts import (
    Context,
    Facts,
    Identity,
    Input,
    Tool,
)

#: Answers what is asked of an account, in a region if one is given, and of the machine; with quotas or without.
Gather = Callable[[Sequence[Input], Sequence[Tool], "str | None", bool, float], Facts]


def check(params: Mapping[str, Any], region: str | None, gather: Gather) -> dict[str, Any]:
    """The module's result; every problem is a finding in it. Raises ProjectError for options that cannot be used."""
    inputs = inputs_from(params["inputs"])
    tools = [
        Tool(one["name"], one["minimum_version"], one["required"], below_version=one["below_version"])
        for one in params["tools"]
    ]
    facts = gather(inputs, tools, region or None, params["quotas"], params["timeout"])
    findings = rules.judge(Context(params["environment"] or "", inputs, facts), params["environment_variable"])
    counts = Counter(finding.status for finding in findings)
    return {
        "changed": False,
        "ready": counts["fail"] == 0,
        "findings": [finding.to_dict() for finding in findings],
        "counts": {status: counts[status] for status in SEVERITY},
        "account_id": facts.identity.account_id if isinstance(facts.identity, Identity) else None,
        "region": facts.region,
    }


def inputs_from(options: Sequence[Mapping[str, Any]]) -> list[Input]:
    """The option ``inputs``. Raises ProjectError naming a rule that is unknown."""
    inputs = [Input(**{**one, "remedy": one["remedy"] or ""}) for one in options]
    for given in inputs:
        if given.rule not in rules.RULES:
            raise ProjectError(f"{given.variable}: rule {given.rule!r} is none of {', '.join(rules.RULES)}")
    return inputs
