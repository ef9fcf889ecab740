# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Variables that carry a role's prefix and that the role does not know."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Any


def unknown_variables(names: Iterable[str], specs: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """A sentence for each name that begins with a role's name and is no option of it, with the option it may mean.

    ``specs`` maps each role to the content of its ``meta/argument_specs.yml``.
    """
    known = {
        role: sorted({option for entry in spec["argument_specs"].values() for option in entry.get("options", {})})
        for role, spec in specs.items()
    }
    sentences = []
    for name in sorted(set(names)):
        role = name.partition("_")[0]
        if role in known and name != role and name not in known[role]:
            near = difflib.get_close_matches(name, known[role], n=1)
            advice = (
                f"did you mean {near[0]}?" if near else f"remove it, or see ansible-doc -t role langsmith.aws.{role}"
            )
            sentences.append(f"{name}: the role {role} has no such variable; {advice}")
    return sentences
