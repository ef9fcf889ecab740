# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from ansible_collections.langsmith.aws.plugins.module_utils.domain.errors import RefusedError
from ansible_collections.langsmith.aws.plugins.module_utils.domain.load.measured import Measured
from ansible_collections.langsmith.aws.plugins.module_utils.domain.load.options import Settings, Target
from ansible_collections.langsmith.aws.plugins.module_utils.shell.load import LOAD_OPTIONS, plan, run

URL = "https://langsmith.example.org"
SEED = "000000000001-000000002"


def params(**options: Any) -> dict[str, Any]:
    defaults = {name: spec.get("default") for name, spec in LOAD_OPTIONS.items()}
    load = {**defaults, "inventory": [URL], "rate": 10.0, "duration": 5.0, "seed": SEED, **options}
    connection = {"connect_to": None, "ca_file": None, "timeout": 30.0, "connect_timeout": 10.0}
    return {"endpoint": URL, "load": load, "keep": True, **connection}


class Sender:
    """Sends nothing and reports a load that went well."""

    def __init__(self) -> None:
        self.given: tuple[Target, Settings] | None = None

    def __call__(self, target: Target, load: Settings, *, say: Callable[[str], None] | None) -> Measured:
        self.given = (target, load)
        if say is not None:
            say("sending")
        return measured(load.index)


def measured(index: int = 0) -> Measured:
    counts = {"traces": 25, "sent": 125, "accepted": 125, "visible": 125}
    return Measured(began=1.0 + index, offered_rate=10.0, runs_per_trace=5, sending=5.0, complete=True, **counts)  # type: ignore[arg-type]


def test_a_load_is_planned_without_sending() -> None:
    found = plan(params())
    assert (found["traces"], found["runs"], found["seed"]) == (50, 250, SEED)


@pytest.mark.parametrize("call", [plan, lambda given: run(given, {}, Sender())])
def test_an_endpoint_outside_the_inventory_is_refused(call: Callable[[dict[str, Any]], Any]) -> None:
    with pytest.raises(RefusedError, match="may not be loaded"):
        call(params(inventory=["https://other.example.org"]))


@pytest.mark.parametrize("call", [plan, lambda given: run(given, {}, Sender())])
def test_a_search_that_has_no_room_for_its_first_step_is_refused(call: Callable[[dict[str, Any]], Any]) -> None:
    with pytest.raises(ValueError, match="10 traces/s for 5 s would exceed traces_max 40"):
        call(params(find_capacity=True, traces_max=40))


def test_what_will_be_sent_is_told_before_it_is() -> None:
    told: list[str] = []
    sender = Sender()
    found = run(params(), {"x-api-key": "k"}, sender, queue_url="http://queue", say=told.append)
    assert told.index("sending") == len(told) - 1
    assert "50 traces of 5 runs" in told[1]
    assert found["changed"] is True
    assert found["load"]["plan"]["url"] == URL
    assert sender.given is not None
    target, load = sender.given
    assert (target.authorization, target.queue_url, target.connection["timeout"]) == (
        {"x-api-key": "k"},
        "http://queue",
        30.0,
    )
    assert (load.rate, load.duration, load.keep) == (10.0, 5.0, True)


def test_a_load_that_sent_nothing_but_may_have_made_a_project_has_changed_something() -> None:
    def send(target: Target, load: Settings, *, say: Callable[[str], None] | None) -> Measured:
        return Measured(
            began=1.0, offered_rate=10.0, runs_per_trace=5, projects=[{"id": "1", "name": "a", "kept": False}]
        )

    assert run(params(), {"x-api-key": "k"}, send)["changed"] is True


def test_the_documented_options_are_the_options() -> None:
    import yaml
    from ansible_collections.langsmith.aws.plugins.doc_fragments.load import ModuleDocFragment

    described = yaml.safe_load(ModuleDocFragment.DOCUMENTATION)["options"]["load"]["suboptions"]
    assert list(described) == list(LOAD_OPTIONS)
    for name, spec in LOAD_OPTIONS.items():
        told = described[name]
        for key in ("type", "elements", "choices", "default", "required"):
            assert told.get(key) == spec.get(key), (name, key)
