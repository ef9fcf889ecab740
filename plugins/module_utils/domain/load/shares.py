# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The result of a load out of the logs of the pods that sent it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.langsmith.aws.plugins.module_utils.domain.errors import ProjectError
from ansible_collections.langsmith.aws.plugins.module_utils.domain.load import measured, options, report
from ansible_collections.langsmith.aws.plugins.module_utils.domain.load.ids import parse_seed
from ansible_collections.langsmith.aws.plugins.module_utils.domain.load.measured import Measured


def merged(logs: Sequence[str], url: str, load: Mapping[str, Any], timeout: float) -> dict[str, Any]:
    """The result, whose last line each pod's log has a share of. ``timeout`` is that of a request, in seconds.

    ``load`` are the options of the load with its ``seed`` and the number of shares ``of``. Raises ProjectError for a
    log without a share.
    """
    found = measured.merge([_share(log) for log in logs])
    return report.result(found, options.settings(load, parse_seed(load["seed"])), url, timeout=timeout)


def _share(log: str) -> Measured:
    last = (log.rstrip().splitlines() or [""])[-1]
    try:
        return Measured.from_dict(json.loads(last)["share"])
    except (KeyError, TypeError, ValueError) as error:
        raise ProjectError(
            f"a pod of the load ended without telling what it measured; its last words are {last[:300]!r}"
        ) from error
