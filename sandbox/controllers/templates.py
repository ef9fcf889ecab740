# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stand-in for the templates of External Secrets: the part of Go's text/template that reads keys and pipes functions.

`{{ .key }}`, `{{ index . "a-key" }}`, `{{ .key | urlquery }}`, `{{ printf "%s:%s" .a .b }}`, literals, parentheses and
the trimming `{{-` and `-}}`. Control structures and variables are refused as a parse error, never silently dropped.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from urllib.parse import quote_plus

_ACTION = re.compile(r"\{\{(-(?=\s))?(.*?)((?<=\s)-)?\}\}", re.DOTALL)
_TOKEN = re.compile(
    r"""\s*(?:(?P<string>"(?:[^"\\]|\\.)*"|`[^`]*`)|(?P<field>\.[A-Za-z_]\w*)|(?P<dot>\.)
    |(?P<number>-?\d+)|(?P<name>[A-Za-z_]\w*)|(?P<mark>[|()]))""",
    re.VERBOSE,
)
_KEYWORDS = {"if", "else", "end", "range", "with", "define", "template", "block", "break", "continue"}
Values = Mapping[str, str]


class TemplateError(Exception):
    """A template cannot be parsed or executed; the message is Go's, without the key it is about."""


def render(name: str, text: str, values: Values) -> str:
    """The text with its actions executed; `name` is the secret's key, for messages. Raises TemplateError."""
    try:
        return _render(name, text, values)
    except _ParseError as error:
        message = f"template: {name}:{error.line}: {error}"
        raise TemplateError(f"unable to parse template at key {name}: {message}") from error
    except _ExecuteError as error:
        message = f'template: {name}:{error.line}:{error.column}: executing "{name}" at {error}'
        raise TemplateError(f"unable to execute template at key {name}: {message}") from error


class _ParseError(Exception):
    line = 1


class _ExecuteError(Exception):
    line = 1
    column = 0


def _render(name: str, text: str, values: Values) -> str:
    pieces: list[str] = []
    position = 0
    trim = False
    for action in _ACTION.finditer(text):
        before = text[position : action.start()]
        before = before.lstrip() if trim else before
        pieces.append(before.rstrip() if action.group(1) else before)
        try:
            pieces.append(_text(_run(action.group(2), values)))
        except (_ParseError, _ExecuteError) as error:
            error.line = text.count("\n", 0, action.start()) + 1
            if isinstance(error, _ExecuteError):
                line_start = text.rfind("\n", 0, action.start()) + 1
                error.column = action.start() - line_start + 3
            raise
        position, trim = action.end(), bool(action.group(3))
    rest = text[position:]
    if "{{" in rest:
        raise _ParseError("unclosed action")
    return "".join([*pieces, rest.lstrip() if trim else rest])


def _run(source: str, values: Values) -> object:
    if source.strip().startswith("/*"):
        return ""
    tokens = list(_tokens(source))
    if not tokens:
        raise _ParseError("missing value for command")
    value, rest = _pipeline(tokens, values)
    if rest:
        raise _ParseError(f"unexpected {rest[0][1]!r} in command")
    return value


def _tokens(source: str) -> Iterator[tuple[str, str]]:
    position = 0
    while source[position:].strip():
        found = _TOKEN.match(source, position)
        if found is None:
            raise _ParseError(f"unexpected {source[position:].strip()[0]!r} in operand")
        kind = str(found.lastgroup)
        word = found.group(kind)
        if kind == "name" and word in _KEYWORDS:
            raise _ParseError(f"the action {word!r} is not known to this stand-in")
        yield kind, word
        position = found.end()


Tokens = Sequence[tuple[str, str]]


def _pipeline(tokens: Tokens, values: Values) -> tuple[object, Tokens]:
    value, tokens = _command(tokens, values, ())
    while tokens and tokens[0][1] == "|" and tokens[0][0] == "mark":
        value, tokens = _command(tokens[1:], values, (value,))
    return value, tokens


def _command(tokens: Tokens, values: Values, piped: tuple[object, ...]) -> tuple[object, Tokens]:
    if not tokens:
        raise _ParseError("missing value for command")
    if tokens[0][0] != "name":
        if piped:
            raise _ParseError("non executable command in pipeline stage 2")
        return _operand(tokens, values)
    name, tokens = tokens[0][1], tokens[1:]
    arguments: list[object] = []
    while tokens and not (tokens[0][0] == "mark" and tokens[0][1] in "|)"):
        value, tokens = _operand(tokens, values)
        arguments.append(value)
    if name not in FUNCTIONS:
        raise _ParseError(f'function "{name}" not defined')
    try:
        return FUNCTIONS[name](*arguments, *piped), tokens
    except (TypeError, ValueError, KeyError) as error:
        raise _ExecuteError(f"<{name}>: error calling {name}: {error}") from error


def _operand(tokens: Tokens, values: Values) -> tuple[object, Tokens]:
    kind, word = tokens[0]
    if kind == "field":
        if word[1:] not in values:
            raise _ExecuteError(f'<{word}>: map has no entry for key "{word[1:]}"')
        return values[word[1:]], tokens[1:]
    if kind == "string":
        return (word[1:-1] if word[0] == "`" else json.loads(word)), tokens[1:]
    if kind == "number":
        return int(word), tokens[1:]
    if kind == "dot":
        return values, tokens[1:]
    if word == "(":
        value, rest = _pipeline(tokens[1:], values)
        if not rest or rest[0][1] != ")":
            raise _ParseError("unclosed left paren")
        return value, rest[1:]
    raise _ParseError(f'function "{word}" not defined' if kind == "name" else f"unexpected {word!r} in operand")


def _text(value: object) -> str:
    if isinstance(value, Mapping):
        return "map[" + " ".join(f"{key}:{value[key]}" for key in sorted(value)) + "]"
    return str(value)


def _index(values: Values, key: str) -> str:
    # Unlike a field, an index that is not there is the empty value in Go.
    return values.get(key, "")


def _printf(form: str, *arguments: object) -> str:
    return re.sub(r"%v", "%s", form) % tuple(arguments)


def _decode(value: object) -> str:
    return base64.b64decode(_text(value)).decode()


#: By name, as Go's text/template and sprig have them; the piped value is the last argument.
FUNCTIONS: dict[str, Callable[..., object]] = {
    "urlquery": lambda *values: quote_plus("".join(_text(value) for value in values)),
    "index": _index,
    "printf": _printf,
    "print": lambda *values: "".join(_text(value) for value in values),
    "toString": _text,
    "b64enc": lambda value: base64.b64encode(_text(value).encode()).decode(),
    "b64dec": _decode,
    "quote": lambda *values: " ".join(json.dumps(_text(value), ensure_ascii=False) for value in values),
    "squote": lambda *values: " ".join(f"'{_text(value)}'" for value in values),
    "upper": lambda value: _text(value).upper(),
    "lower": lambda value: _text(value).lower(),
    "trim": lambda value: _text(value).strip(),
    "trimSuffix": lambda suffix, value: _text(value).removesuffix(_text(suffix)),
    "trimPrefix": lambda prefix, value: _text(value).removeprefix(_text(prefix)),
    "replace": lambda old, new, value: _text(value).replace(_text(old), _text(new)),
    "default": lambda fallback, value="": value or fallback,
    "toJson": lambda value: json.dumps(value, separators=(",", ":")),
}
