# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stand-in for Service Quotas, which moto answers for VPC only: the default values of AWS's general reference."""

from __future__ import annotations

import re
from typing import Any

from moto.servicequotas.models import ServiceQuotasBackend

from sandbox import state
from sandbox.aws.errors import CallError

# Service, quota code, name, default value in us-east-1.
QUOTAS = (
    # A new account has 5 vCPUs of the standard families; this is what AWS grants on a first request.
    ("ec2", "L-1216C47A", "Running On-Demand Standard (A, C, D, H, I, M, R, T, Z) instances", 256.0),
    ("ec2", "L-0263D0A3", "EC2-VPC Elastic IPs", 5.0),
    ("eks", "L-1194D53C", "Clusters", 100.0),
    ("eks", "L-6D54EA21", "Managed node groups per cluster", 30.0),
    ("rds", "L-7B6409FD", "DB instances", 40.0),
    ("rds", "L-7ADDB58A", "Total storage for all DB instances", 100000.0),
    ("elasticache", "L-DFE45DF3", "Nodes per Region", 300.0),
    ("elasticloadbalancing", "L-53DA6B97", "Application Load Balancers per Region", 50.0),
    ("ebs", "L-7A658B76", "Storage for General Purpose SSD (gp3) volumes, in TiB", 50.0),
    ("s3", "L-DC2B2D3D", "General purpose buckets", 10000.0),
)
_list = ServiceQuotasBackend.list_aws_default_service_quotas


def _described(service: str, code: str, name: str, value: float) -> dict[str, Any]:
    arn = f"arn:aws:servicequotas:{state.REGION}::{service}/{code}"
    names = {"ServiceCode": service, "ServiceName": service, "QuotaCode": code, "QuotaName": name, "QuotaArn": arn}
    return {**names, "Value": value, "Unit": "None", "Adjustable": True, "GlobalQuota": False}


def get_service_quota(self: ServiceQuotasBackend, service_code: str, quota_code: str) -> dict[str, Any]:
    """GetServiceQuota."""
    for row in list_aws_default_service_quotas(self, service_code):
        if row["QuotaCode"] == quota_code:
            return row
    raise CallError("NoSuchResourceException", f"The request failed because the quota {quota_code} does not exist.")


def list_aws_default_service_quotas(self: ServiceQuotasBackend, service_code: str) -> list[dict[str, Any]]:
    """ListAWSDefaultServiceQuotas and ListServiceQuotas, as nothing has been raised."""
    if service_code == "vpc":
        rows = [dict(row) for row in _list(self, service_code)]
        return [{**row, "QuotaArn": re.sub("eu-west-1", state.REGION, row["QuotaArn"])} for row in rows]
    found = [_described(*quota) for quota in QUOTAS if quota[0] == service_code]
    if not found:
        raise CallError("NoSuchResourceException", f"The request failed because the service {service_code} is unknown.")
    return found


def install() -> None:
    """Put this into moto."""
    ServiceQuotasBackend.get_service_quota = get_service_quota
    ServiceQuotasBackend.list_aws_default_service_quotas = list_aws_default_service_quotas
