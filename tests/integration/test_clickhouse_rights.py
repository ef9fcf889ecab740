# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What LangSmith's user may do, as real servers tell it of users of every kind, and that nothing is tried out."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.rules.profile import PROFILE
from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.rules.rights import (
    grants_of_writer,
    needed,
)
from ansible_collections.langsmith.aws.plugins.modules import clickhouse_sizing_check

from .clickhouse_servers import PASSWORD, USER, Server, Setup, running

Run = Callable[..., list[dict[str, str]]]
DATABASE, CLUSTER, WORD = "traces", "replicated", "pa55-word-of-writers"

#: As a server's own configuration has it: ON CLUSTER and engines need a right.
STRICT = """<access_control_improvements>
  <on_cluster_queries_require_cluster_grant>true</on_cluster_queries_require_cluster_grant>
  <table_engines_require_grant>true</table_engines_require_grant>
</access_control_improvements>"""
GOOD_PROFILE = "".join(f"<{name}>{value}</{name}>" for name, value in PROFILE.items())


def granted(*databases: tuple[str, str | None]) -> list[str]:
    """All that is wanted, for each database and cluster."""
    return [text.partition(" TO ")[0] for one in databases for text in grants_of_writer("", *one)]


ALL = granted((DATABASE, CLUSTER), (DATABASE, None))
WRITERS = {
    "able": ALL,
    "by_role": ["GRANT writers"],
    "no_insert": [text for text in ALL if "INSERT" not in text],
    "no_cluster": [text for text in ALL if "CLUSTER" not in text],
    "no_engine": [text for text in ALL if "ENGINE" not in text],
    "no_disks": [text for text in ALL if "system.disks" not in text],
    "revoked_table": [*ALL, f"REVOKE SELECT ON {DATABASE}.runs"],
    "revoked_column": [*ALL, f"REVOKE INSERT(inputs) ON {DATABASE}.runs"],
    "revoked_database": ["GRANT ALL ON *.*", f"REVOKE DROP TABLE ON {DATABASE}.*"],
    "mended": [*ALL, f"REVOKE SELECT ON {DATABASE}.runs", f"GRANT SELECT ON {DATABASE}.*"],
    "elsewhere": granted(("other", CLUSTER)),
    "creator": [*granted(("absent", CLUSTER)), "GRANT CREATE DATABASE ON absent.*"],
    "stranger": granted(("absent", CLUSTER)),
    "nobody": ["GRANT SHOW TABLES ON other.*"],
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    setup = Setup(
        config=STRICT,
        profile=GOOD_PROFILE,
        users={"tied": (WORD, ["GRANT ALL ON *.*"])},
        writers={name: (WORD, statements) for name, statements in WRITERS.items()},
        roles={"writers": ALL},
    )
    with running(tmp_path_factory.mktemp("clickhouse"), setup) as (made,):
        made.sql(f"CREATE DATABASE {DATABASE}")
        yield made


@pytest.fixture
def run(server: Server, capfd: pytest.CaptureFixture[str]) -> Run:
    """The findings on the rights of a user, on the first server."""

    def module(
        name: str, word: str = WORD, database: str = DATABASE, cluster: str | None = CLUSTER, **live: Any
    ) -> list[dict[str, str]]:
        writer = {"user": name, "password": word}
        way = {"urls": [server.url], "user": USER, "password": PASSWORD, "writer": writer, "discover": False, **live}
        way |= {"database": database, "cluster": cluster}
        capfd.readouterr()
        with (
            patch_module_args({"environment": "production", "live": way, "sample_seconds": 0.05}),
            pytest.raises(SystemExit),
        ):
            clickhouse_sizing_check.main()
        told = capfd.readouterr().out
        assert WORD not in told
        assert PASSWORD not in told
        found: list[dict[str, str]] = json.loads(told)["findings"]
        return found

    return module


def of(found: list[dict[str, str]], rule: str = "rights") -> list[dict[str, str]]:
    return [finding for finding in found if finding["id"] == f"clickhouse.{rule}"]


def lacked(found: list[dict[str, str]]) -> list[str]:
    """The privileges of the findings on rights, out of their remedies."""
    return [one["remedy"].partition("GRANT ")[2].partition(" TO ")[0] for one in of(found)]


@pytest.mark.parametrize("user", ["able", "by_role", "mended", USER])
def test_a_user_with_every_right_is_well_whether_by_grant_by_role_or_again_after_a_revoke(run: Run, user: str) -> None:
    found = run(user, PASSWORD if user == USER else WORD)
    assert [one["status"] for one in of(found)] == ["pass"]
    assert [one["status"] for one in of(found, "database")] == ["pass"]


ONE_MISSING = [
    ("no_insert", [f"INSERT ON {DATABASE}.*"], "fail"),
    ("no_cluster", ["CLUSTER ON *.*"], "fail"),
    ("no_engine", ["TABLE ENGINE ON ReplicatedMergeTree, TABLE ENGINE ON ReplicatedReplacingMergeTree"], "fail"),
    ("no_disks", ["SELECT ON system.disks"], "warn"),
    ("revoked_table", [f"SELECT ON {DATABASE}.*"], "fail"),
    ("revoked_column", [f"INSERT ON {DATABASE}.*"], "fail"),
    ("revoked_database", [f"DROP TABLE ON {DATABASE}.*"], "fail"),
]


@pytest.mark.parametrize(("user", "privileges", "status"), ONE_MISSING)
def test_one_right_that_lacks_or_was_revoked_in_part_is_one_finding_with_its_grant(
    run: Run, user: str, privileges: list[str], status: str
) -> None:
    found = run(user)
    assert lacked(found) == privileges
    assert {one["status"] for one in of(found)} == {status}
    assert of(found)[0]["remedy"].endswith(f" TO `{user}`")


@pytest.mark.parametrize("name", ["it's", 'say "so"', "back`tick", "back\\slash", "a.b", "x" * 200])
def test_a_name_of_any_kind_is_asked_for_as_it_is(run: Run, name: str) -> None:
    assert [one["status"] for one in of(run(USER, PASSWORD, name))] == ["pass"]
    mine = [privilege for privilege in lacked(run("nobody", database=name)) if privilege.startswith("INSERT ON ")]
    assert len(mine) == 1


def test_a_server_by_itself_asks_for_no_right_to_clusters(run: Run) -> None:
    assert [one["status"] for one in of(run("no_cluster", cluster=None))] == ["pass"]


@pytest.mark.parametrize("user", ["nobody", "elsewhere"])
def test_a_user_without_rights_on_this_database_lacks_each_of_them(run: Run, user: str) -> None:
    on_database = [privilege for privilege in needed(DATABASE, CLUSTER) if DATABASE in privilege]
    assert set(on_database) <= set(lacked(run(user)))
    assert "pass" not in {one["status"] for one in of(run(user))}


def test_a_user_whose_profile_lets_nobody_write_needs_another_profile(run: Run) -> None:
    (one,) = of(run("tied"))
    assert (one["status"], "readonly = 1" in one["observed"]) == ("fail", True)
    assert "GRANT" not in one["remedy"]


@pytest.mark.parametrize(("user", "password"), [("able", "wrong"), ("unheard-of", WORD)])
def test_an_unknown_user_and_a_wrong_password_are_one_failure_and_the_rest_is_told(
    run: Run, user: str, password: str
) -> None:
    found = run(user, password)
    assert [(one["status"], one["observed"]) for one in of(found)] == [
        ("fail", f"user {user} is not let in (ClickHouse error 516)")
    ]
    assert [one["status"] for one in of(found, "version")] == ["pass"]


@pytest.mark.parametrize(
    ("user", "told", "remedy"),
    [
        ("creator", "user creator may create it", "run as user creator: CREATE DATABASE absent ON CLUSTER replicated"),
        ("stranger", "user stranger may not create it", "run as an administrator: CREATE DATABASE absent ON CLUSTER"),
    ],
)
def test_a_database_that_is_absent_is_told_of_with_who_may_create_it_and_all_else_is_judged(
    run: Run, server: Server, user: str, told: str, remedy: str
) -> None:
    found = run(user, database="absent")
    (one,) = of(found, "database")
    assert (one["status"], told in one["observed"], one["remedy"].startswith(remedy)) == ("fail", True, True)
    assert [one["status"] for one in of(found)] == ["pass"]
    assert [one["status"] for one in of(found, "version")] == ["pass"]
    assert [one["status"] for one in of(found, "profile")] == ["pass"]
    assert [one["status"] for one in of(found, "schema")] == ["unknown"]
    assert "absent" not in server.sql("SHOW DATABASES").split()


def test_the_check_that_is_not_let_in_still_tells_of_langsmiths_user(run: Run) -> None:
    found = run("no_insert", user="able", password="wrong")
    assert [one["status"] for one in of(found, "connection")] == ["fail"]
    assert lacked(found) == [f"INSERT ON {DATABASE}.*"]


#: What a migration and the work after it do.
DEEDS = (
    "CREATE TABLE {db}.runs (id UInt64, inputs String, at DateTime) ENGINE = ReplacingMergeTree ORDER BY id",
    "CREATE TABLE {db}.counts (id UInt64, n UInt64) ENGINE = MergeTree ORDER BY id",
    "CREATE MATERIALIZED VIEW {db}.counted TO {db}.counts AS SELECT id, count() AS n FROM {db}.runs GROUP BY id",
    "CREATE VIEW {db}.seen AS SELECT id FROM {db}.runs",
    "ALTER TABLE {db}.runs ADD COLUMN name String",
    "ALTER TABLE {db}.runs ADD INDEX by_name name TYPE bloom_filter",
    "ALTER TABLE {db}.runs MODIFY TTL at + INTERVAL 14 DAY",
    "ALTER TABLE {db}.runs MODIFY SETTING parts_to_delay_insert = 500",
    "ALTER TABLE {db}.counted MODIFY QUERY SELECT id, count() AS n FROM {db}.runs WHERE id > 0 GROUP BY id",
    "INSERT INTO {db}.runs (id, inputs, at) VALUES (1, 'a', now()), (2, 'b', now())",
    "SELECT count() FROM {db}.runs",
    "ALTER TABLE {db}.runs UPDATE name = 'x' WHERE id = 1 SETTINGS mutations_sync = 2",
    "ALTER TABLE {db}.runs DELETE WHERE id = 1 SETTINGS mutations_sync = 2",
    "DELETE FROM {db}.runs WHERE id = 2",
    "OPTIMIZE TABLE {db}.runs FINAL",
    "TRUNCATE TABLE {db}.counts",
    "RENAME TABLE {db}.counts TO {db}.counts_old",
    "DROP VIEW {db}.seen",
    "DROP TABLE {db}.counted",
    "DROP TABLE {db}.counts_old",
    "DROP TABLE {db}.runs",
)


def test_who_has_what_is_wanted_can_do_what_migrations_and_work_do(server: Server) -> None:
    for deed in DEEDS:
        server.sql(deed.format(db=DATABASE), user="able", password=WORD)


def test_looking_leaves_nothing_behind(run: Run, server: Server) -> None:
    before = server.sql("SELECT database, name FROM system.tables WHERE database != 'system' ORDER BY ALL")
    run("able")
    run("nobody")
    server.sql("SYSTEM FLUSH LOGS")
    after = server.sql("SELECT database, name FROM system.tables WHERE database != 'system' ORDER BY ALL")
    assert before == after
    asked = "SELECT DISTINCT query_kind FROM system.query_log WHERE http_user_agent LIKE 'langsmith.aws%'"
    assert set(server.sql(asked).split()) <= {"Select", "Check", "CheckGrant", "Show", "None"}
