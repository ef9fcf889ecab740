# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import base64
import hashlib
import re
from urllib.parse import quote, unquote, urlsplit

import pytest
from ansible_collections.langsmith.aws.plugins.module_utils.domain import secret
from ansible_collections.langsmith.aws.plugins.module_utils.domain.secret import Actual, Recipe, SecretError, Wanted

PASSWORD = Recipe("password", 32)


@pytest.mark.parametrize("length", [16, 17, 32, 128])
def test_a_password_fits_every_reader_of_it(length: int) -> None:
    for _time in range(200):
        value = secret.new_value(Recipe("password", length))
        assert len(value) == length
        assert not set(value) & set('/@" '), "RDS refuses these"
        assert set(re.sub(r"[A-Za-z0-9]", "", value)) <= set("!&#$^<>-"), "all that ElastiCache AUTH takes"
        assert re.search(r"[a-z]", value)
        assert re.search(r"[A-Z]", value)
        assert re.search(r"[0-9]", value)
        assert re.search(r"[!#$%()+,\-./:?@\[\\\]^_{~}]", value), "the LangSmith administrator's rule"
        assert urlsplit(f"redis://:{value}@host:6379/0").password == value, "stays whole in a URL without escaping"


@pytest.mark.parametrize(
    ("how", "pattern"),
    [
        (Recipe("hex", 64), r"[0-9a-f]{64}"),
        (Recipe("hex", 33), r"[0-9a-f]{33}"),
        (Recipe("base64url", 43), r"[A-Za-z0-9_-]{43}"),
        (Recipe("fernet", 44), r"[A-Za-z0-9_-]{43}="),
    ],
)
def test_a_generated_value_has_the_form_of_its_kind(how: Recipe, pattern: str) -> None:
    first, second = secret.new_value(how), secret.new_value(how)
    assert re.fullmatch(pattern, first)
    assert first != second
    assert secret.looks_generated(how, first)


def test_a_fernet_key_is_32_bytes() -> None:
    assert len(base64.urlsafe_b64decode(secret.new_value(Recipe("fernet", 44)))) == 32


@pytest.mark.parametrize(
    ("kind", "length", "told"),
    [
        ("password", 12, "16 to 128"),
        ("password", 129, "16 to 128"),
        ("fernet", 32, "44 to 44"),
        ("uuid", None, "none of password, hex, base64url, fernet"),
    ],
)
def test_a_recipe_that_cannot_be_made_is_refused_by_name(kind: str, length: int | None, told: str) -> None:
    with pytest.raises(SecretError, match=rf"generate\.token: .*{told}"):
        secret.recipe("token", kind, length)


def test_generated_values_are_kept_on_a_second_run() -> None:
    wanted = Wanted("s", generate={"password": PASSWORD})
    first = secret.contents(wanted, {})
    second = secret.contents(wanted, first.values)
    assert first.origins == {"password": "generated"}
    assert second.origins == {"password": "kept"}
    assert second.values == first.values


def test_a_longer_recipe_does_not_replace_a_stored_value() -> None:
    wanted = Wanted("s", generate={"password": Recipe("password", 64)})
    assert secret.contents(wanted, {"password": "short"}).values == {"password": "short"}


def test_keys_that_nobody_names_stay() -> None:
    assert secret.contents(Wanted("s", given={"a": "1"}), {"b": "2"}).values == {"a": "1", "b": "2"}


def test_a_composed_value_follows_what_it_is_made_of() -> None:
    compose = {"url": "{user}:{password:urlencoded}@{host}/db"}
    before = secret.contents(Wanted("s", given={"user": "u", "host": "h1", "password": "a/b @"}, compose=compose), {})
    assert before.values["url"] == "u:a%2Fb%20%40@h1/db"
    after = secret.contents(Wanted("s", given={"host": "h2"}, compose=compose), before.values)
    assert after.values["url"] == "u:a%2Fb%20%40@h2/db"
    assert after.origins == {"user": "kept", "password": "kept", "host": "changed", "url": "changed"}


@pytest.mark.parametrize("value", ["plain", "ü /@:%?#&=+", 'quote"\\', "{brace}"])
def test_an_escaped_value_comes_back_whole(value: str) -> None:
    assert unquote(secret.composed("url", "{v:urlencoded}", {"v": value})) == value == unquote(quote(value, safe=""))


def test_values_with_braces_are_not_read_as_templates() -> None:
    assert secret.composed("x", "{a}-{{literal}}", {"a": "{b}"}) == "{b}-{literal}"


@pytest.mark.parametrize(
    ("template", "told"),
    [
        ("{nope}", "has no nope"),
        ("{a:base64}", "neither"),
        ("{}", "neither"),
        ("{a", "neither"),
        ("{empty}", "empty is empty"),
    ],
)
def test_a_template_that_cannot_be_filled_is_an_error_without_values(template: str, told: str) -> None:
    with pytest.raises(SecretError, match=rf"compose\.url: .*{told}") as caught:
        secret.composed("url", template, {"a": "s3cr3t", "empty": ""})
    assert "s3cr3t" not in str(caught.value)


def test_composed_of_composed_is_refused() -> None:
    with pytest.raises(SecretError, match=r"compose\.b: uses a"):
        secret.contents(Wanted("s", given={"x": "1"}, compose={"a": "{x}", "b": "{a}"}), {})


@pytest.mark.parametrize(
    ("generate", "given", "compose"),
    [({"k": PASSWORD}, {"k": "1"}, {}), ({"k": PASSWORD}, {}, {"k": "x"}), ({}, {"k": "1"}, {"k": "x"})],
)
def test_one_key_from_two_places_is_refused(
    generate: dict[str, Recipe], given: dict[str, str], compose: dict[str, str]
) -> None:
    with pytest.raises(SecretError, match=r"k is in .* keep one"):
        secret.contents(Wanted("s", generate=generate, given=given, compose=compose), {})


@pytest.mark.parametrize("wanted", [{"given": {"salt": "new-value"}}, {"compose": {"salt": "new-value"}}])
def test_a_write_once_key_is_never_changed(wanted: dict[str, dict[str, str]]) -> None:
    asked = Wanted("s", write_once=frozenset({"salt"}), **wanted)  # type: ignore[arg-type]
    assert secret.contents(asked, {}).values == {"salt": "new-value"}
    assert secret.contents(asked, {"salt": "new-value"}).origins == {"salt": "kept"}
    with pytest.raises(SecretError, match="salt is write-once") as caught:
        secret.contents(asked, {"salt": "old-value"})
    assert "new-value" not in str(caught.value)
    assert "old-value" not in str(caught.value)


def test_only_values_that_cannot_be_guessed_are_hashed() -> None:
    wanted = Wanted(
        "s",
        generate={"password": PASSWORD, "weak": PASSWORD},
        given={"user": "u"},
        compose={"url": "{user}:{password}", "plain": "{user}@host"},
    )
    values = dict(secret.contents(wanted, {"weak": "admin"}).values)
    assert secret.hashes(wanted, values) == {
        "password": hashlib.sha256(values["password"].encode()).hexdigest(),
        "url": hashlib.sha256(f"u:{values['password']}".encode()).hexdigest(),
    }


def test_nothing_shown_or_printed_holds_a_value() -> None:
    wanted = Wanted("s", generate={"password": PASSWORD}, given={"license": "lsv2-license-value"})
    actual = Actual("s", "arn", "v1", values={"old": "old-secret-value"})
    want = secret.contents(wanted, actual.values or {})
    change = secret.plan(wanted, actual, want)
    shown = repr((wanted, actual, want, change, secret.before_and_after(wanted, actual, want, change)))
    for value in want.values.values():
        assert value not in shown


def test_the_diff_tells_key_by_key_how_a_value_came() -> None:
    wanted = Wanted("s", generate={"a": PASSWORD, "b": PASSWORD}, given={"c": "2"})
    actual = Actual("s", "arn", "v1", values={"a": "x" * 16, "c": "1"})
    want = secret.contents(wanted, actual.values or {})
    before, after = secret.before_and_after(wanted, actual, want, secret.plan(wanted, actual, want))
    assert before["keys"] == {"a": "kept", "c": "kept"}
    assert after["keys"] == {"a": "kept", "b": "generated", "c": "changed"}


@pytest.mark.parametrize(
    ("wanted", "actual", "same"),
    [
        ("alias/app", "arn:aws:kms:us-east-1:123456789012:alias/app", True),
        ("1234-abcd", "arn:aws:kms:us-east-1:123456789012:key/1234-abcd", True),
        ("arn:aws:kms:us-east-1:123456789012:key/1", "arn:aws:kms:us-east-1:123456789012:key/1", True),
        ("alias/aws/secretsmanager", "", True),
        ("alias/app", "", False),
        ("alias/app", "alias/other-app", False),
    ],
)
def test_a_kms_key_is_recognised_by_any_of_its_names(wanted: str, actual: str, same: bool) -> None:
    assert secret.same_key(wanted, actual) is same


def test_foreign_tags_are_removed_only_when_asked_and_never_those_of_aws() -> None:
    actual = Actual("s", "arn", tags={"a": "1", "b": "2", "aws:x": "3"}, values={})
    want = secret.contents(Wanted("s"), {})
    kept = secret.plan(Wanted("s", tags={"a": "9"}), actual, want)
    assert (kept.tags.put, kept.tags.remove) == ({"a": "9"}, ())
    purged = secret.plan(Wanted("s", tags={"a": "1"}, purge_tags=True), actual, want)
    assert (purged.tags.put, purged.tags.remove) == ({}, ("b",))
    assert not secret.plan(Wanted("s", tags=None, purge_tags=True), actual, want)


@pytest.mark.parametrize(("days", "force", "fine"), [
    (7, False, True), (30, False, True), (None, True, True), (None, False, False), (7, True, False), (6, False, False),
    (31, False, False),
])  # fmt: skip
def test_a_deletion_names_its_window_or_says_force(days: int | None, force: bool, fine: bool) -> None:
    if fine:
        secret.deletion(days, force)
        return
    with pytest.raises(SecretError, match="recovery_window_days"):
        secret.deletion(days, force)
