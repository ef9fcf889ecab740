# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the services of a release tell of themselves inside their cluster, by the ports of LangSmith's chart."""

from __future__ import annotations

from ansible_collections.langsmith.aws.plugins.module_utils.domain.chart_names import fullname

BACKEND_PORT = 1984
PLATFORM_BACKEND_PORT = 1986
INGEST_QUEUE_PORT = 1989
#: The queues' counters, at platform-backend.
COUNTERS = "/metrics?format=json"


def counters_url(release: str, namespace: str) -> str:
    """The queues' counters, for who is in the cluster or reaches into it."""
    return f"http://{fullname(release)}-platform-backend.{namespace}.svc:{PLATFORM_BACKEND_PORT}{COUNTERS}"
