# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stand-in for `system.replicas` of a server that copies its rows to others without Keeper.

What the table says is read off the files that wait on the disks of the other servers for this one.
"""

from __future__ import annotations

from pathlib import Path

from sandbox.stores.clickhouse_config import EVERYONE, OTHERS

# The database that migrations put the tables into through which rows go to the others.
COPIES = "sandbox_copies"
WAITING = "sandbox_waiting"
# A server that hangs makes the question fail after this long, instead of after five minutes.
ANSWER_SECONDS = 5

_WAITING = """CREATE VIEW system.{waiting}
(target String, database String, table String, files UInt64, oldest DateTime)
DEFINER = default SQL SECURITY DEFINER AS
SELECT cluster.host_name AS target, tables.source AS database, tables.name AS table,
  count() AS files, toDateTime(ifNull(min(found.time), 0)) AS oldest
FROM (SELECT toUUID(extract(_path, 'store/[^/]+/([^/]+)/')) AS uuid, _time AS time,
    toUInt32OrZero(extract(_path, 'shard1_replica([0-9]+)/')) AS number
  FROM file('{data}/store/*/*/shard1_replica*/*.bin', 'One')) AS found
INNER JOIN (SELECT uuid, name, extract(engine_full, '\\'{others}\\', \\'([^\\']+)\\'') AS source
  FROM system.tables WHERE database = '{copies}') AS tables ON tables.uuid = found.uuid
INNER JOIN (SELECT replica_num, host_name FROM system.clusters WHERE cluster = '{others}') AS cluster
  ON cluster.replica_num = found.number
GROUP BY target, database, table;
"""
_REPLICAS = """DETACH TABLE system.replicas;
CREATE VIEW system.replicas
(database String, table String, engine String, is_leader UInt8, can_become_leader UInt8, is_readonly UInt8,
  is_session_expired UInt8, future_parts UInt32, parts_to_check UInt32, zookeeper_name String, zookeeper_path String,
  replica_name String, replica_path String, columns_version Int32, queue_size UInt32, inserts_in_queue UInt32,
  merges_in_queue UInt32, part_mutations_in_queue UInt32, queue_oldest_time DateTime, inserts_oldest_time DateTime,
  merges_oldest_time DateTime, part_mutations_oldest_time DateTime, oldest_part_to_get String,
  oldest_part_to_merge_to String, oldest_part_to_mutate_to String, log_max_index UInt64, log_pointer UInt64,
  last_queue_update DateTime, absolute_delay UInt64, total_replicas UInt32, active_replicas UInt32,
  lost_part_count UInt64, last_queue_update_exception String, zookeeper_exception String,
  replica_is_active Map(String, UInt8))
DEFINER = default SQL SECURITY DEFINER AS
SELECT tables.database AS database, tables.name AS table, concat('Replicated', tables.engine) AS engine,
  toUInt8(1) AS is_leader, toUInt8(1) AS can_become_leader, toUInt8(0) AS is_readonly, toUInt8(0) AS is_session_expired,
  toUInt32(0) AS future_parts, toUInt32(0) AS parts_to_check, '' AS zookeeper_name,
  concat('/clickhouse/tables/', tables.database, '/', tables.name) AS zookeeper_path, '{replica}' AS replica_name,
  concat('/clickhouse/tables/', tables.database, '/', tables.name, '/replicas/{replica}') AS replica_path,
  toInt32(0) AS columns_version, toUInt32(waiting.files) AS queue_size, toUInt32(waiting.files) AS inserts_in_queue,
  toUInt32(0) AS merges_in_queue, toUInt32(0) AS part_mutations_in_queue,
  toDateTime(waiting.oldest) AS queue_oldest_time,
  toDateTime(waiting.oldest) AS inserts_oldest_time,
  toDateTime(0) AS merges_oldest_time, toDateTime(0) AS part_mutations_oldest_time,
  '' AS oldest_part_to_get, '' AS oldest_part_to_merge_to, '' AS oldest_part_to_mutate_to,
  toUInt64(waiting.files) AS log_max_index, toUInt64(0) AS log_pointer, now() AS last_queue_update,
  toUInt64(if(waiting.files = 0, 0, greatest(0, dateDiff('second', toDateTime(waiting.oldest), now()))))
    AS absolute_delay,
  toUInt32(ifNull((SELECT count() FROM system.clusters WHERE cluster = '{everyone}'), 0)) AS total_replicas,
  toUInt32(ifNull((SELECT count() FROM clusterAllReplicas('{everyone}', system.one)), 0)) AS active_replicas,
  toUInt64(0) AS lost_part_count, '' AS last_queue_update_exception, '' AS zookeeper_exception,
  CAST(map(), 'Map(String, UInt8)') AS replica_is_active
FROM (SELECT database, name, engine FROM system.tables WHERE endsWith(engine, 'MergeTree') AND (database, name) IN
    (SELECT extract(engine_full, '\\'{others}\\', \\'([^\\']+)\\''), name FROM system.tables WHERE database = '{copies}'
      AND engine = 'Distributed')) AS tables
LEFT JOIN (SELECT database, table, sum(files) AS files, min(oldest) AS oldest
    FROM clusterAllReplicas('{everyone}', system.{waiting}) WHERE target = '{replica}'
    GROUP BY database, table) AS waiting
  ON waiting.database = tables.database AND waiting.table = tables.name
SETTINGS skip_unavailable_shards = 1, receive_timeout = {seconds}, send_timeout = {seconds};
"""


def statements(data: Path, replica: str) -> str:
    """What a server of a cluster runs before it listens."""
    words = {
        "waiting": WAITING,
        "others": OTHERS,
        "everyone": EVERYONE,
        "copies": COPIES,
        "data": data,
        "replica": replica,
    }
    return (_WAITING + _REPLICAS).format(**words, seconds=ANSWER_SECONDS)
