# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest

from sandbox.aws.eks_cleanup import kept
from sandbox.pods import identity


@pytest.mark.parametrize(
    ("kind", "name", "expected"),
    [
        ("MutatingWebhookConfiguration", identity.NAME, True),
        ("MutatingWebhookConfiguration", "aws-load-balancer-webhook", False),
        ("ClusterRole", "cluster-admin", True),
        ("ClusterRole", "external-secrets-controller", False),
    ],
)
def test_what_belongs_to_the_control_plane_outlives_a_cluster(kind: str, name: str, expected: bool) -> None:
    assert kept(kind, {"metadata": {"name": name}}) is expected
