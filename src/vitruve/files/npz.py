"""Read npz files without `zipfile`, which is slow: the index from the end of the file, and single members."""

from __future__ import annotations

import os
import struct
import zipfile
import zlib
from dataclasses import dataclass
from typing import BinaryIO

_END, _ENTRY, _LOCAL = b"PK\x05\x06", b"PK\x01\x02", b"PK\x03\x04"
# Bytes at the end that usually hold all of the index.
_TAIL = 4096
# Size of the fixed part of a member's local header, and the highest compression ratio of deflate.
LOCAL_HEADER, _HIGHEST_RATIO = 30, 1032


@dataclass(frozen=True, slots=True)
class Member:
    """One array of an npz.

    Attributes:
        name: in the zip, usually with ".npy".
        crc, length: checksum and number of its bytes, uncompressed.
        offset: where its header begins in the file.
        packed: compressed size in bytes.
        method: zipfile.ZIP_STORED, ZIP_DEFLATED, or another.
        encrypted: whether it is encrypted.
    """

    name: str
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
        # Zip64 archives have their numbers elsewhere, and zips after other data have other offsets: for zipfile.
        if count < 0xFFFF and start <= offset and offset + length == start + end and offset < 0xFFFFFFFF:
            return _entries(tail[offset - start : offset - start + length], count)
    return _members_by_zipfile(file)


def read_member(file: BinaryIO, member: Member, most: int | None = None) -> bytes:
    """The uncompressed bytes of a member of an open npz, checked; with `most` the first bytes only, unchecked.

    Raises:
        zipfile.BadZipFile: it is damaged.
        RuntimeError: it is encrypted, or its compression is not supported.
    """
    if member.encrypted or member.method not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        with zipfile.ZipFile(file) as archive, archive.open(member.name) as stream:
            return stream.read(-1 if most is None else most)
    file.seek(member.offset)
    file.seek(begin_of(file.read(LOCAL_HEADER), member))
    if most is None:
        return bytes(unpacked(file.read(member.packed), member))
    # Deflate adds a few bytes at most to what it cannot compress.
    packed = file.read(min(member.packed, most + 1024))
    return zlib.decompressobj(-15).decompress(packed, most) if member.method else packed[:most]


def begin_of(header: bytes | memoryview, member: Member) -> int:
    """Where the data of a member begins in the file, from the 30 bytes at its offset."""
    if len(header) < LOCAL_HEADER or header[:4] != _LOCAL:
        raise zipfile.BadZipFile("the header of a member is damaged")
    return member.offset + LOCAL_HEADER + sum(struct.unpack_from("<HH", header, 26))


def unpacked(data: bytes | memoryview, member: Member) -> bytes | memoryview:
    """The uncompressed bytes of a member, checked; `data` itself if the member is stored plainly.

    Raises:
        zipfile.BadZipFile: the data is damaged, encrypted or compressed otherwise.
    """
    if member.encrypted or member.method not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise zipfile.BadZipFile("encryption and other compressions are not supported")
    if member.method == zipfile.ZIP_DEFLATED:
        try:
            # A damaged index must not reserve more memory than the data can fill.
            data = zlib.decompress(data, -15, max(1, min(member.length, _HIGHEST_RATIO * len(data))))
        except zlib.error as error:
            raise zipfile.BadZipFile(str(error)) from None
    if len(data) != member.length or zlib.crc32(data) != member.crc:
        raise zipfile.BadZipFile("the checksum of a member is wrong")
    return data


def _entries(index: bytes, count: int) -> dict[str, Member]:
    out, place = {}, 0
    for _ in range(count):
        if index[place : place + 4] != _ENTRY or len(index) < place + 46:
            raise zipfile.BadZipFile("the zip index is damaged")
        flags, method, _, crc, packed, length, names, extra, comment, offset = struct.unpack_from(
            "<HHIIIIHHH8xI", index, place + 8
        )
        name = index[place + 46 : place + 46 + names].decode("utf-8", errors="replace")
        out[name.removesuffix(".npy")] = Member(name, crc, length, offset, packed, method, bool(flags & 1))
        place += 46 + names + extra + comment
    return out


def _members_by_zipfile(file: BinaryIO) -> dict[str, Member]:
    with zipfile.ZipFile(file) as archive:
        return {
            info.filename.removesuffix(".npy"): Member(
                info.filename,
                info.CRC,
                info.file_size,
                info.header_offset,
                info.compress_size,
                info.compress_type,
                bool(info.flag_bits & 1),
            )
            for info in archive.infolist()
        }
