# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Errors of AWS calls that moto has no class for."""

from __future__ import annotations

from moto.core.exceptions import ServiceException


class CallError(ServiceException):
    """An error by its code and message; not in a module of moto, which would look it up in a service's model."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(code, message)
