# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stand-in for EKS add-ons: the versions on offer, and the objects of each with the names that EKS gives them."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import yaml

from sandbox.aws.control_plane import Manifest

# EKS installs these by itself unless bootstrapSelfManagedAddons is false.
BOOTSTRAPPED = ("vpc-cni", "coredns", "kube-proxy")
# Newest first. Those of kube-proxy follow the cluster's minor version.
_VERSIONS: dict[str, list[str]] = {
    "vpc-cni": ["v1.21.0-eksbuild.1", "v1.20.4-eksbuild.1"],
    "coredns": ["v1.13.1-eksbuild.1", "v1.12.4-eksbuild.1"],
    "aws-ebs-csi-driver": ["v1.53.0-eksbuild.1", "v1.52.0-eksbuild.1"],
    "metrics-server": ["v0.8.0-eksbuild.5", "v0.8.0-eksbuild.2"],
    "eks-pod-identity-agent": ["v1.3.10-eksbuild.1", "v1.3.9-eksbuild.3"],
}
REGISTRY = "602401143452.dkr.ecr.us-east-1.amazonaws.com/eks"


def versions(name: str, cluster_version: str) -> list[str]:
    """The versions of an add-on for a cluster version, the default first; empty for an unknown add-on."""
    if name == "kube-proxy":
        return [f"v{cluster_version}.0-eksbuild.2", f"v{cluster_version}.0-eksbuild.1"]
    return _VERSIONS.get(name, [])


def default_version(name: str, cluster_version: str) -> str:
    """What EKS installs when no version is named."""
    return versions(name, cluster_version)[0]


def catalogue(name: str | None, cluster_version: str | None, all_versions: tuple[str, ...]) -> list[dict[str, Any]]:
    """The answer of DescribeAddonVersions."""
    clusters = [cluster_version] if cluster_version else list(all_versions)
    rows = []
    for addon in sorted([*_VERSIONS, "kube-proxy"]):
        if name not in (None, addon):
            continue
        found: dict[str, list[dict[str, Any]]] = {}
        for cluster in clusters:
            for index, version in enumerate(versions(addon, cluster)):
                compatibility = {"clusterVersion": cluster, "platformVersions": ["*"], "defaultVersion": index == 0}
                found.setdefault(version, []).append(compatibility)
        addon_versions = [
            {
                "addonVersion": v,
                "architecture": ["amd64", "arm64"],
                "compatibilities": c,
                "requiresConfiguration": False,
            }
            for v, c in found.items()
        ]
        rows.append({"addonName": addon, "type": "networking", "addonVersions": addon_versions, "owner": "aws"})
    return rows


def configuration(text: str | None, refuse: Callable[[str], Exception]) -> dict[str, Any]:
    """configurationValues, JSON or YAML, as a dictionary."""
    try:
        values = yaml.safe_load(text) if text else {}
    except yaml.YAMLError:
        values = None
    if not isinstance(values, dict):
        raise refuse(f"ConfigurationValue is not in valid JSON or YAML format: {json.dumps(text)}")
    return values


def manifests(name: str, version: str, role_arn: str | None, values: dict[str, Any]) -> list[Manifest]:
    """The objects of an add-on. Of the configuration, replicaCount and resources are followed."""
    tag = version.partition("-eksbuild")[0]
    build = {
        "vpc-cni": _vpc_cni,
        "coredns": _coredns,
        "kube-proxy": _kube_proxy,
        "aws-ebs-csi-driver": _ebs_csi,
        "metrics-server": _metrics_server,
        "eks-pod-identity-agent": _pod_identity_agent,
    }[name]
    return build(tag, role_arn, values)


def cluster_defaults() -> list[Manifest]:
    """What a new EKS cluster holds besides Kubernetes's own objects: class gp2, no default since 1.30."""
    gp2 = {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {"name": "gp2"},
        "provisioner": "kubernetes.io/aws-ebs",
        "parameters": {"type": "gp2", "fsType": "ext4"},
        "reclaimPolicy": "Delete",
        "volumeBindingMode": "WaitForFirstConsumer",
    }
    bindings = [
        _cluster_role_binding(f"eks:access-policy:{policy}", role, {"kind": "Group", "name": group, **_RBAC})
        for policy, (group, role) in POLICY_GROUPS.items()
    ]
    return [gp2, *bindings]


_RBAC = {"apiGroup": "rbac.authorization.k8s.io"}
# EKS has an authorizer of its own for these policies; the cluster's own roles say nearly the same.
POLICY_GROUPS = {
    "AmazonEKSAdminPolicy": ("sandbox:eks-admin", "admin"),
    "AmazonEKSEditPolicy": ("sandbox:eks-edit", "edit"),
    "AmazonEKSViewPolicy": ("sandbox:eks-view", "view"),
    "AmazonEKSAdminViewPolicy": ("sandbox:eks-view", "view"),
}


def _meta(name: str, component: str, **more: Any) -> dict[str, Any]:
    labels = {"app.kubernetes.io/name": component, "eks.amazonaws.com/component": component}
    return {"name": name, "namespace": "kube-system", "labels": labels, **more}


def _service_account(name: str, component: str, role_arn: str | None = None) -> Manifest:
    annotations = {"eks.amazonaws.com/role-arn": role_arn} if role_arn else {}
    return {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": _meta(name, component, annotations=annotations)}


def _cluster_role(name: str, rules: list[dict[str, Any]]) -> Manifest:
    labels = {"eks.amazonaws.com/component": name}
    metadata = {"name": name, "labels": labels}
    return {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": metadata, "rules": rules}


def _cluster_role_binding(name: str, role: str, subject: dict[str, str]) -> Manifest:
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": name},
        "roleRef": {"kind": "ClusterRole", "name": role, **_RBAC},
        "subjects": [subject],
    }


def _pod_spec(
    name: str, account: str, images: dict[str, str], resources: dict[str, Any], **more: Any
) -> dict[str, Any]:
    containers = [{"name": container, "image": image} for container, image in images.items()]
    containers[0]["resources"] = resources  # type: ignore[assignment]
    tolerations = [{"operator": "Exists"}] if more.pop("everywhere", False) else []
    return {
        "serviceAccountName": account,
        "priorityClassName": more.pop("priority", "system-cluster-critical"),
        "containers": containers,
        "tolerations": tolerations,
        **more,
    }


def _workload(kind: str, name: str, component: str, spec: dict[str, Any], replicas: int | None = None) -> Manifest:
    selector = {"app.kubernetes.io/name": component, "app": name}
    template = {"metadata": {"labels": selector}, "spec": spec}
    body: dict[str, Any] = {"selector": {"matchLabels": selector}, "template": template}
    if replicas is not None:
        body["replicas"] = replicas
    return {"apiVersion": "apps/v1", "kind": kind, "metadata": _meta(name, component), "spec": body}


def _requests(cpu: str, memory: str = "0") -> dict[str, Any]:
    return {"requests": {"cpu": cpu, **({"memory": memory} if memory != "0" else {})}}


def _vpc_cni(tag: str, role_arn: str | None, values: dict[str, Any]) -> list[Manifest]:
    images = {"aws-node": f"{REGISTRY}/amazon-k8s-cni:{tag}"}
    resources = values.get("resources") or _requests("25m")
    spec = _pod_spec("aws-node", "aws-node", images, resources, everywhere=True, priority="system-node-critical")
    return [
        _service_account("aws-node", "vpc-cni", role_arn),
        _workload("DaemonSet", "aws-node", "vpc-cni", {**spec, "hostNetwork": True}),
    ]


def _kube_proxy(tag: str, _: str | None, values: dict[str, Any]) -> list[Manifest]:
    images = {"kube-proxy": f"{REGISTRY}/kube-proxy:{tag}-minimal"}
    resources = values.get("resources") or _requests("100m")
    spec = _pod_spec("kube-proxy", "kube-proxy", images, resources, everywhere=True, priority="system-node-critical")
    return [
        _service_account("kube-proxy", "kube-proxy"),
        _workload("DaemonSet", "kube-proxy", "kube-proxy", {**spec, "hostNetwork": True}),
    ]


def _coredns(tag: str, _: str | None, values: dict[str, Any]) -> list[Manifest]:
    images = {"coredns": f"{REGISTRY}/coredns:{tag}"}
    resources = values.get("resources") or _requests("100m", "70Mi")
    spec = _pod_spec("coredns", "coredns", images, resources)
    workload = _workload("Deployment", "coredns", "coredns", spec, values.get("replicaCount", 2))
    workload["spec"]["selector"]["matchLabels"] = workload["spec"]["template"]["metadata"]["labels"] = {
        "k8s-app": "kube-dns",
        "eks.amazonaws.com/component": "coredns",
    }
    ports = [{"name": "dns", "port": 53, "protocol": "UDP"}, {"name": "dns-tcp", "port": 53, "protocol": "TCP"}]
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": _meta("kube-dns", "coredns"),
        # EKS gives it the tenth address of the service range.
        "spec": {"clusterIP": "10.100.0.10", "selector": {"k8s-app": "kube-dns"}, "ports": ports},
    }
    return [_service_account("coredns", "coredns"), workload, service]


def _ebs_csi(tag: str, role_arn: str | None, values: dict[str, Any]) -> list[Manifest]:
    image = f"{REGISTRY}/aws-ebs-csi-driver:{tag}"
    sidecars = ("csi-provisioner", "csi-attacher", "csi-snapshotter", "csi-resizer", "liveness-probe")
    images = {"ebs-plugin": image} | {name: f"{REGISTRY}/{name}:v5.3.0-eksbuild.3" for name in sidecars}
    controller_values = values.get("controller") or {}
    resources = controller_values.get("resources") or _requests("10m", "40Mi")
    controller = _pod_spec("ebs-csi-controller", "ebs-csi-controller-sa", images, resources)
    replicas = controller_values.get("replicaCount", 2)
    node_images = {
        "ebs-plugin": image,
        "node-driver-registrar": f"{REGISTRY}/csi-node-driver-registrar:v2.14.0-eksbuild.3",
    }
    node = _pod_spec("ebs-csi-node", "ebs-csi-node-sa", node_images, _requests("10m", "40Mi"), everywhere=True)
    driver = {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "CSIDriver",
        "metadata": {"name": "ebs.csi.aws.com", "labels": {"eks.amazonaws.com/component": "aws-ebs-csi-driver"}},
        "spec": {"attachRequired": True, "podInfoOnMount": False, "fsGroupPolicy": "File"},
    }
    every = ["get", "list", "watch", "create", "update", "patch", "delete"]
    rules = [
        {"apiGroups": [""], "resources": ["persistentvolumes", "persistentvolumeclaims", "events"], "verbs": every},
        {"apiGroups": [""], "resources": ["nodes", "persistentvolumeclaims/status", "pods"], "verbs": every},
        {"apiGroups": ["storage.k8s.io"], "resources": ["*"], "verbs": every},
        {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": every},
    ]
    subject = {"kind": "ServiceAccount", "name": "ebs-csi-controller-sa", "namespace": "kube-system"}
    return [
        _service_account("ebs-csi-controller-sa", "aws-ebs-csi-driver", role_arn),
        _service_account("ebs-csi-node-sa", "aws-ebs-csi-driver"),
        _cluster_role("ebs-external-provisioner-role", rules),
        _cluster_role_binding("ebs-csi-provisioner-binding", "ebs-external-provisioner-role", subject),
        _workload("Deployment", "ebs-csi-controller", "aws-ebs-csi-driver", controller, replicas),
        _workload("DaemonSet", "ebs-csi-node", "aws-ebs-csi-driver", {**node, "hostNetwork": True}),
        driver,
    ]


def _metrics_server(tag: str, _: str | None, values: dict[str, Any]) -> list[Manifest]:
    images = {"metrics-server": f"{REGISTRY}/metrics-server:{tag}"}
    resources = values.get("resources") or _requests("100m", "200Mi")
    spec = _pod_spec("metrics-server", "metrics-server", images, resources)
    ports = [{"name": "https", "port": 443, "targetPort": 10251, "protocol": "TCP"}]
    labels = {"app.kubernetes.io/name": "metrics-server", "app": "metrics-server"}
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": _meta("metrics-server", "metrics-server"),
        "spec": {"selector": labels, "ports": ports},
    }
    replicas = values.get("replicas", 2)
    workload = _workload("Deployment", "metrics-server", "metrics-server", spec, replicas)
    return [_service_account("metrics-server", "metrics-server"), workload, service]


def _pod_identity_agent(tag: str, _: str | None, values: dict[str, Any]) -> list[Manifest]:
    images = {"eks-pod-identity-agent": f"{REGISTRY}/eks-pod-identity-agent:{tag}"}
    resources = values.get("resources") or {}
    spec = _pod_spec("eks-pod-identity-agent", "default", images, resources, everywhere=True)
    return [_workload("DaemonSet", "eks-pod-identity-agent", "eks-pod-identity-agent", {**spec, "hostNetwork": True})]
