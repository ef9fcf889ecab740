# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rules on running servers: real faults of real ClickHouse servers, and the same rules where all is well.

Three servers: one that is set up well, one that is not (a disk of 64 MiB, no settings, few queries allowed, Keeper
that never comes), and one whose system tables a test may replace, for what no single server can do.
"""

from __future__ import annotations

import http.client
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from functools import cache
from pathlib import Path

import pytest
from ansible_collections.langsmith.aws.plugins.module_utils.clients.clickhouse import Target, observe
from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.facts import (
    Environment,
    Live,
    Login,
    Plan,
    Volume,
)
from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.live import QUERIES, judge_live
from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.pressure import pressure
from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.rules.access import privileges
from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.rules.profile import PROFILE
from ansible_collections.langsmith.aws.plugins.module_utils.domain.finding import Finding

from .clickhouse_servers import PASSWORD, USER, Server, Setup, running

Faults = dict[str, Finding]

MIB = 1024**2

GOOD_PROFILE = "".join(f"<{name}>{value}</{name}>" for name, value in PROFILE.items())
GOOD_CONFIG = "<max_concurrent_queries>1000</max_concurrent_queries><background_pool_size>4</background_pool_size>"
#: Tables with a Replicated engine have a section of their own.
REPLICATED_CONFIG = "<replicated_merge_tree><parts_to_delay_insert>3</parts_to_delay_insert></replicated_merge_tree>"
#: No time to live for logs, no pool of merges to speak of, a Keeper of the engine's tests that lets nothing start.
#: What a test has emptied is gone from the small disk before the next one needs it.
BAD_CONFIG = """
  <max_concurrent_queries>40</max_concurrent_queries>
  <database_atomic_delay_before_drop_table_sec>3600</database_atomic_delay_before_drop_table_sec>
  <background_pool_size>1</background_pool_size>
  <merge_tree><old_parts_lifetime>1</old_parts_lifetime></merge_tree>
  <background_merges_mutations_concurrency_ratio>1</background_merges_mutations_concurrency_ratio>
  <zookeeper><implementation>testkeeper</implementation></zookeeper>
  <query_log><database>system</database><table>query_log</table>
    <flush_interval_milliseconds>500</flush_interval_milliseconds></query_log>
  <part_log><database>system</database><table>part_log</table>
    <flush_interval_milliseconds>500</flush_interval_milliseconds></part_log>"""

RUNS = """CREATE TABLE runs (id UInt64, session_id UInt64, inputs String, outputs String,
  start_time DateTime64(6, 'UTC'), end_time Nullable(DateTime64(6, 'UTC')), {arrival} DateTime64(6, 'UTC'),
  inserted_at DateTime64(6, 'UTC'))
  ENGINE = MergeTree ORDER BY id {more} SETTINGS min_bytes_for_wide_part = 0"""
MIGRATIONS = (
    "CREATE TABLE schema_migrations (version Int64, dirty UInt8, sequence UInt64) ENGINE = MergeTree ORDER BY sequence"
)

#: What a server by itself says of each rule where all is well. It has no replicas, and this engine does not measure
#: the waiting for I/O; a forecast takes a day.
WELL = {
    "concurrency": "pass",
    "concurrency_limit": "pass",
    "query_latency": "pass",
    "long_queries": "pass",
    "parts": "pass",
    "inserts": "pass",
    "merges": "pass",
    "mutations": "pass",
    "batch_size": "pass",
    "lost_parts": "pass",
    "disk_fill": "pass",
    "disk_forecast": "unknown",
    "system_logs": "pass",
    "ttl": "pass",
    "dropped_tables": "pass",
    "io_pressure": "unknown",
    "profile": "pass",
    "schema": "pass",
    "blob_storage": "pass",
    "ingest_delay": "pass",
}

#: What the volume tells where the engine does not.
CALM_DISK = [Finding("clickhouse.io_pressure", "pass", "clickhouse", "vol-0a1", "never held back", "never held back")]


@cache
def may_mount() -> bool:
    """Whether an ordinary user of this machine may have a file system of their own."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            argv = ["unshare", "-rm", "mount", "-t", "tmpfs", "none", folder]
            return subprocess.run(argv, capture_output=True, check=False).returncode == 0
        except FileNotFoundError:
            return False


def disk_of(mib: int) -> tuple[str, ...]:
    """What gives a server a data path of this size: a tmpfs that ends with it."""
    mount = f'mount -t tmpfs -o size={mib}m none "$0" && exec "$@"'
    return ("unshare", "-rm", "sh", "-c", mount, "{folder}/data") if may_mount() else ()


@contextmanager
def roomy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder for servers whose disk must not be nearly full, whatever else is on this machine."""
    with ExitStack() as stack:
        if may_mount():
            folder = tmp_path_factory.mktemp("servers")
        else:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir="/dev/shm")))
        yield folder


def look(
    server: Server,
    environment: Environment = "production",
    plan: Plan | None = None,
    cluster: str | None = None,
    seconds: float = 0.05,
    **login: str,
) -> Faults:
    """The findings on a server by rule; of a rule with several the worst."""
    live = seen(server, cluster=cluster, seconds=seconds, **login)
    found: Faults = {}
    for one in judge_live(live, environment, plan):
        known = found.get(one.id.removeprefix("clickhouse."))
        if known is None or known.status == "pass" or one.status == "fail":
            found[one.id.removeprefix("clickhouse.")] = one
    return found


def seen(server: Server, cluster: str | None = None, seconds: float = 0.05, **login: str) -> Live:
    """What the server answers."""
    who = Login(login.get("user", USER), login.get("password", PASSWORD), login.get("database", "default"))
    target = Target((server.url,), who, cluster, {"timeout": 60}, discover=False, sample_seconds=seconds)
    return observe(target, QUERIES)


def schema(server: Server, arrival: str = "received_at", ttl: bool = True) -> None:
    """LangSmith's tables, as far as the rules look at them, empty."""
    server.sql("DROP TABLE IF EXISTS runs SYNC")
    server.sql("DROP TABLE IF EXISTS schema_migrations SYNC")
    more = f"TTL toDateTime({arrival}) + INTERVAL 14 DAY" if ttl else ""
    server.sql(RUNS.format(arrival=arrival, more=more))
    server.sql(MIGRATIONS)
    server.sql("INSERT INTO schema_migrations VALUES (7, 1, 1), (7, 0, 2)")


def add_runs(server: Server, count: int, delay: int = 1, payload: int = 100, ended: str = "now64(6)") -> None:
    """Runs whose row came ``delay`` seconds after their arrival, each with a payload that does not compress."""
    server.sql(
        f"INSERT INTO runs SELECT number, 1, randomPrintableASCII({payload}), '', now64(6) - {delay}, {ended},"  # noqa: S608 - ours
        f" now64(6) - {delay}, now64(6) FROM numbers({count})"
    )


def add(server: Server, name: str, rows: int = 1, size: int = 0, settings: str = "max_threads = 1") -> None:
    """Insert rows, each with ``size`` bytes that do not compress."""
    numbers = f"numbers({rows}) SETTINGS {settings}"
    server.sql(f"INSERT INTO {name} SELECT number, randomString({size}) FROM {numbers}")  # noqa: S608 - ours


def fill(server: Server, name: str, share: float) -> None:
    """Add rows to a table until so much of the disk is in use, whatever else is on it."""
    missing = (
        "SELECT toUInt32(greatest(0, {} * total_space - (total_space - unreserved_space)) / 1000) FROM system.disks"
    )
    add(server, name, rows=int(server.sql(missing.format(share))), size=1000)


def forget(server: Server, log: str) -> None:
    """Empty a log table, what was still to be written to it too."""
    server.sql("SYSTEM FLUSH LOGS")
    server.sql(f"TRUNCATE TABLE IF EXISTS system.{log} SYNC")


def try_to_add(server: Server, name: str) -> None:
    """Insert a row that the server may reject."""
    server.ask(f"INSERT INTO {name} VALUES (1, '')")  # noqa: S608 - ours


@contextmanager
def table(server: Server, name: str, settings: str = "") -> Iterator[str]:
    """A table of a test's own, gone with its parts at the end."""
    server.sql(
        f"CREATE TABLE {name} (a UInt64, b String) ENGINE = MergeTree ORDER BY a {settings and 'SETTINGS '}{settings}"
    )
    try:
        yield name
    finally:
        server.ask(f"SYSTEM START MERGES {name}")
        server.ask(f"KILL MUTATION WHERE table = '{name}'")
        server.sql(f"DROP TABLE {name} SYNC")


@contextmanager
def meanwhile(work: Callable[[], object], threads: int = 1) -> Iterator[None]:
    """Let threads do something again and again, until the end of the block."""
    done, begun = threading.Event(), threading.Barrier(threads + 1)

    def again() -> None:
        begun.wait()
        while not done.is_set():
            work()

    with ThreadPoolExecutor(threads) as pool:
        futures = [pool.submit(again) for number in range(threads)]
        begun.wait()
        try:
            yield
        finally:
            done.set()
            for future in futures:
                future.result()


def until(condition: Callable[[], bool], what: str, seconds: float = 120) -> None:
    """Wait for something that ClickHouse does by itself."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"{what}: not within {seconds} s"
        time.sleep(0.02)


def shown(server: Server, rule: str, status: str, environment: Environment = "production") -> Finding:
    """What a rule says once it shows what goes on meanwhile: that may fall between two samples."""
    found: list[Finding] = []

    def shows() -> bool:
        found.append(look(server, environment, seconds=0.3)[rule])
        return found[-1].status == status

    until(shows, f"{rule}: {status}")
    return found[-1]


#: One who may do exactly what the rules ask.
READER = {"reader": ("reader-password", [f"GRANT {privilege}" for privilege in privileges(QUERIES)])}


@pytest.fixture(scope="module")
def well(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    # Whoever may see everything, and one who may see nothing.
    users = {**READER, "blind": ("blind-password", ["GRANT SELECT ON other.*"])}
    setup = Setup(config=GOOD_CONFIG, profile=GOOD_PROFILE, users=users, launcher=disk_of(1024))
    with roomy(tmp_path_factory) as folder, running(folder, setup) as servers:
        schema(servers[0])
        add_runs(servers[0], 1000)
        servers[0].sql("SELECT count() FROM runs")
        servers[0].sql("SYSTEM FLUSH LOGS")
        yield servers[0]


@pytest.fixture(scope="module")
def ill(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    setup = Setup(config=BAD_CONFIG, logs=(), users=READER, launcher=disk_of(64))
    with running(tmp_path_factory.mktemp("ill"), setup) as servers:
        servers[0].sql("SELECT 1")
        servers[0].sql("SYSTEM FLUSH LOGS")
        yield servers[0]


@pytest.fixture
def small(ill: Server) -> Server:
    """The one whose disk has 64 MiB."""
    if not may_mount():
        pytest.skip("this machine lets no ordinary user mount a tmpfs")
    return ill


@pytest.fixture(scope="module")
def posed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    setup = Setup(config=GOOD_CONFIG + REPLICATED_CONFIG, profile=GOOD_PROFILE)
    with running(tmp_path_factory.mktemp("posed"), setup) as servers:
        servers[0].sql("SELECT 1")
        servers[0].sql("SYSTEM FLUSH LOGS")
        yield servers[0]


@pytest.fixture(scope="module")
def healthy(well: Server) -> Faults:
    return look(well)


@pytest.mark.parametrize("rule", WELL)
def test_a_healthy_server_is_called_healthy(healthy: Faults, rule: str) -> None:
    assert (healthy[rule].status, healthy[rule].observed) == (WELL[rule], healthy[rule].observed)


def test_a_server_by_itself_is_not_asked_for_replicas_and_keeper(healthy: Faults) -> None:
    assert {"replicas_alive", "replication_lag", "replication_queue", "keeper", "keeper_latency"} & set(
        healthy
    ) == set()


def test_a_user_without_grants_learns_what_to_grant_and_nothing_passes(well: Server) -> None:
    found = look(well, user="blind", password="blind-password")
    # Its own settings are everyone's to read.
    assert [rule for rule in WELL if found[rule].status != "unknown"] == ["profile"]
    told = {rule: found[rule].remedy.rpartition("GRANT ")[2] for rule in WELL if "GRANT" in found[rule].remedy}
    assert told["parts"] == "SELECT ON system.parts TO `blind`"
    assert told["schema"] == "SELECT ON default.schema_migrations TO `blind`"
    assert set(WELL) - set(told) <= {"profile", "io_pressure"}


def test_the_granted_user_sees_as_much_as_the_administrator(well: Server, healthy: Faults) -> None:
    found = look(well, user="reader", password="reader-password")
    assert {rule: found[rule].status for rule in WELL} == {rule: healthy[rule].status for rule in WELL}


def test_the_granted_user_reads_when_runs_came_and_nothing_that_they_say(well: Server) -> None:
    forbidden = ("inputs", "outputs", "id", "*", "count() FROM runs WHERE inputs LIKE '%secret%' UNION ALL SELECT 1")
    for what in forbidden:
        statement = f"SELECT {what}" if "FROM" in what else f"SELECT {what} FROM runs LIMIT 1"  # noqa: S608 - ours
        status, told = well.ask(statement, "reader", "reader-password")
        assert (status != 200, "ACCESS_DENIED" in told) == (True, True), statement


# Servers that know each other


def test_one_server_of_a_cluster_tells_that_its_tables_are_not_replicated(well: Server) -> None:
    found = look(well, cluster="replicated")["replicated_tables"]
    assert found.status == "fail"
    assert "not replicated: runs" in found.observed


def test_a_server_is_no_service_that_replicates_by_itself(well: Server) -> None:
    (asked,) = seen(well).replicas
    assert asked.value("cloud_mode", "value") == "0"
    assert look(well)["replicas"].status == "fail"
    managed = look(well, plan=Plan("managed"))
    assert not {"replicas", "cpu", "memory", "memory_limit", "disk_fill", "disk_forecast", "io_pressure"} & set(managed)
    assert {one.status for one in managed.values()} == {"pass"}


# Parts and inserts


def told_of_each_part(server: Server, name: str) -> list[Finding]:
    """What is said of parts after each of four that are not merged."""
    server.sql(f"SYSTEM STOP MERGES {name}")
    told: list[Finding] = []
    while len(told) < 4:
        add(server, name)
        told.append(look(server)["parts"])
    return told


def test_parts_that_are_never_delayed_are_told_of_before_they_are_rejected(ill: Server) -> None:
    with table(ill, "thrown", "parts_to_delay_insert = 0, parts_to_throw_insert = 4") as name:
        told = told_of_each_part(ill, name)
    assert [one.status for one in told] == ["pass", "pass", "warn", "fail"]
    assert told[-1].observed == "4 parts in partition all of default.thrown, inserts are rejected from 4"


def test_a_replicated_table_is_held_against_the_limits_of_replicated_tables(posed: Server) -> None:
    with table(posed, "copied") as name:
        posed.sql(f"SYSTEM STOP MERGES {name}")
        for _number in range(3):
            add(posed, name)
        plain = look(posed)["parts"]
        posed.inject("system.replicas", REPLICAS, [{**HEALTHY, "table": name}])
        copied = look(posed)["parts"]
        posed.inject("system.replicas", REPLICAS)
    assert plain.status == "pass"
    assert (copied.status, copied.observed) == (
        "fail",
        "3 parts in partition all of default.copied, inserts are delayed from 3",
    )


def test_parts_explode_where_merges_are_stopped(ill: Server) -> None:
    limits = "parts_to_delay_insert = 4, parts_to_throw_insert = 6, max_delay_to_insert = 1, min_delay_to_insert_ms = 1"
    with table(ill, "piled", limits) as name:
        told = told_of_each_part(ill, name)
    assert [one.status for one in told] == ["pass", "pass", "warn", "fail"]
    assert told[-1].observed == "4 parts in partition all of default.piled, inserts are delayed from 4"
    assert look(ill)["parts"].status == "pass"


def test_delayed_inserts_warn_and_rejected_ones_fail_everywhere(ill: Server) -> None:
    with table(ill, "late", "parts_to_delay_insert = 1, max_delay_to_insert = 1, min_delay_to_insert_ms = 1") as name:
        ill.sql(f"SYSTEM STOP MERGES {name}")
        with meanwhile(lambda: add(ill, name)):
            shown(ill, "inserts", "warn", "dev")
    with table(ill, "full", "parts_to_delay_insert = 0, parts_to_throw_insert = 1") as name:
        ill.sql(f"SYSTEM STOP MERGES {name}")
        add(ill, name)
        with meanwhile(lambda: try_to_add(ill, name)):
            rejected = shown(ill, "inserts", "fail", "dev")
        calm = look(ill, "dev")["inserts"]
    assert "Add no queue workers".lower() in rejected.remedy
    assert (calm.status, "rejected since the server's start" in calm.observed) == ("pass", True)


def test_the_wait_lever_is_told_of_while_parts_pile_up(ill: Server) -> None:
    lever = Plan("external", async_insert_wait_pct=0)
    with table(ill, "levered", "parts_to_delay_insert = 1") as name:
        add(ill, name)
        assert look(ill, plan=lever)["async_insert_wait"].status == "warn"
        assert "async_insert_wait" not in look(ill, plan=Plan("external", async_insert_wait_pct=0.5))
    assert "async_insert_wait" not in look(ill, plan=lever)


@contextmanager
def only_merging(server: Server, name: str) -> Iterator[None]:
    """Let the server merge and mutate this table alone: its logs would take a thread of the pool now and then."""
    server.sql("SYSTEM FLUSH LOGS")
    server.sql("SYSTEM STOP MERGES")
    server.sql(f"SYSTEM START MERGES {name}")
    try:
        tasks = "SELECT value FROM system.metrics WHERE metric = 'BackgroundMergesAndMutationsPoolTask'"
        until(lambda: server.sql(tasks) == "0", "nothing is merged")
        yield
    finally:
        server.sql("SYSTEM START MERGES")


def test_merge_threads_that_are_all_busy_matter_while_parts_pile_up(ill: Server) -> None:
    # Ten rows and a second at a time, so that the mutation lasts and still ends when it is killed.
    with (
        table(ill, "busy", "index_granularity = 10, merge_max_block_size = 10") as busy,
        table(ill, "piling") as piling,
        only_merging(ill, busy),
    ):
        add(ill, busy, rows=4000)
        add(ill, piling, rows=101, settings="max_block_size = 1, min_insert_block_size_rows = 1, max_threads = 1")
        idle = look(ill)["merges"]
        ill.sql(f"ALTER TABLE {busy} UPDATE b = toString(sleepEachRow(0.1)) WHERE 1 SETTINGS mutations_sync = 0")
        mutating = f"SELECT count() FROM system.merges WHERE is_mutation AND table = '{busy}'"  # noqa: S608 - ours
        until(lambda: ill.sql(mutating) == "1", "the mutation starts")
        piled = look(ill)["merges"]
        ill.sql(f"TRUNCATE TABLE {piling} SYNC")
        busy_only = look(ill)["merges"]
    assert (idle.status, idle.observed) == ("pass", "0 of 1 merges and mutations at work")
    assert (piled.status, piled.observed) == ("warn", piled.observed)
    assert "while a partition has 101 parts" in piled.observed
    assert (busy_only.status, busy_only.observed) == ("pass", "1 of 1 merges and mutations at work")


def test_a_failing_mutation_fails_with_the_statement_that_takes_it_back(ill: Server) -> None:
    with table(ill, "mutated") as name:
        add(ill, name)
        ill.sql(f"ALTER TABLE {name} UPDATE b = toString(throwIf(1)) WHERE 1 SETTINGS mutations_sync = 0")
        until(lambda: look(ill)["mutations"].status == "fail", "the mutation fails")
        told = look(ill, "dev")["mutations"]
        statement = told.remedy[told.remedy.index("KILL MUTATION") :]
        ill.sql(statement)
        until(lambda: look(ill)["mutations"].status == "pass", "the mutation is gone")
    assert "FUNCTION_THROW_IF" in told.observed or "throwIf" in told.observed


def test_mutations_that_pile_up_warn_and_then_fail_at_clickhouse_s_own_limit(ill: Server) -> None:
    with table(ill, "queued", "number_of_mutations_to_delay = 12, number_of_mutations_to_throw = 100") as name:
        add(ill, name)
        ill.sql(f"SYSTEM STOP MERGES {name}")
        for number in range(11):
            ill.sql(f"ALTER TABLE {name} UPDATE b = '{number}' WHERE 1 SETTINGS mutations_sync = 0")
        many = look(ill)["mutations"]
        ill.sql(f"ALTER TABLE {name} UPDATE b = 'x' WHERE 1 SETTINGS mutations_sync = 0")
        limit = look(ill)["mutations"]
    assert (many.status, limit.status) == ("warn", "fail")
    assert many.observed.startswith("11 unfinished in default.queued")


def test_many_small_inserts_warn(ill: Server) -> None:
    with table(ill, "crumbs") as name:
        forget(ill, "query_log")
        for statement in ["INSERT INTO crumbs VALUES (1, '')"] * 100:
            ill.sql(statement)
        ill.sql("SYSTEM FLUSH LOGS")
        told = look(ill)["batch_size"]
        forget(ill, "query_log")
        # One INSERT of ten rows a minute is small too, and harms nobody.
        add(ill, name, rows=10)
        ill.sql("SYSTEM FLUSH LOGS")
        quiet = look(ill)["batch_size"]
    assert (told.status, quiet.status) == ("warn", "pass")
    assert told.observed == "1 rows in an average of 100 INSERTs, 1.7 a second"


def test_detached_parts_warn(ill: Server) -> None:
    with table(ill, "torn") as name:
        add(ill, name)
        ill.sql(f"ALTER TABLE {name} DETACH PARTITION ID 'all'")
        told = look(ill)["lost_parts"]
    assert (told.status, told.observed) == ("warn", "1 detached in default.torn (by hand)")


# Disk


def test_a_small_disk_that_fills_fails_and_is_another_than_planned(small: Server) -> None:
    planned = Plan("external", volume=Volume(size_gib=500))
    empty = look(small, plan=planned)
    with table(small, "filling") as name:
        # A merge would need as much room again.
        small.sql(f"SYSTEM STOP MERGES {name}")
        fill(small, name, 0.77)
        warned = look(small)["disk_fill"]
        fill(small, name, 0.9)
        full = look(small, "dev")["disk_fill"]
    assert (empty["disk_fill"].status, warned.status, full.status) == ("pass", "warn", "fail")
    assert (empty["disk_size"].status, empty["disk_size"].observed) == ("fail", "disk default has 0.1 GiB")
    assert look(small, "dev", plan=planned)["disk_size"].status == "warn"


def test_a_disk_of_the_planned_size_passes(small: Server) -> None:
    assert look(small, plan=Plan("external", volume=Volume(size_gib=0.0625)))["disk_size"].status == "pass"


def test_a_dropped_table_on_a_full_disk_still_holds_its_space(small: Server) -> None:
    small.sql("CREATE DATABASE attic ENGINE = Atomic")
    small.sql("CREATE TABLE attic.heavy (b String) ENGINE = MergeTree ORDER BY tuple()")
    # What the tests before it have deleted goes by itself, and not at once.
    insert = "INSERT INTO attic.heavy SELECT randomString(1000) FROM numbers(50000)"
    until(lambda: small.ask(insert)[0] == 200, "there is room again")
    small.sql("DROP TABLE attic.heavy")
    told = look(small)["dropped_tables"]
    # This server lets go after an hour; the other tests have the disk to themselves again.
    small.sql("UNDROP TABLE attic.heavy")
    small.sql("DROP DATABASE attic SYNC")
    assert look(small)["dropped_tables"].observed == "0 GiB in 0 dropped tables"
    assert told.status == "warn"
    assert "in 1 dropped tables" in told.observed


def test_log_tables_without_a_ttl_warn_and_fail_by_their_share_of_the_disk(small: Server) -> None:
    forget(small, "query_log")
    told = [look(small)["system_logs"].status]
    for rows in (5000, 10000):
        small.sql(
            "INSERT INTO system.query_log (event_date, event_time, query)"  # noqa: S608 - ours
            f" SELECT today() - 1, now() - 100000, randomString(1000) FROM numbers({rows})"
        )
        told.append(look(small)["system_logs"].status)
    named = look(small, "dev")["system_logs"]
    forget(small, "query_log")
    assert told == ["pass", "warn", "fail"]
    assert (named.status, "query_log" in named.remedy) == ("warn", True)


@pytest.mark.parametrize(
    ("mib_a_day", "deleted", "told"),
    [(1, 0, "pass"), (3, 0, "warn"), (20, 0, "fail"), (20, 20, "pass"), (20, 25, "pass")],
)
def test_the_forecast_counts_what_came_less_what_went(small: Server, mib_a_day: int, deleted: int, told: str) -> None:
    forget(small, "part_log")
    columns = "event_date, event_time, event_type, size_in_bytes, disk_name"
    for kind, mib in (("NewPart", mib_a_day), ("RemovePart", deleted)):
        small.sql(
            f"INSERT INTO system.part_log ({columns}) SELECT today() - 4, now() - INTERVAL 4 DAY, '{kind}',"
            f" {4 * mib * MIB}, 'default'"
        )
    found = look(small)["disk_forecast"]
    forget(small, "part_log")
    assert found.status == told, found.observed


def test_a_forecast_takes_a_day_of_history(ill: Server) -> None:
    forget(ill, "part_log")
    told = look(ill)["disk_forecast"]
    assert (told.status, told.remedy) == ("unknown", "check again after a day of ordinary load")


# Queries


def sleep(server: Server) -> None:
    """Ask for what takes its time; who ends it breaks the answer off."""
    with suppress(http.client.HTTPException, OSError):
        server.ask("SELECT sleepEachRow(0.5) FROM numbers(1000) SETTINGS max_threads = 1, max_block_size = 1")


@contextmanager
def sleepers(server: Server, count: int) -> Iterator[None]:
    """So many queries that run until the end of the block."""
    with ThreadPoolExecutor(count) as pool:
        futures = [pool.submit(sleep, server) for number in range(count)]
        asleep = "SELECT count() FROM system.processes WHERE query LIKE 'SELECT sleepEachRow(0.5)%'"
        try:
            until(lambda: server.ask(asleep)[1] == str(count), f"{count} queries run")
            yield
        finally:
            server.ask("KILL QUERY WHERE query LIKE 'SELECT sleepEachRow(0.5)%' SYNC")
            for future in futures:
                future.result()


def test_queries_near_the_limit_warn(ill: Server) -> None:
    with sleepers(ill, 33):
        told = look(ill)["concurrency"]
    assert (told.status, told.observed) == ("warn", "33 queries at the same time, 40 allowed")
    assert look(ill)["concurrency"].observed == "0 queries at the same time, 40 allowed"


def test_refused_queries_fail_everywhere(ill: Server) -> None:
    with sleepers(ill, 30), meanwhile(lambda: ill.ask("SELECT sleep(0.1)"), threads=12):
        told = shown(ill, "concurrency", "fail", "dev")
    assert "error 202" in told.observed


def test_too_many_queries_at_the_same_time_are_read_pressure(well: Server) -> None:
    with sleepers(well, 101):
        live = seen(well)
        told, dev = (
            next(one for one in judge_live(live, environment) if one.id == "clickhouse.concurrency")
            for environment in ("production", "dev")
        )
        pressed = pressure(judge_live(live, "production"), 1, CALM_DISK)
        # One who may only read sees the queries of others too.
        reader = look(well, user="reader", password="reader-password")["concurrency"]
    assert (told.status, dev.status) == ("fail", "warn")
    assert reader.observed == told.observed == "101 queries at the same time, 1000 allowed"
    assert (pressed["read"], pressed["write"]) == ("high", "none")
    assert "Scale the read side" in pressed["advice"]


def test_a_low_limit_and_the_wrong_profile_warn(ill: Server) -> None:
    found = look(ill)
    assert (found["concurrency_limit"].status, found["profile"].status) == ("warn", "warn")
    assert "wait_for_async_insert=1" in found["profile"].observed


def test_slow_selects_warn(posed: Server) -> None:
    forget(posed, "query_log")
    with table(posed, "slow"):
        add(posed, "slow")
        with ThreadPoolExecutor(20) as pool:
            list(pool.map(posed.sql, ["SELECT sleepEachRow(2.1) FROM slow"] * 20))
        posed.sql("SYSTEM FLUSH LOGS")
        told = look(posed)["query_latency"]
        posed.sql("ALTER TABLE system.query_log UPDATE query_duration_ms = 11000 WHERE 1 SETTINGS mutations_sync = 1")
        slower = [look(posed, environment)["query_latency"].status for environment in ("production", "dev")]
        forget(posed, "query_log")
        none = look(posed)["query_latency"]
    assert told.status == "warn"
    assert told.observed.startswith("95 of 100 of 20 SELECTs in the last hour within ")
    assert slower == ["fail", "warn"]
    assert (none.status, none.observed) == ("pass", "0 SELECTs in the last hour, too few to judge by")


# LangSmith's tables


def test_before_the_first_migration_there_is_no_schema_to_judge(ill: Server) -> None:
    ill.sql("DROP TABLE IF EXISTS runs SYNC")
    ill.sql("DROP TABLE IF EXISTS schema_migrations SYNC")
    found = look(ill)
    assert (found["schema"].status, found["schema"].observed) == (
        "unknown",
        "database default has no schema of LangSmith",
    )
    assert {"ttl", "blob_storage", "ingest_delay"} & set(found) == set()


def test_a_migration_that_broke_off_fails_everywhere(ill: Server) -> None:
    schema(ill)
    ill.sql("INSERT INTO schema_migrations VALUES (8, 1, 3)")
    told = look(ill, "dev")["schema"]
    assert (told.status, told.observed) == ("fail", "version 8, dirty: its migration broke off")


def test_runs_without_a_ttl_warn(ill: Server) -> None:
    schema(ill, ttl=False)
    assert look(ill)["ttl"].status == "warn"
    schema(ill)
    assert look(ill)["ttl"].status == "pass"


@pytest.mark.parametrize(("payload", "told"), [(30_000, "warn"), (10_000, "pass")])
def test_payloads_that_blob_storage_would_have_taken_warn(ill: Server, payload: int, told: str) -> None:
    schema(ill)
    add_runs(ill, 200, payload=payload)
    found = look(ill)["blob_storage"]
    ill.sql("TRUNCATE TABLE runs SYNC")
    assert found.status == told, found.observed


@pytest.mark.parametrize("arrival", ["received_at", "trace_first_received_at"])
def test_runs_that_come_late_fail_in_production(ill: Server, arrival: str) -> None:
    schema(ill, arrival)
    none = look(ill)["ingest_delay"]
    add_runs(ill, 100, delay=5, ended="now64(6) - 5")
    quick = look(ill)["ingest_delay"]
    add_runs(ill, 100, delay=90, ended="now64(6) - 90")
    late = look(ill)["ingest_delay"]
    assert [one.status for one in (none, quick, late)] == ["pass", "pass", "fail"]
    assert late.observed == "95 of 100 of 200 runs in the last hour within 90 s"
    assert look(ill, user="reader", password="reader-password")["ingest_delay"] == late
    assert look(ill, "dev")["ingest_delay"].status == "warn"


def test_a_run_of_a_trace_that_takes_long_is_not_late(ill: Server) -> None:
    schema(ill, "trace_first_received_at")
    add_runs(ill, 100, delay=600, ended="now64(6) - 1")
    assert look(ill)["ingest_delay"].status == "pass"


def test_late_runs_without_saturation_do_not_forbid_queue_workers(ill: Server) -> None:
    schema(ill)
    add_runs(ill, 100, delay=90)
    told = pressure(judge_live(seen(ill), "production"), 1, CALM_DISK)
    assert (told["read"], told["write"]) == ("none", "some")
    assert "Queue workers may be added" in told["advice"]


def test_saturated_writes_are_named_and_more_workers_advised_against(ill: Server) -> None:
    with table(ill, "pressed", "parts_to_delay_insert = 0, parts_to_throw_insert = 1") as name:
        add(ill, name)
        ill.sql(f"SYSTEM STOP MERGES {name}")
        with meanwhile(lambda: try_to_add(ill, name)):
            shown(ill, "inserts", "fail")
            told = pressure(judge_live(seen(ill, seconds=3), "production"), 1, CALM_DISK)
    assert (told["read"], told["write"]) == ("none", "high")
    assert told["advice"].startswith("Add no queue workers")
    assert any("rejected in" in reason for reason in told["because"])


# Replication


def test_a_replicated_table_without_keeper_is_read_only(ill: Server) -> None:
    ill.sql("CREATE TABLE alone (a UInt64) ENGINE = ReplicatedMergeTree('/alone', 'one') ORDER BY a")
    try:
        found = look(ill, "dev")
    finally:
        ill.sql("DROP TABLE alone SYNC")
    assert (found["replicas_alive"].status, found["replicas_alive"].observed) == (
        "fail",
        "read-only or without a Keeper session: default.alone",
    )
    # Its delay since 1970 is no lag.
    assert (found["replication_lag"].status, found["keeper"].status) == ("unknown", "unknown")


# What takes more than one server, or more than a moment: system tables of the test's own.

REPLICAS = (
    "database String, table String, is_readonly UInt8, is_session_expired UInt8, total_replicas UInt8,"
    " active_replicas UInt8, absolute_delay UInt64, queue_size UInt32"
)
QUEUE = (
    "database String, table String, type String, num_tries UInt32, num_postponed UInt32, last_exception String,"
    " postpone_reason String, create_time DateTime"
)
LONG_AGO = "2001-01-01 00:00:00"


def replicated(server: Server, queue: Sequence[Mapping[str, object]] = (), /, **more: int) -> Faults:
    """The findings where system.replicas has one healthy table and one that differs as told."""
    server.inject("system.replicas", REPLICAS, [HEALTHY, {**HEALTHY, "table": "feedbacks", **more}])
    server.inject("system.replication_queue", QUEUE, queue)
    server.inject("system.zookeeper", "path String, name String", [{"path": "/", "name": "clickhouse"}])
    return look(server, "dev", cluster="replicated")


HEALTHY = {
    "database": "default",
    "table": "runs",
    "is_readonly": 0,
    "is_session_expired": 0,
    "total_replicas": 3,
    "active_replicas": 3,
    "absolute_delay": 0,
    "queue_size": 2,
}


def test_replicas_that_follow_each_other_pass(posed: Server) -> None:
    found = replicated(posed)
    rules = ("replicas_alive", "replication_lag", "replication_queue", "keeper", "keeper_latency")
    assert {rule: found[rule].status for rule in rules} == dict.fromkeys(rules, "pass")


@pytest.mark.parametrize(
    ("rule", "more", "status", "observed"),
    [
        ("replicas_alive", {"active_replicas": 2}, "warn", "2 of 3 replicas active of default.feedbacks"),
        ("replicas_alive", {"is_session_expired": 1}, "fail", "read-only or without a Keeper session: "),
        ("replication_lag", {"absolute_delay": 60}, "pass", "60 s behind in default.feedbacks"),
        ("replication_lag", {"absolute_delay": 61}, "warn", "61 s behind in default.feedbacks"),
        ("replication_lag", {"absolute_delay": 301}, "fail", "301 s behind in default.feedbacks"),
        ("replication_lag", {"absolute_delay": 1_795_000_000}, "pass", "0 s behind in default.runs"),
        ("replication_queue", {"queue_size": 100}, "warn", "100 entries in default.feedbacks"),
    ],
)
def test_replicas_that_lag_are_told_of(
    posed: Server, rule: str, more: dict[str, int], status: str, observed: str
) -> None:
    told = replicated(posed, **more)[rule]
    assert told.status == status
    assert told.observed.startswith(observed)


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        ({"num_tries": 101, "last_exception": "No active replica has part"}, "fail"),
        ({"num_postponed": 1001, "postpone_reason": "Not executing fetch"}, "fail"),
        ({"num_tries": 100, "num_postponed": 1000}, "pass"),
        ({"num_postponed": 1001, "create_time": "2099-01-01 00:00:00"}, "pass"),
    ],
)
def test_entries_of_the_queue_that_are_stuck_fail(posed: Server, entry: dict[str, object], told: str) -> None:
    stuck = {"database": "default", "table": "runs", "type": "GET_PART", "create_time": LONG_AGO, **entry}
    found = replicated(posed, [stuck])["replication_queue"]
    assert found.status == told
    assert all(str(entry.get(name, "")) in found.observed for name in ("last_exception", "postpone_reason"))


def test_without_a_replicated_table_a_cluster_is_not_called_well(posed: Server) -> None:
    posed.inject("system.replicas", REPLICAS)
    found = look(posed, cluster="replicated")
    assert found["replicas_alive"].status == "unknown"
    assert found["replicas_alive"].observed == "no replicated table to judge by"


@pytest.mark.parametrize(
    ("wait_ms", "broken", "told"), [(5, 0, "pass"), (50, 0, "warn"), (500, 0, "fail"), (5, 1, "fail")]
)
def test_keeper_is_judged_by_what_it_does_between_the_samples(
    posed: Server, wait_ms: int, broken: int, told: str
) -> None:
    posed.inject("system.replicas", REPLICAS)
    posed.inject("system.events", "event String")
    posed.sql("DROP TABLE system.events SYNC")
    # One request a millisecond since 1970, so that the counters rise by themselves.
    values = f"multiIf(event LIKE '%Transactions', now, event LIKE '%Wait%', now * {wait_ms * 1000}, now * {broken})"
    posed.sql(
        "CREATE VIEW system.events AS WITH toUInt64(toUnixTimestamp64Milli(now64(3))) AS now SELECT"
        " arrayJoin(['ZooKeeperTransactions', 'ZooKeeperWaitMicroseconds', 'ZooKeeperHardwareExceptions']) AS event,"
        f" {values} AS value"
    )
    found = look(posed, cluster="replicated", seconds=0.1)["keeper_latency"]
    posed.sql("DROP VIEW system.events SYNC")
    posed.inject("system.events", "event String, value UInt64")
    assert found.status == told, found.observed


@pytest.mark.parametrize("sessions", [1, 2])
def test_a_second_session_to_keeper_fails(posed: Server, sessions: int) -> None:
    rows = [{"metric": "ZooKeeperSession", "value": sessions}]
    posed.inject("system.metrics", "metric String, value Int64", rows)
    told = replicated(posed)["keeper"]
    posed.inject("system.metrics", "metric String, value Int64", [{**rows[0], "value": 1}])
    assert told.status == ("pass" if sessions == 1 else "fail")


@pytest.mark.parametrize(
    ("event", "told"), [("ReplicatedDataLoss", "fail"), ("ReplicatedPartFailedFetches", "pass"), ("Query", "pass")]
)
def test_lost_data_fails_and_fetches_that_failed_long_ago_do_not(posed: Server, event: str, told: str) -> None:
    posed.inject("system.events", "event String, value UInt64", [{"event": event, "value": 3}])
    found = look(posed, "dev")["lost_parts"]
    posed.inject("system.events", "event String, value UInt64")
    assert found.status == told


@pytest.mark.parametrize(("share", "told"), [(0.05, "pass"), (0.2, "warn"), (0.5, "fail")])
def test_processors_that_wait_for_the_disk_are_pressure_on_both_sides(posed: Server, share: float, told: str) -> None:
    rows = [{"metric": "OSIOWaitTimeNormalized", "value": share}]
    posed.inject("system.asynchronous_metrics", "metric String, value Float64", rows)
    found = look(posed)["io_pressure"]
    pressed = pressure(judge_live(seen(posed), "production"), 1)
    posed.inject("system.asynchronous_metrics", "metric String, value Float64")
    assert found.status == told
    assert (pressed["read"] == "some") == (told != "pass")


@pytest.mark.parametrize(("share", "told"), [(0.9, "pass"), (0.95, "fail"), (0.6, "warn")])
def test_the_servers_limit_is_held_against_its_container(posed: Server, share: float, told: str) -> None:
    limit = float(posed.sql("SELECT value FROM system.server_settings WHERE name = 'max_server_memory_usage'"))
    rows = [{"metric": "CGroupMaxMemory", "value": limit / share}]
    posed.inject("system.asynchronous_metrics", "metric String, value Float64", rows)
    found = look(posed)["memory_limit"]
    posed.inject("system.asynchronous_metrics", "metric String, value Float64")
    assert found.status == told


def test_a_query_of_eleven_minutes_is_named_and_a_backup_is_not(posed: Server) -> None:
    columns = "query_id String, user String, query_kind String, elapsed Float64, http_user_agent String"
    slow: dict[str, object] = {"query_id": "slow-one", "user": "langsmith", "query_kind": "Select", "elapsed": 660.5}
    others: list[dict[str, object]] = [
        {"query_kind": "Backup"},
        {"user": ""},
        {"http_user_agent": "langsmith.aws"},
        {"elapsed": 599},
    ]
    posed.inject("system.processes", columns, [slow, *({**slow, "query_id": "other", **other} for other in others)])
    told = look(posed)["long_queries"]
    posed.inject("system.processes", columns)
    assert (told.status, told.observed) == ("warn", "1 over 600 s: slow-one of langsmith for 660 s")


def test_a_merge_of_more_than_an_hour_warns(posed: Server) -> None:
    columns = "database String, table String, elapsed Float64, progress Float64, is_mutation UInt8"
    row = {"database": "default", "table": "runs", "elapsed": 3601, "progress": 0.1, "is_mutation": 0}
    posed.inject("system.merges", columns, [row, {**row, "elapsed": 99999, "is_mutation": 1}])
    told = look(posed)["merges"]
    posed.inject("system.merges", columns)
    assert told.status == "warn"
    assert "the longest merge for 3601 s in default.runs" in told.observed
    assert look(posed)["merges"].status == "pass"


def test_flushes_of_asynchronous_inserts_count_and_what_they_gathered_does_not(posed: Server) -> None:
    forget(posed, "query_log")
    columns = "event_date, event_time, type, query_kind, user, databases, written_rows, ProfileEvents"
    # Most servers log a flush without a user.
    logged = (
        ("Insert", "langsmith", 1, 5000, 1),
        ("Insert", "", 1, 5000, 0),
        ("AsyncInsertFlush", "", 2500, 100, 0),
        ("AsyncInsertFlush", "langsmith", 2500, 100, 0),
    )
    for kind, user, rows, count, asynchronous in logged:
        posed.sql(
            f"INSERT INTO system.query_log ({columns}) SELECT today(), now() - number % 60, 'QueryFinish', '{kind}',"  # noqa: S608
            f" '{user}', ['default'], {rows}, map('AsyncInsertQuery', {asynchronous}) FROM numbers({count})"
        )
    told = look(posed)["batch_size"]
    forget(posed, "query_log")
    assert told.status == "pass"
    assert told.observed.startswith("2500 rows in an average of 200 INSERTs")
