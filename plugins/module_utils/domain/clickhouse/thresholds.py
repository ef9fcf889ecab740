# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The figures that the sizing rules hold a ClickHouse against, each with its source."""

from __future__ import annotations

from dataclasses import dataclass

P0 = "LangSmith self-hosted on AWS, P0 reference architecture: ClickHouse sizing"
CHECKLIST = "LangSmith self-hosted on AWS, production checklist: ClickHouse"
DEPENDENCIES = "LangSmith self-hosted documentation: dependency versions; langsmith Helm chart 0.16"
SCALE = "LangSmith self-hosted documentation: scaling"
KUBERNETES = "LangSmith self-hosted on AWS, troubleshooting guide: ClickHouse, scheduling"


@dataclass(frozen=True)
class Threshold:
    """Below ``production`` it is warned and below ``tolerated`` refused; a dev installation is warned below ``dev``."""

    production: float
    tolerated: float
    dev: float
    unit: str
    advice: str = ""


#: Baseline of each replica in production 8 vCPU and 32 GB, for dev 4 and 16.
CPU = Threshold(8, 8, 4, "vCPU")
#: The source says GB: 32 GB are 29.8 GiB, so a container between the two is told of, not refused.
MEMORY = Threshold(32, 32e9 / 1024**3, 16e9 / 1024**3, "GiB")
REPLICAS = Threshold(3, 3, 1, "replicas")
REPLICAS_MAX = 5

#: The source says about 7000 IOPS and about 1000 MiB/s, hence the tolerance of a fifth.
IOPS = Threshold(7000, 5600, 0, "IOPS")
THROUGHPUT = Threshold(1000, 800, 0, "MiB/s", " (a gp3 volume has 125 MiB/s unless told otherwise)")

#: Oldest server that LangSmith supports at all, the oldest that a chart from 0.11 on brings, and the one that the
#: charts of the 0.13 to 0.17 lines bring.
OLDEST_VERSION = (23, 9)
OLDEST_CHART_VERSION = (25, 4)
CHART_VERSION = (25, 12)

#: Share of a disk in use: alert at 70 percent; beyond 85 a merge of the largest parts may not fit any more.
DISK_WARN, DISK_FAIL = 0.70, 0.85

#: A file system is a little smaller than its volume.
DISK_SIZE_TOLERANCE = 0.10

#: ClickHouse takes 0.9 of the machine's or container's memory for itself (max_server_memory_usage_to_ram_ratio).
MEMORY_RATIO = 0.9

#: GiB that one trace a second, kept for one day, takes on each replica: 60 for 100 traces a second, 600 for 1000.
GIB_PER_TRACE_S_DAY = 0.6
#: What a volume must have beyond that, for merges and for the alert at 70 percent.
DISK_HEADROOM = 1.3
#: Days for which LangSmith's chart keeps short-lived traces (config.ttl.ttl_period_seconds.shortlived).
CHART_TTL_DAYS = 14
#: Days that a volume lasts where traces never expire; the rule ``disk_forecast`` warns of fewer.
HORIZON_DAYS = 30

#: Keeper decides by majority: two of three survive the loss of one.
KEEPER_NODES = 3
#: Zones that replicas and Keeper are spread over, so that the loss of one leaves a majority.
ZONES = 3
#: Below this many queries at a time, inserts of LangSmith's queue are refused while readers wait.
CONCURRENCY_MIN = 100

#: Percent of an instance's burst balance below which it may soon be held to its baseline. Own figure.
BURST_BALANCE_WARN = 20
#: A backup older than so many times the recovery point objective fails; older than it once is warned. Own figure.
RPO_FAIL = 2
