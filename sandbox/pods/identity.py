# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stand-in for EKS's pod identity webhook: pods of an annotated service account get its role's variables and token."""

from __future__ import annotations

import base64
import http.server
import json
import ssl
import threading

from sandbox import pki, state
from sandbox.controlplane.client import Client, NotFoundError, Object

NAME = "pod-identity-webhook"
ROLE = "eks.amazonaws.com/role-arn"
AUDIENCE = "eks.amazonaws.com/audience"
EXPIRATION = "eks.amazonaws.com/token-expiration"
MOUNT = "/var/run/secrets/eks.amazonaws.com/serviceaccount"
VOLUME = "aws-iam-token"
DEFAULT_SECONDS = 86400


def start(client: Client) -> None:
    """Serve on loopback and tell the API server of it."""
    port = state.port(NAME)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    folder = state.root() / "kubernetes"
    authority = pki.Authority(folder, "kubernetes")
    if not (folder / f"{NAME}.crt").exists():
        certificate, key = authority.issue(NAME, ["127.0.0.1"], days=pki.CA_DAYS)
        state.write_text(folder / f"{NAME}.key", key)
        state.write_text(folder / f"{NAME}.crt", certificate)
    context.load_cert_chain(folder / f"{NAME}.crt", folder / f"{NAME}.key")

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            review = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            content = json.dumps(answer(review, client)).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the base class's
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, name=NAME, daemon=True).start()
    client.apply(
        f"/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/{NAME}",
        _configuration(port, authority.certificate),
    )


def _configuration(port: int, certificate: str) -> Object:
    reach = {"url": f"https://127.0.0.1:{port}/mutate", "caBundle": base64.b64encode(certificate.encode()).decode()}
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}
    webhook = {
        "name": "iam-for-pods.amazonaws.com",
        "clientConfig": reach,
        "rules": [rule],
        # As on EKS: a pod is made without its role rather than not at all.
        "failurePolicy": "Ignore",
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
        "timeoutSeconds": 5,
    }
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "MutatingWebhookConfiguration",
        "metadata": {"name": NAME},
        "webhooks": [webhook],
    }


def answer(review: Object, client: Client) -> Object:
    """The AdmissionReview that allows the pod, changed when its service account has a role."""
    request = review["request"]
    response: Object = {"uid": request["uid"], "allowed": True}
    account = request["object"]["spec"].get("serviceAccountName") or "default"
    try:
        found = client.get(f"/api/v1/namespaces/{request['namespace']}/serviceaccounts/{account}")
    except (NotFoundError, OSError):
        found = {"metadata": {}}
    annotations = found["metadata"].get("annotations", {})
    if annotations.get(ROLE):
        patch = [{"op": "replace", "path": "/spec", "value": with_role(request["object"]["spec"], annotations)}]
        response |= {"patchType": "JSONPatch", "patch": base64.b64encode(json.dumps(patch).encode()).decode()}
    return {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response}


def with_role(spec: Object, annotations: dict[str, str]) -> Object:
    """The pod's spec with the variables, the mount and the volume that the real webhook adds."""
    variables = {
        "AWS_STS_REGIONAL_ENDPOINTS": "regional",
        "AWS_DEFAULT_REGION": state.REGION,
        "AWS_REGION": state.REGION,
        "AWS_ROLE_ARN": annotations[ROLE],
        "AWS_WEB_IDENTITY_TOKEN_FILE": f"{MOUNT}/token",
    }
    mount = {"name": VOLUME, "readOnly": True, "mountPath": MOUNT}
    token = {
        "audience": annotations.get(AUDIENCE, "sts.amazonaws.com"),
        "expirationSeconds": int(annotations.get(EXPIRATION, DEFAULT_SECONDS)),
        "path": "token",
    }
    volume = {"name": VOLUME, "projected": {"sources": [{"serviceAccountToken": token}]}}
    changed = {**spec, "volumes": [*_without(spec.get("volumes"), VOLUME), volume]}
    for kind in ("initContainers", "containers"):
        if kind in spec:
            changed[kind] = [_equip(container, variables, mount) for container in spec[kind]]
    return changed


def _equip(container: Object, variables: dict[str, str], mount: Object) -> Object:
    known = {item["name"] for item in container.get("env", [])}
    added = [{"name": name, "value": value} for name, value in variables.items() if name not in known]
    mounts = [*_without(container.get("volumeMounts"), VOLUME), mount]
    return {**container, "env": [*container.get("env", []), *added], "volumeMounts": mounts}


def _without(items: list[Object] | None, name: str) -> list[Object]:
    return [item for item in items or [] if item["name"] != name]
