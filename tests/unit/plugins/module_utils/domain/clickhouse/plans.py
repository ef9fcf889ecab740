# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plans that the tests of the sizing rules start from."""

from __future__ import annotations

from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.facts import Keeper, Load, Plan, Volume

GP3 = Volume("gp3", 500, 7000, 1000)

#: The reference architecture with everything said that a rule asks for.
HEALTHY = Plan(
    "replicated",
    replicas=3,
    shards=1,
    cpu=8,
    memory_gib=32,
    cpu_limit=14,
    memory_limit_gib=48,
    instance_types=("m6in.4xlarge",),
    zones=3,
    anti_affinity=True,
    pod_disruption_budget=True,
    volume=GP3,
    persistence=True,
    allow_volume_expansion=True,
    reclaim_policy="Retain",
    version="25.12.3.1",
    running_version="25.8.2",
    blob_storage=True,
    max_concurrent_queries=500,
    ttl_days=14,
    keeper=Keeper(3, 3, True),
    load=Load(10, 5, 14),
)
DEV = Plan("single", replicas=1, cpu=4, memory_gib=16, volume=Volume("gp3", 100), persistence=True, version="25.12")
