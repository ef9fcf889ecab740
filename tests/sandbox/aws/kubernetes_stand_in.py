# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stand-in for an API server: keeps objects by path, and signs service-account tokens; enough for the AWS part."""

from __future__ import annotations

import base64
import http.server
import json
import threading
import time
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa


def encode(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


def _segments(path: str) -> tuple[str, list[str]]:
    words = path.strip("/").split("/")
    depth = 2 if words[0] == "api" else 3
    return "/".join(words[:depth]), words[depth:]


class ApiServer:
    """Serves on a free port; `objects` are by (group and version, namespace, plural, name)."""

    def __init__(self, issuer: str) -> None:
        self.issuer = issuer
        self.objects: dict[tuple[str, str, str, str], dict[str, Any]] = {}
        self.key = rsa.generate_private_key(65537, 2048)
        self.put("api/v1", "", "namespaces", "kube-system")
        handler = type("Handler", (_Handler,), {"api": self})
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def put(self, prefix: str, namespace: str, plural: str, name: str, **body: Any) -> None:
        metadata = {"name": name, **({"namespace": namespace} if namespace else {})}
        self.objects[prefix, namespace, plural, name] = {"metadata": metadata, **body}

    def names(self, plural: str) -> list[str]:
        return sorted(key[3] for key in list(self.objects) if key[2] == plural)

    def get(self, plural: str, name: str) -> dict[str, Any]:
        return next(value for key, value in list(self.objects.items()) if key[2] == plural and key[3] == name)

    def token(self, subject: str, audience: str = "sts.amazonaws.com", seconds: int = 600, issuer: str = "") -> str:
        header = encode(json.dumps({"alg": "RS256", "kid": "one"}).encode())
        claims = {"iss": issuer or self.issuer, "sub": subject, "aud": [audience], "exp": int(time.time()) + seconds}
        signed = f"{header}.{encode(json.dumps(claims).encode())}"
        return f"{signed}.{encode(self.key.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256()))}"

    def jwks(self) -> dict[str, Any]:
        numbers = self.key.public_key().public_numbers()
        size = (numbers.n.bit_length() + 7) // 8
        key = {"kty": "RSA", "kid": "one", "alg": "RS256", "use": "sig"}
        return {"keys": [{**key, "n": encode(numbers.n.to_bytes(size, "big")), "e": encode(b"\x01\x00\x01")}]}

    def write_files(self, state: Path) -> None:
        """What the sandbox's start writes for the AWS part."""
        kubeconfig, authority = state / "kubernetes" / "admin.kubeconfig", state / "kubernetes" / "ca.crt"
        kubeconfig.parent.mkdir(parents=True)
        cluster, user = {"cluster": {"server": self.url}, "name": "c"}, {"user": {"token": "admin"}, "name": "u"}
        kubeconfig.write_text(json.dumps({"clusters": [cluster], "users": [user]}))
        authority.write_text("the CA")
        kubernetes = {"server": self.url, "ca_file": str(authority), "admin_kubeconfig": str(kubeconfig)}
        (state / "endpoints.json").write_text(json.dumps({"kubernetes": kubernetes}))
        (state / "oidc.json").write_text(json.dumps({"issuer": self.issuer}))


class _Handler(http.server.BaseHTTPRequestHandler):
    api: ApiServer

    def log_message(self, *_: object) -> None:
        return

    def _answer(self, value: Any, status: int = 200) -> None:
        content = value.encode() if isinstance(value, str) else json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/plain" if isinstance(value, str) else "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _body(self) -> Any:
        return json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or b"null")

    def _key(self) -> tuple[str, str, str, str]:
        prefix, rest = _segments(self.path.partition("?")[0])
        namespace = ""
        if len(rest) > 2:
            namespace, rest = rest[1], rest[2:]
        return prefix, namespace, rest[0], rest[1] if len(rest) > 1 else ""

    def do_GET(self) -> None:
        if self.path == "/readyz":
            return self._answer("ok")
        if self.path == "/openid/v1/jwks":
            return self._answer(self.api.jwks())
        prefix, namespace, plural, name = self._key()
        if name:
            found = self.api.objects.get((prefix, namespace, plural, name))
            return self._answer(found or {"kind": "Status"}, 200 if found else 404)
        wanted = [v for k, v in list(self.api.objects.items()) if k[0] == prefix and k[2] == plural]
        inside = [v for v in wanted if not namespace or v["metadata"].get("namespace") == namespace]
        return self._answer({"items": inside})

    def do_PATCH(self) -> None:
        body, key = self._body(), self._key()
        known = self.api.objects.get(key, {"metadata": {}})
        merged = {**known, **body, "metadata": {**known["metadata"], **body.get("metadata", {})}}
        self.api.objects[key] = merged
        self._answer(merged)

    def do_DELETE(self) -> None:
        self._body()
        found = self.api.objects.pop(self._key(), None)
        self._answer(found or {"kind": "Status"}, 200 if found else 404)
