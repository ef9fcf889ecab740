# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stand-in for nginx's reading of its configuration: as much of the language as the chart's ConfigMap uses."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

TOKEN = re.compile(r"""\s*(?:#[^\n]*)?(?:("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|[{};]|(?:\$\{\w+\}|[^\s{};"'])+))?""")
SIZES = {"k": 1024, "m": 1024**2, "g": 1024**3}
# rewrite .. last starts the search for a location again, ten times at most.
MOST_REWRITES = 10


class ConfigurationError(Exception):
    """The configuration cannot be read."""


@dataclass
class Directive:
    """One line, or one block with what is in it."""

    name: str
    arguments: list[str]
    line: int
    block: list[Directive] = field(default_factory=list)

    def all(self, name: str) -> list[Directive]:
        """The directives of a name inside the block."""
        return [found for found in self.block if found.name == name]

    def value(self, name: str, default: str) -> str:
        """The first argument of a directive inside the block."""
        found = self.all(name)
        return found[0].arguments[0] if found else default


@dataclass(frozen=True)
class Outcome:
    """What nginx does with a request: pass it on, answer by itself, or serve the UI's files."""

    kind: str
    uri: str = ""
    upstream: str = ""
    status: int = 200
    text: str = ""
    logged: bool = True


def parse(text: str) -> list[Directive]:
    """The directives of a configuration; ConfigurationError names the line that is wrong."""
    stack: list[list[Directive]] = [[]]
    words: list[str] = []
    position = 0
    while position < len(text):
        match = TOKEN.match(text, position)
        if match is None or match.end() == position:
            raise ConfigurationError(f"unexpected {text[position]!r} in line {text.count(chr(10), 0, position) + 1}")
        position = match.end()
        token = match[1]
        if token is None:
            continue
        if token not in {"{", "}", ";"}:
            words.append(token[1:-1] if token[0] in "\"'" else token)
            continue
        line = text.count("\n", 0, match.start(1)) + 1
        _close(token, words, stack, line)
        words = []
    if len(stack) != 1 or words:
        raise ConfigurationError('unexpected end of file, expecting ";" or "}"')
    return stack[0]


def _close(token: str, words: list[str], stack: list[list[Directive]], line: int) -> None:
    if token == "}":  # noqa: S105  (a token of the language, no password)
        if words or len(stack) == 1:
            raise ConfigurationError(f'unexpected "}}" in line {line}')
        stack.pop()
        return
    if not words:
        raise ConfigurationError(f'unexpected "{token}" in line {line}')
    found = Directive(words[0], words[1:], line)
    stack[-1].append(found)
    if token == "{":  # noqa: S105
        stack.append(found.block)


def size(text: str) -> int:
    """A size in bytes: 25M, 512k, 0."""
    return int(text[:-1]) * SIZES[text[-1].lower()] if text[-1:].lower() in SIZES else int(text)


def upstreams(directives: list[Directive]) -> list[tuple[str, int]]:
    """Every host:port that requests are passed to, with the line that says so."""
    found = []
    for directive in directives:
        if directive.name == "proxy_pass":
            found.append((directive.arguments[0], directive.line))
        found += upstreams(directive.block)
    return found


def locate(server: Directive, path: str) -> Directive | None:
    """The location of a server that a path falls into, by nginx's order: exact, longest prefix, first pattern."""
    best: Directive | None = None
    patterns = []
    for found in server.all("location"):
        modifier, target = found.arguments if len(found.arguments) == 2 else ("", found.arguments[0])
        if modifier == "=" and path == target:
            return found
        if modifier in {"~", "~*"}:
            patterns.append((target, re.IGNORECASE if modifier == "~*" else 0, found))
        elif (
            modifier in {"", "^~"}
            and path.startswith(target)
            and len(target) >= len(best.arguments[-1] if best else "")
        ):
            best = found
    if best is None or best.arguments[0] != "^~":
        for target, flags, found in patterns:
            if re.search(target, path, flags):
                return found
    return best


def route(server: Directive, method: str, path: str, query: str, host: str) -> Outcome:
    """What a server does with a request; `path` as the client sent it."""
    uri = path
    for _ in range(MOST_REWRITES):
        location = locate(server, uri)
        if location is None:
            return Outcome("files", uri)
        variables = {"host": host, "request_uri": path + (f"?{query}" if query else ""), "uri": uri}
        outcome = _inside(location, method, uri, variables)
        if isinstance(outcome, Outcome):
            return outcome
        uri = outcome
    return Outcome("answer", uri, status=500)


def _inside(location: Directive, method: str, uri: str, variables: dict[str, str]) -> Outcome | str:
    """The outcome of a location, or the address to search a location for again."""
    logged = location.value("access_log", "on") != "off"
    for directive in _flattened(location.block, method):
        if directive.name == "return":
            status = int(directive.arguments[0])
            return Outcome(
                "answer", uri, status=status, text=_filled(directive.arguments[1:], variables), logged=logged
            )
        if directive.name == "rewrite":
            changed = _rewritten(directive.arguments, uri)
            how = directive.arguments[2] if len(directive.arguments) > 2 else "last"
            if changed is None:
                continue
            if how in {"permanent", "redirect"}:
                return Outcome("answer", uri, status=301 if how == "permanent" else 302, text=changed)
            if how == "last":
                return changed
            uri = changed
            break
    target = location.value("proxy_pass", "")
    if target:
        return Outcome("proxy", uri, upstream=target)
    return Outcome("files" if not location.all("stub_status") else "answer", uri, logged=logged)


def _flattened(block: list[Directive], method: str) -> list[Directive]:
    """A block with the `if ($request_method = ..)` blocks that hold opened up."""
    found = []
    for directive in block:
        if directive.name != "if":
            found.append(directive)
        elif " ".join(directive.arguments) == f"($request_method = {method})":
            found += directive.block
    return found


def _rewritten(arguments: list[str], uri: str) -> str | None:
    match = re.search(arguments[0], uri)
    if match is None:
        return None
    return re.sub(r"\$(\d)", lambda number: match[int(number[1])] or "", arguments[1]) or "/"


def _filled(words: list[str], variables: dict[str, str]) -> str:
    return re.sub(r"\$(\w+)", lambda name: variables.get(name[1], ""), " ".join(words))
