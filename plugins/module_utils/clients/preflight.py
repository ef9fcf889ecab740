# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks an account and the machine what the preflight rules want to know; what cannot be answered is a Problem."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

from ansible_collections.langsmith.aws.plugins.module_utils.clients import account, programs
from ansible_collections.langsmith.aws.plugins.module_utils.clients.aws import AwsCallError
from ansible_collections.langsmith.aws.plugins.module_utils.clients.secretsmanager import read_value
from ansible_collections.langsmith.aws.plugins.module_utils.domain.errors import ProjectError
from ansible_collections.langsmith.aws.plugins.module_utils.domain.preflight import machine_rules
from ansible_collections.langsmith.aws.plugins.module_utils.domain.preflight.facts import (
    ENABLED,
    Facts,
    Identity,
    Input,
    Problem,
    Quota,
    Tool,
    asks,
    secret_place,
)

T = TypeVar("T")
#: Makes a client of a service in a region. Raises ProjectError, for a profile that is not there say.
Connect = Callable[[str, str], Any]

#: Where an account is asked about itself, by the start of a region's name; every other region is in the first.
_HOME = {"": "us-east-1", "cn-": "cn-north-1", "us-gov-": "us-gov-west-1"}


def gather(
    connect: Connect,
    inputs: Sequence[Input],
    tools: Sequence[Tool],
    region: str | None,
    with_quotas: bool,
    timeout: float,
) -> Facts:
    """Ask the account and the machine, everything at the same time that does not need an answer of before."""
    with ThreadPoolExecutor(max_workers=16) as pool:
        found = [pool.submit(programs.find, tool, timeout) for tool in tools]
        home = _home(region)
        who = _answer(pool.submit(_ask, lambda: account.identity(connect("sts", home))))
        answers: dict[str, Any] = {}
        state: Any = None
        if isinstance(who, Identity) and region:
            state = _answer(pool.submit(_ask, lambda: account.region_state(connect("ec2", home), region)))
        if isinstance(who, Identity) and region and (state in ENABLED or isinstance(state, Problem)):
            answers = _regional(pool, inputs, region, connect, with_quotas)
        return Facts(
            region=region,
            identity=who,
            region_state=state,
            tools=[future.result() for future in found],
            **answers,
        )


def _home(region: str | None) -> str:
    return next((_HOME[start] for start in ("cn-", "us-gov-") if (region or "").startswith(start)), _HOME[""])


def _regional(
    pool: ThreadPoolExecutor, inputs: Sequence[Input], region: str, connect: Connect, with_quotas: bool
) -> dict[str, Any]:
    types = [str(name) for rule in ("instance_types", "other_instance_types") for name in asks(inputs, rule)]
    zone_names = {str(name) for name in asks(inputs, "hosted_zone")}
    places = {
        given.variable: place
        for given in inputs
        if given.rule == "license_secret" and not given.empty and (place := secret_place(given.value))
    }
    submit = pool.submit
    ec2 = _ask(lambda: connect("ec2", region))
    if isinstance(ec2, Problem):
        return {"zones": ec2, "types": ec2, "offers": ec2}
    zones = submit(_ask, lambda: account.zones(ec2))
    kinds = submit(_ask, lambda: account.instance_types(ec2, types)) if types else None
    offers = submit(_ask, lambda: account.offers(ec2, types)) if types else None
    hosted = {
        name: submit(_ask, lambda name=name: account.hosted_zones(connect("route53", region), name))
        for name in zone_names
    }
    secrets = {
        variable: submit(_ask, lambda place=place: _readable(connect("secretsmanager", region), *place))
        for variable, place in places.items()
    }
    quotas = _quotas(submit, ec2, lambda: connect("service-quotas", region)) if with_quotas else {}
    return {
        "zones": _answer(zones),
        "types": kinds and _answer(kinds),
        "offers": offers and _answer(offers),
        "hosted_zones": {name: _answer(future) for name, future in hosted.items()},
        "secrets": {variable: _answer(future) for variable, future in secrets.items()},
        "quotas": {code: _answer(future) for code, future in quotas.items()},
    }


def _quotas(submit: Callable[..., Future[Any]], ec2: Any, service_quotas: Callable[[], Any]) -> dict[str, Future[Any]]:
    in_use: dict[str, Callable[[Any], int]] = {
        machine_rules.VPC_QUOTA: account.vpcs_in_use,
        machine_rules.ADDRESS_QUOTA: account.addresses_in_use,
    }

    def one(code: str) -> Quota:
        service, name = machine_rules.QUOTAS[code]
        quota = account.quota(service_quotas(), service, code, name)
        used = float(in_use[code](ec2)) if code in in_use else None
        return Quota(quota.code, quota.name, quota.value, used)

    return {code: submit(_ask, lambda code=code: one(code)) for code in machine_rules.QUOTAS}


def _readable(client: Any, name: str, key: str | None) -> None:
    read_value(client, name, key)


def _ask(question: Callable[[], T]) -> T | Problem:
    try:
        return question()
    except AwsCallError as error:
        return Problem(_sentence(error), error.denied)
    except ProjectError as error:
        return Problem(_sentence(error))


def _sentence(error: ProjectError) -> str:
    """The message on one line: a proxy between us and AWS may answer with a page of HTML."""
    return textwrap.shorten(str(error), 300, placeholder=" ...")


def _answer(future: Future[T]) -> T:
    return future.result()
