# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""AWS clients by the connection options of a module. Botocore, half a second to import, is loaded with the first one.

The options are those of the fragments ``amazon.aws.common.modules`` and ``amazon.aws.region.modules``.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

from ansible.module_utils.basic import env_fallback, missing_required_lib
from ansible_collections.langsmith.aws.plugins.module_utils.domain.errors import ProjectError


def _option(*aliases: str, env: Sequence[str] = (), **more: Any) -> dict[str, Any]:
    return {
        **({"aliases": list(aliases)} if aliases else {}),
        **({"fallback": (env_fallback, list(env))} if env else {}),
        **more,
    }


#: As many connections as :mod:`clients.installation` has threads, so that none waits for another.
_CONNECTIONS = 16

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
    from ansible_collections.amazon.aws.plugins.module_utils.botocore import HAS_BOTO3, get_aws_connection_info

    if not HAS_BOTO3:
        module.fail_json(msg=missing_required_lib("boto3 and botocore"))
    region, endpoint, options = get_aws_connection_info(module)
    if not region:
        module.fail_json(msg="No AWS region is known. Give the option region, AWS_REGION, or a region in the profile.")
    connect = connector(endpoint, options, timeout)
    try:
        return {name: connect(name, region) for name in services}
    except ProjectError as error:
        module.fail_json(msg=f"AWS cannot be asked: {error}")
        raise


def connector(
    endpoint: str | None, options: Mapping[str, Any], timeout: float | None = None
) -> Callable[[str, str | None], Any]:
    """A function of service and region that makes a client, each once.

    ``options`` are those of ``get_aws_connection_info``. ``timeout`` (seconds) bounds connecting and each answer; a
    call is then repeated once. The function raises ProjectError, for a profile that does not exist say.

    A session reads the endpoint rules once, for all of its clients: eleven clients take 0.6 s and not 1.7 s.
    """
    import boto3
    from botocore.exceptions import BotoCoreError

    given = dict(options)
    profile, config = given.pop("profile_name", None), _config(given.pop("aws_config", None), timeout)
    made: dict[tuple[str, str | None], Any] = {}
    session = cache(lambda: boto3.session.Session(profile_name=profile))
    # boto3 sessions are not safe to share between threads while they make clients.
    lock = threading.Lock()

    def make(service: str, region: str | None) -> Any:
        maker: Any = session()
        return maker.client(service, region_name=region, endpoint_url=endpoint, config=config, **given)

    def connect(service: str, region: str | None) -> Any:
        with lock:
            if (service, region) not in made:
                try:
                    made[service, region] = make(service, region)
                except (ValueError, BotoCoreError) as error:
                    raise ProjectError(f"no client of {service} in {region}: {error}") from error
            return made[service, region]

    return connect


def _config(given: Any, timeout: float | None) -> Any:
    from botocore.config import Config

    config = Config(max_pool_connections=_CONNECTIONS, user_agent_extra="langsmith.aws")
    if timeout is not None:
        bounds: dict[str, Any] = {
            "connect_timeout": min(5, timeout),
            "read_timeout": timeout,
            "retries": {"total_max_attempts": 2},
        }
        config = config.merge(Config(**bounds))
    if given:
        config = config.merge(given if isinstance(given, Config) else Config(**given))
    return config
