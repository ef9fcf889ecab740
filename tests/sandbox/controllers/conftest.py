# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from collections.abc import Iterator

import pytest

from sandbox import cli, state
from tests.sandbox.controllers.world import NAME, World


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A sandbox of its own with a VPC, a cluster, two nodes and every controller's chart installed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(state.FOLDER_VARIABLE, str(tmp_path_factory.mktemp("state")))
        patch.delenv(state.SETTINGS_VARIABLE, raising=False)
        try:
            assert cli.start() == 0
            built = World()
            built.build()
            annotation = built.role_annotation("external-secrets")
            built.helm("external-secrets", "external-secrets", serviceAccount={"annotations": annotation})
            annotation = built.role_annotation("load-balancer-controller")
            built.helm(
                "aws-load-balancer-controller",
                "kube-system",
                clusterName=NAME,
                region=state.REGION,
                vpcId=built.vpc,
                serviceAccount={"annotations": annotation},
            )
            built.helm("cluster-autoscaler", "kube-system", autoDiscovery={"clusterName": NAME})
            yield built
        finally:
            cli.stop()
