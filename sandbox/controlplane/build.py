# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Builds the programs of the control plane once per content of go.mod, go.sum and main.go."""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from sandbox import state

SOURCE = Path(__file__).parent
PROGRAMS = ("controlplane", "kwok", "helm", "kubectl")
PACKAGES = (".", "sigs.k8s.io/kwok/cmd/kwok", "helm.sh/helm/v3/cmd/helm", "k8s.io/kubernetes/cmd/kubectl")
FLAGS = ("-mod=readonly", "-buildvcs=false", "-trimpath")
LOG_LINES = 20


class BuildFailed(Exception):  # noqa: N818 - it tells what happened, as KeyboardInterrupt does
    """The Go toolchain is missing or refused; the message ends with its last lines."""


def versions() -> dict[str, str]:
    """The pinned version of what each part is made of, from go.mod."""
    text = (SOURCE / "go.mod").read_text()
    modules = {"kubernetes": "k8s.io/kubernetes", "etcd": "go.etcd.io/etcd/server/v3", "kwok": "sigs.k8s.io/kwok"}
    modules["helm"] = "helm.sh/helm/v3"
    return {name: _version(text, module) for name, module in modules.items()}


def _version(text: str, module: str) -> str:
    found = re.search(rf"^(?:require )?\s*{re.escape(module)} (v\S+)", text, re.MULTILINE)
    if not found:
        raise BuildFailed(f"{SOURCE / 'go.mod'} does not require {module}")
    return found[1]


def link_flags() -> str:
    """What the linker sets, as the programs cannot know their version when they are built as dependencies."""
    kubernetes, helm = versions()["kubernetes"], versions()["helm"]
    major, minor, _ = kubernetes.removeprefix("v").split(".", 2)
    version = "k8s.io/component-base/version"
    values = {
        f"{version}.gitVersion": kubernetes,
        f"{version}.gitMajor": major,
        f"{version}.gitMinor": minor,
        "helm.sh/helm/v3/internal/version.version": helm,
    }
    return " ".join(["-s", "-w", *(f"-X {name}={value}" for name, value in values.items())])


def folder() -> Path:
    """Where the programs are, or will be, for the sources as they are now."""
    digest = hashlib.sha256()
    for path in sorted([SOURCE / "go.mod", SOURCE / "go.sum", *SOURCE.glob("*.go")]):
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    digest.update(" ".join([*FLAGS, link_flags(), *PACKAGES]).encode())
    return state.cache() / f"controlplane-{digest.hexdigest()[:16]}"


def build(say: Callable[[str], None] = print) -> Path:
    """The folder of the programs, built first when they are not there; safe against a second build and a kill."""
    target = folder()
    if target.exists():
        return target
    with state.lock(target.with_suffix(".lock")):
        if target.exists():
            return target
        named = ", ".join(f"{name} {version}" for name, version in versions().items())
        say(f"Building {named}: about 5 minutes on two cores, once. The result is kept in {target}.")
        draft = target.with_name(f"{target.name}.{secrets.token_hex(4)}")
        draft.mkdir(parents=True)
        try:
            _compile(draft)
            draft.rename(target)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
    return target


def _compile(target: Path) -> None:
    argv = [_go(), "build", *FLAGS, "-ldflags", link_flags(), "-o", f"{target}/", *PACKAGES]
    # The toolchain that is pinned, never another one that it would fetch by itself.
    environment = {**os.environ, "CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOFLAGS": "", "GOWORK": "off"}
    done = subprocess.run(argv, cwd=SOURCE, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        lines = "\n".join(done.stderr.splitlines()[-LOG_LINES:])
        raise BuildFailed(f"go build of the control plane failed with status {done.returncode}\n{lines}")
    missing = [name for name in PROGRAMS if not (target / name).exists()]
    if missing:
        raise BuildFailed(f"go build made no {', '.join(missing)}")


def _go() -> str:
    beside = Path(sys.executable).parent / "go"
    found = str(beside) if beside.exists() else shutil.which("go")
    if not found:
        raise BuildFailed(f"there is no Go toolchain: install sandbox/requirements.txt for {sys.executable}")
    return found
