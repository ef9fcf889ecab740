# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import socket
import threading
from collections.abc import Callable

import pytest
from ansible_collections.langsmith.aws.plugins.module_utils.clients import langsmith, probe_notebook
from ansible_collections.langsmith.aws.plugins.module_utils.clients.cluster_state import Cluster, Seen
from ansible_collections.langsmith.aws.plugins.module_utils.clients.langsmith import connect
from ansible_collections.langsmith.aws.plugins.module_utils.clients.probe_notebook import Notebook
from ansible_collections.langsmith.aws.plugins.module_utils.domain.endpoint import Place
from ansible_collections.langsmith.aws.plugins.module_utils.domain.forwarding import DialError
from ansible_collections.langsmith.aws.plugins.module_utils.domain.langsmith import parse_endpoint
from ansible_collections.langsmith.aws.plugins.module_utils.domain.probe.evidence import Evidence

from tests.unit.plugins.leaping import Leaping


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


@pytest.mark.parametrize(("seconds", "samples"), [(5.0, 2), (0.1, 3)])
def test_a_queue_that_hangs_is_not_asked_again_between_polls(
    leaping: Callable[..., Leaping], seconds: float, samples: int
) -> None:
    clock = leaping(langsmith)

    def dial(host: str, port: int, timeout: float) -> socket.socket:
        clock.sleep(seconds)
        raise DialError("the port-forward was not answered", timed_out=True)

    url = "http://langsmith.test"
    cluster = Cluster("acme", dial, lambda: Seen({}), lambda: None)
    notes = Notebook(connect(parse_endpoint(url), {}, {}), Evidence(Place(url, "langsmith.test:80")), cluster)
    notes.sample()
    clock.sleep(60)
    notes.sample_now_and_then(notes.api.clock())
    notes.sample()
    assert len(notes.evidence.queue) == samples
