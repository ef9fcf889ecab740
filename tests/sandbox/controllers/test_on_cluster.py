# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The controllers on a real control plane, with real credentials of the emulated AWS."""

from __future__ import annotations

import base64
import http.client
import json
import socket
import ssl
from typing import Any

import pytest

from sandbox import pki, state
from sandbox.controllers.external_secrets import CLUSTER_SECRET_STORE, EXTERNAL_SECRET, FINALIZER
from sandbox.controllers.kubernetes import (
    APPS,
    CLAIM,
    DEPLOYMENT,
    INGRESS,
    POD,
    SECRET,
    SERVICE,
    STORAGE_CLASS,
    VOLUME,
    Kind,
    Object,
)
from sandbox.controllers.load_balancer import BINDING
from tests.sandbox.controllers.world import SECONDS, World, until

pytestmark = pytest.mark.sandbox

STATEFUL_SET = Kind(APPS, "statefulsets", "StatefulSet")
PREFIX = "alb.ingress.kubernetes.io/"
IMAGE = "registry.k8s.io/e2e-test-images/agnhost:2.53"


# External Secrets


def store(world: World, name: str, account: str = "external-secrets", namespace: str = "external-secrets") -> None:
    reference = {"name": account, "namespace": namespace}
    aws = {"service": "SecretsManager", "region": state.REGION, "auth": {"jwt": {"serviceAccountRef": reference}}}
    world.cluster.create(CLUSTER_SECRET_STORE, {"metadata": {"name": name}, "spec": {"provider": {"aws": aws}}})


def external_secret(world: World, namespace: str, store_name: str, key: str, **target: Any) -> Object:
    spec = {
        "secretStoreRef": {"kind": "ClusterSecretStore", "name": store_name},
        "target": target,
        "data": [{"secretKey": "whole", "remoteRef": {"key": key}}],
        "dataFrom": [{"extract": {"key": key}}],
    }
    return world.cluster.create(EXTERNAL_SECRET, {"metadata": {"name": "it", "namespace": namespace}, "spec": spec})


def values(world: World, namespace: str, name: str = "it") -> dict[str, str]:
    found = world.cluster.get(SECRET, namespace, name) or {}
    return {key: base64.b64decode(value).decode() for key, value in (found.get("data") or {}).items()}


def test_a_secret_of_secrets_manager_becomes_a_secret_and_follows_it_when_asked_to(world: World) -> None:
    namespace = world.namespace("follow")
    manager = world.aws("secretsmanager")
    manager.create_secret(Name="follow", SecretString=json.dumps({"user": "me", "password": "a b/c"}))
    store(world, "follow")
    template = {"data": {"url": "{{ .user }}:{{ .password | urlquery }}@db"}}
    external = external_secret(world, namespace, "follow", "follow", template=template)
    until("not synced", lambda: values(world, namespace) == {"url": "me:a+b%2Fc@db"})
    synced = ("True", "SecretSynced", "secret synced")
    until("no condition", lambda: world.condition(EXTERNAL_SECRET, namespace, "it") == synced)
    assert world.condition(CLUSTER_SECRET_STORE, None, "follow") == ("True", "Valid", "store validated")
    until("no event", lambda: ("Normal", "Created", "secret created") in world.events(external))

    manager.put_secret_value(SecretId="follow", SecretString=json.dumps({"user": "you", "password": "x"}))
    change = {"metadata": {"annotations": {"force-sync": "1"}}}
    world.cluster.patch(EXTERNAL_SECRET, external, change)
    until("not synced again", lambda: values(world, namespace) == {"url": "you:x@db"})
    until("no event", lambda: ("Normal", "Updated", "secret updated") in world.events(external))


def test_a_secret_changed_by_another_hand_is_put_right_and_goes_with_its_owner(world: World) -> None:
    namespace = world.namespace("owner")
    world.aws("secretsmanager").create_secret(Name="owner", SecretString='{"a": "1"}')
    store(world, "owner")
    external = external_secret(world, namespace, "owner", "owner")
    until("not synced", lambda: values(world, namespace).get("a") == "1")
    found = world.cluster.get(SECRET, namespace, "it")
    assert found is not None
    world.cluster.patch(SECRET, found, {"data": {"a": "Mg=="}})
    until("not put right", lambda: values(world, namespace).get("a") == "1")
    until("no finalizer", lambda: FINALIZER in (finalizers(world, namespace) or []))
    world.cluster.delete(EXTERNAL_SECRET, namespace, external["metadata"]["name"])
    until("the secret stays", lambda: world.cluster.get(SECRET, namespace, "it") is None)


def finalizers(world: World, namespace: str) -> list[str] | None:
    found = world.cluster.get(EXTERNAL_SECRET, namespace, "it") or {"metadata": {}}
    return found["metadata"].get("finalizers")


def test_a_secret_that_does_not_exist_is_told_and_synced_once_it_does(world: World) -> None:
    namespace = world.namespace("later")
    store(world, "later")
    external = external_secret(world, namespace, "later", "later")
    failed = ("False", "SecretSyncedError", "could not get secret data from provider")
    until("no condition", lambda: world.condition(EXTERNAL_SECRET, namespace, "it") == failed)
    message = "error processing spec.dataFrom[0].extract, err: Secret does not exist"
    until("no event", lambda: ("Warning", "UpdateFailed", message) in world.events(external))
    world.aws("secretsmanager").create_secret(Name="later", SecretString='{"a": "1"}')
    until("not synced", lambda: values(world, namespace).get("a") == "1")


def test_a_store_whose_account_may_not_assume_the_role_is_not_ready(world: World) -> None:
    namespace = world.namespace("stranger")
    account = Kind("/api/v1", "serviceaccounts", "ServiceAccount")
    metadata = {"name": "stranger", "namespace": namespace, "annotations": world.role_annotation("external-secrets")}
    world.cluster.create(account, {"metadata": metadata})
    store(world, "stranger", "stranger", namespace)
    expected = ("False", "InvalidProviderConfig", "unable to validate store")
    until("no condition", lambda: world.condition(CLUSTER_SECRET_STORE, None, "stranger") == expected)
    found = world.cluster.get(CLUSTER_SECRET_STORE, None, "stranger")
    assert found is not None
    events = world.events(found)
    refusal = "Not authorized to perform sts:AssumeRoleWithWebIdentity"
    assert {reason for _, reason, message in events if refusal in message} == {"InvalidProviderConfig"}, events


# Load balancers


def web(world: World, namespace: str) -> None:
    labels = {"app": "web"}
    probe = {"httpGet": {"path": "/healthz", "port": 8080}, "periodSeconds": 1}
    container = {"name": "web", "image": IMAGE, "args": ["netexec", "--http-port=8080"], "readinessProbe": probe}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
    spec = {"replicas": 2, "selector": {"matchLabels": labels}, "template": template}
    world.cluster.create(DEPLOYMENT, {"metadata": {"name": "web", "namespace": namespace}, "spec": spec})
    ports = {"selector": labels, "ports": [{"port": 80, "targetPort": 8080}]}
    world.cluster.create(SERVICE, {"metadata": {"name": "web", "namespace": namespace}, "spec": ports})


def ingress(world: World, namespace: str, host: str, **annotations: str) -> Object:
    settings = {
        "scheme": "internet-facing",
        "target-type": "ip",
        "listen-ports": '[{"HTTP": 80}, {"HTTPS": 443}]',
        "ssl-redirect": "443",
        "healthcheck-path": "/healthz",
        **{key.replace("_", "-"): value for key, value in annotations.items()},
    }
    backend = {"service": {"name": "web", "port": {"number": 80}}}
    rule = {"host": host, "http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": backend}]}}
    metadata = {
        "name": "web",
        "namespace": namespace,
        "annotations": {PREFIX + key: value for key, value in settings.items()},
    }
    return world.cluster.create(INGRESS, {"metadata": metadata, "spec": {"ingressClassName": "alb", "rules": [rule]}})


def hostname(world: World, namespace: str) -> str | None:
    found = world.cluster.get(INGRESS, namespace, "web") or {}
    entries = (found.get("status") or {}).get("loadBalancer", {}).get("ingress") or []
    return str(entries[0]["hostname"]) if entries else None


def https_status(host: str) -> int | None:
    context = ssl.create_default_context(cafile=str(pki.authority().certificate_file))
    connection = http.client.HTTPSConnection(host, 443, timeout=SECONDS, context=context)
    try:
        plain = socket.create_connection(("127.0.0.1", state.port("load-balancer-https")), SECONDS)
        connection.sock = context.wrap_socket(plain, server_hostname=host)
        connection.request("GET", "/hostname")
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return None


def stack(world: World, name: str) -> list[str]:
    """The ARNs of the load balancers and target groups of a group of Ingresses."""
    elbv2 = world.aws("elbv2")
    arns = [item["LoadBalancerArn"] for item in elbv2.describe_load_balancers()["LoadBalancers"]]
    arns += [item["TargetGroupArn"] for item in elbv2.describe_target_groups()["TargetGroups"]]
    found = elbv2.describe_tags(ResourceArns=arns)["TagDescriptions"] if arns else []
    tag = {"Key": "ingress.k8s.aws/stack", "Value": name}
    return [item["ResourceArn"] for item in found if tag in item["Tags"]]


def health(world: World, name: str) -> list[str]:
    group = next((arn for arn in stack(world, name) if ":targetgroup/" in arn), None)
    if group is None:
        return []
    answer = world.aws("elbv2").describe_target_health(TargetGroupArn=group)
    return [item["TargetHealth"]["State"] for item in answer["TargetHealthDescriptions"]]


def test_an_ingress_becomes_a_load_balancer_that_serves_https_and_goes_with_it(world: World) -> None:
    namespace = world.namespace("shop")
    certificate, key = pki.issue("shop.localhost")
    world.aws("acm").import_certificate(Certificate=certificate, PrivateKey=key)
    web(world, namespace)
    made = ingress(world, namespace, "shop.localhost", tags="langsmith:installation=acme")
    name = until("no hostname", lambda: hostname(world, namespace))
    until("no 200 by https", lambda: https_status("shop.localhost") == 200)
    until("targets not healthy", lambda: health(world, "shop/web") == ["healthy", "healthy"])
    balancers = world.aws("elbv2").describe_load_balancers()["LoadBalancers"]
    assert name in {balancer["DNSName"].lower() for balancer in balancers}
    until("no event", lambda: ("Normal", "SuccessfullyReconciled", "Successfully reconciled") in world.events(made))
    tags = world.aws("elbv2").describe_tags(ResourceArns=stack(world, "shop/web"))["TagDescriptions"]
    assert all({"Key": "langsmith:installation", "Value": "acme"} in item["Tags"] for item in tags)
    assert [item["metadata"]["namespace"] for item in bindings(world)] == [namespace]

    deployment = world.cluster.get(DEPLOYMENT, namespace, "web")
    assert deployment is not None
    world.cluster.patch(DEPLOYMENT, deployment, {"spec": {"replicas": 0}})
    until("no 503 without pods", lambda: https_status("shop.localhost") == 503)

    world.cluster.delete(INGRESS, namespace, "web")
    until("the ingress stays", lambda: world.cluster.get(INGRESS, namespace, "web") is None)
    assert stack(world, "shop/web") == []
    assert bindings(world) == []
    groups = world.aws("ec2").describe_security_groups()["SecurityGroups"]
    assert [group["GroupName"] for group in groups if group["GroupName"].startswith("k8s-")] == []
    until("still served", lambda: https_status("shop.localhost") is None)


def bindings(world: World) -> list[Object]:
    return list(world.cluster.call("GET", BINDING.path())["items"])


def test_an_ingress_without_a_certificate_for_its_host_is_told_so(world: World) -> None:
    namespace = world.namespace("bare")
    web(world, namespace)
    made = ingress(world, namespace, "bare.localhost")
    message = "Failed build model due to no certificate found for host: bare.localhost"
    until("no event", lambda: ("Warning", "FailedBuildModel", message) in world.events(made))
    assert hostname(world, namespace) is None
    world.cluster.delete(INGRESS, namespace, "web")
    until("the ingress stays", lambda: world.cluster.get(INGRESS, namespace, "web") is None)


# Volumes


def claim_of(world: World, namespace: str) -> Object:
    found = world.cluster.get(CLAIM, namespace, "data-db-0")
    assert found is not None
    return found


def phase(world: World, namespace: str) -> str | None:
    found = world.cluster.get(CLAIM, namespace, "data-db-0") or {}
    return (found.get("status") or {}).get("phase")


def test_a_claim_gets_an_ebs_volume_in_its_pods_zone_that_grows_and_goes(world: World) -> None:
    namespace = world.namespace("data")
    storage_class = {
        "metadata": {"name": "gp3"},
        "provisioner": "ebs.csi.aws.com",
        "parameters": {"type": "gp3", "iops": "4000", "tagSpecification_1": "langsmith:installation=acme"},
        "volumeBindingMode": "WaitForFirstConsumer",
        "allowVolumeExpansion": True,
        "reclaimPolicy": "Delete",
    }
    world.cluster.create(STORAGE_CLASS, storage_class)
    labels = {"app": "db"}
    mount = {"name": "data", "mountPath": "/data"}
    pod = {"containers": [{"name": "db", "image": IMAGE, "args": ["pause"], "volumeMounts": [mount]}]}
    request = {"requests": {"storage": "20Gi"}}
    wanted = {"accessModes": ["ReadWriteOnce"], "storageClassName": "gp3", "resources": request}
    spec = {
        "serviceName": "db",
        "selector": {"matchLabels": labels},
        "template": {"metadata": {"labels": labels}, "spec": pod},
        "volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": wanted}],
    }
    world.cluster.create(STATEFUL_SET, {"metadata": {"name": "db", "namespace": namespace}, "spec": spec})
    until("not bound", lambda: phase(world, namespace) == "Bound")
    claim = claim_of(world, namespace)
    volume = world.cluster.get(VOLUME, None, claim["spec"]["volumeName"])
    assert volume is not None
    handle = volume["spec"]["csi"]["volumeHandle"]
    ec2 = world.aws("ec2")
    found = ec2.describe_volumes(VolumeIds=[handle])["Volumes"][0]
    assert (found["VolumeType"], found["Size"], found["Iops"]) == ("gp3", 20, 4000)
    node = until("no node", lambda: (world.cluster.get(POD, namespace, "db-0") or {"spec": {}})["spec"].get("nodeName"))
    instance = (world.cluster.get(Kind("/api/v1", "nodes", "Node", False), None, node) or {})["spec"]["providerID"]
    assert found["AvailabilityZone"] == instance.split("/")[-2]
    until("not attached", lambda: ec2.describe_volumes(VolumeIds=[handle])["Volumes"][0]["State"] == "in-use")
    assert (state.root() / "volumes" / handle).is_dir()

    world.cluster.patch(CLAIM, claim, {"spec": {"resources": {"requests": {"storage": "30Gi"}}}})
    until("not grown", lambda: claim_of(world, namespace)["status"]["capacity"]["storage"] == "30Gi")
    assert ec2.describe_volumes(VolumeIds=[handle])["Volumes"][0]["Size"] == 30
    told = {"Provisioning", "ProvisioningSucceeded", "Resizing", "FileSystemResizeSuccessful"}
    until("not told", lambda: told <= {reason for _, reason, _ in world.events(claim)})

    world.cluster.delete(STATEFUL_SET, namespace, "db")
    world.cluster.delete(CLAIM, namespace, "data-db-0")
    name = volume["metadata"]["name"]
    until("the volume stays", lambda: world.cluster.get(VOLUME, None, name) is None)
    handles = {item["VolumeId"] for item in ec2.describe_volumes()["Volumes"]}
    assert handle not in handles
    assert not (state.root() / "volumes" / handle).exists()
