# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The errors that end a module with a sentence instead of a traceback."""

from __future__ import annotations


class ProjectError(Exception):
    """Something a person can act on; its text says what is wrong, where, and what to do."""


class RefusedError(ProjectError):
    """A wish that is turned down before anything was written."""


class AlreadyThereError(ProjectError):
    """What should be created is there already: another run, or an earlier attempt, was first."""
