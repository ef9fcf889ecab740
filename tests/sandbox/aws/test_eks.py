# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from botocore.signers import RequestSigner

from sandbox.aws import eks_nodes
from tests.sandbox.aws.account import Account, code_of, until
from tests.sandbox.aws.kubernetes_stand_in import encode

NAME = "acme"


@dataclasses.dataclass
class Cluster:
    account: Account
    eks: Any
    subnets: list[str]
    node_role: str

    def nodegroup(self, name: str, size: int = 2, **more: Any) -> Any:
        scaling = {"minSize": 0, "maxSize": 4, "desiredSize": size}
        given = {"clusterName": NAME, "nodegroupName": name, "nodeRole": self.node_role, "subnets": self.subnets}
        return self.eks.create_nodegroup(**{**given, "scalingConfig": scaling, **more})["nodegroup"]

    def settled(self, name: str) -> Any:
        def group() -> Any:
            return self.eks.describe_nodegroup(clusterName=NAME, nodegroupName=name)["nodegroup"]

        until(lambda: group()["status"] not in ("CREATING", "UPDATING"))
        return group()

    def remove(self, name: str) -> None:
        self.eks.delete_nodegroup(clusterName=NAME, nodegroupName=name)
        until(lambda: name not in self.eks.list_nodegroups(clusterName=NAME)["nodegroups"])

    def nodes(self, group: str) -> list[dict[str, Any]]:
        nodes = [self.account.kubernetes.get("nodes", name) for name in self.account.kubernetes.names("nodes")]
        return [node for node in nodes if node["metadata"]["labels"]["eks.amazonaws.com/nodegroup"] == group]


def wanted(account: Account, subnets: list[str], **more: Any) -> dict[str, Any]:
    role = account.role("eks.amazonaws.com")
    access = {"authenticationMode": "API"}
    given = {"name": NAME, "roleArn": role, "resourcesVpcConfig": {"subnetIds": subnets}, "accessConfig": access}
    return {**given, "version": "1.35", "bootstrapSelfManagedAddons": False, **more}


@pytest.fixture(scope="module")
def cluster(account: Account) -> Iterator[Cluster]:
    eks, (_, subnets) = account.client("eks"), account.network()
    # What a cluster that the emulator has forgotten left behind.
    account.kubernetes.put("api/v1", "", "nodes", "forgotten")
    assert eks.create_cluster(**wanted(account, subnets))["cluster"]["status"] == "CREATING"
    until(lambda: eks.describe_cluster(name=NAME)["cluster"]["status"] == "ACTIVE")
    assert account.kubernetes.names("nodes") == []
    yield Cluster(account, eks, subnets, account.role("ec2.amazonaws.com"))
    account.kubernetes.put("api/v1", "", "namespaces", "langsmith")
    account.kubernetes.put("apis/storage.k8s.io/v1", "", "storageclasses", "left-over")
    eks.delete_cluster(name=NAME)
    until(lambda: not eks.list_clusters()["clusters"])
    assert account.kubernetes.names("namespaces") == ["kube-system"]
    assert account.kubernetes.names("storageclasses") == []


def token(account: Account, session: Any, cluster_name: str) -> str:
    client = account.client("sts", session)
    signer = RequestSigner(
        client.meta.service_model.service_id, "us-east-1", "sts", "v4", session.get_credentials(), session.events
    )
    request = {
        "method": "GET",
        "url": f"{account.url}/?Action=GetCallerIdentity&Version=2011-06-15",
        "body": {},
        "headers": {"x-k8s-aws-id": cluster_name},
        "context": {},
    }
    url = signer.generate_presigned_url(request, region_name="us-east-1", expires_in=60, operation_name="")
    return "k8s-aws-v1." + encode(url.encode())


def review(account: Account, session: Any, cluster_name: str = NAME) -> Any:
    path = "/sandbox/kubernetes/authenticate"
    return account.post(path, {"spec": {"token": token(account, session, cluster_name)}})["status"]


def test_an_active_cluster_has_the_real_endpoint_authority_and_issuer(cluster: Cluster) -> None:
    found = cluster.eks.describe_cluster(name=NAME)["cluster"]
    assert found["endpoint"] == cluster.account.kubernetes.url
    assert found["identity"]["oidc"]["issuer"] == cluster.account.kubernetes.issuer
    assert found["certificateAuthority"]["data"] == "dGhlIENB"
    assert found["resourcesVpcConfig"]["clusterSecurityGroupId"].startswith("sg-")


def test_what_eks_refuses_for_a_cluster_is_refused(account: Account, cluster: Cluster) -> None:
    create, subnets = cluster.eks.create_cluster, cluster.subnets
    other = {"name": "other"}
    assert code_of(create, **wanted(account, subnets[:1], **other)) == "InvalidParameterException"
    assert code_of(create, **wanted(account, subnets, version="1.10", **other)) == "InvalidParameterException"
    assert (
        code_of(create, **wanted(account, subnets, roleArn=cluster.node_role, **other)) == "InvalidParameterException"
    )
    assert code_of(create, **wanted(account, ["subnet-0"], **other)) == "InvalidParameterException"


def test_a_node_group_becomes_nodes_with_the_capacity_of_their_type_in_each_zone(cluster: Cluster) -> None:
    cluster.nodegroup("big", instanceTypes=["m6i.2xlarge"], labels={"role": "db"})
    group = cluster.settled("big")
    assert (group["status"], group["version"]) == ("ACTIVE", "1.35")
    nodes = cluster.nodes("big")
    zones = {node["metadata"]["labels"]["topology.kubernetes.io/zone"] for node in nodes}
    assert zones == {"us-east-1a", "us-east-1b"}
    assert {node["metadata"]["labels"]["role"] for node in nodes} == {"db"}
    # nodeadm's reservations, as measured on a real m6i.2xlarge.
    assert {node["status"]["allocatable"]["cpu"] for node in nodes} == {"7910m"}
    assert {node["status"]["allocatable"]["memory"] for node in nodes} == {"31775Mi"}
    instances = {node["spec"]["providerID"].rpartition("/")[2] for node in nodes}
    described = cluster.account.client("ec2").describe_instances(InstanceIds=sorted(instances))
    assert {i["State"]["Name"] for r in described["Reservations"] for i in r["Instances"]} == {"running"}
    cluster.remove("big")
    assert cluster.nodes("big") == []


def test_scaling_and_new_versions_replace_nodes(cluster: Cluster) -> None:
    cluster.nodegroup("moving", size=1)
    cluster.settled("moving")
    first = [node["metadata"]["name"] for node in cluster.nodes("moving")]
    cluster.eks.update_nodegroup_config(clusterName=NAME, nodegroupName="moving", scalingConfig={"desiredSize": 2})
    cluster.settled("moving")
    assert len(cluster.nodes("moving")) == 2
    cluster.eks.update_nodegroup_version(clusterName=NAME, nodegroupName="moving")
    cluster.settled("moving")
    names = [node["metadata"]["name"] for node in cluster.nodes("moving")]
    assert len(names) == 2
    assert not set(first) & set(names)
    cluster.remove("moving")


def test_what_eks_refuses_for_a_node_group_is_refused(cluster: Cluster) -> None:
    cases: list[dict[str, Any]] = [
        {"instanceTypes": ["m9z.huge"]},
        {"amiType": "BOGUS"},
        {"amiType": "AL2023_ARM_64_STANDARD", "instanceTypes": ["m6i.large"]},
        {"scalingConfig": {"minSize": 3, "maxSize": 2, "desiredSize": 2}},
        {"nodeRole": "arn:aws:iam::123456789012:role/nobody"},
    ]
    for case in cases:
        with pytest.raises(ClientError, match="InvalidParameterException"):
            cluster.nodegroup("refused", **case)


def test_an_add_on_applies_what_eks_installs(cluster: Cluster) -> None:
    role = cluster.node_role
    given = {"clusterName": NAME, "addonName": "aws-ebs-csi-driver"}
    cluster.eks.create_addon(**given, serviceAccountRoleArn=role)
    until(lambda: cluster.eks.describe_addon(**given)["addon"]["status"] == "ACTIVE")
    account = cluster.account.kubernetes.get("serviceaccounts", "ebs-csi-controller-sa")
    assert account["metadata"]["annotations"] == {"eks.amazonaws.com/role-arn": role}
    assert "ebs-csi-controller" in cluster.account.kubernetes.names("deployments")
    cluster.eks.delete_addon(**given)
    until(lambda: not cluster.eks.list_addons(clusterName=NAME)["addons"])
    assert "ebs-csi-controller" not in cluster.account.kubernetes.names("deployments")


def test_an_add_on_version_of_another_kubernetes_is_refused(cluster: Cluster) -> None:
    given = {"clusterName": NAME, "addonName": "kube-proxy", "addonVersion": "v1.20.0-eksbuild.1"}
    assert code_of(cluster.eks.create_addon, **given) == "InvalidParameterException"


def test_the_creator_is_administrator_and_others_need_an_access_entry(account: Account, cluster: Cluster) -> None:
    assert review(account, account.session())["user"]["groups"] == ["system:masters"]
    iam = account.client("iam")
    arn = iam.create_user(UserName="viewer")["User"]["Arn"]
    key = iam.create_access_key(UserName="viewer")["AccessKey"]
    viewer: Any = boto3.Session(key["AccessKeyId"], key["SecretAccessKey"], region_name="us-east-1")
    assert "no access entry" in review(account, viewer)["error"]
    cluster.eks.create_access_entry(clusterName=NAME, principalArn=arn, kubernetesGroups=["viewers"])
    assert review(account, viewer)["user"]["groups"] == ["viewers"]


def test_tokens_with_a_wrong_secret_or_for_another_cluster_name_nobody(account: Account, cluster: Cluster) -> None:
    key = account.session().get_credentials().access_key
    forged: Any = boto3.Session(key, "wrong", region_name="us-east-1")
    assert not review(account, forged)["authenticated"]
    assert not review(account, account.session(), "another")["authenticated"]
    assert not account.post("/sandbox/kubernetes/authenticate", {"spec": {"token": "abc"}})["status"]["authenticated"]


def test_tags_of_clusters_and_node_groups_are_found_by_the_tagging_api(account: Account, cluster: Cluster) -> None:
    arn = cluster.eks.describe_cluster(name=NAME)["cluster"]["arn"]
    cluster.eks.tag_resource(resourceArn=arn, tags={"langsmith:installation": "tagged"})
    tagging = account.client("resourcegroupstaggingapi")
    found = tagging.get_resources(TagFilters=[{"Key": "langsmith:installation", "Values": ["tagged"]}])
    assert [row["ResourceARN"] for row in found["ResourceTagMappingList"]] == [arn]


def test_a_subnet_and_a_cluster_in_use_are_not_deleted(account: Account, cluster: Cluster) -> None:
    assert code_of(account.client("ec2").delete_subnet, SubnetId=cluster.subnets[0]) == "DependencyViolation"
    cluster.nodegroup("keeper", size=0)
    cluster.settled("keeper")
    assert code_of(cluster.eks.delete_cluster, name=NAME) == "ResourceInUseException"
    cluster.remove("keeper")


def test_the_pods_of_a_node_are_bounded_by_its_network_interfaces() -> None:
    assert eks_nodes.max_pods("m6i.2xlarge") == 58
    assert eks_nodes.max_pods("t3.medium") == 17
