# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the trace probe sees of an installation's workloads through a real API server."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from ansible_collections.langsmith.aws.plugins.module_utils.clients import cluster_state
from ansible_collections.langsmith.aws.plugins.module_utils.clients.cluster_state import connect
from ansible_collections.langsmith.aws.plugins.module_utils.domain.probe.evidence import Workload

from sandbox import cli, state
from sandbox.controlplane import launch
from sandbox.controlplane.client import Client

pytestmark = pytest.mark.sandbox

NAMESPACE = "tracing"


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """A control plane of its own, without a node."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(state.FOLDER_VARIABLE, str(tmp_path_factory.mktemp("state")))
        patch.delenv(state.SETTINGS_VARIABLE, raising=False)
        try:
            launch.start()
            yield Client()
        finally:
            cli.stop()


def deploy(api: Client, name: str, replicas: int) -> None:
    labels = {"app": name}
    spec = {
        "replicas": replicas,
        "selector": {"matchLabels": labels},
        "template": {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "main", "image": "any"}]}},
    }
    body = {"metadata": {"name": name}, "spec": spec}
    api.post(f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments", body)


def test_deployments_without_a_ready_pod_are_seen_as_down(api: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster_state, "TIMEOUT_S", 60.0)
    api.post("/api/v1/namespaces", {"metadata": {"name": NAMESPACE}})
    deploy(api, "acme-langsmith-ingest-queue", 2)
    deploy(api, "other-backend", 1)
    cluster = connect(str(launch.folder() / "admin.kubeconfig"), NAMESPACE, "acme")
    try:
        cluster.look()
        sample = cluster.sample(0.0)
    finally:
        cluster.close()
    assert (cluster.workloads, cluster.reason) == ({"ingest-queue": Workload(0, 2)}, "")
    assert "acme-langsmith-platform-backend" in sample.reason
