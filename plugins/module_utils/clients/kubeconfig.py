# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads a kubeconfig by the package kubernetes, and tells in a sentence why one cannot be used."""

from __future__ import annotations

import logging
from typing import Any

from ansible_collections.langsmith.aws.plugins.module_utils.domain.errors import ProjectError


class KubeconfigError(ProjectError):
    """A kubeconfig that leads to no cluster; nothing of what it holds is in the text."""


def load(path: str) -> Any:
    """The ``Configuration`` of the current context with its credentials. Raises KubeconfigError.

    A program that gives the credentials is run, which for EKS takes a second.
    """
    try:
        from kubernetes import client, config
        from kubernetes.config.config_exception import ConfigException
    except ImportError as error:
        raise KubeconfigError(f"the Python package kubernetes is needed where this module runs: {error}") from error
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
