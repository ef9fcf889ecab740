# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests of the AWS modules share: stubbed clients, options with their defaults, a clock that does not wait."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import boto3
import pytest
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.module_utils.testing import patch_module_args
from ansible_collections.langsmith.aws.plugins.module_utils.clients.waiting import Clock, Waiter
from botocore.stub import Stubber

REGION = "us-east-1"
KEYS = {"aws_access_key_id": "testing", "aws_secret_access_key": "testing-secret"}
# The stubs of boto3 know a client by the literal name of its service only.
make_client: Callable[..., Any] = boto3.client


@contextmanager
def stubbed(service: str) -> Iterator[tuple[Any, Stubber]]:
    """A real client whose answers are scripted; leaving it checks that all of them were asked for."""
    client = make_client(service, region_name=REGION, **KEYS)
    with Stubber(client) as stub:
        yield client, stub
        stub.assert_no_pending_responses()


def options_of(module: ModuleType, **given: Any) -> dict[str, Any]:
    """The options of a module with types and defaults, as Ansible gives them."""
    result = ArgumentSpecValidator(module.argument_spec()).validate(given)
    assert not result.error_messages
    return dict(result.validated_parameters)


@dataclass
class Time:
    """A clock whose sleeping takes no time; ``slept`` holds each sleep in seconds."""

    seconds: float = 0.0
    slept: list[float] = field(default_factory=list)

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.seconds += seconds

    def clock(self) -> Clock:
        """The clock, as waiting takes it."""
        return Clock(lambda: self.seconds, self.sleep)


def waiter(timeout_s: float = 100, interval_s: float = 10, time: Time | None = None) -> Waiter:
    """A waiter on a clock that does not wait."""
    return Waiter(timeout_s, interval_s, (time or Time()).clock())


Run = Callable[..., dict[str, Any]]


def runner(endpoint: str, capfd: pytest.CaptureFixture[str]) -> Run:
    """Runs the ``main`` of a module against an endpoint and returns what it printed."""

    def run(module: ModuleType, check: bool = False, **options: Any) -> dict[str, Any]:
        connection = {
            "region": REGION,
            "endpoint_url": endpoint,
            "access_key": "testing",
            "secret_key": "testing-secret",
        }
        arguments = {**connection, **options, "_ansible_check_mode": check, "_ansible_diff": True}
        capfd.readouterr()
        with patch_module_args(arguments), pytest.raises(SystemExit):
            module.main()
        result: dict[str, Any] = json.loads(capfd.readouterr().out)
        return result

    return run


def four_steps(run: Run, module: ModuleType, **options: Any) -> list[dict[str, Any]]:
    """Check, do, check again, do again; asserts that they say changed, changed, unchanged, unchanged."""
    results = [run(module, check=check, **options) for check in (True, False, True, False)]
    told = [result.get("msg") or result["changed"] for result in results]
    assert told == [True, True, False, False]
    return results
