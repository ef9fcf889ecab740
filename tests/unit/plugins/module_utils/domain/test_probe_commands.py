# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The commands that decide, for each place where ClickHouse can be. The end-to-end tests run them."""

from __future__ import annotations

import re
import shlex

import botocore.session
import pytest
from ansible_collections.langsmith.aws.plugins.module_utils.domain.endpoint import ClickHouse, Place
from ansible_collections.langsmith.aws.plugins.module_utils.domain.probe import commands
from ansible_collections.langsmith.aws.plugins.module_utils.domain.probe.layers import LAYERS, command_of
from botocore import xform_name


def place(clickhouse: ClickHouse) -> Place:
    return Place("https://langsmith.test", "10.0.0.1:443", "tracing", "acme", clickhouse)


CHART = place(ClickHouse.of("acme", None))
REPLICATED = place(ClickHouse.of("acme", {"service": "clickhouse-langsmith", "cluster": "langsmith", "secret": None}))
OUTSIDE = place(ClickHouse.of("acme", {"service": "", "cluster": "traces", "secret": "langsmith-clickhouse"}))


def test_the_chart_s_own_clickhouse_is_named_after_the_release() -> None:
    asked = commands.stored(CHART, "id-of-root")
    assert asked.startswith("kubectl -n tracing port-forward service/acme-langsmith-clickhouse 8123 & ")
    assert "get secret acme-langsmith-clickhouse " in asked
    assert "where id = 'id-of-root'" in asked
    assert commands.clickhouse_log(CHART) == "kubectl -n tracing logs service/acme-langsmith-clickhouse --tail=100"


def test_every_replica_of_a_cluster_is_asked_how_far_it_is_behind() -> None:
    assert "port-forward service/clickhouse-langsmith " in commands.replicas(REPLICATED)
    assert "from clusterAllReplicas('langsmith', system.replicas)" in commands.replicas(REPLICATED)
    assert "from system.replicas" in commands.replicas(CHART)


def test_one_outside_of_the_cluster_is_asked_where_the_secret_says_that_it_is() -> None:
    for asked in (commands.stored(OUTSIDE, "x"), commands.replicas(OUTSIDE), commands.clickhouse_log(OUTSIDE)):
        assert "port-forward" not in asked
        assert "get secret langsmith-clickhouse " in asked
        assert ".data.clickhouse_host" in asked


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("where", [CHART, REPLICATED, OUTSIDE], ids=["single", "replicated", "outside"])
def test_no_command_takes_a_password_on_its_command_line(where: Place, layer: str) -> None:
    command = command_of(layer, where)
    assert "{place" not in command
    assert "-K -" in command or "password" not in command


def test_an_address_that_a_server_gave_is_one_word_for_a_shell() -> None:
    assert shlex.split(commands.reaches("https://a.test;reboot/$(reboot)"))[-1] == "https://a.test;reboot/"


def test_the_requests_that_a_firewall_blocked_are_asked_for_with_all_that_aws_wants() -> None:
    model = botocore.session.get_session().get_service_model("wafv2")
    asked = commands.blocked(CHART)
    operations = re.findall(r"aws wafv2 ([a-z-]+) ([^|;]*)", asked)
    assert [name for name, _rest in operations] == ["list-web-acls", "get-web-acl", "get-sampled-requests"]
    for name, rest in operations:
        shape = model.operation_model("".join(map(str.capitalize, name.split("-"))).replace("Acl", "ACL")).input_shape
        assert shape is not None
        wanted = {xform_name(member, "-") for member in shape.required_members}
        assert wanted <= set(re.findall(r"--([a-z-]+)", rest)), name
    assert "'langsmith.test'" in asked
