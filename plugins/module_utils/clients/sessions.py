# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Clients of AWS services that raise instead of ending the module, for checks that tell every problem."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any

from ansible_collections.amazon.aws.plugins.module_utils.botocore import boto3_inventory_conn
from ansible_collections.langsmith.aws.plugins.module_utils.domain.errors import ProjectError

try:
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError
except ImportError:
    pass  # AnsibleAWSModule says so before any client is made


def connector(endpoint: str | None, options: Mapping[str, Any], timeout: float) -> Callable[[str, str], Any]:
    """A function of service and region that makes a client, each once.

    ``options`` are those of ``get_aws_connection_info``. ``timeout`` (seconds) bounds connecting and each answer; a
    call is repeated once. The function raises ProjectError, for a profile that does not exist say.
    """
    config = Config(connect_timeout=min(5, timeout), read_timeout=timeout, retries={"total_max_attempts": 2})
    made: dict[tuple[str, str], Any] = {}
    # boto3 sessions are not safe to share between threads while they make clients.
    lock = threading.Lock()

    def connect(service: str, region: str) -> Any:
        with lock:
            if (service, region) not in made:
                made[service, region] = _client(service, region, endpoint, {**options, "config": config})
            return made[service, region]

    return connect


def _client(service: str, region: str, endpoint: str | None, options: dict[str, Any]) -> Any:
    try:
        return boto3_inventory_conn(conn_type="client", resource=service, region=region, endpoint=endpoint, **options)
    except (ValueError, BotoCoreError) as error:
        raise ProjectError(f"no client of {service} in {region}: {error}") from error
