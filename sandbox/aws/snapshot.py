# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The emulator's memory on disk: what was created is there again after a restart.

A pickle of moto's backends with a stamp of the code that wrote it; what another version wrote is not read.
The file holds every secret of the emulator, so only its owner may read it.
"""

from __future__ import annotations

import importlib.metadata
import io
import os
import pickle  # nosec - written by this program, into a folder of its own
import sys
import tempfile
import threading
import time
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509 import Certificate, load_pem_x509_certificate
from moto.backends import get_backend

from sandbox import state
from sandbox.aws import access

FILE = "aws/snapshot.pickle"
# One more when classes or attributes of this package change in a way that old snapshots do not have.
FORMAT = 4
# Seconds of quiet after a change before it is written, and the longest that a change stays unwritten.
QUIET_SECONDS = 1.0
LONGEST_SECONDS = 10.0
# These hold each other's objects, so they go into one pickle.
SERVICES = (
    "acm",
    "ec2",
    "eks",
    "elasticache",
    "elbv2",
    "iam",
    "kms",
    "rds",
    "route53",
    "s3",
    "secretsmanager",
    "sts",
    "wafv2",
)
# Each by itself; where moto keeps something that cannot be saved, only that service begins empty.
OTHERS = ("autoscaling", "backup", "cloudwatch", "logs", "sns", "ssm")
_LOCK, _RLOCK = type(threading.Lock()), type(threading.RLock())


def stamp() -> str:
    """What must be the same for a snapshot to be read."""
    return (
        f"{FORMAT} python {sys.version_info.major}.{sys.version_info.minor} moto {importlib.metadata.version('moto')}"
    )


class _Pickler(pickle.Pickler):
    def reducer_override(self, value: Any) -> Any:
        kind = type(value)
        if kind is _LOCK:
            return threading.Lock, ()
        if kind is _RLOCK:
            return threading.RLock, ()
        if kind is tempfile.SpooledTemporaryFile:
            position = value.tell()
            value.seek(0)
            content = value.read()
            value.seek(position)
            return _spooled, (content,)
        if isinstance(value, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey):
            form = serialization.PrivateFormat.PKCS8
            return _key, (value.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()),)
        if isinstance(value, Certificate):
            return _certificate, (value.public_bytes(serialization.Encoding.PEM),)
        return NotImplemented


def _spooled(content: bytes) -> tempfile.SpooledTemporaryFile[bytes]:
    file: tempfile.SpooledTemporaryFile[bytes] = tempfile.SpooledTemporaryFile(max_size=1 << 24)  # noqa: SIM115
    file.write(content)
    return file


def _key(pem: bytes) -> Any:
    return serialization.load_pem_private_key(pem, None)


def _certificate(pem: bytes) -> Certificate:
    return load_pem_x509_certificate(pem)


def _backends(service: str) -> dict[str, Any]:
    """The backends of the account by region, or by partition for IAM and the like; only those that can be in use."""
    account = get_backend(service).get(access.ACCOUNT, {})
    return {
        region: backend for region, backend in account.items() if region in (state.REGION, access.PARTITION, "global")
    }


def _pickled(value: Any) -> bytes:
    buffer = io.BytesIO()
    _Pickler(buffer, protocol=pickle.HIGHEST_PROTOCOL).dump(value)
    return buffer.getvalue()


def save() -> None:
    """Write the backends of the sandbox's account."""
    backends: dict[str, Any] = {service: _backends(service) for service in SERVICES}
    others = {}
    for service in OTHERS:
        try:
            others[service] = _pickled(_backends(service))
        except (pickle.PicklingError, AttributeError, TypeError) as error:
            _say_once(f"{service} is not saved: {error}")
    content = _pickled((backends, others))
    path = state.root() / FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".new")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(f"{stamp()}\n".encode() + content)
    draft.replace(path)


_said: set[str] = set()


def _say_once(text: str) -> None:
    if text not in _said:
        _said.add(text)
        print(text, flush=True)


def load() -> bool:
    """Put a snapshot's backends in place; false when there is none that this version can read."""
    path = state.root() / FILE
    if not path.exists():
        return False
    with path.open("rb") as file:
        if file.readline().decode().strip() != stamp():
            _say_once("the snapshot is of another version of the sandbox: the emulator begins empty")
            return False
        # Written by save() with an equal stamp, and readable by its owner only.
        backends, others = pickle.load(file)  # noqa: S301
    for service, content in others.items():
        backends[service] = pickle.loads(content)  # noqa: S301
    for service, regions in backends.items():
        account = get_backend(service)[access.ACCOUNT]
        for region, backend in regions.items():
            dict.__setitem__(account, region, backend)
    return True


class Keeper:
    """Saves after changes, never while a request is being answered."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._running = 0
        self._changed_at: float | None = None
        self._first_change: float | None = None
        self._saving = False
        self._one_at_a_time = threading.Lock()

    def enter(self) -> None:
        """A request begins."""
        with self._condition:
            self._condition.wait_for(lambda: not self._saving)
            self._running += 1

    def leave(self, changed: bool) -> None:
        """A request has been answered."""
        with self._condition:
            self._running -= 1
            self._condition.notify_all()
        if changed:
            self.touch()

    def touch(self) -> None:
        """Something has changed."""
        with self._condition:
            self._changed_at = time.monotonic()
            self._first_change = self._first_change or self._changed_at

    def save(self, timeout: float = 30) -> None:
        """Wait until no request runs, and save."""
        with self._one_at_a_time:
            self._save(timeout)

    def _save(self, timeout: float) -> None:
        with self._condition:
            self._saving = True
            self._condition.wait_for(lambda: self._running == 0, timeout)
            self._changed_at = self._first_change = None
        try:
            for attempt in range(3):
                try:
                    save()
                    break
                except RuntimeError:
                    # Work in the background changed a dictionary while it was read.
                    if attempt == 2:
                        raise
                except (pickle.PicklingError, AttributeError, TypeError, OSError) as error:
                    _say_once(f"the emulator's state could not be saved: {error}")
                    break
        finally:
            with self._condition:
                self._saving = False
                self._condition.notify_all()

    def run(self) -> None:
        """Save for ever."""
        while True:
            time.sleep(QUIET_SECONDS / 4)
            now = time.monotonic()
            changed, first = self._changed_at, self._first_change
            if (
                changed is not None
                and first is not None
                and (now - changed > QUIET_SECONDS or now - first > LONGEST_SECONDS)
            ):
                try:
                    self.save()
                except RuntimeError as error:
                    # Work that goes on and on; what it changes is saved when it pauses.
                    _say_once(f"the emulator's state could not be saved yet: {error}")
                    self.touch()
