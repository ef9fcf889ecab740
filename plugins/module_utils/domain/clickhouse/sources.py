# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the thresholds of the rules on running servers come from, besides those of ``thresholds``."""

from __future__ import annotations

OPERATOR_ALERTS = "alert rules of the Altinity clickhouse-operator"
KNOWLEDGE_BASE = "Altinity knowledge base"
LIMITS = "ClickHouse's own limits, as the server has them set"
MIXIN = "Grafana's ClickHouse mixin"
OWN = "a threshold of this collection"
OPERATIONS = "LangSmith self-hosted on AWS, operational guidance: write path"
INGESTION = "LangSmith self-hosted documentation: external ClickHouse"
