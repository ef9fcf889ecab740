# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json

import pytest
from ansible_collections.langsmith.aws.plugins.module_utils.domain import ingress

PREFIX = "alb.ingress.kubernetes.io/"


def made_with(**more: object) -> dict[str, str]:
    given = {
        "certificate_arn": "arn:c",
        "scheme": "internal",
        "healthcheck_path": "/health",
        "tags": {"b": "2", "a": "1"},
    }
    return ingress.load_balancer_annotations("acme", **{**given, **more})  # type: ignore[arg-type]


def test_plain_http_is_only_redirected_and_every_ingress_joins_the_group_of_the_installation() -> None:
    made = made_with()
    assert json.loads(made[PREFIX + "listen-ports"]) == [{"HTTP": 80}, {"HTTPS": 443}]
    assert made[PREFIX + "ssl-redirect"] == "443"
    assert made[PREFIX + "group.name"] == "acme"
    assert made[PREFIX + "tags"] == "a=1,b=2"


@pytest.mark.parametrize(("arn", "there"), [("", False), ("arn:waf", True)])
def test_a_web_acl_is_named_only_where_there_is_one(arn: str, there: bool) -> None:
    assert (PREFIX + "wafv2-acl-arn" in made_with(web_acl_arn=arn)) is there


@pytest.mark.parametrize("tags", [{"a": "1,2"}, {"a=b": "1"}])
def test_a_tag_that_the_annotation_cannot_carry_is_refused(tags: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="neither ',' nor '='"):
        made_with(tags=tags)
