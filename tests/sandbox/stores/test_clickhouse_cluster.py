# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Three real servers with the files that the operator's stand-in makes for them, as pods would run them."""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from sandbox import state
from sandbox.controllers.clickhouse_operator_model import Host, Installation
from sandbox.controllers.clickhouse_operator_tables import Tables
from sandbox.langsmith import schema
from sandbox.langsmith.clickhouse import ClickHouse, ClickHouseError, Credentials
from sandbox.stores import clickhouse
from sandbox.stores.clickhouse_config import CONFIG_ROOT, DATA_PATH

pytestmark = pytest.mark.skipif(not clickhouse.library_path().exists(), reason="ClickHouse has not been fetched")
REPOSITORY = Path(__file__).parents[3]
NAMESPACE = "langsmith"
OPERATOR = ("operator", "word-of-the-operator")
PASSWORDS = {"LANGSMITH": "word-of-langsmith", "CHECKS": "word-of-the-checks"}
SECONDS = 120
Rows = list[list[Any]]


def installation(replicas: int) -> Installation:
    """What a role would write, for so many servers."""
    source = {"valueFrom": {"secretKeyRef": {"name": "any", "key": "any"}}}
    metadata = {"name": "acme", "namespace": NAMESPACE, "uid": "1"}
    configuration = {
        "zookeeper": {"nodes": [{"host": "keeper"}]},
        "clusters": [{"name": "traces", "layout": {"replicasCount": replicas}, "secret": source}],
        "users": {
            "langsmith/password": source,
            "langsmith/profile": "langsmith",
            "langsmith/networks/ip": ["10.0.0.0/16"],
            "checks/password": source,
            "checks/profile": "checks",
            "checks/grants/query": ["GRANT SELECT ON system.*", "GRANT SHOW TABLES ON *.*"],
        },
        "profiles": {"langsmith/wait_for_async_insert": 0, "checks/readonly": 1},
        "settings": {"max_concurrent_queries": 321, "logger/level": "trace", "macros/zone": "a"},
        "files": {
            "users.d/no-default.xml": '<clickhouse><users><default remove="1"/></users></clickhouse>',
            "config.d/logs.xml": '<clickhouse><part_log remove="1"/><query_log replace="1"><database>system</database>'
            "<table>query_log</table><ttl>event_date + INTERVAL 3 DAY</ttl></query_log></clickhouse>",
        },
    }
    found = {"kind": "ClickHouseInstallation", "metadata": metadata, "spec": {"configuration": configuration}}
    return Installation(found, OPERATOR)


class Refused(Exception):  # noqa: N818 - it tells what happened
    """A server answered with an error, as it does while another one, which it asks, does not answer."""


class Cluster:
    """The servers by the number of their replica."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.prefix = folder, 2 * state.share(range(1, 61))[0]
        self.third = 100 + secrets.randbelow(100)
        self.processes: dict[int, subprocess.Popen[bytes]] = {}
        (folder / "network.json").write_text(json.dumps({"prefix": self.prefix}))

    def begin(self, replicas: int) -> None:
        """So many servers, all of them answering."""
        self.write(replicas)
        for number in range(replicas):
            self.start(number)
        for number in range(replicas):
            self.await_answer(number)

    def address(self, number: int) -> str:
        return f"127.{self.prefix}.{self.third}.{number + 1}"

    def write(self, replicas: int) -> None:
        """The ConfigMaps of an installation of so many servers, as folders, and their names."""
        self.installation = installation(replicas)
        names = {
            f"{host.name}.{NAMESPACE}": [f"10.0.{self.third}.{host.replica + 1}"] for host in self.installation.hosts
        }
        state.write_json("names.json", names)
        for config_map in self.installation.config_maps():
            folder = self.folder / "maps" / config_map["metadata"]["name"]
            folder.mkdir(parents=True, exist_ok=True)
            for name, text in config_map["data"].items():
                state.write_text(folder / name, text)

    def start(self, number: int) -> None:
        host: Host = self.installation.hosts[number]
        maps = self.installation.stateful_set(host)["spec"]["template"]["spec"]["containers"][0]["volumeMounts"]
        volumes = {mount["mountPath"]: str(self.folder / "maps" / mount["name"]) for mount in maps}
        assert [path for path in volumes if not path.startswith(CONFIG_ROOT)] == []
        own = {f"CONFIGURATION_USERS_{user}_PASSWORD": password for user, password in PASSWORDS.items()}
        environment = {
            **os.environ,
            **own,
            "CLICKHOUSE_INTERNODE_CLUSTER_SECRET": "between-us",
            "HOSTNAME": host.pod,
            "SANDBOX_POD_IP": self.address(number),
            "SANDBOX_POD_NAMESPACE": NAMESPACE,
            "SANDBOX_NETWORK_PREFIX": str(self.prefix),
            "SANDBOX_LOW_PORTS": "1",
            "SANDBOX_VOLUMES": json.dumps({**volumes, DATA_PATH: str(self.folder / f"data-{number}")}),
            "PYTHONPATH": os.pathsep.join([str(REPOSITORY), str(REPOSITORY / "sandbox" / "pods" / "network")]),
        }
        with (self.folder / f"{number}.log").open("ab") as log:
            argv = [sys.executable, "-m", "sandbox.stores.clickhouse", "pod"]
            self.processes[number] = subprocess.Popen(
                argv, cwd=REPOSITORY, env=environment, stdout=log, stderr=log, start_new_session=True
            )

    def await_answer(self, number: int) -> None:
        def answers() -> bool:
            log = (self.folder / f"{number}.log").read_text()[-2000:]
            assert self.processes[number].poll() is None, log
            try:
                return requests.get(f"http://{self.address(number)}:8123/ping", timeout=5).text == "Ok.\n"
            except requests.RequestException:
                return False

        until(f"server {number} answers", answers)

    def stop(self, number: int) -> None:
        self.processes[number].send_signal(signal.SIGTERM)
        self.processes.pop(number).wait(SECONDS)

    def ask(self, number: int, statement: str, user: str = "langsmith") -> requests.Response:
        password = OPERATOR[1] if user == OPERATOR[0] else PASSWORDS.get(user.upper(), "")
        return requests.post(
            f"http://{self.address(number)}:8123/", data=statement.encode(), auth=(user, password), timeout=SECONDS
        )

    def rows(self, number: int, statement: str, user: str = "langsmith") -> Rows:
        answer = self.ask(number, f"{statement} FORMAT JSONCompactEachRow", user)
        if answer.status_code != 200:
            raise Refused(answer.text)
        return [json.loads(line) for line in answer.text.splitlines()]

    def client(self, number: int) -> ClickHouse:
        """LangSmith's way in, told of the cluster."""
        known = ("langsmith", PASSWORDS["LANGSMITH"], "default")
        return Client(self, Credentials(self.address(number), 8123, *known, tls=False, cluster="traces"))


class Client(ClickHouse):
    """LangSmith's client, which finds the addresses of names as pods do."""

    def __init__(self, cluster: Cluster, credentials: Credentials) -> None:
        super().__init__(credentials)
        self.cluster = cluster

    def replicas(self) -> list[ClickHouse]:
        found = [item.credentials.host for item in super().replicas()]
        numbers = [int(name.rpartition("-")[2]) for name in found]
        return [self.cluster.client(number) for number in numbers]


def until(what: str, condition: Callable[[], Any], seconds: float = SECONDS) -> Any:
    """Wait for it; a server that starts again meanwhile, or waits for another, is one that has not said so yet."""
    deadline = time.monotonic() + seconds
    while True:
        problem = ""
        try:
            if found := condition():
                return found
        except (requests.RequestException, Refused) as error:
            problem = str(error)
        assert time.monotonic() < deadline, f"{what}: not within {seconds:g} s {problem}"
        time.sleep(0.1)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Three servers with LangSmith's tables on them."""
    folder = tmp_path_factory.mktemp("cluster")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(state.FOLDER_VARIABLE, str(folder))
        made = Cluster(folder)
        patch.setenv("SANDBOX_NETWORK_PREFIX", str(made.prefix))
        try:
            made.begin(3)
            assert schema.migrate_clickhouse(made.client(0)) == 2
            yield made
        finally:
            for process in made.processes.values():
                process.send_signal(signal.SIGTERM)
            for process in made.processes.values():
                process.wait(SECONDS)


def counts(cluster: Cluster, table: str = "feedbacks") -> list[int]:
    return [cluster.rows(number, f"SELECT count() FROM {table}")[0][0] for number in sorted(cluster.processes)]  # noqa: S608


def add(cluster: Cluster, number: int, rows: int = 1) -> None:
    answer = cluster.ask(number, f"INSERT INTO feedbacks (id) SELECT generateUUIDv4() FROM numbers({rows})")  # noqa: S608
    assert answer.status_code == 200, answer.text


def equal(cluster: Cluster) -> bool:
    return len(set(counts(cluster))) == 1


def test_every_server_knows_the_others_by_the_names_of_their_services(cluster: Cluster) -> None:
    names = [host.name for host in cluster.installation.hosts]
    known = cluster.rows(0, "SELECT host_name FROM system.clusters WHERE cluster = 'traces' ORDER BY replica_num")
    assert known == [[name] for name in names]
    asked = "SELECT getMacro('replica') AS name, currentUser() FROM clusterAllReplicas('traces', system.one) ORDER BY 1"
    until("each one is reached", lambda: cluster.rows(1, asked) == [[name, "langsmith"] for name in names])


def test_settings_profiles_and_files_of_the_installation_are_in_force(cluster: Cluster) -> None:
    asked = "SELECT value FROM system.server_settings WHERE name = 'max_concurrent_queries'"
    assert cluster.rows(0, asked) == [["321"]]
    assert cluster.rows(0, "SELECT getMacro('zone'), getMacro('cluster')") == [["a", "traces"]]
    assert cluster.rows(0, "SELECT getSetting('wait_for_async_insert')") == [[False]]
    cluster.ask(0, "SYSTEM FLUSH LOGS")
    logs = "SELECT name, engine_full FROM system.tables WHERE database = 'system' AND name IN ('query_log', 'part_log')"
    found = cluster.rows(0, logs)
    assert [name for name, _ in found] == ["query_log"]
    assert "toIntervalDay(3)" in found[0][1]


def test_users_have_the_passwords_of_their_secrets_and_no_more_than_their_grants(cluster: Cluster) -> None:
    assert cluster.rows(0, "SELECT count() > 0 FROM system.parts", "checks") == [[1]]
    assert "ACCESS_DENIED" in cluster.ask(0, "SELECT * FROM default.runs", "checks").text
    assert "READONLY" in cluster.ask(0, "SET max_threads = 1", "checks").text
    assert cluster.rows(0, "SELECT 1", OPERATOR[0]) == [[1]]
    for user in ("default", "nobody", "sandbox_copier"):
        assert cluster.ask(0, "SELECT 1", user).status_code in {401, 403}


def test_a_cluster_that_is_not_there_is_not_migrated(cluster: Cluster) -> None:
    known = cluster.client(0).credentials
    wrong = ClickHouse(Credentials(known.host, 8123, known.user, known.password, "default", False, "other"))
    with pytest.raises(ClickHouseError, match="Requested cluster 'other' not found"):
        schema.migrate_clickhouse(wrong)


def test_what_is_inserted_on_one_server_is_on_all_of_them_once(cluster: Cluster) -> None:
    until("equal before", lambda: equal(cluster))
    before = counts(cluster)[0]
    for number in range(3):
        add(cluster, number, 10)
    until("the rows are everywhere", lambda: set(counts(cluster)) == {before + 30})


def test_a_server_that_was_away_gets_its_rows_when_it_is_back(cluster: Cluster) -> None:
    until("equal before", lambda: equal(cluster))
    before = counts(cluster)[0]
    total = len(cluster.processes)
    cluster.stop(2)
    add(cluster, 0, 5)
    until("the others have them", lambda: set(counts(cluster)) == {before + 5})
    until("one is missed", lambda: active(cluster) == [[total, total - 1]])
    cluster.start(2)
    cluster.await_answer(2)
    until("it caught up", lambda: counts(cluster) == [before + 5] * total)
    until("all are active", lambda: active(cluster) == [[total, total]])


def active(cluster: Cluster) -> Rows:
    """How many replicas the first server has, and how many it reaches."""
    return cluster.rows(0, "SELECT DISTINCT total_replicas, active_replicas FROM system.replicas", "checks")


def lag(cluster: Cluster, number: int) -> Rows:
    """How far a server's copy of a table is behind."""
    asked = "SELECT absolute_delay, queue_size, engine FROM system.replicas WHERE table = 'feedbacks'"
    return cluster.rows(number, asked, "checks")


def test_a_replica_that_falls_behind_says_so(cluster: Cluster) -> None:
    until("equal before", lambda: equal(cluster))
    engine = "ReplicatedReplacingMergeTree"
    level = [[0, 0, engine]]
    until("no delay", lambda: lag(cluster, 1) == level)
    cluster.ask(0, "SYSTEM STOP DISTRIBUTED SENDS sandbox_copies.feedbacks")
    try:
        add(cluster, 0)
        behind = until("a delay", lambda: (found := lag(cluster, 1))[0][0] >= 1 and found)
        assert behind[0][1:] == [1, engine]
        until("no delay of the other", lambda: lag(cluster, 0) == level)
    finally:
        cluster.ask(0, "SYSTEM START DISTRIBUTED SENDS sandbox_copies.feedbacks")
    until("no delay any more", lambda: lag(cluster, 1) == level)


def test_a_server_that_is_added_becomes_known_and_equal(cluster: Cluster) -> None:
    add(cluster, 0, 100)
    cluster.write(4)
    cluster.start(3)
    cluster.await_answer(3)
    *peers, own = (f"10.0.{cluster.third}.{number + 1}" for number in range(4))
    *others, name = (host.name for host in cluster.installation.hosts)
    known = dict(zip(others, peers, strict=True))
    until("the others know it", lambda: _equalised(name, own, known))
    until("it has their rows", lambda: equal(cluster))
    add(cluster, 3)
    add(cluster, 1)
    until("rows go both ways", lambda: equal(cluster))


def _equalised(name: str, own: str, peers: dict[str, str]) -> bool:
    try:
        return Tables().equal(name, own, peers, OPERATOR)
    except OSError:
        # One of them is reading its configuration again.
        return False
