# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stand-in for the end of an EKS cluster: the sandbox keeps the control plane, so everything in it is removed."""

from __future__ import annotations

from sandbox.aws.control_plane import ControlPlane, Manifest, path_of, polls

BUILT_IN_NAMESPACES = {"default", "kube-system", "kube-public", "kube-node-lease"}
SECONDS = 60
# After this the finalizers of what is left are taken off: their controllers have gone with the cluster.
PATIENCE_SECONDS = 10
# kwok's own resources belong to the sandbox.
KEPT_SUFFIX = "kwok.x-k8s.io"
NAMESPACED = (
    "Deployment", "DaemonSet", "StatefulSet", "Job", "PodDisruptionBudget", "Service", "Secret", "ConfigMap",
    "ServiceAccount", "Role", "RoleBinding", "Lease", "Pod",
)  # fmt: skip
CLUSTER_WIDE = (
    "ValidatingWebhookConfiguration", "MutatingWebhookConfiguration", "PersistentVolume", "VolumeAttachment",
    "StorageClass", "CSIDriver", "IngressClass", "PriorityClass", "ClusterRoleBinding", "ClusterRole", "Node",
)  # fmt: skip
#: EKS has it outside of every cluster; here it is in the one control plane.
POD_IDENTITY = "pod-identity-webhook"
KEPT_CONFIG_MAPS = {
    "kube-root-ca.crt",
    "extension-apiserver-authentication",
    "kube-apiserver-legacy-service-account-token-tracking",
}


def empty(plane: ControlPlane) -> None:
    """Remove all that was made since the control plane started, so that the next cluster starts clean."""
    # Webhooks first: their servers end with the pods, and would then refuse every deletion.
    for kind in CLUSTER_WIDE[:2]:
        _delete_all(plane, kind)
    for name in _custom_kinds(plane):
        plane.delete("CustomResourceDefinition", name)
    for item in plane.list("Namespace"):
        if item["metadata"]["name"] not in BUILT_IN_NAMESPACES:
            plane.delete("Namespace", item["metadata"]["name"])
    for namespace in sorted(BUILT_IN_NAMESPACES):
        for kind in NAMESPACED:
            _delete_all(plane, kind, namespace)
    for kind in CLUSTER_WIDE[2:]:
        _delete_all(plane, kind)
    _await_empty(plane)


def _delete_all(plane: ControlPlane, kind: str, namespace: str | None = None) -> None:
    for item in plane.list(kind, namespace):
        if not kept(kind, item):
            plane.delete(kind, item["metadata"]["name"], namespace, grace_seconds=0 if kind == "Pod" else None)


def kept(kind: str, item: Manifest) -> bool:
    """Whether an object is Kubernetes's or the sandbox's own."""
    metadata = item["metadata"]
    name, labels = metadata["name"], metadata.get("labels") or {}
    if name.startswith("system:") or "kubernetes.io/bootstrapping" in labels:
        return True
    if kind == "Pod":
        return any(owner["kind"] == "Node" for owner in metadata.get("ownerReferences", []))
    if kind == "ServiceAccount":
        # Those of the controller manager's controllers have no labels and are in use.
        return not labels
    builtin = {
        "MutatingWebhookConfiguration": name == POD_IDENTITY,
        "ConfigMap": name in KEPT_CONFIG_MAPS,
        "Service": metadata.get("namespace") == "default" and name == "kubernetes",
        "PriorityClass": name.startswith("system-"),
        "ClusterRole": name in ("admin", "edit", "view", "cluster-admin") or name.startswith(("kwok", "sandbox:")),
        "ClusterRoleBinding": name == "cluster-admin" or name.startswith(("kwok", "sandbox:")),
        "Lease": metadata.get("namespace") == "kube-node-lease" or _control_plane_lease(name),
    }
    return builtin.get(kind, False)


def _control_plane_lease(name: str) -> bool:
    return name in ("kube-controller-manager", "kube-scheduler") or name.startswith(("apiserver-", "kwok"))


def _custom_kinds(plane: ControlPlane) -> list[str]:
    names = [item["metadata"]["name"] for item in plane.list("CustomResourceDefinition")]
    return [name for name in names if not name.endswith(KEPT_SUFFIX)]


def left(plane: ControlPlane) -> list[str]:
    """The paths of what must be gone before the control plane counts as empty."""
    found = [path_of("Namespace", None, item["metadata"]["name"]) for item in plane.list("Namespace")
             if item["metadata"]["name"] not in BUILT_IN_NAMESPACES]  # fmt: skip
    found += [path_of("CustomResourceDefinition", None, name) for name in _custom_kinds(plane)]
    found += [path_of(kind, None, item["metadata"]["name"]) for kind in ("PersistentVolume", "Node")
              for item in plane.list(kind)]  # fmt: skip
    return found


def _await_empty(plane: ControlPlane) -> None:
    remaining: list[str] = []
    for turn, _ in enumerate(polls(SECONDS, pause=0.5)):
        remaining = left(plane)
        if not remaining:
            return
        if turn >= PATIENCE_SECONDS * 2 and turn % 4 == 0:
            _release(plane)
    raise RuntimeError(f"the control plane still holds {', '.join(remaining[:5])}")


def _release(plane: ControlPlane) -> None:
    """Take the finalizers off everything that is being deleted."""
    for path in _collections(plane):
        answer = plane.call("GET", path)
        for item in answer.get("items", []) if answer else []:
            metadata = item["metadata"]
            if metadata.get("deletionTimestamp") and metadata.get("finalizers"):
                prefix, _, plural = path.rpartition("/")
                inside = f"/namespaces/{metadata['namespace']}" if metadata.get("namespace") else ""
                plane.patch(f"{prefix}{inside}/{plural}/{metadata['name']}", {"metadata": {"finalizers": None}})


def _collections(plane: ControlPlane) -> list[str]:
    groups = [f"apis/{group['preferredVersion']['groupVersion']}" for group in plane.call("GET", "apis")["groups"]]
    found = []
    for prefix in ["api/v1", *groups]:
        listing = plane.call("GET", prefix)
        usable = [r["name"] for r in (listing["resources"] if listing else []) if {"list", "patch"} <= set(r["verbs"])]
        found += [f"{prefix}/{name}" for name in usable if "/" not in name]
    return found
