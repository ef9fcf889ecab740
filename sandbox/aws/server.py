# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stand-in for AWS: moto in this process, with what it lacks added, on one loopback port.

Beside the AWS calls it answers /sandbox/health, /sandbox/delays and /sandbox/kubernetes/authenticate.
"""

from __future__ import annotations

import configparser
import io
import json
import re
import threading
import warnings
from collections.abc import Callable, Iterable
from typing import Any

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import BaseWSGIServer, make_server

from sandbox import state
from sandbox.aws import (
    access,
    acm,
    authenticator,
    ec2,
    eks,
    elasticache,
    elbv2,
    iam,
    kms,
    rds,
    s3,
    seed,
    servicequotas,
    snapshot,
    states,
    sts,
    wafv2,
)
from sandbox.ending import Ending

PROFILE = "sandbox"
USER = "sandbox-admin"
ADMINISTRATOR = "arn:aws:iam::aws:policy/AdministratorAccess"
WORK_SECONDS = 30
# Calls of these names change nothing, so nothing need be saved after them.
READING = re.compile(r"Action=(Describe|List|Get|Simulate)")
StartResponse = Callable[..., Any]
_installed = threading.Lock()
_done: list[bool] = []


def install() -> None:
    """Change moto, once in a process."""
    with _installed:
        if _done:
            return
        # Codes that every AWS service may answer are in no service's model.
        warnings.filterwarnings("ignore", message=".*does not match an error shape.*", module="moto")
        for module in (access, sts, iam, ec2, eks, rds, elasticache, elbv2, acm, kms, s3, wafv2, servicequotas):
            module.install()
        _done.append(True)


def url() -> str:
    """Where the emulator answers."""
    return f"http://127.0.0.1:{state.port('aws')}"


class Application:
    """The WSGI application: the sandbox's own paths, and moto for all others."""

    def __init__(self) -> None:
        self.keeper = snapshot.Keeper()
        states.WORK.after = self.keeper.touch
        self._moto = DomainDispatcherApplication(create_backend_app)
        self._routes: dict[str, Callable[[bytes, str], tuple[int, Any]]] = {
            "/sandbox/health": lambda _body, _method: (200, {"status": "ok", "delays": states.delays()}),
            "/sandbox/delays": _delays,
            "/sandbox/kubernetes/authenticate": lambda body, _method: (200, authenticator.review(json.loads(body))),
        }

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        route = self._routes.get(environ.get("PATH_INFO", ""))
        if route is not None:
            return _answer(route, environ, start_response)
        self.keeper.enter()
        changed = environ["REQUEST_METHOD"] not in ("GET", "HEAD") and not _reads(environ)
        try:
            # Lists, as moto's answers are complete: the request is over when this returns.
            with states.call():
                return list(self._moto(environ, start_response))
        finally:
            self.keeper.leave(changed)


def _reads(environ: dict[str, Any]) -> bool:
    target = environ.get("HTTP_X_AMZ_TARGET", "")
    if target:
        return target.rpartition(".")[2].startswith(("Describe", "List", "Get"))
    if not environ.get("CONTENT_TYPE", "").startswith("application/x-www-form-urlencoded"):
        return False
    body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    environ["wsgi.input"] = io.BytesIO(body)
    return READING.search(body.decode(errors="replace")) is not None


def _delays(body: bytes, method: str) -> tuple[int, Any]:
    if method != "POST":
        return 200, states.delays()
    try:
        return 200, states.change(json.loads(body))
    except (ValueError, TypeError, AttributeError) as error:
        return 400, {"error": str(error)}


def _answer(
    route: Callable[[bytes, str], tuple[int, Any]], environ: dict[str, Any], start: StartResponse
) -> list[bytes]:
    body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    status, value = route(body, environ["REQUEST_METHOD"])
    content = json.dumps(value).encode()
    start(f"{status} -", [("Content-Type", "application/json"), ("Content-Length", str(len(content)))])
    return [content]


class Handler(MotoRequestHandler):
    """Keeps quiet about requests that went well, so that the log shows the others."""

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Log errors of the server's side only."""
        if str(code).startswith("5"):
            super().log_request(code, size)


class Emulator:
    """A server that is ready: backends loaded, user and files written, stores of a former run started again."""

    def __init__(self) -> None:
        install()
        self.application = Application()
        restored = snapshot.load()
        key = ensure_user()
        write_files(*key)
        if not restored:
            seed.plant()
            rds.forget_all()
            elasticache.forget_all()
        rds.resume()
        elasticache.resume()
        self.server: BaseWSGIServer = make_server(
            "127.0.0.1", state.port("aws"), self.application, threaded=True, request_handler=Handler
        )

    def start(self) -> None:
        """Serve in a thread."""
        threading.Thread(target=self.server.serve_forever, name="server", daemon=True).start()
        threading.Thread(target=self.application.keeper.run, name="snapshot", daemon=True).start()

    def stop(self) -> None:
        """Let work end, save, and stop serving. The stores go on; they are parts of their own."""
        states.WORK.wait(WORK_SECONDS)
        self.application.keeper.save()
        self.server.shutdown()
        self.server.server_close()


def ensure_user() -> tuple[str, str]:
    """The access key of the sandbox's administrator, an IAM user made on the first start."""
    backend = access.iam()
    if USER not in backend.users:
        backend.create_user(access.PARTITION, USER)
        backend.attach_user_policy(ADMINISTRATOR, USER)
        backend.create_access_key(USER)
    key = backend.users[USER].access_keys[0]
    return key.access_key_id, key.secret_access_key


def write_files(key_id: str, secret: str) -> None:
    """aws/config and aws/credentials of the state folder, profile sandbox."""
    config, credentials = configparser.ConfigParser(), configparser.ConfigParser()
    config[f"profile {PROFILE}"] = {"region": state.REGION, "endpoint_url": url(), "output": "json"}
    credentials[PROFILE] = {"aws_access_key_id": key_id, "aws_secret_access_key": secret}
    for name, parser in (("config", config), ("credentials", credentials)):
        text = io.StringIO()
        parser.write(text)
        state.write_text(state.root() / "aws" / name, text.getvalue())


def main() -> int:
    """Serve until SIGTERM."""
    emulator = Emulator()
    ending = Ending()
    emulator.start()
    print(f"serving on {url()}", flush=True)
    ending.wait()
    emulator.stop()
    return 0
