# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The pods behind the names of servers, as an API server on loopback knows them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from ansible_collections.langsmith.aws.plugins.module_utils.clients import pods
from ansible_collections.langsmith.aws.plugins.module_utils.clients.clickhouse import MAX_SERVERS
from ansible_collections.langsmith.aws.plugins.module_utils.clients.port_forward import PortForward
from ansible_collections.langsmith.aws.plugins.module_utils.domain.clickhouse.storage import Unread

from tests.unit.plugins.cluster import Cluster, cluster
from tests.unit.plugins.scripted import Authority


@pytest.fixture
def api(tmp_path: Path, authority: Authority) -> Iterator[Cluster]:
    """A cluster with the Services ``chi-0`` and, which leads to no pod of its own, ``elsewhere``."""
    with cluster(tmp_path, authority) as found:
        found.put("services", "chi-0", spec={"selector": {"app": "chi"}})
        found.put("services", "elsewhere", spec={})
        found.put("pods", "chi-0-0", status={"phase": "Running"})
        yield found


@pytest.fixture
def forward(api: Cluster) -> Iterator[PortForward]:
    with closing(PortForward(str(api.kubeconfig), "langsmith")) as found:
        yield found


def names(found: object) -> list[str]:
    assert isinstance(found, list | tuple), found
    return [pod["metadata"]["name"] for pod in found]


@pytest.mark.parametrize("host", ["chi-0", "chi-0.langsmith.svc.cluster.local", "chi-0-0", "chi-0-0.chi.langsmith.svc"])
def test_the_pods_of_a_service_or_a_pod_itself_are_read(forward: PortForward, host: str) -> None:
    found = pods.behind(forward, [f"{host}:8123"], "langsmith", 60)
    assert {server: names(of_it) for server, of_it in found.items()} == {f"{host}:8123": ["chi-0-0"]}


def test_a_service_without_a_selector_has_no_pods_of_its_own(forward: PortForward) -> None:
    assert pods.behind(forward, ["elsewhere:8123"], "langsmith", 60) == {"elsewhere:8123": ()}


def test_what_the_api_server_refuses_is_unread(api: Cluster, forward: PortForward) -> None:
    api.refuses["/pods"] = 403
    (found,) = pods.behind(forward, ["chi-0:8123"], "langsmith", 60).values()
    assert isinstance(found, Unread)
    assert "refuses the user" in found.message


@pytest.mark.parametrize("host", ["10.0.0.1", "", "fd00::1", "'evil.example.org/path'"])
def test_a_name_of_no_cluster_is_unread_or_has_no_pod(api: Cluster, forward: PortForward, host: str) -> None:
    (found,) = pods.behind(forward, [f"{host}:8123"], "langsmith", 60).values()
    assert isinstance(found, Unread) or names(found) in ([], ["chi-0-0"])
    assert not [path for path in api.asked if "/path" in path]


def test_a_silent_api_server_costs_its_timeout_once_for_all(api: Cluster, forward: PortForward) -> None:
    api.silent = True
    found = pods.behind(forward, [f"chi-{number}:8123" for number in range(5)], "langsmith", 0.3)
    assert all(isinstance(one, Unread) for one in found.values())
    assert len(found) == 5


def test_a_cluster_of_thousands_is_not_asked_whole(forward: PortForward) -> None:
    found = pods.behind(forward, [f"chi-{number}:8123" for number in range(100)], "langsmith", 60)
    assert len(found) == MAX_SERVERS
