# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import base64
import html
import json
from urllib.parse import quote, quote_plus

import pytest
from ansible_collections.langsmith.aws.plugins.module_utils.domain.answers import Observed
from ansible_collections.langsmith.aws.plugins.module_utils.domain.langsmith import (
    blank,
    key_headers,
    may_have_written,
)

BASIC = base64.b64encode(b"admin@example.org:open sesame").decode()


@pytest.mark.parametrize(
    ("headers", "told", "left"),
    [
        (key_headers("lsv2_sk_1"), "key lsv2_sk_1, again lsv2_sk_1", "key ********, again ********"),
        ({"X-API-Key": "lsv2_sk_1"}, "lsv2_sk_1", "********"),
        (key_headers("lsv2_sk_1", "tenant-1"), "tenant-1 is unknown", "tenant-1 is unknown"),
        ({"Authorization": "Bearer ey.J.z"}, "no such token: Bearer ey.J.z", "no such token: Bearer ********"),
        ({"authorization": f"Basic {BASIC}"}, f"{BASIC} is no login", "******** is no login"),
        ({"Authorization": f"Basic {BASIC}"}, "not 'open sesame'", "not '********'"),
        ({"Authorization": "Basic " + base64.b64encode(b"admin:").decode()}, "nothing", "nothing"),
        ({}, "nothing", "nothing"),
        ({"Accept": "application/json"}, "application/json", "application/json"),
    ],
)
def test_what_proves_the_caller_is_blanked_and_nothing_else(headers: dict[str, str], told: str, left: str) -> None:
    assert blank(told, headers) == left


@pytest.mark.parametrize(
    ("status", "phase", "may"),
    [
        (201, "", True),
        (409, "", True),
        (500, "", True),
        (504, "", True),
        (None, "http", True),
        (None, "tcp", False),
        (None, "tls", False),
        (301, "", False),
        (403, "", False),
        (429, "", False),
    ],
)
def test_a_write_may_be_done_unless_something_says_that_it_is_not(status: int | None, phase: str, may: bool) -> None:
    assert may_have_written(Observed("project", "POST /sessions", status, phase=phase)) is may


#: Every kind of character that somebody escapes: quotes, markup, separators of addresses, and what is not ASCII.
WORD = "pä\"s/s'<w&o\\r d€😀"


def _as_latin_1(text: str) -> str:
    return text.encode().decode("latin-1")


def _as_json(text: str) -> str:
    return json.dumps(text)[1:-1]


@pytest.mark.parametrize(
    "echo",
    [
        WORD,
        _as_latin_1(WORD),
        _as_json(WORD),
        _as_json(_as_json(WORD)),
        _as_json(_as_latin_1(WORD)),
        json.dumps(WORD, ensure_ascii=False)[1:-1],
        _as_json(WORD).replace("/", r"\/").replace("<", r"\u003C").replace("&", r"\u0026").replace("'", r"\u0027"),
        html.escape(WORD),
        html.escape(WORD).replace("&#x27;", "&#39;").replace("&quot;", "&#34;"),
        html.escape(WORD).replace("&#x27;", "&apos;").replace("ä", "&auml;").replace("€", "&#8364;"),
        html.escape(html.escape(WORD)),
        quote(WORD, safe=""),
        quote(WORD, safe="/'").lower(),
        quote_plus(WORD),
        "pä\"s/s'<w&o\\r d€".encode("cp1252").decode("utf-8", "replace") + "\ufffd",
    ],
)
def test_a_password_of_clickhouse_is_blanked_however_it_comes_back(echo: str) -> None:
    headers = {"X-ClickHouse-User": "reader", "X-ClickHouse-Key": _as_latin_1(WORD)}
    assert blank(f"reader said '{echo}' to us", headers) == "reader said '********' to us"


def test_of_two_secrets_where_one_begins_the_other_the_longer_goes_whole() -> None:
    assert blank("is secret-more", {"X-ClickHouse-Key": "secret", "x-api-key": "secret-more"}) == "is ********"


def test_without_a_password_nothing_is_blanked() -> None:
    assert blank("nothing", {"X-ClickHouse-Key": ""}) == "nothing"
