# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stand-in for the resolver of a pod inside a native library: its calls of getaddrinfo ask Python's socket module.

That one knows the names of the cluster (sandbox/pods/network). There is no way to give an unprivileged process its own
/etc/hosts, so what the library imports from the C library is replaced by a function of ours.
"""

from __future__ import annotations

import ctypes
import socket
from pathlib import Path

from sandbox.stores import native

EAI_NONAME = -2
native.C.getaddrinfo.argtypes = [ctypes.c_char_p, ctypes.c_char_p, ctypes.c_void_p, ctypes.c_void_p]
_SIGNATURE = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_void_p, ctypes.c_void_p)


@_SIGNATURE
def _getaddrinfo(node: bytes | None, service: bytes | None, hints: int | None, result: int | None) -> int:
    if node:
        try:
            found = socket.getaddrinfo(node.decode(), None, socket.AF_INET, socket.SOCK_STREAM)
        except (OSError, UnicodeError):
            return EAI_NONAME
        node = str(found[0][4][0]).encode() if found else node
    return int(native.C.getaddrinfo(node, service, hints, result))


def adopt(library: Path) -> None:
    """Let the library, which this process has loaded, resolve names as Python does. Raises OSError."""
    with native.Image.of(library) as image:
        native.replace(library, image.imported("getaddrinfo"), _getaddrinfo)
