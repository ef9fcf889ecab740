# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.langsmith.aws.plugins.module_utils.domain import identity

ISSUER = "oidc.eks.us-east-1.amazonaws.com/id/ABC"
INSTALLATION: dict[str, Any] = {
    "account_id": "123456789012",
    "partition": "aws",
    "cluster": {"oidc_issuer": f"https://{ISSUER}"},
}


@pytest.mark.parametrize(
    ("accounts", "subject"),
    [
        (["langsmith:langsmith-queue"], "system:serviceaccount:langsmith:langsmith-queue"),
        (["a:b", "a:c"], ["system:serviceaccount:a:b", "system:serviceaccount:a:c"]),
    ],
)
def test_only_the_named_service_accounts_are_trusted(accounts: list[str], subject: object) -> None:
    statement = identity.service_account_trust(INSTALLATION, accounts)["Statement"][0]
    assert statement["Principal"] == {"Federated": f"arn:aws:iam::123456789012:oidc-provider/{ISSUER}"}
    assert statement["Condition"] == {"StringEquals": {f"{ISSUER}:aud": "sts.amazonaws.com", f"{ISSUER}:sub": subject}}


def test_before_the_cluster_is_there_the_policy_can_be_compared_but_trusts_nobody() -> None:
    policy = identity.service_account_trust({**INSTALLATION, "cluster": None}, ["a:b"])
    assert policy["Statement"][0]["Principal"]["Federated"].endswith("oidc-provider/unknown")


@pytest.mark.parametrize("account", ["nocolon", "a:b:c", ":b", "a:"])
def test_a_service_account_without_namespace_is_refused(account: str) -> None:
    with pytest.raises(ValueError, match="namespace:name"):
        identity.service_account_trust(INSTALLATION, [account])


def test_roles_keep_their_policies_and_gain_the_trust() -> None:
    [role] = identity.service_account_roles(
        [{"name": "r", "managed_policies": ["p"], "service_accounts": ["a:b"]}], INSTALLATION
    )
    assert role.keys() == {"name", "managed_policies", "assume_role_policy"}
