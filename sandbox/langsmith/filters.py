# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stand-in for LangSmith's filter language: and/or/not, comparisons, has(tags, ..) and search over a run's columns."""

from __future__ import annotations

import json
import re
from typing import Any

from sandbox.langsmith.environment import flag
from sandbox.langsmith.web import HttpError

TOKEN = re.compile(r'\s*("(?:[^"\\]|\\.)*"|[A-Za-z_][\w.]*|-?\d+(?:\.\d+)?|[(),])')
COMPARISONS = {"eq": "=", "neq": "!=", "gt": ">", "gte": ">=", "lt": "<", "lte": "<="}
COLUMNS = {
    "id": "toString(id)",
    "trace_id": "toString(trace_id)",
    "parent_run_id": "toString(parent_run_id)",
    "name": "name",
    "run_type": "run_type",
    "status": "status",
    "start_time": "start_time",
    "end_time": "end_time",
    "is_root": "is_root",
    "error": "error",
    "total_tokens": "total_tokens",
    "latency": "dateDiff('millisecond', start_time, end_time) / 1000",
}


class _Parser:
    def __init__(self, text: str) -> None:
        self.tokens, position = [], 0
        while position < len(text.rstrip()):
            match = TOKEN.match(text, position)
            if match is None:
                raise _refused(text[position:])
            self.tokens.append(match[1])
            position = match.end()
        self.position = 0
        self.parameters: dict[str, object] = {}

    def take(self, wanted: str = "") -> str:
        if self.position >= len(self.tokens) or (wanted and self.tokens[self.position] != wanted):
            raise _refused(" ".join(self.tokens[self.position :]) or "end of text")
        self.position += 1
        return self.tokens[self.position - 1]

    def expression(self) -> str:
        name = self.take()
        self.take("(")
        if name in {"and", "or", "not"}:
            inner = [self.expression()]
            while self.tokens[self.position : self.position + 1] == [","]:
                self.take(",")
                inner.append(self.expression())
            self.take(")")
            return f"NOT ({inner[0]})" if name == "not" else "(" + f" {name.upper()} ".join(inner) + ")"
        if name == "search":
            return self.search()
        column = self.take()
        self.take(",")
        value = self.value()
        self.take(")")
        if name == "has" and column == "tags":
            return f"has(tags, {value})"
        if name in COMPARISONS and column in COLUMNS:
            return f"{COLUMNS[column]} {COMPARISONS[name]} {value}"
        raise _refused(f"{name}({column}, ..)")

    def search(self) -> str:
        # clickhouse.external.hybrid turns it off, as payloads are not in ClickHouse then.
        if not flag("FF_CH_SEARCH_ENABLED", default=True):
            raise HttpError(400, {"detail": "Full-text search is not enabled"})
        value = self.value()
        self.take(")")
        return f"(positionCaseInsensitive(inputs, {value}) > 0 OR positionCaseInsensitive(outputs, {value}) > 0)"

    def value(self) -> str:
        word = self.take()
        if word in {"true", "false", "null"}:
            return word.upper()
        if word.startswith('"'):
            parameter = f"f{len(self.parameters)}"
            self.parameters[parameter] = json.loads(word)
            return f"{{{parameter}:String}}"
        return str(float(word))


def _refused(text: str) -> HttpError:
    return HttpError(400, {"detail": f"Invalid filter near: {text}"})


def condition(text: str) -> tuple[str, dict[str, Any]]:
    """A filter as an SQL condition and its parameters; HttpError 400 when it is not understood."""
    parser = _Parser(text)
    try:
        found = parser.expression()
    except ValueError as exc:
        raise _refused(text) from exc
    if parser.position != len(parser.tokens):
        raise _refused(" ".join(parser.tokens[parser.position :]))
    return found, parser.parameters
