# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every choice that the AWS modules offer is one that botocore's model of AWS knows."""

from __future__ import annotations

from typing import Any

import botocore.session
import pytest
from ansible_collections.langsmith.aws.plugins.module_utils.domain.resources import (
    acm_certificate,
    eks_addon,
    eks_cluster,
    eks_nodegroup,
)

SESSION = botocore.session.get_session()


def known(service: str, shape: str) -> set[str]:
    found: Any = SESSION.get_service_model(service).shape_for(shape)
    return set(found.enum)


@pytest.mark.parametrize(
    ("service", "shape", "ours"),
    [
        ("eks", "AMITypes", eks_nodegroup.AMI_TYPES),
        ("eks", "CapacityTypes", eks_nodegroup.CAPACITY_TYPES),
        ("eks", "TaintEffect", eks_nodegroup.TAINT_EFFECTS),
        ("eks", "ResolveConflicts", eks_addon.RESOLVE_CONFLICTS),
        ("eks", "AuthenticationMode", eks_cluster.AUTHENTICATION_MODES),
        ("eks", "LogType", eks_cluster.LOG_TYPES),
        ("eks", "SupportType", ("STANDARD", "EXTENDED")),
        ("acm", "KeyAlgorithm", acm_certificate.KEY_ALGORITHMS),
    ],
)
def test_our_choices_are_among_those_of_aws(service: str, shape: str, ours: tuple[str, ...]) -> None:
    assert set(ours) <= known(service, shape)


@pytest.mark.parametrize(
    ("service", "shape", "phases"),
    [
        ("eks", "ClusterStatus", eks_cluster._PHASES),
        ("eks", "NodegroupStatus", eks_nodegroup._PHASES),
        ("eks", "AddonStatus", eks_addon._PHASES),
        ("acm", "CertificateStatus", acm_certificate._PHASES),
    ],
)
def test_every_status_of_aws_has_a_phase(service: str, shape: str, phases: dict[str, str]) -> None:
    assert set(phases) == known(service, shape)
