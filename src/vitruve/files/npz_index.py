"""Read the index at the end of an npz file, much faster than `zipfile`."""

from __future__ import annotations

import os
import struct
import zipfile
from dataclasses import dataclass
from typing import BinaryIO

_END, _ENTRY = b"PK\x05\x06", b"PK\x01\x02"
# Bytes at the end that usually hold the complete index.
_TAIL = 4096


@dataclass(frozen=True, slots=True)
class Member:
    """One array of an npz.

    Attributes:
        crc, length: checksum and number of its uncompressed bytes.
        offset: of its header in the file.
        packed: compressed size in bytes.
        method: zipfile.ZIP_STORED, ZIP_DEFLATED, or another.
    """

    crc: int
    length: int
    offset: int
    packed: int
    method: int
    encrypted: bool


def npz_members(file: BinaryIO) -> dict[str, Member]:
    """The members of an open npz by name, without ".npy".

    Raises:
        zipfile.BadZipFile: there is no index at the end.
    """
    size = os.fstat(file.fileno()).st_size
    start = max(size - _TAIL, 0)
    file.seek(start)
    tail = file.read(_TAIL)
    end = tail.rfind(_END)
    if end >= 0 and len(tail) >= end + 22:
        count, length, offset = struct.unpack_from("<HII", tail, end + 10)
        # Zip64 archives have their numbers elsewhere: zipfile reads them.
        if count < 0xFFFF and start <= offset and offset + length <= start + end and offset < 0xFFFFFFFF:
            return _entries(tail[offset - start : offset - start + length], count)
    return _members_by_zipfile(file)


def _entries(index: bytes, count: int) -> dict[str, Member]:
    out, place = {}, 0
    for _ in range(count):
        if index[place : place + 4] != _ENTRY or len(index) < place + 46:
            raise zipfile.BadZipFile("the zip index is damaged")
        flags, method, _, crc, packed, length, names, extra, comment, offset = struct.unpack_from(
            "<HHIIIIHHH8xI", index, place + 8
        )
        name = index[place + 46 : place + 46 + names].decode("utf-8", errors="replace")
        out[name.removesuffix(".npy")] = Member(crc, length, offset, packed, method, bool(flags & 1))
        place += 46 + names + extra + comment
    return out


def _members_by_zipfile(file: BinaryIO) -> dict[str, Member]:
    with zipfile.ZipFile(file) as archive:
        return {
            i.filename.removesuffix(".npy"): Member(
                i.CRC, i.file_size, i.header_offset, i.compress_size, i.compress_type, bool(i.flag_bits & 1)
            )
            for i in archive.infolist()
        }
