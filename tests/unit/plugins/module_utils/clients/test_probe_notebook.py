# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import socket
import threading

import pytest
from ansible_collections.langsmith.aws.plugins.module_utils.clients import probe_notebook
from ansible_collections.langsmith.aws.plugins.module_utils.clients.cluster_state import Cluster, Seen
from ansible_collections.langsmith.aws.plugins.module_utils.clients.langsmith import connect
from ansible_collections.langsmith.aws.plugins.module_utils.clients.probe_notebook import Notebook
from ansible_collections.langsmith.aws.plugins.module_utils.domain.endpoint import Place
from ansible_collections.langsmith.aws.plugins.module_utils.domain.langsmith import parse_endpoint
from ansible_collections.langsmith.aws.plugins.module_utils.domain.probe.evidence import Evidence


def test_a_cluster_that_does_not_answer_is_given_up_with_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe_notebook, "LOOK_SECONDS", 0.1)
    over = threading.Event()

    def see() -> Seen:
        over.wait()
        return Seen({})

    def dial(host: str, port: int, timeout: float) -> socket.socket:
        raise AssertionError("nothing may be dialled")

    url = "http://langsmith.test"
    cluster = Cluster("acme", dial, see, lambda: None)
    notes = Notebook(connect(parse_endpoint(url), {}, {}), Evidence(Place(url, "langsmith.test:80")), cluster)
    notes.begin_looking_inside()
    notes.look_inside()
    notes.sample(times=True)
    notes.look_inside()
    over.set()
    assert notes.evidence.cluster_reason == "the cluster did not answer within 0.1 s"
    assert notes.evidence.queue == ()
