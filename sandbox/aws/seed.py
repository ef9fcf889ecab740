# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an operator brings along to a deployment: a public hosted zone and the license key in Secrets Manager."""

from __future__ import annotations

import json
import secrets

from moto.route53.models import route53_backends
from moto.secretsmanager.models import secretsmanager_backends

from sandbox import state
from sandbox.aws import access

ZONE = "localhost."
LICENSE_SECRET = "langsmith/license"  # noqa: S105 - a name


def plant() -> None:
    """Put them into an empty account. Neither carries a tag, so nothing may ever remove them."""
    account = access.iam().account_id
    route53_backends[account]["aws"].create_hosted_zone(ZONE, private_zone=False, caller_reference="brought along")
    secretsmanager_backends[account][state.REGION].create_secret(
        name=LICENSE_SECRET,
        secret_string=json.dumps({"license_key": secrets.token_hex(20)}),
        secret_binary=None,
        description="License key of LangSmith, brought along by the operator",
        tags=[],
        kms_key_id=None,
        client_request_token=None,
        replica_regions=[],
        force_overwrite=False,
    )
