# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The load and the trace probe as one file that a pod can run."""

from __future__ import annotations

DOCUMENTATION = r"""
name: probe_archive
author: langsmith.aws maintainers (@langsmith-aws)
version_added: 0.1.0
short_description: The load and the trace probe as one archive for a pod
description:
  - A zip archive that Python runs, of this collection's own load and trace probe and of what they import.
  - It needs Python 3.11 or newer and nothing else, takes a file of settings as its argument and the API key from the
    environment variable C(LANGSMITH_API_KEY).
  - The same collection gives the same bytes.
options:
  _terms:
    description: Nothing.
    type: list
    elements: str
"""

EXAMPLES = r"""
- name: Archive in a ConfigMap
  kubernetes.core.k8s:
    definition:
      apiVersion: v1
      kind: ConfigMap
      metadata:
        name: probe
        namespace: langsmith
      binaryData:
        probe.pyz: "{{ lookup('langsmith.aws.probe_archive') }}"
"""

RETURN = r"""
_raw:
  description: The archive in base64, one element.
  type: list
  elements: str
"""

import ast
import base64
import io
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleLookupError
from ansible.plugins.lookup import LookupBase

PACKAGE = "ansible_collections.langsmith.aws.plugins.module_utils"
ENTRY = f"{PACKAGE}.clients.load_main"
FOLDER = Path(__file__).resolve().parents[1] / "module_utils"
#: Bytes that a ConfigMap may hold, https://kubernetes.io/docs/concepts/configuration/configmap/
LIMIT = 1024 * 1024

_MAIN = f"""\
import os
import sys

from {ENTRY} import main

raise SystemExit(main(sys.argv[1:], os.environ))
"""


class LookupModule(LookupBase):
    """The lookup."""

    def run(self, terms: list[str], variables: dict[str, Any] | None = None, **kwargs: Any) -> list[str]:
        """The archive in base64."""
        self.set_options(var_options=variables, direct=kwargs)
        made = archive(ENTRY)
        if len(made) > LIMIT:
            raise AnsibleLookupError(f"the archive has {len(made)} bytes, and a ConfigMap holds {LIMIT}")
        return [base64.b64encode(made).decode()]


def archive(entry: str) -> bytes:
    """The module ``entry`` and what it imports of this collection, as one zip archive; the same for the same files."""
    files = {f"{module.replace('.', '/')}.py": _path(module).read_bytes() for module in closure(entry)}
    for name in list(files):
        parts = name.split("/")[:-1]
        # Python finds packages without one in a folder, but in an archive only where that lists its folders.
        files |= {"/".join([*parts[:depth], "__init__.py"]): b"" for depth in range(1, len(parts) + 1)}
    files["__main__.py"] = _MAIN.encode()
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as made:
        for name in sorted(files):
            entry_info = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
            entry_info.compress_type = zipfile.ZIP_DEFLATED
            entry_info.external_attr = 0o644 << 16
            entry_info.create_system = 3
            made.writestr(entry_info, files[name], compresslevel=9)
    return target.getvalue()


def closure(entry: str) -> set[str]:
    """The modules of this collection that ``entry`` needs, itself included."""
    found: set[str] = set()
    ahead = [entry]
    while ahead:
        module = ahead.pop()
        if module not in found:
            found.add(module)
            ahead += _imports(module)
    return found


def _imports(module: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(_path(module).read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith(PACKAGE):
            if _path(node.module).is_file():
                yield node.module
            else:
                yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _path(module: str) -> Path:
    return FOLDER.joinpath(*module.removeprefix(PACKAGE).strip(".").split(".")).with_suffix(".py")
