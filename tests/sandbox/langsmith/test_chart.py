# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the stand-in's chart renders, and what it refuses to render."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from sandbox.controlplane import build
from sandbox.langsmith import __main__ as entry
from sandbox.langsmith import nginx

CHART = Path(__file__).resolve().parents[3] / "sandbox" / "charts" / "langsmith"
Objects = dict[tuple[str, str], dict[str, Any]]
Render = Callable[..., Objects]

PRODUCTION: dict[str, Any] = {
    "config": {
        "existingSecretName": "langsmith-config",
        "hostname": "langsmith.example.org",
        "authType": "mixed",
        "basicAuth": {"enabled": True},
        "initialOrgAdminEmail": "admin@example.org",
        "blobStorage": {"enabled": True, "bucketName": "acme-blobs", "apiURL": "https://s3.us-east-1.amazonaws.com"},
    },
    "postgres": {"external": {"enabled": True, "existingSecretName": "langsmith-postgres"}},
    "redis": {"external": {"enabled": True, "existingSecretName": "langsmith-redis"}},
    "clickhouse": {"external": {"existingSecretName": "langsmith-clickhouse"}},
    "ingress": {"enabled": True, "ingressClassName": "alb"},
    "frontend": {"service": {"type": "ClusterIP"}},
    "insights": {"enabled": False},
    "polly": {"enabled": False},
}
IN_VALUES: dict[str, Any] = {
    "config": {
        "existingSecretName": "",
        "langsmithLicenseKey": "license",
        "apiKeySalt": "salt",
        "basicAuth": {"jwtSecret": "jwt", "initialOrgAdminPassword": "Correct-Horse-7"},
    }
}


def merged(base: dict[str, Any], *changes: dict[str, Any]) -> dict[str, Any]:
    """Values over values, as Helm merges files."""
    found = dict(base)
    for change in changes:
        for name, value in change.items():
            both = isinstance(value, dict) and isinstance(found.get(name), dict)
            found[name] = merged(found[name], value) if both else value
    return found


class Refused(Exception):  # noqa: N818  (it tells what happened)
    """Helm would not render."""


@pytest.fixture(scope="session")
def helm() -> str:
    """The Helm of the sandbox, built where that has not been done yet."""
    return str(build.build() / "helm")


@pytest.fixture
def render(helm: str, tmp_path: Path) -> Render:
    """Objects by kind and name, for production values with changes; Refused with Helm's message otherwise."""

    def rendered(*changes: dict[str, Any]) -> Objects:
        path = tmp_path / "values.yaml"
        path.write_text(yaml.safe_dump(merged(PRODUCTION, *changes)))
        argv = [helm, "template", "langsmith", str(CHART), "--namespace", "langsmith", "--values", str(path)]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
        if done.returncode:
            raise Refused(done.stderr)
        documents = [found for found in yaml.safe_load_all(done.stdout) if found]
        return {(found["kind"], found["metadata"]["name"]): found for found in documents}

    return rendered


def container(found: dict[str, Any]) -> dict[str, Any]:
    """The only container of a workload or Job."""
    (one,) = found["spec"]["template"]["spec"]["containers"]
    return dict(one)


def test_production_values_give_seven_deployments_and_the_bundled_clickhouse(render: Render) -> None:
    objects = render()
    assert {name for kind, name in objects if kind == "Deployment"} == {
        f"langsmith-{name}"
        for name in ("frontend", "backend", "platform-backend", "ingest-queue", "queue", "playground", "ace-backend")
    }
    assert {name for kind, name in objects if kind == "StatefulSet"} == {"langsmith-clickhouse"}
    assert {name for kind, name in objects if kind == "Secret"} == set()
    assert len(objects) == 31


def test_every_container_s_command_has_a_program_that_stands_for_it(
    render: Render, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SANDBOX_IMAGE", raising=False)
    programs = {}
    for (kind, name), found in render().items():
        if kind in {"Deployment", "Job"}:
            port = next((entry["value"] for entry in container(found)["env"] if entry["name"] == "PORT"), "")
            monkeypatch.setenv("PORT", port)
            programs[name] = entry.program(container(found)["command"])
    assert None not in programs.values()
    assert programs["langsmith-backend"] == ("backend", "main")
    assert programs["langsmith-ace-backend"] == ("plain", "ace_backend")


def test_every_variable_that_a_program_needs_comes_from_its_secret(render: Render) -> None:
    env = {entry["name"]: entry for entry in container(render()[("Deployment", "langsmith-backend")])["env"]}
    references = {
        name: (entry["valueFrom"]["secretKeyRef"]["name"], entry["valueFrom"]["secretKeyRef"]["key"])
        for name, entry in env.items()
        if "valueFrom" in entry
    }
    assert references["POSTGRES_DATABASE_URI"] == ("langsmith-postgres", "connection_url")
    assert references["REDIS_DATABASE_URI"] == ("langsmith-redis", "connection_url")
    assert references["CLICKHOUSE_PASSWORD"] == ("langsmith-clickhouse", "clickhouse_password")
    assert references["API_KEY_SALT"] == references["X_SERVICE_AUTH_JWT_SECRET"] == ("langsmith-config", "api_key_salt")
    assert references["BASIC_AUTH_JWT_SECRET"] == ("langsmith-config", "jwt_secret")
    assert env["S3_BUCKET_NAME"]["value"] == "acme-blobs"
    assert env["PORT"]["value"] == "1984"


def test_jobs_run_in_the_order_of_their_weights(render: Render) -> None:
    hooks = {
        name: (
            found["metadata"]["annotations"]["helm.sh/hook"],
            found["metadata"]["annotations"]["helm.sh/hook-weight"],
        )
        for (kind, name), found in render().items()
        if kind == "Job"
    }
    assert hooks == {
        "langsmith-backend-backfill-check": ("pre-upgrade", "-2"),
        "langsmith-backend-ch-migrations": ("post-install, pre-upgrade", "-1"),
        "langsmith-backend-migrations": ("post-install, pre-upgrade", "-1"),
        "langsmith-backend-auth-bootstrap": ("post-install, post-upgrade", "0"),
        "langsmith-e2e-test": ("post-install, post-upgrade", "1"),
    }


def test_services_select_the_pods_of_their_component_by_a_port_they_have(render: Render) -> None:
    objects = render()
    services = {name: found["spec"] for (kind, name), found in objects.items() if kind == "Service"}
    assert len(services) == 6
    for name, service in services.items():
        workload = objects.get(("Deployment", name)) or objects[("StatefulSet", name)]
        labels = workload["spec"]["template"]["metadata"]["labels"]
        assert service["selector"].items() <= labels.items()
        ports = {value for port in container(workload)["ports"] for value in (port["name"], port["containerPort"])}
        assert {port["targetPort"] for port in service["ports"]} <= ports
    assert [port["port"] for port in services["langsmith-frontend"]["ports"]] == [80, 443]


def test_nginx_sends_ingest_to_platform_backend_and_the_rest_to_backend(render: Render) -> None:
    text = render()[("ConfigMap", "langsmith-frontend")]["data"]["nginx.conf"]
    (server,) = nginx.parse(text)

    def goes(path: str) -> tuple[str, str]:
        outcome = nginx.route(server, "POST", path, "", "example.org")
        return outcome.upstream.removeprefix("http://langsmith-").partition(".")[0], outcome.uri

    assert goes("/api/v1/runs/multipart") == ("platform-backend", "/runs/multipart")
    assert goes("/api/runs/batch") == ("platform-backend", "/runs/batch")
    assert goes("/api/v1/runs/query") == ("backend", "/api/v1/runs/query")
    assert goes("/api/sessions") == ("backend", "/api/v1/sessions")
    assert goes("/api/v2/runs/query") == ("platform-backend", "/v2/runs/query")
    assert goes("/api/v1/public/download") == ("platform-backend", "/public/download")
    assert goes("/api/v1/playground/invoke") == ("playground", "/playground/invoke")


def test_an_hpa_takes_the_place_of_a_replica_count(render: Render) -> None:
    objects = render({"platformBackend": {"autoscaling": {"hpa": {"enabled": True, "maxReplicas": 20}}}})
    assert "replicas" not in objects[("Deployment", "langsmith-platform-backend")]["spec"]
    assert objects[("HorizontalPodAutoscaler", "langsmith-platform-backend")]["spec"]["maxReplicas"] == 20


def test_a_role_annotates_the_service_account_of_its_component(render: Render) -> None:
    role = {"eks.amazonaws.com/role-arn": "arn:aws:iam::123456789012:role/acme-langsmith"}
    objects = render({"ingestQueue": {"serviceAccount": {"annotations": role}}})
    accounts = {
        name: found["metadata"]["annotations"] for (kind, name), found in objects.items() if kind == "ServiceAccount"
    }
    assert [name for name, marks in accounts.items() if role.items() <= marks.items()] == ["langsmith-ingest-queue"]


def test_an_external_clickhouse_brings_no_pod(render: Render) -> None:
    objects = render({"clickhouse": {"external": {"enabled": True, "hybrid": True}}})
    assert ("StatefulSet", "langsmith-clickhouse") not in objects
    env = {entry["name"]: entry for entry in container(objects[("Deployment", "langsmith-backend")])["env"]}
    assert (env["MIN_BLOB_STORAGE_SIZE_KB"]["value"], env["FF_CH_SEARCH_ENABLED"]["value"]) == ("0", "false")


def test_a_private_ca_is_mounted_where_its_variable_says(render: Render) -> None:
    objects = render({"config": {"customCa": {"secretName": "ca", "secretKey": "ca.crt"}}})
    found = container(objects[("Deployment", "langsmith-platform-backend")])
    bundle = next(entry["value"] for entry in found["env"] if entry["name"] == "SSL_CERT_FILE")
    assert bundle in {mount["mountPath"] for mount in found["volumeMounts"]}


def test_insights_and_polly_bring_stores_of_their_own(render: Render) -> None:
    objects = render({"insights": {"enabled": True}, "polly": {"enabled": True}})
    assert {name for kind, name in objects if kind == "StatefulSet"} >= {
        f"langsmith-standalone-{product}-{store}"
        for product in ("insights", "polly")
        for store in ("postgres", "redis")
    }
    env = container(objects[("Deployment", "langsmith-queue")])["env"]
    assert {"CLIO_ENCRYPTION_KEY", "POLLY_ENCRYPTION_KEY"} <= {entry["name"] for entry in env}


def test_values_may_hold_the_secrets_themselves(render: Render) -> None:
    objects = render(IN_VALUES)
    assert objects[("Secret", "langsmith-secrets")]["stringData"]["api_key_salt"] == "salt"
    annotations = objects[("Deployment", "langsmith-queue")]["spec"]["template"]["metadata"]["annotations"]
    assert "checksum/secrets" in annotations


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"config": {"existingSecretName": ""}}, "config.apiKeySalt is required"),
        ({"config": {"existingSecretName": "", "apiKeySalt": "x"}}, "config.langsmithLicenseKey is required"),
        (merged(IN_VALUES, {"insights": {"enabled": True}}), "insights.encryptionKey is required"),
        (merged(IN_VALUES, {"config": {"basicAuth": {"initialOrgAdminPassword": "short"}}}), "at least 12 characters"),
        ({"config": {"authType": "none"}}, "config.authType must be either 'mixed' or 'oauth'"),
        ({"config": {"basicAuth": {"enabled": False}}}, "Neither Basic auth nor OAuth are enabled"),
        ({"config": {"oauth": {"enabled": True}}}, "Basic auth and OAuth are both enabled"),
        ({"config": {"initialOrgAdminEmail": ""}}, "initialOrgAdminEmail is required"),
        ({"commonEnv": [{"name": "LOG_LEVEL", "value": "debug"}]}, "Duplicate keys detected: [LOG_LEVEL]"),
        ({"clickhouse": {"enabled": "true"}}, "clickhouse.enabled must be a boolean"),
        ({"gateway": {"enabled": True}}, "Only one of ingress, gateway, or istioGateway"),
        ({"queue": {"autoscaling": {"enabled": True}}}, "queue.autoscaling.enabled is deprecated"),
        ({"images": {"platformBackendImage": {}}}, "images.platformBackendImage is deprecated"),
        ({"config": {"polly": {}}}, "config.polly is no longer supported"),
        ({"preInstallManifests": [{"apiVersion": "v1", "kind": "Secret", "metadata": {}}]}, "is not allowed"),
    ],
)
def test_values_that_cannot_work_are_refused(render: Render, change: dict[str, Any], message: str) -> None:
    with pytest.raises(Refused) as refused:
        render(change)
    assert "execution error at (langsmith/templates/" in str(refused.value)
    assert message in str(refused.value)
