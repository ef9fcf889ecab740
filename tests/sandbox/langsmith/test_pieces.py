# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The parts of the stand-in that need no server: nginx's routes, signatures, commands, retention, filters."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from sandbox.langsmith import __main__ as entry
from sandbox.langsmith import blobs, environment, filters, nginx, rows
from sandbox.langsmith.nginx import Outcome
from sandbox.langsmith.web import HttpError

CONFIGURATION = """
map $http_upgrade $connection_upgrade { default upgrade; '' close; }
server {
    listen 8080; listen [::]:8080; # the IPv6 twin
    add_header X-Test "a; b" always;
    location / { try_files $uri /index.html; }
    location = /health { access_log off; return 200; }
    location /api { rewrite /api/(.*) /api/v1/$1 break; proxy_pass http://backend:1984; }
    location /api/v1 { proxy_pass http://backend:1984; }
    location = /api/v1/runs { rewrite /api/v1/runs /runs break; proxy_pass http://platform:1986; }
    location ~ ^/old/(.*)$ { return 301 https://$host$request_uri; }
    location = /callback { if ($request_method = POST) { rewrite ^ /api/v1/done last; } rewrite ^ /index.html last; }
}
"""


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("GET", "/", Outcome("files", "/")),
        ("GET", "/health", Outcome("answer", "/health", logged=False)),
        ("POST", "/api/v1/runs", Outcome("proxy", "/runs", "http://platform:1986")),
        ("POST", "/api/v1/runs/query", Outcome("proxy", "/api/v1/runs/query", "http://backend:1984")),
        ("GET", "/api/sessions", Outcome("proxy", "/api/v1/sessions", "http://backend:1984")),
        ("GET", "/old/x", Outcome("answer", "/old/x", status=301, text="https://example.org/old/x?a=1")),
        ("POST", "/callback", Outcome("proxy", "/api/v1/done", "http://backend:1984")),
        ("GET", "/callback", Outcome("files", "/index.html")),
    ],
)
def test_a_path_goes_where_nginx_would_send_it(method: str, path: str, expected: Outcome) -> None:
    server = next(block for block in nginx.parse(CONFIGURATION) if block.name == "server")
    assert nginx.route(server, method, path, "a=1", "example.org") == expected


@pytest.mark.parametrize("text", ["server {", "listen 80", "}", ";", "server { listen 80; }}"])
def test_a_broken_configuration_is_refused(text: str) -> None:
    with pytest.raises(nginx.ConfigurationError):
        nginx.parse(text)


def test_the_signature_is_that_of_the_example_in_the_s3_documentation() -> None:
    credentials = blobs.Credentials("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
    headers = blobs.sign(
        credentials,
        "s3",
        "us-east-1",
        "GET",
        "examplebucket.s3.amazonaws.com",
        "/test.txt",
        b"",
        {"Range": "bytes=0-9"},
        datetime(2013, 5, 24, tzinfo=UTC),
    )
    assert headers["Authorization"].endswith("f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41")


@pytest.mark.parametrize(
    ("words", "variables", "expected"),
    [
        (["./entrypoint.sh"], {"PORT": "1984"}, ("backend", "main")),
        (["./entrypoint.sh"], {"PORT": "1987"}, ("plain", "ace_backend")),
        (
            ["./entrypoint.sh"],
            {"SANDBOX_IMAGE": "docker.io/langchain/langsmith-ace-backend:1"},
            ("plain", "ace_backend"),
        ),
        (["/entrypoint.sh"], {}, ("frontend", "main")),
        (["smith_go_entrypoint.sh"], {}, ("platform_backend", "main")),
        (["saq", "app.workers.queues.single_queue_worker.settings", "--check"], {}, ("saq", "check")),
        (["python", "scripts/test_e2e_trace.pyc"], {}, ("jobs", "test_trace")),
        ([], {"SANDBOX_IMAGE": "langsmith-polly"}, ("plain", "agent")),
        (["/storage/queue_entrypoint.sh"], {}, ("plain", "agent")),
        (["sleep", "1"], {}, None),
    ],
)
def test_a_container_s_words_name_its_program(
    monkeypatch: pytest.MonkeyPatch, words: list[str], variables: dict[str, str], expected: tuple[str, str] | None
) -> None:
    for name in ("PORT", "SANDBOX_IMAGE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert entry.program(words) == expected


@pytest.mark.parametrize(
    ("image", "expected"),
    [("registry:5000/langsmith-backend:0.17.1", "0.17.1"), ("langsmith-backend", "0.16.45"), ("", "0.16.45")],
)
def test_the_version_is_the_image_s_tag(monkeypatch: pytest.MonkeyPatch, image: str, expected: str) -> None:
    monkeypatch.setenv("SANDBOX_IMAGE", image)
    assert environment.version() == expected


def test_a_path_of_the_container_lies_in_its_volume(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SANDBOX_VOLUMES", json.dumps({"/etc/ssl": "/a", "/etc/ssl/certs/x.crt": "/b/x.crt"}))
    assert environment.container_path("/etc/ssl/certs/x.crt") == Path("/b/x.crt")
    assert environment.container_path("/etc/ssl/other") == Path("/a/other")
    assert environment.container_path("/etc/sslx") == Path("/etc/sslx")


def state(fields: dict[str, Any], s3: dict[str, Any] | None = None, **payloads: Any) -> dict[str, Any]:
    """What Redis keeps of one operation."""
    texts = {name: json.dumps(value) for name, value in payloads.items()}
    return {"fields": fields, "payloads": texts, "s3": s3 or {}, "received": "2026-11-21T12:00:00.000000+00:00"}


def test_an_update_does_not_wipe_what_the_create_carried() -> None:
    created = state({"id": "a", "name": "n"}, inputs={"q": 1}, events=[{"e": 1}], extra={"metadata": {"a": 1}})
    updated = state({"id": "a", "end_time": "t"}, inputs={}, events=[], extra={"metadata": {"b": 2}}, outputs={"o": 1})
    found = rows.merged([created, updated])
    assert found["fields"] == {"id": "a", "name": "n", "end_time": "t"}
    assert {name: json.loads(text) for name, text in found["payloads"].items()} == {
        "inputs": {"q": 1},
        "events": [{"e": 1}],
        "extra": {"metadata": {"a": 1, "b": 2}},
        "outputs": {"o": 1},
    }


def test_a_large_payload_replaces_a_small_one_of_the_same_name() -> None:
    pointer = {"outputs": {"key": "k", "mime_type": "application/json"}}
    found = rows.merged([state({"id": "a"}, outputs={}), state({"id": "a"}, pointer)])
    assert (found["payloads"], found["s3"]) == ({}, pointer)


@pytest.mark.parametrize(
    ("path_style", "url", "override", "expected"),
    [
        ("false", "https://s3.eu-west-1.amazonaws.com", None, ("s3.eu-west-1.amazonaws.com", False, "eu-west-1")),
        ("false", "https://s3.eu-west-1.amazonaws.com", "http://127.0.0.1:5", ("127.0.0.1", True, "eu-west-1")),
        ("true", "https://minio.example.org:9000", "http://127.0.0.1:5", ("minio.example.org", True, "us-east-1")),
    ],
)
def test_the_bucket_is_reached_as_amazon_s_network_or_another_store(
    monkeypatch: pytest.MonkeyPatch, path_style: str, url: str, override: str | None, expected: tuple[str, bool, str]
) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    if override:
        monkeypatch.setenv("AWS_ENDPOINT_URL", override)
    monkeypatch.setenv("S3_API_URL", url)
    monkeypatch.setenv("S3_BUCKET_NAME", "b")
    monkeypatch.setenv("S3_USE_PATH_STYLE", path_style)
    found = blobs.Bucket.from_environment()
    assert (found.endpoint.hostname, found.path_style, found.region) == expected


def test_full_text_search_looks_into_payloads_and_can_be_turned_off(monkeypatch: pytest.MonkeyPatch) -> None:
    found, parameters = filters.condition('and(eq(status, "error"), search("needle"))')
    assert list(parameters.values()) == ["error", "needle"]
    assert "positionCaseInsensitive(inputs, {f1:String})" in found
    # What the chart sets for clickhouse.external.hybrid.
    monkeypatch.setenv("FF_CH_SEARCH_ENABLED", "false")
    with pytest.raises(HttpError, match="400"):
        filters.condition('search("needle")')


def test_a_threshold_of_zero_sends_every_payload_to_the_bucket(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIN_BLOB_STORAGE_SIZE_KB", "0")
    assert blobs.threshold_bytes() == 0
