# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.langsmith.aws.plugins.modules import report

Run = Callable[..., dict[str, Any]]


def entry(status: str, **more: str) -> dict[str, str]:
    found = {
        "id": f"probe.{status}",
        "status": status,
        "component": "redis",
        "subject": "POST /runs",
        "observed": "seen <b>&\u0007 this",
        "expected": "that",
        "remedy": "" if status == "pass" else "do the other",
    }
    return {**found, **more}


NOTES = [{"title": "Pressure", "lines": ["Reads: none. <b>& " + "a rather long sentence " * 9, "Watch it."]}]
ALL = [entry(status) for status in ("pass", "warn", "unknown", "fail")]


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str]) -> Run:
    def module(check: bool = False, **options: Any) -> dict[str, Any]:
        arguments = {"subject": "acme-prod", "findings": ALL, **options, "_ansible_check_mode": check}
        with patch_module_args(arguments), pytest.raises(SystemExit):
            report.main()
        result: dict[str, Any] = json.loads(capfd.readouterr().out)
        return result

    return module


@pytest.mark.parametrize("form", ["json", "junit", "html", "text"])
def test_a_second_writing_of_the_same_findings_changes_nothing(run: Run, tmp_path: Path, form: str) -> None:
    path = tmp_path / f"report.{form}"
    assert run(path=str(path), format=form, timings={"auth": 0.5})["changed"]
    first = path.read_bytes()
    assert path.stat().st_mode & 0o777 == 0o640
    again = run(path=str(path), format=form, timings={"auth": 0.5})
    assert not again["changed"]
    assert path.read_bytes() == first
    assert run(path=str(path), format=form, timings={"auth": 0.6})["changed"]
    assert [item.name for item in tmp_path.iterdir()] == [path.name]


def test_a_changed_mode_is_mended(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    run(path=str(path))
    path.chmod(0o666)
    assert run(path=str(path))["changed"]
    assert path.stat().st_mode & 0o777 == 0o640


def test_check_mode_tells_the_change_and_writes_nothing(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    result = run(check=True, path=str(path))
    assert result["changed"]
    assert result["diff"]["before"] == ""
    assert json.loads(result["diff"]["after"])["subject"] == "acme-prod"
    assert not path.exists()


def test_json_holds_everything_that_was_given(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    stages = [{"name": "network", "seconds": 3.5}]
    run(path=str(path), title="Verification", timings={"auth": 0.5}, stages=stages, notes=NOTES)
    document = json.loads(path.read_text())
    assert document["title"] == "Verification"
    assert document["worst"] == "fail"
    assert document["counts"] == {"pass": 1, "warn": 1, "unknown": 1, "fail": 1}
    assert [finding["status"] for finding in document["findings"]] == ["pass", "warn", "unknown", "fail"]
    assert document["timings"] == {"auth": 0.5}
    assert document["stages"] == stages
    assert document["notes"] == NOTES


def test_junit_shows_unknown_as_an_error_and_never_as_passed(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "report.xml"
    run(path=str(path), format="junit")
    root = ElementTree.fromstring(path.read_bytes())  # noqa: S314
    assert (root.get("tests"), root.get("failures"), root.get("errors")) == ("4", "1", "1")
    inside = [[child.tag for child in case] for case in root.iter("testcase")]
    assert inside == [[], ["system-out"], ["error"], ["failure"]]
    failure = root.find(".//failure")
    assert failure is not None
    assert failure.text == "observed: seen <b>&\ufffd this\nexpected: that\nremedy: do the other"


def test_html_needs_nothing_else_escapes_and_follows_the_readers_light_or_dark(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    run(path=str(path), format="html", stages=[{"name": "<network>", "seconds": 61}], notes=NOTES)
    text = path.read_text()
    assert "prefers-color-scheme:dark" in text
    assert "seen &lt;b&gt;&amp;" in text
    assert "<b>&" not in text
    assert "&lt;network&gt;" in text
    assert "http" not in text
    assert text.index("probe.fail") < text.index("probe.unknown") < text.index("probe.warn") < text.index("probe.pass")


def test_the_table_lists_every_finding_and_the_remedies_below(run: Run) -> None:
    text = run(timings={"visible": 1.234})["text"]
    lines = text.splitlines()
    assert lines[0] == "LangSmith on AWS: acme-prod"
    assert lines[1] == "FAIL (1 pass, 1 warn, 1 unknown, 1 fail)"
    assert lines[3].split() == ["STATUS", "COMPONENT", "FINDING", "OBSERVED"]
    assert [line.split()[0] for line in lines[5:9]] == ["PASS", "WARN", "UNKNOWN", "FAIL"]
    assert text.count("remedy:   do the other") == 3
    assert "visible  1.23" in text


def test_the_table_has_every_note_in_lines_that_a_terminal_shows(run: Run) -> None:
    text = run(notes=NOTES)["text"]
    assert "\nPRESSURE\n  - Reads: none. <b>&" in text
    assert text.rstrip().endswith("\n  - Watch it.")
    assert max(len(line) for line in text.splitlines()) <= 120


def test_without_findings_the_worst_is_unknown(run: Run) -> None:
    result = run(findings=[])
    assert result["worst"] == "unknown"
    assert "nothing was looked at" in result["text"]


def test_a_long_observation_is_cut_in_the_table_and_whole_below(run: Run) -> None:
    words = " ".join(["word"] * 60)
    text = run(findings=[entry("fail", observed=words)])["text"]
    assert text.splitlines()[5].endswith("...")
    assert " ".join(text.split()).count("word") >= 60


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"findings": [entry("fail", remedy="")]}, "entry 1: finding probe.fail: a fail needs a remedy"),
        ({"findings": [entry("pass"), {"colour": "red"}]}, "entry 2 is no finding (colour)"),
        ({"findings": [{"id": "x"}]}, "findings: entry 1: "),
        ({"findings": [entry("fine")]}, "status 'fine' is none of"),
        ({"timings": {"auth": "soon"}}, "timings: auth is no number of seconds"),
        ({"notes": [{"title": "Pressure"}]}, "missing required arguments: lines found in notes"),
        ({"path": "/nowhere/at/all.json"}, "/nowhere/at/all.json cannot be written"),
    ],
)
def test_what_cannot_be_rendered_or_written_is_one_error(run: Run, options: dict[str, Any], complaint: str) -> None:
    result = run(**options)
    assert result["failed"]
    assert complaint in result["msg"]
