# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest

from sandbox.controllers.templates import TemplateError, render

VALUES = {"user": "me", "password": "p@ss word/1", "port": "5432", "with-dash": "d", "empty": ""}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", "plain"),
        ("{{ .user }}", "me"),
        (
            "{{.user}}:{{ .password | urlquery }}@db:{{ .port }}/x?sslmode=require",
            "me:p%40ss+word%2F1@db:5432/x?sslmode=require",
        ),
        ("{{ urlquery .password }}", "p%40ss+word%2F1"),
        ('{{ index . "with-dash" }}', "d"),
        ('{{ printf "%s:%s" .user .port }}', "me:5432"),
        ('{{ printf "%s" (.user | upper) | lower }}', "me"),
        ("{{ .user | b64enc }}", "bWU="),
        ('{{ .empty | default "other" }}', "other"),
        ("a {{- .user -}} b", "ameb"),
        ("{{/* a remark */}}x", "x"),
        ("{{ .user | quote }}", '"me"'),
    ],
)
def test_a_template_is_rendered_as_go_does(text: str, expected: str) -> None:
    assert render("key", text, VALUES) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "x{{ .absent }}",
            'unable to execute template at key url: template: url:1:4: executing "url" at <.absent>: '
            'map has no entry for key "absent"',
        ),
        ("{{ nothing .user }}", 'unable to parse template at key url: template: url:1: function "nothing" not defined'),
        ("\n{{ .user ", "unable to parse template at key url: template: url:1: unclosed action"),
        ("{{ if .user }}x{{ end }}", "the action 'if' is not known to this stand-in"),
    ],
)
def test_a_template_that_cannot_be_rendered_is_refused_in_gos_words(text: str, message: str) -> None:
    with pytest.raises(TemplateError) as found:
        render("url", text, VALUES)
    assert message in str(found.value)
    assert "p@ss" not in str(found.value)
