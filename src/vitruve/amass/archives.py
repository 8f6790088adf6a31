"""Extract untrusted archives.

A tar is streamed, with any compression; a zip is read by its directory. Refused are paths that lead out of the folder,
links, devices, repeated members, and content far larger than the archive. For a truncated or damaged archive the error
names the member.
"""

from __future__ import annotations

import bz2
import gzip
import hashlib
import io
import lzma
import re
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from vitruve.errors import BadData, VitruveError, is_unwritable

# Clips compress to about half: content beyond this size and a hundred times the archive is refused.
_LEAST_LIMIT, _MOST_GROWTH = 1 << 30, 100
_MOST_MEMBERS = 1_000_000
_BLOCK = 1 << 20
_DECOMPRESS = {b"BZh": bz2.open, b"\x1f\x8b": gzip.open, b"\xfd7zXZ": lzma.open}
# Raised for damaged archives; NotImplementedError by zipfile for an unsupported compression.
_DAMAGED = (tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, ValueError, NotImplementedError)
_AGAIN = "fetch the archive again"


@dataclass(frozen=True)
class Member:
    """A file in an archive: the parts of its path, its size in bytes, and its content."""

    parts: tuple[str, ...]
    size: int
    stream: IO[bytes]


def extract(
    archive: Path,
    folder: Path,
    *,
    progress: Callable[[int], None] | None = None,
    check: Callable[[Member], None] | None = None,
) -> str:
    """Extract an archive into an empty folder.

    Args:
        archive: .zip, or .tar, uncompressed or compressed with bzip2, gzip or xz; recognised by content.
        folder: the empty folder.
        progress: called with the bytes of the archive that were read since the last call.
        check: called with each member before it is written; may raise to stop.

    Returns:
        The SHA-256 of the archive.

    Raises:
        BadData: the archive is damaged, truncated, or refused.
        OSError: the disk is full.
    """
    position = _Position(archive)
    source = _Source(archive, progress or (lambda count: None))
    with position.errors(), source:
        members = _zip_members if source.peek(4) == b"PK\x03\x04" else _tar_members
        for member in members(source, position):
            if check is not None:
                check(member)
            _write(member, folder, position)
        return source.finish()


class _Position:
    """The current position in an archive, for errors."""

    def __init__(self, archive: Path) -> None:
        self.archive, self.member, self.complete = archive, "", 0

    def __str__(self) -> str:
        after = f", after {self.complete:,} complete members" if self.complete else ""
        return f"{self.archive}: member {self.member or 'none'}{after}"

    def refuse(self, what: str) -> BadData:
        """The error for a member that an archive of clips cannot have."""
        return BadData(f"{self.archive.name} is refused: {what}", where=str(self), fix="fetch it from its own site")

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Turn the exceptions for damaged archives into BadData; those for a full disk pass through."""
        try:
            yield
        except VitruveError:
            raise
        except OSError as error:
            if is_unwritable(error):
                raise
            if error.errno is not None:
                what = f"{self.archive.name} cannot be unpacked"
                fix = "check its permissions and disk, and run it again"
                raise BadData(what, where=f"{self}: {error.strerror}", fix=fix) from None
            raise self._damaged(error) from None
        except (*_DAMAGED, RuntimeError) as error:
            raise self._damaged(error) from None

    def _damaged(self, error: Exception) -> BadData:
        short = isinstance(error, EOFError) or "unexpected end" in str(error)
        what = "is cut short" if short else "is damaged"
        return BadData(f"{self.archive.name} {what}", where=f"{self}: {error}", fix=_AGAIN)


class _Source(io.RawIOBase):
    """The bytes of the archive, hashed and counted while they are read."""

    def __init__(self, path: Path, progress: Callable[[int], None]) -> None:
        self.path, self.size = path, path.stat().st_size
        self._file, self._hash, self._progress = path.open("rb"), hashlib.sha256(), progress

    def peek(self, count: int) -> bytes:
        """The first bytes, before anything is read."""
        head = self._file.read(count)
        self._file.seek(0)
        return head

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        count = self._file.readinto(buffer)
        self._hash.update(memoryview(buffer)[:count])
        self._progress(count)
        return count

    def finish(self) -> str:
        """Read the rest, and return the hash of the archive."""
        while self.read(_BLOCK):
            pass
        return self._hash.hexdigest()

    def close(self) -> None:
        self._file.close()
        super().close()


class _Unpacked(io.RawIOBase):
    """The output of a decompressor, limited in size; keeps the last bytes."""

    def __init__(self, stream: IO[bytes], limit: int, position: _Position) -> None:
        self._stream, self._left, self._position = stream, limit, position
        self.tail = b""

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        data = self._stream.read(_BLOCK if size < 0 else size)
        self._left -= len(data)
        if self._left < 0:
            raise self._position.refuse("it holds far more than its size allows")
        self.tail = (self.tail + data)[-tarfile.BLOCKSIZE :]
        return data


def _limit(size: int) -> int:
    return max(_LEAST_LIMIT, _MOST_GROWTH * size)


def _tar_members(source: _Source, position: _Position) -> Iterator[Member]:
    head = source.peek(6)
    decompress = next((each for magic, each in _DECOMPRESS.items() if head.startswith(magic)), None)
    buffered = io.BufferedReader(source, _BLOCK)
    stream = _Unpacked(decompress(buffered) if decompress else buffered, _limit(source.size), position)  # type: ignore[arg-type]
    try:
        with tarfile.open(fileobj=stream, mode="r|", bufsize=512 * tarfile.BLOCKSIZE) as tar:
            for number, entry in enumerate(tar):
                position.member = entry.name
                # A sparse file can be far larger than the bytes that are read, which are limited.
                if not (entry.isdir() or (entry.type in (tarfile.REGTYPE, tarfile.AREGTYPE) and not entry.sparse)):
                    raise position.refuse("it holds a link or a device")
                yield from _checked(
                    entry.name, entry.isdir(), entry.size, lambda e=entry: tar.extractfile(e), number, position
                )
    except tarfile.ReadError as error:
        if position.member or decompress:  # an archive, but a damaged one
            raise
        shown = head.decode("latin-1") if head[:1] == b"<" else str(error)
        fix = f"is it a web page? {_AGAIN}"
        raise BadData(
            f"{position.archive.name} is not an archive", where=f"{position.archive}: {shown}", fix=fix
        ) from None
    while stream.read(_BLOCK):
        pass
    # A tar ends with blocks of zeros; tarfile accepts the end of the file too.
    if stream.tail.count(0) != tarfile.BLOCKSIZE:
        raise EOFError("there is no end-of-archive mark")


def _zip_members(source: _Source, position: _Position) -> Iterator[Member]:
    with zipfile.ZipFile(source.path) as archive:
        entries = archive.infolist()
        if sum(entry.file_size for entry in entries) > _limit(source.size):
            raise position.refuse("it holds far more than its size allows")
        for number, entry in enumerate(entries):
            position.member = entry.filename
            if stat.S_IFMT(entry.external_attr >> 16) not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise position.refuse("it holds a link or a device")
            yield from _checked(
                entry.filename, entry.is_dir(), entry.file_size, lambda e=entry: archive.open(e), number, position
            )


def _checked(
    name: str, folder: bool, size: int, opened: Callable[[], IO[bytes] | None], number: int, position: _Position
) -> Iterator[Member]:
    """The member, unless it is a folder or metadata of macOS."""
    if number >= _MOST_MEMBERS:
        raise position.refuse(f"it has more than {_MOST_MEMBERS:,} members")
    parts = tuple(part for part in name.split("/") if part not in ("", "."))
    strange = re.search(r"[\x00-\x1f\\]", name) or name.startswith("/") or ".." in parts
    if strange or (parts and re.match(r"[A-Za-z]:", parts[0])):
        raise position.refuse("a path leads out of the folder, or has invalid characters")
    junk = not parts or parts[0] == "__MACOSX" or parts[-1].startswith("._") or parts[-1] == ".DS_Store"
    stream = None if folder or junk else opened()
    if stream is not None:
        with stream:
            yield Member(parts, size, stream)


def _write(member: Member, folder: Path, position: _Position) -> None:
    path = folder.joinpath(*member.parts)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("xb") as file:
            shutil.copyfileobj(member.stream, file, _BLOCK)
            written = file.tell()
    except (FileExistsError, NotADirectoryError):
        raise position.refuse("it holds a path twice") from None
    if written != member.size:
        raise EOFError(f"{written:,} of {member.size:,} bytes")
    position.complete += 1
