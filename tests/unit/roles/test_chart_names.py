# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The roles name the chart's objects as the plugins do."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.langsmith.aws.plugins.module_utils.domain.chart_names import fullname

from tests.unit.roles.test_clickhouse_variables import value_of

#: With the last one the longest name of a Service has the 63 characters that it may have.
RELEASES = ["langsmith", "langsmith-prod", "acme", "a" * 36]


@pytest.mark.parametrize("release", RELEASES)
def test_the_accounts_that_may_use_the_bucket_and_the_chart_s_clickhouse_are_those_of_the_chart(release: str) -> None:
    given: dict[str, Any] = {"langsmith_release": release, "datastores_clickhouse_topology": "single"}
    name = fullname(release)
    accounts = value_of("datastores", "__datastores_blob_role.service_accounts", given)
    assert accounts == [f"langsmith:{name}-{one}" for one in ("backend", "platform-backend", "queue", "ingest-queue")]
    host = value_of("datastores", "__datastores_clickhouse_host", given)
    assert host == f"{name}-clickhouse.langsmith.svc.cluster.local"
    assert value_of("datastores", "__datastores_sizing_urls", given) == [f"http://{name}-clickhouse:8123"]
    assert value_of("verify", "verify_clickhouse_service", given) == f"{name}-clickhouse"
