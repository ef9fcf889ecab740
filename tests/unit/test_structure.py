# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rules that hold the project together: who imports whom, and what is said twice says the same."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
PLUGINS = ROOT / "plugins"
PACKAGE = "ansible_collections.langsmith.aws.plugins."
LAYERS = {
    "module_utils/domain": {"module_utils.domain"},
    "module_utils/clients": {"module_utils.domain", "module_utils.clients"},
    "module_utils/shell": {"module_utils.domain", "module_utils.shell"},
    "modules": {"module_utils.domain", "module_utils.clients", "module_utils.shell"},
    "filter": {"module_utils.domain"},
}
ROLES = sorted(path.name for path in (ROOT / "roles").iterdir())


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def load(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("layer", LAYERS)
def test_imports_go_one_way(layer: str) -> None:
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in (PLUGINS / layer).rglob("*.py")
        for name in imports(path)
        if name.startswith(PACKAGE) and not name.removeprefix(PACKAGE).startswith(tuple(LAYERS[layer]))
    ]
    assert wrong == []


def test_the_domain_needs_the_standard_library_only() -> None:
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in (PLUGINS / "module_utils/domain").rglob("*.py")
        for name in imports(path)
        if not name.startswith(PACKAGE + "module_utils.domain")
        and name.partition(".")[0] not in sys.stdlib_module_names
    ]
    assert wrong == []


def test_the_product_does_not_know_the_sandbox_and_the_sandbox_does_not_import_the_product() -> None:
    product = [
        path for folder in ("plugins", "roles", "playbooks") for path in (ROOT / folder).rglob("*") if path.is_file()
    ]
    knows = [
        str(path)
        for path in product
        if path.suffix in {".py", ".yml", ".j2"} and "sandbox" in path.read_text(encoding="utf-8").lower()
    ]
    assert knows == []
    assert not [
        str(path)
        for path in (ROOT / "sandbox").rglob("*.py")
        for name in imports(path)
        if name.startswith("ansible_collections")
    ]


def test_no_package_has_an_init_file() -> None:
    assert list(PLUGINS.rglob("__init__.py")) == []


@pytest.mark.parametrize("role", ROLES)
def test_defaults_and_argument_specs_say_the_same(role: str) -> None:
    specs = load(ROOT / "roles" / role / "meta/argument_specs.yml")["argument_specs"]
    options = {name: option for entry in specs.values() for name, option in entry["options"].items()}
    described = {name: option["default"] for name, option in options.items() if "default" in option}
    defaults = load(ROOT / "roles" / role / "defaults/main.yml") or {}
    # A template is no value of the types but str and path, so there a sentence tells what the default follows from.
    told = {
        name: " ".join(option["description"])
        for name, option in options.items()
        if name not in described and not option.get("required") and option["type"] not in ("str", "path")
    }
    assert {name: value for name, value in defaults.items() if name not in told} == described
    assert [name for name in told if not str(defaults.get(name)).startswith("{{")] == []
    assert [
        f"{name}: {variable}"
        for name, text in told.items()
        for variable in re.findall(rf"\b(?:langsmith|{role})_\w+", str(defaults[name]))
        if variable not in text
    ] == []
    assert [name for name in options if name not in defaults and not options[name].get("required")] == []
    assert [name for name in options if not name.startswith(role + "_")] == []


@pytest.mark.parametrize("role", ROLES)
def test_every_role_tells_its_purpose_and_how_to_undo_it(role: str) -> None:
    text = (ROOT / "roles" / role / "README.md").read_text(encoding="utf-8")
    assert "## Example" in text
    assert "## Undo" in text


def test_every_aws_module_is_in_the_action_group() -> None:
    group = load(ROOT / "meta/runtime.yml")["action_groups"]["aws"]
    named = {entry for entry in group if isinstance(entry, str)}
    aws = {
        path.stem
        for path in (PLUGINS / "modules").glob("*.py")
        if "AnsibleAWSModule" in path.read_text(encoding="utf-8")
    }
    assert aws <= named
    assert named <= {path.stem for path in (PLUGINS / "modules").glob("*.py")}


def test_the_readme_names_every_role_playbook_and_module() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    names = [
        *ROLES,
        *(path.stem for path in (ROOT / "playbooks").glob("*.yml")),
        *(path.stem for path in (PLUGINS / "modules").glob("*.py")),
    ]
    assert [name for name in names if not re.search(rf"`(langsmith\.aws\.)?{name}`", text)] == []


def test_requirements_are_pinned_and_hashed_and_name_no_index() -> None:
    for path in (ROOT / "requirements.txt", ROOT / "requirements-bootstrap.txt", ROOT / "sandbox/requirements.txt"):
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"^\s*--(extra-)?index-url|^\s*--find-links|://", text, re.MULTILINE), path
        packages = re.findall(r"^[A-Za-z0-9][^\s]*", text, re.MULTILINE)
        assert packages
        assert all("==" in package for package in packages)
        assert text.count("--hash=sha256:") >= len(packages)
