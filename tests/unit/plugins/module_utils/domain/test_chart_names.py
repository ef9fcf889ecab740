# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.langsmith.aws.plugins.module_utils.domain.chart_names import fullname
from ansible_collections.langsmith.aws.plugins.module_utils.domain.probe.inside import counters_url


@pytest.mark.parametrize(
    ("release", "expected"),
    [
        ("langsmith", "langsmith"),
        ("langsmith-prod", "langsmith-prod"),
        ("acme", "acme-langsmith"),
        ("a" * 70, "a" * 63),
        ("a" * 62, "a" * 62),
        ("langsmith-" + "a" * 52 + "-b", "langsmith-" + "a" * 52),
    ],
)
def test_objects_are_named_after_a_release_that_says_langsmith_and_else_say_it_too(release: str, expected: str) -> None:
    assert fullname(release) == expected


def test_the_counters_are_asked_at_the_service_that_the_chart_makes() -> None:
    assert counters_url("acme", "tracing").startswith("http://acme-langsmith-platform-backend.tracing.svc:1986/")
