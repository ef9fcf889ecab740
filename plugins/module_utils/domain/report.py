# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one place that renders findings: JSON, JUnit, HTML and a table for the terminal.

What is rendered depends on findings and times alone, with no clock, so that the same input gives the same bytes.
"""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from html import escape
from typing import Any
from xml.sax.saxutils import quoteattr

from ansible_collections.langsmith.aws.plugins.module_utils.domain import chart_svg
from ansible_collections.langsmith.aws.plugins.module_utils.domain.charts import Chart
from ansible_collections.langsmith.aws.plugins.module_utils.domain.finding import SEVERITY, Finding, Status, worst

#: Characters of the table's last column; the sentence is below in full wherever it matters.
_OBSERVED_WIDTH = 76

#: What XML 1.0 cannot hold at all, not even escaped.
_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True)
class Report:
    """What is rendered.

    ``timings`` are seconds of a check's stages, ``stages`` (name, seconds) those of a run, ``notes`` (title, sentences)
    what a check says besides its findings.
    """

    title: str
    subject: str
    findings: tuple[Finding, ...]
    timings: Mapping[str, float] = field(default_factory=dict)
    stages: tuple[tuple[str, float], ...] = ()
    charts: tuple[Chart, ...] = ()
    notes: tuple[tuple[str, tuple[str, ...]], ...] = ()

    @property
    def worst(self) -> Status:
        """The worst status among the findings."""
        return worst(self.findings)

    @property
    def counts(self) -> dict[str, int]:
        """How many findings have each status, the best first."""
        return {status: sum(item.status == status for item in self.findings) for status in SEVERITY}


def parse_findings(documents: Sequence[Any]) -> tuple[Finding, ...]:
    """Findings out of dictionaries. Raises ``ValueError`` saying which one is none."""
    names = {entry.name for entry in fields(Finding)}
    found = []
    for number, document in enumerate(documents, 1):
        if not isinstance(document, Mapping) or set(document) - names:
            extra = (
                ", ".join(sorted(map(str, set(document) - names))) if isinstance(document, Mapping) else "no dictionary"
            )
            raise ValueError(f"findings: entry {number} is no finding ({extra}); give the `findings` of a check")
        try:
            found.append(Finding(**{name: str(value) for name, value in document.items()}))  # type: ignore[arg-type]
        except (TypeError, ValueError) as error:
            raise ValueError(f"findings: entry {number}: {error}") from error
    return tuple(found)


def parse_times(document: Mapping[str, Any]) -> dict[str, float]:
    """Seconds by name. Raises ``ValueError`` naming the entry that is no number."""
    times = {}
    for name, value in document.items():
        try:
            times[str(name)] = float(value)
        except (TypeError, ValueError) as error:
            raise ValueError(f"timings: {name} is no number of seconds: {value!r}") from error
    return times


def render(report: Report, form: str) -> str:
    """The report as ``json``, ``junit``, ``html`` or ``text``, ending in a line break."""
    return {"json": as_json, "junit": as_junit, "html": as_html, "text": as_text}[form](report)


def as_json(report: Report) -> str:
    """An object with title, subject, verdict, counts, findings, timings, stages, charts and notes."""
    document = {
        "title": report.title,
        "subject": report.subject,
        "worst": report.worst,
        "counts": report.counts,
        "findings": [finding.to_dict() for finding in report.findings],
        "timings": dict(report.timings),
        "stages": [{"name": name, "seconds": seconds} for name, seconds in report.stages],
        "charts": [asdict(chart) for chart in report.charts],
        "notes": [{"title": title, "lines": list(lines)} for title, lines in report.notes],
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def as_junit(report: Report) -> str:
    """A test suite per component: fail is a failure, unknown an error, since nobody may take it for passed."""
    lines = ['<?xml version="1.0" encoding="UTF-8"?>']
    lines.append(f"<testsuites name={_attribute(f'{report.title}: {report.subject}')} {_tally(report.findings)}>")
    for component in dict.fromkeys(finding.component for finding in report.findings):
        suite = [finding for finding in report.findings if finding.component == component]
        lines.append(f"  <testsuite name={_attribute(component)} {_tally(suite)}>")
        lines += [line for finding in suite for line in _junit_case(finding)]
        lines.append("  </testsuite>")
    lines += _junit_times("timings", tuple(report.timings.items())) + _junit_times("stages", report.stages)
    lines.append("</testsuites>")
    return "\n".join(lines) + "\n"


def as_text(report: Report) -> str:
    """A table for the terminal, the remedies below it."""
    counts = ", ".join(f"{number} {status}" for status, number in report.counts.items() if number)
    lines = [f"{report.title}: {report.subject}", f"{report.worst.upper()} ({counts or 'nothing was looked at'})", ""]
    rows = [
        (item.status.upper(), item.component, item.id, _shortened(item.observed, _OBSERVED_WIDTH))
        for item in report.findings
    ]
    lines += _table(("STATUS", "COMPONENT", "FINDING", "OBSERVED"), rows)
    for finding in report.findings:
        if finding.status != "pass":
            lines += ["", f"{finding.status.upper()} {finding.id} ({finding.subject})"]
            lines += _indented("observed", finding.observed) + _indented("expected", finding.expected)
            lines += _indented("remedy", finding.remedy) + _indented("source", finding.source)
    for title, said in report.notes:
        lines += ["", title.upper(), *(line for sentence in said for line in _wrapped("  - ", "    ", sentence))]
    for heading, times in (("TIMINGS", tuple(report.timings.items())), ("STAGES", report.stages)):
        if times:
            lines += ["", *_table((heading, "SECONDS"), [(name, f"{seconds:.2f}") for name, seconds in times])]
    return "\n".join(lines) + "\n"


def as_html(report: Report) -> str:
    """One page that needs nothing else, light or dark as the reader's system is."""
    counts = "".join(
        f'<li class="{status}"><b>{number}</b> {status}</li>' for status, number in report.counts.items() if number
    )
    ordered = sorted(report.findings, key=lambda item: -SEVERITY.index(item.status))
    cards = "\n".join(_card(finding) for finding in ordered)
    charts = "".join(f"{chart_svg.draw(chart)}\n" for chart in report.charts)
    notes = "".join(_note(title, lines) for title, lines in report.notes)
    times = _times("Timings of the check", tuple(report.timings.items())) + _times("Stages of the run", report.stages)
    title = escape(f"{report.title}: {report.subject}")
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title}</title>
<style>{_STYLE}{chart_svg.STYLE if report.charts else ""}</style>
</head>
<body>
<header>
<h1>{escape(report.title)}</h1>
<p>{escape(report.subject)} <span class="badge {report.worst}">{report.worst}</span></p>
<ul class="counts">{counts}</ul>
</header>
<main>
{notes}{charts}{cards}
{times}</main>
</body>
</html>
"""


_STYLE = """
:root{--page:#fff;--ink:#1b1f24;--quiet:#57606a;--line:#d0d7de;--card:#f6f8fa;
--pass:#1a7f37;--warn:#8a5a00;--unknown:#6639ba;--fail:#b3261e}
@media(prefers-color-scheme:dark){:root{--page:#0f1317;--ink:#e6edf3;--quiet:#9aa4af;--line:#30363d;--card:#171c22;
--pass:#4ac26b;--warn:#e0a63a;--unknown:#b493f5;--fail:#ff7b72}}
*{box-sizing:border-box}
body{margin:0 auto;max-width:64rem;padding:1.5rem}
body{background:var(--page);color:var(--ink);font:1rem/1.5 system-ui,sans-serif}
h1{margin:0;font-size:1.5rem}h2{font-size:1.1rem;margin:2rem 0 .5rem}
header p{margin:.25rem 0;color:var(--quiet)}
.counts{display:flex;gap:1.25rem;list-style:none;margin:.5rem 0 1.5rem;padding:0}
.badge{border:1px solid;border-radius:1rem;padding:.05rem .6rem;font-weight:600}
.pass{color:var(--pass)}.warn{color:var(--warn)}.unknown{color:var(--unknown)}.fail{color:var(--fail)}
details{border:1px solid var(--line);border-left:.3rem solid currentColor;border-radius:.3rem;margin:.4rem 0}
details{background:var(--card)}
summary{cursor:pointer;padding:.5rem .75rem;display:flex;gap:.75rem;flex-wrap:wrap}
summary code,summary span{color:var(--ink)}summary b{min-width:5rem}
dl{margin:0;padding:0 .75rem .75rem;color:var(--ink);display:grid;grid-template-columns:6rem 1fr;gap:.25rem .75rem}
dt{color:var(--quiet)}dd{margin:0;overflow-wrap:anywhere}
table{border-collapse:collapse;width:100%}td,th{border-bottom:1px solid var(--line);padding:.3rem .5rem;text-align:left}
td+td,th+th{text-align:right;font-variant-numeric:tabular-nums}
"""


def _card(finding: Finding) -> str:
    rows = [
        (name, value)
        for name, value in (
            ("Subject", finding.subject),
            ("Observed", finding.observed),
            ("Expected", finding.expected),
            ("Remedy", finding.remedy),
            ("Source", finding.source),
        )
        if value
    ]
    body = "".join(f"<dt>{name}</dt><dd>{escape(value)}</dd>" for name, value in rows)
    opened = "" if finding.status == "pass" else " open"
    return (
        f'<details class="{finding.status}"{opened}><summary><b>{finding.status}</b>'
        f"<code>{escape(finding.id)}</code><span>{escape(finding.component)}</span></summary><dl>{body}</dl></details>"
    )


def _note(title: str, lines: Sequence[str]) -> str:
    sentences = "".join(f"<li>{escape(line)}</li>" for line in lines)
    return f"<h2>{escape(title)}</h2>\n<ul>{sentences}</ul>\n"


def _times(heading: str, times: Sequence[tuple[str, float]]) -> str:
    if not times:
        return ""
    rows = "".join(f"<tr><td>{escape(name)}</td><td>{seconds:.2f}</td></tr>" for name, seconds in times)
    return f"<h2>{heading}</h2>\n<table><tr><th>Stage</th><th>Seconds</th></tr>{rows}</table>\n"


def _junit_case(finding: Finding) -> list[str]:
    name = _attribute(f"{finding.id} {finding.subject}")
    opening = f"    <testcase classname={_attribute(finding.component)} name={name}"
    detail = f"observed: {finding.observed}\nexpected: {finding.expected}\nremedy: {finding.remedy}"
    if finding.status == "pass":
        return [opening + "/>"]
    if finding.status == "warn":
        return [opening + ">", f"      <system-out>{_text(f'warning: {detail}')}</system-out>", "    </testcase>"]
    element = "failure" if finding.status == "fail" else "error"
    message = _attribute(finding.observed)
    return [opening + ">", f"      <{element} message={message}>{_text(detail)}</{element}>", "    </testcase>"]


def _junit_times(name: str, times: Sequence[tuple[str, float]]) -> list[str]:
    if not times:
        return []
    rows = [f"      <property name={_attribute(stage)} value={_attribute(str(seconds))}/>" for stage, seconds in times]
    head = f"  <testsuite name={_attribute(name)} {_tally(())}>"
    return [head, "    <properties>", *rows, "    </properties>", "  </testsuite>"]


def _tally(findings: Sequence[Finding]) -> str:
    failures = sum(finding.status == "fail" for finding in findings)
    errors = sum(finding.status == "unknown" for finding in findings)
    return f'tests="{len(findings)}" failures="{failures}" errors="{errors}"'


def _attribute(value: str) -> str:
    return quoteattr(_NOT_XML.sub("\ufffd", value))


def _text(value: str) -> str:
    return escape(_NOT_XML.sub("\ufffd", value), quote=False)


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[column]) for row in (heads, *rows)) for column in range(len(heads))]
    lines = [heads, ["-" * width for width in widths], *rows]
    return ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]


def _shortened(value: str, limit: int) -> str:
    line = " ".join(value.split())
    return line if len(line) <= limit else line[: limit - 3] + "..."


def _indented(name: str, value: str) -> list[str]:
    return _wrapped(f"  {name + ':':<10}", " " * 12, value)


def _wrapped(first: str, others: str, value: str) -> list[str]:
    width = 116 - len(others)
    lines = textwrap.wrap(value, width, break_long_words=False, break_on_hyphens=False)
    return [(others if number else first) + line for number, line in enumerate(lines)]
