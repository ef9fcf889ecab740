# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Trust of IAM roles in service accounts of the cluster (IAM roles for service accounts, IRSA)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any


def service_account_trust(installation: Mapping[str, Any], service_accounts: Sequence[str]) -> dict[str, Any]:
    """The trust policy that lets exactly these service accounts (``namespace:name``) assume a role.

    ``installation`` is what ``installation_info`` returns. Before the cluster is there it has no issuer; then the
    policy trusts nobody, which serves to compare and is never written. Raises ValueError on a name without namespace.
    """
    for account in service_accounts:
        if account.count(":") != 1 or not all(account.split(":")):
            raise ValueError(f"service account {account!r} is not of the form namespace:name")
    issuer = ((installation.get("cluster") or {}).get("oidc_issuer") or "unknown").removeprefix("https://")
    provider = f"arn:{installation.get('partition') or 'aws'}:iam::{installation['account_id']}:oidc-provider/{issuer}"
    subjects = [f"system:serviceaccount:{account}" for account in service_accounts]
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Federated": provider},
                "Action": "sts:AssumeRoleWithWebIdentity",
                "Condition": {
                    "StringEquals": {
                        f"{issuer}:aud": "sts.amazonaws.com",
                        f"{issuer}:sub": subjects[0] if len(subjects) == 1 else subjects,
                    }
                },
            }
        ],
    }


def service_account_roles(roles: Iterable[Mapping[str, Any]], installation: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The roles with ``service_accounts`` turned into the ``assume_role_policy`` that trusts them."""
    return [
        {key: value for key, value in role.items() if key != "service_accounts"}
        | {"assume_role_policy": service_account_trust(installation, role["service_accounts"])}
        for role in roles
    ]
