# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A sandbox with a VPC, a cluster, nodes and the roles of the controllers, made by API calls alone."""

from __future__ import annotations

import http.client
import json
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from sandbox import state
from sandbox.controllers.aws import administrator
from sandbox.controllers.kubernetes import ApiError, Cluster, Kind, Object

NAME = "acme"
ZONES = ("us-east-1a", "us-east-1b")
SECONDS = 240
EVENT = Kind("/api/v1", "events", "Event")
NAMESPACE = Kind("/api/v1", "namespaces", "Namespace", namespaced=False)
ROLES = {
    "external-secrets": ("external-secrets:external-secrets", ["secretsmanager:*"]),
    "load-balancer-controller": (
        "kube-system:aws-load-balancer-controller",
        ["ec2:*", "elasticloadbalancing:*", "acm:*", "wafv2:*"],
    ),
    "ebs-csi": ("kube-system:ebs-csi-controller-sa", ["ec2:*"]),
}


def until(what: str, condition: Callable[[], Any], seconds: float = SECONDS) -> Any:
    """What `condition` returns once it is true; one that the API server or a pod cannot answer yet counts as false."""
    deadline = time.monotonic() + seconds
    while True:
        problem = ""
        try:
            if found := condition():
                return found
        except (ApiError, OSError, http.client.HTTPException) as error:
            problem = f" ({error})"
        assert time.monotonic() < deadline, f"{what}{problem}"
        time.sleep(0.1)


class World:
    """Clients of a running sandbox with administrator's credentials, and what set-up made."""

    def __init__(self) -> None:
        found = state.read_json("endpoints.json")
        self.cluster = Cluster(Path(found["kubernetes"]["admin_kubeconfig"]))
        self._found = found
        self.account = found["aws"]["account_id"]
        self.vpc = ""
        self.subnets: list[str] = []

    def aws(self, service: str) -> Any:
        """A client of the AWS API."""
        return administrator(self._found["aws"], service)

    def build(self) -> None:
        """A VPC with two public subnets, a cluster with two nodes, its OIDC provider, and the controllers' roles."""
        ec2, eks, iam = self.aws("ec2"), self.aws("eks"), self.aws("iam")
        self.vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        tags = [{"ResourceType": "subnet", "Tags": [{"Key": "kubernetes.io/role/elb", "Value": "1"}]}]
        for number, zone in enumerate(ZONES):
            block = f"10.0.{16 * number}.0/20"
            made = ec2.create_subnet(VpcId=self.vpc, CidrBlock=block, AvailabilityZone=zone, TagSpecifications=tags)
            self.subnets.append(made["Subnet"]["SubnetId"])
        roles = {}
        for service in ("eks", "ec2"):
            principal = {"Service": f"{service}.amazonaws.com"}
            trust = {"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}
            made = iam.create_role(RoleName=service, AssumeRolePolicyDocument=_document(trust))
            roles[service] = made["Role"]["Arn"]
        eks.create_cluster(name=NAME, roleArn=roles["eks"], resourcesVpcConfig={"subnetIds": self.subnets})
        cluster = until("the cluster is not active", lambda: self._active(eks))
        self.issuer = cluster["identity"]["oidc"]["issuer"].removeprefix("https://")
        iam.create_open_id_connect_provider(Url=f"https://{self.issuer}", ClientIDList=["sts.amazonaws.com"])
        for name, (account, actions) in ROLES.items():
            self.role(name, account, actions)
        eks.create_nodegroup(
            clusterName=NAME,
            nodegroupName="default",
            subnets=self.subnets,
            nodeRole=roles["ec2"],
            instanceTypes=["m6i.xlarge"],
            scalingConfig={"minSize": 2, "maxSize": 2, "desiredSize": 2},
        )
        arn = f"arn:aws:iam::{self.account}:role/ebs-csi"
        eks.create_addon(clusterName=NAME, addonName="aws-ebs-csi-driver", serviceAccountRoleArn=arn)

    def _active(self, eks: Any) -> Any:
        found = eks.describe_cluster(name=NAME)["cluster"]
        return found if found["status"] == "ACTIVE" else None

    def role(self, name: str, account: str, actions: list[str]) -> None:
        """A role that a service account (namespace:name) may assume."""
        condition = {
            f"{self.issuer}:aud": "sts.amazonaws.com",
            f"{self.issuer}:sub": f"system:serviceaccount:{account}",
        }
        trust = {
            "Effect": "Allow",
            "Principal": {"Federated": f"arn:aws:iam::{self.account}:oidc-provider/{self.issuer}"},
            "Action": "sts:AssumeRoleWithWebIdentity",
            "Condition": {"StringEquals": condition},
        }
        iam = self.aws("iam")
        iam.create_role(RoleName=name, AssumeRolePolicyDocument=_document(trust))
        allowed = _document({"Effect": "Allow", "Action": actions, "Resource": "*"})
        iam.put_role_policy(RoleName=name, PolicyName="all", PolicyDocument=allowed)

    def helm(self, release: str, namespace: str, **values: Any) -> None:
        """Install a chart of the sandbox by its release name, which is its own."""
        chart = state.REPOSITORY / "sandbox" / "charts" / release
        arguments = [str(Path(self._found["bin"]) / "helm"), "upgrade", "--install", release, str(chart)]
        arguments += ["--namespace", namespace, "--create-namespace", "--wait", "--timeout", "240s"]
        arguments += ["--kubeconfig", self._found["kubernetes"]["admin_kubeconfig"], "--values", "-"]
        done = subprocess.run(arguments, input=json.dumps(values), capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr

    def role_annotation(self, name: str) -> dict[str, str]:
        """The annotation of a service account for a role."""
        return {"eks.amazonaws.com/role-arn": f"arn:aws:iam::{self.account}:role/{name}"}

    def namespace(self, name: str) -> str:
        """A namespace with its default service account."""
        self.cluster.create(NAMESPACE, {"metadata": {"name": name}})
        account = Kind("/api/v1", "serviceaccounts", "ServiceAccount")
        until("no default service account", lambda: self.cluster.get(account, name, "default"))
        return name

    def events(self, item: Object) -> list[tuple[str, str, str]]:
        """Type, reason and message of the events about an object."""
        query = {"fieldSelector": f"involvedObject.uid={item['metadata']['uid']}"}
        found = self.cluster.call("GET", EVENT.path(), query=query)["items"]
        return [(event["type"], event["reason"], event["message"]) for event in found]

    def condition(self, kind: Kind, namespace: str | None, name: str) -> tuple[str, str, str] | None:
        """Status, reason and message of an object's condition Ready."""
        found = self.cluster.get(kind, namespace, name) or {}
        for entry in (found.get("status") or {}).get("conditions") or []:
            if entry["type"] == "Ready":
                return entry["status"], entry["reason"], entry["message"]
        return None


def _document(statement: Mapping[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})
