# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which ClickHouse versions LangSmith runs on."""

from __future__ import annotations

from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.facts import Environment, version_of
from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.thresholds import (
    CHART_VERSION,
    DEPENDENCIES,
    OLDEST_CHART_VERSION,
    OLDEST_VERSION,
)
from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.verdict import finding
from ansible_collections.langsmith.aws.plugins.module_utils.domain.finding import Finding, Status


def version_expectation(environment: Environment) -> str:
    """The versions wanted, as a sentence."""
    oldest = _dotted(_oldest(environment))
    return f"{_dotted(CHART_VERSION)} or newer, as LangSmith's chart brings; never older than {oldest}"


def judge_version(rule: str, subject: str, text: str, environment: Environment) -> Finding:
    """A version against the one that LangSmith's chart brings.

    Below it is warned. In production it fails below what any chart from 0.11 on brings, in dev below what LangSmith
    supports at all.
    """
    numbers = version_of(text)
    status: Status = "pass"
    if numbers is None:
        status = "unknown"
    elif numbers < _oldest(environment):
        status = "fail"
    elif numbers < CHART_VERSION:
        status = "warn"
    remedy = f"run ClickHouse {_dotted(CHART_VERSION)} or newer; a downgrade is never supported"
    return finding(rule, status, subject, (text, version_expectation(environment)), remedy, DEPENDENCIES)


def _oldest(environment: Environment) -> tuple[int, ...]:
    return OLDEST_CHART_VERSION if environment == "production" else OLDEST_VERSION


def _dotted(numbers: tuple[int, ...]) -> str:
    return ".".join(map(str, numbers))
