# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads a kubeconfig by the package kubernetes, and tells in a sentence why one cannot be used."""

from __future__ import annotations

import logging
import subprocess
from types import SimpleNamespace
from typing import Any

from ansible_collections.langsmith.aws.plugins.module_utils.domain.errors import ProjectError

#: Seconds that a program may take to give credentials; for EKS it takes one.
PROGRAM_SECONDS = 30.0


class KubeconfigError(ProjectError):
    """A kubeconfig that leads to no cluster; nothing of what it holds is in the text."""


def load(path: str) -> Any:
    """The ``Configuration`` of the current context with its credentials. Raises KubeconfigError.

    A program that gives the credentials is run, which for EKS takes a second; one that hangs is ended.
    """
    try:
        from kubernetes import client, config
        from kubernetes.config import exec_provider
        from kubernetes.config.config_exception import ConfigException
    except ImportError as error:
        raise KubeconfigError(f"the Python package kubernetes is needed where this module runs: {error}") from error
    # The package waits for such a program without a bound, now and when it renews what has expired.
    exec_provider.subprocess = SimpleNamespace(**{**vars(subprocess), "Popen": _Program})
    settings = client.Configuration()
    told = _Told(logging.ERROR)
    logging.getLogger().addHandler(told)
    try:
        config.load_kube_config(config_file=path, client_configuration=settings)
    except (ConfigException, OSError, ValueError) as error:
        # The cause is left out: a traceback would show the text that is cut here.
        raise KubeconfigError(f"kubeconfig {path} cannot be used: {_bare(str(error))}") from None
    finally:
        logging.getLogger().removeHandler(told)
    if settings.host.startswith("https:") and not settings.auth_settings() and not settings.cert_file:
        # A program that fails is no error to the package: it goes on without credentials, as nobody.
        reason = _bare("; ".join(told.words)) or "it has neither a token nor a certificate"
        raise KubeconfigError(f"kubeconfig {path} gives no credentials: {reason}")
    return settings


class _Program(subprocess.Popen[str]):
    """A program that is ended where it does not end by itself."""

    def communicate(self, input: str | None = None, timeout: float | None = None) -> tuple[str, str]:  # noqa: A002
        try:
            return super().communicate(input, timeout or PROGRAM_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            command: Any = self.args
            raise TimeoutError(f"the program {command[0]} did not end within {PROGRAM_SECONDS:g} s") from None


class _Told(logging.Handler):
    """Keeps what is logged."""

    def __init__(self, level: int) -> None:
        super().__init__(level)
        self.words: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.words.append(record.getMessage())


def _bare(text: str) -> str:
    """A message of the package without the part of the file that follows in braces, which may hold a token."""
    return text.partition("{")[0].rstrip("/ ")
