# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kubernetes: one function per call, for what must not pass through a result of a task."""

from __future__ import annotations

import base64
from typing import Any

from ansible_collections.langsmith.aws.plugins.module_utils.clients import kubeconfig
from ansible_collections.langsmith.aws.plugins.module_utils.domain.errors import ProjectError
from ansible_collections.langsmith.aws.plugins.module_utils.domain.secret_sync import Condition, Copy, digest

try:
    from kubernetes.client import ApiClient, CoreV1Api, CustomObjectsApi
    from kubernetes.client.exceptions import ApiException
    from urllib3.exceptions import HTTPError
except ImportError:
    # Names for the except clauses below, which are not reached without the package: ``connect`` refuses first.
    ApiException = HTTPError = Exception  # type: ignore[assignment, misc]


class KubernetesError(ProjectError):
    """A call that the API server did not answer as it should."""


def connect(path: str) -> ApiClient:
    """A client for the current context of the kubeconfig at ``path``. Raises KubeconfigError."""
    return ApiClient(kubeconfig.load(path))


def _absent(error: Exception) -> bool:
    return getattr(error, "status", None) == 404


def _failed(what: str, error: Exception) -> KubernetesError:
    reason = f"{getattr(error, 'status', '')} {getattr(error, 'reason', '') or error}".strip()
    return KubernetesError(f"{what} could not be read: {reason}")


def secret_copy(client: ApiClient, namespace: str, name: str) -> Copy:
    """The secret ``name`` with hashed values, and the condition of the ExternalSecret of that name."""
    return Copy(_hashes(client, namespace, name), _condition(client, namespace, name))


def _hashes(client: ApiClient, namespace: str, name: str) -> dict[str, str] | None:
    try:
        data = CoreV1Api(client).read_namespaced_secret(name, namespace).data or {}
    except (ApiException, HTTPError) as error:
        if _absent(error):
            return None
        raise _failed(f"secret {namespace}/{name}", error) from error
    return {key: digest(base64.b64decode(value)) for key, value in data.items()}


def _condition(client: ApiClient, namespace: str, name: str) -> Condition | None:
    try:
        found: dict[str, Any] = CustomObjectsApi(client).get_namespaced_custom_object(
            "external-secrets.io", "v1", namespace, "externalsecrets", name
        )
    except (ApiException, HTTPError) as error:
        if _absent(error):
            return None
        raise _failed(f"externalsecret {namespace}/{name}", error) from error
    for condition in (found.get("status") or {}).get("conditions", []):
        if condition["type"] == "Ready":
            return Condition(condition["status"] == "True", condition.get("reason", ""), condition.get("message", ""))
    return Condition(False, "NotYetSynced", "External Secrets has not looked at it yet")
