# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stand-in for the resolver of a pod inside a native library: its calls of getaddrinfo ask Python's socket module.

That one knows the names of the cluster (sandbox/pods/network). There is no way to give an unprivileged process its own
/etc/hosts, so the two slots through which the library calls the C library are made to point to a function of ours.
x86-64 ELF only, as the library is.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import socket
import struct
from collections.abc import Iterator
from pathlib import Path

EAI_NONAME = -2
R_X86_64_GLOB_DAT, R_X86_64_JUMP_SLOT = 6, 7
WRITABLE = mmap.PROT_READ | mmap.PROT_WRITE
_C = ctypes.CDLL(None)
_C.getaddrinfo.argtypes = [ctypes.c_char_p, ctypes.c_char_p, ctypes.c_void_p, ctypes.c_void_p]
_C.mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
_SIGNATURE = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_void_p, ctypes.c_void_p)


@_SIGNATURE
def _getaddrinfo(node: bytes | None, service: bytes | None, hints: int | None, result: int | None) -> int:
    if node:
        try:
            found = socket.getaddrinfo(node.decode(), None, socket.AF_INET, socket.SOCK_STREAM)
        except (OSError, UnicodeError):
            return EAI_NONAME
        node = str(found[0][4][0]).encode() if found else node
    return int(_C.getaddrinfo(node, service, hints, result))


def adopt(library: Path) -> None:
    """Let the library, which this process has loaded, resolve names as Python does. Raises OSError."""
    base = _base(library)
    ours = ctypes.cast(_getaddrinfo, ctypes.c_void_p).value
    page = mmap.PAGESIZE
    for slot in slots(library, b"getaddrinfo"):
        where = base + slot
        if _C.mprotect(where // page * page, page, WRITABLE) != 0:
            raise OSError(f"{library.name} cannot be made to resolve the names of the cluster")
        ctypes.c_void_p.from_address(where).value = ours


def _base(library: Path) -> int:
    for line in Path("/proc/self/maps").read_text().splitlines():
        if line.endswith(str(library)):
            return int(line.partition("-")[0], 16)
    raise OSError(f"{library} is not loaded")


def slots(library: Path, function: bytes) -> list[int]:
    """Where, from its beginning in memory, a library keeps the addresses by which it calls an imported function."""
    with library.open("rb") as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as text:
        sections = dict(_sections(text))
        number = _symbol(text, sections, function)
        found: list[int] = []
        for name in (".rela.plt", ".rela.dyn"):
            offset, size = sections[name]
            found += _relocations(text[offset : offset + size], number)
        return found


def _sections(text: mmap.mmap) -> Iterator[tuple[str, tuple[int, int]]]:
    (table,) = struct.unpack_from("<Q", text, 0x28)
    size, count, names = struct.unpack_from("<HHH", text, 0x3A)
    headers = [struct.unpack_from("<IIQQQQ", text, table + number * size) for number in range(count)]
    for header in headers:
        yield _word(text, headers[names][4] + header[0]).decode(), (header[4], header[5])


def _word(text: mmap.mmap, offset: int) -> bytes:
    return text[offset : text.find(b"\0", offset)]


def _symbol(text: mmap.mmap, sections: dict[str, tuple[int, int]], function: bytes) -> int:
    (symbols, size), (names, _) = sections[".dynsym"], sections[".dynstr"]
    for number in range(size // 24):
        (name,) = struct.unpack_from("<I", text, symbols + number * 24)
        if _word(text, names + name) == function:
            return number
    raise OSError(f"the library does not call {os.fsdecode(function)}")


def _relocations(table: bytes, symbol: int) -> Iterator[int]:
    for kind in (R_X86_64_GLOB_DAT, R_X86_64_JUMP_SLOT):
        wanted, at = struct.pack("<II", kind, symbol), -1
        while (at := table.find(wanted, at + 1)) != -1:
            if at % 24 == 8:
                yield int(struct.unpack_from("<Q", table, at - 8)[0])
