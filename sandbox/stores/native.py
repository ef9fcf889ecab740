# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A native library of this process, and functions of ours in place of some that it calls.

x86-64 ELF with the C++ ABI of Itanium only, as the library of ClickHouse is.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import struct
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

R_X86_64_GLOB_DAT, R_X86_64_JUMP_SLOT, R_X86_64_RELATIVE = 6, 7, 8
#: Of a virtual table: what lies before the first function, as seen from the pointer to the class's description.
_FUNCTIONS = 8
C = ctypes.CDLL(None)
C.mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
_WRITABLE = mmap.PROT_READ | mmap.PROT_WRITE


def address(function: object) -> int:
    """Where a function of a library, or one that ctypes made, lies in memory."""
    return int(ctypes.cast(function, ctypes.c_void_p).value or 0)  # type: ignore[arg-type]


def replace(library: Path, slots: Iterable[int], function: object) -> None:
    """Let a library that this process has loaded call this function through these slots. Raises OSError."""
    base, page = _base(library), mmap.PAGESIZE
    for slot in slots:
        where = base + slot
        if C.mprotect(where // page * page, page, _WRITABLE) != 0:
            raise OSError(f"what {library.name} calls cannot be replaced")
        ctypes.c_void_p.from_address(where).value = address(function)


def _base(library: Path) -> int:
    for line in Path("/proc/self/maps").read_text().splitlines():
        place, permissions, *_ = line.split()
        # An image of it that is open is shared.
        if line.endswith(str(library)) and permissions.endswith("p"):
            return int(place.partition("-")[0], 16)
    raise OSError(f"{library} is not loaded")


class Image:
    """The file of a library. A slot is where, from the library's beginning in memory, the address of a function is."""

    def __init__(self, text: mmap.mmap) -> None:
        self._text, self._sections = text, dict(_sections(text))

    @classmethod
    @contextmanager
    def of(cls, library: Path) -> Iterator[Self]:
        """Open it to be read."""
        with library.open("rb") as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as text:
            yield cls(text)

    def imported(self, function: str) -> list[int]:
        """The slots through which the library calls a function of another one. Raises OSError if there is none."""
        number = self._symbol(function.encode())
        wanted = [struct.pack("<II", kind, number) for kind in (R_X86_64_GLOB_DAT, R_X86_64_JUMP_SLOT)]
        return [
            slot for name in (".rela.plt", ".rela.dyn") for entry in wanted for slot in self._relocated(name, entry)
        ]

    def virtual(self, of: str, numbers: Iterable[int]) -> list[int]:
        """The slots of these virtual functions of a class outside of namespaces. Raises OSError if there is none."""
        name = self._text.find(f"{len(of)}{of}\0".encode())
        # The name of a class lies in a segment that is in memory where it is in the file.
        found = [] if name < 0 else self._pointers(name)
        # Second in the description of the class, to which its virtual table points.
        tables = [table for slot in found for table in self._pointers(slot - 8)]
        if not tables:
            raise OSError(f"the library has no class {of}")
        return [table + _FUNCTIONS + 8 * number for table in tables for number in numbers]

    def _pointers(self, where: int) -> list[int]:
        return list(self._relocated(".rela.dyn", struct.pack("<QQ", R_X86_64_RELATIVE, where)))

    def _relocated(self, section: str, wanted: bytes) -> Iterator[int]:
        """The places of the relocations that go on with these bytes."""
        offset, size = self._sections[section]
        at, end = offset, offset + size
        while (at := self._text.find(wanted, at, end)) != -1:
            if (at - offset) % 24 == 8:
                yield int(struct.unpack_from("<Q", self._text, at - 8)[0])
            at += 1

    def _symbol(self, function: bytes) -> int:
        (symbols, size), (names, _) = self._sections[".dynsym"], self._sections[".dynstr"]
        for number in range(size // 24):
            (name,) = struct.unpack_from("<I", self._text, symbols + number * 24)
            if _word(self._text, names + name) == function:
                return number
        raise OSError(f"the library does not call {os.fsdecode(function)}")


def _sections(text: mmap.mmap) -> Iterator[tuple[str, tuple[int, int]]]:
    (table,) = struct.unpack_from("<Q", text, 0x28)
    size, count, names = struct.unpack_from("<HHH", text, 0x3A)
    headers = [struct.unpack_from("<IIQQQQ", text, table + number * size) for number in range(count)]
    for header in headers:
        yield _word(text, headers[names][4] + header[0]).decode(), (header[4], header[5])


def _word(text: mmap.mmap, offset: int) -> bytes:
    return text[offset : text.find(b"\0", offset)]
