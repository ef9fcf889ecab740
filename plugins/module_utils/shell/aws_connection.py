# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""AWS clients for modules that often need none: botocore, half a second to import, is loaded with the first client.

The options are those of the fragments ``amazon.aws.common.modules`` and ``amazon.aws.region.modules``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ansible.module_utils.basic import env_fallback, missing_required_lib


def _option(*aliases: str, env: Sequence[str] = (), **more: Any) -> dict[str, Any]:
    return {
        **({"aliases": list(aliases)} if aliases else {}),
        **({"fallback": (env_fallback, list(env))} if env else {}),
        **more,
    }


AWS_ARG_SPEC: dict[str, dict[str, Any]] = {
    "access_key": _option(
        "aws_access_key_id", "aws_access_key", env=("AWS_ACCESS_KEY_ID", "AWS_ACCESS_KEY"), no_log=False
    ),
    "secret_key": _option(
        "aws_secret_access_key", "aws_secret_key", env=("AWS_SECRET_ACCESS_KEY", "AWS_SECRET_KEY"), no_log=True
    ),
    "session_token": _option("aws_session_token", env=("AWS_SESSION_TOKEN",), no_log=True),
    "profile": _option("aws_profile", env=("AWS_PROFILE", "AWS_DEFAULT_PROFILE")),
    "endpoint_url": _option("aws_endpoint_url", env=("AWS_URL",)),
    "validate_certs": _option(type="bool", default=True),
    "aws_ca_bundle": _option(env=("AWS_CA_BUNDLE",), type="path"),
    "aws_config": _option(type="dict"),
    "debug_botocore_endpoint_logs": _option(env=("ANSIBLE_DEBUG_BOTOCORE_LOGS",), type="bool", default=False),
    "region": _option("aws_region", env=("AWS_REGION", "AWS_DEFAULT_REGION")),
}


def connected(module: Any, services: Sequence[str], timeout: float | None = None) -> dict[str, Any]:
    """A client of each service, by the options of the module, which ends with a sentence where one cannot be made.

    ``timeout`` (seconds) bounds connecting and each answer; a call is then repeated once.
    """
    if not services:
        return {}
    from ansible_collections.amazon.aws.plugins.module_utils.botocore import (
        HAS_BOTO3,
        boto3_conn,
        get_aws_connection_info,
    )

    if not HAS_BOTO3:
        module.fail_json(msg=missing_required_lib("boto3 and botocore"))
    region, endpoint, options = get_aws_connection_info(module)
    if timeout is not None:
        bounds = {"connect_timeout": timeout, "read_timeout": timeout, "retries": {"total_max_attempts": 2}}
        options["config"] = bounds
    return {
        name: boto3_conn(module, conn_type="client", resource=name, region=region, endpoint=endpoint, **options)
        for name in services
    }
