# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The user who checks ClickHouse may do what the rules ask, and nothing else."""

from __future__ import annotations

from pathlib import Path

import yaml
from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.live import QUERIES
from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.rules.access import privileges

VARS = Path(__file__).parents[3] / "roles/datastores/vars/main.yml"


def test_the_grants_of_the_checks_user_are_those_that_the_queries_need() -> None:
    role = yaml.safe_load(VARS.read_text(encoding="utf-8"))
    granted = {role["__datastores_checks_sight"].removeprefix("GRANT ")}
    granted |= {f"SELECT ON system.{name}" for name in role["__datastores_checks_system"]}
    granted.add("SELECT ON traces.schema_migrations")
    for columns, table in (("running", "system.processes"), ("logged", "system.query_log"), ("columns", "traces.runs")):
        granted.add(f"SELECT({', '.join(role[f'__datastores_checks_{columns}'])}) ON {table}")
    assert granted == set(privileges(QUERIES, "traces"))
